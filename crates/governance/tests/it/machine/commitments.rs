//! `UpdateCommitment`: one change to a good commitment at a time.

use federation_proto::signing::SignatureError;
use federation_proto::update::{BlobReceipt, UpdateCommitment};
use federation_proto::{
    BatchItem, Digest, FederatedEpoch, Generation, Lane, LaneSequence, Request, SessionId, Signed,
};
use governance::machine::{Refusal, WindowRefusal};

use crate::fixture::session::signed_by;
use crate::fixture::update::{receipt, receipts};
use crate::fixture::{Charter, World, key, node, site, validator};

/// A good commitment of site 1 in epoch 1, bent.
fn refused(bend: impl Fn(&World, &mut UpdateCommitment)) -> Refusal {
    let mut world = World::open();
    let update = world.update(1, 1);
    let mut commitment = world.commitment(1, &update);
    let good = world.commitment_item(1, 1, commitment.clone());
    world.preview(vec![good]).expect("the unbent commitment");
    bend(&world, &mut commitment);
    world.refusal(world.commitment_item(1, 1, commitment))
}

/// A good request of site 1 in epoch 1, bent before it is signed by `owner`.
fn refused_request(owner: &str, bend: impl Fn(&World, &mut Request)) -> Refusal {
    let mut world = World::open();
    let update = world.update(1, 1);
    let commitment = world.commitment(1, &update);
    let mut request = world.commitment_request(1, 1, commitment);
    bend(&world, &mut request);
    world.refusal(signed_by(owner, request, &world.context()))
}

/// Receipts of site 1's update, each bent before it is signed.
fn refused_receipts(bend: impl Fn(u16, &mut BlobReceipt)) -> Refusal {
    refused(|world, commitment| {
        let update = world.update(1, 1);
        let blob = world.blob(1, &update);
        let sign = |voucher: u16| {
            let mut body = receipt(voucher, &update, &blob);
            bend(voucher, &mut body);
            Signed::sign(body, &key(&validator(voucher)), &world.context())
        };
        commitment.receipts = [0, 1, 2].map(sign).into();
        commitment.receipts.sort_by_key(|receipt| receipt.claimed().validator);
    })
}

const UNORDERED: &str = "not in strictly increasing order of validators";

#[test]
fn an_ordered_commitment_has_its_ledger_position() {
    let mut world = World::open();
    let items = [1, 2].map(|index| world.committing(index, 1));
    let header = world.commit(items.into());
    let places: Vec<_> =
        world.state().pending().iter().map(|ordered| (ordered.height, ordered.index)).collect();
    assert_eq!(places, [(header.height, 0), (header.height, 1)]);
    let update = world.update(2, 1);
    let (node, other) = (update.node_fingerprint, world.update(1, 1).node_fingerprint);
    assert!(world.state().has_ordered(&node, &update.update_hash));
    assert!(!world.state().has_ordered(&node, &Digest::ZERO));
    assert!(!world.state().has_ordered(&other, &update.update_hash), "another node's hash");
}

#[test]
fn a_position_counts_once_in_a_window_of_64() {
    let mut world = World::open();
    let cycles = [1, 2].map(|cycle| world.update(1, cycle));
    let [first, second] = cycles.map(|update| world.commitment(1, &update));
    let at = |world: &World, position| world.commitment_item(1, position, second.clone());
    let item = world.commitment_item(1, 10, first);
    world.commit(vec![item]);
    let (seen, far) = (LaneSequence::new(10), LaneSequence::new(75));
    assert_eq!(world.refusal(at(&world, 10)), WindowRefusal::Replayed(seen).into());
    let refusal = world.refusal(at(&world, 75));
    assert_eq!(refusal, WindowRefusal::TooFar { got: far, next: 11 }.into());
    let third = world.update(1, 3);
    let third = world.commitment(1, &third);
    let item = world.commitment_item(1, 74, third);
    world.commit(vec![item]);
    let refusal = world.refusal(at(&world, 10));
    assert_eq!(refusal, WindowRefusal::TooOld { got: seen, next: 75 }.into());
    // Positions between, and other lanes, are free.
    world.preview(vec![at(&world, 11)]).expect("a position in the window");
    let mut request = world.commitment_request(1, 10, second.clone());
    request.lane = Lane::Bulk;
    world.preview(vec![signed_by(&site(1), request, &world.context())]).expect("another lane");
}

#[test]
fn a_commitment_outside_an_open_session_is_refused() {
    let foreign = World::open().session(2).0;
    let refusal = refused_request(&site(1), |_, request| request.session_id = foreign);
    assert_eq!(refusal, Refusal::NoSession(foreign));
    let unknown = SessionId::new(Digest::ZERO);
    let refusal = refused_request(&site(1), |_, request| request.session_id = unknown);
    assert_eq!(refusal, Refusal::NoSession(unknown));
}

#[test]
fn a_commitment_in_an_expired_session_is_refused() {
    let mut world =
        World::under(&Charter::with_policy("session_epochs = 64", "session_epochs = 1"));
    world.join_all();
    world.open_epoch();
    let (update, session) = (world.update(1, 2), world.session(1).0);
    let commitment = world.commitment(1, &update);
    let late = world.commitment_item(1, 2, commitment);
    world.commit_updates(1..=5, 1).cut_epoch().aggregate().sign_off().open_epoch();
    assert_eq!(world.refusal(late), Refusal::NoSession(session));
}

#[test]
fn an_update_of_another_node_is_refused() {
    let refusal = refused(|_, commitment| commitment.node_fingerprint = node(2));
    let (expected, got) = (node(2).to_string(), node(1).to_string());
    assert_eq!(refusal, Refusal::Mismatch { what: "request node", expected, got });
}

#[test]
fn a_commitment_signed_by_somebody_else_is_refused() {
    let refusal = refused_request(&site(2), |_, _| ());
    let (what, key) = ("Request", node(1).to_string());
    assert_eq!(refusal, SignatureError::Invalid { what, key }.into());
}

#[test]
fn an_update_of_a_future_epoch_is_refused() {
    let (current, got) = (FederatedEpoch::new(1), FederatedEpoch::new(2));
    let refusal = refused(|_, commitment| commitment.federated_epoch = got);
    assert_eq!(refusal, Refusal::FutureEpoch { current, got });
}

#[test]
fn an_update_of_another_generation_is_refused() {
    let (expected, got) = (Generation::ZERO, Generation::new(1));
    let refusal = refused(|_, commitment| commitment.generation = got);
    assert_eq!(refusal, Refusal::Generation { expected, got });
}

#[test]
fn an_update_from_an_unknown_base_is_refused() {
    let refusal = refused(|_, commitment| commitment.base_state_hash = Digest::ZERO);
    assert_eq!(refusal, Refusal::UnknownBase(Digest::ZERO));
}

#[test]
fn a_node_has_a_bounded_number_of_commitments_waiting() {
    let line = "maximum_commitments_per_node = 8";
    let charter = Charter::with_policy(line, "maximum_commitments_per_node = 2");
    let mut world = World::under(&charter);
    world.join_all();
    world.open_epoch().commit_updates([1], 1).commit_updates([1], 2);
    let third = world.committing(1, 3);
    assert_eq!(world.refusal(third), Refusal::TooManyCommitments { count: 2, limit: 2 });
    // Others are not held up.
    let other = world.committing(2, 1);
    world.preview(vec![other]).expect("another node's commitment");
}

#[test]
fn receipts_below_the_quorum_are_refused() {
    let refusal = refused(|world, commitment| {
        let update = world.update(1, 1);
        let blob = world.blob(1, &update);
        commitment.receipts = receipts(&world.context(), &update, &blob, &[0, 3]);
    });
    assert_eq!(refusal, Refusal::Receipts { needed: 3, got: 2 });
    let refusal = refused(|_, commitment| commitment.receipts.clear());
    assert_eq!(refusal, Refusal::Receipts { needed: 3, got: 0 });
}

#[test]
fn a_validator_vouches_once() {
    let refusal = refused(|_, commitment| {
        let repeated = commitment.receipts[0].clone();
        commitment.receipts.insert(1, repeated);
    });
    assert_eq!(refusal, Refusal::Receipt { index: 1, what: UNORDERED });
}

#[test]
fn unsorted_receipts_are_refused() {
    let refusal = refused(|_, commitment| commitment.receipts.swap(1, 2));
    assert_eq!(refusal, Refusal::Receipt { index: 2, what: UNORDERED });
}

#[test]
fn a_receipt_of_a_foreign_validator_is_refused() {
    let refusal = refused(|world, commitment| {
        let update = world.update(1, 1);
        let blob = world.blob(1, &update);
        let foreign = receipts(&world.context(), &update, &blob, &[9]);
        commitment.receipts = [foreign, commitment.receipts.clone()].concat();
        commitment.receipts.sort_by_key(|receipt| receipt.claimed().validator);
    });
    let what = "not by a validator of the roster";
    assert!(matches!(refusal, Refusal::Receipt { what: found, .. } if found == what), "{refusal}");
}

#[test]
fn receipts_for_something_else_are_refused() {
    let what = "for another update";
    let first = Refusal::Receipt { index: 0, what };
    assert_eq!(refused_receipts(|_, receipt| receipt.blob = Digest::ZERO), first);
    assert_eq!(refused_receipts(|_, receipt| receipt.blob_len += 1), first);
    assert_eq!(refused_receipts(|_, receipt| receipt.node_fingerprint = node(2)), first);
    // The commitment moved under its receipts.
    let refusal = refused(|_, commitment| commitment.blob = Digest::ZERO);
    assert_eq!(refusal, first);
}

#[test]
fn receipts_for_another_epoch_are_refused() {
    let refusal = refused_receipts(|_, receipt| receipt.federated_epoch = FederatedEpoch::ZERO);
    assert_eq!(refusal, Refusal::Receipt { index: 0, what: "for another epoch" });
}

#[test]
fn a_receipt_whose_signature_fails_is_refused() {
    let refusal = refused(|_, commitment| {
        let [first, second, _] = commitment.receipts.as_slice() else { panic!("three receipts") };
        let forged = Signed::from_parts(second.claimed().clone(), *first.signature());
        commitment.receipts[1] = forged;
    });
    let Refusal::Signature(SignatureError::Invalid { what: "BlobReceipt", .. }) = refusal else {
        panic!("{refusal}")
    };
}

#[test]
fn more_receipts_than_the_quorum_are_welcome() {
    let mut world = World::open();
    let update = world.update(1, 1);
    let mut commitment = world.commitment(1, &update);
    let blob = world.blob(1, &update);
    commitment.receipts = receipts(&world.context(), &update, &blob, &[0, 1, 2, 3]);
    let item = world.commitment_item(1, 1, commitment);
    world.preview(vec![item]).expect("four receipts");
}

#[test]
fn before_the_first_epoch_there_is_no_base() {
    let mut world = World::joined();
    let base = world.state().meta().hash();
    let item: BatchItem = world.committing(1, 1);
    assert_eq!(world.refusal(item), Refusal::UnknownBase(base));
}

#[test]
fn an_update_is_committed_once() {
    let mut world = World::open();
    world.commit_updates(1..=5, 1);
    let update = world.update(1, 1);
    let commitment = world.commitment(1, &update);
    let again = |world: &World, sequence| {
        let commitment = commitment.clone();
        world.refusal(world.commitment_item(1, sequence, commitment))
    };
    assert_eq!(again(&world, 2), Refusal::Repeated(update.update_hash), "while it waits");
    world.cut_epoch();
    assert_eq!(again(&world, 3), Refusal::Repeated(update.update_hash), "in the cut");
    world.aggregate().sign_off();
    assert_eq!(again(&world, 4), Refusal::Repeated(update.update_hash), "after it took effect");
}
