//! Views that end and begin: the traps of other implementations, each under its number.

use consensus_pbft::{
    ConsensusMessage, Input, NewViewFault, PreparedCertificate, Rejection, SafetyRecord,
    ViewChange, ViewChangeFault, Vote,
};
use federation_proto::{SequenceNumber, Signed, View};

use crate::federation::{committee_of, consensus_key, genesis, id};
use crate::world::{Event, World};

/// A VIEW-CHANGE of a replica that proves nothing but itself.
fn bare(index: usize, view: u64) -> ViewChange {
    ViewChange { view: View::new(view), stable: None, prepared: Vec::new(), replica: id(index) }
}

fn signed(world: &World, index: usize, change: ViewChange) -> ConsensusMessage {
    let change = Signed::sign(change, &consensus_key(index), world.committee.context());
    ConsensusMessage::ViewChange(Box::new(change))
}

/// The VIEW-CHANGEs that a replica sent.
fn sent_changes(world: &World, index: usize) -> Vec<ConsensusMessage> {
    let sent = world.nodes[index].sent.iter();
    sent.filter(|message| matches!(message, ConsensusMessage::ViewChange(_))).cloned().collect()
}

#[test]
fn a_dead_primary_is_replaced_and_the_request_executed() {
    let mut world = World::new(4);
    world.crash(0);
    world.request(1);
    world.run();
    assert_eq!(world.executed(), [0, 0, 0, 0]);
    world.time_out();
    assert_eq!(world.executed(), [0, 1, 1, 1]);
    assert_eq!(world.views()[1..], [(1, true); 3]);
    world.request(2);
    world.run();
    assert_eq!(world.executed(), [0, 2, 2, 2]);
    world.check_safety();
}

#[test]
fn dead_primaries_in_a_row_are_replaced() {
    let mut world = World::new(7);
    world.crash(0);
    world.crash(1);
    world.request(1);
    world.run();
    world.time_out();
    assert!(world.views()[2..].iter().all(|view| *view == (1, false)), "{:?}", world.views());
    world.wait(1_000_000);
    assert_eq!(world.executed(), [0, 0, 1, 1, 1, 1, 1]);
    assert_eq!(world.views()[2], (2, true));
}

/// What was prepared may be decided somewhere: the next view keeps its place.
#[test]
fn a_prepared_batch_keeps_its_place_in_the_next_view() {
    let mut world = World::new(4);
    world.request(1);
    // No COMMIT arrives anywhere.
    while !world.queue.is_empty() {
        world.filter(|event| !matches!(event, Event::Deliver(_, ConsensusMessage::Commit(_))));
        if !world.queue.is_empty() {
            world.step(0);
        }
    }
    let prepared = world.nodes[1].disk.iter().find_map(|record| match record {
        SafetyRecord::Commit { commit, .. } => Some(commit.claimed().digest),
        _ => None,
    });
    world.crash(0);
    world.request(2);
    world.time_out();
    assert_eq!(world.executed(), [0, 2, 2, 2]);
    let (_, _, proof) = &world.nodes[1].app.history[0];
    assert_eq!((Some(proof.digest), proof.view), (prepared, View::new(1)));
    assert_eq!(world.nodes[1].app.executed_numbers(), [1, 2]);
    world.check_safety();
}

#[test]
fn trap_2_replicas_with_different_checkpoints_begin_one_view() {
    let mut world = World::new(4);
    // Replica 3 hears no CHECKPOINT: its stable checkpoint stays behind.
    let deaf = |event: &Event| !matches!(event, Event::Deliver(3, ConsensusMessage::Checkpoint(_)));
    for number in 1..=3 {
        world.request(number);
        while !world.queue.is_empty() {
            world.filter(deaf);
            if !world.queue.is_empty() {
                world.step(0);
            }
        }
    }
    let low = |world: &World, index: usize| world.nodes[index].replica.watermarks().0.get();
    assert!(low(&world, 1) > low(&world, 3), "different checkpoints");
    world.crash(0);
    world.request(4);
    world.time_out();
    world.resend();
    let done = world.nodes[1].app.executed_numbers().len();
    assert_eq!(done, 4);
    for index in [2, 3] {
        assert_eq!(world.nodes[index].app.executed_numbers().len(), 4, "replica {index}");
    }
    world.check_safety();
}

#[test]
fn trap_6_requests_during_a_view_change_move_no_deadline() {
    let mut world = World::new(4);
    world.crash(0);
    world.crash(1);
    world.request(1);
    world.run();
    world.time_out();
    // Two of four have left: no quorum, so nobody's patience runs.
    assert_eq!(world.views()[2..], [(1, false); 2]);
    for number in 2..=9 {
        world.request(number);
    }
    world.run();
    for index in [2, 3] {
        assert_eq!(world.nodes[index].replica.deadline(), None);
    }
    world.wait(1_000_000);
    assert_eq!(world.views()[2..], [(1, false); 2], "and nobody runs ahead");
}

#[test]
fn trap_7_one_forged_certificate_condemns_its_view_change_and_masks_nobody() {
    let mut world = World::new(4);
    world.request(1);
    world.run();
    let honest = world.nodes[1].disk.iter().find_map(|record| match record {
        SafetyRecord::Prepare { proposal, .. } => Some(proposal.pre_prepare.clone()),
        _ => None,
    });
    let pre_prepare = honest.expect("a proposal");
    let vote = |index: usize| Vote { replica: id(index), signature: *pre_prepare.signature() };
    let forged =
        PreparedCertificate { pre_prepare: pre_prepare.clone(), votes: vec![vote(2), vote(3)] };
    let change = ViewChange { prepared: vec![forged], ..bare(3, 1) };
    let message = signed(&world, 3, change);
    world.input(1, Input::Message(message));
    let last = world.nodes[1].rejections.last();
    let sequence = SequenceNumber::new(1);
    assert!(
        matches!(last, Some(Rejection::ViewChange { cause: ViewChangeFault::Prepared { sequence: at, .. }, .. }) if *at == sequence),
        "{last:?}"
    );
    // The honest ones begin the view without it.
    world.crash(0);
    world.request(2);
    world.time_out();
    assert_eq!(world.nodes[1].app.executed_numbers(), [1, 2]);
}

#[test]
fn trap_8_f_bogus_view_changes_move_nobody() {
    let mut world = World::new(4);
    for view in [1, 2, 1000, 1024] {
        let message = signed(&world, 3, bare(3, view));
        for index in 0..3 {
            world.input(index, Input::Message(message.clone()));
        }
        world.run();
        assert_eq!(world.views()[..3], [(0, true); 3], "view {view}");
    }
    let huge = signed(&world, 3, bare(3, u64::MAX));
    world.input(1, Input::Message(huge));
    let (found, own) = (View::new(u64::MAX), View::ZERO);
    assert_eq!(world.nodes[1].rejections.last(), Some(&Rejection::ViewTooFar { found, own }));
    world.request(1);
    world.run();
    assert_eq!(world.executed(), [1, 1, 1, 1]);
}

#[test]
fn f_and_one_that_are_further_take_everybody_along() {
    let mut world = World::new(4);
    for liar in [2, 3] {
        let message = signed(&world, liar, bare(liar, 5));
        for index in 0..2 {
            world.input(index, Input::Message(message.clone()));
        }
    }
    world.run();
    assert_eq!(world.views()[0].0, 5);
    assert_eq!(world.views()[1], (5, true), "its primary begins it");
}

#[test]
fn trap_9_recorded_view_changes_rewind_nobody() {
    let mut world = World::new(4);
    world.crash(0);
    world.request(1);
    world.run();
    world.time_out();
    let recorded: Vec<ConsensusMessage> =
        world.nodes.iter().flat_map(|node| node.sent.clone()).collect();
    world.crash(1);
    world.nodes[0].alive = true;
    world.restart(0);
    world.request(2);
    world.resend();
    world.time_out();
    let views = world.views();
    assert!(views[2].0 > 1 && views[2].1, "{views:?}");
    for message in recorded {
        for index in [0, 2, 3] {
            world.input(index, Input::Message(message.clone()));
        }
    }
    world.run();
    assert_eq!(world.views(), views);
    world.check_safety();
}

#[test]
fn trap_10_a_view_change_of_another_configuration_counts_for_nothing() {
    let mut world = World::new(4);
    let other = committee_of(genesis(4, "here", 1));
    for liar in [2, 3] {
        let change = Signed::sign(bare(liar, 1), &consensus_key(liar), other.context());
        let message = ConsensusMessage::ViewChange(Box::new(change));
        world.input(1, Input::Message(message));
    }
    assert!(matches!(
        world.nodes[1].rejections.as_slice(),
        [Rejection::BadSignature { .. }, Rejection::BadSignature { .. }]
    ));
    assert_eq!(world.views()[1], (0, true));
}

#[test]
fn trap_12_nothing_is_executed_twice_by_an_answer_and_a_new_view() {
    let mut world = World::new(4);
    // Replica 3 misses everything that is decided first.
    world.request(1);
    while !world.queue.is_empty() {
        world.filter(|event| !matches!(event, Event::Deliver(3, _)));
        if !world.queue.is_empty() {
            world.step(0);
        }
    }
    assert_eq!(world.executed(), [1, 1, 1, 0]);
    world.crash(0);
    world.request(2);
    world.time_out();
    world.resend();
    world.resend();
    assert_eq!(world.executed()[1..], [2, 2, 2]);
    world.check_safety();
}

#[test]
fn trap_13_a_replica_that_was_transferred_takes_part_again() {
    let mut world = World::new(4);
    // More than one checkpoint passes without replica 3, and a view change.
    for number in 1..=5 {
        world.request(number);
        if number == 3 {
            world.crash(0);
            world.time_out();
        }
        while !world.queue.is_empty() {
            world.filter(|event| !matches!(event, Event::Deliver(3, _)));
            if !world.queue.is_empty() {
                world.step(0);
            }
        }
        if number == 2 {
            // It hears of the view change only.
            world.resend();
        }
    }
    world.resend();
    world.transfer();
    world.resend();
    world.resend();
    world.request(6);
    world.resend();
    world.time_out();
    let executed = world.executed();
    assert_eq!(executed[3], executed[1], "{executed:?}");
    assert_eq!(world.views()[3], world.views()[1]);
    world.check_safety();
}

/// A replica crashes after every single event, comes back, and everything is executed; it never says two things.
#[test]
fn trap_16_a_vote_survives_a_crash_at_every_point() {
    let mut points = 0;
    for victim in 0..4 {
        for crash_after in 0.. {
            let mut world = World::new(4);
            world.request(1);
            world.request(2);
            let mut steps = 0;
            while steps < crash_after && !world.queue.is_empty() {
                world.step(0);
                steps += 1;
            }
            if world.queue.is_empty() {
                break;
            }
            points += 1;
            world.crash(victim);
            // What is under way to it is lost.
            world.filter(|event| !matches!(event, Event::Deliver(to, _) if *to == victim));
            world.restart(victim);
            world.run();
            world.request(1);
            world.request(2);
            for _ in 0..4 {
                world.resend();
            }
            for _ in 0..4 {
                world.time_out();
                world.resend();
                world.transfer();
            }
            world.check_safety();
            for node in &world.nodes {
                let mut numbers = node.app.executed_numbers();
                numbers.sort_unstable();
                assert_eq!(numbers, [1, 2], "victim {victim} after {crash_after}");
                assert_eq!(node.evidence, [], "victim {victim} after {crash_after}");
            }
        }
    }
    assert!(points > 200, "{points} points");
}

#[test]
fn trap_20_evidence_is_in_the_records_after_a_restart() {
    let mut world = World::new(4);
    world.request(1);
    let conflicting = |world: &World, number: u64| {
        let context = world.committee.context();
        let batch = crate::federation::batch(context, &[number]);
        let body = consensus_pbft::PrePrepare {
            view: View::ZERO,
            sequence: SequenceNumber::new(1),
            digest: batch.digest(context, SequenceNumber::new(1)),
            replica: id(0),
        };
        let pre_prepare = Signed::sign(body, &consensus_key(0), context);
        ConsensusMessage::Proposal(consensus_pbft::Proposal { pre_prepare, batch })
    };
    for number in [7, 8] {
        let message = conflicting(&world, number);
        world.input(1, Input::Message(message));
    }
    world.run();
    world.crash(1);
    world.restart(1);
    let kept = world.nodes[1].disk.iter().filter_map(|record| match record {
        SafetyRecord::Evidence(evidence) => Some(evidence.verify(&world.committee)),
        _ => None,
    });
    assert_eq!(kept.collect::<Vec<_>>(), [Ok(id(0))]);
}

#[test]
fn a_new_view_that_does_not_follow_is_refused() {
    let mut world = World::new(4);
    world.crash(0);
    world.request(1);
    world.run();
    world.time_out();
    let new_view = world.nodes[1].sent.iter().find_map(|message| match message {
        ConsensusMessage::NewView(new_view) => Some(new_view.claimed().clone()),
        _ => None,
    });
    let good = new_view.expect("the primary of view 1 began it");
    let mut fewer = good.clone();
    fewer.view_changes.pop();
    let mut twice = good.clone();
    twice.view_changes[1] = twice.view_changes[0].clone();
    let mut more = good.clone();
    let body = consensus_pbft::PrePrepare {
        view: good.view,
        sequence: SequenceNumber::new(1),
        digest: world.digest_of(&[1], 1),
        replica: id(1),
    };
    more.pre_prepares.push(Signed::sign(body, &consensus_key(1), world.committee.context()));
    let fresh = World::new(4);
    let mut world = fresh;
    for (bent, fault) in [
        (fewer, NewViewFault::BelowQuorum { found: 2, needed: 3 }),
        (
            twice.clone(),
            NewViewFault::Unordered { replica: twice.view_changes[1].claimed().replica },
        ),
        (more, NewViewFault::Proposals { expected: 0, found: 1 }),
    ] {
        let bent = Signed::sign(bent, &consensus_key(1), world.committee.context());
        world.input(2, Input::Message(ConsensusMessage::NewView(Box::new(bent))));
        let (replica, cause) = (id(1), Box::new(fault));
        assert_eq!(world.nodes[2].rejections.last(), Some(&Rejection::NewView { replica, cause }));
        assert_eq!(world.views()[2], (0, true));
    }
    let by_another = Signed::sign(good.clone(), &consensus_key(3), world.committee.context());
    world.input(2, Input::Message(ConsensusMessage::NewView(Box::new(by_another))));
    assert!(matches!(world.nodes[2].rejections.last(), Some(Rejection::BadSignature { .. })));
    // The good one is accepted by whoever comes late.
    let good = Signed::sign(good, &consensus_key(1), world.committee.context());
    world.input(2, Input::Message(ConsensusMessage::NewView(Box::new(good))));
    assert_eq!(world.views()[2], (1, true));
}

/// What the NEW-VIEW settled is decided somewhere: whoever is behind must not vote for anything else there.
#[test]
fn whoever_is_behind_accepts_no_new_batch_where_a_checkpoint_is_stable() {
    let mut world = World::new(4);
    // Replica 3 misses the first two batches and the checkpoint after them.
    for number in 1..=2 {
        world.request(number);
        while !world.queue.is_empty() {
            world.filter(|event| !matches!(event, Event::Deliver(3, _)));
            if !world.queue.is_empty() {
                world.step(0);
            }
        }
    }
    world.crash(0);
    world.request(3);
    world.time_out();
    assert_eq!(world.views()[3], (1, true));
    assert_eq!((world.executed()[3], world.nodes[3].replica.watermarks().0.get()), (0, 0));
    // The primary of view 1 would have another order.
    let (sequence, context) = (SequenceNumber::new(1), *world.committee.context());
    let (view, digest) = (View::new(1), world.digest_of(&[9], 1));
    let body = consensus_pbft::PrePrepare { view, sequence, digest, replica: id(1) };
    let pre_prepare = Signed::sign(body, &consensus_key(1), &context);
    let batch = crate::federation::batch(&context, &[9]);
    let other = consensus_pbft::Proposal { pre_prepare, batch };
    world.input(3, Input::Message(ConsensusMessage::Proposal(other)));
    let (settled, floor) = (world.nodes[3].rejections.last(), SequenceNumber::new(2));
    assert_eq!(settled, Some(&Rejection::Settled { sequence, floor }));
    assert!(world.nodes[3].writing.is_empty(), "no vote");
}

#[test]
fn a_view_change_is_sent_again_byte_for_byte_after_a_restart() {
    let mut world = World::new(4);
    world.crash(0);
    world.crash(1);
    world.request(1);
    world.run();
    world.time_out();
    let before = sent_changes(&world, 2);
    assert_eq!(before.len(), 1);
    world.crash(2);
    world.restart(2);
    world.nodes[2].sent.clear();
    world.input(2, Input::Resend);
    assert_eq!(sent_changes(&world, 2), before);
    assert_eq!(world.views()[2], (1, false));
}
