//! A ledger on a store: what was committed survives, and what is read is what was committed.
//!
//! ```text
//! append ─▶ staged rows ─▶ commit: one durable step for everything staged (group commit)
//! read   ─▶ row ─▶ seal ─▶ canonical form ─▶ leaf in a tile ─▶ tiles up to the root ─▶ caller
//! ```
//!
//! # Promises
//!
//! - After a crash at any point the ledger holds an exact prefix of the blocks that were appended, no shorter than
//!   the last commit that returned `Ok`.
//! - A read gives what was committed, or [`DurableError::Corrupt`] that names the block. Every row has a seal over
//!   its place and bytes; blocks are checked against their batch and the hash tree as well, so neither a flipped
//!   bit nor an old or moved row passes.
//! - After a failed commit every call fails with [`StoreError::Poisoned`](crate::store::StoreError::Poisoned)
//!   until the ledger is opened anew.
//! - A ledger that is shorter than a checkpoint the caller knows is [`DurableError::RolledBack`]. Nothing inside
//!   the store can tell that the whole store is an old copy, so keep the last anchor elsewhere and bring it.
//!
//! Opening reads the head and the right edge of the tree, O(log n). [`DurableLedger::verify`] reads everything.
//!
//! # Example
//! ```
//! use federation_proto::{Digest, FederationId};
//! use ledger::durable::DurableLedger;
//! use ledger::store::memory::MemoryStore;
//!
//! let id = FederationId::new(Digest::of_blob(b"genesis"));
//! let ledger = DurableLedger::create(MemoryStore::new(), id)?;
//! let store = ledger.close();
//! let ledger = DurableLedger::open(store, id, None)?;
//! assert_eq!(ledger.size(), 0);
//! # Ok::<(), ledger::durable::DurableError>(())
//! ```

mod blobs;
mod error;
mod format;
mod reading;
mod record_log;
mod recovery;
mod rows;
mod stored_tree;
mod transfer;
mod verification;
mod writing;

use federation_proto::codec::Canonical;
use federation_proto::{FederationId, Height};
use serde::{Deserialize, Serialize};

pub use blobs::{Holder, MAX_BLOB_BYTES, Retention};
pub use error::{Damage, DurableError, Place};
pub use format::{FORMAT, Migrated, migrate};
pub use record_log::{MAX_RECORD_BYTES, RecordLog};
pub use recovery::Restored;
pub use transfer::Imported;
pub use verification::Verified;
pub use writing::MAX_BOOKMARK_BYTES;

use crate::block::{BlockFile, BlockHeader};
use crate::chain::{Head, log_index};
use crate::checkpoint::Checkpoint;
use crate::merkle::LogHash;
use crate::merkle::frontier::Frontier;
use crate::store::{Store, Table};
use rows::Rows;
use stored_tree::{StoredTree, Tiles};

/// Key of the head in [`Table::Meta`].
const HEAD: &[u8] = b"head";

/// Key of the caller's bookmark in [`Table::Meta`].
const BOOKMARK: &[u8] = b"bookmark";

/// A ledger whose blocks, tree and blobs are in a store.
#[derive(Debug)]
pub struct DurableLedger<S> {
    rows: Rows<S>,
    ledger_id: FederationId,
    /// What stands before the first block held: the genesis, or the anchored block.
    base: Head,
    /// The last block that is durable.
    durable: Head,
    /// The last block, staged ones included.
    head: Head,
    tree: StoredTree,
    restorations: u64,
}

/// What a ledger must know to be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct HeadRecord {
    ledger_id: FederationId,
    head: Head,
    /// Root of the history tree.
    root: LogHash,
    /// What stands before the first block held.
    base: Head,
    /// The complete subtrees of the leaves before it, largest first.
    base_nodes: Vec<LogHash>,
    /// How often blocks were taken out.
    restorations: u64,
}

impl Canonical for HeadRecord {
    const NAME: &'static str = "HeadRecord";
    const MAX_BYTES: usize = 4 << 10;
}

impl<S: Store> DurableLedger<S> {
    /// Begins a ledger in an empty store.
    ///
    /// # Errors
    /// [`DurableError::NotEmpty`], or that the store fails.
    pub fn create(store: S, ledger_id: FederationId) -> Result<Self, DurableError> {
        Self::begin(store, ledger_id, Head::genesis(ledger_id), Frontier::default())
    }

    /// Begins a ledger after an anchored block, without any block before it: a node that lost everything, or
    /// joins, goes on from here. `frontier` is what [`Anchor::frontier`](crate::Anchor::frontier) gave for the
    /// canonical bytes of `header`.
    ///
    /// # Errors
    /// [`DurableError::NotEmpty`], [`DurableError::NoBlock`] when frontier and header are not of one height, or
    /// that the store fails.
    pub fn create_at(
        store: S,
        header: &BlockHeader,
        frontier: Frontier,
    ) -> Result<Self, DurableError> {
        if header.height.get() != frontier.size() {
            let (height, head) = (header.height, Height::new(frontier.size()));
            return Err(DurableError::NoBlock { height, head });
        }
        Self::begin(store, header.ledger_id, Head::after(header), frontier)
    }

    fn begin(
        store: S,
        ledger_id: FederationId,
        base: Head,
        frontier: Frontier,
    ) -> Result<Self, DurableError> {
        let mut rows = Rows::new(store);
        format::begin(&mut rows)?;
        let tree = StoredTree::new(frontier);
        let mut ledger =
            Self { rows, ledger_id, base, durable: base, head: base, tree, restorations: 0 };
        ledger.commit()?;
        Ok(ledger)
    }

    /// Opens the ledger of a store. With a checkpoint that is known of it, usually its last anchor's, the store
    /// must hold at least that.
    ///
    /// # Errors
    /// [`DurableError::NoLedger`], [`DurableError::OtherLedger`], [`DurableError::OldFormat`],
    /// [`DurableError::NewerFormat`], [`DurableError::Corrupt`], [`DurableError::RolledBack`],
    /// [`DurableError::Contradicted`], [`DurableError::NotHeld`] for a checkpoint before the anchor that the ledger
    /// began with, or that the store fails.
    pub fn open(
        store: S,
        ledger_id: FederationId,
        known: Option<&Checkpoint>,
    ) -> Result<Self, DurableError> {
        let ledger = Self::open_any(store)?;
        if ledger.ledger_id != ledger_id {
            let (expected, found) = (ledger_id, ledger.ledger_id);
            return Err(DurableError::OtherLedger { expected, found });
        }
        if let Some(known) = known {
            ledger.tiles().check_known(known)?;
        }
        Ok(ledger)
    }

    /// Opens whichever ledger a store has, to look at it.
    ///
    /// # Errors
    /// As [`DurableLedger::open`], but for what depends on the expected ledger.
    pub fn open_any(store: S) -> Result<Self, DurableError> {
        let rows = Rows::new(store);
        format::check(&rows)?;
        let Some(bytes) = rows.get(Table::Meta, HEAD)? else {
            // A log of records has a head of its own.
            let records = rows.get(Table::Meta, record_log::HEAD)?.is_some();
            let missing = DurableError::of_row(Table::Meta, HEAD, Damage::Missing);
            return Err(if records { DurableError::NoLedger } else { missing });
        };
        let malformed =
            |cause: String| DurableError::of_row(Table::Meta, HEAD, Damage::Form(cause));
        let record =
            HeadRecord::from_canonical(&bytes).map_err(|cause| malformed(cause.to_string()))?;
        let (head, base) = (record.head, record.base);
        let frontier = Frontier::from_nodes(base.height.get(), record.base_nodes)
            .map_err(|cause| malformed(cause.to_string()))?;
        if head.height < base.height {
            return Err(malformed(format!("head {} below base {}", head.height, base.height)));
        }
        let tree = StoredTree::load(frontier, head.height.get(), &rows)?;
        let (ledger_id, restorations) = (record.ledger_id, record.restorations);
        let ledger = Self { rows, ledger_id, base, durable: head, head, tree, restorations };
        let root = ledger.root()?;
        if root != record.root {
            let (expected, found) = (record.root.to_string(), root.to_string());
            let damage = Damage::Hash { expected, found };
            return Err(DurableError::of_row(Table::Meta, HEAD, damage));
        }
        ledger.check_head()?;
        Ok(ledger)
    }

    /// Whether the head is that of the last block, which the tree vouches for; and the genesis of this ledger's id.
    fn check_head(&self) -> Result<(), DurableError> {
        let (genesis, base) = (Head::genesis(self.ledger_id), self.base);
        let first = if base.height == Height::ZERO { genesis } else { base };
        let last = if self.head.height == base.height {
            Ok(first)
        } else {
            self.block(self.head.height).map(|block| Head::after(&block.header))
        };
        let last = match last {
            Err(cause @ DurableError::Corrupt { damage: Damage::Medium(_), .. }) => {
                return Err(cause);
            }
            // A block that cannot be read is named to who reads it. It must not hold up recovery.
            Err(DurableError::Corrupt { .. }) => self.head,
            other => other?,
        };
        if (first, last) == (base, self.head) {
            return Ok(());
        }
        let (expected, found) = (last.id.to_string(), self.head.id.to_string());
        Err(DurableError::of_row(Table::Meta, HEAD, Damage::Hash { expected, found }))
    }

    /// Gives the store back; what is staged is lost.
    pub fn close(self) -> S {
        self.rows.into_store()
    }

    /// The federation whose ledger this is.
    #[must_use]
    pub fn ledger_id(&self) -> FederationId {
        self.ledger_id
    }

    /// What the next block must follow.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// Number of blocks, from the genesis on, staged ones included.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The last block that is durable.
    #[must_use]
    pub fn durable_head(&self) -> Head {
        self.durable
    }

    /// What stands before the first block held: the genesis, or the anchored block that the ledger began after.
    #[must_use]
    pub fn base(&self) -> Head {
        self.base
    }

    fn tiles(&self) -> Tiles<'_, S> {
        self.tree.over(&self.rows)
    }

    /// Whether the ledger has at least a checkpoint that is known of it, and the same history up to there.
    ///
    /// # Errors
    /// [`DurableError::RolledBack`], [`DurableError::Contradicted`], [`DurableError::NotHeld`],
    /// [`DurableError::Corrupt`], or that the store fails.
    pub fn check_known(&self, known: &Checkpoint) -> Result<(), DurableError> {
        self.tiles().check_known(known)
    }

    fn check_held(&self, height: Height) -> Result<(), DurableError> {
        let (base, head) = (self.base.height.get(), self.head.height);
        if height == Height::ZERO || height > head {
            return Err(DurableError::NoBlock { height, head });
        }
        let index = log_index(height);
        if index < base {
            return Err(DurableError::NotHeld { first: index, last: index, base });
        }
        Ok(())
    }
}

/// Where a block lies in [`Table::Blocks`].
fn height_key(height: Height) -> [u8; 8] {
    height.get().to_be_bytes()
}

fn read_block(height: Height, row: &[u8]) -> Result<BlockFile, DurableError> {
    crate::export::decode_block(height, row)
        .map_err(|cause| DurableError::at_block(height, Damage::Form(cause.to_string())))
}
