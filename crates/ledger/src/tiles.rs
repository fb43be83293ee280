//! The history tree as static files (<https://c2sp.org/tlog-tiles>).
//!
//! ```text
//! checkpoint                 the signed note
//! tile/<L>/<N>[.p/<W>]       up to 256 hashes of level 8·L, side by side, 32 bytes each
//! tile/entries/<N>[.p/<W>]   up to 256 leaves, each after its length (two bytes, big-endian)
//! ```
//!
//! Any proof for any size is computed from these files, so whoever can copy a folder can run the
//! log, and whoever can read it can audit it. A tile of 256 never changes again; the partial ones
//! (`.p/<W>`) at the right border belong to one size. [`publish`] makes the files, [`TileTree`]
//! reads them and believes nothing that the root of a checkpoint does not vouch for. A leaf is the
//! canonical bytes of a block header.
//!
//! ```
//! # use federation_proto::keys::{LogCheckpoint, SecretKey};
//! # use ledger::merkle::{LogHash, history::HistoryTree, subtrees, verify::verify_inclusion};
//! # use ledger::{Checkpoint, Note, NoteSigner, TileTree, tiles};
//! # use std::collections::BTreeMap;
//! # let mut tree = HistoryTree::new();
//! # for leaf in ["one", "two", "three"] { tree.append(leaf.as_bytes()); }
//! # let text = Checkpoint::new("example.org/log", tree.size(), tree.root())?.to_text();
//! # let signer = NoteSigner::new("example.org/log", SecretKey::<LogCheckpoint>::synthetic("doc", "a"))?;
//! # let note = Note::new(text.clone(), vec![signer.sign(&text)?])?;
//! let leaves = [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()];
//! let files = tiles::publish(&tree, |index| Ok(leaves[index as usize].clone()), 0, &note)?;
//! let files = files.collect::<Result<BTreeMap<_, _>, _>>()?;
//! assert!(files.keys().eq(["checkpoint", "tile/0/000.p/3", "tile/entries/000.p/3"]));
//!
//! // Elsewhere, with a checkpoint that a quorum signed.
//! let fetch = |path: &tiles::TilePath| files.get(&path.to_string()).cloned().ok_or("absent");
//! let read = TileTree::open(3, tree.root(), fetch)?;
//! let (leaf, path) = (read.entry(1)?, subtrees::inclusion(&read, 1, 3)?);
//! verify_inclusion(&LogHash::of_leaf(&leaf), 1, 3, &path, &tree.root())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod path;
mod publish;
mod reader;

#[cfg(test)]
mod tests;

pub use path::{TileKind, TilePath, TilePathError, new_tiles};
pub use publish::{FileResult, PublishError, publish};
pub use reader::{TileError, TileTree};

/// Name of the file with the checkpoint note.
pub const CHECKPOINT: &str = "checkpoint";

/// Most hashes in a tile, and most leaves in a bundle.
pub const TILE_WIDTH: u16 = 256;

/// log2 of [`TILE_WIDTH`]: how many levels of the tree one level of tiles spans.
const TILE_HEIGHT: u32 = 8;

/// Levels of tiles that 64-bit sizes need.
const LEVELS: u32 = u64::BITS / TILE_HEIGHT;
