//! Reading the files, and believing none that the root does not vouch for.
//!
//! The partial tiles at the right border hold, level by level, exactly the complete subtrees that
//! make up the tree: together they hash to its root, and are checked so once. Every other tile is
//! full, so its root is one hash of a tile one level up, which is checked the same way first.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use thiserror::Error;

use super::{LEVELS, TILE_HEIGHT, TILE_WIDTH, TileKind, TilePath};
use crate::merkle::LogHash;
use crate::merkle::subtrees::{self, Subtrees};

/// The hashes of one tile.
type Hashes = Rc<[LogHash]>;

/// The history tree of one size and root, read from tiles as they are needed.
///
/// It is a source of [`Subtrees`], so [`subtrees::root`], [`subtrees::inclusion`] and
/// [`subtrees::consistency`] give roots of earlier sizes and proofs. `F` fetches a file; it should
/// read at most [`TilePath::max_bytes`], one more to notice a longer file. Of the full tiles, the
/// last one of each level is kept: 64 KiB at most.
pub struct TileTree<F> {
    size: u64,
    fetch: F,
    /// Partial tiles at the right border, by level.
    border: BTreeMap<u32, Hashes>,
    /// The full tile that was checked last, by level, with its index.
    recent: RefCell<BTreeMap<u32, (u64, Hashes)>>,
}

/// Why a hash or a leaf cannot be had. `E` is what fetching says.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TileError<E> {
    /// The file cannot be had.
    #[error("{path}: {cause}")]
    Fetch {
        /// The file.
        path: TilePath,
        /// What fetching says.
        cause: E,
    },
    /// The file has not the length of its hashes.
    #[error("{path} has {found} bytes, expected {expected}")]
    Length {
        /// The file.
        path: TilePath,
        /// 32 bytes a hash.
        expected: usize,
        /// Length of the file in bytes.
        found: usize,
    },
    /// The tiles at the right border do not lead to the root.
    #[error(
        "the partial tiles at size {size} lead to root {computed}, the trusted root is {expected}"
    )]
    Root {
        /// Size of the tree.
        size: u64,
        /// The root the caller trusts.
        expected: LogHash,
        /// The root of the tiles.
        computed: LogHash,
    },
    /// A full tile is not the one that the tile above it speaks of.
    #[error("{path} has root {computed}, the tile above it says {expected}")]
    Tile {
        /// The file.
        path: TilePath,
        /// Hash in the tile one level up, checked already.
        expected: LogHash,
        /// Root of the hashes in the file.
        computed: LogHash,
    },
    /// The file is not a row of as many leaves, each after its length, as its name says.
    #[error("{path} is malformed at its leaf {leaf}")]
    Bundle {
        /// The file.
        path: TilePath,
        /// Number of the leaf in the file, from 0; its width when bytes are left over.
        leaf: usize,
    },
    /// A leaf is not the one in the tree.
    #[error("{path}: leaf {index} has hash {computed}, the tree has {expected}")]
    Entry {
        /// The file.
        path: TilePath,
        /// Index of the leaf in the tree.
        index: u64,
        /// Hash in the tree.
        expected: LogHash,
        /// Hash of the bytes.
        computed: LogHash,
    },
    /// The tree has no such subtree.
    #[error("subtree {index} of level {level} is not complete at size {size}")]
    BeyondTree {
        /// Level of the subtree: it covers 2^level leaves.
        level: u32,
        /// Its index in the level.
        index: u64,
        /// Size of the tree.
        size: u64,
    },
}

impl<F, E> TileTree<F>
where
    F: Fn(&TilePath) -> Result<Vec<u8>, E>,
{
    /// Opens the tree of `size` leaves with root `root`, as a verified checkpoint names them, by
    /// checking the tiles at its right border.
    ///
    /// # Errors
    /// [`TileError::Fetch`], [`TileError::Length`] or [`TileError::Root`].
    pub fn open(size: u64, root: LogHash, fetch: F) -> Result<Self, TileError<E>> {
        let mut border = BTreeMap::new();
        for level in 0..LEVELS {
            let items = size >> (TILE_HEIGHT * level);
            let width = items % u64::from(TILE_WIDTH);
            if let Some(path) = hashes_path(level, items >> TILE_HEIGHT, width as u16) {
                border.insert(level, fetch_hashes(&fetch, &path)?);
            }
        }
        let tree = Self { size, fetch, border, recent: RefCell::default() };
        // The peaks of the tree lie in the border: nothing else is read, and all of it is.
        let computed = subtrees::root(&tree, size)?;
        if computed != root {
            return Err(TileError::Root { size, expected: root, computed });
        }
        Ok(tree)
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The bytes of leaf `index`. Its whole bundle is checked against the tree.
    ///
    /// # Errors
    /// Any variant of [`TileError`] but [`TileError::Root`].
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, TileError<E>> {
        let beyond = || TileError::BeyondTree { level: 0, index, size: self.size };
        let bundle = index / u64::from(TILE_WIDTH);
        let width = self.size.saturating_sub(bundle * u64::from(TILE_WIDTH));
        let width = width.min(TILE_WIDTH.into()) as u16;
        let path = TilePath::new(TileKind::Entries, bundle, width).ok_or_else(beyond)?;
        let bytes = (self.fetch)(&path).map_err(|cause| TileError::Fetch { path, cause })?;
        let leaves =
            split(&bytes, width.into()).map_err(|leaf| TileError::Bundle { path, leaf })?;
        let mut wanted = None;
        for (leaf, position) in leaves.into_iter().zip(path.items()) {
            let (expected, computed) = (self.subtree(0, position)?, LogHash::of_leaf(leaf));
            if expected != computed {
                return Err(TileError::Entry { path, index: position, expected, computed });
            }
            if position == index {
                wanted = Some(leaf.to_vec());
            }
        }
        wanted.ok_or_else(beyond)
    }

    /// The hashes of tile `index` of a level of tiles, checked.
    fn tile(&self, level: u32, index: u64) -> Result<Hashes, TileError<E>> {
        if index == self.size >> (TILE_HEIGHT * level) >> TILE_HEIGHT
            && let Some(partial) = self.border.get(&level)
        {
            return Ok(Rc::clone(partial));
        }
        if let Some((recent, hashes)) = self.recent.borrow().get(&level)
            && *recent == index
        {
            return Ok(Rc::clone(hashes));
        }
        let above = TILE_HEIGHT * (level + 1);
        let path = hashes_path(level, index, TILE_WIDTH).ok_or(TileError::BeyondTree {
            level: above,
            index,
            size: self.size,
        })?;
        // First the hash above: only what it vouches for is read.
        let expected = self.subtree(above, index)?;
        let hashes = fetch_hashes(&self.fetch, &path)?;
        let computed = fold(&hashes);
        if computed != expected {
            return Err(TileError::Tile { path, expected, computed });
        }
        self.recent.borrow_mut().insert(level, (index, Rc::clone(&hashes)));
        Ok(hashes)
    }
}

impl<F, E> Subtrees for TileTree<F>
where
    F: Fn(&TilePath) -> Result<Vec<u8>, E>,
{
    type Error = TileError<E>;

    fn subtree(&self, level: u32, index: u64) -> Result<LogHash, TileError<E>> {
        let beyond = TileError::BeyondTree { level, index, size: self.size };
        if self.size.checked_shr(level).is_none_or(|complete| index >= complete) {
            return Err(beyond);
        }
        // Within its tile, the subtree covers 2^height hashes, 1 to 128.
        let (tiles, height) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
        let first = index << height;
        let hashes = self.tile(tiles, first >> TILE_HEIGHT)?;
        let start = (first % u64::from(TILE_WIDTH)) as usize;
        hashes.get(start..start + (1 << height)).map(fold).ok_or(beyond)
    }
}

impl<F> fmt::Debug for TileTree<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TileTree({} leaves)", self.size)
    }
}

fn hashes_path(level: u32, index: u64, width: u16) -> Option<TilePath> {
    TilePath::new(TileKind::Hashes { level: u8::try_from(level).ok()? }, index, width)
}

fn fetch_hashes<E>(
    fetch: &impl Fn(&TilePath) -> Result<Vec<u8>, E>,
    path: &TilePath,
) -> Result<Hashes, TileError<E>> {
    let path = *path;
    let bytes = fetch(&path).map_err(|cause| TileError::Fetch { path, cause })?;
    let (expected, found) = (path.max_bytes(), bytes.len());
    if found != expected {
        return Err(TileError::Length { path, expected, found });
    }
    let (hashes, _) = bytes.as_chunks::<32>();
    Ok(hashes.iter().copied().map(LogHash::from_bytes).collect())
}

/// Root of the complete subtree over a power of two of hashes.
fn fold(hashes: &[LogHash]) -> LogHash {
    match hashes {
        [] => LogHash::EMPTY_ROOT,
        [hash] => *hash,
        _ => {
            let (left, right) = hashes.split_at(hashes.len() / 2);
            LogHash::of_node(&fold(left), &fold(right))
        }
    }
}

/// The leaves of a bundle, or the number of the one at which it is malformed.
fn split(mut bytes: &[u8], count: usize) -> Result<Vec<&[u8]>, usize> {
    let mut leaves = Vec::with_capacity(count);
    for number in 0..count {
        let (length, rest) = bytes.split_first_chunk::<2>().ok_or(number)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (leaf, rest) = rest.split_at_checked(length).ok_or(number)?;
        leaves.push(leaf);
        bytes = rest;
    }
    if bytes.is_empty() { Ok(leaves) } else { Err(count) }
}
