//! A ledger to look at, wherever it is.

use std::path::Path;

use federation_proto::Height;
use ledger::durable::{DurableError, DurableLedger};
use ledger::store::memory::MemoryStore;
use ledger::store::redb::RedbStore;
use ledger::store::{Changes, Store, StoreError, Table};
use ledger::{Anchor, BlockFile, Checkpoint};

use super::LedgerError;
use super::ground::{self, Ground};
use super::run::Run;
use crate::cli::SourceArgs;
use crate::failure::Failure;
use crate::workspace;

/// A ledger that was opened for reading, with the anchors that are kept with it.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) ledger: DurableLedger<Medium>,
    /// By path, or by what the store calls them.
    pub(super) anchors: Vec<(String, Anchor)>,
    /// Directory or file, as a person would type it.
    pub(super) place: String,
}

/// Makes a store file. A directory that is not there is no missing store.
pub(super) fn create(path: &Path) -> Result<RedbStore, StoreError> {
    RedbStore::create(path).map_err(|cause| match cause {
        StoreError::Missing => {
            let detail = "there is no such directory".to_owned();
            StoreError::Io { kind: std::io::ErrorKind::NotFound, detail }
        }
        other => other,
    })
}

/// Where the rows are.
#[derive(Debug)]
pub(super) enum Medium {
    Memory(MemoryStore),
    File(RedbStore),
}

impl Source {
    /// Opens the ledger of the federation that the ground names. It must hold at least a known checkpoint.
    pub(super) fn open(
        args: &SourceArgs,
        ground: &Ground,
        known: Option<&Checkpoint>,
    ) -> Result<Self, Failure> {
        match &args.store {
            Some(path) => Ok(Self::of_store(path, ground, known)?),
            None => Self::of_artifacts(args.artifacts.as_deref(), ground, known),
        }
    }

    pub(super) fn of_artifacts(
        artifacts: Option<&Path>,
        ground: &Ground,
        known: Option<&Checkpoint>,
    ) -> Result<Self, Failure> {
        let directory = ground::directory(artifacts);
        let place = workspace::shown(&directory);
        let mut run = Run::load(&directory)?;
        let anchors = std::mem::take(&mut run.anchors);
        let medium = Medium::Memory(run.into_memory(ground.keys.ledger_id())?.close());
        let ledger = open(medium, &place, ground, known)?;
        Ok(Self { ledger, anchors, place })
    }

    fn of_store(
        path: &Path,
        ground: &Ground,
        known: Option<&Checkpoint>,
    ) -> Result<Self, LedgerError> {
        let place = workspace::shown(path);
        let of_file = |cause| LedgerError::Durable { path: workspace::shown(path), cause };
        let store = RedbStore::open_read_only(path).map_err(|cause| of_file(cause.into()))?;
        let ledger = open(Medium::File(store), &place, ground, known)?;
        let named = |anchor: Anchor| {
            let height = anchor.index().saturating_add(1);
            (format!("{place}, anchor of block {height}"), anchor)
        };
        let anchors = ledger.anchors().map_err(of_file)?.into_iter().map(named).collect();
        Ok(Self { ledger, anchors, place })
    }

    /// The anchor with the largest checkpoint, as it claims it.
    pub(super) fn newest_anchor(&self) -> Option<&(String, Anchor)> {
        self.anchors.iter().max_by_key(|(_, anchor)| anchor.claimed_checkpoint().size())
    }

    /// A block.
    pub(super) fn block(&self, height: Height) -> Result<BlockFile, LedgerError> {
        self.ledger.block(height).map_err(|cause| self.failed(cause))
    }

    /// The first block that cannot be read.
    pub(super) fn first_unreadable(&self) -> Option<LedgerError> {
        let heights = self.ledger.base().height.get() + 1..=self.ledger.size();
        heights.map(Height::new).find_map(|height| self.block(height).err())
    }

    /// An error of the ledger, with its place.
    pub(super) fn failed(&self, cause: DurableError) -> LedgerError {
        LedgerError::Durable { path: self.place.clone(), cause }
    }
}

fn open(
    medium: Medium,
    place: &str,
    ground: &Ground,
    known: Option<&Checkpoint>,
) -> Result<DurableLedger<Medium>, LedgerError> {
    let opened = DurableLedger::open(medium, ground.keys.ledger_id(), known);
    opened.map_err(|cause| LedgerError::Durable { path: place.to_owned(), cause })
}

impl Store for Medium {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Self::Memory(store) => store.get(table, key),
            Self::File(store) => store.get(table, key),
        }
    }

    fn keys(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        match self {
            Self::Memory(store) => store.keys(table, from, limit),
            Self::File(store) => store.keys(table, from, limit),
        }
    }

    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        match self {
            Self::Memory(store) => store.commit(changes),
            Self::File(store) => store.commit(changes),
        }
    }

    fn check(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Memory(store) => store.check(),
            Self::File(store) => store.check(),
        }
    }
}
