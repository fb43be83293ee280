//! Why a durable ledger cannot go on or answer.

use federation_proto::{Digest, FederationId, Height};
use thiserror::Error;

use crate::anchor::AnchorError;
use crate::block::BlockError;
use crate::chain::AppendError;
use crate::checkpoint::CheckpointError;
use crate::export::ExportError;
use crate::merkle::LogHash;
use crate::merkle::block_tree::BlockTreeError;
use crate::merkle::history::HistoryError;
use crate::store::{StoreError, Table};

/// Why a durable ledger cannot go on or answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DurableError {
    /// The store cannot.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row is not what was written.
    #[error("corrupt: {place}: {damage}")]
    Corrupt {
        /// Which row.
        place: Place,
        /// What is wrong with it.
        damage: Damage,
    },
    /// The ledger is shorter than a checkpoint of it that the caller knows: somebody put an older one here.
    #[error("rolled back: a checkpoint of {known} blocks is known, the ledger has {found}")]
    RolledBack {
        /// Size of the checkpoint, in blocks.
        known: u64,
        /// Size of the ledger, in blocks.
        found: u64,
    },
    /// The ledger has another root than a checkpoint of it that the caller knows.
    #[error("at {size} blocks the ledger has root {own}, the known checkpoint {known}")]
    Contradicted {
        /// Size of the checkpoint, in blocks.
        size: u64,
        /// Root of the ledger at that size.
        own: LogHash,
        /// Root of the checkpoint.
        known: LogHash,
    },
    /// A ledger is made in an empty store.
    #[error("the store holds a ledger already")]
    NotEmpty,
    /// There is no ledger in the store.
    #[error("the store holds no ledger")]
    NoLedger,
    /// Another federation's ledger.
    #[error("the store holds ledger {found}, expected {expected}")]
    OtherLedger {
        /// The wanted ledger.
        expected: FederationId,
        /// The ledger in the store.
        found: FederationId,
    },
    /// An older format, which `migrate` brings up to date.
    #[error("the store has format {found}, migrate it to {current}")]
    OldFormat {
        /// Format of the store.
        found: u32,
        /// The format of this program.
        current: u32,
    },
    /// A format that this program does not know, from a newer one.
    #[error("the store has format {found}, this program knows up to {current}")]
    NewerFormat {
        /// Format of the store.
        found: u32,
        /// The format of this program.
        current: u32,
    },
    /// The ledger began at an anchor and never had what lies before it.
    #[error("leaves {first} to {last} lie before the anchor at {base} that this ledger began with")]
    NotHeld {
        /// First leaf that was asked for.
        first: u64,
        /// Last leaf that was asked for.
        last: u64,
        /// Number of leaves before the first one held.
        base: u64,
    },
    /// No such block.
    #[error("no block of height {height}, the head is {head}")]
    NoBlock {
        /// Height that was asked for.
        height: Height,
        /// Height of the head.
        head: Height,
    },
    /// No such blob.
    #[error("no blob {digest}")]
    NoBlob {
        /// The digest that was asked for.
        digest: Digest,
    },
    /// A blob is larger than [`MAX_BLOB_BYTES`](super::MAX_BLOB_BYTES).
    #[error("a blob has {length} bytes, the limit is {limit}")]
    BlobTooLarge {
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The block has another checkpoint certificate already, and what was exported once must not change.
    #[error("block {height} has another checkpoint certificate already")]
    CertificatePresent {
        /// Height of the block.
        height: Height,
    },
    /// Another block than the one of that height.
    #[error("block {height} is another one here")]
    OtherBlock {
        /// Height of the block.
        height: Height,
    },
    /// A file of an import is refused.
    #[error("{path}: {cause}")]
    File {
        /// Its name in the export.
        path: String,
        /// Why.
        cause: Box<DurableError>,
    },
    /// A file is no part of a canonical export, or a block cannot be one.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A block cannot follow.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// A certificate is empty or too long.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// No such entry.
    #[error(transparent)]
    Entry(#[from] BlockTreeError),
    /// No such size.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A note is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// An anchor cannot be put together, or does not belong to this ledger.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
}

/// A row of the store, in words of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Place {
    /// A block.
    #[error("block {0}")]
    Block(Height),
    /// The checkpoint certificate of a block.
    #[error("the checkpoint certificate of block {0}")]
    Certificate(Height),
    /// Hashes of the history tree.
    #[error("the hashes of blocks {first} to {last}")]
    Tile {
        /// First block under them.
        first: Height,
        /// Last block under them.
        last: Height,
    },
    /// A blob.
    #[error("blob {0}")]
    Blob(Digest),
    /// An anchor.
    #[error("the anchor of block {0}")]
    Anchor(Height),
    /// Head, format or another small value.
    #[error("{table} {key:?}")]
    Other {
        /// Name of the table.
        table: &'static str,
        /// The key.
        key: Vec<u8>,
    },
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Damage {
    /// It is not there.
    #[error("it is missing")]
    Missing,
    /// Its bytes are not those that were written there.
    #[error("its bytes are not those that were written")]
    Seal,
    /// The store met damage on the way to it.
    #[error("the store is damaged: {0}")]
    Medium(String),
    /// Its bytes have no accepted form.
    #[error("{0}")]
    Form(String),
    /// It is not what the hash tree says.
    #[error("the hash tree has {expected}, it has {found}")]
    Hash {
        /// The hash in the tree, or the digest in the name.
        expected: String,
        /// The hash of what was read.
        found: String,
    },
    /// It does not follow what is before it.
    #[error("{0}")]
    Order(AppendError),
    /// Nobody holds it, or it is held twice over.
    #[error("its references do not agree")]
    References,
}

impl DurableError {
    pub(super) fn of_row(table: Table, key: &[u8], damage: Damage) -> Self {
        Self::Corrupt { place: Place::of(table, key), damage }
    }

    pub(super) fn at_block(height: Height, damage: Damage) -> Self {
        Self::Corrupt { place: Place::Block(height), damage }
    }
}

impl Place {
    fn of(table: Table, key: &[u8]) -> Self {
        let height = <[u8; 8]>::try_from(key).ok().map(|key| Height::new(u64::from_be_bytes(key)));
        let digest = <[u8; 32]>::try_from(key).ok().map(Digest::from_bytes);
        match (table, height, digest) {
            (Table::Blocks, Some(height), _) => Self::Block(height),
            (Table::Certificates, Some(height), _) => Self::Certificate(height),
            (Table::Anchors, Some(height), _) => Self::Anchor(height),
            (Table::Blobs, _, Some(digest)) => Self::Blob(digest),
            _ => Self::Other { table: table.name(), key: key.to_vec() },
        }
    }
}
