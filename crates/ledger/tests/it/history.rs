//! The tree in tiles is the tree in memory, wherever it begins.

use federation_proto::Height;
use federation_proto::codec::Canonical as _;
use ledger::durable::{DurableError, DurableLedger};
use ledger::merkle::LogHash;
use ledger::merkle::subtrees::Subtrees as _;
use ledger::merkle::verify::{verify_consistency, verify_inclusion};
use ledger::store::memory::MemoryStore;
use proptest::prelude::*;

use crate::fixture::{ORIGIN, anchor, append, chain, keys, ledger_id};

/// A ledger that begins at the anchor of block `base` and goes on to `size`.
fn restarted(chain: &ledger::Ledger, base: u64, size: u64) -> DurableLedger<MemoryStore> {
    let header = chain.block(Height::new(base)).unwrap().header;
    let anchor = anchor(chain, base);
    let frontier = anchor.frontier(&header.to_canonical(), ORIGIN, &keys(), 3).unwrap();
    let mut ledger = DurableLedger::create_at(MemoryStore::new(), &header, frontier).unwrap();
    append(&mut ledger, chain, base, size, 37);
    DurableLedger::open(ledger.close(), ledger_id(), Some(anchor.claimed_checkpoint())).unwrap()
}

#[test]
fn a_node_goes_on_from_an_anchor_without_what_was_before() {
    let chain = chain(1100);
    for base in [1, 2, 100, 255, 256, 257, 511, 512, 600] {
        let mut ledger = restarted(&chain, base, 1100);
        assert_eq!(ledger.root(), Ok(chain.history().root()), "{base}");
        assert_eq!(ledger.base().height, Height::new(base));
        assert_eq!(ledger.verify().unwrap().blocks, 1100 - base);
        for height in base + 1..=1100 {
            let height = Height::new(height);
            assert_eq!(ledger.block(height).as_ref(), Ok(chain.block(height).unwrap()), "{base}");
        }
        let before = ledger.block(Height::new(base));
        let (first, last) = (base - 1, base - 1);
        assert_eq!(before, Err(DurableError::NotHeld { first, last, base }));
        let size = base + 300;
        for index in [base, base + 1, base + 299] {
            let path = ledger.inclusion_proof(index, size).unwrap();
            assert_eq!(path, chain.history().inclusion_proof(index, size).unwrap(), "{base}");
        }
        for old in [base, base + 1, base + 128, size - 1] {
            let proof = ledger.consistency_proof(old, size).unwrap();
            assert_eq!(proof, chain.history().consistency_proof(old, size).unwrap(), "{base}");
        }
        if base > 2 {
            let early = ledger.inclusion_proof(0, size);
            assert!(matches!(early, Err(DurableError::NotHeld { .. })), "{base} {early:?}");
        }
    }
}

#[test]
fn an_anchor_and_a_header_of_different_heights_begin_nothing() {
    let chain = chain(20);
    let header = chain.block(Height::new(9)).unwrap().header;
    let frontier = chain.history().frontier_at(10).unwrap();
    let refused = DurableLedger::create_at(MemoryStore::new(), &header, frontier).map(drop);
    let (height, head) = (Height::new(9), Height::new(10));
    assert_eq!(refused, Err(DurableError::NoBlock { height, head }));
}

#[test]
fn subtrees_beyond_the_tree_are_refused_whatever_is_asked() {
    let chain = chain(300);
    let ledger = restarted(&chain, 100, 300);
    let history = ledger.history();
    for (level, index) in
        [(0, 300), (8, 1), (9, 0), (63, 0), (64, 0), (u32::MAX, 0), (0, u64::MAX), (3, u64::MAX)]
    {
        let refused = history.subtree(level, index);
        assert!(matches!(refused, Err(DurableError::History(_))), "{level} {index} {refused:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Proofs of restarted ledgers of any base and size verify, and none is wrong.
    #[test]
    fn proofs_from_any_base_verify(base in 1_u64..700, more in 1_u64..600, picks in any::<[u64; 4]>()) {
        let size = base + more;
        let chain = chain(size);
        let ledger = restarted(&chain, base, size);
        let root = ledger.root().unwrap();
        prop_assert_eq!(root, chain.history().root());
        for pick in picks {
            let index = base + pick % more;
            let leaf = LogHash::of_leaf(&chain.block(Height::new(index + 1)).unwrap().header.to_canonical());
            let path = ledger.inclusion_proof(index, size).unwrap();
            verify_inclusion(&leaf, index, size, &path, &root).unwrap();
            let old = base + pick % (more + 1);
            let proof = ledger.consistency_proof(old, size).unwrap();
            verify_consistency(old, &ledger.root_at(old).unwrap(), size, &root, &proof).unwrap();
        }
    }
}
