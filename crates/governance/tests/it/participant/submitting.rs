//! From an update to its place on the ledger.

use federation_proto::envelope::PayloadKind;
use federation_proto::update::BlobReceipt;
use federation_proto::{BatchItem, Digest, FederatedEpoch, LedgerEntry, Signed};
use governance::participant::{Participant, ParticipantInput, RETRY_MS};
use governance::wire::{Frame, Outgoing};

use super::{SITE, answer, follow, frame, member, now, payload, requested, tell};
use crate::fixture::update::receipt;
use crate::fixture::{GOVERNORS, SITES, World, key, node, validator};

fn submitted(world: &World, agent: &mut Participant) -> Vec<u8> {
    let blob = world.blob(SITE, &world.update(SITE, 1));
    let sent = tell(agent, ParticipantInput::Submit(blob.clone()));
    assert_eq!(payload(&sent, PayloadKind::MetaUpdate), blob);
    blob
}

/// A validator's receipt for the update, bent before it is signed by `signer`.
fn vouch(
    world: &World,
    agent: &mut Participant,
    voucher: u16,
    signer: &str,
    bend: impl Fn(&mut BlobReceipt),
) -> Vec<Outgoing> {
    let update = world.update(SITE, 1);
    let mut body = receipt(voucher, &update, &world.blob(SITE, &update));
    bend(&mut body);
    let receipt = Signed::sign(body, &key(signer), &world.context());
    frame(agent, Frame::Receipt(Box::new(receipt)))
}

fn honest(world: &World, agent: &mut Participant, voucher: u16) -> Vec<Outgoing> {
    vouch(world, agent, voucher, &validator(voucher), |_| ())
}

#[test]
fn a_quorum_of_receipts_makes_a_commitment() {
    let (mut world, mut agent) = member();
    submitted(&world, &mut agent);
    assert!(agent.is_submitting());
    assert_eq!(honest(&world, &mut agent, 3), []);
    assert_eq!(honest(&world, &mut agent, 3), [], "one validator counts once");
    assert_eq!(honest(&world, &mut agent, 0), []);
    let request = requested(&honest(&world, &mut agent, 2));
    let LedgerEntry::UpdateCommitment(commitment) = request.entry() else { panic!("commitment") };
    assert_eq!(commitment.receipts.len(), 3);
    assert_eq!(honest(&world, &mut agent, 1), [], "it was asked for already");
    world.commit(vec![request]);
    follow(&mut agent, &world);
    assert!(!agent.is_submitting());
}

#[test]
fn a_retry_sends_identical_bytes() {
    let (world, mut agent) = member();
    let blob = submitted(&world, &mut agent);
    let later = |times: u64| now().plus_millis(times * RETRY_MS);
    for times in 1..=3 {
        let sent = agent.handle(later(times), ParticipantInput::Tick).expect("a retry");
        assert_eq!(payload(&sent, PayloadKind::MetaUpdate), blob);
    }
    assert_eq!(agent.handle(later(3), ParticipantInput::Tick), Ok(Vec::new()));
    honest(&world, &mut agent, 0);
    honest(&world, &mut agent, 1);
    let request = requested(&honest(&world, &mut agent, 2));
    let again = agent.handle(later(4), ParticipantInput::Tick).expect("a retry");
    assert_eq!(requested(&again), request);
}

/// One lying validator among four must not keep a site from committing.
fn survives(voucher: u16, signer: &str, bend: impl Fn(&mut BlobReceipt)) {
    let (world, mut agent) = member();
    submitted(&world, &mut agent);
    assert_eq!(vouch(&world, &mut agent, voucher, signer, bend), []);
    assert_eq!(honest(&world, &mut agent, 1), []);
    assert_eq!(honest(&world, &mut agent, 2), [], "the lie counted as a receipt");
    let request = requested(&honest(&world, &mut agent, 3));
    world.preview(vec![request]).expect("three honest receipts");
}

#[test]
fn a_receipt_for_something_else_does_not_count() {
    let liar = validator(0);
    survives(0, &liar, |receipt| receipt.blob = Digest::ZERO);
    survives(0, &liar, |receipt| receipt.node_fingerprint = node(1));
    survives(0, &liar, |receipt| receipt.federated_epoch = FederatedEpoch::ZERO);
    survives(0, &liar, |receipt| receipt.blob_len += 1);
}

#[test]
fn a_forged_or_foreign_receipt_does_not_count() {
    survives(0, &validator(1), |_| ());
    survives(9, &validator(9), |_| ());
}

#[test]
fn an_update_handed_in_before_the_session_is_sent_once_there_is_one() {
    let (world, _) = member();
    let mut agent = super::agent(&world);
    let blob = world.blob(SITE, &world.update(SITE, 1));
    assert_eq!(tell(&mut agent, ParticipantInput::Submit(blob)), []);
    assert!(agent.is_submitting());
    assert_eq!(tell(&mut agent, ParticipantInput::Submit(vec![1, 2, 3])), [], "no update");
}

#[test]
fn a_site_that_catches_up_over_whole_epochs_knows_that_it_was_heard() {
    let (mut world, mut agent) = member();
    submitted(&world, &mut agent);
    honest(&world, &mut agent, 0);
    honest(&world, &mut agent, 1);
    let request = requested(&honest(&world, &mut agent, 2));
    let known = world.history.len();
    world.commit(vec![request]);
    world.commit_updates((1..=SITES).filter(|index| *index != SITE), 1);
    let update = world.update(SITE, 1);
    world.commitment(SITE, &update);
    world.cut_epoch().aggregate().sign_off().open_epoch();
    // The first batch comes last, and lets all the others through in one step.
    for ordered in world.history[known..].iter().rev() {
        assert_eq!(frame(&mut agent, Frame::Ordered(Box::new(ordered.clone()))), []);
    }
    assert_eq!(agent.follower().executor().state(), world.state());
    assert!(!agent.is_submitting(), "it would ask for what was executed, for ever");
}

/// A session is replaced while an update is on its way: the update keeps the session it was signed in, its
/// commitment is asked for anew, and positions begin anew too.
#[test]
fn an_update_outlives_the_session_it_was_signed_in() {
    let (mut world, mut agent) = member();
    let blob = submitted(&world, &mut agent);
    honest(&world, &mut agent, 0);
    honest(&world, &mut agent, 1);
    let lost = requested(&honest(&world, &mut agent, 2));
    let update = world.update(SITE, 1);
    let receipts = [0, 1, 2].map(|voucher| {
        let body = receipt(voucher, &update, &blob);
        Signed::sign(body, &key(&validator(voucher)), &world.context())
    });
    let hello = tell(&mut agent, ParticipantInput::Join { nonce: [77; 32] });
    for owner in &GOVERNORS[..2] {
        let accept = answer(&world, owner, &hello);
        for sent in frame(&mut agent, accept) {
            world.commit(vec![requested(&[sent])]);
        }
    }
    follow(&mut agent, &world);
    let session = world.session(SITE).0;
    assert_eq!(agent.membership().expect("a member").session_id, session);
    assert!(agent.is_submitting() && !agent.needs_join());
    let late = now().plus_millis(9 * RETRY_MS);
    let again = agent.handle(late, ParticipantInput::Tick).expect("a retry");
    assert_eq!(payload(&again, PayloadKind::MetaUpdate), blob, "the same bytes");
    let [first, ..] = receipts;
    let request = requested(&frame(&mut agent, Frame::Receipt(Box::new(first))));
    let BatchItem::Request(signed) = &request else { panic!("a request") };
    assert_eq!((signed.claimed().session_id, signed.claimed().sequence.get()), (session, 1));
    assert!(world.preview(vec![lost]).is_err(), "its session is over");
    world.commit(vec![request]);
    follow(&mut agent, &world);
    assert!(!agent.is_submitting());
}
