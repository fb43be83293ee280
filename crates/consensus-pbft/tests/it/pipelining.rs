//! Several sequence numbers in flight: assigned and judged in order, executed in order and once, whatever ends the view.

use consensus_pbft::{ConsensusMessage, Input, SafetyRecord};
use federation_proto::View;

use crate::federation::batch;
use crate::limits::proposal;
use crate::toy::{Refusal, numbers};
use crate::world::{Event, World, small_window};

/// One request a batch, so that four of them fill a window of four.
fn one_each(mut world: World) -> World {
    for node in &mut world.nodes {
        node.app.batch_size = 1;
    }
    world
}

fn sequence_of(event: &Event) -> Option<u64> {
    match event {
        Event::Deliver(_, message) => message.claimed_sequence().map(|sequence| sequence.get()),
        Event::Acknowledge(..) => None,
    }
}

fn is_commit(event: &Event) -> bool {
    matches!(event, Event::Deliver(_, ConsensusMessage::Commit(_)))
}

fn is_prepare(event: &Event) -> bool {
    matches!(event, Event::Deliver(_, ConsensusMessage::Prepare(_)))
}

/// The sequence numbers of the records of a kind, as they were written.
fn recorded(world: &World, index: usize, kind: &str) -> Vec<u64> {
    let disk = world.nodes[index].disk.iter().filter(|record| record.kind() == kind);
    disk.filter_map(SafetyRecord::sequence).map(|sequence| sequence.get()).collect()
}

#[test]
fn as_many_are_in_flight_as_the_pipeline_is_deep_and_each_is_committed_before_the_first_is_executed()
 {
    for depth in [1, 2, 3, 4] {
        let mut world = one_each(World::of_depth(4, depth));
        for number in 1..=6 {
            world.request(number);
        }
        // The first is never decided, the others are prepared and committed all the same.
        world.run_without(|event| is_commit(event) && sequence_of(event) == Some(1));
        let expected: Vec<u64> = (1..=depth).collect();
        assert_eq!(recorded(&world, 0, "PRE-PREPARE"), expected, "depth {depth}");
        for index in 0..4 {
            let mut committed = recorded(&world, index, "COMMIT");
            committed.sort_unstable();
            assert_eq!(committed, expected, "depth {depth}");
        }
        assert_eq!(world.executed(), [0; 4], "execution is in order");
        world.resend();
        world.run();
        assert_eq!(world.executed(), [6; 4], "depth {depth}");
        assert_eq!(world.nodes[3].app.executed_numbers(), [1, 2, 3, 4, 5, 6]);
        world.check_safety();
    }
}

#[test]
fn the_application_is_told_what_is_ahead_in_order() {
    let mut world = one_each(World::of_depth(4, 4));
    for number in 1..=4 {
        world.request(number);
    }
    world.run_without(is_commit);
    let told = [
        (1, vec![]),
        (2, vec![vec![1]]),
        (3, vec![vec![1], vec![2]]),
        (4, vec![vec![1], vec![2], vec![3]]),
    ];
    for index in 1..4 {
        assert_eq!(world.nodes[index].app.judged, told);
    }
    // So the primary proposed none of them twice, and a liar who does is refused.
    let context = *world.committee.context();
    let mut world = World::of_depth(4, 4);
    world.input(1, Input::Message(proposal(&context, 1, batch(&context, &[1]))));
    world.input(1, Input::Message(proposal(&context, 2, batch(&context, &[2, 1]))));
    assert_eq!(world.nodes[1].refusals, [Refusal::Ahead(1)]);
    assert_eq!(world.nodes[1].writing.len(), 1, "one vote");
}

#[test]
fn what_arrives_out_of_order_is_held_and_judged_in_order() {
    let mut world = World::of_depth(4, 4);
    let context = *world.committee.context();
    for sequence in [4, 3, 2] {
        let message = proposal(&context, sequence, batch(&context, &[sequence]));
        world.input(1, Input::Message(message));
        assert!(world.nodes[1].writing.is_empty() && world.nodes[1].app.judged.is_empty());
    }
    world.input(1, Input::Message(proposal(&context, 1, batch(&context, &[1]))));
    let judged: Vec<u64> = world.nodes[1].app.judged.iter().map(|(at, _)| *at).collect();
    assert_eq!(judged, [1, 2, 3, 4]);
    assert_eq!(world.nodes[1].rejections, []);
    assert_eq!(world.nodes[1].writing.len(), 4);
}

#[test]
fn nothing_is_judged_behind_what_waits_or_is_refused() {
    for refuse in [false, true] {
        let mut world = World::of_depth(4, 4);
        let context = *world.committee.context();
        let app = &mut world.nodes[1].app;
        let _ = if refuse { app.refused.insert(2) } else { app.missing.insert(2) };
        for sequence in 1..=4 {
            let message = proposal(&context, sequence, batch(&context, &[sequence]));
            world.input(1, Input::Message(message));
        }
        let asked = |world: &World| -> Vec<u64> {
            world.nodes[1].app.judged.iter().map(|(at, _)| *at).collect()
        };
        assert_eq!(asked(&world), [1, 2]);
        assert_eq!(world.nodes[1].writing.len(), 1);
        world.nodes[1].app.missing.clear();
        world.nodes[1].app.refused.clear();
        world.input(1, Input::Wake);
        // A refusal is final, what waited goes on and takes the others along.
        let expected: &[u64] = if refuse { &[1, 2] } else { &[1, 2, 2, 3, 4] };
        assert_eq!(asked(&world), expected);
    }
}

/// As the federation's application does: it proposes nothing and waits while anything is ahead.
#[test]
fn an_application_that_needs_the_executed_state_is_asked_when_it_is_there() {
    let mut world = one_each(World::of_depth(4, 4));
    for node in &mut world.nodes {
        node.app.needs_state = true;
    }
    for number in 1..=5 {
        world.request(number);
    }
    let mut most = 0;
    while !world.queue.is_empty() {
        world.step(0);
        let assigned = recorded(&world, 0, "PRE-PREPARE").len() as u64;
        most = most.max(assigned - world.executed()[0].min(assigned));
    }
    assert_eq!(world.executed(), [5; 4]);
    assert_eq!(most, 1, "one at a time");
    world.check_safety();

    // A primary that runs ahead of it is held up, without a wake and without becoming late.
    let mut world = one_each(World::of_depth(4, 4));
    for node in &mut world.nodes[1..] {
        node.app.needs_state = true;
    }
    for number in 1..=5 {
        world.request(number);
    }
    world.run();
    assert_eq!(world.executed(), [5; 4]);
    let voted_for = |judged: &&(u64, Vec<Vec<u64>>)| judged.1.is_empty();
    let judged = &world.nodes[1].app.judged;
    assert_eq!(judged.iter().filter(voted_for).count(), 5);
    assert!(judged.len() > 5, "it was asked before, and waited: {judged:?}");
}

/// Whatever order the disk answers in: the assignments on it have no hole, so none is there after a crash.
#[test]
fn one_assignment_at_a_time_is_on_its_way_to_disk() {
    let mut world = one_each(World::of_depth(4, 4));
    for number in 1..=4 {
        world.request(number);
    }
    let mut last = 0;
    while !world.queue.is_empty() {
        let position = world.queue.len() - 1;
        let writing = world.nodes[0].writing.values();
        let assigning = writing.filter(|record| record.kind() == "PRE-PREPARE").count();
        assert!(assigning <= 1);
        world.step(position);
        let written = recorded(&world, 0, "PRE-PREPARE");
        assert!(written.iter().copied().eq(1..=written.len() as u64), "{written:?}");
        last = written.len();
    }
    assert_eq!(last, 4);
    world.check_safety();
}

#[test]
fn a_view_change_keeps_three_prepared_and_puts_a_null_request_between() {
    let mut world = one_each(World::of_depth(4, 4));
    for number in 1..=4 {
        world.request(number);
    }
    // The second is accepted everywhere and prepared nowhere; none is decided.
    let lost =
        |event: &Event| is_commit(event) || (is_prepare(event) && sequence_of(event) == Some(2));
    world.run_without(lost);
    for index in 0..4 {
        let mut prepared = recorded(&world, index, "COMMIT");
        prepared.sort_unstable();
        assert_eq!(prepared, [1, 3, 4]);
    }
    world.crash(0);
    world.time_out();
    world.check_safety();
    for node in &world.nodes[1..] {
        assert_eq!(node.replica.view(), View::new(1));
        let ordered: Vec<_> = node.app.history.iter().map(|(_, batch, _)| numbers(batch)).collect();
        assert_eq!(ordered, [vec![1], vec![], vec![3], vec![4], vec![2]]);
        let views: Vec<u64> = node.app.history.iter().map(|(.., proof)| proof.view.get()).collect();
        assert_eq!(views, [1; 5]);
        assert_eq!(node.evidence, []);
    }
}

/// Everybody is honest, and still a view change orders a request twice: view 0 prepared it at 1 where one replica alone
/// saw it, view 1 at 2 where that one was away, and nothing else was prepared at 1. It is executed once.
#[test]
fn a_request_that_a_view_change_orders_twice_is_executed_once() {
    let mut world = one_each(World::of_depth(4, 4));
    let context = *world.committee.context();
    let ask = |world: &mut World, index: usize, number: u64| {
        let request = crate::federation::request(&context, number);
        world.input(index, Input::Request(request));
    };
    ask(&mut world, 0, 1);
    // View 0: replica 3 alone gets enough PREPAREs, and then speaks to nobody.
    let alone = |event: &Event| {
        is_commit(event)
            || matches!(event, Event::Deliver(to, m) if *to != 3 && matches!(m, ConsensusMessage::Prepare(_)))
    };
    world.run_without(alone);
    assert_eq!(recorded(&world, 3, "COMMIT"), [1]);
    assert_eq!(recorded(&world, 1, "COMMIT"), [0_u64; 0]);
    // View 1, without replica 3: its primary knows of the other request first.
    for index in [1, 2] {
        ask(&mut world, index, 2);
        ask(&mut world, index, 1);
    }
    world.crash(3);
    world.wait(1);
    world.now += 1_000_000;
    for index in 0..4 {
        world.input(index, Input::Wake);
    }
    world.run_without(|event| {
        is_commit(event) || (is_prepare(event) && sequence_of(event) == Some(1))
    });
    assert_eq!(world.views()[1], (1, true));
    let assigned: Vec<u64> = recorded(&world, 1, "PRE-PREPARE");
    assert_eq!(assigned, [1, 2]);
    assert_eq!(recorded(&world, 2, "COMMIT"), [2]);
    // View 2, without replica 0: both certificates are there.
    world.nodes[3].alive = true;
    world.crash(0);
    for _ in 0..3 {
        world.time_out();
        world.resend();
    }
    world.check_safety();
    for node in &world.nodes[1..] {
        let ordered: Vec<_> = node.app.history.iter().map(|(_, batch, _)| numbers(batch)).collect();
        assert_eq!(ordered, [vec![1], vec![1], vec![2]]);
        assert_eq!(node.app.executed_numbers(), [1, 2]);
        assert_eq!(node.app.skipped, [1]);
    }
}

/// All crash at once, after every single event, and come back from their disks.
#[test]
fn everybody_restarts_with_several_in_flight_and_nothing_is_lost_or_said_twice() {
    let (mut points, mut most) = (0, 0);
    for crash_after in 0.. {
        let mut world = one_each(World::of_depth(4, 4));
        for number in 1..=4 {
            world.request(number);
        }
        let mut steps = 0;
        while steps < crash_after && !world.queue.is_empty() {
            world.step(0);
            steps += 1;
        }
        if world.queue.is_empty() {
            break;
        }
        points += 1;
        let assigned = recorded(&world, 0, "PRE-PREPARE").len() as u64;
        most = most.max(assigned - world.executed()[0]);
        world.queue.clear();
        for index in 0..4 {
            world.crash(index);
            world.restart(index);
        }
        for number in 1..=4 {
            world.request(number);
        }
        world.run();
        for _ in 0..4 {
            world.resend();
            // The others' checkpoint may have become stable first.
            world.transfer();
        }
        world.check_safety();
        for node in &world.nodes {
            let mut executed = node.app.executed_numbers();
            executed.sort_unstable();
            assert_eq!(executed, [1, 2, 3, 4], "after {crash_after}");
            assert_eq!((&node.evidence[..], node.app.skipped.len()), (&[][..], 0));
            assert_eq!(node.replica.view(), View::ZERO, "nobody had to leave the view");
        }
    }
    assert!(points > 100 && most == 4, "{points} points, {most} in flight");
}

#[test]
fn a_primary_that_leaves_a_hole_is_replaced_and_nothing_behind_the_hole_was_voted_for() {
    let mut world = one_each(World::of_depth(4, 4));
    let context = *world.committee.context();
    world.crash(0);
    for number in 1..=4 {
        world.request(number);
    }
    for sequence in [1, 3, 4] {
        for index in 1..4 {
            let message = proposal(&context, sequence, batch(&context, &[sequence]));
            world.input(index, Input::Message(message));
        }
    }
    world.run();
    assert_eq!(world.executed()[1..], [1; 3], "what is before the hole is decided");
    for index in 1..4 {
        assert_eq!(recorded(&world, index, "PREPARE"), [1]);
    }
    world.time_out();
    world.check_safety();
    for node in &world.nodes[1..] {
        assert_eq!(node.app.executed_numbers(), [1, 2, 3, 4]);
        assert_eq!(node.replica.view(), View::new(1));
    }
}

/// Replica 3 learns no CHECKPOINT and no COMMIT, so others prepare beyond its window while it keeps what they say.
#[test]
fn a_view_change_names_nothing_beyond_the_window_of_its_author() {
    let mut world = one_each(World::with(4, small_window(), 2));
    for number in 1..=12 {
        world.request(number);
    }
    world.run_without(|event| {
        matches!(
            event,
            Event::Deliver(3, ConsensusMessage::Commit(_) | ConsensusMessage::Checkpoint(_))
        )
    });
    assert_eq!(world.nodes[3].replica.executed().get(), 0);
    assert!(world.executed()[1] > 4, "{:?}", world.executed());
    world.wait(1);
    world.now += 1_000_000;
    world.input(3, Input::Wake);
    world.run();
    let change = world.nodes[3].sent.iter().find_map(|message| match message {
        ConsensusMessage::ViewChange(change) => Some(change.claimed().clone()),
        _ => None,
    });
    let change = change.expect("its patience was over");
    assert!(change.prepared.iter().all(|prepared| prepared.claimed().sequence.get() <= 4));
    for index in 0..3 {
        let refused = world.nodes[index]
            .rejections
            .iter()
            .any(|rejection| matches!(rejection, consensus_pbft::Rejection::ViewChange { .. }));
        assert!(!refused, "replica {index}: {:?}", world.nodes[index].rejections);
    }
}
