//! Reading: what is given was committed, or staged; or a typed error says why not.

use federation_proto::Height;
use federation_proto::codec::Canonical as _;

use super::error::{Damage, DurableError};
use super::{BOOKMARK, DurableLedger, height_key, read_block};
use crate::anchor::Anchor;
use crate::block::{BlockFile, BlockHeader, entry_tree};
use crate::chain::{EntryProof, log_index};
use crate::checkpoint::Checkpoint;
use crate::merkle::LogHash;
use crate::merkle::frontier::Frontier;
use crate::merkle::history::HistoryError;
use crate::merkle::subtrees::{self, Subtrees};
use crate::note::Note;
use crate::store::{Store, Table};

impl<S: Store> DurableLedger<S> {
    /// Root of the history tree.
    ///
    /// # Errors
    /// [`DurableError::Corrupt`], or that the store fails.
    pub fn root(&self) -> Result<LogHash, DurableError> {
        self.root_at(self.size())
    }

    /// Root of the history tree at an earlier size.
    ///
    /// # Errors
    /// [`DurableError::History`], [`DurableError::NotHeld`], [`DurableError::Corrupt`], or that the store fails.
    pub fn root_at(&self, size: u64) -> Result<LogHash, DurableError> {
        self.tiles().root_at(size)
    }

    /// The complete subtrees of the history tree, for proofs of any kind.
    pub fn history(&self) -> impl Subtrees<Error = DurableError> {
        self.tiles()
    }

    /// The complete subtrees that make up the tree: what catching up, or another ledger that begins here, needs.
    ///
    /// # Errors
    /// [`DurableError::Corrupt`], or that the store fails.
    pub fn frontier(&self) -> Result<Frontier, DurableError> {
        let (size, nodes) = (self.size(), subtrees::peaks(&self.history(), self.size())?);
        Frontier::from_nodes(size, nodes)
            .map_err(|_| HistoryError::SizeBeyondTree { requested: size, size: self.size() }.into())
    }

    /// A block, with the checkpoint certificate it may have.
    ///
    /// # Errors
    /// [`DurableError::NoBlock`], [`DurableError::NotHeld`], [`DurableError::Corrupt`], or that the store fails.
    pub fn block(&self, height: Height) -> Result<BlockFile, DurableError> {
        self.check_held(height)?;
        let key = height_key(height);
        let row = self.rows.get(Table::Blocks, &key)?;
        let row = row.ok_or_else(|| DurableError::at_block(height, Damage::Missing))?;
        let mut block = read_block(height, &row)?;
        self.check_leaf(&block.header)?;
        block.checkpoint_certificate = self.rows.get(Table::Certificates, &key)?;
        Ok(block)
    }

    /// Proof that entry `index` of block `height` is in the log at `size` blocks.
    ///
    /// # Errors
    /// As [`DurableLedger::block`], and [`DurableError::Entry`] or [`DurableError::History`].
    pub fn prove_entry(
        &self,
        height: Height,
        index: u32,
        size: u64,
    ) -> Result<EntryProof, DurableError> {
        let block = self.block(height)?;
        Ok(EntryProof {
            header: block.header,
            entry: entry_tree(&block.batch)?.prove(index)?,
            log_size: size,
            log_path: self.inclusion_proof(log_index(height), size)?,
        })
    }

    /// Proof that leaf `index` is in the tree of the first `size` leaves.
    ///
    /// # Errors
    /// [`DurableError::History`], [`DurableError::NotHeld`], [`DurableError::Corrupt`], or that the store fails.
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<LogHash>, DurableError> {
        self.tiles().check_size(size)?;
        if index >= size {
            return Err(HistoryError::IndexBeyondSize { index, size }.into());
        }
        subtrees::inclusion(&self.history(), index, size)
    }

    /// Proof that the tree of the first `new` leaves extends that of the first `old`.
    ///
    /// # Errors
    /// As [`DurableLedger::inclusion_proof`].
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<LogHash>, DurableError> {
        if old == 0 || old > new {
            return Err(HistoryError::SizesNotOrdered { old, new }.into());
        }
        self.tiles().check_size(new)?;
        subtrees::consistency(&self.history(), old, new)
    }

    /// The checkpoint of the first `size` blocks, for the validators to sign.
    ///
    /// # Errors
    /// As [`DurableLedger::root_at`], and [`DurableError::Checkpoint`].
    pub fn checkpoint_at(&self, origin: &str, size: u64) -> Result<Checkpoint, DurableError> {
        Ok(Checkpoint::new(origin, size, self.root_at(size)?)?)
    }

    /// The anchor of block `height` under a signed checkpoint note of this ledger.
    ///
    /// # Errors
    /// [`DurableError::Contradicted`] or [`DurableError::RolledBack`] when the note is about another history, and
    /// those of parts that are out of range.
    pub fn anchor(
        &self,
        height: Height,
        note: Note,
        extra: Option<Vec<u8>>,
    ) -> Result<Anchor, DurableError> {
        let checkpoint = Checkpoint::parse(note.text())?;
        self.tiles().check_known(&checkpoint)?;
        let path = self.inclusion_proof(log_index(height), checkpoint.size())?;
        Ok(Anchor::new(extra, log_index(height), path, note)?)
    }

    /// The kept anchors, by the height they prove.
    ///
    /// # Errors
    /// [`DurableError::Corrupt`], or that the store fails.
    pub fn anchors(&self) -> Result<Vec<Anchor>, DurableError> {
        let keys = self.rows.keys(Table::Anchors, &[], &[], usize::MAX)?;
        keys.iter().map(|key| self.read_anchor(key)).collect()
    }

    /// The caller's bookmark, if one was ever set.
    ///
    /// # Errors
    /// [`DurableError::Corrupt`], or that the store fails.
    pub fn bookmark(&self) -> Result<Option<Vec<u8>>, DurableError> {
        self.rows.get(Table::Meta, BOOKMARK)
    }

    /// Whether the header is the one that the tree has in its place.
    pub(super) fn check_leaf(&self, header: &BlockHeader) -> Result<(), DurableError> {
        let expected = self.tiles().leaf(log_index(header.height))?;
        let found = LogHash::of_leaf(&header.to_canonical());
        if found != expected {
            let (expected, found) = (expected.to_string(), found.to_string());
            return Err(DurableError::at_block(header.height, Damage::Hash { expected, found }));
        }
        Ok(())
    }

    pub(super) fn read_anchor(&self, key: &[u8]) -> Result<Anchor, DurableError> {
        let damaged = |damage| DurableError::of_row(Table::Anchors, key, damage);
        let bytes = self.rows.get(Table::Anchors, key)?.ok_or_else(|| damaged(Damage::Missing))?;
        Anchor::parse(&bytes).map_err(|cause| damaged(Damage::Form(cause.to_string())))
    }
}
