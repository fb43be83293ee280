//! A durable log of records of any kind: the tree, the seals and the promises of a durable ledger without blocks.
//!
//! For whoever wants a tamper-evident log and no federation: a record is a leaf of the RFC 6962 tree, checkpoints
//! are C2SP's, and proofs verify with [`Anchor`](crate::Anchor) or any other client of transparency logs.

use serde::{Deserialize, Serialize};

use federation_proto::Height;
use federation_proto::codec::Canonical;

use super::error::{Damage, DurableError};
use super::format;
use super::rows::Rows;
use super::stored_tree::{StoredTree, Tiles};
use crate::anchor::Anchor;
use crate::checkpoint::Checkpoint;
use crate::merkle::LogHash;
use crate::merkle::frontier::Frontier;
use crate::merkle::subtrees::{self, Subtrees};
use crate::note::Note;
use crate::store::{MAX_VALUE_BYTES, Store, StoreError, Table};

/// Key of the head in [`Table::Meta`]; a ledger of blocks has another one, so neither opens the other.
pub(super) const HEAD: &[u8] = b"records";

/// Longest record in bytes.
pub const MAX_RECORD_BYTES: usize = MAX_VALUE_BYTES - 64;

/// An append-only log of records in a store.
///
/// ```
/// use ledger::durable::RecordLog;
/// use ledger::store::memory::MemoryStore;
///
/// let mut log = RecordLog::create(MemoryStore::new())?;
/// log.append(b"door opened")?;
/// log.append(b"door closed")?;
/// log.commit()?;
/// assert_eq!(log.record(1)?, b"door closed");
/// # Ok::<(), ledger::durable::DurableError>(())
/// ```
#[derive(Debug)]
pub struct RecordLog<S> {
    rows: Rows<S>,
    tree: StoredTree,
}

/// What a log must know to be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct HeadRecord {
    size: u64,
    root: LogHash,
}

impl Canonical for HeadRecord {
    const NAME: &'static str = "RecordLogHead";
    const MAX_BYTES: usize = 64;
}

impl<S: Store> RecordLog<S> {
    /// Begins a log in an empty store.
    ///
    /// # Errors
    /// [`DurableError::NotEmpty`], or that the store fails.
    pub fn create(store: S) -> Result<Self, DurableError> {
        let mut rows = Rows::new(store);
        format::begin(&mut rows)?;
        let mut log = Self { rows, tree: StoredTree::new(Frontier::default()) };
        log.commit()?;
        Ok(log)
    }

    /// Opens a log. With a checkpoint that is known of it, the store must hold at least that.
    ///
    /// # Errors
    /// [`DurableError::NoLedger`], those of another format, [`DurableError::Corrupt`],
    /// [`DurableError::RolledBack`], [`DurableError::Contradicted`], or that the store fails.
    pub fn open(store: S, known: Option<&Checkpoint>) -> Result<Self, DurableError> {
        let rows = Rows::new(store);
        format::check(&rows)?;
        let bytes = rows.get(Table::Meta, HEAD)?.ok_or(DurableError::NoLedger)?;
        let damaged = |damage| DurableError::of_row(Table::Meta, HEAD, damage);
        let head = HeadRecord::from_canonical(&bytes)
            .map_err(|cause| damaged(Damage::Form(cause.to_string())))?;
        let tree = StoredTree::load(Frontier::default(), head.size, &rows)?;
        let log = Self { rows, tree };
        let found = log.tiles().root_at(head.size)?;
        if found != head.root {
            let (expected, found) = (head.root.to_string(), found.to_string());
            return Err(damaged(Damage::Hash { expected, found }));
        }
        if let Some(known) = known {
            log.tiles().check_known(known)?;
        }
        Ok(log)
    }

    /// Gives the store back; what is staged is lost.
    pub fn close(self) -> S {
        self.rows.into_store()
    }

    /// Stages a record and returns its zero-based index.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], [`DurableError::History`] for a log as long as there can be, or that the log is
    /// poisoned.
    pub fn append(&mut self, record: &[u8]) -> Result<u64, DurableError> {
        self.rows.check_alive()?;
        if record.len() > MAX_RECORD_BYTES {
            let (length, limit) = (record.len(), MAX_RECORD_BYTES);
            return Err(StoreError::TooLarge { length, limit }.into());
        }
        let index = self.size();
        self.tree.append(LogHash::of_leaf(record), &mut self.rows)?;
        self.rows.put(Table::Blocks, &record_key(index), record);
        Ok(index)
    }

    /// Makes everything staged durable, in one step, and returns the size.
    ///
    /// # Errors
    /// The store fails; the log is poisoned then, until it is opened anew.
    pub fn commit(&mut self) -> Result<u64, DurableError> {
        self.rows.check_alive()?;
        self.tree.stage_edge(&mut self.rows);
        let head = HeadRecord { size: self.size(), root: self.tiles().root_at(self.size())? };
        self.rows.put(Table::Meta, HEAD, &head.to_canonical());
        self.rows.commit()?;
        Ok(head.size)
    }

    /// Number of records, staged ones included.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// A record.
    ///
    /// # Errors
    /// [`DurableError::History`] when there is none, [`DurableError::Corrupt`] (records are named from 1, like
    /// blocks), or that the store fails.
    pub fn record(&self, index: u64) -> Result<Vec<u8>, DurableError> {
        let expected = self.history().subtree(0, index)?;
        let place = Height::new(index.saturating_add(1));
        let record = self.rows.get(Table::Blocks, &record_key(index))?;
        let record = record.ok_or_else(|| DurableError::at_block(place, Damage::Missing))?;
        let found = LogHash::of_leaf(&record);
        if found != expected {
            let (expected, found) = (expected.to_string(), found.to_string());
            return Err(DurableError::at_block(place, Damage::Hash { expected, found }));
        }
        Ok(record)
    }

    /// The complete subtrees of the history tree, for proofs of any kind.
    pub fn history(&self) -> impl Subtrees<Error = DurableError> {
        self.tiles()
    }

    /// The checkpoint of the first `size` records, for somebody to sign.
    ///
    /// # Errors
    /// [`DurableError::History`], [`DurableError::Checkpoint`], [`DurableError::Corrupt`], or that the store fails.
    pub fn checkpoint_at(&self, origin: &str, size: u64) -> Result<Checkpoint, DurableError> {
        Ok(Checkpoint::new(origin, size, self.tiles().root_at(size)?)?)
    }

    /// The proof of record `index` under a signed checkpoint note of this log: one file that verifies offline.
    ///
    /// # Errors
    /// [`DurableError::Contradicted`] or [`DurableError::RolledBack`] when the note is about another log,
    /// [`DurableError::Anchor`] when there is no such record in it, or that the store fails.
    pub fn prove(&self, index: u64, note: Note) -> Result<Anchor, DurableError> {
        let checkpoint = Checkpoint::parse(note.text())?;
        self.tiles().check_known(&checkpoint)?;
        let path = subtrees::inclusion(&self.history(), index, checkpoint.size())?;
        Ok(Anchor::new(None, index, path, note)?)
    }

    fn tiles(&self) -> Tiles<'_, S> {
        self.tree.over(&self.rows)
    }
}

fn record_key(index: u64) -> [u8; 8] {
    index.saturating_add(1).to_be_bytes()
}
