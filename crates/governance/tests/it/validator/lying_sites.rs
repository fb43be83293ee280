//! What one lying site can do to a validator: nothing but waste its own share.

use consensus_pbft::{ReplicaId, Settings};
use federation_proto::{Batch, BatchItem, LaneSequence, LedgerEntry};
use governance::machine::{Refusal, WindowRefusal};
use governance::validator::{
    BlobRefusal, ProposalRefusal, Validator, ValidatorEffect, ValidatorError, ValidatorKeys,
    ValidatorRefusal,
};
use governance::wire::{Frame, Outgoing, Recipient};

use crate::fixture::bench::{Bench, refusals};
use crate::fixture::session::signed_by;
use crate::fixture::update::{carrying, delta};
use crate::fixture::{Charter, SITES, World, key, node, site, validator};

use federation_proto::codec::Canonical;

/// Envelopes that were sent on to every validator.
fn relayed(effects: &[ValidatorEffect]) -> usize {
    let to_all = |effect: &&ValidatorEffect| {
        matches!(
            effect,
            ValidatorEffect::Send(Outgoing {
                to: Recipient::Validators,
                frame: Frame::Envelope(_)
            })
        )
    };
    effects.iter().filter(to_all).count()
}

#[test]
fn a_commitment_is_relayed_when_it_is_first_seen_so_that_nobody_can_split_the_committee() {
    let mut world = World::open();
    let item = world.committing(1, 1);
    let mut bench = Bench::after(&world);
    let frame = world.request_frame(1, &item);
    assert_eq!(relayed(&bench.frame(frame.clone())), 1);
    assert_eq!(relayed(&bench.frame(frame)), 0, "once is enough");
}

#[test]
fn a_site_fills_its_own_share_of_the_disk_and_no_more() {
    let world = World::open();
    let mut bench = Bench::after(&world);
    let limit = world.rules().policy.document().epoch.maximum_commitments_per_node;
    for step in 0..=limit {
        let gene = i16::try_from(step).expect("small");
        let update = carrying(world.update(1, 1), &delta(1, vec![gene, 0]).to_canonical());
        let blob = world.blob(1, &update);
        let refused = refusals(bench.frame(world.update_frame(1, blob)));
        match refused.as_slice() {
            [] => assert!(step < limit, "one too many"),
            [ValidatorRefusal::Blob(BlobRefusal::TooMany { node: whose, .. })] => {
                assert_eq!((step, *whose), (limit, node(1)));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bench.validator.blobs().len(), limit as usize);
    // Everybody else's share is untouched.
    bench.store(&world, [2]);
    assert_eq!(bench.validator.blobs().len(), limit as usize + 1);
}

#[test]
fn a_site_fills_its_own_share_of_the_pool_and_no_more() {
    let mut world = World::open();
    let limit = world.rules().policy.document().epoch.maximum_commitments_per_node;
    let update = world.update(1, 1);
    let commitment = world.commitment(1, &update);
    let mut bench = Bench::after(&world);
    for position in 1..=u64::from(limit) + 1 {
        let item = world.commitment_item(1, position, commitment.clone());
        let refused = refusals(bench.frame(world.request_frame(1, &item)));
        if position <= u64::from(limit) {
            assert!(refused.is_empty(), "{refused:?}");
            continue;
        }
        let [ValidatorRefusal::Request(ProposalRefusal::Request(cause))] = refused.as_slice()
        else {
            panic!("{refused:?}")
        };
        assert_eq!(*cause, Refusal::TooManyCommitments { count: limit as usize, limit });
    }
}

#[test]
fn the_largest_position_there_is_crashes_nobody() {
    let mut world = World::open();
    let update = world.update(1, 1);
    let commitment = world.commitment(1, &update);
    let mut request = world.commitment_request(1, 1, commitment);
    request.sequence = LaneSequence::new(u64::MAX);
    let item = signed_by(&site(1), request, &world.context());
    let far = WindowRefusal::TooFar { got: LaneSequence::new(u64::MAX), next: 0 };
    assert_eq!(world.refusal(item.clone()), far.into());
    let mut bench = Bench::after(&world);
    assert!(!refusals(bench.frame(world.request_frame(1, &item))).is_empty());
}

#[test]
fn four_updates_of_one_site_are_no_four_organisations() {
    let mut world = World::open();
    for cycle in 1..=4 {
        let update = world.update(1, cycle);
        let commitment = world.commitment(1, &update);
        let item = world.commitment_item(1, cycle, commitment);
        world.commit(vec![item]);
    }
    let window = world.rules().policy.document().epoch.window_ms;
    world.wait(window);
    let refusal = world.refusal_of(LedgerEntry::EpochCut(world.cut()));
    assert_eq!(refusal, Refusal::TooFewOrganisations { needed: 4, got: 1 });
}

#[test]
fn a_late_update_of_the_last_epoch_does_not_stand_for_this_one() {
    let mut world = World::open();
    world.commit_updates(1..=4, 1).cut_epoch();
    world.commit_updates([5], 1).aggregate().sign_off().open_epoch();
    world.commit_updates(1..=4, 2);
    let refusal = world.refusal_of(LedgerEntry::EpochCut(world.cut()));
    assert_eq!(refusal, Refusal::NotDue("EpochCut"));
    world.commit_updates([5], 2);
    world.preview(vec![BatchItem::Derived(LedgerEntry::EpochCut(world.cut()))]).expect("due");
}

#[test]
fn a_cut_and_its_aggregate_in_one_batch_are_refused() {
    let open = World::open();
    let mut bench = Bench::after(&open);
    bench.store(&open, 1..=SITES);
    let mut world = World::open();
    world.commit_updates(1..=SITES, 1);
    bench.follow(&world);
    let cut = BatchItem::Derived(LedgerEntry::EpochCut(world.cut()));
    let (aggregated, _) = world.clone().cut_epoch().aggregated();
    let aggregated = BatchItem::Derived(LedgerEntry::AggregatedUpdate(Box::new(aggregated)));
    let batch: Batch = world.batch(vec![cut, aggregated]);
    bench.now = batch.batch_time;
    assert_eq!(bench.refusal(&batch), ProposalRefusal::NoResult);
}

#[test]
fn a_checkpoint_interval_above_half_of_the_window_is_refused() {
    let charter = Charter::with_policy("checkpoint_interval = 16", "checkpoint_interval = 65");
    let world = World::under(&charter);
    let owner = validator(0);
    let keys = ValidatorKeys { identity: key(&owner), consensus: key(&owner), log: key(&owner) };
    let settings = Settings::default().validate().expect("settings");
    let (committee, id) = (world.committee.clone(), ReplicaId::new(0));
    let refused = Validator::new(committee, id, keys, settings, world.fresh()).map(|_| ());
    let expected = ValidatorError::CheckpointInterval { interval: 65, window: 128 };
    assert_eq!(refused.expect_err("the log would fill"), expected);
}
