//! The replicated state machine: what is accepted moves the state, what is refused leaves it alone.

mod commitments;
mod epochs;
mod sessions;
mod signoff;
mod unbuilt;

use std::collections::BTreeSet;

use federation_proto::entry::{AbsenceReason, AlignedUpdate};
use federation_proto::{BatchItem, Digest, FederatedEpoch, LedgerEntry};
use governance::machine::{MachineState, Phase, Refusal, Rules, RulesError};

use crate::fixture::session::{Handshake, signed_by};
use crate::fixture::{Charter, SITES, World, node, schema, site};

#[test]
fn every_accepted_entry_moves_the_state_root() {
    let mut world = World::joined();
    world.epoch(1).open_epoch();
    let headers = world.executor.ledger().blocks().map(|block| block.header);
    let roots: Vec<_> = headers.map(|header| header.state_root_after).collect();
    assert_eq!(roots.len(), 2 * SITES + 5);
    let genesis = MachineState::genesis(world.rules()).root();
    let distinct: BTreeSet<_> = roots.iter().copied().chain([genesis]).collect();
    assert_eq!(distinct.len(), roots.len() + 1);
    assert_eq!(roots.last(), Some(&world.state().root()));
}

#[test]
fn a_batch_is_the_same_as_its_items_one_by_one() {
    let mut world = World::open();
    let items: Vec<_> = (1..=SITES).map(|index| world.committing(index, 1)).collect();
    let cut = BatchItem::Derived(LedgerEntry::EpochCut(world.cut()));
    let whole = world.preview(items.clone()).expect("five commitments");
    assert_eq!(whole.pending().len(), SITES);

    let mut batch = world.batch(Vec::new());
    let mut state = world.state().clone();
    for item in items {
        state = world.executor.extend(&state, &batch, &item).expect("one more commitment");
        batch.items.push(item);
    }
    assert_eq!(state, whole);
    // The cut was derived before they were there: it names nobody.
    let refused = world.executor.extend(&state, &batch, &cut).expect_err("an older cut");
    assert_eq!(refused.index, SITES as u32);
}

#[test]
fn one_bad_item_refuses_the_batch_and_leaves_the_state() {
    let mut world = World::open();
    let (good, other) = (world.committing(1, 1), world.committing(2, 1));
    let before = world.state().clone();
    let refused = world.preview(vec![good.clone(), other, good]).expect_err("a replay");
    assert_eq!((refused.index, refused.kind), (2, "UpdateCommitment"));
    assert!(matches!(refused.cause, Refusal::Window(_)), "{refused}");
    assert_eq!(*world.state(), before);
    assert_eq!(world.state().root(), before.root());
}

#[test]
fn an_epoch_moves_the_meta_state_at_its_signoff_and_not_before() {
    let mut world = World::decided();
    let (start, note) = (world.state().meta().hash(), world.state().note_head());
    assert!(matches!(world.state().phase(), Phase::Aggregated { .. }));
    assert_eq!(world.state().meta().federated_epoch(), FederatedEpoch::ZERO);
    let new_state = world.signoff().new_state_hash;
    world.sign_off();
    assert_eq!(*world.state().phase(), Phase::Idle);
    assert_eq!(world.state().meta().hash(), new_state);
    assert_eq!(world.state().meta().previous_state(), start);
    assert_eq!(world.state().meta().federated_epoch(), FederatedEpoch::new(1));
    assert_eq!(world.state().accepted().len(), SITES);
    assert_ne!(world.state().note_head(), note);
}

#[test]
fn a_commitment_that_misses_a_cut_is_a_stale_candidate_of_the_next() {
    let mut world = World::open();
    world.commit_updates(1..=4, 1);
    assert_eq!(world.cut().absent.len(), 1);
    assert_eq!(world.cut().absent[0].reason, AbsenceReason::NoCommitment);
    world.cut_epoch();
    // Against the base of epoch 1, ordered after its cut.
    world.commit_updates([5], 1);
    assert_eq!(world.state().pending().len(), 1);
    world.aggregate().sign_off().open_epoch();
    world.commit_updates(1..=4, 2).cut_epoch();

    let (aggregated, _) = world.aggregated();
    let staleness = |aligned: &AlignedUpdate| (aligned.update.node_fingerprint, aligned.staleness);
    let aligned: Vec<_> = aggregated.alignment.aligned.iter().map(staleness).collect();
    let mut expected: Vec<_> = (1..=4).map(|index| (node(index), 0)).collect();
    expected.push((node(5), 1));
    expected.sort_unstable();
    assert_eq!(aligned, expected);
    assert_eq!(aggregated.alignment.discarded, []);
    world.aggregate().sign_off();
    assert_eq!(world.state().meta().federated_epoch(), FederatedEpoch::new(2));
}

#[test]
fn a_site_without_a_session_is_absent_for_that_reason() {
    let mut world = World::new();
    (1..=4).for_each(|index| world.join(index));
    world.open_epoch().commit_updates(1..=4, 1);
    let cut = world.cut();
    assert_eq!(cut.absent.len(), 1);
    assert_eq!(cut.absent[0].node_fingerprint, node(5));
    assert_eq!(cut.absent[0].reason, AbsenceReason::NoSession);
    world.cut_epoch().aggregate().sign_off();
}

#[test]
fn entries_that_are_derived_cannot_be_requested() {
    let mut world = World::joined();
    let opened = LedgerEntry::EpochOpened(world.opening());
    refuse_requested(&world, opened);
    world.open_epoch().commit_updates(1..=SITES, 1);
    refuse_requested(&world, LedgerEntry::EpochCut(world.cut()));
    world.cut_epoch();
    refuse_requested(&world, LedgerEntry::AggregatedUpdate(Box::new(world.aggregated().0)));
    world.aggregate();
    let signoff = world.signed_off(world.signoff(), &["governor-a", "governor-b"]);
    refuse_requested(&world, LedgerEntry::ApplySignoff(signoff));
}

fn refuse_requested(world: &World, entry: LedgerEntry) {
    let kind = entry.kind();
    let mut request = Handshake::of(world, 1, 1).request(&world.context());
    request.entry = entry.clone();
    let item = signed_by(&site(1), request, &world.context());
    assert_eq!(world.refusal(item), Refusal::NotRequestable(kind));
    // As it should be, it is accepted: nothing but the author was wrong.
    world.preview(vec![BatchItem::Derived(entry)]).expect("the derived entry");
}

#[test]
fn entries_that_are_requested_cannot_be_derived() {
    let mut world = World::open();
    for item in [Handshake::of(&world, 1, 2).item(&world.context()), world.committing(1, 1)] {
        let entry = item.entry().clone();
        let kind = entry.kind();
        assert_eq!(world.refusal_of(entry), Refusal::NotDerivable(kind));
    }
}

#[test]
fn rules_are_those_that_the_genesis_pins() {
    let charter = Charter::default();
    let genesis = charter.genesis();
    let other = Charter::with_policy("window_ms = 60000", "window_ms = 60001").policy();
    let (pinned, given) = (charter.policy().digest(), other.digest());
    let refused = Rules::new(&genesis, other, schema()).expect_err("another policy");
    assert_eq!(refused, RulesError::Policy { pinned, given });

    let mut bent = genesis.clone();
    bent.schema_digest = Digest::ZERO;
    let given = genesis.schema_digest;
    let refused = Rules::new(&bent, charter.policy(), schema()).expect_err("another schema");
    assert_eq!(refused, RulesError::Schema { pinned: Digest::ZERO, given });

    let mut bent = genesis.clone();
    bent.initial_state_hash = Digest::ZERO;
    let given = genesis.initial_state_hash;
    let refused = Rules::new(&bent, charter.policy(), schema()).expect_err("another state");
    assert_eq!(refused, RulesError::InitialState { pinned: Digest::ZERO, given });

    let mut bent = genesis;
    bent.configuration.thresholds.apply = 4;
    let refused = Rules::new(&bent, charter.policy(), schema()).expect_err("no such threshold");
    assert!(matches!(refused, RulesError::Roster(_)), "{refused}");
}
