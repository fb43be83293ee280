//! Bounds: what a client or a liar can make a replica hold.

use consensus_pbft::{
    Committee, CommitteeError, ConsensusMessage, Input, MAX_WINDOW, PrePrepare, Proposal,
    Rejection, Replica, ReplicaError, Settings, SettingsError,
};
use federation_proto::{
    Batch, BatchItem, Digest, SequenceNumber, Signed, SigningContext, View, limits,
};

use crate::federation::{committee, consensus_key, entry, genesis, id, key, request};
use crate::toy::Refusal;
use crate::world::{World, small_window};

mod floods;

#[test]
fn the_pool_is_bounded_and_holds_each_request_once() {
    let settings = Settings { pool_requests: 3, ..small_window() };
    let mut world = World::with(4, settings, 2);
    let context = *world.committee.context();
    // A backup alone proposes nothing, so what it gets waits.
    for number in [1, 1, 2, 3, 4] {
        world.input(1, Input::Request(request(&context, number)));
    }
    let node = &world.nodes[1];
    assert_eq!(node.replica.waiting_requests(), 3);
    assert!(matches!(
        node.rejections[..],
        [Rejection::RequestWaits { .. }, Rejection::PoolFull { requests: 3, .. }]
    ));
}

#[test]
fn a_request_that_the_application_refuses_does_not_wait() {
    let mut world = World::new(4);
    let context = *world.committee.context();
    let (one, two) = (request(&context, 1), request(&context, 2));
    let forged = Signed::from_parts(one.claimed().clone(), *two.signature());
    world.input(0, Input::Request(forged));
    assert_eq!(world.nodes[0].refusals, [Refusal::Signature]);
    assert_eq!(world.nodes[0].replica.waiting_requests(), 0);
    assert!(world.queue.is_empty());
}

/// The same number signed anew has other bytes; once the number is executed it must not wait for ever.
#[test]
fn what_became_inadmissible_leaves_the_pool_at_the_next_stable_checkpoint() {
    let mut world = World::new(4);
    let context = *world.committee.context();
    let body = request(&context, 0).claimed().clone();
    let mut other = body.clone();
    other.entry = entry(77);
    let client = key("client");
    world.input(3, Input::Request(Signed::sign(other, &client, &context)));
    for number in 0..3 {
        world.request(number);
    }
    world.run();
    assert_eq!(world.nodes[3].stable.len(), 1);
    assert_eq!(world.nodes[3].replica.waiting_requests(), 0);
}

/// A PRE-PREPARE that the primary of view 0 signed.
pub(crate) fn proposal(context: &SigningContext, sequence: u64, batch: Batch) -> ConsensusMessage {
    let sequence = SequenceNumber::new(sequence);
    let body = PrePrepare {
        view: View::ZERO,
        sequence,
        digest: batch.digest(context, sequence),
        replica: id(0),
    };
    let pre_prepare = Signed::sign(body, &consensus_key(0), context);
    ConsensusMessage::Proposal(Proposal { pre_prepare, batch })
}

/// A batch of about 5 MiB in one derived item.
fn heavy(time: u64) -> Batch {
    let delta = vec![i32::MAX; 1 << 20];
    let aggregate = federation_proto::entry::AggregatedUpdate {
        federated_epoch: federation_proto::FederatedEpoch::ZERO,
        generation: federation_proto::Generation::ZERO,
        base_state_hash: Digest::ZERO,
        alignment: federation_proto::entry::AlignmentRecord::default(),
        rule: federation_proto::entry::AggregationRule::Mean,
        delta,
        new_state_hash: Digest::ZERO,
    };
    let item = federation_proto::LedgerEntry::AggregatedUpdate(Box::new(aggregate));
    Batch {
        batch_time: federation_proto::LogicalTime::new(time),
        items: vec![BatchItem::Derived(item)],
    }
}

#[test]
fn a_liar_cannot_make_us_hold_a_window_of_large_batches() {
    let settings = Settings { early_batch_bytes: limits::BATCH, ..small_window() };
    let mut world = World::with(4, settings, 2);
    let context = *world.committee.context();
    for sequence in 2..=5 {
        let message = proposal(&context, sequence, heavy(sequence));
        world.input(1, Input::Message(message));
    }
    assert!(matches!(
        world.nodes[1].rejections[..],
        [Rejection::EarlyBatches { limit: limits::BATCH, .. }]
    ));
    assert_eq!(world.nodes[1].replica.holdings().batches, 3);
    // The next one to execute is always taken.
    world.input(1, Input::Message(proposal(&context, 1, heavy(1))));
    assert_eq!(world.nodes[1].rejections.len(), 1);
    let depth = usize::try_from(settings.pipeline_depth).expect("small");
    assert_eq!(world.nodes[1].writing.len(), depth);
}

#[test]
fn a_batch_with_too_many_items_is_refused() {
    let mut world = World::new(4);
    let context = *world.committee.context();
    let items = vec![BatchItem::Derived(entry(1)); limits::BATCH_ITEMS + 1];
    let batch_time = federation_proto::LogicalTime::ZERO;
    let message = proposal(&context, 1, Batch { batch_time, items });
    world.input(1, Input::Message(message));
    assert!(matches!(world.nodes[1].rejections[..], [Rejection::Batch(_)]));
}

#[test]
fn settings_name_what_they_refuse() {
    let default = Settings::default();
    assert!(default.validate().is_ok());
    for window in [0, 1, MAX_WINDOW + 1] {
        let settings = Settings { window, ..default };
        assert_eq!(settings.validate(), Err(SettingsError::Window { window }));
    }
    let settings = Settings { pool_requests: 0, ..default };
    assert_eq!(settings.validate(), Err(SettingsError::PoolRequests));
    let settings = Settings { pool_bytes: 1, ..default };
    assert_eq!(settings.validate(), Err(SettingsError::PoolBytes { bytes: 1 }));
    for depth in [0, 129] {
        let (settings, window) = (Settings { pipeline_depth: depth, ..default }, 128);
        assert_eq!(settings.validate(), Err(SettingsError::PipelineDepth { depth, window }));
    }
    assert!(Settings { pipeline_depth: 128, ..default }.validate().is_ok());
    let settings = Settings { client_requests: 0, ..default };
    assert_eq!(settings.validate(), Err(SettingsError::ClientRequests));
    let settings = Settings { client_bytes: 1, ..default };
    assert_eq!(settings.validate(), Err(SettingsError::ClientBytes { bytes: 1 }));
    let settings = Settings { early_batch_bytes: 1, ..default };
    assert_eq!(settings.validate(), Err(SettingsError::EarlyBatchBytes { bytes: 1 }));
}

#[test]
fn a_replica_needs_its_own_key_and_a_committee_its_own_configuration() {
    let settings = Settings::default().validate().expect("good");
    let foreign = Replica::new(committee(4), id(1), consensus_key(2), settings);
    assert!(matches!(foreign, Err(ReplicaError::ForeignKey { .. })));
    let unknown = Replica::new(committee(4), id(4), consensus_key(4), settings);
    assert!(matches!(unknown, Err(ReplicaError::UnknownReplica { size: 4, .. })));

    let (ours, other) = (genesis(4, "here", 0), genesis(4, "here", 1));
    let origin = ours.log_origin.clone();
    let roster = ours.configuration.validate().expect("good");
    let mixed = Committee::new(&roster, other.signing_context(), &origin);
    assert!(matches!(mixed, Err(CommitteeError::Configuration { .. })));
    let full = genesis(128, "here", 0);
    let context = full.signing_context();
    let roster = full.configuration.validate().expect("good");
    assert!(Committee::new(&roster, context, &origin).is_ok(), "the largest roster there is");
}
