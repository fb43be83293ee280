//! The same tree over the same leaves: ours, ct-merkle's and rs_merkle's.
//!
//! All three hash with the SHA-256 of one crate. The peers keep something else besides: ct-merkle the leaves,
//! rs_merkle an undo log; a leaf of ct-merkle is therefore only its number here.

use ct_merkle::HashableLeaf;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ledger::merkle::LogHash;
use ledger::merkle::history::HistoryTree;
use rs_merkle::{Hasher, MerkleTree};
use sha2::digest::Update;
use sha2::{Digest as _, Sha256};

/// The tree of ct-merkle over leaves of `N` bytes.
pub(super) type CtTree<const N: usize> = MemoryBackedTree<Sha256, Numbered<N>>;
/// The tree of rs_merkle.
pub(super) type RsTree = MerkleTree<Rfc6962>;

/// The bytes of a leaf: its number, then zeros.
pub(super) fn leaf<const N: usize>(number: u64) -> [u8; N] {
    let mut leaf = [0; N];
    leaf[..8].copy_from_slice(&number.to_le_bytes());
    leaf
}

/// A leaf of `N` bytes that is made when it is hashed.
pub(super) struct Numbered<const N: usize>(pub(super) u64);

impl<const N: usize> HashableLeaf for Numbered<N> {
    fn hash<H: Update>(&self, hasher: &mut H) {
        hasher.update(&leaf::<N>(self.0));
    }
}

/// What rs_merkle hashes with: its own hasher gives leaves and nodes no prefix.
#[derive(Clone)]
pub(super) struct Rfc6962;

impl Hasher for Rfc6962 {
    type Hash = [u8; 32];

    fn hash(leaf: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update([0x00]).chain_update(leaf).finalize().into()
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        let Some(right) = right else { return *left };
        Sha256::new().chain_update([0x01]).chain_update(left).chain_update(right).finalize().into()
    }
}

/// Our tree of `size` leaves of `N` bytes.
pub(super) fn ours<const N: usize>(size: u64) -> HistoryTree {
    let mut tree = HistoryTree::new();
    for number in 0..size {
        tree.append(&leaf::<N>(number));
    }
    tree
}

/// The same tree of ct-merkle.
pub(super) fn ct<const N: usize>(size: u64) -> CtTree<N> {
    let mut tree = CtTree::new();
    for number in 0..size {
        tree.push(Numbered(number));
    }
    tree
}

/// The same tree of rs_merkle.
pub(super) fn rs<const N: usize>(size: u64) -> RsTree {
    let leaves: Vec<_> = (0..size).map(|number| Rfc6962::hash(&leaf::<N>(number))).collect();
    RsTree::from_leaves(&leaves)
}

/// The root of ct-merkle's tree in our form.
pub(super) fn ct_root<const N: usize>(tree: &CtTree<N>) -> LogHash {
    LogHash::from_bytes((*tree.root().as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_have_one_root() {
        for size in [1, 2, 7, 40] {
            let root = ours::<32>(size).root();
            assert_eq!(ct_root(&ct::<32>(size)), root);
            assert_eq!(rs::<32>(size).root().map(LogHash::from_bytes), Some(root));
        }
    }
}
