//! Names of tiles: one per tile, and which ones a tree of some size has.

use std::fmt;
use std::str::FromStr;

use super::{LEVELS, TILE_HEIGHT, TILE_WIDTH};

/// What the items of a tile are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TileKind {
    /// Hashes of the subtrees over 256^level leaves, level 0 to 7.
    Hashes {
        /// The level of tiles.
        level: u8,
    },
    /// The leaves themselves.
    Entries,
}

/// A tile of a tree whose size fits 64 bits.
///
/// Invariant: the level is below 8, the width is 1 to 256, and the last item covers only leaves
/// with 64-bit indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TilePath {
    kind: TileKind,
    index: u64,
    width: u16,
}

impl TilePath {
    /// The tile with the items `index · 256` and following, `width` of them; none if no tree has it.
    #[must_use]
    pub fn new(kind: TileKind, index: u64, width: u16) -> Option<Self> {
        let level = match kind {
            TileKind::Hashes { level } => u32::from(level),
            TileKind::Entries => 0,
        };
        let items = u64::MAX.checked_shr(TILE_HEIGHT * level)?;
        let end = index.checked_mul(TILE_WIDTH.into())?.checked_add(width.into())?;
        let exists = (1..=TILE_WIDTH).contains(&width) && end <= items;
        exists.then_some(Self { kind, index, width })
    }

    /// What the items are.
    #[must_use]
    pub fn kind(&self) -> TileKind {
        self.kind
    }

    /// Position of the tile among those of its kind.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Number of items.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Indices of the items among all items of this kind.
    pub(super) fn items(&self) -> impl Iterator<Item = u64> + use<> {
        // No overflow: the invariant bounds the end.
        let first = self.index * u64::from(TILE_WIDTH);
        first..first + u64::from(self.width)
    }

    /// Most bytes the file has: whoever fetches it need not read further.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        let item = match self.kind {
            TileKind::Hashes { .. } => 32,
            TileKind::Entries => 2 + usize::from(u16::MAX),
        };
        usize::from(self.width) * item
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes { level } => write!(f, "tile/{level}/")?,
            TileKind::Entries => write!(f, "tile/entries/")?,
        }
        // 1234067 is x001/x234/067: no folder holds more than a thousand numbers.
        let groups = (0..7).rev().map(|exponent| 1000_u64.pow(exponent));
        for unit in groups.filter(|unit| *unit > 1 && self.index >= *unit) {
            write!(f, "x{:03}/", self.index / unit % 1000)?;
        }
        write!(f, "{:03}", self.index % 1000)?;
        if self.width < TILE_WIDTH {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

/// A text that names no tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no canonical path of a tile")]
pub struct TilePathError;

impl FromStr for TilePath {
    type Err = TilePathError;

    /// Reads the form that `Display` writes, and nothing else.
    fn from_str(text: &str) -> Result<Self, TilePathError> {
        parse(text).filter(|path| path.to_string() == text).ok_or(TilePathError)
    }
}

/// Reads any form, canonical or not.
fn parse(text: &str) -> Option<TilePath> {
    let (kind, rest) = text.strip_prefix("tile/")?.split_once('/')?;
    let kind = match kind {
        "entries" => TileKind::Entries,
        level => TileKind::Hashes { level: level.parse().ok()? },
    };
    let (groups, width) = match rest.split_once(".p/") {
        Some((groups, width)) => (groups, width.parse().ok()?),
        None => (rest, TILE_WIDTH),
    };
    let index = groups.split('/').try_fold(0_u64, |index, group| {
        let group: u64 = group.strip_prefix('x').unwrap_or(group).parse().ok()?;
        index.checked_mul(1000)?.checked_add(group)
    })?;
    TilePath::new(kind, index, width)
}

/// The tiles that a tree of `size` leaves has and one of `since` has not, entries first; none
/// unless `since < size`. With `since` 0, all tiles.
pub fn new_tiles(since: u64, size: u64) -> impl Iterator<Item = TilePath> {
    let levels = (0..LEVELS as u8).map(|level| TileKind::Hashes { level });
    [TileKind::Entries].into_iter().chain(levels).flat_map(move |kind| {
        let shift = match kind {
            TileKind::Hashes { level } => TILE_HEIGHT * u32::from(level),
            TileKind::Entries => 0,
        };
        let (old, new) = (since >> shift, size >> shift);
        let full = (old >> TILE_HEIGHT..new >> TILE_HEIGHT).map(move |index| (index, TILE_WIDTH));
        // Below 256: it is the rest of a division by 256.
        let rest = (new % u64::from(TILE_WIDTH)) as u16;
        let partial = (old < new && rest > 0).then_some((new >> TILE_HEIGHT, rest));
        full.chain(partial).filter_map(move |(index, width)| TilePath::new(kind, index, width))
    })
}
