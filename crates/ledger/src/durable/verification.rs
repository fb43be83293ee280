//! Reading everything: what opening takes on trust from the hash tree, looked at row by row.

use federation_proto::Height;

use super::error::{Damage, DurableError};
use super::{DurableLedger, height_key, read_block};
use crate::block::check_certificate;
use crate::chain::Head;
use crate::store::{Store, Table};

/// Keys that are read at a time.
const PAGE: usize = 1024;

/// What was read and found right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verified {
    /// Blocks.
    pub blocks: u64,
    /// Entries in them.
    pub entries: u64,
    /// Checkpoint certificates.
    pub certificates: u64,
    /// Blobs.
    pub blobs: u64,
    /// Kept anchors.
    pub anchors: u64,
}

impl<S: Store> DurableLedger<S> {
    /// Reads and checks every row: each block's form, order, batch and place in the tree, every tile, certificate,
    /// anchor, blob, reference and row of the attic, and whatever the store can check about itself. What the certificates prove is
    /// for the consensus crate to say.
    ///
    /// # Errors
    /// The first [`DurableError::Corrupt`], or that the store fails.
    pub fn verify(&mut self) -> Result<Verified, DurableError> {
        self.rows.check_store()?;
        let mut found = Verified::default();
        self.verify_blocks(&mut found)?;
        self.verify_certificates(&mut found)?;
        self.verify_blobs(&mut found)?;
        for anchor in self.anchors()? {
            self.tiles().check_anchor(&anchor)?;
            found.anchors += 1;
        }
        for table in [Table::Meta, Table::Attic] {
            self.each_key(table, |key| self.rows.get(table, key).map(drop))?;
        }
        Ok(found)
    }

    fn verify_blocks(&self, found: &mut Verified) -> Result<(), DurableError> {
        let mut head = self.base();
        while head.height < self.head().height {
            let height = head.height.next();
            let row = self.rows.get(Table::Blocks, &height_key(height))?;
            let row = row.ok_or_else(|| DurableError::at_block(height, Damage::Missing))?;
            let block = read_block(height, &row)?;
            let header = &block.header;
            head.check_follows(self.ledger_id(), header)
                .map_err(|cause| DurableError::at_block(height, Damage::Order(cause)))?;
            self.check_leaf(header)?;
            head = Head::after(header);
            found.blocks += 1;
            found.entries += u64::from(header.entries_count);
        }
        if head != self.head() {
            let (expected, found) = (self.head().id.to_string(), head.id.to_string());
            return Err(DurableError::at_block(head.height, Damage::Hash { expected, found }));
        }
        Ok(())
    }

    fn verify_certificates(&self, found: &mut Verified) -> Result<(), DurableError> {
        self.each_key(Table::Certificates, |key| {
            let damaged =
                |cause| DurableError::of_row(Table::Certificates, key, Damage::Form(cause));
            let certificate = self.rows.get(Table::Certificates, key)?.unwrap_or_default();
            check_certificate(&certificate).map_err(|cause| damaged(cause.to_string()))?;
            let height = <[u8; 8]>::try_from(key).map_or(0, u64::from_be_bytes);
            self.check_held(Height::new(height)).map_err(|cause| damaged(cause.to_string()))?;
            found.certificates += 1;
            Ok(())
        })
    }

    fn verify_blobs(&self, found: &mut Verified) -> Result<(), DurableError> {
        for digest in self.blobs()? {
            self.blob(&digest)?;
            if !self.is_held(&digest)? {
                let key = digest.as_bytes();
                return Err(DurableError::of_row(Table::Blobs, key, Damage::References));
            }
            found.blobs += 1;
        }
        self.verify_references()
    }

    /// Calls `check` for every key of a table.
    pub(super) fn each_key(
        &self,
        table: Table,
        mut check: impl FnMut(&[u8]) -> Result<(), DurableError>,
    ) -> Result<(), DurableError> {
        let mut from = Vec::new();
        loop {
            let keys = self.rows.keys(table, &[], &from, PAGE)?;
            for key in &keys {
                check(key)?;
            }
            let Some(last) = keys.last().filter(|_| keys.len() == PAGE) else { return Ok(()) };
            // The next key in the order of bytes.
            from = [last.as_slice(), &[0]].concat();
        }
    }
}
