//! Proposals that wait are judged by the time of their arrival, however long they waited.

use consensus_pbft::{ConsensusMessage, Input, SafetyRecord};

use crate::toy::Refusal;
use crate::world::{Event, World};

/// Milliseconds that a batch may be old when it arrives; far more than any run below takes of itself.
const MAX_AGE: u64 = 1_000;
/// What the waiting takes.
const PAUSE: u64 = 10 * MAX_AGE;

fn world() -> World {
    patient(World::new(4))
}

fn patient(mut world: World) -> World {
    for node in &mut world.nodes {
        node.app.max_age = MAX_AGE;
    }
    world
}

#[test]
fn a_proposal_that_waited_for_data_is_as_old_as_it_was_on_arrival() {
    let mut world = world();
    for index in 1..4 {
        world.nodes[index].app.missing.insert(1);
    }
    world.request(1);
    world.run();
    world.now += PAUSE;
    // Neither a second asking nor a second arrival makes it younger or older.
    for index in 1..4 {
        world.input(index, Input::Wake);
    }
    world.input(0, Input::Resend);
    world.run();
    assert_eq!(world.executed(), [0, 0, 0, 0], "still missing");
    for index in 1..4 {
        world.nodes[index].app.missing.clear();
        world.input(index, Input::Wake);
    }
    world.run();
    assert_eq!(world.executed(), [1, 1, 1, 1]);
    assert!(world.nodes.iter().all(|node| node.refusals.is_empty()));
}

/// Replica 3 gets the second PRE-PREPARE in time, and what decides the first one long after.
#[test]
fn a_proposal_that_waited_for_its_predecessor_is_as_old_as_it_was_on_arrival() {
    let mut world = patient(World::of_depth(4, 1));
    world.request(1);
    world.request(2);
    let mut late = Vec::new();
    while !world.queue.is_empty() {
        match &world.queue[0] {
            Event::Deliver(3, ConsensusMessage::Commit(commit)) => {
                let first = commit.claimed().sequence.get() == 1;
                let event = world.queue.remove(0);
                // COMMITs of the second are lost, or it would be decided without being judged.
                late.extend(first.then_some(event));
            }
            _ => world.step(0),
        }
    }
    let prepared_second = |world: &World| {
        world.nodes[3].disk.iter().any(|record| match record {
            SafetyRecord::Prepare { .. } => {
                record.sequence().is_some_and(|sequence| sequence.get() == 2)
            }
            _ => false,
        })
    };
    assert_eq!(world.executed(), [2, 2, 2, 0]);
    assert!(!prepared_second(&world), "it waits for its predecessor");
    world.now += PAUSE;
    world.queue = late;
    world.run();
    assert_eq!(world.nodes[3].refusals, []);
    assert!(prepared_second(&world));
}

#[test]
fn a_proposal_that_arrives_late_is_late() {
    let mut world = world();
    world.request(1);
    let arrives = |event: &Event| matches!(event, Event::Deliver(_, ConsensusMessage::Proposal(_)));
    while !world.queue.iter().any(arrives) {
        world.step(0);
    }
    world.now += PAUSE;
    world.run();
    for index in 1..4 {
        let refusals = &world.nodes[index].refusals;
        assert!(matches!(refusals[..], [Refusal::Late { arrived, .. }] if arrived > PAUSE));
    }
    assert_eq!(world.executed(), [0, 0, 0, 0]);
}
