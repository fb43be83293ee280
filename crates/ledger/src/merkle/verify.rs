//! Strict proof verification, bound to index and size [RFC 9162 §2.1.3.2, §2.1.4.2].
//!
//! A proof is data from outside. Each function first compares the number of hashes with the number
//! that index and size demand, so a proof that is too long or too short is refused before one hash
//! is computed, and a proof for one size never verifies at a size that demands another shape.

use thiserror::Error;

use super::{LogHash, TreeHash};

/// Why a proof was refused. Every variant carries the values that disagreed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The proven leaf lies outside the tree.
    #[error("leaf index {index} is outside a tree of {size} leaves")]
    IndexOutOfRange {
        /// Zero-based leaf index that the proof claims.
        index: u64,
        /// Number of leaves of the tree.
        size: u64,
    },
    /// Index and size demand another number of hashes.
    #[error("the proof has {found} hashes, index and size demand {expected}")]
    PathLength {
        /// Number of hashes that the shape of the tree demands.
        expected: usize,
        /// Number of hashes in the proof.
        found: usize,
    },
    /// The recomputed root is not the trusted one.
    #[error("the proof leads to root {computed}, the trusted root is {expected}")]
    RootMismatch {
        /// The root the caller trusts.
        expected: String,
        /// The root recomputed from leaf and proof.
        computed: String,
    },
    /// Consistency is defined for 0 < old ≤ new only. Every tree extends the empty one, so a proof
    /// from size 0 would prove nothing [RFC 9162 §2.1.4.1].
    #[error("no consistency proof exists from size {old} to size {new}: 0 < old <= new must hold")]
    SizesNotOrdered {
        /// Size of the earlier tree, in leaves.
        old: u64,
        /// Size of the later tree, in leaves.
        new: u64,
    },
    /// Several leaves were proven at once and their indices do not strictly increase.
    #[error("leaf index {found} follows {previous}: proven indices must strictly increase")]
    IndicesNotIncreasing {
        /// Index at one position.
        previous: u64,
        /// Index at the next position, not larger than `previous`.
        found: u64,
    },
    /// Another number of leaves was given than the proof proves.
    #[error("{found} leaves were given for {expected} proven indices")]
    LeafCount {
        /// Number of indices in the proof.
        expected: usize,
        /// Number of leaves that the caller gave.
        found: usize,
    },
    /// A frontier was asked for from another leaf than the last one.
    #[error("leaf {index} is not the last one of {size}: only the last one gives the frontier")]
    NotLastLeaf {
        /// Zero-based index of the proven leaf.
        index: u64,
        /// Number of leaves of the tree.
        size: u64,
    },
    /// The proof proves nothing.
    #[error("the proof names no leaf")]
    NoLeaf,
}

/// Checks that the leaf with hash `leaf` stands at `index` in the history tree of `size` leaves
/// whose root is `root` [RFC 9162 §2.1.3.2].
///
/// `path` runs from the sibling of the leaf up to the child of the root.
///
/// # Errors
/// [`ProofError::IndexOutOfRange`], [`ProofError::PathLength`] or [`ProofError::RootMismatch`].
pub fn verify_inclusion(
    leaf: &LogHash,
    index: u64,
    size: u64,
    path: &[LogHash],
    root: &LogHash,
) -> Result<(), ProofError> {
    compare_roots(root, &fold_inclusion(leaf, index, size, path)?)
}

/// Checks that the history tree with `new_size` leaves and root `new_root` extends, without
/// changing a leaf, the one with `old_size` leaves and root `old_root` [RFC 9162 §2.1.4.2].
///
/// Equal sizes need equal roots and an empty proof.
///
/// # Errors
/// [`ProofError::SizesNotOrdered`] for `old_size` 0 or above `new_size`, otherwise
/// [`ProofError::PathLength`] or [`ProofError::RootMismatch`] (for the first root that differs).
pub fn verify_consistency(
    old_size: u64,
    old_root: &LogHash,
    new_size: u64,
    new_root: &LogHash,
    proof: &[LogHash],
) -> Result<(), ProofError> {
    let expected = consistency_path_length(old_size, new_size)?;
    if proof.len() != expected {
        return Err(ProofError::PathLength { expected, found: proof.len() });
    }
    if old_size == new_size {
        return compare_roots(old_root, new_root);
    }
    let (mut old_node, mut new_node) = (old_size - 1, new_size - 1);
    let skipped = old_node.trailing_ones();
    old_node >>= skipped;
    new_node >>= skipped;
    // An old tree that is one complete subtree is itself the first node; the proof leaves it out.
    let (seed, rest) = match proof.split_first() {
        Some((first, rest)) if !old_size.is_power_of_two() => (first, rest),
        _ => (old_root, proof),
    };
    let (mut from_old, mut from_new) = (*seed, *seed);
    for sibling in rest {
        if old_node & 1 == 1 || old_node == new_node {
            from_old = LogHash::of_node(sibling, &from_old);
            from_new = LogHash::of_node(sibling, &from_new);
            (old_node, new_node) = skip_promotions(old_node, new_node);
        } else {
            from_new = LogHash::of_node(&from_new, sibling);
        }
        old_node >>= 1;
        new_node >>= 1;
    }
    compare_roots(old_root, &from_old)?;
    compare_roots(new_root, &from_new)
}

/// Number of hashes in the inclusion proof of leaf `index` in a tree of `size` leaves.
///
/// # Errors
/// [`ProofError::IndexOutOfRange`] unless `index < size`.
pub fn inclusion_path_length(index: u64, size: u64) -> Result<usize, ProofError> {
    if index >= size {
        return Err(ProofError::IndexOutOfRange { index, size });
    }
    // Below the level where the ways to the leaf and to the last leaf part, every level gives one
    // sibling; above it, the way runs along the right border, where only left siblings exist.
    let inner = u64::BITS - (index ^ (size - 1)).leading_zeros();
    let border = index.checked_shr(inner).unwrap_or(0).count_ones();
    Ok((inner + border) as usize)
}

/// Number of hashes in the consistency proof from `old` to `new` leaves.
///
/// # Errors
/// [`ProofError::SizesNotOrdered`] unless `0 < old <= new`.
pub fn consistency_path_length(old: u64, new: u64) -> Result<usize, ProofError> {
    if old == 0 || old > new {
        return Err(ProofError::SizesNotOrdered { old, new });
    }
    if old == new {
        return Ok(0);
    }
    // The proof is the inclusion path of the old tree's last complete subtree, seen as one leaf of
    // the tree coarsened to that subtree's size, plus the subtree itself unless it is the old tree.
    let skipped = old.trailing_zeros();
    let path = inclusion_path_length((old - 1) >> skipped, ((new - 1) >> skipped) + 1)?;
    Ok(path + usize::from(!old.is_power_of_two()))
}

/// The root that `leaf` and `path` lead to, for either tree [RFC 9162 §2.1.3.2].
pub(crate) fn fold_inclusion<H: TreeHash>(
    leaf: &H,
    index: u64,
    size: u64,
    path: &[H],
) -> Result<H, ProofError> {
    let expected = inclusion_path_length(index, size)?;
    if path.len() != expected {
        return Err(ProofError::PathLength { expected, found: path.len() });
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if node & 1 == 1 || node == last {
            hash = H::node(sibling, &hash);
            (node, last) = skip_promotions(node, last);
        } else {
            hash = H::node(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    Ok(hash)
}

/// `Ok` when both roots are equal.
pub(crate) fn compare_roots<H: TreeHash>(expected: &H, computed: &H) -> Result<(), ProofError> {
    if expected == computed {
        return Ok(());
    }
    Err(ProofError::RootMismatch { expected: expected.to_string(), computed: computed.to_string() })
}

/// A last node without a right sibling is promoted: climb, without hashing, to the level where it
/// is a right child.
fn skip_promotions(node: u64, last: u64) -> (u64, u64) {
    if node & 1 == 1 || node == 0 {
        return (node, last);
    }
    let levels = node.trailing_zeros();
    (node >> levels, last >> levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_lengths_follow_the_shape_of_the_tree() {
        // A tree of seven leaves: 4 + 2 + 1.
        let lengths: Vec<_> = (0..7).map(|i| inclusion_path_length(i, 7)).collect();
        assert_eq!(lengths, [Ok(3), Ok(3), Ok(3), Ok(3), Ok(3), Ok(3), Ok(2)]);
        assert_eq!(inclusion_path_length(0, 1), Ok(0));
        assert_eq!(inclusion_path_length(0, u64::MAX), Ok(64));
        assert_eq!(
            inclusion_path_length(u64::MAX - 1, u64::MAX),
            Ok((u64::MAX - 1).count_ones() as usize)
        );
        assert_eq!(
            inclusion_path_length(7, 7),
            Err(ProofError::IndexOutOfRange { index: 7, size: 7 })
        );
        assert_eq!(
            inclusion_path_length(0, 0),
            Err(ProofError::IndexOutOfRange { index: 0, size: 0 })
        );
    }

    #[test]
    fn consistency_lengths_match_the_examples_of_the_rfc() {
        // RFC 6962 §2.1.3: PROOF(3, D[7]) has 4 nodes, PROOF(4, D[7]) 1, PROOF(6, D[7]) 3.
        assert_eq!(consistency_path_length(3, 7), Ok(4));
        assert_eq!(consistency_path_length(4, 7), Ok(1));
        assert_eq!(consistency_path_length(6, 7), Ok(3));
        assert_eq!(consistency_path_length(7, 7), Ok(0));
        for (old, new) in [(0, 0), (0, 7), (8, 7)] {
            assert_eq!(
                consistency_path_length(old, new),
                Err(ProofError::SizesNotOrdered { old, new })
            );
        }
    }
}
