//! The driver's law: a vote leaves, and counts, only after its record is durable.

use std::collections::BTreeSet;

use consensus_pbft::{ConsensusMessage, Effect, Input, Rejection, SafetyRecord};
use federation_proto::codec::Canonical;
use federation_proto::{LogicalTime, SequenceNumber};

use crate::world::{Event, World};

fn is_acknowledgement_of(event: &Event, index: usize) -> bool {
    matches!(event, Event::Acknowledge(at, _) if *at == index)
}

/// One replica's disk stops answering after `answers` records. What it never made durable it never said.
#[test]
fn trap_16_in_part_no_vote_leaves_before_its_record_whatever_acknowledgement_is_lost() {
    for victim in 0..4 {
        for answers in 0..8 {
            let mut world = World::new(4);
            for number in 0..5 {
                world.request(number);
            }
            let mut answered = 0;
            while !world.queue.is_empty() {
                if is_acknowledgement_of(&world.queue[0], victim) {
                    if answered == answers {
                        world.queue.remove(0);
                        continue;
                    }
                    answered += 1;
                }
                // Every broadcast is compared with the disk in here.
                world.step(0);
            }
            world.check_safety();
            let node = &world.nodes[victim];
            assert!(node.disk.len() <= answers, "victim {victim}, {answers} answers");
            let votes = node.disk.iter();
            let votes = votes.filter(|record| !matches!(record, SafetyRecord::Evidence(_)));
            assert_eq!(node.sent.len(), votes.count(), "victim {victim}, {answers} answers");
            if victim != 0 {
                // The other three form a quorum without it.
                for other in (0..4).filter(|other| *other != victim) {
                    assert_eq!(world.nodes[other].app.executed_numbers().len(), 5);
                }
            }
        }
    }
}

/// A crash after each single event: at no point had anything been said that the disk does not know.
#[test]
fn trap_16_in_part_a_crash_after_every_event_leaves_each_sent_vote_on_disk() {
    let events = {
        let mut world = World::new(4);
        world.request(1);
        world.request(2);
        let mut events = 0;
        while !world.queue.is_empty() {
            world.step(0);
            events += 1;
        }
        events
    };
    assert!(events > 50, "{events} events");
    for victim in 0..4 {
        for crash_after in 0..events {
            let mut world = World::new(4);
            world.request(1);
            world.request(2);
            for _ in 0..crash_after {
                if !world.queue.is_empty() {
                    world.step(0);
                }
            }
            world.crash(victim);
            world.run();
            world.check_safety();
            let node = &world.nodes[victim];
            let slots: BTreeSet<_> =
                node.disk.iter().map(|record| (record.kind(), record.sequence())).collect();
            assert_eq!(slots.len(), node.disk.len(), "two records of a kind for a slot");
            if victim != 0 {
                let others = (0..4).filter(|other| *other != victim);
                for other in others {
                    assert_eq!(world.nodes[other].app.executed_numbers(), [1, 2]);
                }
            }
        }
    }
}

#[test]
fn an_unacknowledged_vote_does_not_count_for_its_own_replica() {
    let mut world = World::new(4);
    world.crash(3);
    world.request(1);
    // Replicas 0, 1, 2 are exactly a quorum; 2 never hears from its disk.
    while let Some(position) = world.queue.iter().position(|event| !is_acknowledgement_of(event, 2))
    {
        world.step(position);
    }
    assert_eq!(world.executed(), [0, 0, 0, 0]);
    assert_eq!(world.nodes[2].writing.len(), 1);
    world.run();
    assert_eq!(world.executed(), [1, 1, 1, 0]);
}

#[test]
fn acknowledgements_may_come_in_any_order_but_not_twice() {
    let mut world = World::new(4);
    world.request(1);
    while !world.queue.is_empty() {
        let last = world.queue.len() - 1;
        world.step(last);
    }
    world.check_safety();
    assert_eq!(world.executed(), [1, 1, 1, 1]);

    let mut world = World::new(4);
    world.request(1);
    let Some(Event::Acknowledge(0, token)) = world.queue.first().cloned() else {
        panic!("the primary persists its proposal first");
    };
    world.step(0);
    let before = format!("{:?}", world.nodes[0].replica);
    world.input(0, Input::Persisted(token));
    assert_eq!(world.nodes[0].rejections, [Rejection::UnknownToken { token }]);
    assert_eq!(format!("{:?}", world.nodes[0].replica), before);
}

#[test]
fn a_commit_record_holds_the_prepared_certificate_and_every_record_has_one_form() {
    let mut world = World::new(4);
    for number in 0..4 {
        world.request(number);
    }
    world.run();
    let quorum = world.committee.quorum();
    for node in &world.nodes {
        for record in &node.disk {
            let bytes = record.to_canonical();
            assert_eq!(SafetyRecord::from_canonical(&bytes).as_ref(), Ok(record));
            if let SafetyRecord::Commit { prepares, commit } = record {
                assert!(1 + prepares.len() >= quorum);
                let digest = commit.claimed().digest;
                assert!(prepares.iter().all(|p| p.claimed().digest == digest));
            }
        }
    }
}

/// The whole list of effects, in order: nothing else may come out.
#[test]
fn a_proposal_leads_to_exactly_one_record_and_its_acknowledgement_to_exactly_one_message() {
    let mut world = World::new(4);
    world.request(1);
    world.step(0);
    let [ConsensusMessage::Proposal(proposal)] = &world.nodes[0].sent[..] else {
        panic!("one proposal");
    };
    let proposal = proposal.clone();
    let message = Input::Message(ConsensusMessage::Proposal(proposal.clone()));
    let node = &mut world.nodes[1];
    let effects = node.replica.handle(LogicalTime::ZERO, message, &mut node.app);
    let [Effect::Persist { token, record }] = effects.as_slice() else {
        panic!("one record: {effects:?}");
    };
    let SafetyRecord::Prepare { proposal: held, prepare } = record else {
        panic!("a PREPARE: {record:?}");
    };
    assert_eq!(held, &proposal);
    let input = Input::Persisted(*token);
    let sent = node.replica.handle(LogicalTime::ZERO, input, &mut node.app);
    let expected = ConsensusMessage::Prepare(prepare.clone());
    assert_eq!(sent.as_slice(), [Effect::Broadcast(expected)]);
}

/// The replica is on its way to view 2, not durably, when a checkpoint becomes stable and the log is cut; then it crashes.
/// It said that it left view 0, so it must not be found in view 0 again.
#[test]
fn a_view_that_was_left_is_not_entered_again_after_the_log_was_cut() {
    let mut world = World::new(4);
    world.crash(0);
    world.request(1);
    world.time_out();
    world.request(2);
    world.run();
    assert_eq!(world.nodes[3].replica.watermarks().0, SequenceNumber::new(2));
    world.crash(1);
    world.request(3);
    world.run();
    world.now += 1;
    world.input(3, Input::Wake);
    world.now += 1_000_000;
    world.input(3, Input::Wake);
    assert_eq!(world.views()[3], (2, false));
    let stable = world.nodes[3].stable.last().expect("a stable checkpoint").statement;
    assert_eq!(stable.sequence, SequenceNumber::new(2));
    SafetyRecord::cut(&mut world.nodes[3].disk, &stable);
    world.crash(3);
    world.restart(3);
    assert_eq!(world.views()[3], (1, false));
    let kinds: Vec<_> = world.nodes[3].disk.iter().map(SafetyRecord::kind).collect();
    assert_eq!(kinds, ["VIEW-CHANGE"], "what is stable is cut");
}
