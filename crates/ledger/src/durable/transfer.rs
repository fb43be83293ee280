//! The canonical export out of a durable ledger, and into one.

use std::collections::BTreeMap;

use federation_proto::{Digest, Height};

use super::error::{Damage, DurableError};
use super::{DurableLedger, Holder};
use crate::export::{self, ExportError};
use crate::store::{Store, Table};

/// Files that are imported in one commit.
const GROUP: u64 = 256;

/// What an import took in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Blocks.
    pub blocks: u64,
    /// Blobs.
    pub blobs: u64,
}

impl<S: Store> DurableLedger<S> {
    /// Hands out every block and every blob as a file of the canonical export: name and bytes, blocks by height,
    /// then blobs by digest. The same ledger gives the same files, whatever store it is in.
    ///
    /// # Errors
    /// Those of `write`; [`DurableError::Corrupt`], [`DurableError::Export`] for a height that has no name, or
    /// that the store fails, through `E`.
    pub fn export<E: From<DurableError>>(
        &self,
        mut write: impl FnMut(&str, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for index in self.base().height.get()..self.size() {
            let height = Height::new(index + 1);
            let block = self.block(height)?;
            let path = export::block_path(height).map_err(DurableError::from)?;
            write(&path, &export::encode_block(&block).map_err(DurableError::from)?)?;
        }
        for digest in self.blobs()? {
            write(&export::blob_path(&digest), &self.blob(&digest)?)?;
        }
        Ok(())
    }

    /// Takes in files of a canonical export, in any order, and makes them durable: blocks that follow the head,
    /// checkpoint certificates that held blocks lack, and blobs, which `holder` holds from now on. Blocks that are
    /// there already must be the same ones; those before the first one held are passed over, nothing here can check
    /// them.
    ///
    /// # Errors
    /// [`DurableError::File`], which names the file and says why: [`DurableError::Export`] for one that is none,
    /// [`DurableError::Append`] for a block that does not follow, [`DurableError::OtherBlock`]; or that the store
    /// fails. Whole groups before that are durable, and nothing is staged.
    pub fn import(
        &mut self,
        files: impl IntoIterator<Item = (String, Vec<u8>)>,
        holder: Holder,
    ) -> Result<Imported, DurableError> {
        // By name, blocks are in the order of their heights.
        let files: BTreeMap<String, Vec<u8>> = files.into_iter().collect();
        let mut taken = Imported::default();
        let done = (1_u64..).zip(&files).try_for_each(|(number, (path, bytes))| {
            self.import_file(path, bytes, holder, &mut taken).map_err(|cause| {
                DurableError::File { path: path.chars().take(80).collect(), cause: Box::new(cause) }
            })?;
            if number.is_multiple_of(GROUP) { self.commit().map(drop) } else { Ok(()) }
        });
        match done {
            Ok(()) => self.commit().map(|_| taken),
            Err(cause) => {
                // Whatever keeps what is staged from being forgotten is seen at the next call.
                let _ = self.abandon();
                Err(cause)
            }
        }
    }

    fn import_file(
        &mut self,
        path: &str,
        bytes: &[u8],
        holder: Holder,
        taken: &mut Imported,
    ) -> Result<(), DurableError> {
        if let Some(named) = export::parse_blob_path(path) {
            export::check_blob(&named, bytes)?;
            self.put_blob(bytes, holder)?;
            taken.blobs += 1;
            return Ok(());
        }
        let Some(height) = export::parse_block_path(path) else {
            return Err(ExportError::Name { found: path.chars().take(80).collect() }.into());
        };
        let block = export::decode_block(height, bytes)?;
        if height <= self.base().height {
            return Ok(());
        }
        if height > self.head().height {
            self.append(&block)?;
            taken.blocks += 1;
            return Ok(());
        }
        if self.block(height)?.header != block.header {
            return Err(DurableError::OtherBlock { height });
        }
        let certificate = block.checkpoint_certificate;
        certificate.map_or(Ok(()), |certificate| self.attach_checkpoint(height, &certificate))
    }

    /// The digests of all blobs, in their order.
    ///
    /// # Errors
    /// [`DurableError::Corrupt`], or that the store fails.
    pub fn blobs(&self) -> Result<Vec<Digest>, DurableError> {
        let mut digests = Vec::new();
        self.each_key(Table::Blobs, |key| {
            let digest = <[u8; 32]>::try_from(key).map_err(|_| {
                DurableError::of_row(Table::Blobs, key, Damage::Form("no digest".to_owned()))
            })?;
            digests.push(Digest::from_bytes(digest));
            Ok(())
        })?;
        Ok(digests)
    }
}
