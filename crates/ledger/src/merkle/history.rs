//! The history tree across blocks: RFC 6962, SHA-256, with every complete subtree kept.
//!
//! `levels[k][i]` is the root of the complete subtree over leaves `i·2^k .. (i+1)·2^k`. Appending
//! computes amortised one inner node; roots and proofs, for the present or any earlier size, read
//! stored nodes and compute at most one incomplete subtree, so all are O(log n). The price is
//! 64 bytes a leaf, and no more: the levels grow by chunks.

use thiserror::Error;

use super::LogHash;
use super::frontier::Frontier;
use super::subtrees::{self, Subtrees};
use nodes::Nodes;

mod nodes;
#[cfg(test)]
mod tests;

/// An append-only Merkle tree in memory [RFC 6962 §2.1].
///
/// ```
/// use ledger::merkle::{LogHash, history::HistoryTree, verify::verify_inclusion};
///
/// let mut tree = HistoryTree::new();
/// for leaf in ["a", "b", "c"] {
///     tree.append(leaf.as_bytes());
/// }
/// let path = tree.inclusion_proof(1, 3)?;
/// verify_inclusion(&LogHash::of_leaf(b"b"), 1, 3, &path, &tree.root())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct HistoryTree {
    levels: Vec<Nodes>,
}

/// Why a root or proof cannot be given.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HistoryError {
    /// The tree was never that large.
    #[error("size {requested} was asked for, the tree has {size} leaves")]
    SizeBeyondTree {
        /// Size that was asked for, in leaves.
        requested: u64,
        /// Size of the tree, in leaves.
        size: u64,
    },
    /// No such leaf at that size.
    #[error("leaf {index} was asked for at size {size}")]
    IndexBeyondSize {
        /// Zero-based leaf index.
        index: u64,
        /// Size that was asked for, in leaves.
        size: u64,
    },
    /// Consistency is defined for 0 < old ≤ new only [RFC 9162 §2.1.4.1].
    #[error("no consistency proof exists from size {old} to size {new}: 0 < old <= new must hold")]
    SizesNotOrdered {
        /// Size of the earlier tree, in leaves.
        old: u64,
        /// Size of the later tree, in leaves.
        new: u64,
    },
}

impl HistoryTree {
    /// The tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a leaf given by its bytes and returns its zero-based index.
    pub fn append(&mut self, leaf: &[u8]) -> u64 {
        self.append_hash(LogHash::of_leaf(leaf))
    }

    /// Appends a leaf given by its hash and returns its zero-based index.
    pub fn append_hash(&mut self, leaf: LogHash) -> u64 {
        let index = self.size();
        let (mut hash, mut position) = (leaf, index);
        for nodes in &mut self.levels {
            let left = nodes.last();
            nodes.push(hash);
            match left {
                Some(left) if position & 1 == 1 => hash = LogHash::of_node(&left, &hash),
                _ => return index,
            }
            position >>= 1;
        }
        self.levels.push(Nodes::of(hash));
        index
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, Nodes::len)
    }

    /// Present root [RFC 6962 §2.1]; [`LogHash::EMPTY_ROOT`] without leaves.
    #[must_use]
    pub fn root(&self) -> LogHash {
        // The tree has every complete subtree of its own size.
        subtrees::root(self, self.size()).unwrap_or(LogHash::EMPTY_ROOT)
    }

    /// Root of the tree of the first `size` leaves.
    ///
    /// # Errors
    /// [`HistoryError::SizeBeyondTree`] when there are fewer leaves.
    pub fn root_at(&self, size: u64) -> Result<LogHash, HistoryError> {
        self.check_size(size)?;
        subtrees::root(self, size)
    }

    /// What is needed to go on appending at `size` without the leaves before it.
    ///
    /// # Errors
    /// [`HistoryError::SizeBeyondTree`] when there are fewer leaves.
    pub fn frontier_at(&self, size: u64) -> Result<Frontier, HistoryError> {
        self.check_size(size)?;
        Frontier::from_nodes(size, subtrees::peaks(self, size)?)
            .map_err(|_| HistoryError::SizeBeyondTree { requested: size, size: self.size() })
    }

    /// Proof that leaf `index` is in the tree of the first `size` leaves, from its sibling up
    /// [RFC 9162 §2.1.3.1].
    ///
    /// # Errors
    /// [`HistoryError::SizeBeyondTree`] or [`HistoryError::IndexBeyondSize`].
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<LogHash>, HistoryError> {
        self.check_size(size)?;
        if index >= size {
            return Err(HistoryError::IndexBeyondSize { index, size });
        }
        subtrees::inclusion(self, index, size)
    }

    /// Proof that the tree of the first `new` leaves extends that of the first `old`
    /// [RFC 9162 §2.1.4.1].
    ///
    /// # Errors
    /// [`HistoryError::SizesNotOrdered`] or [`HistoryError::SizeBeyondTree`].
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<LogHash>, HistoryError> {
        if old == 0 || old > new {
            return Err(HistoryError::SizesNotOrdered { old, new });
        }
        self.check_size(new)?;
        subtrees::consistency(self, old, new)
    }

    fn check_size(&self, requested: u64) -> Result<(), HistoryError> {
        let size = self.size();
        if requested > size {
            return Err(HistoryError::SizeBeyondTree { requested, size });
        }
        Ok(())
    }
}

impl Subtrees for HistoryTree {
    type Error = HistoryError;

    fn subtree(&self, level: u32, index: u64) -> Result<LogHash, HistoryError> {
        self.levels.get(level as usize).and_then(|nodes| nodes.get(index)).ok_or_else(|| {
            let requested = index.saturating_add(1).checked_shl(level).unwrap_or(u64::MAX);
            HistoryError::SizeBeyondTree { requested, size: self.size() }
        })
    }
}
