//! Updates as blobs: checked, durable, receipted; and fetched where they are missing.

use federation_proto::codec::{Canonical, CodecError};
use federation_proto::seal::Sealed;
use federation_proto::signing::SignatureError;
use federation_proto::update::{MetaUpdate, SealedPayload};
use federation_proto::{
    BatchItem, Digest, FederatedEpoch, Generation, LedgerBlockId, LedgerEntry, Signed,
};
use governance::validator::{
    BlobRefusal, DurableRecord, DurableToken, ValidatorEffect, ValidatorInput, ValidatorRefusal,
};
use governance::wire::{Frame, Outgoing, Recipient};
use meta_core::delta::{DeltaError, DeltaPayload, FrameError, PayloadError};

use crate::fixture::bench::{BACKUP, Bench, frames, refusals, tokens, voted};
use crate::fixture::session::Handshake;
use crate::fixture::update::{carrying, delta, receipt};
use crate::fixture::{SITES, World, key, name, node, site, validator};

#[test]
fn a_receipt_leaves_only_when_its_blob_is_durable() {
    let world = World::open();
    let mut bench = Bench::after(&world);
    let update = world.update(1, 1);
    let blob = world.blob(1, &update);
    let digest = Digest::of_blob(&blob);
    let effects = bench.raw(ValidatorInput::Frame(world.update_frame(1, blob.clone())));
    let [ValidatorEffect::Persist { token, record: DurableRecord::Blob(bytes) }] =
        effects.as_slice()
    else {
        panic!("nothing but the write was expected: {effects:?}")
    };
    assert_eq!((token, bytes), (&DurableToken::Blob(digest), &blob));
    assert!(bench.validator.blobs().is_empty());

    let effects = bench.raw(ValidatorInput::Persisted(*token));
    let expected = receipt(BACKUP, &update, &blob);
    assert_receipt(&world, &effects, &expected);
    assert_eq!(bench.validator.blobs()[&digest], blob);
    // What is stored already is receipted at once.
    let effects = bench.raw(ValidatorInput::Frame(world.update_frame(1, blob)));
    assert_eq!(tokens(&effects), []);
    assert_receipt(&world, &effects, &expected);
}

fn assert_receipt(
    world: &World,
    effects: &[ValidatorEffect],
    expected: &federation_proto::update::BlobReceipt,
) {
    let sent: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            ValidatorEffect::Send(outgoing) => Some(outgoing),
            _ => None,
        })
        .collect();
    let [Outgoing { to, frame: Frame::Receipt(receipt) }] = sent.as_slice() else {
        panic!("one receipt was expected: {effects:?}")
    };
    assert_eq!(*to, Recipient::Node(name(&site(1))));
    assert_eq!(receipt.claimed(), expected);
    let own = key(&validator(BACKUP)).public();
    let identity = &world.rules().roster.validator(&own).expect("a validator").identity;
    (**receipt).clone().verify(identity, &world.context()).expect("its signature");
}

/// What a validator says to an update of site 1, bent before it is signed by `owner`.
fn refused(owner: &str, bend: impl Fn(&World, MetaUpdate) -> MetaUpdate) -> BlobRefusal {
    let world = World::open();
    let update = bend(&world, world.update(1, 1));
    let blob = Signed::sign(update, &key(owner), &world.context()).to_canonical();
    refused_bytes(&world, blob)
}

fn refused_bytes(world: &World, blob: Vec<u8>) -> BlobRefusal {
    let mut bench = Bench::after(world);
    let effects = bench.frame(world.update_frame(1, blob));
    assert!(frames(&effects).is_empty() && tokens(&effects).is_empty(), "{effects:?}");
    match refusals(effects).as_slice() {
        [ValidatorRefusal::Blob(refusal)] => refusal.clone(),
        other => panic!("one refused update was expected: {other:?}"),
    }
}

#[test]
fn bytes_that_are_no_update_get_no_receipt() {
    let world = World::open();
    let refusal = refused_bytes(&world, vec![1, 2, 3]);
    assert!(matches!(refusal, BlobRefusal::Codec(CodecError::Malformed { .. })), "{refusal}");
    let mut trailing = world.blob(1, &world.update(1, 1));
    trailing.push(0);
    let refusal = refused_bytes(&world, trailing);
    let what = "Signed<MetaUpdate>";
    assert_eq!(refusal, CodecError::TrailingBytes { what, count: 1 }.into());
}

#[test]
fn an_update_is_its_carriers_own() {
    let (author, carrier) = (node(2), node(1));
    let refusal = refused(&site(2), |_, update| MetaUpdate { node_fingerprint: author, ..update });
    assert_eq!(refusal, BlobRefusal::ForeignAuthor { author, carrier });
    let refusal = refused(&site(9), |_, update| MetaUpdate { node_fingerprint: node(9), ..update });
    assert_eq!(refusal, BlobRefusal::UnknownNode(node(9)));
    let refusal = refused(&site(2), |_, update| update);
    let (what, key) = ("MetaUpdate", node(1).to_string());
    assert_eq!(refusal, SignatureError::Invalid { what, key }.into());
}

#[test]
fn an_update_belongs_to_its_authors_session() {
    let refusal =
        refused(&site(1), |world, update| MetaUpdate { session_id: world.session(2).0, ..update });
    assert_eq!(refusal, BlobRefusal::Session);
    let ledger_block_id = LedgerBlockId::new(Digest::ZERO);
    let refusal = refused(&site(1), |_, update| MetaUpdate { ledger_block_id, ..update });
    assert_eq!(refusal, BlobRefusal::Session);
}

#[test]
fn an_update_of_another_time_gets_no_receipt() {
    let (current, got) = (FederatedEpoch::new(1), FederatedEpoch::new(2));
    let refusal = refused(&site(1), |_, update| MetaUpdate { federated_epoch: got, ..update });
    assert_eq!(refusal, BlobRefusal::FutureEpoch { current, got });
    let (current, got) = (Generation::ZERO, Generation::new(1));
    let refusal = refused(&site(1), |_, update| MetaUpdate { generation: got, ..update });
    assert_eq!(refusal, BlobRefusal::Generation { current, got });
}

#[test]
fn a_payload_that_is_no_delta_within_bounds_gets_no_receipt() {
    let refusal = refused(&site(1), |_, update| {
        let payload = SealedPayload::Clear(b"not a frame".to_vec());
        MetaUpdate { payload, ..update }
    });
    assert_eq!(refusal, PayloadError::Frame(FrameError::Magic).into());
    let refusal = refused(&site(1), |_, update| {
        let foreign = DeltaPayload { schema_digest: Digest::ZERO, ..delta(1, vec![1, 0]) };
        carrying(update, &foreign.to_canonical())
    });
    let BlobRefusal::Payload(PayloadError::Delta(DeltaError::Schema { found, .. })) = refusal
    else {
        panic!("{refusal}")
    };
    assert_eq!(found, Digest::ZERO);
    let refusal = refused(&site(1), |_, update| {
        carrying(update, &delta(1, vec![i16::MAX, 0]).to_canonical())
    });
    assert!(
        matches!(refusal, BlobRefusal::Payload(PayloadError::Delta(DeltaError::OutOfRange { .. }))),
        "{refusal}"
    );
}

#[test]
fn a_sealed_payload_gets_no_receipt_under_a_policy_in_clear() {
    let refusal = refused(&site(1), |_, update| {
        let payload = SealedPayload::Sealed(Sealed::from_parts(Vec::new(), Vec::new()));
        MetaUpdate { payload, ..update }
    });
    assert_eq!(refusal, BlobRefusal::UnexpectedSeal);
}

#[test]
fn a_blob_that_nobody_asked_for_is_refused() {
    let world = World::in_cut();
    let mut bench = Bench::after(&world);
    let stranger = b"not asked for".to_vec();
    let digest = Digest::of_blob(&stranger);
    let effects = bench.frame(Frame::Blob(stranger));
    assert_eq!(tokens(&effects), []);
    match refusals(effects).as_slice() {
        [ValidatorRefusal::Blob(BlobRefusal::NotWanted(found))] => assert_eq!(*found, digest),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stored_blob_is_handed_out_byte_for_byte() {
    let world = World::open();
    let mut bench = Bench::after(&world);
    let blob = world.blob(1, &world.update(1, 1));
    let digest = Digest::of_blob(&blob);
    let asking = |asker: &str| {
        let asker = name(asker);
        Frame::BlobRequest { blob: digest, asker }
    };
    assert!(bench.frame(asking("validator-1")).is_empty());
    bench.store(&world, [1]);
    let effects = bench.frame(asking("validator-1"));
    assert_eq!(frames(&effects), [&Frame::Blob(blob)]);
    // A request is small and a blob is not: only validators are answered.
    assert!(bench.frame(asking("site-1")).is_empty());
    assert!(bench.frame(asking("stranger")).is_empty());
}

/// The aggregate of the cut, proposed to a backup that holds only some of its blobs.
fn lacking(world: &World, stored: impl Iterator<Item = usize>) -> (Bench, Vec<ValidatorEffect>) {
    let open = World::open();
    let mut bench = Bench::after(&open);
    bench.store(&open, stored);
    bench.follow(world);
    let (aggregated, _) = world.aggregated();
    let entry = LedgerEntry::AggregatedUpdate(Box::new(aggregated));
    let batch = world.batch(vec![BatchItem::Derived(entry)]);
    bench.now = batch.batch_time;
    let effects = bench.propose(&batch);
    (bench, effects)
}

fn asked(effects: &[ValidatorEffect]) -> Vec<Digest> {
    let mut asked: Vec<_> = frames(effects)
        .into_iter()
        .filter_map(|frame| match frame {
            Frame::BlobRequest { blob, .. } => Some(*blob),
            _ => None,
        })
        .collect();
    asked.sort_unstable();
    asked
}

#[test]
fn with_every_blob_it_votes_for_its_own_aggregate() {
    let (_, effects) = lacking(&World::in_cut(), 1..=SITES);
    assert!(voted(&effects));
    assert_eq!(asked(&effects), []);
}

#[test]
fn missing_blobs_are_asked_for_and_the_vote_waits_until_they_are_durable() {
    let world = World::in_cut();
    let (mut bench, effects) = lacking(&world, 1..=3);
    assert!(!voted(&effects));
    assert!(refusals(effects).is_empty(), "lacking a blob is no refusal");
    let lacked: Vec<_> = world
        .blobs
        .values()
        .filter(|blob| !bench.validator.blobs().contains_key(&Digest::of_blob(blob)))
        .cloned()
        .collect();
    assert_eq!(lacked.len(), 2);
    let effects = bench.raw(ValidatorInput::Frame(Frame::Blob(lacked[0].clone())));
    let [token] = tokens(&effects)[..] else { panic!("one write: {effects:?}") };
    assert_eq!(token, DurableToken::Blob(Digest::of_blob(&lacked[0])));
    assert!(!voted(&bench.input(ValidatorInput::Persisted(token))), "one is still missing");

    let effects = bench.raw(ValidatorInput::Frame(Frame::Blob(lacked[1].clone())));
    let [token] = tokens(&effects)[..] else { panic!("one write: {effects:?}") };
    assert!(!voted(&bench.input(ValidatorInput::Wake)), "received is not yet durable");
    assert!(voted(&bench.input(ValidatorInput::Persisted(token))));
    assert_eq!(bench.validator.blobs().len(), SITES);
}

#[test]
fn a_blob_is_asked_for_once_and_again_when_told_to_resend() {
    let world = World::in_cut();
    let (mut bench, effects) = lacking(&world, 1..=4);
    let wanted = asked(&effects);
    assert_eq!(wanted.len(), 1);
    assert_eq!(asked(&bench.input(ValidatorInput::Wake)), []);
    // Request or answer was lost.
    assert_eq!(asked(&bench.input(ValidatorInput::Resend)), wanted);
    assert_eq!(asked(&bench.input(ValidatorInput::Wake)), []);
    bench.frame(Frame::Blob(world.blobs[&wanted[0]].clone()));
    assert_eq!(asked(&bench.input(ValidatorInput::Resend)), []);
}

/// A site that renews its session while an update waits resends the bytes it signed.
#[test]
fn an_update_of_a_replaced_session_is_stored() {
    let mut world = World::open();
    let blob = world.blob(1, &world.update(1, 1));
    let second = Handshake::of(&world, 1, 2).item(&world.context());
    world.commit(vec![second]);
    let mut bench = Bench::after(&world);
    assert!(refusals(bench.frame(world.update_frame(1, blob))).is_empty());
    assert_eq!(bench.validator.blobs().len(), 1);
}
