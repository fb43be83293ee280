//! [`EnvelopeRef`] is the envelope with its payload left where it was received: same bytes, same verdicts.

use federation_proto::codec::{Canonical, CodecError};
use federation_proto::envelope::{Envelope, EnvelopeError, EnvelopeRef, PayloadKind};
use federation_proto::keys::Identity;
use federation_proto::{
    Digest, Lane, LedgerBlockId, SecretKey, SessionId, Signed, VerifyingKey, limits,
};

use super::session;
use crate::fixture;

/// A payload that is large enough to be seen in any count, and of a kind that allows it.
fn large() -> Envelope {
    Envelope {
        kind: PayloadKind::MetaUpdate,
        payload: (0..200_000u32).map(|number| number.to_le_bytes()[0]).collect(),
        ..fixture::envelope()
    }
}

fn borrow(envelope: &Envelope) -> EnvelopeRef<'_> {
    Envelope {
        version: envelope.version,
        origin: envelope.origin.clone(),
        target: envelope.target.clone(),
        kind: envelope.kind,
        lane: envelope.lane,
        sequence: envelope.sequence,
        ack: envelope.ack,
        timestamp: envelope.timestamp,
        federated_epoch: envelope.federated_epoch,
        node_fingerprint: envelope.node_fingerprint,
        session_id: envelope.session_id,
        ledger_block_id: envelope.ledger_block_id,
        payload: &envelope.payload,
    }
}

fn key() -> SecretKey<Identity> {
    fixture::secret("site-1")
}

fn verifier() -> VerifyingKey<Identity> {
    key().public().check().expect("a good key")
}

/// How often memory was asked for.
fn allocations(what: impl FnOnce()) -> u64 {
    allocation_counter::measure(what).count_total
}

#[test]
fn both_forms_are_the_same_bytes_with_the_same_signature() {
    for envelope in [fixture::envelope(), large()] {
        let bytes = envelope.to_canonical();
        assert_eq!(borrow(&envelope).to_canonical(), bytes);
        let owned = Signed::sign(envelope.clone(), &key(), &fixture::context());
        let borrowed = Signed::sign(borrow(&envelope), &key(), &fixture::context());
        assert_eq!(owned.signature(), borrowed.signature());
        assert_eq!(owned.to_canonical(), borrowed.to_canonical());

        let received = owned.to_canonical();
        let read = Signed::<EnvelopeRef>::from_canonical(&received).expect("an envelope");
        assert_eq!(read, borrowed);
        assert!(read.verify(&verifier(), &fixture::context()).is_ok());
        assert_eq!(Signed::<Envelope>::from_canonical(&borrowed.to_canonical()), Ok(owned));
    }
}

#[test]
fn the_payload_stays_where_it_was_received() {
    let received = Signed::sign(large(), &key(), &fixture::context()).to_canonical();
    let read = Signed::<EnvelopeRef>::from_canonical(&received).expect("an envelope");
    let payload = read.claimed().payload;
    let start = received.len() - 64 - large().payload.len();
    assert_eq!(payload, &large().payload);
    assert_eq!(payload.as_ptr_range(), received[start..received.len() - 64].as_ptr_range());
}

#[test]
fn reading_and_verifying_a_borrowed_envelope_asks_for_no_memory() {
    let (verifier, context) = (verifier(), fixture::context());
    for envelope in [fixture::envelope(), large()] {
        let received = Signed::sign(envelope, &key(), &context).to_canonical();
        let (session, now, site) = (session(), fixture::epoch(4), fixture::name("site-1"));
        let count = allocations(|| {
            let read = Signed::<EnvelopeRef>::from_canonical(&received).expect("an envelope");
            let verified = read.verify(&verifier, &context).expect("a good signature");
            verified.check().expect("a good envelope");
            verified.check_route(&site, &["validators"]).expect("a good route");
            verified.check_session(&session, now).expect("a good session");
        });
        assert_eq!(count, 0);
        let owned = allocations(|| drop(Signed::<Envelope>::from_canonical(&received)));
        assert!(owned > 0, "the count counts");
    }
}

#[test]
fn writing_and_hashing_an_envelope_asks_for_no_memory() {
    let envelope = large();
    let signed = Signed::sign(borrow(&envelope), &key(), &fixture::context());
    let expected = signed.to_canonical();
    let mut buffer = vec![0; expected.len()];
    let count = allocations(|| {
        let written = signed.write_canonical(&mut buffer).expect("room");
        assert_eq!(written, expected);
    });
    assert_eq!(count, 0);
    let mut hash = blake3::hash(b"");
    let count = allocations(|| hash = signed.hash_canonical(blake3::Hasher::new()).finalize());
    assert_eq!((count, hash), (0, blake3::hash(&expected)));
    let count = allocations(|| hash = envelope.hash_canonical(blake3::Hasher::new()).finalize());
    assert_eq!((count, hash), (0, blake3::hash(&envelope.to_canonical())));
}

#[test]
fn a_small_buffer_is_refused_whole() {
    let envelope = fixture::envelope();
    let bytes = borrow(&envelope).to_canonical();
    for length in [0, 1, bytes.len() - 1] {
        let mut buffer = vec![0; length];
        let refused = borrow(&envelope).write_canonical(&mut buffer).map(|_| ());
        assert_eq!(refused, Err(CodecError::BufferTooSmall { what: "Envelope", length }));
    }
}

#[test]
fn both_forms_are_refused_alike() {
    let base = fixture::envelope();
    let spoiled = [
        (Envelope { version: 2, ..base.clone() }, EnvelopeError::Version { got: 2 }),
        (
            Envelope { kind: PayloadKind::LedgerRequest, payload: vec![0; 257], ..base.clone() },
            EnvelopeError::PayloadTooLarge {
                kind: PayloadKind::LedgerRequest,
                length: 257,
                limit: limits::QUERY,
            },
        ),
        (
            Envelope { lane: Lane::Consensus, ..base.clone() },
            EnvelopeError::WrongLane { kind: PayloadKind::Request, lane: Lane::Consensus },
        ),
    ];
    for (envelope, refusal) in spoiled {
        assert_eq!(envelope.check(), Err(refusal.clone()));
        assert_eq!(borrow(&envelope).check(), Err(refusal));
    }
    let now = fixture::epoch(4);
    for (envelope, now) in [
        (base.clone(), now),
        (Envelope { session_id: SessionId::new(Digest::ZERO), ..base.clone() }, now),
        (Envelope { ledger_block_id: LedgerBlockId::new(Digest::ZERO), ..base.clone() }, now),
        (base.clone(), fixture::epoch(51)),
        (base, fixture::epoch(3)),
    ] {
        let owned = envelope.check_session(&session(), now);
        assert_eq!(borrow(&envelope).check_session(&session(), now), owned);
    }
}

/// A flipped bit anywhere is a refusal in both forms, and the same one.
#[test]
fn both_forms_read_hostile_bytes_alike() {
    let (verifier, context) = (verifier(), fixture::context());
    let mut bytes = Signed::sign(fixture::envelope(), &key(), &context).to_canonical();
    for position in 0..bytes.len() {
        for mask in [1, 0x80] {
            bytes[position] ^= mask;
            let owned = Signed::<Envelope>::from_canonical(&bytes);
            let borrowed = Signed::<EnvelopeRef>::from_canonical(&bytes);
            match (owned, borrowed) {
                (Err(one), Err(other)) => assert_eq!(one, other),
                (Ok(one), Ok(other)) => {
                    assert_eq!(one.to_canonical(), other.to_canonical());
                    let one = one.verify(&verifier, &context).map(|_| ());
                    let other = other.verify(&verifier, &context).map(|_| ());
                    assert!(one.is_err(), "byte {position}");
                    assert_eq!(one, other, "byte {position}");
                }
                (owned, borrowed) => panic!("byte {position}: {owned:?}, {borrowed:?}"),
            }
            bytes[position] ^= mask;
        }
    }
}
