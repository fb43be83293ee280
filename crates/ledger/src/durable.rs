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
mod recovery;
mod rows;
mod tiles;
mod transfer;
mod verification;

use federation_proto::codec::Canonical;
use federation_proto::{FederationId, Height, LedgerBlockId};
use serde::{Deserialize, Serialize};

pub use blobs::{Holder, MAX_BLOB_BYTES, Retention};
pub use error::{Damage, DurableError, Place};
pub use format::{FORMAT, Migrated, migrate};
pub use recovery::Restored;
pub use transfer::Imported;
pub use verification::Verified;

use crate::anchor::Anchor;
use crate::block::{BlockFile, BlockHeader, check_certificate, entry_tree};
use crate::chain::{EntryProof, Head, log_index};
use crate::checkpoint::Checkpoint;
use crate::merkle::LogHash;
use crate::merkle::frontier::Frontier;
use crate::merkle::history::HistoryError;
use crate::merkle::subtrees::{self, Subtrees};
use crate::note::Note;
use crate::store::{Store, Table};
use rows::Rows;
use tiles::{TileTree, Tiles};

/// Key of the head in [`Table::Meta`].
const HEAD: &[u8] = b"head";

/// Key of the caller's note in [`Table::Meta`].
const NOTE: &[u8] = b"note";

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
    tree: TileTree,
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
    /// joins, goes on from here. `frontier` is what [`Anchor::frontier`] gave for the canonical bytes of `header`.
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
        if format::read(&rows)?.is_some() {
            return Err(DurableError::NotEmpty);
        }
        format::stage(&mut rows);
        let tree = TileTree::new(frontier);
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
    /// [`DurableError::Contradicted`], or that the store fails.
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
            ledger.check_known(known)?;
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
        let missing = || DurableError::of_row(Table::Meta, HEAD, Damage::Missing);
        let bytes = rows.get(Table::Meta, HEAD)?.ok_or_else(missing)?;
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
        let tree = TileTree::load(frontier, head.height.get(), &rows)?;
        let (ledger_id, restorations) = (record.ledger_id, record.restorations);
        let ledger = Self { rows, ledger_id, base, durable: head, head, tree, restorations };
        let root = ledger.root()?;
        if root != record.root {
            let (expected, found) = (record.root.to_string(), root.to_string());
            let damage = Damage::Hash { expected, found };
            return Err(DurableError::of_row(Table::Meta, HEAD, damage));
        }
        Ok(ledger)
    }

    /// Gives the store back; what is staged is lost.
    pub fn close(self) -> S {
        self.rows.into_store()
    }

    // ---- writing: everything is staged until `commit` ----------------------------------------------------

    /// Stages a block that consensus has committed.
    ///
    /// # Errors
    /// [`DurableError::Append`], or that the ledger is poisoned; nothing is staged then.
    pub fn append(&mut self, block: &BlockFile) -> Result<LedgerBlockId, DurableError> {
        self.rows.check_alive()?;
        self.head.check_follows(self.ledger_id, &block.header)?;
        block.check().map_err(crate::chain::AppendError::from)?;
        let header = &block.header;
        let key = height_key(header.height);
        if let Some(certificate) = &block.checkpoint_certificate {
            self.rows.put(Table::Certificates, &key, certificate);
        }
        self.rows.put(Table::Blocks, &key, &block_row(block));
        self.tree.append(LogHash::of_leaf(&header.to_canonical()), &mut self.rows)?;
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
    /// [`DurableError::Contradicted`] when it is of another history, or that the store fails.
    pub fn keep_anchor(&mut self, anchor: &Anchor) -> Result<(), DurableError> {
        self.check_known(anchor.claimed_checkpoint())?;
        let height = Height::new(anchor.index().saturating_add(1));
        self.check_held(height)?;
        let bytes = anchor.to_text();
        self.rows.put(Table::Anchors, &height_key(height), bytes.as_bytes());
        Ok(())
    }

    /// Stages a note of the caller's, in place of the one before: what must be durable together with the blocks,
    /// such as how far the safety log went.
    ///
    /// # Errors
    /// The ledger is poisoned.
    pub fn set_note(&mut self, note: &[u8]) -> Result<(), DurableError> {
        self.rows.check_alive()?;
        self.rows.put(Table::Meta, NOTE, note);
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
    /// [`DurableError::Corrupt`], or that the store fails.
    pub fn abandon(&mut self) -> Result<(), DurableError> {
        self.rows.abandon();
        if self.head != self.durable {
            let size = self.durable.height.get();
            self.tree = TileTree::load(self.tree.base().clone(), size, &self.rows)?;
            self.head = self.durable;
        }
        Ok(())
    }

    // ---- reading: what is staged is seen too -------------------------------------------------------------

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
        self.check_size(size)?;
        subtrees::root(&self.history(), size)
    }

    /// The complete subtrees of the history tree, for proofs of any kind.
    pub fn history(&self) -> impl Subtrees<Error = DurableError> {
        self.tiles()
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
        let expected = self.tiles().leaf(log_index(height))?;
        let found = LogHash::of_leaf(&block.header.to_canonical());
        if found != expected {
            let (expected, found) = (expected.to_string(), found.to_string());
            return Err(DurableError::at_block(height, Damage::Hash { expected, found }));
        }
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
        self.check_size(size)?;
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
        self.check_size(new)?;
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
        self.check_known(&checkpoint)?;
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

    /// The caller's note, if one was ever set.
    ///
    /// # Errors
    /// [`DurableError::Corrupt`], or that the store fails.
    pub fn note(&self) -> Result<Option<Vec<u8>>, DurableError> {
        self.rows.get(Table::Meta, NOTE)
    }

    fn read_anchor(&self, key: &[u8]) -> Result<Anchor, DurableError> {
        let damaged = |damage| DurableError::of_row(Table::Anchors, key, damage);
        let bytes = self.rows.get(Table::Anchors, key)?.ok_or_else(|| damaged(Damage::Missing))?;
        Anchor::parse(&bytes).map_err(|cause| damaged(Damage::Form(cause.to_string())))
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
        let (size, known_root) = (known.size(), known.root());
        if size > self.size() {
            return Err(DurableError::RolledBack { known: size, found: self.size() });
        }
        let own = self.root_at(size)?;
        if own != known_root {
            return Err(DurableError::Contradicted { size, own, known: known_root });
        }
        Ok(())
    }

    fn check_size(&self, requested: u64) -> Result<(), DurableError> {
        let size = self.size();
        if requested > size {
            return Err(HistoryError::SizeBeyondTree { requested, size }.into());
        }
        Ok(())
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

/// A block as it is stored: its checkpoint certificate comes later and has a row of its own.
fn block_row(block: &BlockFile) -> Vec<u8> {
    match block.checkpoint_certificate {
        None => block.to_canonical(),
        Some(_) => BlockFile { checkpoint_certificate: None, ..block.clone() }.to_canonical(),
    }
}

fn read_block(height: Height, row: &[u8]) -> Result<BlockFile, DurableError> {
    crate::export::decode_block(height, row)
        .map_err(|cause| DurableError::at_block(height, Damage::Form(cause.to_string())))
}
