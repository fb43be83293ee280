//! Roots and proofs of the history tree out of its complete subtrees, wherever they are kept.
//!
//! A subtree is *complete* when it covers `2^level` leaves; its root never changes again. Roots and proofs of
//! any size need O(log n) of them, so a tree in memory, one in tiles on disk and one that begins at an anchor
//! share the three functions here.

use std::iter;

use super::LogHash;

/// Where the complete subtrees of a history tree are kept.
pub trait Subtrees {
    /// Why a subtree cannot be given.
    type Error;

    /// Root of the complete subtree over the leaves from `index · 2^level` up to, not with,
    /// `(index + 1) · 2^level`.
    ///
    /// # Errors
    /// The tree does not have all of these leaves, or no longer knows them.
    fn subtree(&self, level: u32, index: u64) -> Result<LogHash, Self::Error>;
}

/// Root of the tree of the first `size` leaves [RFC 6962 §2.1].
///
/// # Errors
/// A subtree is missing.
pub fn root<S: Subtrees>(subtrees: &S, size: u64) -> Result<LogHash, S::Error> {
    range_root(subtrees, 0, size)
}

/// Roots of the complete subtrees that make up the tree of the first `size` leaves, largest first.
///
/// # Errors
/// A subtree is missing.
pub fn peaks<S: Subtrees>(subtrees: &S, size: u64) -> Result<Vec<LogHash>, S::Error> {
    let peaks = complete(size).map(|level| subtrees.subtree(level, (size >> level) - 1));
    let mut peaks = peaks.collect::<Result<Vec<_>, _>>()?;
    peaks.reverse();
    Ok(peaks)
}

/// Siblings from leaf `index` up to the root of the tree of the first `size` leaves
/// [RFC 9162 §2.1.3.1]; none unless `index < size`.
///
/// # Errors
/// A subtree is missing.
pub fn inclusion<S: Subtrees>(
    subtrees: &S,
    index: u64,
    size: u64,
) -> Result<Vec<LogHash>, S::Error> {
    if index >= size {
        return Ok(Vec::new());
    }
    path_above(subtrees, index, 0, size)
}

/// What proves that the tree of the first `new` leaves extends that of the first `old`
/// [RFC 9162 §2.1.4.1]; nothing unless `0 < old < new`.
///
/// # Errors
/// A subtree is missing.
pub fn consistency<S: Subtrees>(
    subtrees: &S,
    old: u64,
    new: u64,
) -> Result<Vec<LogHash>, S::Error> {
    if old == 0 || old >= new {
        return Ok(Vec::new());
    }
    // The old tree's last complete subtree is the deepest node both trees share. The verifier
    // knows it already when it is the whole old tree.
    let level = old.trailing_zeros();
    let shared = (old >> level) - 1;
    let mut proof = Vec::new();
    if !old.is_power_of_two() {
        proof.push(subtrees.subtree(level, shared)?);
    }
    proof.extend(path_above(subtrees, shared, level, new)?);
    Ok(proof)
}

/// Siblings on the way from the node `index` of level `level` to the root of the tree of the
/// first `size` leaves.
fn path_above<S: Subtrees>(
    subtrees: &S,
    index: u64,
    level: u32,
    size: u64,
) -> Result<Vec<LogHash>, S::Error> {
    // At each level `last` is the rightmost node, complete or not.
    let (mut node, mut last) = (index, size.saturating_sub(1) >> level);
    let mut path = Vec::with_capacity((u64::BITS - last.leading_zeros()) as usize);
    for level in level.. {
        if last == 0 {
            break;
        }
        let sibling = node ^ 1;
        if sibling < last {
            path.push(subtrees.subtree(level, sibling)?);
        } else if sibling == last {
            // The rightmost node may be incomplete, and then its root is not kept.
            path.push(range_root(subtrees, sibling << level, size)?);
        }
        node >>= 1;
        last >>= 1;
    }
    Ok(path)
}

/// Root of the subtree over leaves `start .. end`, where `start` is aligned to a complete subtree
/// at least as large as the range.
fn range_root<S: Subtrees>(subtrees: &S, start: u64, end: u64) -> Result<LogHash, S::Error> {
    let root = complete(end - start).try_fold(None, |right: Option<LogHash>, level| {
        let left = subtrees.subtree(level, (end >> level) - 1)?;
        Ok(Some(right.map_or(left, |right| LogHash::of_node(&left, &right))))
    });
    root.map(|root| root.unwrap_or(LogHash::EMPTY_ROOT))
}

/// Levels of the complete subtrees that make up `size` leaves, from the smallest.
fn complete(size: u64) -> impl Iterator<Item = u32> {
    let rest = |size: u64| (size != 0).then_some(size);
    iter::successors(rest(size), move |size| rest(size & (size - 1)))
        .map(|size| size.trailing_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::history::HistoryTree;

    #[test]
    fn what_is_not_in_the_tree_has_no_path() {
        let mut tree = HistoryTree::new();
        for leaf in 0..40_u8 {
            tree.append(&[leaf]);
        }
        for size in 0..40 {
            for index in (size..80).chain([u64::MAX - 1, u64::MAX]) {
                assert_eq!(inclusion(&tree, index, size), Ok(vec![]), "{index} of {size}");
            }
        }
    }
}
