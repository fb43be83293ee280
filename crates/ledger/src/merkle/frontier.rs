//! The right border of the history tree: all that is needed to go on appending.
//!
//! A node restored from an anchor does not need the old leaves. The roots of the complete subtrees
//! that make up the tree, one per set bit of its size, determine its root and every later one.

use thiserror::Error;

use super::LogHash;
use super::verify::{ProofError, inclusion_path_length};

/// Roots of the complete subtrees of a history tree, largest (leftmost) first.
///
/// Invariant: there are exactly as many nodes as set bits in the size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    nodes: Vec<LogHash>,
}

/// Most leaves of a tree that is restored: no log is ever as long, and one leaf more still has a number.
const MAX_LEAVES: u64 = 1 << 63;

/// Why a frontier could not be restored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrontierError {
    /// No log is that long.
    #[error("a tree of {size} leaves, at most {MAX_LEAVES} are restored")]
    Size {
        /// Number of leaves.
        size: u64,
    },
    /// The size demands another number of subtree roots.
    #[error("{found} subtree roots for size {size}, which has {expected} complete subtrees")]
    NodeCount {
        /// Number of leaves.
        size: u64,
        /// Number of subtrees that the size demands.
        expected: usize,
        /// Number of nodes given.
        found: usize,
    },
}

impl Frontier {
    /// Restores a frontier from stored nodes. The result is only as trustworthy as they are:
    /// compare [`Self::root`] with a certified root before use.
    ///
    /// # Errors
    /// [`FrontierError::Size`], or [`FrontierError::NodeCount`] when the number of nodes does not fit the size.
    pub fn from_nodes(size: u64, nodes: Vec<LogHash>) -> Result<Self, FrontierError> {
        if size > MAX_LEAVES {
            return Err(FrontierError::Size { size });
        }
        let expected = size.count_ones() as usize;
        if nodes.len() != expected {
            return Err(FrontierError::NodeCount { size, expected, found: nodes.len() });
        }
        Ok(Self { size, nodes })
    }

    /// Restores the frontier of a tree of `size` leaves from the inclusion proof of its *last*
    /// leaf: every sibling on that way is a left one, and the upper ones are the subtree roots.
    /// This is how an anchor gives a node its log back in O(log n).
    ///
    /// The root is not checked here: compare [`Self::root`] with the certified one.
    ///
    /// # Errors
    /// [`ProofError::IndexOutOfRange`] for size 0 or beyond 2⁶³, [`ProofError::PathLength`] when `path` is not
    /// as long as the way to the last leaf.
    pub fn from_last_leaf(leaf: LogHash, size: u64, path: &[LogHash]) -> Result<Self, ProofError> {
        let restored = size.checked_sub(1).filter(|_| size <= MAX_LEAVES);
        let index = restored.ok_or(ProofError::IndexOutOfRange { index: 0, size })?;
        let expected = inclusion_path_length(index, size)?;
        let within_last = size.trailing_zeros() as usize;
        let found = path.len();
        if found != expected {
            return Err(ProofError::PathLength { expected, found });
        }
        let (inner, outer) = path
            .split_at_checked(within_last)
            .ok_or(ProofError::PathLength { expected: within_last, found })?;
        let last = inner.iter().fold(leaf, |hash, left| LogHash::of_node(left, &hash));
        let nodes = outer.iter().rev().copied().chain([last]).collect();
        Ok(Self { size, nodes })
    }

    /// Appends a leaf given by its bytes and returns its zero-based index.
    pub fn append(&mut self, leaf: &[u8]) -> u64 {
        let index = self.size;
        let mut hash = LogHash::of_leaf(leaf);
        // Every trailing set bit of the size is a complete subtree that the new leaf completes
        // into one of twice the size.
        for _ in 0..index.trailing_ones() {
            if let Some(left) = self.nodes.pop() {
                hash = LogHash::of_node(&left, &hash);
            }
        }
        self.nodes.push(hash);
        self.size += 1;
        index
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The subtree roots, largest first.
    #[must_use]
    pub fn nodes(&self) -> &[LogHash] {
        &self.nodes
    }

    /// The complete subtree of `level` and `index`, if it is one of those kept here.
    #[must_use]
    pub fn node(&self, level: u32, index: u64) -> Option<LogHash> {
        let peak = level < u64::BITS
            && self.size >> level & 1 == 1
            && (self.size >> level).checked_sub(1) == Some(index);
        // Larger subtrees stand before it: one for each higher bit of the size.
        let before = (self.size >> level >> 1).count_ones() as usize;
        if peak { self.nodes.get(before).copied() } else { None }
    }

    /// Root of the tree [RFC 6962 §2.1].
    #[must_use]
    pub fn root(&self) -> LogHash {
        let smallest_first = self.nodes.iter().rev().copied();
        smallest_first
            .reduce(|right, left| LogHash::of_node(&left, &right))
            .unwrap_or(LogHash::EMPTY_ROOT)
    }
}
