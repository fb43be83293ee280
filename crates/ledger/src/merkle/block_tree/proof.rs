//! Strict proofs of entries in a block, bound to index, count and number of siblings.

use federation_proto::Digest;
use serde::{Deserialize, Serialize};

use super::bind_count;
use crate::merkle::TreeHash;
use crate::merkle::verify::{ProofError, compare_roots, fold_inclusion};

/// Proof that one entry stands at `index` among the `count` entries of a block.
///
/// A value from outside: nothing is known about it before [`InclusionProof::verify`] accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InclusionProof {
    /// Zero-based index of the entry.
    pub index: u32,
    /// Number of entries of the block, which the header states too.
    pub count: u32,
    /// Siblings from the leaf's up.
    pub siblings: Vec<Digest>,
}

/// Proof that several entries stand at `indices` among the `count` entries of a block.
///
/// A value from outside: nothing is known about it before [`MultiProof::verify`] accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultiProof {
    /// Zero-based indices, strictly increasing.
    pub indices: Vec<u32>,
    /// Number of entries of the block, which the header states too.
    pub count: u32,
    /// Siblings that the proven entries do not determine: level by level from the leaves, each
    /// level from left to right.
    pub siblings: Vec<Digest>,
}

impl InclusionProof {
    /// Checks that the entry with leaf hash `leaf` stands at [`Self::index`] in the block whose
    /// header carries `root`.
    ///
    /// # Errors
    /// [`ProofError::IndexOutOfRange`], [`ProofError::PathLength`] or [`ProofError::RootMismatch`].
    pub fn verify(&self, root: &Digest, leaf: &Digest) -> Result<(), ProofError> {
        let top = fold_inclusion(leaf, self.index.into(), self.count.into(), &self.siblings)?;
        compare_roots(root, &bind_count(self.count, &top))
    }
}

impl MultiProof {
    /// Checks that the entries with leaf hashes `leaves` stand at [`Self::indices`], in this
    /// order, in the block whose header carries `root`.
    ///
    /// # Errors
    /// Any variant of [`ProofError`] that concerns inclusion.
    pub fn verify(&self, root: &Digest, leaves: &[Digest]) -> Result<(), ProofError> {
        self.check_shape(leaves.len())?;
        let mut siblings = self.siblings.iter();
        let mut known: Vec<_> = self.indices.iter().copied().zip(leaves.iter().copied()).collect();
        for width in level_widths(self.count) {
            known = fold_level(&known, width, || siblings.next().copied())?;
        }
        let top = known.first().ok_or(ProofError::NoLeaf)?.1;
        compare_roots(root, &bind_count(self.count, &top))
    }

    fn check_shape(&self, leaves: usize) -> Result<(), ProofError> {
        let last = *self.indices.last().ok_or(ProofError::NoLeaf)?;
        if leaves != self.indices.len() {
            return Err(ProofError::LeafCount { expected: self.indices.len(), found: leaves });
        }
        if let Some(pair) = self.indices.windows(2).find(|pair| pair[0] >= pair[1]) {
            let (previous, found) = (pair[0].into(), pair[1].into());
            return Err(ProofError::IndicesNotIncreasing { previous, found });
        }
        if last >= self.count {
            return Err(ProofError::IndexOutOfRange {
                index: last.into(),
                size: self.count.into(),
            });
        }
        let (expected, found) = (self.sibling_count(), self.siblings.len());
        if expected != found {
            return Err(ProofError::PathLength { expected, found });
        }
        Ok(())
    }

    /// Number of siblings that indices and count demand.
    fn sibling_count(&self) -> usize {
        let mut known = self.indices.clone();
        let mut missing = 0;
        for width in level_widths(self.count) {
            missing += known
                .iter()
                .map(|index| index ^ 1)
                .filter(|sibling| *sibling < width && known.binary_search(sibling).is_err())
                .count();
            known.iter_mut().for_each(|index| *index >>= 1);
            known.dedup();
        }
        missing
    }
}

/// Numbers of nodes of the levels below the top, from the leaves up.
fn level_widths(count: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(count), |width| Some(width.div_ceil(2)))
        .take_while(|width| *width > 1)
}

/// The parents of the known nodes of one level, taking unknown siblings from the proof.
fn fold_level(
    known: &[(u32, Digest)],
    width: u32,
    mut sibling: impl FnMut() -> Option<Digest>,
) -> Result<Vec<(u32, Digest)>, ProofError> {
    let mut parents = Vec::with_capacity(known.len());
    let mut nodes = known.iter().peekable();
    while let Some((index, hash)) = nodes.next() {
        // `check_shape` has counted the siblings, so the proof cannot run out here.
        let mut next = || sibling().ok_or(ProofError::PathLength { expected: 1, found: 0 });
        let parent = if index & 1 == 1 {
            Digest::node(&next()?, hash)
        } else if let Some((_, right)) = nodes.next_if(|(right, _)| *right == index ^ 1) {
            Digest::node(hash, right)
        } else if index ^ 1 < width {
            Digest::node(hash, &next()?)
        } else {
            *hash
        };
        parents.push((index >> 1, parent));
    }
    Ok(parents)
}
