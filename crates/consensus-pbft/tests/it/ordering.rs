//! Any order, any duplication, any loss: agreement and exactly-once order hold, and honest runs finish.

use consensus_pbft::Input;
use proptest::prelude::*;

use crate::world::{Event, World};

/// Plays a schedule: each choice picks the event that happens next, and how.
fn play(world: &mut World, choices: &[(u16, u8)], loss: bool) {
    for (pick, how) in choices {
        if world.queue.is_empty() {
            break;
        }
        let position = usize::from(*pick) % world.queue.len();
        let event = world.queue[position].clone();
        let message = matches!(event, Event::Deliver(..));
        match how % 8 {
            0 if message => world.queue.push(event),
            1 if message && loss => {
                world.queue.remove(position);
                continue;
            }
            2 => {
                let index = usize::from(*pick) % world.nodes.len();
                world.input(index, Input::Wake);
            }
            _ => {}
        }
        world.step(position);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn reordered_and_duplicated_messages_are_decided_by_all(
        n in prop_oneof![Just(4_usize), Just(7)],
        choices in prop::collection::vec(any::<(u16, u8)>(), 0..1200),
    ) {
        let mut world = World::new(n);
        for number in 0..9 {
            world.request(number);
        }
        play(&mut world, &choices, false);
        world.check_safety();
        world.run();
        world.check_safety();
        for node in &world.nodes {
            prop_assert_eq!(node.app.executed_numbers(), (0..9).collect::<Vec<_>>());
            prop_assert!(node.evidence.is_empty());
            prop_assert_eq!(&node.fault, &None);
        }
    }

    #[test]
    fn lost_messages_and_crashes_never_break_agreement(
        choices in prop::collection::vec(any::<(u16, u8)>(), 0..800),
        crashed in prop::collection::btree_set(0_usize..4, 0..4),
        when in 0_usize..400,
    ) {
        let mut world = World::new(4);
        for number in 0..9 {
            world.request(number);
        }
        let (before, after) = choices.split_at(when.min(choices.len()));
        play(&mut world, before, true);
        for index in crashed {
            world.crash(index);
        }
        play(&mut world, after, true);
        world.run();
        world.check_safety();
        prop_assert!(world.nodes.iter().all(|node| node.evidence.is_empty()));
    }

    #[test]
    fn the_same_schedule_gives_the_same_run(
        choices in prop::collection::vec(any::<(u16, u8)>(), 0..200),
    ) {
        let run = || {
            let mut world = World::new(4);
            world.request(1);
            world.request(2);
            play(&mut world, &choices, true);
            world.nodes.iter().map(|node| format!("{:?}", node.replica)).collect::<Vec<_>>()
        };
        prop_assert_eq!(run(), run());
    }
}
