//! The entry tree of one block: BLAKE3, built by `rs_merkle`, verified by us.
//!
//! `rs_merkle` only builds the tree and finds siblings. Its own multi-proof verification accepts
//! duplicate and out-of-range indices and binds no size (the tests show each forgery), so a proof
//! leaves this module as a plain list of siblings that [`InclusionProof`] and [`MultiProof`] check
//! strictly.
//!
//! The root of the block binds the number of entries: it is the hash of the count and the top of
//! the tree, so a proof made for another count fails whatever its shape.

mod proof;

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use federation_proto::{Digest, HashDomain, limits};
use rs_merkle::{Hasher, MerkleTree};
use thiserror::Error;

pub use proof::{InclusionProof, MultiProof};

use super::TreeHash;

/// Most entries in one block.
pub const MAX_ENTRIES: u32 = limits::BATCH_ITEMS as u32;

/// Root of a block without entries: the hash of the count 0 and no tree. No block has it, since an
/// empty batch makes none.
pub const EMPTY_ENTRIES_ROOT: Digest = Digest::from_bytes([
    0xb4, 0xfa, 0x5a, 0xef, 0x62, 0x07, 0x1d, 0xde, 0x0e, 0xbd, 0xfe, 0xf1, 0x4a, 0x75, 0x04, 0xd5,
    0x88, 0xef, 0x08, 0x1e, 0x9b, 0x5d, 0x7d, 0x4e, 0xab, 0x9a, 0x61, 0x5f, 0x84, 0x30, 0xbb, 0xb9,
]);

/// BLAKE3 `derive_key` context of inner nodes. Leaves use [`HashDomain::EntryLeaf`].
const NODE_CONTEXT: &str = "prism1 2026-11-24 entry-node";

/// Where every inner node begins: with the context hashed.
static NODE_BEGUN: LazyLock<blake3::Hasher> =
    LazyLock::new(|| blake3::Hasher::new_derive_key(NODE_CONTEXT));

/// BLAKE3 `derive_key` context of the root, over the count and the top of the tree.
const ROOT_CONTEXT: &str = "prism1 2026-11-24 entries-root";

/// The Merkle tree over the entries of one block.
pub struct BlockTree {
    tree: MerkleTree<EntryHasher>,
    count: u32,
}

/// Why a tree cannot be built or a proof cannot be given.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BlockTreeError {
    /// More than [`MAX_ENTRIES`] entries.
    #[error("a block has at most {limit} entries, found {found}")]
    TooManyEntries {
        /// Number of entries.
        found: usize,
        /// The limit.
        limit: u32,
    },
    /// No such entry.
    #[error("entry {index} was asked for in a block of {count}")]
    IndexOutOfRange {
        /// Zero-based entry index.
        index: u32,
        /// Number of entries.
        count: u32,
    },
    /// The indices to prove are not strictly increasing, or there are none.
    #[error("the entry indices to prove must be strictly increasing and at least one")]
    Indices,
}

impl BlockTree {
    /// Builds the tree over the canonical bytes of the entries, in their order.
    ///
    /// # Errors
    /// [`BlockTreeError::TooManyEntries`].
    pub fn from_entries<E: AsRef<[u8]>>(
        entries: impl IntoIterator<Item = E>,
    ) -> Result<Self, BlockTreeError> {
        let leaves: Vec<[u8; 32]> =
            entries.into_iter().map(|entry| EntryHasher::hash(entry.as_ref())).collect();
        let found = leaves.len();
        let count = u32::try_from(found)
            .ok()
            .filter(|count| *count <= MAX_ENTRIES)
            .ok_or(BlockTreeError::TooManyEntries { found, limit: MAX_ENTRIES })?;
        Ok(Self { tree: MerkleTree::from_leaves(&leaves), count })
    }

    /// Number of entries.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The root that the block header carries, bound to the count.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.tree
            .root()
            .map_or(EMPTY_ENTRIES_ROOT, |top| bind_count(self.count, &Digest::from_bytes(top)))
    }

    /// Proof that entry `index` is in the block.
    ///
    /// # Errors
    /// [`BlockTreeError::IndexOutOfRange`].
    pub fn prove(&self, index: u32) -> Result<InclusionProof, BlockTreeError> {
        let siblings = self.siblings(&[index])?;
        Ok(InclusionProof { index, count: self.count, siblings })
    }

    /// One proof for several entries, smaller than their single proofs.
    ///
    /// # Errors
    /// [`BlockTreeError::Indices`] unless the indices strictly increase and there is at least one,
    /// [`BlockTreeError::IndexOutOfRange`].
    pub fn prove_many(&self, indices: &[u32]) -> Result<MultiProof, BlockTreeError> {
        if indices.is_empty() || !indices.is_sorted_by(|a, b| a < b) {
            return Err(BlockTreeError::Indices);
        }
        let siblings = self.siblings(indices)?;
        Ok(MultiProof { indices: indices.to_vec(), count: self.count, siblings })
    }

    fn siblings(&self, indices: &[u32]) -> Result<Vec<Digest>, BlockTreeError> {
        let count = self.count;
        if let Some(&index) = indices.iter().find(|index| **index >= count) {
            return Err(BlockTreeError::IndexOutOfRange { index, count });
        }
        let indices: Vec<usize> = indices.iter().map(|index| *index as usize).collect();
        let proof = self.tree.proof(&indices);
        Ok(proof.proof_hashes().iter().copied().map(Digest::from_bytes).collect())
    }
}

/// Hash of an entry as a leaf of its block's tree.
#[must_use]
pub fn entry_leaf(entry: &[u8]) -> Digest {
    Digest::of(HashDomain::EntryLeaf, entry)
}

/// The root of a block with `count` entries whose tree has top `top`.
fn bind_count(count: u32, top: &Digest) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key(ROOT_CONTEXT);
    hasher.update(&count.to_le_bytes()).update(top.as_bytes());
    Digest::from_bytes(*hasher.finalize().as_bytes())
}

impl TreeHash for Digest {
    fn node(left: &Self, right: &Self) -> Self {
        let mut hasher = NODE_BEGUN.clone();
        hasher.update(left.as_bytes()).update(right.as_bytes());
        Self::from_bytes(*hasher.finalize().as_bytes())
    }
}

/// What `rs_merkle` hashes with. Its default combines nodes with the leaf function, which lets an
/// inner node pass for a leaf; both functions are ours here.
#[derive(Clone)]
struct EntryHasher;

impl Hasher for EntryHasher {
    type Hash = [u8; 32];

    fn hash(entry: &[u8]) -> [u8; 32] {
        *entry_leaf(entry).as_bytes()
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        let left = Digest::from_bytes(*left);
        let node = right.map_or(left, |right| Digest::node(&left, &Digest::from_bytes(*right)));
        *node.as_bytes()
    }
}
