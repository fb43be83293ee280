//! The history tree in tiles: 256 hashes of one level to a row, as C2SP tlog-tiles has them.
//!
//! ```text
//! tile (L, N), entry i = the complete subtree of level 8·L and index 256·N + i
//! ```
//!
//! The right edge, one unfinished tile a level, is in memory; its root is checked when the ledger is opened. Any
//! other tile is read when it is needed and believed once its root is the entry of the tile above it, up to the
//! edge. A ledger that began at an anchor has no leaves before it: the anchor's frontier stands for them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use federation_proto::Height;

use super::error::{Damage, DurableError, Place};
use super::rows::Rows;
use crate::anchor::{Anchor, AnchorError};
use crate::checkpoint::Checkpoint;
use crate::merkle::LogHash;
use crate::merkle::frontier::Frontier;
use crate::merkle::history::{HistoryError, HistoryTree};
use crate::merkle::subtrees::{self, Subtrees};
use crate::merkle::verify::verify_inclusion;
use crate::store::{Store, Table};

/// Levels of the history tree in one tile.
const TILE_LEVELS: u32 = 8;

/// Entries of a full tile.
const WIDTH: u64 = 1 << TILE_LEVELS;

/// Tiles that are kept once read: 1 MiB.
const CACHED: usize = 64;

/// A tile is a small history tree over its entries.
type Tile = HistoryTree;

/// What of the tree is in memory.
#[derive(Debug, Clone)]
pub(super) struct StoredTree {
    size: u64,
    base: Frontier,
    /// The unfinished tile of each level; it may have no entry yet.
    edge: Vec<Arc<Tile>>,
    /// Full tiles that have been read and believed.
    cache: RefCell<BTreeMap<(u32, u64), Arc<Tile>>>,
}

impl StoredTree {
    /// A tree that begins after `base`, which is empty for one that begins at the genesis.
    pub(super) fn new(base: Frontier) -> Self {
        let size = base.size();
        let mut tree = Self { size, base, edge: Vec::new(), cache: RefCell::default() };
        for level in 0.. {
            let entries = entries(size, level);
            if entries == 0 {
                break;
            }
            // Entries before the base are nobody's business; zeros keep their places. An upper entry that
            // lies wholly before it is never asked for either.
            let mut tile = Tile::new();
            for _ in 0..entries % WIDTH {
                tile.append_hash(LogHash::from_bytes([0; 32]));
            }
            tree.edge.push(Arc::new(tile));
        }
        tree
    }

    /// The tree of `size` leaves as its rows have it.
    pub(super) fn load<S: Store>(
        base: Frontier,
        size: u64,
        rows: &Rows<S>,
    ) -> Result<Self, DurableError> {
        let mut tree = Self { size, base, edge: Vec::new(), cache: RefCell::default() };
        for level in 0.. {
            let entries = entries(size, level);
            if entries == 0 {
                break;
            }
            let width = entries % WIDTH;
            let tile = if width == 0 {
                Tile::new()
            } else {
                read_tile(rows, level, entries / WIDTH, width, size)?
            };
            tree.edge.push(Arc::new(tile));
        }
        Ok(tree)
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn base(&self) -> &Frontier {
        &self.base
    }

    /// Appends a leaf; tiles that it fills are staged.
    pub(super) fn append<S: Store>(
        &mut self,
        leaf: LogHash,
        rows: &mut Rows<S>,
    ) -> Result<(), DurableError> {
        let mut entry = leaf;
        let longest = HistoryError::SizeBeyondTree { requested: self.size, size: self.size };
        self.size = self.size.checked_add(1).ok_or(longest)?;
        for level in 0.. {
            let number = entries(self.size, level).saturating_sub(1) / WIDTH;
            if self.edge.len() == level as usize {
                self.edge.push(Arc::new(Tile::new()));
            }
            let Some(tile) = self.edge.get_mut(level as usize) else { break };
            Arc::make_mut(tile).append_hash(entry);
            if tile.size() < WIDTH {
                break;
            }
            let full = std::mem::take(tile);
            rows.put(Table::Tiles, &tile_key(level, number), &tile_bytes(&full));
            entry = self.root_of(&full, level, number)?;
            self.keep(level, number, full);
        }
        Ok(())
    }

    /// Stages the right edge.
    pub(super) fn stage_edge<S: Store>(&self, rows: &mut Rows<S>) {
        for (level, tile) in (0..).zip(&self.edge) {
            if tile.size() > 0 {
                let number = entries(self.size, level) / WIDTH;
                rows.put(Table::Tiles, &tile_key(level, number), &tile_bytes(tile));
            }
        }
    }

    /// The tree with the rows it reads from.
    pub(super) fn over<'a, S: Store>(&'a self, rows: &'a Rows<S>) -> Tiles<'a, S> {
        Tiles { tree: self, rows }
    }

    /// Root of a full tile, out of its own entries and the base.
    fn root_of(&self, tile: &Tile, level: u32, number: u64) -> Result<LogHash, DurableError> {
        let inside = |height: u32, index: u64| {
            let height = height - TILE_LEVELS * level;
            Ok(tile.subtree(height, index & ((WIDTH >> height) - 1))?)
        };
        self.climb(TILE_LEVELS * (level + 1), number, TILE_LEVELS * level, &inside)
    }

    /// A complete subtree, out of those of the base and those that `inside` has. `inside` is asked for subtrees
    /// that begin at or after the base, and for those of level `floor`.
    fn climb(
        &self,
        level: u32,
        index: u64,
        floor: u32,
        inside: &dyn Fn(u32, u64) -> Result<LogHash, DurableError>,
    ) -> Result<LogHash, DurableError> {
        let first = index << level;
        let base = self.base.size();
        if first >= base {
            return inside(level, index);
        }
        if let Some(node) = self.base.node(level, index) {
            return Ok(node);
        }
        let last = first + ((1 << level) - 1);
        if last < base {
            return Err(DurableError::NotHeld { first, last, base });
        }
        if level == floor {
            return inside(level, index);
        }
        let left = self.climb(level - 1, 2 * index, floor, inside)?;
        let right = self.climb(level - 1, 2 * index + 1, floor, inside)?;
        Ok(LogHash::of_node(&left, &right))
    }

    fn keep(&self, level: u32, number: u64, tile: Arc<Tile>) {
        let mut cache = self.cache.borrow_mut();
        if cache.len() >= CACHED {
            // Reads go along the log, so all of them are old at about the same time.
            cache.clear();
        }
        cache.insert((level, number), tile);
    }
}

/// A tile tree that can read what is not in memory.
pub(super) struct Tiles<'a, S> {
    tree: &'a StoredTree,
    rows: &'a Rows<S>,
}

impl<S: Store> Tiles<'_, S> {
    /// A tile, believed.
    fn tile(&self, level: u32, number: u64) -> Result<Arc<Tile>, DurableError> {
        if number == entries(self.tree.size, level) / WIDTH {
            return Ok(self.tree.edge.get(level as usize).cloned().unwrap_or_default());
        }
        if let Some(tile) = self.tree.cache.borrow().get(&(level, number)) {
            return Ok(Arc::clone(tile));
        }
        let tile = read_tile(self.rows, level, number, WIDTH, self.tree.size)?;
        let found = self.tree.root_of(&tile, level, number)?;
        let above = self.tile(level + 1, number / WIDTH)?;
        let expected = above.subtree(0, number % WIDTH)?;
        if found != expected {
            let (expected, found) = (expected.to_string(), found.to_string());
            let place = place(level, number, self.tree.size);
            return Err(DurableError::Corrupt { place, damage: Damage::Hash { expected, found } });
        }
        let tile = Arc::new(tile);
        self.tree.keep(level, number, Arc::clone(&tile));
        Ok(tile)
    }

    /// Root of the first `size` leaves.
    pub(super) fn root_at(&self, size: u64) -> Result<LogHash, DurableError> {
        self.check_size(size)?;
        subtrees::root(self, size)
    }

    /// Whether the tree once was what a checkpoint says.
    pub(super) fn check_known(&self, known: &Checkpoint) -> Result<(), DurableError> {
        let (size, found) = (known.size(), self.tree.size);
        if size > found {
            return Err(DurableError::RolledBack { known: size, found });
        }
        let (own, known) = (self.root_at(size)?, known.root());
        if own == known { Ok(()) } else { Err(DurableError::Contradicted { size, own, known }) }
    }

    /// Whether an anchor proves a leaf of this tree.
    pub(super) fn check_anchor(&self, anchor: &Anchor) -> Result<(), DurableError> {
        let known = anchor.claimed_checkpoint();
        self.check_known(known)?;
        let (index, size, root) = (anchor.index(), known.size(), known.root());
        verify_inclusion(&self.leaf(index)?, index, size, anchor.path(), &root)
            .map_err(|cause| AnchorError::from(cause).into())
    }

    pub(super) fn check_size(&self, requested: u64) -> Result<(), DurableError> {
        let size = self.tree.size;
        if requested > size {
            return Err(HistoryError::SizeBeyondTree { requested, size }.into());
        }
        Ok(())
    }

    /// The tree of the first `size` leaves.
    pub(super) fn cut(&self, size: u64) -> Result<StoredTree, DurableError> {
        let base = self.tree.base.clone();
        let mut cut = StoredTree { size, base, edge: Vec::new(), cache: RefCell::default() };
        for level in 0.. {
            let entries = entries(size, level);
            if entries == 0 {
                break;
            }
            let mut tile = Tile::new();
            if !entries.is_multiple_of(WIDTH) {
                let whole = self.tile(level, entries / WIDTH)?;
                for entry in 0..entries % WIDTH {
                    tile.append_hash(whole.subtree(0, entry)?);
                }
            }
            cut.edge.push(Arc::new(tile));
        }
        Ok(cut)
    }

    /// The hash of a leaf that the tree has.
    pub(super) fn leaf(&self, index: u64) -> Result<LogHash, DurableError> {
        self.subtree(0, index)
    }
}

impl<S: Store> Subtrees for Tiles<'_, S> {
    type Error = DurableError;

    fn subtree(&self, level: u32, index: u64) -> Result<LogHash, DurableError> {
        let size = self.tree.size;
        let leaves = 1_u64.checked_shl(level).filter(|_| level < u64::BITS);
        let end = leaves.and_then(|leaves| index.checked_add(1)?.checked_mul(leaves));
        if end.is_none_or(|end| end > size) {
            let requested = end.unwrap_or(u64::MAX);
            return Err(HistoryError::SizeBeyondTree { requested, size }.into());
        }
        let tile_level = level / TILE_LEVELS;
        let inside = |wanted: u32, index: u64| {
            let height = wanted - TILE_LEVELS * tile_level;
            let tile = self.tile(tile_level, index << height >> TILE_LEVELS)?;
            Ok(tile.subtree(height, index & ((WIDTH >> height) - 1))?)
        };
        self.tree.climb(level, index, TILE_LEVELS * tile_level, &inside)
    }
}

/// Entries of a level in a tree of `size` leaves.
fn entries(size: u64, level: u32) -> u64 {
    size.checked_shr(TILE_LEVELS * level).unwrap_or(0)
}

fn read_tile<S: Store>(
    rows: &Rows<S>,
    level: u32,
    number: u64,
    width: u64,
    size: u64,
) -> Result<Tile, DurableError> {
    let damaged = |damage| DurableError::Corrupt { place: place(level, number, size), damage };
    let row = rows.get(Table::Tiles, &tile_key(level, number));
    let bytes = row.map_err(|cause| match cause {
        DurableError::Corrupt { damage, .. } => damaged(damage),
        other => other,
    })?;
    let bytes = bytes.ok_or_else(|| damaged(Damage::Missing))?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || hashes.len() as u64 != width {
        let found = format!("{} bytes for {width} hashes", bytes.len());
        return Err(damaged(Damage::Form(found)));
    }
    let mut tile = Tile::new();
    for hash in hashes {
        tile.append_hash(LogHash::from_bytes(*hash));
    }
    Ok(tile)
}

fn tile_bytes(tile: &Tile) -> Vec<u8> {
    let entries = (0..tile.size()).filter_map(|index| tile.subtree(0, index).ok());
    entries.flat_map(|hash| *hash.as_bytes()).collect()
}

fn tile_key(level: u32, number: u64) -> [u8; 9] {
    let mut key = [0; 9];
    if let Some((first, rest)) = key.split_first_mut() {
        *first = u8::try_from(level).unwrap_or(u8::MAX);
        rest.copy_from_slice(&number.to_be_bytes());
    }
    key
}

/// The blocks under a tile.
fn place(level: u32, number: u64, size: u64) -> Place {
    let span = TILE_LEVELS * (level + 1);
    let first = number.checked_shl(span).unwrap_or(0).saturating_add(1);
    let last = (number + 1).checked_shl(span).unwrap_or(u64::MAX).min(size);
    Place::Tile { first: Height::new(first), last: Height::new(last) }
}
