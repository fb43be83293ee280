//! Committees that follow each other: the border, who missed it, and the chain of handovers.

use consensus_pbft::{
    CertificateError, Checkpoint, CheckpointStatement, Committee, CommitteeError, ConsensusMessage,
    Equivocation, Handover, HandoverError, Input, Rejection, SafetyRecord, ViewChange,
};
use federation_proto::codec::Canonical;
use federation_proto::genesis::Agreement;
use federation_proto::{Digest, Height, LedgerBlockId, SequenceNumber, Signed, View};
use ledger::LogHash;

use crate::federation::{consensus_key, id};
use crate::terms::{Envelope, Terms, configuration};

const FOUR: &[usize] = &[0, 1, 2, 3];

/// Lets a term be ordered and begin. `filler` and the next number reach the checkpoint.
fn change(world: &mut Terms, term: usize, filler: u64) {
    world.order(term);
    world.run(50);
    for number in [filler, filler + 1] {
        world.request(number);
        world.run(50);
    }
    world.run(2_000);
}

fn is_checkpoint(message: &ConsensusMessage) -> bool {
    matches!(message, ConsensusMessage::Checkpoint(_) | ConsensusMessage::Stable(_))
}

/// Validators join, leave and are replaced: 4, 5, 4, 7, 4.
#[test]
fn committees_grow_and_shrink_and_an_auditor_follows_them() {
    let plan: [&[usize]; 5] =
        [FOUR, &[0, 1, 2, 3, 4], &[0, 1, 2, 4], &[0, 1, 2, 4, 5, 6, 7], &[4, 5, 6, 7]];
    let mut world = Terms::new(1, &plan);
    for (term, members) in plan.iter().enumerate().skip(1) {
        change(&mut world, term, 100 * term as u64);
        assert_eq!(world.at_terms(), [term; 8], "members and followers");
        world.request(term as u64);
        world.run(2_000);
        for member in *members {
            assert!(world.executed(*member, term as u64), "{member} in term {term}");
            assert_eq!(world.replica(term, *member).retired_at(), None);
        }
    }
    world.check_safety();
    let chain = &world.nodes[3].chain;
    let newest = Committee::newest(world.first.clone(), chain).expect("a chain");
    assert_eq!(newest.context().config_digest, world.terms[4].roster.digest());
    assert_eq!(newest.context().federation_id, world.first.context().federation_id);
    assert_eq!((newest.size(), newest.quorum()), (4, 3));
    // The chain holds from its beginning only, whole and in order.
    let without_second = [&chain[..1], &chain[2..]].concat();
    let broken = Committee::newest(world.first.clone(), &without_second);
    assert!(matches!(broken, Err((1, HandoverError::Certificate(_)))), "{broken:?}");
    assert!(Committee::newest(newest, chain).is_err());
}

/// The application is at the border, but no quorum has said so.
#[test]
fn nothing_is_proposed_or_voted_beyond_a_border_that_is_not_stable() {
    let mut world = Terms::new(1, &[FOUR, FOUR]);
    world.lost = Box::new(|envelope: &Envelope| is_checkpoint(&envelope.message));
    change(&mut world, 1, 1);
    world.run(60_000);
    for node in 0..4 {
        let replica = world.replica(0, node);
        let border = SequenceNumber::new(2);
        assert_eq!((replica.executed(), replica.watermarks().1), (border, border));
        assert!(replica.waiting_requests() > 0, "more is due, and waits");
        assert_eq!((replica.deadline(), replica.view()), (None, View::ZERO), "nobody is blamed");
    }
    assert_eq!(world.at_terms(), [0; 4]);
    world.lost = Box::new(|_| false);
    world.run(2_000);
    assert_eq!(world.at_terms(), [1; 4]);
    // What waited was signed for the configuration that is over.
    assert!(!world.executed(0, 2));
    world.request(2);
    world.run(2_000);
    assert!((0..4).all(|node| world.executed(node, 2)));
    world.check_safety();
}

/// Everything that one term said is refused by the other, and changes nothing there.
#[test]
fn trap_10_messages_of_another_configuration_or_a_removed_validator_are_worth_nothing() {
    let mut world = Terms::new(1, &[FOUR, &[0, 1, 2, 4]]);
    let ballot = |world: &Terms, term: usize, signer: usize, as_replica: usize| {
        let replica = id(as_replica);
        let body = ViewChange { view: View::new(1), stable: None, prepared: Vec::new(), replica };
        let committee = world.committee(term, 0);
        let change = Signed::sign(body, &consensus_key(signer), committee.context());
        ConsensusMessage::ViewChange(Box::new(change))
    };
    change(&mut world, 1, 1);
    assert_eq!(world.at_terms(), [1; 5]);
    let before = format!("{:?}", world.replica(1, 0));
    let border = world.nodes[1].chain[0].certificate.clone();
    let own = border.votes.iter().find(|vote| vote.replica != id(0)).expect("a vote");
    let (replica, note_signature) = (own.replica, own.note_signature);
    // A higher place, so that only the signature can refuse it.
    let statement = CheckpointStatement { sequence: SequenceNumber::new(4), ..border.statement };
    let body = Checkpoint { statement, replica, note_signature };
    let later = Signed::from_parts(body, own.signature);
    let foreign = [
        ballot(&world, 0, 1, 1),
        // The removed validator, under the old configuration, the new one, and in a place that is not its own.
        ballot(&world, 0, 3, 3),
        ballot(&world, 1, 3, 3),
        ballot(&world, 1, 3, 1),
        ConsensusMessage::Checkpoint(later),
    ];
    for message in foreign {
        world.input(1, 0, Input::Message(message.clone()));
        let refused = world.nodes[0].posts[&1].rejections.last();
        assert!(matches!(refused, Some(Rejection::BadSignature { .. })), "{refused:?}");
    }
    world.input(1, 0, Input::Message(ConsensusMessage::Stable(Box::new(border))));
    let refused = world.nodes[0].posts[&1].rejections.last();
    assert!(matches!(refused, Some(Rejection::BelowWatermark { .. })), "{refused:?}");
    assert_eq!(format!("{:?}", world.replica(1, 0)), before);
    // The same words by a member, for this configuration, count.
    let good = ballot(&world, 1, 1, 1);
    world.input(1, 0, Input::Message(good));
    assert_ne!(format!("{:?}", world.replica(1, 0)), before);
}

/// The last f miss the border; everybody else has gone on long ago. No ledger is read, the retired replicas serve.
#[test]
fn trap_14_the_last_f_replicas_catch_up_after_the_border() {
    let plans: [(&[usize], &[usize]); 2] = [(FOUR, &[3]), (&[0, 1, 2, 3, 4, 5, 6], &[2, 6])];
    for (members, late) in plans {
        let mut world = Terms::new(1, &[members, members]);
        world.ledgers = false;
        world.request(1);
        world.run(2_000);
        world.island = late.iter().copied().collect();
        change(&mut world, 1, 2);
        for number in 4..12 {
            world.request(number);
            world.run(500);
        }
        for member in members {
            let expected = usize::from(!late.contains(member));
            assert_eq!(world.nodes[*member].chain.len(), expected);
            assert_eq!(world.executed(*member, 11), expected == 1);
        }
        world.island.clear();
        world.run(20_000);
        assert_eq!(world.at_terms(), vec![1; members.len()]);
        world.request(12);
        world.run(2_000);
        for member in members {
            assert!(world.executed(*member, 11) && world.executed(*member, 12), "{member}");
        }
        world.check_safety();
    }
}

/// Who lacks only what was decided gets the batches: it needs nobody's ledger.
#[test]
fn a_retired_replica_serves_the_batches_below_its_border() {
    let mut world = Terms::new(1, &[FOUR, FOUR]);
    world.ledgers = false;
    world.island = [3].into();
    change(&mut world, 1, 1);
    assert_eq!(world.at_terms(), [1, 1, 1, 0]);
    world.island.clear();
    world.lost = Box::new(|envelope| {
        envelope.to == 3 && matches!(envelope.message, ConsensusMessage::Stable(_))
    });
    world.run(2_000);
    assert_eq!(world.replica(0, 3).executed(), SequenceNumber::new(2));
}

/// Nobody who is reachable has everything; the partition swaps exactly when the border is reached.
#[test]
fn trap_15_partitions_that_swap_at_the_border_leave_one_checkpoint() {
    let mut world = Terms::new(1, &[FOUR, FOUR]);
    world.ledgers = false;
    world.island = [3].into();
    world.lost = Box::new(|envelope| is_checkpoint(&envelope.message));
    change(&mut world, 1, 1);
    let reached = |world: &Terms, node| world.replica(0, node).executed().get();
    assert_eq!([0, 1, 2, 3].map(|node| reached(&world, node)), [2, 2, 2, 0]);
    // Replica 0 is alone with its result; 3 has none, and 1 and 2 are too few.
    world.island = [0].into();
    world.lost = Box::new(|_| false);
    world.run(10_000);
    assert_eq!(world.at_terms(), [0, 1, 1, 1]);
    world.island.clear();
    world.run(10_000);
    assert_eq!(world.at_terms(), [1; 4]);
    world.request(5);
    world.run(10_000);
    assert!((0..4).all(|node| world.executed(node, 5)));
    let borders = world.nodes.iter().map(|node| node.chain[0].certificate.statement);
    let borders: std::collections::BTreeSet<_> = borders.collect();
    assert_eq!(borders.len(), 1, "one canonical checkpoint");
    world.check_safety();
}

#[test]
fn a_view_changes_at_the_border_and_the_next_term_begins_at_view_zero() {
    let mut world = Terms::new(1, &[FOUR, FOUR]);
    world.ledgers = false;
    // More than a window before the border: the next term counts from there.
    for number in 10..16 {
        world.request(number);
        world.run(50);
    }
    world.order(1);
    world.run(200);
    // The batch of the border is prepared and not decided when its primary dies, and the view decides nothing more.
    world.lost = Box::new(|envelope| match &envelope.message {
        ConsensusMessage::Commit(vote) => envelope.term == 0 && vote.claimed().view == View::ZERO,
        _ => false,
    });
    world.request(1);
    world.run(200);
    world.crash(0);
    for _ in 0..40 {
        world.request(2);
        world.run(500);
    }
    for node in 1..4 {
        assert_eq!(world.nodes[node].chain.len(), 1);
        assert!(world.replica(0, node).view() > View::ZERO);
        // The first primary of the new term is dead too; the views of the old one do not count.
        assert_eq!(world.replica(1, node).view(), View::new(1));
        assert!(world.executed(node, 2));
    }
    world.restart(0);
    world.run(10_000);
    assert_eq!(world.at_terms(), [1; 4]);
    assert!(world.executed(0, 2));
    world.check_safety();
}

/// A NEW-VIEW would else grow with all that earlier configurations ordered.
#[test]
fn a_new_view_of_a_later_term_counts_from_its_border() {
    let mut world = Terms::new(1, &[FOUR, FOUR]);
    change(&mut world, 1, 1);
    assert_eq!(world.at_terms(), [1; 4]);
    world.lost = Box::new(|envelope| match &envelope.message {
        ConsensusMessage::Commit(vote) => vote.claimed().view == View::ZERO,
        _ => false,
    });
    world.request(5);
    world.run(6_000);
    let records = world.nodes[1].posts[&1].disk.iter();
    let proposed = records.filter_map(|record| match record {
        SafetyRecord::NewView(new_view) => Some(&new_view.claimed().pre_prepares),
        _ => None,
    });
    let proposed: Vec<u64> =
        proposed.flatten().map(|assigned| assigned.claimed().sequence.get()).collect();
    let base = world.replica(1, 1).committee().base();
    // One was decided in view 0, one prepared.
    assert_eq!((base.get(), proposed), (2, vec![3, 4]));
    assert!((0..4).all(|node| world.executed(node, 5)));
    world.check_safety();
}

/// Everybody crashes with the border executed and its vote not on disk. No later checkpoint would do instead.
#[test]
fn a_crash_between_the_border_and_its_vote_costs_no_vote() {
    let mut world = Terms::new(1, &[FOUR, FOUR]);
    world.order(1);
    world.request(1);
    world.request(2);
    let mut down = [false; 4];
    while down != [true; 4] {
        world.run(1);
        for node in FOUR {
            if !down[*node] && world.nodes[*node].app.history.len() == 2 {
                world.crash(*node);
                down[*node] = true;
            }
        }
        assert!(world.now < 5_000, "the border is reached");
    }
    let voted = |record: &SafetyRecord| matches!(record, SafetyRecord::Checkpoint(_));
    let disks = world.nodes.iter().flat_map(|node| &node.posts[&0].disk);
    assert_eq!(disks.filter(|record| voted(record)).count(), 0, "no vote survived");
    for node in FOUR {
        world.restart(*node);
        let replica = world.replica(0, *node);
        assert_eq!(replica.watermarks().1, SequenceNumber::new(2), "nothing beyond the border");
    }
    world.run(2_000);
    assert_eq!(world.at_terms(), [1; 4]);
    world.check_safety();
}

/// Before, at and after the border, one after the other and all at once.
#[test]
fn whoever_crashes_around_the_border_is_in_the_next_term_all_the_same() {
    for moment in (0..400).step_by(7) {
        let mut world = Terms::new(moment, &[FOUR, FOUR]);
        world.order(1);
        world.request(1);
        world.request(2);
        world.run(moment);
        let all = moment.is_multiple_of(2);
        let who: &[usize] = if all { FOUR } else { &FOUR[1..2] };
        who.iter().for_each(|node| world.crash(*node));
        world.run(100);
        who.iter().for_each(|node| world.restart(*node));
        for number in 3..8 {
            // Whatever was lost is ordered again.
            world.order(1);
            world.request(number);
            world.run(2_000);
        }
        assert_eq!(world.at_terms(), [1; 4], "crash at {moment}");
        assert!((0..4).all(|node| world.executed(node, 7)), "crash at {moment}");
        world.check_safety();
    }
}

#[test]
fn a_retired_replica_restarts_from_its_certificate_alone_and_serves_only() {
    let mut world = Terms::new(1, &[FOUR, FOUR]);
    world.island = [3].into();
    change(&mut world, 1, 1);
    world.request(3);
    world.run(500);
    for node in 0..3 {
        assert_eq!(world.nodes[node].posts[&0].disk, [], "the old log is empty");
        world.crash(node);
        world.restart(node);
        assert_eq!(world.replica(0, node).retired_at(), Some(SequenceNumber::new(2)));
    }
    let request = crate::federation::request(world.first.context(), 9);
    world.input(0, 0, Input::Request(request));
    let bare =
        ViewChange { view: View::new(7), stable: None, prepared: Vec::new(), replica: id(1) };
    let change = Signed::sign(bare, &consensus_key(1), world.first.context());
    world.input(0, 0, Input::Message(ConsensusMessage::ViewChange(Box::new(change))));
    let refused = &world.nodes[0].posts[&0].rejections;
    let retired = Rejection::Retired { border: SequenceNumber::new(2) };
    assert_eq!(refused[refused.len() - 2..], [retired.clone(), retired]);
    world.ledgers = false;
    world.island.clear();
    world.run(20_000);
    assert_eq!(world.at_terms(), [1; 4], "and it serves the last");
    assert!(world.executed(3, 3));
    world.check_safety();
}

#[test]
fn a_handover_that_was_bent_hands_nothing_over() {
    let mut world = Terms::new(1, &[FOUR, &[0, 1, 2, 3, 4]]);
    world.request(1);
    world.request(2);
    world.run(50);
    world.request(3);
    world.run(2_000);
    let plain = world.nodes[0].posts[&0].stable.clone().expect("an ordinary checkpoint");
    change(&mut world, 1, 4);
    let good = world.nodes[0].chain[0].clone();
    assert_eq!(Handover::from_canonical(&good.to_canonical()), Ok(good.clone()));
    let base = good.verify(&world.first).expect("a handover").base();
    assert_eq!(base, good.certificate.statement.sequence);
    let refused = |bend: &dyn Fn(&mut Handover)| {
        let mut handover = good.clone();
        bend(&mut handover);
        handover.verify(&world.first).expect_err("a bent handover")
    };
    let sequence = plain.statement.sequence;
    assert_eq!(
        refused(&|handover| handover.certificate = plain.clone()),
        HandoverError::NoBorder { sequence }
    );
    let named = good.certificate.statement.next.expect("a border");
    // Another committee under the certificate of this one.
    let other = configuration(1, &[0, 1, 2, 4]);
    let roster = other.digest();
    assert_eq!(
        refused(&|handover| handover.configuration = other.clone()),
        HandoverError::Committee(CommitteeError::Configuration { context: named, roster })
    );
    // Its digest in the certificate as well: then nobody signed it.
    let swapped = refused(&|handover| {
        handover.configuration = other.clone();
        handover.certificate.statement.next = Some(roster);
    });
    assert!(matches!(swapped, HandoverError::Certificate(CertificateError::BadSignature { .. })));
    let few = refused(&|handover| handover.certificate.votes.truncate(2));
    let (found, needed) = (2, 3);
    assert_eq!(few, CertificateError::BelowQuorum { found, needed }.into());
    let again = refused(&|handover| handover.configuration.number = 0);
    assert_eq!(again, HandoverError::Number { expected: 1, found: 0 });
    let authority = refused(&|handover| handover.agreement = Agreement::Authority);
    assert!(matches!(authority, HandoverError::Roster(_)));
    // The next committee takes over once.
    let next = good.verify(&world.first).expect("a handover");
    assert_eq!(
        good.verify(&next).expect_err("it began there"),
        HandoverError::Order { border: base, base }
    );
}

fn statement(next: Option<Digest>) -> CheckpointStatement {
    CheckpointStatement {
        sequence: SequenceNumber::new(300),
        height: Height::new(299),
        header_hash: LedgerBlockId::new(Digest::from_bytes([0xAA; 32])),
        log_size: 299,
        log_root: LogHash::from_bytes([0xBB; 32]),
        state_root: Digest::from_bytes([0xCC; 32]),
        next,
    }
}

/// An ordinary checkpoint has the bytes it always had; at a border zero and the next configuration come first.
#[test]
fn a_border_statement_has_exactly_this_layout() {
    let plain =
        [&[0xAC, 0x02, 0xAB, 0x02][..], &[0xAA; 32], &[0xAB, 0x02], &[0xBB; 32], &[0xCC; 32]]
            .concat();
    let border = [&[0][..], &[0xDD; 32], &plain].concat();
    let next = Digest::from_bytes([0xDD; 32]);
    for (statement, bytes) in [(statement(None), &plain), (statement(Some(next)), &border)] {
        assert_eq!(statement.to_canonical(), *bytes);
        assert_eq!(CheckpointStatement::from_canonical(bytes), Ok(statement));
        for length in 0..bytes.len() {
            assert!(CheckpointStatement::from_canonical(&bytes[..length]).is_err());
        }
    }
    // A statement of sequence number zero, which nobody makes, is not taken for a border either.
    let zero = CheckpointStatement { sequence: SequenceNumber::ZERO, ..statement(None) };
    assert!(CheckpointStatement::from_canonical(&zero.to_canonical()).is_err());
}

#[test]
fn naming_two_next_configurations_is_evidence() {
    let mut world = Terms::new(1, &[FOUR, FOUR]);
    world.lost = Box::new(|envelope| is_checkpoint(&envelope.message));
    change(&mut world, 1, 1);
    let disk = &world.nodes[3].posts[&0].disk;
    let first = disk.iter().find_map(|record| match record {
        SafetyRecord::Checkpoint(checkpoint) => Some(Box::new(checkpoint.clone())),
        _ => None,
    });
    let first = first.expect("a vote for the border");
    let mut body = *first.claimed();
    body.statement.next = Some(Digest::of_blob(b"a committee of friends"));
    let context = world.first.context();
    let second = Box::new(Signed::sign(body, &consensus_key(3), context));
    let evidence = Equivocation::Checkpoint { first: first.clone(), second: second.clone() };
    assert_eq!(evidence.verify(&world.first), Ok(id(3)));
    world.liar = Some(3);
    for vote in [first, second] {
        world.input(0, 0, Input::Message(ConsensusMessage::Checkpoint(*vote)));
    }
    world.lost = Box::new(|_| false);
    world.run(2_000);
    assert_eq!(world.accused, [3].into());
    assert_eq!(world.at_terms(), [1; 4], "and the others go on");
}
