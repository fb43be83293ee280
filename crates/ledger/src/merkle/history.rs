//! The history tree across blocks: RFC 6962, SHA-256, with every complete subtree kept.
//!
//! `levels[k][i]` is the root of the complete subtree over leaves `i·2^k .. (i+1)·2^k`. Appending
//! computes amortised one inner node; roots and proofs, for the present or any earlier size, read
//! stored nodes and compute at most one incomplete subtree, so all are O(log n). The price is
//! 64 bytes a leaf.

use thiserror::Error;

use super::LogHash;
use super::frontier::{Frontier, fold_peaks};

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
    levels: Vec<Vec<LogHash>>,
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
        let index = self.size();
        let mut hash = LogHash::of_leaf(leaf);
        let mut position = index;
        for level in &mut self.levels {
            let left = level.last().copied();
            level.push(hash);
            match left {
                Some(left) if position & 1 == 1 => hash = LogHash::of_node(&left, &hash),
                _ => return index,
            }
            position >>= 1;
        }
        self.levels.push(vec![hash]);
        index
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// Present root [RFC 6962 §2.1]; [`LogHash::EMPTY_ROOT`] without leaves.
    #[must_use]
    pub fn root(&self) -> LogHash {
        self.peaks_root(0, self.size())
    }

    /// Root of the tree of the first `size` leaves.
    ///
    /// # Errors
    /// [`HistoryError::SizeBeyondTree`] when there are fewer leaves.
    pub fn root_at(&self, size: u64) -> Result<LogHash, HistoryError> {
        self.check_size(size)?;
        Ok(self.peaks_root(0, size))
    }

    /// What is needed to go on appending at `size` without the leaves before it.
    ///
    /// # Errors
    /// [`HistoryError::SizeBeyondTree`] when there are fewer leaves.
    pub fn frontier_at(&self, size: u64) -> Result<Frontier, HistoryError> {
        self.check_size(size)?;
        let mut nodes: Vec<_> = self.peaks(0, size).collect();
        nodes.reverse();
        Frontier::from_nodes(size, nodes)
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
        Ok(self.path_above(index, 0, size))
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
        if old == new {
            return Ok(Vec::new());
        }
        // The old tree's last complete subtree is the deepest node both trees share. The verifier
        // knows it already when it is the whole old tree.
        let height = old.trailing_zeros();
        let shared = (old >> height) - 1;
        let mut proof = Vec::new();
        if !old.is_power_of_two() {
            proof.extend(self.node(height, shared));
        }
        proof.extend(self.path_above(shared, height, new));
        Ok(proof)
    }

    fn check_size(&self, requested: u64) -> Result<(), HistoryError> {
        let size = self.size();
        if requested > size {
            return Err(HistoryError::SizeBeyondTree { requested, size });
        }
        Ok(())
    }

    /// Siblings on the way from the node `index` of level `height` to the root of the tree of the
    /// first `size` leaves.
    fn path_above(&self, index: u64, height: u32, size: u64) -> Vec<LogHash> {
        let mut path = Vec::new();
        let (mut node, mut level) = (index, height);
        // At each level `last` is the rightmost node, complete or not.
        let mut last = (size - 1) >> level;
        while last > 0 {
            let sibling = node ^ 1;
            if sibling < last {
                path.extend(self.node(level, sibling));
            } else if sibling == last {
                // The rightmost node may be incomplete, and then its root is not stored.
                path.push(self.peaks_root(sibling << level, size));
            }
            node >>= 1;
            last >>= 1;
            level += 1;
        }
        path
    }

    /// Root of the subtree over leaves `start .. end`, where `start` is aligned to a complete
    /// subtree at least as large as the range.
    fn peaks_root(&self, start: u64, end: u64) -> LogHash {
        fold_peaks(self.peaks(start, end))
    }

    /// Roots of the complete subtrees that cover leaves `start .. end`, smallest (rightmost) first.
    fn peaks(&self, start: u64, end: u64) -> impl Iterator<Item = LogHash> {
        let size = end - start;
        (0..u64::BITS).filter(move |height| size >> height & 1 == 1).filter_map(move |height| {
            let right = end >> height;
            self.node(height, right - 1)
        })
    }

    fn node(&self, height: u32, index: u64) -> Option<LogHash> {
        self.levels.get(height as usize)?.get(usize::try_from(index).ok()?).copied()
    }
}
