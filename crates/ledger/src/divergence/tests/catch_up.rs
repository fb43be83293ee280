//! Blocks come from anybody and are the certified ones, or they do not come.

use federation_proto::codec::Canonical;
use proptest::prelude::*;

use super::*;
use crate::block::{BlockError, BlockFile};

/// A catch-up of the first `size` blocks of a ledger to a checkpoint of it.
fn begin(ledger: &Ledger, size: u64, target: &VerifiedCheckpoint) -> CatchUp {
    CatchUp::new(ledger.history().frontier_at(size).unwrap(), target).unwrap()
}

/// The blocks that an honest peer releases, and the exchanges that it took.
fn drive(catch_up: &mut CatchUp, peer: &Ledger) -> (Vec<BlockFile>, usize) {
    let (mut released, mut exchanges) = (Vec::new(), 0);
    while let Some(question) = catch_up.question() {
        exchanges += 1;
        match catch_up.handle_answer(&ask(peer, &question)).unwrap() {
            Progress::Extends => {}
            Progress::Blocks(blocks) => released.extend(blocks),
            contradicted @ Progress::Contradicted { .. } => panic!("{contradicted:?}"),
        }
    }
    (released, exchanges)
}

#[test]
fn a_node_without_blocks_imports_the_whole_ledger_in_bounded_ranges() {
    let peer = ledger(600, u64::MAX);
    let target = certify(peer.history(), 590);
    let mut own = Ledger::new(peer.ledger_id());
    let mut catch_up = begin(&own, 0, &target);
    let (blocks, exchanges) = drive(&mut catch_up, &peer);
    // The question for the root, then 256 + 256 + 78 blocks.
    assert_eq!(exchanges, 4);
    assert_eq!(catch_up.size(), 590);
    for block in blocks {
        own.import(block).unwrap();
    }
    assert_eq!(own.history().root(), target.checkpoint().root());
}

#[test]
fn an_answer_has_no_more_bytes_than_a_segment_and_the_rest_is_asked_for() {
    let mut peer = Ledger::new(federation("divergence"));
    for h in 1..=40 {
        let batch = batch(10 * h, 4000);
        let header = peer.next_header(&batch, &execution(h)).unwrap();
        peer.append(header, batch, vec![7; crate::block::MAX_CERTIFICATE_BYTES]).unwrap();
    }
    let target = certify(peer.history(), 40);
    let mut catch_up = begin(&peer, 0, &target);
    let (mut released, mut ranges) = (0, Vec::new());
    while let Some(question) = catch_up.question() {
        let bytes = ask(&peer, &question).to_canonical();
        assert!(bytes.len() <= Answer::MAX_BYTES);
        let received = Answer::from_canonical(&bytes).unwrap();
        if let Progress::Blocks(blocks) = catch_up.handle_answer(&received).unwrap() {
            released += blocks.len();
            ranges.push(bytes.len());
        }
    }
    assert_eq!((released, ranges.len()), (40, 2));
    // The first one is as full as its blocks allow.
    assert!(ranges[0] > MAX_BLOCK_BYTES - ranges[0] / 20);
}

#[test]
fn only_what_is_ahead_is_caught_up_with() {
    let ledger = ledger(5, u64::MAX);
    for size in 0..=5 {
        let frontier = ledger.history().frontier_at(5).unwrap();
        assert_eq!(CatchUp::new(frontier, &certify(ledger.history(), size)), None);
    }
}

#[test]
fn a_certified_history_that_does_not_extend_ours_is_our_contradiction_and_needs_proof() {
    let (own, certified) = (ledger(6, 4), ledger(9, u64::MAX));
    let target = certify(certified.history(), 8);
    let mut catch_up = begin(&own, 6, &target);
    let before = catch_up.clone();
    // A peer that holds our history cannot prove it under the target; nor is that held against us.
    let longer = ledger(9, 4);
    let refused = catch_up.handle_answer(&ask(&longer, &catch_up.question().unwrap()));
    assert!(matches!(refused, Err(Unproven::Proof(ProofError::RootMismatch { .. }))));
    assert_eq!(catch_up, before);
    let expected = Contradiction {
        size: 6,
        own: own.history().root(),
        certified: certified.history().root_at(6).unwrap(),
    };
    let question = catch_up.question().unwrap();
    let Progress::Contradicted { contradiction, prefix } =
        catch_up.handle_answer(&ask(&certified, &question)).unwrap()
    else {
        panic!("contradicted")
    };
    assert_eq!(contradiction, expected);
    // No block is asked for after that.
    assert_eq!(catch_up, before);
    // If a quorum certified ours as well, then the proof names it.
    let ours = certify(own.history(), 6);
    assert!(Conflict::between(&ours, &target, &prefix).unwrap().is_some());
}

#[test]
fn answers_of_another_kind_are_refused() {
    let peer = ledger(6, u64::MAX);
    let mut catch_up = begin(&peer, 2, &certify(peer.history(), 6));
    let root = catch_up.question().unwrap();
    let blocks = Question::Blocks(BlocksRequest { first: Height::new(3), count: 4, of: 6 });
    let header = Question::Header(HeaderQuestion { height: Height::new(3), of: 6 });
    let refused = |catch_up: &mut CatchUp, question| {
        assert_eq!(catch_up.handle_answer(&ask(&peer, &question)), Err(Unproven::OtherKind));
    };
    refused(&mut catch_up, blocks);
    refused(&mut catch_up, header);
    assert_eq!(catch_up.handle_answer(&ask(&peer, &root)), Ok(Progress::Extends));
    assert_eq!(catch_up.question(), Some(blocks));
    refused(&mut catch_up, root);
    refused(&mut catch_up, header);
    drive(&mut catch_up, &peer);
    let late = catch_up.handle_answer(&ask(&peer, &blocks));
    assert_eq!(late, Err(Unproven::Count { asked: 0, found: 4 }));
}

/// What a peer answers that has the certified ledger and another one, and forges what it can.
fn lie(number: u8, honest: BlocksAnswer, question: &Question, fork: &Ledger) -> Answer {
    let mut lie = honest;
    let last = lie.blocks.len() - 1;
    let forge = |block: &mut BlockBytes, change: fn(&mut BlockFile)| {
        let mut file = BlockFile::from_canonical(block.as_slice()).unwrap();
        change(&mut file);
        *block = BlockBytes::new(file.to_canonical()).unwrap();
    };
    match number {
        0 => return ask(fork, question),
        1 => return Answer::Refused(Refusal::NotKept),
        2 => lie.blocks.clear(),
        3 => drop(lie.blocks.remove(0)),
        4 => forge(&mut lie.blocks[last], |file| file.header.state_root_after = Digest::ZERO),
        5 => forge(&mut lie.blocks[0], |file| file.batch = batch(1, 3)),
        6 => forge(&mut lie.blocks[last], |file| file.commit_certificate.clear()),
        7 => lie.blocks.push(lie.blocks[last].clone()),
        8 => lie.proof.push(LogHash::EMPTY_ROOT),
        9 => lie.blocks[0] = BlockBytes::new(vec![0; 9]).unwrap(),
        10 => lie.blocks.truncate(last),
        _ => return Answer::Blocks(lie),
    };
    Answer::Blocks(lie)
}

#[test]
fn each_lie_is_refused_for_its_reason() {
    let (size, more) = (3, 5);
    let peer = ledger(size + more, u64::MAX);
    let fork = ledger(size + more, size + 1);
    let mut catch_up = begin(&peer, size, &certify(peer.history(), size + more));
    let question = catch_up.question().unwrap();
    let _ = catch_up.handle_answer(&ask(&peer, &question)).unwrap();
    let question = catch_up.question().unwrap();
    let mut refused = |number| {
        let Answer::Blocks(honest) = ask(&peer, &question) else { panic!("blocks") };
        catch_up.handle_answer(&lie(number, honest, &question, &fork)).unwrap_err()
    };
    let asked = usize::try_from(more).unwrap();
    assert!(matches!(refused(0), Unproven::Proof(_)));
    assert_eq!(refused(1), Unproven::Refused(Refusal::NotKept));
    assert_eq!(refused(2), Unproven::Count { asked, found: 0 });
    assert!(matches!(refused(3), Unproven::Proof(ProofError::PathLength { .. })));
    assert!(matches!(refused(4), Unproven::Proof(_)));
    assert!(matches!(
        refused(5),
        Unproven::Block(ExportError::Block(BlockError::BatchTime { .. }))
    ));
    assert!(matches!(
        refused(6),
        Unproven::Block(ExportError::Block(BlockError::CertificateLength { .. }))
    ));
    assert_eq!(refused(7), Unproven::Count { asked, found: asked + 1 });
    assert!(matches!(refused(8), Unproven::Proof(ProofError::PathLength { .. })));
    assert!(matches!(refused(9), Unproven::Block(ExportError::Codec(_))));
    assert!(matches!(refused(10), Unproven::Proof(ProofError::PathLength { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn peers_that_lie_release_no_block_and_stop_nobody(
        size in 0_u64..20, more in 1_u64..20, beyond in 0_u64..5,
        lies in prop::collection::vec(0_u8..11, 1..12),
    ) {
        let peer = ledger(size + more + beyond, u64::MAX);
        let fork = ledger(size + more + beyond, size + 1);
        let target = certify(peer.history(), size + more);
        let mut catch_up = begin(&peer, size, &target);
        let root = catch_up.question().unwrap();
        prop_assert_eq!(catch_up.handle_answer(&ask(&peer, &root)), Ok(Progress::Extends));
        let question = catch_up.question().unwrap();
        let before = catch_up.clone();
        for number in lies {
            let Answer::Blocks(honest) = ask(&peer, &question) else { panic!("blocks") };
            let refused = catch_up.handle_answer(&lie(number, honest, &question, &fork));
            prop_assert!(refused.is_err(), "lie {}", number);
            prop_assert_eq!(&catch_up, &before);
            prop_assert_eq!(catch_up.question(), Some(question));
        }
        // The next peer goes on with the same question.
        let (blocks, exchanges) = drive(&mut catch_up, &peer);
        prop_assert_eq!(exchanges, 1);
        let expected = peer.blocks().skip(usize::try_from(size).unwrap()).take(blocks.len());
        prop_assert!(blocks.iter().eq(expected));
        prop_assert_eq!(catch_up.size(), size + more);
    }
}
