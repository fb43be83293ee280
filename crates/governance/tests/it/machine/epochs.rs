//! `EpochOpened`, `EpochCut`, `AggregatedUpdate`: exactly one entry is right, every other is refused.

use federation_proto::entry::{
    AbsenceReason, AggregatedUpdate, AggregationRule, EpochCut, EpochOpened,
};
use federation_proto::{Digest, FederatedEpoch, Generation, LedgerEntry};
use governance::machine::{Phase, Refusal};
use meta_core::genome::GenomeError;
use meta_core::meta_state::ApplyError;

use crate::fixture::{Charter, SITES, World};

fn mismatch(what: &'static str, expected: impl ToString, got: impl ToString) -> Refusal {
    Refusal::Mismatch { what, expected: expected.to_string(), got: got.to_string() }
}

#[test]
fn another_opening_than_the_next_is_refused() {
    let world = World::joined();
    let good = world.opening();
    let refused = |bend: &dyn Fn(&mut EpochOpened)| {
        let mut bent = good.clone();
        bend(&mut bent);
        world.refusal_of(LedgerEntry::EpochOpened(bent))
    };
    let (zero, two) = (Digest::ZERO, FederatedEpoch::new(2));
    assert_eq!(refused(&|e| e.federated_epoch = two), mismatch("epoch", 1, 2));
    assert_eq!(refused(&|e| e.generation = Generation::new(1)), mismatch("generation", 0, 1));
    assert_eq!(
        refused(&|e| e.base_state_hash = zero),
        mismatch("base_state_hash", good.base_state_hash, zero)
    );
    assert_eq!(
        refused(&|e| e.config_digest = zero),
        mismatch("config_digest", good.config_digest, zero)
    );
    assert_eq!(refused(&|e| e.policy_hash = zero), mismatch("policy_hash", good.policy_hash, zero));
}

#[test]
fn an_epoch_outside_the_mandate_is_not_opened() {
    let mut world = World::under(&Charter { last_epoch: 1, ..Charter::default() });
    world.join_all();
    world.epoch(1);
    assert_eq!(world.state().next_epoch(world.rules()), None);
    let (first, last, got) =
        (FederatedEpoch::new(1), FederatedEpoch::new(1), FederatedEpoch::new(2));
    let opened = EpochOpened {
        federated_epoch: got,
        generation: Generation::ZERO,
        base_state_hash: world.state().meta().hash(),
        config_digest: world.rules().roster.digest(),
        policy_hash: world.rules().policy.digest(),
    };
    let refusal = world.refusal_of(LedgerEntry::EpochOpened(opened));
    assert_eq!(refusal, Refusal::Mandate { first, last, got });
}

/// Every entry of the epoch machine once, taken when each was right.
fn alphabet() -> [LedgerEntry; 4] {
    let mut world = World::joined();
    let opened = LedgerEntry::EpochOpened(world.opening());
    world.open_epoch().commit_updates(1..=SITES, 1);
    let cut = LedgerEntry::EpochCut(world.cut());
    world.cut_epoch();
    let aggregated = LedgerEntry::AggregatedUpdate(Box::new(world.aggregated().0));
    world.aggregate();
    let signoff = world.signed_off(world.signoff(), &["governor-a", "governor-b"]);
    [opened, cut, aggregated, LedgerEntry::ApplySignoff(signoff)]
}

#[test]
fn every_entry_has_its_phase() {
    let alphabet = alphabet();
    let mut world = World::joined();
    for (step, phase) in ["Idle", "Open", "Cut", "Aggregated"].into_iter().enumerate() {
        assert_eq!(world.state().phase().name(), phase);
        if phase == "Open" {
            world.commit_updates(1..=SITES, 1);
        }
        for (index, wrong) in alphabet.iter().enumerate().filter(|(index, _)| *index != step) {
            let entry = alphabet[index].kind();
            let refusal = world.refusal_of(wrong.clone());
            assert_eq!(refusal, Refusal::Phase { entry, phase }, "{entry} in {phase}");
        }
        world.commit_derived(alphabet[step].clone());
    }
    assert_eq!(*world.state().phase(), Phase::Idle);
}

/// An open epoch with every site's commitment.
fn committed() -> World {
    let mut world = World::open();
    world.commit_updates(1..=SITES, 1);
    world
}

fn refused_cut(world: &World, bend: impl Fn(&mut EpochCut)) {
    let good = world.cut();
    let mut bent = good.clone();
    bend(&mut bent);
    assert_ne!(bent, good);
    let refusal = world.refusal_of(LedgerEntry::EpochCut(bent.clone()));
    let (expected, got) = (format!("{good:?}"), format!("{bent:?}"));
    assert_eq!(refusal, Refusal::Mismatch { what: "cut", expected, got });
}

#[test]
fn a_cut_is_the_one_that_the_ledger_determines() {
    let world = committed();
    refused_cut(&world, |cut| {
        cut.included.remove(2);
    });
    refused_cut(&world, |cut| {
        let mut invented = cut.included[0];
        invented.update_hash = Digest::ZERO;
        cut.included.push(invented);
    });
    refused_cut(&world, |cut| cut.included.swap(0, 1));
    refused_cut(&world, |cut| cut.federated_epoch = FederatedEpoch::new(2));
    refused_cut(&world, |cut| cut.generation = Generation::new(1));
}

#[test]
fn a_cut_says_who_is_absent_and_why() {
    let mut world = World::open();
    world.commit_updates(1..=4, 1);
    refused_cut(&world, |cut| cut.absent.clear());
    refused_cut(&world, |cut| cut.absent[0].reason = AbsenceReason::NoSession);
    refused_cut(&world, |cut| {
        let twice = cut.absent[0];
        cut.absent.push(twice);
    });
}

#[test]
fn a_cut_of_too_few_organisations_is_refused() {
    let mut world = World::open();
    world.commit_updates(1..=3, 1);
    let refusal = world.refusal_of(LedgerEntry::EpochCut(world.cut()));
    assert_eq!(refusal, Refusal::TooFewOrganisations { needed: 4, got: 3 });
}

fn refused_aggregate(world: &World, bend: impl Fn(&mut AggregatedUpdate)) -> Refusal {
    let (mut bent, _) = world.aggregated();
    bend(&mut bent);
    world.refusal_of(LedgerEntry::AggregatedUpdate(Box::new(bent)))
}

#[test]
fn an_aggregate_of_another_epoch_or_generation_is_refused() {
    let world = World::in_cut();
    let refusal = refused_aggregate(&world, |a| a.federated_epoch = FederatedEpoch::new(2));
    assert_eq!(refusal, mismatch("epoch", 1, 2));
    let refusal = refused_aggregate(&world, |a| a.generation = Generation::new(1));
    assert_eq!(refusal, mismatch("generation", 0, 1));
}

#[test]
fn an_aggregate_by_another_rule_is_refused() {
    let world = World::in_cut();
    let refusal = refused_aggregate(&world, |a| a.rule = AggregationRule::Mean);
    assert_eq!(refusal, mismatch("rule", "NnmTrimmedMean { trim: 1 }", "Mean"));
}

#[test]
fn an_aggregate_accounts_for_every_update_of_the_cut() {
    let world = World::in_cut();
    let what = "updates accounted for by the alignment";
    let refusal = refused_aggregate(&world, |a| {
        a.alignment.aligned.pop();
    });
    assert_eq!(refusal, mismatch(what, 5, 4));
    let refusal = refused_aggregate(&world, |a| {
        let twice = a.alignment.aligned[0];
        a.alignment.aligned.push(twice);
    });
    assert_eq!(refusal, mismatch(what, 5, 6));
    let refusal = refused_aggregate(&world, |a| {
        a.alignment.aligned[0].update.update_hash = Digest::ZERO;
    });
    assert_eq!(refusal, mismatch(what, 5, 5));
}

#[test]
fn an_aggregate_that_does_not_lead_on_from_the_state_is_refused() {
    let world = World::in_cut();
    let (zero, state) = (Digest::ZERO, world.state().meta().hash());
    let refusal = refused_aggregate(&world, |a| a.base_state_hash = zero);
    assert_eq!(refusal, ApplyError::BaseState { state, update: zero }.into());
    let computed = world.aggregated().0.new_state_hash;
    let refusal = refused_aggregate(&world, |a| a.new_state_hash = zero);
    assert_eq!(refusal, ApplyError::NewState { computed, stated: zero }.into());
    let refusal = refused_aggregate(&world, |a| a.delta.push(0));
    let length = GenomeError::Length { expected: 2, found: 3 };
    assert_eq!(refusal, ApplyError::from(length).into());
    // Another change than the one that leads to the stated state.
    let refusal = refused_aggregate(&world, |a| a.delta[0] += 1);
    let Refusal::Apply(ApplyError::NewState { stated, .. }) = refusal else { panic!("{refusal}") };
    assert_eq!(stated, computed);
}
