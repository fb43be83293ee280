//! Envelopes: session and signature first, then what they carry.

use federation_proto::envelope::{Envelope, PayloadKind};
use federation_proto::{Digest, LedgerBlockId, SessionId};
use governance::machine::Refusal;
use governance::validator::{ProposalRefusal, ValidatorRefusal};
use governance::wire::Frame;

use crate::fixture::bench::{Bench, refusals};
use crate::fixture::frames::{request_bytes, sealed};
use crate::fixture::session::Handshake;
use crate::fixture::{World, node, site};

/// What the validator says to a frame that must have no other effect.
fn refused(bench: &mut Bench, frame: Frame) -> String {
    let effects = bench.frame(frame);
    let mut refusals = refusals(effects);
    match (refusals.pop(), refusals.is_empty()) {
        (Some(ValidatorRefusal::Envelope { node: claimed, what }), true) => {
            assert_eq!(claimed, node(1));
            what
        }
        other => panic!("one refused envelope was expected: {other:?}"),
    }
}

/// A good envelope of site 1 of either kind, bent before it is signed.
fn bent(bend: impl Fn(&World, &mut Envelope)) -> [String; 2] {
    let mut world = World::open();
    let blob = world.blob(1, &world.update(1, 1));
    let request = request_bytes(&world.committing(1, 1));
    let kinds = [(PayloadKind::MetaUpdate, blob), (PayloadKind::Request, request)];
    kinds.map(|(kind, payload)| {
        let mut bench = Bench::after(&world);
        let mut envelope = world.envelope(1, kind, payload);
        bend(&world, &mut envelope);
        let what = refused(&mut bench, sealed(&site(1), envelope, &world.context()));
        assert!(bench.validator.blobs().is_empty());
        what
    })
}

#[test]
fn an_envelope_of_another_session_is_refused() {
    for what in bent(|world, envelope| envelope.session_id = world.session(2).0) {
        assert_eq!(what, "another session");
    }
    for what in bent(|_, envelope| envelope.session_id = SessionId::new(Digest::ZERO)) {
        assert_eq!(what, "another session");
    }
}

#[test]
fn an_envelope_names_the_block_that_opened_its_session() {
    let expected = "ledger_block_id is not the block that opened the session";
    for what in bent(|world, envelope| envelope.ledger_block_id = world.session(2).1) {
        assert_eq!(what, expected);
    }
    for what in bent(|_, envelope| envelope.ledger_block_id = LedgerBlockId::new(Digest::ZERO)) {
        assert_eq!(what, expected);
    }
}

#[test]
fn an_envelope_of_another_version_is_refused() {
    for what in bent(|_, envelope| envelope.version = 2) {
        assert_eq!(what, "envelope version 2");
    }
}

#[test]
fn an_envelope_signed_by_somebody_else_is_refused() {
    let world = World::open();
    let mut bench = Bench::after(&world);
    let blob = world.blob(1, &world.update(1, 1));
    let envelope = world.envelope(1, PayloadKind::MetaUpdate, blob);
    let what = refused(&mut bench, sealed(&site(2), envelope.clone(), &world.context()));
    assert!(what.contains("signature does not verify"), "{what}");
    let mut foreign = world.context();
    foreign.config_digest = Digest::ZERO;
    let what = refused(&mut bench, sealed(&site(1), envelope, &foreign));
    assert!(what.contains("signature does not verify"), "{what}");
}

#[test]
fn a_stranger_and_a_member_without_a_session_are_refused() {
    let mut world = World::new();
    (1..=4).for_each(|index| world.join(index));
    world.open_epoch();
    let mut bench = Bench::after(&world);
    let blob = world.blob(1, &world.update(1, 1));
    let mut envelope = world.envelope(1, PayloadKind::MetaUpdate, blob);
    for (index, expected) in [(9, "not in the roster"), (5, "no open session")] {
        envelope.node_fingerprint = node(index);
        let frame = sealed(&site(index), envelope.clone(), &world.context());
        match refusals(bench.frame(frame)).as_slice() {
            [ValidatorRefusal::Envelope { node: claimed, what }] => {
                assert_eq!((*claimed, what.as_str()), (node(index), expected));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_payload_that_is_no_request_is_refused() {
    let world = World::open();
    let mut bench = Bench::after(&world);
    let envelope = world.envelope(1, PayloadKind::Request, vec![1, 2, 3]);
    let what = refused(&mut bench, sealed(&site(1), envelope, &world.context()));
    assert!(what.contains("Signed<Request>"), "{what}");
}

#[test]
fn a_request_that_the_state_machine_refuses_does_not_enter_the_pool() {
    let world = World::open();
    let mut bench = Bench::after(&world);
    let second = Handshake::of(&world, 1, 2).item(&world.context());
    let frame = world.request_frame(1, &second);
    match refusals(bench.frame(frame)).as_slice() {
        [ValidatorRefusal::Request(ProposalRefusal::Batch(refused))] => {
            assert!(matches!(refused.cause, Refusal::SessionOpen(_)), "{refused}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_is_asked_for_before_there_is_one() {
    let joined = World::joined();
    let world = World::new();
    let mut bench = Bench::after(&world);
    let item = Handshake::of(&world, 1, 1).item(&world.context());
    // Neither session nor block exist yet; what they name is not looked at.
    let mut envelope = joined.envelope(1, PayloadKind::Request, request_bytes(&item));
    envelope.ledger_block_id = LedgerBlockId::new(Digest::ZERO);
    let effects = bench.frame(sealed(&site(1), envelope, &world.context()));
    assert!(refusals(effects).is_empty());
}
