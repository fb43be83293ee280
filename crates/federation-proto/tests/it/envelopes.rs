//! Envelopes: what is refused of a genuine one, and that borrowing its payload changes nothing but the cost.

mod borrowed;

use federation_proto::codec::{Canonical, CodecError};
use federation_proto::envelope::{Envelope, EnvelopeError, PayloadKind, SessionPosition};
use federation_proto::keys::Identity;
use federation_proto::{
    Digest, Lane, LaneSequence, LedgerBlockId, LogicalTime, SessionId, Signed, limits,
};

use crate::fixture;

/// Every kind with the lanes it travels in and the most bytes it has, as the protocol's page states them.
pub(crate) const TABLE: [(PayloadKind, &[Lane], usize); 9] = [
    (PayloadKind::MetaUpdate, &[Lane::Update], limits::META_UPDATE),
    (PayloadKind::Request, &[Lane::Control, Lane::Update, Lane::Governance], limits::REQUEST),
    (PayloadKind::BlobReceipt, &[Lane::Update], 1 << 10),
    (PayloadKind::Heartbeat, &[Lane::Control], 1 << 10),
    (PayloadKind::BlobRequest, &[Lane::Bulk], 256),
    (PayloadKind::Blob, &[Lane::Bulk], limits::META_UPDATE),
    (PayloadKind::Approval, &[Lane::Governance], limits::APPROVAL),
    (PayloadKind::LedgerRequest, &[Lane::Bulk], 256),
    (PayloadKind::LedgerSegment, &[Lane::Bulk], 17 << 20),
];

fn envelope(kind: PayloadKind, lane: Lane, length: usize) -> Envelope {
    Envelope { kind, lane, payload: vec![0x5a; length], ..fixture::envelope() }
}

/// The session of the fixture's envelope.
pub(crate) fn session() -> SessionPosition {
    SessionPosition {
        session_id: fixture::session_id(),
        ledger_block_id: fixture::ledger_block_id(),
        not_after_epoch: fixture::epoch(50),
    }
}

#[test]
fn the_table_names_every_kind() {
    assert_eq!(TABLE.map(|(kind, ..)| kind), PayloadKind::ALL);
    // In the order of the wire, where a kind is a number.
    for (number, kind) in (0u8..).zip(PayloadKind::ALL) {
        let bytes = envelope(kind, Lane::Bulk, 0).to_canonical();
        let names = 1 + (1 + "site-1".len()) + (1 + "validators".len());
        assert_eq!(bytes.get(names), Some(&number), "{kind:?}");
    }
}

#[test]
fn every_kind_travels_in_its_lanes_only() {
    for (kind, lanes, _) in TABLE {
        for lane in Lane::ALL {
            let expected = if lanes.contains(&lane) {
                Ok(())
            } else {
                Err(EnvelopeError::WrongLane { kind, lane })
            };
            assert_eq!(envelope(kind, lane, 0).check(), expected);
            assert_eq!(kind.travels_in(lane), expected.is_ok());
        }
    }
}

#[test]
fn every_kind_has_its_most_bytes() {
    for (kind, lanes, limit) in TABLE {
        assert_eq!(kind.max_bytes(), limit, "{kind:?}");
        for lane in lanes {
            // A lane whose frames are small has small payloads.
            let limit = limit.min(lane.max_frame() - limits::ENVELOPE_HEADER);
            assert_eq!(kind.max_bytes_in(*lane), limit, "{kind:?} in {lane}");
            assert_eq!(envelope(kind, *lane, limit).check(), Ok(()));
            let length = limit + 1;
            let expected = EnvelopeError::PayloadTooLarge { kind, length, limit };
            assert_eq!(envelope(kind, *lane, length).check(), Err(expected));
        }
        assert!(lanes.iter().any(|lane| kind.max_bytes_in(*lane) == limit), "{kind:?}");
    }
}

/// Whatever passes the check fits a frame of its lane: a payload that no frame carries could be made and never
/// sent.
#[test]
fn the_largest_payload_fits_an_envelope_and_a_frame() {
    let longest = fixture::name(&"x".repeat(64));
    let pairs = TABLE.iter().flat_map(|(kind, lanes, _)| lanes.iter().map(|lane| (*kind, *lane)));
    for (kind, lane) in pairs {
        let limit = kind.max_bytes_in(lane);
        let envelope = Envelope {
            origin: longest.clone(),
            target: longest.clone(),
            sequence: LaneSequence::new(u64::MAX),
            ack: LaneSequence::new(u64::MAX),
            timestamp: LogicalTime::new(u64::MAX),
            federated_epoch: fixture::epoch(u64::MAX),
            ..envelope(kind, lane, limit)
        };
        let signed = Signed::sign(envelope, &fixture::secret("site-1"), &fixture::context());
        let length = signed.to_canonical().len();
        assert!(length <= Signed::<Envelope>::MAX_BYTES, "{kind:?}: {length}");
        assert!(length <= lane.max_frame(), "{kind:?} in {lane}: {length} bytes");
    }
}

#[test]
fn another_version_is_not_read() {
    for got in [0, 2, u8::MAX] {
        let other = Envelope { version: got, ..fixture::envelope() };
        assert_eq!(other.check(), Err(EnvelopeError::Version { got }));
    }
    // Nothing is said of an envelope whose version we do not know.
    let other = Envelope {
        version: 2,
        ..envelope(PayloadKind::BlobRequest, Lane::Control, limits::QUERY + 1)
    };
    assert_eq!(other.check(), Err(EnvelopeError::Version { got: 2 }));
}

#[test]
fn an_envelope_is_of_the_open_session() {
    let (envelope, now) = (fixture::envelope(), fixture::epoch(4));
    assert_eq!(envelope.check_session(&session(), now), Ok(()));
    let got = SessionId::new(Digest::ZERO);
    let other = Envelope { session_id: got, ..envelope.clone() };
    let expected = session().session_id;
    let refusal = EnvelopeError::OtherSession { expected, got };
    assert_eq!(other.check_session(&session(), now), Err(refusal));
    let got = LedgerBlockId::new(Digest::ZERO);
    let other = Envelope { ledger_block_id: got, ..envelope };
    let expected = session().ledger_block_id;
    let refusal = EnvelopeError::OtherBlock { expected, got };
    assert_eq!(other.check_session(&session(), now), Err(refusal));
}

/// Who signed it is known by the key; whom it names as its origin must be the same node, and its target us.
#[test]
fn an_envelope_is_from_its_signer_and_for_us() {
    let envelope = fixture::envelope();
    let (signer, group) = (fixture::name("site-1"), "validators");
    let route = |signer: &federation_proto::Name, receivers: &[&str]| {
        envelope.check_route(signer, receivers)
    };
    assert_eq!(route(&signer, &[group]), Ok(()));
    assert_eq!(route(&signer, &["validator-2", group]), Ok(()));
    let other = fixture::name("site-2");
    let refusal = EnvelopeError::WrongOrigin { expected: other.clone(), got: signer.clone() };
    assert_eq!(route(&other, &[group]), Err(refusal));
    let refusal = EnvelopeError::NotForUs(fixture::name(group));
    for receivers in [&[][..], &["validator-2"], &["site-1"], &["validator", "validators-2"]] {
        assert_eq!(route(&signer, receivers), Err(refusal.clone()), "{receivers:?}");
    }
}

#[test]
fn a_session_ends_with_its_last_epoch() {
    let envelope = fixture::envelope();
    let not_after = fixture::epoch(50);
    assert_eq!(envelope.check_session(&session(), not_after), Ok(()));
    for current in [51, u64::MAX].map(fixture::epoch) {
        let refusal = EnvelopeError::SessionExpired { not_after, current };
        assert_eq!(envelope.check_session(&session(), current), Err(refusal));
    }
}

#[test]
fn an_envelope_does_not_come_from_the_future() {
    let envelope = fixture::envelope();
    assert_eq!(envelope.federated_epoch, fixture::epoch(4));
    for (current, good) in [(3, false), (0, false), (4, true), (5, true), (50, true)] {
        let current = fixture::epoch(current);
        let refusal = EnvelopeError::FutureEpoch { current, got: fixture::epoch(4) };
        let expected = if good { Ok(()) } else { Err(refusal) };
        assert_eq!(envelope.check_session(&session(), current), expected);
    }
}

#[test]
fn a_longer_envelope_is_refused_unread() {
    let longer = vec![0; limits::ENVELOPE + 1];
    let refusal = CodecError::TooLarge {
        what: "Signed<Envelope>",
        length: limits::ENVELOPE + 1,
        limit: limits::ENVELOPE,
    };
    assert_eq!(Signed::<Envelope>::from_canonical(&longer), Err(refusal));
}

#[test]
fn a_signature_of_another_node_is_no_signature() {
    let signed = Signed::sign(
        fixture::envelope(),
        &fixture::secret::<Identity>("site-2"),
        &fixture::context(),
    );
    let named = fixture::public::<Identity>("site-1").check().expect("a good key");
    assert!(signed.verify(&named, &fixture::context()).is_err());
}
