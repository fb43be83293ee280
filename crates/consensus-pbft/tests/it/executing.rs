//! An application that cannot execute a decided batch: the replica stops there, and nothing follows.

use consensus_pbft::{ConsensusMessage, Effect, Fault, Input, Rejection, SafetyRecord};
use federation_proto::{LogicalTime, SequenceNumber};

use crate::world::{Event, World};

const FAULT: Fault = Fault::Execution { sequence: SequenceNumber::new(2) };

#[test]
fn a_failed_execution_stops_the_replica_at_that_batch_and_the_others_go_on() {
    for depth in [1, 2, 4] {
        a_failed_execution_stops_the_replica(depth);
    }
}

fn a_failed_execution_stops_the_replica(depth: u64) {
    let mut world = World::of_depth(4, depth);
    // Sequence number 2 is a checkpoint, so its failure also forbids a CHECKPOINT.
    world.nodes[3].app.failing = Some(2);
    for number in 0..7 {
        world.request(number);
    }
    world.run();
    world.check_safety();
    let failed = &world.nodes[3];
    assert_eq!(failed.fault, Some(FAULT));
    assert!(failed.replica.is_halted());
    assert_eq!(failed.replica.executed().get(), 1);
    assert_eq!(failed.app.history.len(), 1, "the application is not called again");
    assert_eq!(failed.rejections.last(), Some(&Rejection::Halted));
    let records = failed.disk.iter().chain(failed.writing.values());
    for record in records {
        // What was in flight with it was voted for before it failed.
        assert!(
            record.sequence().is_some_and(|sequence| sequence.get() <= 1 + depth),
            "a vote after the failure: {record:?}"
        );
        assert!(!matches!(record, SafetyRecord::Checkpoint(_)), "a CHECKPOINT: {record:?}");
    }
    for index in 0..3 {
        assert_eq!(world.nodes[index].app.executed_numbers().len(), 7);
        assert_eq!(world.nodes[index].fault, None);
    }
}

/// Replica 3 hears everything but the first PRE-PREPARE; when that arrives, four batches are due in one step.
#[test]
fn what_became_possible_before_the_failure_stands_and_halting_is_the_last_effect() {
    let mut world = World::with(4, crate::world::small_window(), 1000);
    world.nodes[3].app.failing = Some(2);
    for number in 0..7 {
        world.request(number);
    }
    let mut missing = None;
    while !world.queue.is_empty() {
        let first = |message: &ConsensusMessage| match message {
            ConsensusMessage::Proposal(proposal) => {
                proposal.pre_prepare.claimed().sequence.get() == 1
            }
            _ => false,
        };
        match &world.queue[0] {
            Event::Deliver(3, message) if first(message) => {
                missing = Some(message.clone());
                world.queue.remove(0);
            }
            _ => world.step(0),
        }
    }
    assert_eq!(world.executed(), [4, 4, 4, 0]);

    let node = &mut world.nodes[3];
    let now = LogicalTime::new(world.now);
    let message = missing.expect("the primary proposed");
    let effects = node.replica.handle(now, Input::Message(message), &mut node.app);
    let [
        Effect::Committed { sequence, .. },
        Effect::Persist { token, record: SafetyRecord::Prepare { prepare, .. } },
        Effect::Halted(fault),
    ] = effects.as_slice()
    else {
        panic!("other effects: {effects:?}");
    };
    assert_eq!((sequence.get(), prepare.claimed().sequence.get()), (1, 1));
    assert_eq!(fault, &FAULT);
    assert_eq!(node.replica.executed().get(), 1);
    // Even the vote that was on its way to the disk stays at home.
    let after = node.replica.handle(now, Input::Persisted(*token), &mut node.app);
    assert_eq!(after.as_slice(), [Effect::Refused(Rejection::Halted)]);
    assert_eq!(node.app.history.len(), 1);
}
