//! Writing: everything is staged until a commit makes it durable in one step.

use federation_proto::codec::Canonical as _;
use federation_proto::{Height, LedgerBlockId};

use super::error::DurableError;
use super::stored_tree::StoredTree;
use super::{BOOKMARK, DurableLedger, HEAD, HeadRecord, height_key};
use crate::anchor::Anchor;
use crate::block::{BlockFile, check_certificate};
use crate::chain::{AppendError, Head};
use crate::merkle::LogHash;
use crate::store::{Store, StoreError, Table};

/// Longest bookmark in bytes.
pub const MAX_BOOKMARK_BYTES: usize = 4 << 10;

impl<S: Store> DurableLedger<S> {
    /// Stages a block that consensus has committed.
    ///
    /// # Errors
    /// [`DurableError::Append`], or that the ledger is poisoned; nothing is staged then.
    pub fn append(&mut self, block: &BlockFile) -> Result<LedgerBlockId, DurableError> {
        self.rows.check_alive()?;
        self.head.check_follows(self.ledger_id, &block.header)?;
        block.check().map_err(AppendError::from)?;
        let header = &block.header;
        let key = height_key(header.height);
        self.tree.append(LogHash::of_leaf(&header.to_canonical()), &mut self.rows)?;
        if let Some(certificate) = &block.checkpoint_certificate {
            self.rows.put(Table::Certificates, &key, certificate);
        }
        self.rows.put(Table::Blocks, &key, &block_row(block));
        self.head = Head::after(header);
        Ok(self.head.id)
    }

    /// Stages the checkpoint certificate of a block. The same one again changes nothing.
    ///
    /// # Errors
    /// [`DurableError::NoBlock`], [`DurableError::Block`], [`DurableError::CertificatePresent`], or that the store
    /// fails.
    pub fn attach_checkpoint(
        &mut self,
        height: Height,
        certificate: &[u8],
    ) -> Result<(), DurableError> {
        check_certificate(certificate)?;
        self.check_held(height)?;
        match self.rows.get(Table::Certificates, &height_key(height))? {
            Some(present) if present == certificate => Ok(()),
            Some(_) => Err(DurableError::CertificatePresent { height }),
            None => {
                self.rows.put(Table::Certificates, &height_key(height), certificate);
                Ok(())
            }
        }
    }

    /// Stages an anchor of this ledger. Who signed it, its reader verifies; that it is of this history is checked
    /// here.
    ///
    /// # Errors
    /// [`DurableError::Contradicted`] when it is of another history, [`DurableError::Anchor`] when its path proves
    /// nothing there, or that the store fails.
    pub fn keep_anchor(&mut self, anchor: &Anchor) -> Result<(), DurableError> {
        self.tiles().check_anchor(anchor)?;
        let height = Height::new(anchor.index().saturating_add(1));
        self.check_held(height)?;
        let bytes = anchor.to_text();
        self.rows.put(Table::Anchors, &height_key(height), bytes.as_bytes());
        Ok(())
    }

    /// Stages a bookmark of the caller's, in place of the one before: bytes that must be durable together with the
    /// blocks, such as the mark of the safety log.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] beyond [`MAX_BOOKMARK_BYTES`], or that the ledger is poisoned.
    pub fn set_bookmark(&mut self, bookmark: &[u8]) -> Result<(), DurableError> {
        self.rows.check_alive()?;
        let (length, limit) = (bookmark.len(), MAX_BOOKMARK_BYTES);
        if length > limit {
            return Err(StoreError::TooLarge { length, limit }.into());
        }
        self.rows.put(Table::Meta, BOOKMARK, bookmark);
        Ok(())
    }

    /// Makes everything staged durable, in one step, and returns the new head.
    ///
    /// # Errors
    /// The store fails. The ledger is poisoned then: whether the step was made shows when it is opened anew.
    pub fn commit(&mut self) -> Result<Head, DurableError> {
        self.rows.check_alive()?;
        self.tree.stage_edge(&mut self.rows);
        let record = HeadRecord {
            ledger_id: self.ledger_id,
            head: self.head,
            root: self.root()?,
            base: self.base,
            base_nodes: self.tree.base().nodes().to_vec(),
            restorations: self.restorations,
        };
        self.rows.put(Table::Meta, HEAD, &record.to_canonical());
        self.rows.commit()?;
        self.durable = self.head;
        Ok(self.head)
    }

    /// Forgets what is staged.
    ///
    /// # Errors
    /// [`DurableError::Corrupt`], or that the store fails. The ledger is poisoned then.
    pub fn abandon(&mut self) -> Result<(), DurableError> {
        self.rows.abandon();
        if self.head != self.durable {
            let size = self.durable.height.get();
            let tree = StoredTree::load(self.tree.base().clone(), size, &self.rows);
            // The rows of the staged blocks are gone: a head above them must never be committed.
            self.tree = tree.inspect_err(|_| self.rows.poison())?;
            self.head = self.durable;
        }
        Ok(())
    }
}

/// A block as it is stored: its checkpoint certificate comes later and has a row of its own.
fn block_row(block: &BlockFile) -> Vec<u8> {
    match block.checkpoint_certificate {
        None => block.to_canonical(),
        Some(_) => BlockFile { checkpoint_certificate: None, ..block.clone() }.to_canonical(),
    }
}
