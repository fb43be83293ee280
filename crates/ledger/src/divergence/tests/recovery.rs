//! Who halts, on what proof, and where recovery begins.

use federation_proto::keys::{LogCheckpoint, SecretKey};
use proptest::prelude::*;

use super::*;
use crate::merkle::subtrees::Subtrees;

#[test]
fn our_own_store_decides_about_itself() {
    let own = tree(9, |h| h >= 6);
    let certified = tree(12, |_| false);
    for size in 0..=12 {
        let verdict = self_check(&log(&own), &certify(&certified, size)).unwrap();
        let expected = match size {
            0..=5 => Verdict::Agrees,
            6..=9 => Verdict::Contradicted(Contradiction {
                size,
                own: own.root_at(size).unwrap(),
                certified: certified.root_at(size).unwrap(),
            }),
            _ => Verdict::Behind,
        };
        assert_eq!(verdict, expected, "{size}");
    }
}

#[test]
fn two_roots_of_one_size_name_who_signed_both() {
    let (one, other) = (tree(7, |_| false), tree(7, |h| h == 7));
    let first = signed(ORIGIN, 7, one.root(), &["a", "b", "c"]);
    let second = signed(ORIGIN, 7, other.root(), &["b", "c", "d"]);
    for (a, b) in [(&first, &second), (&second, &first)] {
        let found = conflict(a, b).unwrap();
        let public = |owner| SecretKey::<LogCheckpoint>::synthetic("divergence", owner).public();
        assert_eq!(found.equivocators(), &["b", "c"].map(public).into());
        assert_eq!((found.smaller(), found.larger()), (a, b));
    }
    // The same root, another log, another size.
    let again = signed(ORIGIN, 7, one.root(), &["b", "c", "d"]);
    assert_eq!(conflict(&first, &again), None);
    let elsewhere = signed("example.org/elsewhere", 7, other.root(), &["b", "c", "d"]);
    assert_eq!(conflict(&first, &elsewhere), None);
    assert_eq!(conflict(&first, &certify(&other, 6)), None);
}

#[test]
fn checkpoints_of_different_sizes_conflict_by_proof_only() {
    let (one, other) = (tree(9, |_| false), tree(9, |h| h >= 4));
    let (small, large) = (certify(&one, 6), certify(&other, 9));
    let proven = log(&other).prefix(6, 9).unwrap();
    for (a, b) in [(&small, &large), (&large, &small)] {
        let conflict = Conflict::between(a, b, &proven).unwrap().unwrap();
        assert_eq!((conflict.smaller(), conflict.larger()), (&small, &large));
        assert_eq!(conflict.prefix(), &proven);
    }
    // Another history's proof, a bent one, none: undecided.
    let bent = RootAnswer { root: one.root_at(6).unwrap(), ..proven.clone() };
    let none = RootAnswer { proof: Vec::new(), ..proven.clone() };
    for unproven in [log(&one).prefix(6, 9).unwrap(), bent, none] {
        assert!(Conflict::between(&small, &large, &unproven).is_err());
    }
    // One history.
    let early = certify(&other, 6);
    assert_eq!(Conflict::between(&early, &large, &proven), Ok(None));
    let elsewhere = signed("example.org/elsewhere", 6, one.root_at(6).unwrap(), &["a", "b"]);
    assert_eq!(Conflict::between(&elsewhere, &large, &proven), Ok(None));
}

#[test]
fn the_newest_anchor_that_our_store_agrees_with_is_the_last_one() {
    let (own, certified) = (tree(30, |h| h >= 17), tree(40, |_| false));
    let contradicted = certify(&certified, 28);
    let at = |sizes: &[u64]| sizes.iter().map(|size| certify(&certified, *size)).collect();
    let point = |anchors: &Vec<_>| match rollback_point(&log(&own), anchors, &contradicted) {
        Ok(RollbackPoint::Cut(anchor)) => ("cut", anchor.checkpoint().size()),
        Ok(RollbackPoint::Alone(anchor)) => ("alone", anchor.checkpoint().size()),
        Ok(RollbackPoint::Genesis) => ("genesis", 0),
        Err(conflict) => panic!("{conflict}"),
    };
    for order in [[5, 16, 20, 35], [35, 20, 16, 5], [16, 35, 5, 20]] {
        assert_eq!(point(&at(&order)), ("cut", 16));
    }
    assert_eq!(point(&at(&[17, 20])), ("alone", 20));
    assert_eq!(point(&at(&[35, 20])), ("alone", 35));
    assert_eq!(point(&at(&[])), ("genesis", 0));
}

#[test]
fn nothing_is_restored_when_the_checkpoints_contradict_each_other() {
    let (own, other) = (tree(30, |_| false), tree(30, |h| h >= 17));
    // Two anchors of one size; an anchor and the checkpoint of one size.
    let anchors = [certify(&own, 20), certify(&other, 20)];
    assert!(rollback_point(&log(&own), &anchors, &certify(&own, 25)).is_err());
    assert!(rollback_point(&log(&own), &anchors[..1], &certify(&other, 20)).is_err());
    // Our store agrees with the anchor above the checkpoint that it contradicts, and proves it.
    let (anchors, certified) = ([certify(&own, 10), certify(&own, 24)], certify(&other, 20));
    let conflict = rollback_point(&log(&own), &anchors, &certified).unwrap_err();
    assert_eq!((conflict.smaller(), conflict.larger()), (&certified, &anchors[1]));
    let prefix = conflict.prefix();
    assert!(Conflict::between(&certified, &anchors[1], prefix).unwrap().is_some());
}

/// A store that has one subtree lost or replaced.
pub(super) struct Damaged {
    pub(super) tree: HistoryTree,
    pub(super) at: (u32, u64),
    pub(super) replaced: Option<LogHash>,
}

impl Subtrees for Damaged {
    type Error = HistoryError;

    fn subtree(&self, level: u32, index: u64) -> Result<LogHash, HistoryError> {
        if (level, index) == self.at {
            let lost = HistoryError::IndexBeyondSize { index, size: self.tree.size() };
            return self.replaced.ok_or(lost);
        }
        self.tree.subtree(level, index)
    }
}

#[test]
fn a_damaged_store_accuses_nobody_and_is_cut_below_the_damage() {
    let tree = tree(30, |_| false);
    let anchors = [8, 12, 16, 24].map(|size| certify(&tree, size));
    let certified = certify(&tree, 28);
    // The root of leaves 9 to 12 is needed at size 12, and hidden in a larger subtree at 16.
    let replaced = Damaged { tree, at: (2, 2), replaced: Some(LogHash::EMPTY_ROOT) };
    let own = OwnLog::new(&replaced, 30);
    assert!(matches!(self_check(&own, &anchors[1]), Ok(Verdict::Contradicted(_))));
    assert_eq!(self_check(&own, &anchors[2]), Ok(Verdict::Agrees));
    assert_eq!(rollback_point(&own, &anchors, &certified), Ok(RollbackPoint::Cut(&anchors[0])));
    let lost = Damaged { replaced: None, ..replaced };
    let own = OwnLog::new(&lost, 30);
    assert!(self_check(&own, &anchors[1]).is_err());
    let alone = rollback_point(&own, &anchors[1..2], &certified);
    assert_eq!(alone, Ok(RollbackPoint::Alone(&anchors[1])));
}

proptest! {
    #[test]
    fn the_rollback_point_is_the_newest_anchor_below_the_damage(
        fork in 1_u64..60, anchors in prop::collection::vec(1_u64..80, 0..8), size in 1_u64..60,
    ) {
        let (own, good) = (tree(60, |h| h >= fork), tree(80, |_| false));
        let certified = certify(&good, size);
        let anchors: Vec<_> = anchors.iter().map(|size| certify(&good, *size)).collect();
        let sizes = || anchors.iter().map(|anchor| anchor.checkpoint().size());
        let expected = sizes().filter(|size| *size < fork).max();
        match rollback_point(&log(&own), &anchors, &certified).unwrap() {
            RollbackPoint::Cut(anchor) => {
                prop_assert_eq!(Some(anchor.checkpoint().size()), expected);
            }
            RollbackPoint::Alone(anchor) => {
                prop_assert_eq!(expected, None);
                prop_assert_eq!(Some(anchor.checkpoint().size()), sizes().max());
            }
            RollbackPoint::Genesis => prop_assert_eq!(sizes().max(), None),
        }
    }

    #[test]
    fn two_certified_histories_conflict_exactly_if_the_smaller_is_no_prefix(
        fork in 1_u64..50, small in 1_u64..40, more in 0_u64..40,
    ) {
        let (one, other) = (tree(small, |_| false), tree(small + more, |h| h >= fork));
        let (a, b) = (certify(&one, small), certify(&other, small + more));
        let prefix = log(&other).prefix(small, small + more).unwrap();
        let conflict = Conflict::between(&a, &b, &prefix).unwrap();
        prop_assert_eq!(conflict.is_some(), fork <= small);
        if let Some(conflict) = conflict {
            // Three of three signed both: nobody hides behind another size.
            prop_assert_eq!(conflict.equivocators().len(), 3);
        }
    }
}
