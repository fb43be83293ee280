//! Envelopes: session and signature first, then what they carry.

use federation_proto::codec::CodecError;
use federation_proto::envelope::{Envelope, EnvelopeError, PayloadKind};
use federation_proto::replay::ReplayRefusal;
use federation_proto::signing::SignatureError;
use federation_proto::{Digest, FederatedEpoch, Lane, LaneSequence, LedgerBlockId, SessionId};
use governance::machine::Refusal;
use governance::validator::{EnvelopeRefusal, ProposalRefusal, ValidatorRefusal};
use governance::wire::Frame;

use crate::fixture::bench::{Bench, refusals};
use crate::fixture::frames::{request_bytes, sealed};
use crate::fixture::session::Handshake;
use crate::fixture::{World, name, node, site};

/// What the validator says to a frame that must have no other effect.
fn refused(bench: &mut Bench, frame: Frame) -> EnvelopeRefusal {
    let effects = bench.frame(frame);
    let mut refusals = refusals(effects);
    match (refusals.pop(), refusals.is_empty()) {
        (Some(ValidatorRefusal::Envelope { node: claimed, cause }), true) => {
            assert_eq!(claimed, node(1));
            cause
        }
        other => panic!("one refused envelope was expected: {other:?}"),
    }
}

/// A good envelope of site 1 of either kind, bent before it is signed.
fn bent(bend: impl Fn(&World, &mut Envelope)) -> [EnvelopeRefusal; 2] {
    let mut world = World::open();
    let blob = world.blob(1, &world.update(1, 1));
    let request = request_bytes(&world.committing(1, 1));
    let kinds = [(PayloadKind::MetaUpdate, blob), (PayloadKind::Request, request)];
    kinds.map(|(kind, payload)| {
        let mut bench = Bench::after(&world);
        let mut envelope = world.envelope(1, kind, payload);
        bend(&world, &mut envelope);
        let cause = refused(&mut bench, sealed(&site(1), envelope, &world.context()));
        assert!(bench.validator.blobs().is_empty());
        cause
    })
}

#[test]
fn an_envelope_of_another_session_is_refused() {
    let expected = World::open().session(1).0;
    let none = SessionId::new(Digest::ZERO);
    for cause in bent(|world, envelope| envelope.session_id = world.session(2).0) {
        let got = World::open().session(2).0;
        assert_eq!(cause, EnvelopeError::OtherSession { expected, got }.into());
    }
    for cause in bent(|_, envelope| envelope.session_id = none) {
        assert_eq!(cause, EnvelopeError::OtherSession { expected, got: none }.into());
    }
}

#[test]
fn an_envelope_names_the_block_that_opened_its_session() {
    let expected = World::open().session(1).1;
    let none = LedgerBlockId::new(Digest::ZERO);
    for cause in bent(|world, envelope| envelope.ledger_block_id = world.session(2).1) {
        let got = World::open().session(2).1;
        assert_eq!(cause, EnvelopeError::OtherBlock { expected, got }.into());
    }
    for cause in bent(|_, envelope| envelope.ledger_block_id = none) {
        assert_eq!(cause, EnvelopeError::OtherBlock { expected, got: none }.into());
    }
}

#[test]
fn an_envelope_of_another_version_lane_or_epoch_is_refused() {
    for cause in bent(|_, envelope| envelope.version = 2) {
        assert_eq!(cause, EnvelopeError::Version { got: 2 }.into());
    }
    for cause in bent(|_, envelope| envelope.lane = Lane::Bulk) {
        let EnvelopeRefusal::Envelope(EnvelopeError::WrongLane { lane, .. }) = cause else {
            panic!("{cause}")
        };
        assert_eq!(lane, Lane::Bulk);
    }
    let (current, got) = (FederatedEpoch::new(1), FederatedEpoch::new(2));
    for cause in bent(|_, envelope| envelope.federated_epoch = got) {
        assert_eq!(cause, EnvelopeError::FutureEpoch { current, got }.into());
    }
}

#[test]
fn an_envelope_from_or_for_somebody_else_is_refused() {
    for cause in bent(|_, envelope| envelope.origin = name(&site(2))) {
        let (expected, got) = (name(&site(1)), name(&site(2)));
        assert_eq!(cause, EnvelopeError::WrongOrigin { expected, got }.into());
    }
    for cause in bent(|_, envelope| envelope.target = name(&site(2))) {
        assert_eq!(cause, EnvelopeError::NotForUs(name(&site(2))).into());
    }
    let mut world = World::open();
    let request = request_bytes(&world.committing(2, 1));
    let envelope = world.envelope(1, PayloadKind::Request, request);
    let cause = refused(&mut Bench::after(&world), sealed(&site(1), envelope, &world.context()));
    assert_eq!(cause, EnvelopeRefusal::OtherAuthor(node(2)));
}

#[test]
fn kinds_that_mean_nothing_to_a_validator_are_refused() {
    let world = World::open();
    let envelope = world.envelope(1, PayloadKind::Heartbeat, Vec::new());
    let envelope = Envelope { lane: Lane::Control, ..envelope };
    let cause = refused(&mut Bench::after(&world), sealed(&site(1), envelope, &world.context()));
    assert_eq!(cause, EnvelopeRefusal::NotForValidators(PayloadKind::Heartbeat));
}

#[test]
fn a_recorded_envelope_is_dropped_without_effect() {
    let world = World::open();
    let blob = world.blob(1, &world.update(1, 1));
    let envelope = world.envelope(1, PayloadKind::MetaUpdate, blob);
    let frame = |envelope: &Envelope| sealed(&site(1), envelope.clone(), &world.context());
    let mut bench = Bench::after(&world);
    assert!(!bench.frame(frame(&envelope)).is_empty(), "it is stored");
    let again = bench.frame(frame(&envelope));
    assert!(again.is_empty(), "{again:?}");
    // The same update in a new envelope is a retry, and is answered.
    let retry = Envelope { sequence: envelope.sequence.next(), ..envelope.clone() };
    assert!(refusals(bench.frame(frame(&retry))).is_empty());
    // What lies too far behind cannot be told from a repetition.
    let far = Envelope { sequence: LaneSequence::new(500), ..envelope.clone() };
    assert!(refusals(bench.frame(frame(&far))).is_empty());
    let late = Envelope { sequence: LaneSequence::new(400), ..envelope };
    let cause = refused(&mut bench, frame(&late));
    assert!(matches!(cause, EnvelopeRefusal::Replay(ReplayRefusal::TooOld { .. })), "{cause}");
}

#[test]
fn an_envelope_signed_by_somebody_else_is_refused() {
    let world = World::open();
    let mut bench = Bench::after(&world);
    let blob = world.blob(1, &world.update(1, 1));
    let envelope = world.envelope(1, PayloadKind::MetaUpdate, blob);
    let invalid = |cause: EnvelopeRefusal| {
        matches!(cause, EnvelopeRefusal::Signature(SignatureError::Invalid { .. }))
    };
    let forged = sealed(&site(2), envelope.clone(), &world.context());
    assert!(invalid(refused(&mut bench, forged)));
    let mut foreign = world.context();
    foreign.config_digest = Digest::ZERO;
    assert!(invalid(refused(&mut bench, sealed(&site(1), envelope, &foreign))));
}

#[test]
fn a_stranger_and_a_member_without_a_session_are_refused() {
    let mut world = World::new();
    (1..=4).for_each(|index| world.join(index));
    world.open_epoch();
    let mut bench = Bench::after(&world);
    let blob = world.blob(1, &world.update(1, 1));
    let mut envelope = world.envelope(1, PayloadKind::MetaUpdate, blob);
    let cases = [(9, EnvelopeRefusal::NotInRoster), (5, EnvelopeRefusal::NoSession)];
    for (index, expected) in cases {
        (envelope.node_fingerprint, envelope.origin) = (node(index), name(&site(index)));
        let frame = sealed(&site(index), envelope.clone(), &world.context());
        match refusals(bench.frame(frame)).as_slice() {
            [ValidatorRefusal::Envelope { node: claimed, cause }] => {
                assert_eq!((*claimed, cause), (node(index), &expected));
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
    let cause = refused(&mut bench, sealed(&site(1), envelope, &world.context()));
    assert!(matches!(
        cause,
        EnvelopeRefusal::Payload(CodecError::Malformed { what: "Signed<Request>", .. })
    ));
}

#[test]
fn a_request_that_the_state_machine_refuses_does_not_enter_the_pool() {
    let world = World::open();
    let mut bench = Bench::after(&world);
    // It does not name the session that it would follow.
    let second = Handshake::of(&World::new(), 1, 2).item(&world.context());
    let frame = world.request_frame(1, &second);
    match refusals(bench.frame(frame)).as_slice() {
        [ValidatorRefusal::Request(ProposalRefusal::Batch(refused))] => {
            let twice = matches!(refused.cause, Refusal::Mismatch { what: "previous session", .. });
            assert!(twice, "{refused}");
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
