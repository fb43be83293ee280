//! Making the files.

use thiserror::Error;

use super::{CHECKPOINT, TILE_HEIGHT, TileKind, TilePath, new_tiles};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::merkle::LogHash;
use crate::merkle::subtrees::{self, Subtrees};
use crate::note::Note;

/// Why a tree cannot be published. `E` is what its source says.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PublishError<E> {
    /// A hash or a leaf cannot be had.
    #[error("{0}")]
    Source(E),
    /// The note holds no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The note speaks of another tree.
    #[error("the checkpoint of size {size} has root {found}, the tree has {expected}")]
    Root {
        /// Size in the checkpoint.
        size: u64,
        /// Root of the tree at that size.
        expected: LogHash,
        /// Root in the checkpoint.
        found: LogHash,
    },
    /// A leaf is longer than its length can say.
    #[error("leaf {index} has {length} bytes, the limit is {}", u16::MAX)]
    EntryTooLong {
        /// Index of the leaf.
        index: u64,
        /// Its length in bytes.
        length: usize,
    },
    /// A leaf is not the one in the tree.
    #[error("leaf {index} has hash {found}, the tree has {expected}")]
    Entry {
        /// Index of the leaf.
        index: u64,
        /// Hash in the tree.
        expected: LogHash,
        /// Hash of the bytes.
        found: LogHash,
    },
}

/// A file, as path and bytes, or why it cannot be made.
pub type FileResult<E> = Result<(String, Vec<u8>), PublishError<E>>;

/// The files, as path and bytes, that publish the checkpoint in `note` where those of size `since`
/// are published already; with `since` 0, all of them. `entry` gives the bytes of a leaf.
///
/// The checkpoint comes last: a reader who sees it finds every tile it needs. Tiles are made one
/// by one as the iterator is driven, so a large log never lies in memory as a whole.
///
/// # Errors
/// [`PublishError::Checkpoint`] or [`PublishError::Root`] at once, the others in place of a file.
pub fn publish<'a, S, F>(
    tree: &'a S,
    entry: F,
    since: u64,
    note: &Note,
) -> Result<impl Iterator<Item = FileResult<S::Error>> + use<'a, S, F>, PublishError<S::Error>>
where
    S: Subtrees,
    F: Fn(u64) -> Result<Vec<u8>, S::Error>,
{
    let checkpoint = Checkpoint::parse(note.text())?;
    let (size, found) = (checkpoint.size(), checkpoint.root());
    let expected = subtrees::root(tree, size).map_err(PublishError::Source)?;
    if expected != found {
        return Err(PublishError::Root { size, expected, found });
    }
    let tiles = new_tiles(since, size).map(move |path| {
        let bytes = match path.kind() {
            TileKind::Hashes { level } => hashes(tree, level, &path)?,
            TileKind::Entries => entries(tree, &entry, &path)?,
        };
        Ok((path.to_string(), bytes))
    });
    Ok(tiles.chain([Ok((CHECKPOINT.to_owned(), note.to_text().into_bytes()))]))
}

fn hashes<S: Subtrees>(
    tree: &S,
    level: u8,
    path: &TilePath,
) -> Result<Vec<u8>, PublishError<S::Error>> {
    let mut bytes = Vec::with_capacity(path.max_bytes());
    for item in path.items() {
        let hash = tree.subtree(TILE_HEIGHT * u32::from(level), item);
        bytes.extend_from_slice(hash.map_err(PublishError::Source)?.as_bytes());
    }
    Ok(bytes)
}

fn entries<S: Subtrees>(
    tree: &S,
    entry: impl Fn(u64) -> Result<Vec<u8>, S::Error>,
    path: &TilePath,
) -> Result<Vec<u8>, PublishError<S::Error>> {
    let mut bytes = Vec::new();
    for index in path.items() {
        let leaf = entry(index).map_err(PublishError::Source)?;
        let length = leaf.len();
        let prefix =
            u16::try_from(length).map_err(|_| PublishError::EntryTooLong { index, length })?;
        let expected = tree.subtree(0, index).map_err(PublishError::Source)?;
        let found = LogHash::of_leaf(&leaf);
        if found != expected {
            return Err(PublishError::Entry { index, expected, found });
        }
        bytes.extend_from_slice(&prefix.to_be_bytes());
        bytes.extend_from_slice(&leaf);
    }
    Ok(bytes)
}
