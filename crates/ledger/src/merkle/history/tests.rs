//! History tree and strict verifiers against published vectors, the recursive definitions of
//! RFC 6962 and an independent implementation.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use proptest::prelude::*;
use sha2::Sha256;

use super::*;
use crate::merkle::frontier::FrontierError;
use crate::merkle::verify::{ProofError, verify_consistency, verify_inclusion};

/// The eight leaves of the reference tests of google/certificate-transparency.
const LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];

/// Their roots at sizes 1 to 8, from the same source.
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

const N1: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
const N23: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
const N4: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
const N45: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";
const N67: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
const N4567: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";

fn hash(hex: &str) -> LogHash {
    LogHash::from_bytes(HEXLOWER.decode(hex.as_bytes()).unwrap().try_into().unwrap())
}

fn vector_tree() -> HistoryTree {
    let mut tree = HistoryTree::new();
    for (leaf, index) in LEAVES.iter().zip(0..) {
        assert_eq!(tree.append(&HEXLOWER_PERMISSIVE.decode(leaf.as_bytes()).unwrap()), index);
    }
    tree
}

fn numbered_tree(size: u64) -> HistoryTree {
    let mut tree = HistoryTree::new();
    (0..size).for_each(|i| {
        tree.append(&i.to_le_bytes());
    });
    tree
}

/// MTH, PATH and SUBPROOF as RFC 6962 §2.1 defines them, without any stored node.
mod naive {
    use super::LogHash;

    fn split(n: usize) -> usize {
        n.next_power_of_two() / 2
    }

    pub(super) fn root(leaves: &[LogHash]) -> LogHash {
        match leaves {
            [] => LogHash::EMPTY_ROOT,
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(split(leaves.len()));
                LogHash::of_node(&root(left), &root(right))
            }
        }
    }

    pub(super) fn path(index: usize, leaves: &[LogHash]) -> Vec<LogHash> {
        if leaves.len() <= 1 {
            return Vec::new();
        }
        let k = split(leaves.len());
        let (left, right) = leaves.split_at(k);
        let (mut path, sibling) = if index < k {
            (path(index, left), root(right))
        } else {
            (path(index - k, right), root(left))
        };
        path.push(sibling);
        path
    }

    pub(super) fn consistency(old: usize, leaves: &[LogHash], known: bool) -> Vec<LogHash> {
        if old == leaves.len() {
            return if known { Vec::new() } else { vec![root(leaves)] };
        }
        let k = split(leaves.len());
        let (left, right) = leaves.split_at(k);
        let (mut proof, sibling) = if old <= k {
            (consistency(old, left, known), root(right))
        } else {
            (consistency(old - k, right, false), root(left))
        };
        proof.push(sibling);
        proof
    }
}

#[test]
fn roots_match_the_published_vectors() {
    let tree = vector_tree();
    assert_eq!(tree.root_at(0), Ok(LogHash::EMPTY_ROOT));
    for (root, size) in ROOTS.iter().zip(1..) {
        assert_eq!(tree.root_at(size), Ok(hash(root)), "size {size}");
    }
    assert_eq!(tree.root(), hash(ROOTS[7]));
}

#[test]
fn proofs_match_the_published_vectors() {
    let tree = vector_tree();
    let cases: [(u64, u64, &[&str]); 5] = [
        (0, 1, &[]),
        (0, 8, &[N1, N23, N4567]),
        (5, 8, &[N4, N67, ROOTS[3]]),
        (2, 3, &[ROOTS[1]]),
        (1, 5, &[ROOTS[0], N23, N4]),
    ];
    for (index, size, path) in cases {
        let expected: Vec<_> = path.iter().map(|h| hash(h)).collect();
        assert_eq!(tree.inclusion_proof(index, size), Ok(expected), "leaf {index} of {size}");
    }
    let cases: [(u64, u64, &[&str]); 4] =
        [(1, 1, &[]), (1, 8, &[N1, N23, N4567]), (6, 8, &[N45, N67, ROOTS[3]]), (2, 5, &[N23, N4])];
    for (old, new, proof) in cases {
        let expected: Vec<_> = proof.iter().map(|h| hash(h)).collect();
        assert_eq!(tree.consistency_proof(old, new), Ok(expected), "{old} to {new}");
    }
}

#[test]
fn every_proof_up_to_size_40_verifies_and_no_resized_one_does() {
    let tree = numbered_tree(40);
    for size in 1..=40_u64 {
        let root = tree.root_at(size).unwrap();
        for index in 0..size {
            let leaf = LogHash::of_leaf(&index.to_le_bytes());
            let path = tree.inclusion_proof(index, size).unwrap();
            assert_eq!(verify_inclusion(&leaf, index, size, &path, &root), Ok(()));
            for wrong in (0..size).filter(|wrong| *wrong != index) {
                assert!(verify_inclusion(&leaf, wrong, size, &path, &root).is_err());
            }
            let longer = [&path[..], &[root]].concat();
            let length = |expected, found| Err(ProofError::PathLength { expected, found });
            let (n, m) = (path.len(), longer.len());
            assert_eq!(verify_inclusion(&leaf, index, size, &longer, &root), length(n, m));
            if let Some((_, shorter)) = path.split_last() {
                assert_eq!(verify_inclusion(&leaf, index, size, shorter, &root), length(n, n - 1));
            }
        }
        for old in 1..=size {
            let (old_root, proof) =
                (tree.root_at(old).unwrap(), tree.consistency_proof(old, size).unwrap());
            assert_eq!(verify_consistency(old, &old_root, size, &root, &proof), Ok(()));
            let longer = [&proof[..], &[root]].concat();
            assert!(verify_consistency(old, &old_root, size, &root, &longer).is_err());
            if let Some((_, shorter)) = proof.split_last() {
                assert!(verify_consistency(old, &old_root, size, &root, shorter).is_err());
            }
        }
    }
}

#[test]
fn what_does_not_exist_is_refused_with_both_values() {
    let tree = numbered_tree(5);
    let beyond = HistoryError::SizeBeyondTree { requested: 6, size: 5 };
    assert_eq!(tree.root_at(6), Err(beyond.clone()));
    assert_eq!(tree.inclusion_proof(0, 6), Err(beyond.clone()));
    assert_eq!(tree.consistency_proof(1, 6), Err(beyond.clone()));
    assert_eq!(tree.frontier_at(6), Err(beyond));
    let outside = HistoryError::IndexBeyondSize { index: 4, size: 4 };
    assert_eq!(tree.inclusion_proof(4, 4), Err(outside));
    let unordered = |old, new| Err(HistoryError::SizesNotOrdered { old, new });
    assert_eq!(tree.consistency_proof(0, 4), unordered(0, 4));
    assert_eq!(tree.consistency_proof(4, 3), unordered(4, 3));
    let root = tree.root();
    let unordered = |old, new| Err(ProofError::SizesNotOrdered { old, new });
    assert_eq!(verify_consistency(0, &LogHash::EMPTY_ROOT, 5, &root, &[]), unordered(0, 5));
    assert_eq!(verify_consistency(6, &root, 5, &root, &[]), unordered(6, 5));
}

#[test]
fn a_rewritten_leaf_breaks_consistency() {
    let honest = numbered_tree(7);
    let mut forked = HistoryTree::new();
    for leaf in [9_u64, 1, 2, 3, 4, 5, 6] {
        forked.append(&leaf.to_le_bytes());
    }
    for old in 1..7 {
        let proof = forked.consistency_proof(old, 7).unwrap();
        let (mine, theirs) = (honest.root_at(old).unwrap(), forked.root());
        assert!(verify_consistency(old, &mine, 7, &theirs, &proof).is_err(), "fork after {old}");
    }
}

#[test]
fn a_frontier_refuses_what_does_not_fit_its_size() {
    use crate::merkle::frontier::FrontierError;
    let root = LogHash::EMPTY_ROOT;
    let refused = FrontierError::NodeCount { size: 5, expected: 2, found: 1 };
    assert_eq!(Frontier::from_nodes(5, vec![root]), Err(refused));
    let outside = ProofError::IndexOutOfRange { index: 0, size: 0 };
    assert_eq!(Frontier::from_last_leaf(root, 0, &[]), Err(outside));
    let length = ProofError::PathLength { expected: 1, found: 0 };
    assert_eq!(Frontier::from_last_leaf(root, 2, &[]), Err(length));
}

proptest! {
    #[test]
    fn tree_agrees_with_the_recursive_definition(
        leaves in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 1..70),
        a in any::<prop::sample::Index>(),
        b in any::<prop::sample::Index>(),
    ) {
        let mut tree = HistoryTree::new();
        leaves.iter().for_each(|leaf| { tree.append(leaf); });
        let hashes: Vec<_> = leaves.iter().map(|leaf| LogHash::of_leaf(leaf)).collect();
        let size = a.index(hashes.len()) + 1;
        let index = b.index(size);
        let prefix = &hashes[..size];
        let (n, i) = (size as u64, index as u64);
        prop_assert_eq!(tree.root_at(n), Ok(naive::root(prefix)));
        prop_assert_eq!(tree.inclusion_proof(i, n), Ok(naive::path(index, prefix)));
        let old = index + 1;
        prop_assert_eq!(
            tree.consistency_proof(old as u64, n),
            Ok(naive::consistency(old, prefix, true))
        );
    }

    #[test]
    fn tree_agrees_with_ct_merkle(
        leaves in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 1..70),
        at in any::<prop::sample::Index>(),
    ) {
        let (mut tree, mut oracle) = (HistoryTree::new(), MemoryBackedTree::<Sha256, Vec<u8>>::new());
        for leaf in &leaves {
            tree.append(leaf);
            oracle.push(leaf.clone());
        }
        let (size, index) = (leaves.len(), at.index(leaves.len()));
        let n = size as u64;
        let joined = |hashes: Vec<LogHash>| {
            hashes.iter().flat_map(|h| *h.as_bytes()).collect::<Vec<u8>>()
        };
        prop_assert_eq!(tree.root().as_bytes().to_vec(), oracle.root().as_bytes().to_vec());
        let path = joined(tree.inclusion_proof(index as u64, n).unwrap());
        let theirs = oracle.prove_inclusion(index);
        prop_assert_eq!(&path[..], theirs.as_bytes());
        let proof = joined(tree.consistency_proof(index as u64 + 1, n).unwrap());
        let theirs = oracle.prove_consistency(size - index - 1);
        prop_assert_eq!(&proof[..], theirs.as_bytes());
    }

    #[test]
    fn a_changed_proof_is_refused(
        size in 2_u64..200,
        at in any::<prop::sample::Index>(),
        position in any::<prop::sample::Index>(),
        bit in 0_usize..256,
    ) {
        let tree = numbered_tree(size);
        let index = at.index(size as usize) as u64;
        let leaf = LogHash::of_leaf(&index.to_le_bytes());
        let flip = |proof: &mut [LogHash]| {
            let position = position.index(proof.len());
            let mut bytes = *proof[position].as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            proof[position] = LogHash::from_bytes(bytes);
        };
        let mut path = tree.inclusion_proof(index, size).unwrap();
        flip(&mut path);
        let refused = verify_inclusion(&leaf, index, size, &path, &tree.root());
        prop_assert!(matches!(refused, Err(ProofError::RootMismatch { .. })), "{:?}", refused);
        let old = index.max(1);
        let mut proof = tree.consistency_proof(old, size).unwrap();
        flip(&mut proof);
        let old_root = tree.root_at(old).unwrap();
        let refused = verify_consistency(old, &old_root, size, &tree.root(), &proof);
        prop_assert!(matches!(refused, Err(ProofError::RootMismatch { .. })), "{:?}", refused);
    }

    #[test]
    fn a_restored_frontier_goes_on_like_the_tree(size in 1_u64..200, more in 0_u64..70) {
        let tree = numbered_tree(size + more);
        let last = LogHash::of_leaf(&(size - 1).to_le_bytes());
        let path = tree.inclusion_proof(size - 1, size).unwrap();
        let mut frontier = Frontier::from_last_leaf(last, size, &path).unwrap();
        prop_assert_eq!(Ok(frontier.clone()), tree.frontier_at(size));
        prop_assert_eq!(Ok(frontier.root()), tree.root_at(size));
        for leaf in size..size + more {
            prop_assert_eq!(frontier.append(&leaf.to_le_bytes()), leaf);
        }
        prop_assert_eq!(frontier.root(), tree.root());
        prop_assert_eq!(
            Frontier::from_nodes(frontier.size(), frontier.nodes().to_vec()), Ok(frontier)
        );
    }
}

#[test]
fn a_tree_that_no_log_can_have_is_not_restored() {
    let size = (1 << 63) + 1;
    let nodes = vec![LogHash::of_leaf(b"x"); 2];
    let refused = Frontier::from_nodes(size, nodes);
    assert_eq!(refused, Err(FrontierError::Size { size }));
    let mut longest = Frontier::from_nodes(1 << 63, vec![LogHash::of_leaf(b"x")]).unwrap();
    assert_eq!(longest.append(b"one more"), 1 << 63);
    let path = vec![LogHash::of_leaf(b"x"); 1];
    let refused = Frontier::from_last_leaf(LogHash::of_leaf(b"y"), size, &path);
    assert_eq!(refused, Err(ProofError::IndexOutOfRange { index: 0, size }));
}
