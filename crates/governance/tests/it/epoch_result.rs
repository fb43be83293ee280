//! The result of an epoch: the same for everybody who has the blobs, whatever single authors did.

use std::collections::BTreeSet;

use federation_proto::codec::Canonical;
use federation_proto::entry::{AggregationRule, DiscardReason, DiscardedUpdate};
use federation_proto::seal::Sealed;
use federation_proto::update::{MetaUpdate, SealedPayload, UpdateCommitment};
use federation_proto::{Digest, FederatedEpoch, LedgerBlockId, NodeFingerprint};
use governance::epoch_result::{EpochResult, ResultError, compute, epoch_bases, session_bindings};
use governance::machine::{Phase, Refusal};
use meta_core::alignment::{FederatedUpdate, LedgerPosition, PayloadFault, UpdateContext};
use meta_core::delta::{DeltaPayload, FrameError, PayloadError};

use crate::fixture::update::{carrying, delta, receipts};
use crate::fixture::{SITES, World, node};

/// The site whose update is bent.
const BAD: usize = 3;

fn discarded(discarded: &[DiscardedUpdate]) -> Vec<(NodeFingerprint, DiscardReason)> {
    discarded.iter().map(|one| (one.update.node_fingerprint, one.reason)).collect()
}

#[test]
fn two_validators_compute_the_same_bits() {
    let world = World::in_cut();
    let mut other = world.fresh();
    for ordered in &world.history {
        let certificate = ordered.certificate.to_canonical();
        other.execute(ordered.sequence, &ordered.batch, certificate).expect("executes");
    }
    let result = compute(other.rules(), other.ledger(), other.state(), &world.blobs);
    let EpochResult::Aggregated(theirs, alignment) = result else { panic!("{result:?}") };
    let (ours, _) = world.aggregated();
    assert_eq!(*theirs, ours);
    assert_eq!(theirs.hash(), ours.hash());
    assert_eq!(theirs.to_canonical(), ours.to_canonical());
    assert_eq!(alignment.record, ours.alignment);
    assert_eq!(ours.rule, AggregationRule::NnmTrimmedMean { trim: 1 });
    // Steps 11..51 of 2^12, trimmed and mixed: an honest change lies between the extremes.
    assert!((11 << 12..=51 << 12).contains(&ours.delta[0]), "{}", ours.delta[0]);
    assert_eq!(ours.delta[1], 0);
}

#[test]
fn missing_blobs_are_named_and_nothing_is_guessed() {
    let mut world = World::in_cut();
    let missing: BTreeSet<Digest> = world.blobs.keys().copied().take(2).collect();
    world.blobs.retain(|blob, _| !missing.contains(blob));
    let result = world.result();
    let EpochResult::Missing(found) = result else { panic!("{result:?}") };
    assert_eq!(found, missing);
}

#[test]
fn there_is_a_result_only_in_a_cut() {
    let mut world = World::open();
    assert!(matches!(world.result(), EpochResult::NotInCut));
    world.commit_updates(1..=SITES, 1).cut_epoch();
    assert!(matches!(world.result(), EpochResult::Aggregated(..)));
    world.aggregate();
    assert!(matches!(world.result(), EpochResult::NotInCut));
}

#[test]
fn other_bytes_under_a_blobs_name_are_no_result() {
    let mut world = World::in_cut();
    let committed = *world.blobs.keys().next().expect("blobs");
    world.blobs.insert(committed, vec![1]);
    let result = world.result();
    let EpochResult::Unaggregatable(ResultError::Verify(_)) = result else { panic!("{result:?}") };
}

/// An epoch in which one site commits something else than it should; the others are as ever.
fn epoch_with(bend: impl Fn(&World, MetaUpdate) -> MetaUpdate) -> World {
    let mut world = World::open();
    world.commit_updates((1..=SITES).filter(|index| *index != BAD), 1);
    let update = bend(&world, world.update(BAD, 1));
    let commitment = world.commitment(BAD, &update);
    let item = world.commitment_item(BAD, 1, commitment);
    world.commit(vec![item]);
    world.cut_epoch();
    world
}

/// The bent site alone is out, for this reason; the epoch goes on with the rest.
fn goes_on_without(mut world: World, reason: DiscardReason) -> PayloadFault {
    let (aggregated, _) = world.aggregated();
    assert_eq!(discarded(&aggregated.alignment.discarded), [(node(BAD), reason)]);
    assert_eq!(aggregated.alignment.aligned.len(), SITES - 1);
    let fault = world.fault(BAD);
    world.aggregate().sign_off();
    fault
}

impl World {
    /// What alignment finds wrong with a site's committed update.
    fn fault(&self, index: usize) -> PayloadFault {
        let Phase::Cut { commitments, .. } = self.state().phase() else { panic!("no cut") };
        let ordered = commitments
            .iter()
            .find(|ordered| ordered.commitment.node_fingerprint == node(index))
            .expect("its commitment");
        let sessions = session_bindings(self.state(), self.executor.ledger());
        let (roster, signing) = (&self.rules().roster, &self.rules().context);
        let schema = &self.rules().schema;
        let context = UpdateContext { roster, signing, sessions: &sessions, schema };
        let block = self.executor.ledger().block(ordered.height).expect("its block");
        let item = &block.batch.items[ordered.index as usize];
        let position = LedgerPosition { height: ordered.height, index: ordered.index };
        let blob = &self.blobs[&ordered.commitment.blob];
        let update = FederatedUpdate::from_own_ledger(blob, item, position, &context);
        update.expect("a committed update").fault().expect("a fault").clone()
    }
}

#[test]
fn a_payload_that_is_no_zstd_frame_is_discarded() {
    let world = epoch_with(|_, update| MetaUpdate {
        payload: SealedPayload::Clear(b"not a frame".to_vec()),
        ..update
    });
    let fault = goes_on_without(world, DiscardReason::InvalidPayload);
    assert_eq!(fault, PayloadFault::Payload(PayloadError::Frame(FrameError::Magic)));
}

#[test]
fn a_sealed_payload_is_discarded_under_a_policy_in_clear() {
    let world = epoch_with(|_, update| MetaUpdate {
        payload: SealedPayload::Sealed(Sealed::from_parts(Vec::new(), Vec::new())),
        ..update
    });
    let fault = goes_on_without(world, DiscardReason::InvalidPayload);
    assert_eq!(fault, PayloadFault::UnexpectedSeal);
}

#[test]
fn a_delta_of_another_schema_is_discarded_as_incompatible() {
    let world = epoch_with(|_, update| {
        let foreign = DeltaPayload { schema_digest: Digest::ZERO, ..delta(BAD, vec![1, 0]) };
        carrying(update, &foreign.to_canonical())
    });
    let fault = goes_on_without(world, DiscardReason::IncompatibleSchema);
    assert!(matches!(fault, PayloadFault::Payload(PayloadError::Delta(_))), "{fault}");
}

#[test]
fn a_delta_out_of_bounds_or_shape_is_discarded() {
    for coordinates in [vec![i16::MAX, 0], vec![1], vec![1, 0, 0]] {
        let payload = delta(BAD, coordinates).to_canonical();
        let world = epoch_with(|_, update| carrying(update, &payload));
        let fault = goes_on_without(world, DiscardReason::InvalidPayload);
        assert!(matches!(fault, PayloadFault::Payload(PayloadError::Delta(_))), "{fault}");
    }
}

#[test]
fn a_payload_under_another_hash_is_discarded() {
    let world = epoch_with(|_, update| MetaUpdate { update_hash: Digest::ZERO, ..update });
    let fault = goes_on_without(world, DiscardReason::InvalidPayload);
    let PayloadFault::Payload(PayloadError::Hash { stated, .. }) = fault else { panic!("{fault}") };
    assert_eq!(stated, Digest::ZERO);
}

#[test]
fn an_update_that_names_another_session_is_discarded() {
    let world = epoch_with(|world, update| MetaUpdate { session_id: world.session(1).0, ..update });
    let fault = goes_on_without(world, DiscardReason::InvalidPayload);
    assert!(matches!(fault, PayloadFault::Session { .. }), "{fault}");
    let ledger_block_id = LedgerBlockId::new(Digest::ZERO);
    let world = epoch_with(|_, update| MetaUpdate { ledger_block_id, ..update });
    let fault = goes_on_without(world, DiscardReason::InvalidPayload);
    let PayloadFault::Session { ledger_block_id: named, .. } = fault else { panic!("{fault}") };
    assert_eq!(named, ledger_block_id);
}

#[test]
fn a_commitment_that_says_something_else_than_the_receipts_is_not_ordered() {
    let mut world = World::open();
    let update = world.update(BAD, 1);
    let mut commitment: UpdateCommitment = world.commitment(BAD, &update);
    commitment.cycle = commitment.cycle.next();
    let refusal = world.refusal(world.commitment_item(BAD, 1, commitment));
    assert_eq!(refusal, Refusal::Receipt { index: 0, what: "for another commitment" });
}

/// Sites that commit two different updates of cycle 1.
fn equivocating(sites: &[usize]) -> World {
    let mut world = World::open();
    world.commit_updates(1..=SITES, 1);
    for index in sites {
        let other = delta(*index, vec![-7, 0]).to_canonical();
        let update = carrying(world.update(*index, 1), &other);
        let commitment = world.commitment(*index, &update);
        let item = world.commitment_item(*index, 2, commitment);
        world.commit(vec![item]);
    }
    world.cut_epoch();
    world
}

#[test]
fn two_updates_of_one_cycle_put_both_out_and_prove_it() {
    let world = equivocating(&[BAD]);
    let (aggregated, alignment) = world.aggregated();
    let conflicting = (node(BAD), DiscardReason::ConflictingHash);
    assert_eq!(discarded(&aggregated.alignment.discarded), [conflicting; 2]);
    assert_eq!(aggregated.alignment.aligned.len(), SITES - 1);
    let [evidence] = alignment.equivocations.as_slice() else { panic!("one equivocation") };
    assert_eq!(evidence.node_fingerprint, node(BAD));
    let key = &world.rules().roster.participant(&node(BAD)).expect("a site").identity;
    for request in [&evidence.first, &evidence.second] {
        request.clone().verify(key, &world.context()).expect("its own signature");
    }
    assert_ne!(evidence.first, evidence.second);
}

#[test]
fn an_epoch_in_which_too_many_lie_ends_and_changes_nothing() {
    for liars in [[1, 2, 3].as_slice(), &[1, 2, 3, 4, 5]] {
        let mut world = equivocating(liars);
        let before = world.state().meta().values().to_vec();
        let (aggregated, _) = world.aggregated();
        assert!(aggregated.delta.iter().all(|change| *change == 0));
        world.aggregate().sign_off();
        assert_eq!(world.state().meta().values(), before);
        assert_eq!(world.state().meta().federated_epoch(), FederatedEpoch::new(1));
    }
}

#[test]
fn a_later_cycle_supersedes_an_earlier_one_without_penalty() {
    let mut world = World::open();
    world.commit_updates(1..=SITES, 1);
    let first = world.update(BAD, 1).update_hash;
    let update = MetaUpdate { previous_update: first, ..world.update(BAD, 2) };
    let commitment = world.commitment(BAD, &update);
    let item = world.commitment_item(BAD, 2, commitment);
    world.commit(vec![item]);
    world.cut_epoch();
    let (aggregated, alignment) = world.aggregated();
    let superseded = [(node(BAD), DiscardReason::Superseded)];
    assert_eq!(discarded(&aggregated.alignment.discarded), superseded);
    assert_eq!(aggregated.alignment.aligned.len(), SITES);
    assert!(alignment.equivocations.is_empty());
    world.aggregate().sign_off();
    assert_eq!(world.state().accepted()[&node(BAD)].update_hash, update.update_hash);
}

#[test]
fn what_the_ledger_says_is_what_updates_are_measured_by() {
    let mut world = World::decided();
    let base = world.state().meta().hash();
    world.sign_off().open_epoch();
    let bases = epoch_bases(world.state());
    assert_eq!(bases[&base].get(), 1);
    assert_eq!(bases[&world.state().meta().hash()].get(), 2);
    let sessions = session_bindings(world.state(), world.executor.ledger());
    for index in 1..=SITES {
        let (session_id, block) = world.session(index);
        assert_eq!(sessions[&session_id].ledger_block_id, block);
        assert_eq!(sessions[&session_id].node_fingerprint, node(index));
    }
    // Receipts of an epoch that is over vouch for a late update of it.
    let update = MetaUpdate { base_state_hash: base, ..world.update(1, 2) };
    let blob = world.blob(1, &update);
    let vouched = receipts(&world.context(), &update, &blob, &[0, 1, 2]);
    let commitment = UpdateCommitment::new(&update, &blob, vouched);
    let item = world.commitment_item(1, 2, commitment);
    world.preview(vec![item]).expect("an older base that was");
}
