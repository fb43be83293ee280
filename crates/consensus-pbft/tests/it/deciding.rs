//! What is decided when all are honest, and what is not when too few are alive.

use consensus_pbft::{Input, Rejection, ReplicaId};
use federation_proto::View;

use crate::federation::{committee, id};
use crate::toy::Refusal;
use crate::world::{Event, World};

#[test]
fn four_replicas_decide() {
    let mut world = World::new(4);
    for number in 0..6 {
        world.request(number);
    }
    world.run();
    world.check_safety();
    for node in &world.nodes {
        assert_eq!(node.app.executed_numbers(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(node.replica.waiting_requests(), 0);
        assert_eq!(node.fault, None);
        assert!(node.evidence.is_empty());
    }
}

#[test]
fn seven_replicas_decide_without_any_two_backups() {
    for (a, b) in [(1, 2), (3, 6), (5, 6)] {
        let mut world = World::new(7);
        world.crash(a);
        world.crash(b);
        world.request(1);
        world.request(2);
        world.run();
        world.check_safety();
        for (index, node) in world.nodes.iter().enumerate() {
            let expected: &[u64] = if [a, b].contains(&index) { &[] } else { &[1, 2] };
            assert_eq!(node.app.executed_numbers(), expected, "replica {index}");
        }
    }
}

#[test]
fn three_of_four_decide_and_two_do_not() {
    let mut world = World::new(4);
    world.crash(2);
    world.request(1);
    world.run();
    assert_eq!(world.executed(), [1, 1, 0, 1]);

    let mut world = World::new(4);
    world.crash(2);
    world.crash(3);
    world.request(1);
    world.run();
    assert_eq!(world.executed(), [0, 0, 0, 0]);
    assert_eq!(world.nodes[1].replica.waiting_requests(), 1);
}

#[test]
fn a_dead_primary_decides_nothing_because_the_view_change_is_not_built() {
    let mut world = World::new(4);
    world.crash(0);
    world.request(1);
    world.run();
    assert_eq!(world.executed(), [0, 0, 0, 0]);
    assert!(world.nodes.iter().all(|node| node.sent.is_empty()));
}

#[test]
fn the_primary_is_the_view_modulo_n() {
    let committee = committee(7);
    let primaries: Vec<ReplicaId> = (5..9).map(|v| committee.primary(View::new(v))).collect();
    assert_eq!(primaries, [id(5), id(6), id(0), id(1)]);
    assert_eq!(committee.primary(View::new(u64::MAX)), id(1));
    assert_eq!((committee.size(), committee.max_faulty(), committee.quorum()), (7, 2, 5));
}

#[test]
fn a_backup_waits_for_what_it_needs_and_is_asked_again_when_woken() {
    let mut world = World::new(4);
    for index in 1..4 {
        world.nodes[index].app.missing.insert(1);
    }
    world.request(1);
    world.run();
    assert!(world.nodes[1].sent.is_empty());
    for index in 1..4 {
        world.input(index, Input::Wake);
    }
    world.run();
    assert_eq!(world.executed(), [0, 0, 0, 0], "still missing");
    for index in 1..4 {
        world.nodes[index].app.missing.clear();
        world.input(index, Input::Wake);
    }
    world.run();
    assert_eq!(world.executed(), [1, 1, 1, 1]);
}

#[test]
fn a_refused_batch_gets_no_vote_but_is_executed_once_a_quorum_decided_it() {
    let mut world = World::new(4);
    world.nodes[3].app.refused.insert(1);
    world.request(1);
    world.run();
    world.check_safety();
    assert_eq!(world.nodes[3].refusals, [Refusal::Listed(1)]);
    assert_eq!(world.executed(), [1, 1, 1, 1]);

    let mut world = World::new(4);
    world.nodes[2].app.refused.insert(1);
    world.nodes[3].app.refused.insert(1);
    world.request(1);
    world.run();
    assert_eq!(world.executed(), [0, 0, 0, 0]);
    assert!(world.nodes[2].sent.is_empty());
}

/// A liar completes a quorum at replica 1 alone. Replicas 0 and 2 still get the vote they miss.
#[test]
fn a_replica_that_learns_a_decision_before_it_voted_still_votes() {
    let mut world = World::new(4);
    world.request(1);
    // Replica 1 hears no PREPARE but everything else; replica 3 is cut off from 0 and 2 once it has prepared.
    let mut held = Vec::new();
    while !world.queue.is_empty() {
        let event = world.queue.remove(0);
        use consensus_pbft::ConsensusMessage::{Commit, Prepare};
        match &event {
            Event::Deliver(1, Prepare(_)) => held.push(event),
            Event::Deliver(0 | 2, Commit(commit)) if commit.claimed().replica == id(3) => {}
            _ => {
                world.queue.insert(0, event);
                world.step(0);
            }
        }
    }
    assert_eq!(world.executed(), [0, 1, 0, 1]);
    world.queue = held;
    world.run();
    assert_eq!(world.executed(), [1, 1, 1, 1]);
}

#[test]
fn lost_messages_are_made_good_by_resending() {
    let mut world = World::new(4);
    world.request(1);
    // Everything that was sent until now is lost, three times over.
    for _ in 0..3 {
        for _ in 0..100 {
            let acknowledge = |event: &Event| matches!(event, Event::Acknowledge(..));
            let Some(position) = world.queue.iter().position(acknowledge) else {
                break;
            };
            world.step(position);
        }
        world.filter(|_| false);
        for index in 0..4 {
            world.input(index, Input::Resend);
        }
    }
    world.run();
    assert_eq!(world.executed(), [1, 1, 1, 1]);
    let before = world.executed();
    for index in 0..4 {
        world.input(index, Input::Resend);
    }
    world.run();
    assert_eq!(world.executed(), before, "resending decides nothing new");
    let duplicate = |r: &Rejection| matches!(r, Rejection::Duplicate { .. });
    assert!(world.nodes[1].rejections.iter().any(duplicate));
    assert!(world.nodes.iter().all(|node| node.evidence.is_empty()));
}
