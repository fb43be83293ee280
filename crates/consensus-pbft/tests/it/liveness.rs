//! Halts of other implementations: nothing was wrong, and nothing went on.

use consensus_pbft::{ConsensusMessage, Effect, Input};
use federation_proto::LogicalTime;

use crate::world::{Event, World};

/// Lets everything happen but what `lost` names.
fn run_without(world: &mut World, lost: impl Fn(&Event) -> bool) {
    loop {
        world.filter(|event| !lost(event));
        if world.queue.is_empty() {
            break;
        }
        world.step(0);
    }
}

/// Whether a message crosses from one group to another.
fn crosses(groups: &[usize], event: &Event) -> bool {
    let Event::Deliver(to, message) = event else { return false };
    // What proves itself has no sender, so nobody gets it.
    let from = message.claimed_replica().map(|replica| groups[usize::from(replica.get())]);
    from != Some(groups[*to])
}

/// Patience for what is due runs, and is over, in a partition.
fn time_out_apart(world: &mut World, groups: &[usize]) {
    for millis in [1, 1_000_000] {
        world.now += millis;
        for index in 0..world.nodes.len() {
            world.input(index, Input::Wake);
        }
        run_without(world, |event| crosses(groups, event));
    }
}

/// At most f replicas know that the checkpoint is stable; then the view ends. One view change must do, whoever knows.
#[test]
fn trap_3_a_stable_checkpoint_that_only_f_hold_costs_one_view_change() {
    let holders = [(4, vec![0]), (4, vec![1]), (4, vec![3]), (7, vec![1, 2]), (7, vec![5, 6])];
    for (n, holders) in holders {
        let mut world = World::new(n);
        for number in 1..=5 {
            world.request(number);
        }
        // Three batches, a checkpoint at the second; its CHECKPOINTs reach the holders only.
        run_without(&mut world, |event| {
            matches!(event, Event::Deliver(to, ConsensusMessage::Checkpoint(_))
                if !holders.contains(to))
        });
        for (index, node) in world.nodes.iter().enumerate() {
            let low = node.replica.watermarks().0.get();
            assert_eq!(low, if holders.contains(&index) { 2 } else { 0 }, "n {n}, {holders:?}");
        }
        world.crash(0);
        for number in 6..=12 {
            world.request(number);
        }
        world.time_out();
        world.resend();
        world.run();
        let alive = &world.nodes[1..];
        assert!(world.views()[1..].iter().all(|view| *view == (1, true)), "{:?}", world.views());
        for node in alive {
            assert_eq!(node.app.executed_numbers().len(), 12, "n {n}, {holders:?}");
            assert!(node.replica.watermarks().0.get() >= 4, "n {n}, {holders:?}");
        }
        world.check_safety();
    }
}

/// All VIEW-CHANGEs are lost and every timer has fired before the partition heals. One resending then suffices where the
/// next primary lives, and one doubled patience for each that does not.
#[test]
fn trap_5_view_changes_lost_in_a_partition_are_made_good_within_a_bound() {
    let timeout = crate::world::small_window().view_timeout;
    let cases = [
        (vec![0, 1, 2, 3], vec![], 0),
        (vec![0, 0, 1, 1], vec![], 0),
        (vec![0, 1, 2, 2], vec![0], 0),
        (vec![0, 1, 2, 3], vec![1], 2 * timeout),
        (vec![0, 1, 2, 3, 4, 5, 6], vec![], 0),
        (vec![0, 0, 0, 0, 1, 1, 1], vec![0], 0),
        (vec![0, 0, 0, 1, 1, 1, 1], vec![1, 2], 6 * timeout),
    ];
    for (groups, dead, bound) in cases {
        let mut world = World::new(groups.len());
        dead.iter().for_each(|index| world.crash(*index));
        world.request(1);
        run_without(&mut world, |event| crosses(&groups, event));
        for _ in 0..4 {
            time_out_apart(&mut world, &groups);
        }
        assert!(world.executed().iter().all(|executed| *executed == 0), "{groups:?}");
        assert!(world.nodes.iter().any(|node| !node.replica.is_active()), "{groups:?}");
        // No timer runs that could save anybody by itself.
        let waiting = world.nodes.iter().filter(|node| node.alive);
        assert!(waiting.clone().all(|node| node.replica.deadline().is_none()), "{groups:?}");
        let healed = world.now;
        world.resend();
        let done = |world: &World| {
            let alive = world.nodes.iter().filter(|node| node.alive);
            alive.into_iter().all(|node| node.replica.executed().get() == 1)
        };
        // Inputs move this clock by a millisecond each, which is not waiting.
        let mut waited = 0;
        while !done(&world) && waited < bound {
            world.wait(100);
            world.resend();
            waited += 100;
        }
        assert!(done(&world), "{groups:?}, dead {dead:?}: {:?}", world.views());
        assert!(world.now >= healed + waited);
        world.check_safety();
    }
}

/// One replica's disk stops answering after some records. It says no word that is not durable, goes on hearing, and its
/// driver holds the unanswered tokens; the others go on. Restarted at the same height it takes part again.
#[test]
fn trap_17_a_disk_that_never_answers_silences_one_replica_until_it_restarts_at_its_height() {
    for victim in 0..4 {
        // Four requests in three batches are seven records of a primary.
        for answers in 0..7 {
            let mut world = World::new(4);
            let deaf = |world: &mut World| {
                run_without(
                    world,
                    |event| matches!(event, Event::Acknowledge(at, _) if *at == victim),
                );
            };
            for number in 1..=4 {
                world.request(number);
            }
            let mut answered = 0;
            while answered < answers && !world.queue.is_empty() {
                answered += usize::from(
                    matches!(world.queue[0], Event::Acknowledge(at, _) if at == victim),
                );
                world.step(0);
            }
            deaf(&mut world);
            for _ in 0..3 {
                world.now += 1_000_000;
                for index in 0..4 {
                    world.input(index, Input::Wake);
                    world.input(index, Input::Resend);
                }
                deaf(&mut world);
            }
            let case = format!("victim {victim}, {answers} answers");
            for other in (0..4).filter(|other| *other != victim) {
                assert!(world.nodes[other].app.has_all(4), "{case}");
            }
            check_stuck(&mut world, victim, answers, &case);
            let height = world.nodes[victim].app.history.len();
            world.crash(victim);
            world.restart(victim);
            assert_eq!(world.nodes[victim].app.history.len(), height, "{case}");
            world.request(5);
            for _ in 0..2 {
                world.resend();
                world.transfer();
                world.time_out();
            }
            assert!(world.nodes.iter().all(|node| node.app.has_all(5)), "{case}");
            assert!(world.nodes[victim].disk.len() > answers, "{case}: its disk is in use again");
            assert!(world.nodes.iter().all(|node| node.evidence.is_empty()), "{case}");
            world.check_safety();
        }
    }
}

/// What the driver sees of a replica whose disk does not answer.
fn check_stuck(world: &mut World, victim: usize, answers: usize, case: &str) {
    let node = &mut world.nodes[victim];
    assert!(node.disk.len() <= answers, "{case}");
    assert!(!node.writing.is_empty(), "{case}: nothing is awaited");
    assert!(
        !node.replica.is_halted(),
        "{case}: whether the disk is broken is for the driver to say"
    );
    let sent = node.sent.len();
    // It asks for nothing twice: a driver that counts tokens sees the oldest wait.
    let now = LogicalTime::new(world.now + 1);
    for effect in node.replica.handle(now, Input::Wake, &mut node.app) {
        if let Effect::Persist { token, record } = effect {
            let anew = node.writing.values().all(|old| *old != record);
            assert!(anew, "{case}: {} asked for twice", record.kind());
            let last = node.writing.last_key_value().map(|(token, _)| *token);
            assert!(Some(token) > last, "{case}");
            node.writing.insert(token, record);
        }
    }
    assert_eq!(node.sent.len(), sent);
}
