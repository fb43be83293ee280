//! Equal, behind, ahead, forked: and that only a proof makes a fork.

use proptest::prelude::*;

use super::*;

/// How the second of two trees stands to the first, once a peer that is ahead has answered.
fn decided(own: &HistoryTree, peer: &HistoryTree) -> (Relation, Option<Forked>) {
    let relation = compare(&log(own), &log(peer).head().unwrap()).unwrap();
    let forked = match &relation {
        Relation::Ahead(ahead) => ahead.handle_answer(&ask_tree(peer, &ahead.question())).unwrap(),
        Relation::Forked(forked) => Some(*forked),
        Relation::Equal | Relation::Behind | Relation::Malformed => None,
    };
    (relation, forked)
}

#[test]
fn behind_or_ahead_is_not_divergence() {
    for (n, m) in (0..20).flat_map(|n| (0..20).map(move |m| (n, m))) {
        let (own, peer) = (tree(n, |_| false), tree(m, |_| false));
        let (relation, forked) = decided(&own, &peer);
        assert_eq!(forked, None, "{n} {m}");
        match m.cmp(&n) {
            std::cmp::Ordering::Less => assert_eq!(relation, Relation::Behind),
            std::cmp::Ordering::Equal => assert_eq!(relation, Relation::Equal),
            std::cmp::Ordering::Greater => assert!(matches!(relation, Relation::Ahead(_))),
        }
    }
}

#[test]
fn every_fork_is_seen_with_both_roots() {
    for (n, m) in (1..14).flat_map(|n| (1..14).map(move |m| (n, m))) {
        for fork in 1..=n.min(m) {
            let (own, peer) = (tree(n, |_| false), tree(m, |h| h == fork));
            let forked = decided(&own, &peer).1.unwrap();
            let size = n.min(m);
            assert_eq!(forked.peer(), &log(&peer).head().unwrap());
            assert_eq!(forked.size(), size);
            assert_eq!(forked.own(), own.root_at(size).unwrap());
            assert_eq!(forked.theirs(), peer.root_at(size).unwrap());
        }
    }
}

#[test]
fn no_ledger_without_blocks_has_another_root() {
    let head = summary(0, LogHash::of_leaf(b"something"));
    for n in 0..3 {
        assert_eq!(compare(&log(&tree(n, |_| false)), &head), Ok(Relation::Malformed));
    }
}

#[test]
fn an_answer_that_proves_nothing_decides_nothing() {
    let (own, peer) = (tree(5, |_| false), tree(9, |_| false));
    let head = log(&peer).head().unwrap();
    let Relation::Ahead(ahead) = compare(&log(&own), &head).unwrap() else { panic!("ahead") };
    assert_eq!(ahead.question(), Question::Root(RootQuestion { size: 5, of: 9 }));
    let refused = |answer| ahead.handle_answer(&answer).unwrap_err();
    assert_eq!(refused(Answer::Refused(Refusal::NotKept)), Unproven::Refused(Refusal::NotKept));
    let blocks = BlocksAnswer { blocks: Vec::new(), proof: Vec::new() };
    assert_eq!(refused(Answer::Blocks(blocks)), Unproven::OtherKind);
    let good = log(&peer).prefix(5, 9).unwrap();
    let with = |change: fn(&mut RootAnswer)| {
        let mut answer = good.clone();
        change(&mut answer);
        refused(Answer::Root(answer))
    };
    let mismatch = |unproven| matches!(unproven, Unproven::Proof(ProofError::RootMismatch { .. }));
    assert!(mismatch(with(|answer| answer.root = LogHash::EMPTY_ROOT)));
    assert!(mismatch(with(|answer| answer.proof[1] = LogHash::EMPTY_ROOT)));
    let length = |found| Unproven::Proof(ProofError::PathLength { expected: 5, found });
    assert_eq!(with(|answer| answer.proof.push(LogHash::EMPTY_ROOT)), length(6));
    assert_eq!(with(|answer| answer.proof.clear()), length(0));
    // The peer's own root of another size, and of a fork that it has not signed.
    let fork = tree(9, |h| h == 3);
    for other in [log(&peer).prefix(7, 9), log(&fork).prefix(5, 9)] {
        assert!(matches!(refused(Answer::Root(other.unwrap())), Unproven::Proof(_)));
    }
    assert_eq!(ahead.handle_answer(&Answer::Root(good)), Ok(None));
}

#[test]
fn every_ledger_extends_none_and_nothing_else_is_said_about_it() {
    let head = log(&tree(3, |_| false)).head().unwrap();
    let Relation::Ahead(ahead) = compare(&log(&HistoryTree::new()), &head).unwrap() else {
        panic!("ahead")
    };
    let answer = |root, proof| ahead.handle_answer(&Answer::Root(RootAnswer { root, proof }));
    let empty = LogHash::EMPTY_ROOT;
    assert_eq!(answer(empty, vec![]), Ok(None));
    let long = ProofError::PathLength { expected: 0, found: 1 };
    assert_eq!(answer(empty, vec![empty]), Err(long.into()));
    let other = answer(LogHash::of_leaf(b""), vec![]);
    assert!(matches!(other, Err(Unproven::Proof(ProofError::RootMismatch { .. }))));
}

#[test]
fn a_head_of_impossible_size_is_ahead_and_harmless() {
    let own = tree(5, |_| false);
    let head = summary(u64::MAX, LogHash::EMPTY_ROOT);
    let Relation::Ahead(ahead) = compare(&log(&own), &head).unwrap() else { panic!("ahead") };
    let answer = Answer::Root(RootAnswer { root: own.root(), proof: vec![own.root(); 65] });
    assert!(matches!(ahead.handle_answer(&answer), Err(Unproven::Proof(_))));
}

#[test]
fn the_comparison_holds_for_the_ledger_as_it_was() {
    let (mut own, peer) = (tree(5, |_| false), tree(9, |_| false));
    let head = log(&peer).head().unwrap();
    let Relation::Ahead(ahead) = compare(&log(&own), &head).unwrap() else { panic!("ahead") };
    own.append(b"a block of our own");
    assert_eq!(ahead.handle_answer(&ask_tree(&peer, &ahead.question())), Ok(None));
}

proptest! {
    #[test]
    fn two_trees_fork_exactly_where_a_common_leaf_differs(
        n in 0_u64..300, m in 0_u64..300, fork in 1_u64..400,
    ) {
        let (own, peer) = (tree(n, |_| false), tree(m, |h| h >= fork));
        let forked = decided(&own, &peer).1;
        prop_assert_eq!(forked.is_some(), fork <= n.min(m));
    }
}
