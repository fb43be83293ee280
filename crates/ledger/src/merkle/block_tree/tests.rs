//! Entry tree against a naive tree, and the forgeries that `rs_merkle`'s own verification accepts.

use proptest::prelude::*;
use rs_merkle::MerkleProof;

use super::*;
use crate::merkle::verify::ProofError;

fn entries(count: u32) -> Vec<[u8; 4]> {
    (0..count).map(u32::to_be_bytes).collect()
}

fn leaves(count: u32) -> Vec<Digest> {
    entries(count).iter().map(|entry| entry_leaf(entry)).collect()
}

fn tree(count: u32) -> BlockTree {
    BlockTree::from_entries(entries(count)).unwrap()
}

/// The top of the tree by the recursive definition of RFC 6962 §2.1, with our hashes written out.
fn naive_top(leaves: &[Digest]) -> Digest {
    if let [leaf] = leaves {
        return *leaf;
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let both = [*naive_top(left).as_bytes(), *naive_top(right).as_bytes()].concat();
    Digest::from_bytes(blake3::derive_key("prism1 2026-11-24 entry-node", &both))
}

fn naive_root(leaves: &[Digest]) -> Digest {
    let count = (leaves.len() as u32).to_le_bytes().to_vec();
    let top = naive_top(leaves).as_bytes().to_vec();
    let preimage = [count, top].concat();
    Digest::from_bytes(blake3::derive_key("prism1 2026-11-24 entries-root", &preimage))
}

#[test]
fn the_empty_root_is_the_hash_of_count_zero() {
    let hash = blake3::derive_key("prism1 2026-11-24 entries-root", &0_u32.to_le_bytes());
    assert_eq!(EMPTY_ENTRIES_ROOT, Digest::from_bytes(hash), "{hash:?}");
    assert_eq!(tree(0).root(), EMPTY_ENTRIES_ROOT);
    assert_eq!(
        tree(0).prove(0).err(),
        Some(BlockTreeError::IndexOutOfRange { index: 0, count: 0 })
    );
}

#[test]
fn roots_are_pinned() {
    // Golden values: changing one changes every block id.
    let roots = [1, 2, 3, 7].map(|count| tree(count).root().short());
    assert_eq!(roots, ["120e7d99", "46dc2c78", "b3faca9f", "1e7a53ec"]);
}

#[test]
fn every_single_proof_verifies_at_its_place_only() {
    for count in 1..=20 {
        let (tree, leaves) = (tree(count), leaves(count));
        for (index, leaf) in (0..count).zip(&leaves) {
            let proof = tree.prove(index).unwrap();
            assert_eq!(proof.verify(&tree.root(), leaf), Ok(()));
            for wrong in (0..=count).filter(|wrong| *wrong != index) {
                let moved = InclusionProof { index: wrong, ..proof.clone() };
                assert!(moved.verify(&tree.root(), leaf).is_err(), "{index} as {wrong}");
            }
            // Some wrong totals lead to the same shape; the count in the root still refuses them.
            for wrong in (0..=2 * count + 1).filter(|wrong| *wrong != count) {
                let resized = InclusionProof { count: wrong, ..proof.clone() };
                assert!(resized.verify(&tree.root(), leaf).is_err(), "{count} as {wrong}");
            }
            let mut longer = proof.clone();
            longer.siblings.push(*leaf);
            let (expected, found) = (proof.siblings.len(), longer.siblings.len());
            let refused = ProofError::PathLength { expected, found };
            assert_eq!(longer.verify(&tree.root(), leaf), Err(refused));
        }
    }
}

/// What `rs_merkle` itself says about a proof.
fn library_accepts(
    tree: &BlockTree,
    siblings: &[Digest],
    claims: &[(u32, Digest)],
    total: usize,
) -> bool {
    let siblings = siblings.iter().map(|hash| *hash.as_bytes()).collect();
    let indices: Vec<_> = claims.iter().map(|(index, _)| *index as usize).collect();
    let leaves: Vec<_> = claims.iter().map(|(_, leaf)| *leaf.as_bytes()).collect();
    let proof = MerkleProof::<EntryHasher>::new(siblings);
    proof.verify(tree.tree.root().unwrap(), &indices, &leaves, total)
}

#[test]
fn duplicate_indices_are_refused() {
    // The library folds only the first two of the nodes that claim index 0, so whatever is third
    // counts as proven: here an entry that is in no block.
    let (tree, leaves) = (tree(2), leaves(2));
    let evil = entry_leaf(b"never ordered");
    let claims = [(0, leaves[0]), (0, leaves[1]), (0, evil)];
    let siblings = vec![Digest::ZERO; 3];
    assert!(library_accepts(&tree, &siblings, &claims, 2));
    let forged = MultiProof { indices: vec![0, 0, 0], count: 2, siblings };
    let refused = ProofError::IndicesNotIncreasing { previous: 0, found: 0 };
    assert_eq!(forged.verify(&tree.root(), &[leaves[0], leaves[1], evil]), Err(refused));
}

#[test]
fn out_of_range_indices_are_refused() {
    // Leaf 0 of three is claimed to stand at index 4.
    let (tree, leaves) = (tree(3), leaves(3));
    let siblings = tree.prove(0).unwrap().siblings;
    assert!(library_accepts(&tree, &siblings, &[(4, leaves[0])], 3));
    let refused = Err(ProofError::IndexOutOfRange { index: 4, size: 3 });
    let forged = InclusionProof { index: 4, count: 3, siblings: siblings.clone() };
    assert_eq!(forged.verify(&tree.root(), &leaves[0]), refused);
    for index in [3, 4] {
        let forged = MultiProof { indices: vec![index], count: 3, siblings: siblings.clone() };
        let refused = Err(ProofError::IndexOutOfRange { index: index.into(), size: 3 });
        assert_eq!(forged.verify(&tree.root(), &leaves[..1]), refused);
    }
}

#[test]
fn wrong_totals_are_refused() {
    // Leaf 0 of four is proven in a block that is claimed to have three entries.
    let (tree, leaves) = (tree(4), leaves(4));
    let proof = tree.prove(0).unwrap();
    assert!(library_accepts(&tree, &proof.siblings, &[(0, leaves[0])], 3));
    let forged = InclusionProof { count: 3, ..proof.clone() };
    let refused = forged.verify(&tree.root(), &leaves[0]);
    assert!(matches!(refused, Err(ProofError::RootMismatch { .. })));
    let forged = MultiProof { indices: vec![0], count: 3, siblings: proof.siblings };
    let refused = forged.verify(&tree.root(), &leaves[..1]);
    assert!(matches!(refused, Err(ProofError::RootMismatch { .. })));
}

#[test]
fn an_inner_node_never_passes_for_an_entry() {
    // The two halves of a block of four, presented as a block of two entries.
    let (four, leaves) = (tree(4), leaves(4));
    let halves = [Digest::node(&leaves[0], &leaves[1]), Digest::node(&leaves[2], &leaves[3])];
    let forged = InclusionProof { index: 0, count: 2, siblings: vec![halves[1]] };
    let refused = forged.verify(&four.root(), &halves[0]);
    assert!(matches!(refused, Err(ProofError::RootMismatch { .. })));
}

#[test]
fn malformed_multi_proofs_are_refused() {
    let (tree, leaves) = (tree(5), leaves(5));
    let root = tree.root();
    let proof = tree.prove_many(&[1, 2]).unwrap();
    assert_eq!(proof.verify(&root, &leaves[1..3]), Ok(()));
    let refused = ProofError::LeafCount { expected: 2, found: 1 };
    assert_eq!(proof.verify(&root, &leaves[1..2]), Err(refused));
    let empty = MultiProof { indices: vec![], count: 5, siblings: vec![root] };
    assert_eq!(empty.verify(&root, &[]), Err(ProofError::NoLeaf));
    let unordered = MultiProof { indices: vec![2, 1], ..proof.clone() };
    let refused = ProofError::IndicesNotIncreasing { previous: 2, found: 1 };
    assert_eq!(unordered.verify(&root, &[leaves[2], leaves[1]]), Err(refused));
    let mut longer = proof.clone();
    longer.siblings.push(root);
    let refused = ProofError::PathLength { expected: 3, found: 4 };
    assert_eq!(longer.verify(&root, &leaves[1..3]), Err(refused));
    let swapped = proof.verify(&root, &[leaves[2], leaves[1]]);
    assert!(matches!(swapped, Err(ProofError::RootMismatch { .. })));
}

#[test]
fn what_cannot_be_proven_is_refused() {
    let tree = tree(5);
    assert_eq!(tree.prove_many(&[]), Err(BlockTreeError::Indices));
    assert_eq!(tree.prove_many(&[1, 1]), Err(BlockTreeError::Indices));
    assert_eq!(
        tree.prove_many(&[1, 5]),
        Err(BlockTreeError::IndexOutOfRange { index: 5, count: 5 })
    );
    let found = MAX_ENTRIES as usize + 1;
    let refused = BlockTreeError::TooManyEntries { found, limit: MAX_ENTRIES };
    assert_eq!(BlockTree::from_entries(entries(MAX_ENTRIES + 1)).err(), Some(refused));
}

proptest! {
    #[test]
    fn tree_agrees_with_the_recursive_definition(count in 1_u32..130, chosen in any::<u128>()) {
        let (tree, leaves) = (tree(count), leaves(count));
        prop_assert_eq!(tree.root(), naive_root(&leaves));
        let indices: Vec<u32> = (0..count).filter(|i| chosen >> (i % 128) & 1 == 1).collect();
        prop_assume!(!indices.is_empty());
        let chosen: Vec<_> = indices.iter().map(|i| leaves[*i as usize]).collect();
        let proof = tree.prove_many(&indices).unwrap();
        prop_assert_eq!(proof.verify(&tree.root(), &chosen), Ok(()));
        for position in 0..chosen.len() {
            let mut changed = chosen.clone();
            changed[position] = Digest::ZERO;
            prop_assert!(proof.verify(&tree.root(), &changed).is_err());
        }
        for position in 0..proof.siblings.len() {
            let mut changed = proof.clone();
            changed.siblings[position] = Digest::ZERO;
            prop_assert!(changed.verify(&tree.root(), &chosen).is_err());
        }
    }
}
