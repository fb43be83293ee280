//! The search ends at the true height within its bound, whatever peers answer, and what it finds
//! convinces others.

use federation_proto::codec::Canonical;
use proptest::prelude::*;

use super::*;

/// ⌈log₂ d⌉ for d ≥ 1: the bound on the exchanges from a difference at size d.
fn bound(d: u64) -> u32 {
    u64::BITS - (d - 1).leading_zeros()
}

/// A proven difference of two trees.
fn forked(own: &HistoryTree, peer: &HistoryTree) -> Forked {
    match compare(&log(own), &log(peer).head().unwrap()).unwrap() {
        Relation::Forked(forked) => forked,
        Relation::Ahead(ahead) => {
            ahead.handle_answer(&ask_tree(peer, &ahead.question())).unwrap().unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// The fork that an honest peer leads to, and the exchanges that it took.
fn search(own: &HistoryTree, peer: &HistoryTree, base: u64) -> (Option<Fork>, u32) {
    let mut search = ForkSearch::new(&forked(own, peer), base);
    for exchanges in 0.. {
        match search.step() {
            Step::Found(fork) => return (Some(fork), exchanges),
            Step::BeforeBase => return (None, exchanges),
            Step::Ask(question) => {
                let Question::Root(asked) = question else { panic!("{question:?}") };
                assert!(asked.size >= base);
                search.handle_answer(&log(own), &ask_tree(peer, &question)).unwrap();
            }
        }
    }
    unreachable!()
}

#[test]
fn every_small_fork_is_found_within_the_bound_and_the_bound_is_reached() {
    let mut longest = std::collections::BTreeMap::new();
    for (n, m) in (1..=17).flat_map(|n| (1..=17).map(move |m| (n, m))) {
        for at in 1..=n.min(m) {
            // One block differs, or all from there on.
            for peer in [tree(m, |h| h == at), tree(m, |h| h >= at)] {
                let own = tree(n, |_| false);
                let (fork, exchanges) = search(&own, &peer, 0);
                assert_eq!(fork.unwrap().height(), Height::new(at), "{n} {m}");
                assert_eq!(fork.unwrap().peer(), &log(&peer).head().unwrap());
                for base in 1..n.min(m) {
                    let (later, exchanges) = search(&own, &peer, base);
                    assert_eq!(later, fork.filter(|_| at > base), "{n} {m} {base}");
                    assert!(exchanges <= bound(n.min(m)), "{n} {m} {base}");
                }
                let most = longest.entry(n.min(m)).or_insert(0);
                *most = exchanges.max(*most);
            }
        }
    }
    assert_eq!(longest.len(), 17);
    for (size, most) in longest {
        assert_eq!(most, bound(size), "size {size}");
    }
}

/// What a peer answers that knows our tree, signed another and has a third at hand.
fn lie(number: u8, question: RootQuestion, trees: [&HistoryTree; 3]) -> Answer {
    let [own, peer, third] = trees;
    let RootQuestion { size, of } = question;
    let honest = log(peer).prefix(size, of).unwrap();
    match number {
        0 => Answer::Root(log(third).prefix(size, of).unwrap()),
        1 => Answer::Root(log(peer).prefix(size + 1, of).unwrap()),
        2 => Answer::Root(log(peer).prefix(size - 1, of).unwrap()),
        3 => Answer::Root(RootAnswer { root: own.root_at(size).unwrap(), ..honest }),
        4 => Answer::Root(RootAnswer { root: third.root_at(size).unwrap(), ..honest }),
        5 => {
            let mut proof = honest.proof;
            proof.reverse();
            Answer::Root(RootAnswer { proof, ..honest })
        }
        6 => Answer::Root(log(own).prefix(size, own.size()).unwrap()),
        7 => Answer::Refused(Refusal::Beyond { size }),
        8 => Answer::Blocks(BlocksAnswer { blocks: Vec::new(), proof: honest.proof }),
        _ => Answer::Root(honest),
    }
}

proptest! {
    #[test]
    fn forks_of_any_size_are_found_within_the_bound(
        n in 1_u64..3000, m in 1_u64..3000, at in any::<prop::sample::Index>(), rejoins: bool,
    ) {
        let at = at.index(usize::try_from(n.min(m)).unwrap()) as u64 + 1;
        let peer = tree(m, |h| h == at || (h > at && !rejoins));
        let (fork, exchanges) = search(&tree(n, |_| false), &peer, 0);
        let fork = fork.unwrap();
        prop_assert_eq!(fork.height(), Height::new(at));
        prop_assert!(exchanges <= bound(n.min(m)));
    }

    #[test]
    fn peers_that_lie_name_no_wrong_height(
        n in 1_u64..200, m in 1_u64..200, at in any::<prop::sample::Index>(),
        elsewhere in 1_u64..200, lies in prop::collection::vec(0_u8..14, 0..60),
    ) {
        let at = at.index(usize::try_from(n.min(m)).unwrap()) as u64 + 1;
        let own = tree(n, |_| false);
        let (peer, third) = (tree(m, |h| h >= at), tree(m, |h| h == elsewhere));
        let mut search = ForkSearch::new(&forked(&own, &peer), 0);
        let (mut accepted, mut lies) = (0, lies.into_iter());
        let fork = loop {
            let question = match search.step() {
                Step::Found(fork) => break fork,
                Step::BeforeBase => panic!("our log is whole"),
                Step::Ask(Question::Root(question)) => question,
                Step::Ask(other) => panic!("{other:?}"),
            };
            let before = search.clone();
            let answer = lie(lies.next().unwrap_or(u8::MAX), question, [&own, &peer, &third]);
            if search.handle_answer(&log(&own), &answer).is_ok() {
                // What is accepted is what the peer signed.
                let Answer::Root(answer) = answer else { panic!("{answer:?}") };
                prop_assert_eq!(answer.root, peer.root_at(question.size).unwrap());
                accepted += 1;
            } else {
                prop_assert_eq!(&search, &before);
            }
        };
        prop_assert_eq!(fork.height(), Height::new(at));
        prop_assert!(accepted <= bound(n.min(m)));
        // An answer that comes after the end changes nothing.
        let late = lie(u8::MAX, RootQuestion { size: at - 1, of: m }, [&own, &peer, &third]);
        let _ = search.handle_answer(&log(&own), &late);
        prop_assert_eq!(search.step(), Step::Found(fork));
    }
}

#[test]
fn a_store_that_fails_advances_nothing() {
    let (own, peer) = (tree(9, |_| false), tree(9, |h| h >= 4));
    let mut search = ForkSearch::new(&forked(&own, &peer), 0);
    let before = search.clone();
    let Step::Ask(question) = search.step() else { panic!("found") };
    let lost = HistoryTree::new();
    let refused = search.handle_answer(&log(&lost), &ask_tree(&peer, &question));
    assert!(matches!(refused, Err(HandleError::Store(HistoryError::SizeBeyondTree { .. }))));
    assert_eq!(search, before);
}

/// A fork of two ledgers at height 6, proven against a checkpoint of ours.
fn proven() -> (ForkProof, LedgerSummary, VerifiedCheckpoint) {
    let (own, peer) = (ledger(12, u64::MAX), ledger(9, 6));
    let fork = search(own.history(), peer.history(), 0).0.unwrap();
    let certified = certify(own.history(), 11);
    let Answer::Header(theirs) = ask(&peer, &fork.question()) else { panic!("a header") };
    let question = Question::Header(HeaderQuestion { height: fork.height(), of: 11 });
    let Answer::Header(certified_header) = ask(&own, &question) else { panic!("a header") };
    let proof = ForkProof { theirs: *theirs, certified: *certified_header };
    (proof, *fork.peer(), certified)
}

#[test]
fn a_third_party_is_convinced_by_the_head_and_the_checkpoint_alone() {
    let (proof, head, certified) = proven();
    let received = ForkProof::from_canonical(&proof.to_canonical()).unwrap();
    assert_eq!(received.verify(&head, &certified), Ok(Height::new(6)));
    // Both follow the same block: this is where the ledgers part.
    assert_eq!(received.theirs.header.parent, received.certified.header.parent);
}

#[test]
fn a_proof_of_no_fork_convinces_nobody() {
    let (proof, head, certified) = proven();
    let with = |change: fn(&mut ForkProof)| {
        let mut forged = proof.clone();
        change(&mut forged);
        forged.verify(&head, &certified).unwrap_err()
    };
    let same = ForkProofError::SameHeader { height: Height::new(6) };
    assert_eq!(with(|p| p.theirs = p.certified.clone()), same);
    let theirs = |error| matches!(error, ForkProofError::Theirs(ProofError::RootMismatch { .. }));
    // Words put into the node's mouth, or into the quorum's.
    assert!(theirs(with(|p| p.theirs.header.state_root_after = Digest::ZERO)));
    assert!(theirs(with(|p| p.theirs.path[0] = LogHash::EMPTY_ROOT)));
    let certified_not = with(|p| p.certified.header.state_root_after = Digest::ZERO);
    assert!(matches!(certified_not, ForkProofError::Certified(ProofError::RootMismatch { .. })));
    let nowhere = with(|p| p.certified.header.height = Height::ZERO);
    let outside = ProofError::IndexOutOfRange { index: u64::MAX, size: 11 };
    assert_eq!(nowhere, ForkProofError::Certified(outside));
    // The head of another node, that has our blocks.
    let honest = log(ledger(9, u64::MAX).history()).head().unwrap();
    assert!(theirs(proof.verify(&honest, &certified).unwrap_err()));
    let early = certify(ledger(12, u64::MAX).history(), 5);
    let uncertified = proof.verify(&head, &early);
    assert!(matches!(uncertified, Err(ForkProofError::Certified(_))));
}
