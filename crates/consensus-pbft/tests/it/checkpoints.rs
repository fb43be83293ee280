//! Watermarks, garbage collection, and replicas that disagree about a result.

use consensus_pbft::{ConsensusMessage, Fault, Input, Rejection, SafetyRecord};
use federation_proto::SequenceNumber;

use crate::federation::id;
use crate::world::{Event, World};

fn is_checkpoint_for(event: &Event, index: usize) -> bool {
    matches!(event, Event::Deliver(to, ConsensusMessage::Checkpoint(_)) if *to == index)
}

#[test]
fn a_stable_checkpoint_moves_the_watermarks_and_empties_the_log() {
    let mut world = World::new(4);
    for number in 0..7 {
        world.request(number);
    }
    world.run();
    let four = SequenceNumber::new(4);
    for node in &world.nodes {
        let stable = node.stable.iter().map(|c| c.statement.sequence.get());
        assert_eq!(stable.collect::<Vec<_>>(), [2, 4]);
        assert_eq!(node.replica.watermarks(), (four, SequenceNumber::new(8)));
        assert_eq!(node.replica.stable_checkpoint(), node.stable.last());
    }
    // A replay of everything ever said is refused and changes nothing.
    let before = format!("{:?}", world.nodes[1].replica);
    world.nodes[1].rejections.clear();
    for message in world.nodes[2].sent.clone() {
        world.input(1, Input::Message(message));
    }
    let refused = &world.nodes[1].rejections;
    assert_eq!(refused.len(), world.nodes[2].sent.len());
    let sequence = SequenceNumber::new(1);
    assert!(refused.contains(&Rejection::BelowWatermark { sequence, low: four }));
    assert_eq!(format!("{:?}", world.nodes[1].replica), before);
}

#[test]
fn without_checkpoints_the_primary_stops_at_the_high_watermark() {
    let mut world = World::with(4, crate::world::small_window(), 1000);
    for number in 0..20 {
        world.request(number);
    }
    world.run();
    world.check_safety();
    assert_eq!(world.executed(), [4, 4, 4, 4]);
    for node in &world.nodes {
        let mut records = node.disk.iter().filter_map(SafetyRecord::sequence);
        assert!(records.all(|sequence| sequence.get() <= 4), "a vote beyond H");
    }
}

/// Replica 3 hears no CHECKPOINT, so its watermarks stay behind while the others move a whole window ahead.
#[test]
fn trap_4_a_primary_whose_watermark_moved_first_is_not_ignored() {
    let mut world = World::new(4);
    for number in 0..14 {
        world.request(number);
    }
    let mut late = Vec::new();
    while !world.queue.is_empty() {
        if is_checkpoint_for(&world.queue[0], 3) {
            late.push(world.queue.remove(0));
        } else {
            world.step(0);
        }
    }
    let lag = &world.nodes[3];
    assert_eq!(world.executed(), [8, 8, 8, 4]);
    assert_eq!(lag.replica.watermarks().1, SequenceNumber::new(4));
    assert_eq!(lag.rejections, [], "held, not refused");
    // Its checkpoints arrive late: it finishes from what it holds, without anybody sending again.
    let sent: Vec<usize> = world.nodes.iter().map(|node| node.sent.len()).collect();
    world.queue = late;
    world.run();
    assert_eq!(world.executed(), [8, 8, 8, 8]);
    for (index, sent) in sent.into_iter().enumerate().take(3) {
        assert_eq!(world.nodes[index].sent.len(), sent, "nobody sent again");
    }
    // The fourth CHECKPOINT of each certificate came when three had made it stable.
    let superfluous = |r: &Rejection| matches!(r, Rejection::BelowWatermark { .. });
    assert!(world.nodes[3].rejections.iter().all(superfluous));
    world.check_safety();
}

/// A liar certifies a checkpoint at one replica alone; its own vote still reaches the others.
#[test]
fn a_certificate_made_without_us_does_not_silence_our_vote() {
    let mut world = World::new(4);
    for number in 0..2 {
        world.request(number);
    }
    let withheld = |event: &Event| match event {
        // Replica 3 tells its result to replica 1 only.
        Event::Deliver(to, ConsensusMessage::Checkpoint(c)) => {
            c.claimed().replica == id(3) && *to != 1
        }
        _ => false,
    };
    while !world.queue.is_empty() {
        world.filter(|event| !withheld(event));
        // Replica 1's disk is slow to answer.
        let fast = |event: &Event| !matches!(event, Event::Acknowledge(1, _));
        let position = world.queue.iter().position(fast).unwrap_or(0);
        world.step(position);
    }
    for index in 0..4 {
        assert_eq!(world.nodes[index].stable.len(), 1, "replica {index}");
    }
}

#[test]
fn a_replica_whose_result_a_quorum_contradicts_halts_and_the_others_go_on() {
    let mut world = World::new(4);
    world.nodes[2].app.corruption = 1;
    for number in 0..7 {
        world.request(number);
    }
    world.run();
    world.check_safety();
    let Some(Fault::Diverged { own, certificate }) = &world.nodes[2].fault else {
        panic!("replica 2 goes on: {:?}", world.nodes[2].fault);
    };
    assert_eq!(certificate.verify(&world.committee), Ok(()));
    let own = own.as_ref().expect("it made a checkpoint");
    assert_eq!(own.sequence, certificate.statement.sequence);
    assert_ne!(own.state_root, certificate.statement.state_root);
    assert!(world.nodes[2].replica.is_halted());
    assert_eq!(world.nodes[2].rejections.last(), Some(&Rejection::Halted));
    for index in [0, 1, 3] {
        assert_eq!(world.nodes[index].app.executed_numbers().len(), 7);
        assert_eq!(world.nodes[index].fault, None);
    }
}

#[test]
fn one_contradicting_replica_halts_nobody_else_and_two_stop_stability() {
    let mut world = World::new(4);
    world.nodes[2].app.corruption = 1;
    world.nodes[3].app.corruption = 2;
    for number in 0..20 {
        world.request(number);
    }
    world.run();
    world.check_safety();
    for node in &world.nodes {
        assert_eq!(node.fault, None, "no quorum contradicts anybody");
        assert!(node.stable.is_empty());
        assert_eq!(node.replica.executed().get(), 4, "the window is full");
    }
}

#[test]
fn a_replica_that_made_no_checkpoint_where_a_quorum_did_halts() {
    let mut world = World::new(4);
    world.nodes[3].app.interval = 3;
    for number in 0..4 {
        world.request(number);
    }
    world.run();
    let fault = world.nodes[3].fault.as_ref();
    assert!(matches!(fault, Some(Fault::Diverged { own: None, .. })), "{fault:?}");
}

/// The vote that made a checkpoint stable stays, even when our disk answered after the others' quorum.
#[test]
fn resending_includes_our_vote_for_the_stable_checkpoint() {
    let mut world = World::new(4);
    for number in 0..2 {
        world.request(number);
    }
    loop {
        let slow = |event: &Event| matches!(event, Event::Acknowledge(1, _));
        match world.queue.iter().position(|event| !slow(event)) {
            Some(position) => world.step(position),
            None if world.queue.is_empty() => break,
            None => world.step(0),
        }
    }
    assert_eq!(world.nodes[1].stable.len(), 1);
    let own = |message: &ConsensusMessage| matches!(message, ConsensusMessage::Checkpoint(_));
    let before = world.nodes[1].sent.iter().filter(|m| own(m)).count();
    world.input(1, Input::Resend);
    let after = world.nodes[1].sent.iter().filter(|m| own(m)).count();
    assert_eq!((before, after), (1, 2));
}
