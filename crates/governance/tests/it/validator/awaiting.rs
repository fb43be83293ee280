//! What a backup waits for, and when it has waited long enough: the view ends for what is due and does not come, and
//! for nothing else.

use consensus_pbft::ConsensusMessage;
use federation_proto::LogicalTime;
use governance::validator::{ValidatorEffect, ValidatorInput};
use governance::wire::Frame;

use crate::fixture::bench::{Bench, frames, refusals};
use crate::fixture::{SITES, World};

/// Patience of the default settings.
const PATIENCE_MS: u64 = 4_000;

/// Whether a VIEW-CHANGE left.
fn left(effects: &[ValidatorEffect]) -> bool {
    frames(effects).iter().any(|frame| {
        matches!(frame, Frame::Consensus(message)
            if matches!(**message, ConsensusMessage::ViewChange(_)))
    })
}

/// Wakes a backup every half second; the milliseconds after which it left the view.
fn left_after(bench: &mut Bench, most: u64) -> Option<u64> {
    let began = bench.now;
    (0..=most).step_by(500).find(|passed| {
        bench.now = began.plus_millis(*passed);
        left(&bench.input(ValidatorInput::Wake))
    })
}

/// Every site has committed in the first epoch.
fn complete() -> World {
    let mut world = World::open();
    world.commit_updates(1..=SITES, 1);
    world
}

/// A backup that heard some governors approve the aggregate that waits.
fn approved(governors: &[&str]) -> Bench {
    let world = World::decided();
    let mut bench = Bench::after(&world);
    for governor in governors {
        let signoff = world.signoff();
        let endorsement = world.approval(&signoff, governor);
        let approval = Frame::Approval { signoff: Box::new(signoff), endorsement };
        assert!(refusals(bench.frame(approval)).is_empty());
    }
    bench
}

#[test]
fn while_nothing_is_due_no_view_ends() {
    let hour = 3_600_000;
    let mut four = World::open();
    four.commit_updates(1..=4, 1);
    for (mut bench, millis) in [
        (Bench::after(&World::new()), hour),
        // No update, so the window closes nothing.
        (Bench::after(&World::open()), hour),
        // The fifth site has its time.
        (Bench::after(&four), 50_000),
        (approved(&["governor-a"]), hour),
    ] {
        assert_eq!(left_after(&mut bench, millis), None);
    }
}

#[test]
fn every_step_that_is_due_and_does_not_come_ends_the_view() {
    let cut = World::in_cut();
    let mut with_blobs = Bench::after(&cut);
    with_blobs.store(&cut, 1..=SITES);
    for (step, mut bench) in [
        ("opening", Bench::after(&World::joined())),
        ("cut", Bench::after(&complete())),
        ("aggregate", with_blobs),
        ("aggregate of blobs that are not here", Bench::after(&cut)),
        ("sign-off", approved(&["governor-a", "governor-b"])),
    ] {
        assert_eq!(left_after(&mut bench, 2 * PATIENCE_MS), Some(PATIENCE_MS), "{step}");
    }
}

#[test]
fn a_window_that_passes_makes_its_step_due() {
    let mut world = World::open();
    world.commit_updates(1..=4, 1);
    let mut bench = Bench::after(&world);
    // Four blocks of a second each since the opening.
    assert_eq!(left_after(&mut bench, 70_000), Some(60_000 - 4_000 + PATIENCE_MS));
}

#[test]
fn the_end_of_patience_is_asked_for() {
    let mut bench = Bench::after(&World::in_cut());
    let deadline = bench.now.plus_millis(PATIENCE_MS);
    let wakes = |effects: Vec<ValidatorEffect>| -> Vec<LogicalTime> {
        let wake = |effect| match effect {
            ValidatorEffect::WakeAt(at) => Some(at),
            _ => None,
        };
        effects.into_iter().filter_map(wake).collect()
    };
    assert_eq!(wakes(bench.input(ValidatorInput::Wake)), [deadline]);
}

/// A backup holds the commitment of the fifth site, which the primary leaves out; the others' are ordered.
#[test]
fn the_progress_of_others_does_not_prolong_a_censors_view() {
    let mut world = World::open();
    let mut bench = Bench::after(&world);
    let fifth = world.committing(5, 1);
    bench.frame(world.request_frame(5, &fifth));
    assert!(!left(&bench.input(ValidatorInput::Wake)));
    for index in 1..=3 {
        world.commit_updates([index], 1);
        bench.follow(&world);
        assert!(!left(&bench.input(ValidatorInput::Wake)), "{index} s");
    }
    world.commit_updates([4], 1);
    bench.follow(&world);
    assert!(left(&bench.input(ValidatorInput::Wake)), "four seconds");
}

/// Every second a step of the epoch machine becomes due and is taken; a request that came before them is not.
#[test]
fn steps_do_not_hide_a_request_that_is_left_out() {
    let mut world = complete();
    let mut bench = Bench::after(&world);
    let second = world.committing(5, 2);
    bench.frame(world.request_frame(5, &second));
    // The cut of the phase in which it came is older than the request.
    assert!(!left(&bench.input(ValidatorInput::Wake)));
    let steps: [fn(&mut World) -> &mut World; 4] =
        [World::cut_epoch, World::aggregate, World::sign_off, World::open_epoch];
    for step in steps {
        step(&mut world);
        bench.follow(&world);
        assert!(!left(&bench.input(ValidatorInput::Wake)));
    }
    world.commit_updates([1], 2);
    bench.follow(&world);
    assert!(left(&bench.input(ValidatorInput::Wake)), "four seconds after the cut");
}

/// Every second another request waits and is ordered; the cut was due before them.
#[test]
fn requests_do_not_hide_a_step_that_is_left_out() {
    let mut world = complete();
    let mut bench = Bench::after(&world);
    for index in 1..=4 {
        let item = world.committing(index, 2);
        bench.frame(world.request_frame(index, &item));
        assert!(!left(&bench.input(ValidatorInput::Wake)), "{index} s");
        world.commit(vec![item]);
        bench.follow(&world);
    }
    let item = world.committing(5, 2);
    bench.frame(world.request_frame(5, &item));
    assert!(left(&bench.input(ValidatorInput::Wake)), "four seconds");
}

#[test]
fn what_became_inadmissible_is_waited_for_no_more() {
    let mut world = World::open();
    let mut bench = Bench::after(&world);
    let held = world.committing(5, 1);
    bench.frame(world.request_frame(5, &held));
    // The site spends the position on another update, and that is ordered.
    let other = world.update(5, 2);
    let commitment = world.commitment(5, &other);
    let item = world.commitment_item(5, 1, commitment);
    world.commit(vec![item]);
    bench.follow(&world);
    assert_eq!(left_after(&mut bench, 50_000), None);
}
