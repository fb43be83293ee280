//! What a backup does not vote for, though the state machine may accept it: rules that need a clock or data of
//! one's own.

use federation_proto::codec::Canonical;
use federation_proto::entry::AggregatedUpdate;
use federation_proto::{Batch, BatchItem, LedgerEntry, LogicalTime};
use governance::machine::Refusal;
use governance::validator::{ProposalRefusal, ValidatorEffect};

use crate::fixture::bench::{Bench, voted};
use crate::fixture::session::Handshake;
use crate::fixture::update::{carrying, delta};
use crate::fixture::{SITES, World};

const GRACE_MS: u64 = 500;
const DRIFT_MS: u64 = 2_000;
const WINDOW_MS: u64 = 60_000;
const JOIN_WINDOW_MS: u64 = 5_000;

fn derived(entry: LedgerEntry) -> BatchItem {
    BatchItem::Derived(entry)
}

fn opening(world: &World) -> BatchItem {
    derived(LedgerEntry::EpochOpened(world.opening()))
}

#[test]
fn a_clock_that_drifts_is_refused_and_the_limit_is_exact() {
    let world = World::joined();
    let batch = world.batch(vec![opening(&world)]);
    let got = batch.batch_time;
    let early = LogicalTime::new(got.get() - DRIFT_MS - 1);
    let late = got.plus_millis(DRIFT_MS + 1);
    for now in [early, late] {
        let mut bench = Bench::after(&world);
        bench.now = now;
        let (drift, limit) = (DRIFT_MS + 1, DRIFT_MS);
        assert_eq!(bench.refusal(&batch), ProposalRefusal::Drift { got, drift, limit });
    }
    for now in [early.plus_millis(1), got.plus_millis(DRIFT_MS)] {
        let mut bench = Bench::after(&world);
        bench.now = now;
        assert!(voted(&bench.propose(&batch)));
    }
}

#[test]
fn time_that_does_not_advance_is_refused() {
    let world = World::joined();
    let parent = world.executor.ledger().head().batch_time;
    let mut bench = Bench::after(&world);
    let batch = Batch { batch_time: parent, items: vec![opening(&world)] };
    assert_eq!(bench.refusal(&batch), ProposalRefusal::Time { parent, got: parent });
}

#[test]
fn what_the_state_machine_refuses_is_refused() {
    let world = World::joined();
    let mut bench = Bench::after(&world);
    // The handshake that opened the first site's session, once more.
    let again = Handshake::of(&World::new(), 1, 1).item(&world.context());
    let batch = world.batch(vec![opening(&world), again]);
    bench.now = batch.batch_time;
    let ProposalRefusal::Batch(refused) = bench.refusal(&batch) else { panic!("a bad batch") };
    assert_eq!((refused.index, refused.kind), (1, "SessionOpened"));
    assert!(matches!(refused.cause, Refusal::SessionReplayed(_)), "{refused}");
}

#[track_caller]
fn not_due(refusal: &ProposalRefusal, step: &'static str) {
    let ProposalRefusal::Batch(refused) = refusal else { panic!("{refusal}") };
    assert_eq!(refused.cause, Refusal::NotDue(step));
}

/// A world in which only four sites have joined, and the handshake of the fifth.
fn four_joined() -> (World, BatchItem) {
    let mut world = World::new();
    (1..=4).for_each(|index| world.join(index));
    let fifth = Handshake::of(&world, 5, 1).item(&world.context());
    (world, fifth)
}

#[test]
fn the_first_epoch_waits_for_the_roster_or_the_join_window() {
    let (world, fifth) = four_joined();
    let mut bench = Bench::after(&world);
    let early = world.batch(vec![opening(&world)]);
    bench.now = early.batch_time;
    not_due(&bench.refusal(&early), "EpochOpened");
    // With everybody there it is due.
    let mut bench = Bench::after(&world);
    let complete = world.batch(vec![fifth, opening(&world)]);
    bench.now = complete.batch_time;
    assert!(voted(&bench.propose(&complete)));
    // And when the window has passed.
    let mut bench = Bench::after(&world);
    let started = world.state().started_at().expect("blocks");
    let batch_time = started.plus_millis(JOIN_WINDOW_MS);
    bench.now = batch_time;
    assert!(voted(&bench.propose(&Batch { batch_time, items: vec![opening(&world)] })));
}

#[test]
fn an_epoch_opened_before_the_session_that_completes_the_roster_is_not_due() {
    let (world, fifth) = four_joined();
    let mut bench = Bench::after(&world);
    let batch = world.batch(vec![opening(&world), fifth]);
    bench.now = batch.batch_time;
    not_due(&bench.refusal(&batch), "EpochOpened");
}

/// Four of five sites have committed; the fifth's commitment exists and is not ordered.
fn four_committed() -> (World, BatchItem) {
    let mut world = World::open();
    world.commit_updates(1..=4, 1);
    let fifth = world.committing(5, 1);
    (world, fifth)
}

/// The cut that the state after `items` determines, at the end of them.
fn with_cut(world: &World, mut items: Vec<BatchItem>) -> Vec<BatchItem> {
    let state = world.preview(items.clone()).expect("good items");
    let cut = state.next_cut(world.rules()).expect("an open epoch");
    items.push(derived(LedgerEntry::EpochCut(cut)));
    items
}

#[test]
fn a_cut_waits_for_everybody_or_the_window() {
    let (world, fifth) = four_committed();
    let mut bench = Bench::after(&world);
    let early = world.batch(with_cut(&world, Vec::new()));
    bench.now = early.batch_time;
    not_due(&bench.refusal(&early), "EpochCut");
    let mut bench = Bench::after(&world);
    let complete = world.batch(with_cut(&world, vec![fifth]));
    bench.now = complete.batch_time;
    assert!(voted(&bench.propose(&complete)));
}

#[test]
fn a_cut_before_the_commitment_that_would_complete_it_is_not_due() {
    let (world, fifth) = four_committed();
    let mut items = with_cut(&world, Vec::new());
    items.push(fifth);
    let batch = world.batch(items);
    let mut bench = Bench::after(&world);
    bench.now = batch.batch_time;
    not_due(&bench.refusal(&batch), "EpochCut");
}

/// A backup that received the fifth commitment `held_ms` before a cut that leaves it out.
fn holding(held_ms: u64) -> (World, Bench, Batch) {
    let (world, fifth) = four_committed();
    let mut bench = Bench::after(&world);
    let batch_time = bench.now.plus_millis(WINDOW_MS);
    bench.now = LogicalTime::new(batch_time.get() - held_ms);
    assert!(
        bench
            .frame(world.request_frame(5, &fifth))
            .iter()
            .all(|effect| { !matches!(effect, ValidatorEffect::Refused(_)) })
    );
    bench.now = batch_time;
    let batch = Batch { batch_time, items: with_cut(&world, Vec::new()) };
    (world, bench, batch)
}

#[test]
fn a_cut_that_leaves_out_a_held_commitment_beyond_grace_is_refused() {
    let (world, mut bench, batch) = holding(GRACE_MS + 1);
    let update = world.update(5, 1).update_hash;
    let (held_ms, grace_ms) = (GRACE_MS + 1, GRACE_MS);
    assert_eq!(bench.refusal(&batch), ProposalRefusal::Withheld { update, held_ms, grace_ms });
}

#[test]
fn within_grace_a_commitment_may_miss_the_cut() {
    let (_, mut bench, batch) = holding(GRACE_MS);
    assert!(voted(&bench.propose(&batch)));
}

#[test]
fn a_cut_that_takes_the_held_commitment_in_is_accepted() {
    let (mut world, mut bench, batch) = holding(10 * GRACE_MS);
    let fifth = world.committing(5, 1);
    let items = with_cut(&world, vec![fifth]);
    assert!(voted(&bench.propose(&Batch { items, ..batch })));
}

#[test]
fn what_became_inadmissible_may_be_left_out() {
    let (mut world, mut bench, batch) = holding(GRACE_MS + 1);
    // The site spent the position of its lane on another update, which was ordered.
    let other = carrying(world.update(5, 1), &delta(5, vec![-3, 0]).to_canonical());
    let commitment = world.commitment(5, &other);
    let item = world.commitment_item(5, 1, commitment);
    bench.decide(&world.ordered(Batch { batch_time: bench.now, items: vec![item.clone()] }));
    world.commit(vec![item]);
    bench.now = batch.batch_time.plus_millis(1);
    let items = vec![derived(LedgerEntry::EpochCut(world.cut()))];
    assert!(voted(&bench.propose(&Batch { batch_time: bench.now, items })));
}

/// Another aggregate that the state machine alone would accept.
fn another(world: &World) -> AggregatedUpdate {
    let (mut aggregated, _) = world.aggregated();
    aggregated.delta[0] += 1;
    let (meta, schema) = (world.state().meta(), &world.rules().schema);
    let epoch = aggregated.federated_epoch;
    let next = meta.preview(schema, epoch, &aggregated.alignment, &aggregated.delta);
    aggregated.new_state_hash = next.expect("a legal state").hash();
    aggregated
}

#[test]
fn another_aggregate_than_its_own_is_refused() {
    let open = World::open();
    let mut bench = Bench::after(&open);
    bench.store(&open, 1..=SITES);
    let world = World::in_cut();
    bench.follow(&world);
    let bent = another(&world);
    let entry = derived(LedgerEntry::AggregatedUpdate(Box::new(bent.clone())));
    world.preview(vec![entry.clone()]).expect("the state machine cannot know");
    let (proposed, own) = (bent.hash(), world.aggregated().0.hash());
    let batch = world.batch(vec![entry]);
    bench.now = batch.batch_time;
    assert_eq!(bench.refusal(&batch), ProposalRefusal::Aggregate { proposed, own });
}
