//! What an envelope costs beside the Ed25519 primitive on a message of the same length.
//!
//! An envelope signs a preimage of 105 bytes with the BLAKE3 of its canonical bytes in it; the primitive hashes
//! the whole message with SHA-512, twice when it signs [RFC 8032 §5.1.6]. So a long envelope may take less
//! time than the primitive alone, and a short one shows what codec and preimage cost.

use std::hint::black_box;
use std::time::Instant;

use federation_proto::codec::Canonical as _;
use federation_proto::envelope::{Envelope, EnvelopeRef, PayloadKind};
use federation_proto::keys::{Identity, VerifyingKey};
use federation_proto::{
    Digest, FederatedEpoch, FederationId, Lane, LaneSequence, LedgerBlockId, LogicalTime, Name,
    SecretKey, SessionId, Signature, Signed, SigningContext,
};

use super::rounds::{self, Comparison, Operation, repeated};
use super::{BarOf, BenchError, Row};

/// Payload bytes, their name, and the bar for sign, and for decode and verify, by the primitive.
const PAYLOADS: [(usize, &str, Option<f64>); 3] =
    [(0, "0 B", None), (1 << 10, "1 KiB", Some(1.15)), (64 << 10, "64 KiB", None)];

pub(super) fn measure() -> Result<Vec<Row>, BenchError> {
    let rows = PAYLOADS.iter().map(|(length, size, bar)| {
        let subject = Subject::new(*length)?;
        Ok(subject.rows(size, *bar))
    });
    Ok(rows.collect::<Result<Vec<_>, BenchError>>()?.concat())
}

/// An envelope with all that is needed to sign and verify it.
struct Subject {
    key: SecretKey<Identity>,
    verifier: VerifyingKey<Identity>,
    context: SigningContext,
    signed: Signed<Envelope>,
    /// Canonical bytes of the signed envelope.
    bytes: Vec<u8>,
    /// Canonical bytes of the envelope alone: the primitive's message.
    message: Vec<u8>,
    /// The primitive's signature on it.
    signature: Signature,
}

impl Subject {
    fn new(length: usize) -> Result<Self, BenchError> {
        let refused = |cause: &dyn std::fmt::Display| BenchError::Subject(cause.to_string());
        let name = |text: &str| Name::new(text).map_err(|cause| refused(&cause));
        let key = SecretKey::<Identity>::synthetic("bench", "site-1");
        let verifier = key.public().check().map_err(|cause| refused(&cause))?;
        let context = SigningContext {
            federation_id: FederationId::new(Digest::of_blob(b"federation")),
            config_digest: Digest::of_blob(b"configuration"),
        };
        let envelope = Envelope {
            version: Envelope::VERSION,
            origin: name("site-1")?,
            target: name("validators")?,
            kind: PayloadKind::MetaUpdate,
            lane: Lane::Update,
            sequence: LaneSequence::new(1_000),
            ack: LaneSequence::new(999),
            timestamp: LogicalTime::new(1_000_000),
            federated_epoch: FederatedEpoch::new(12),
            node_fingerprint: key.public(),
            session_id: SessionId::new(Digest::of_blob(b"session")),
            ledger_block_id: LedgerBlockId::new(Digest::of_blob(b"block")),
            payload: (0..length).map(|at| at.to_le_bytes()[0]).collect(),
        };
        let message = envelope.to_canonical();
        let signature = key.sign_raw(&message);
        let signed = Signed::sign(envelope, &key, &context);
        let bytes = signed.to_canonical();
        // What is measured must work, or it is fast for a wrong reason.
        let received = Signed::<EnvelopeRef<'_>>::from_canonical(&bytes);
        let received = received.map_err(|cause| refused(&cause))?;
        received.verify(&verifier, &context).map_err(|cause| refused(&cause))?;
        if !verifier.verify_raw(&message, &signature) {
            return Err(refused(&"its raw signature does not verify"));
        }
        Ok(Self { key, verifier, context, signed, bytes, message, signature })
    }

    fn rows(&self, size: &str, bar: Option<f64>) -> Vec<Row> {
        let times = rounds::measure(rounds::ROUNDS, &mut self.operations());
        let [raw_sign, sign, raw_verify, verify, encode, decode] = times.as_slice() else {
            return Vec::new();
        };
        let length = self.message.len();
        let row = |what: &str, times: &[f64], (primitive, references): (&str, &[f64]), bar| {
            Comparison {
                area: "proto",
                name: format!("{what} {size}"),
                unit: "µs",
                values: times,
                reference: format!("{primitive} {length} B"),
                references,
                bar,
                bar_of: BarOf::Ratio,
            }
            .row()
        };
        let (signing, verifying) = (("raw sign", &**raw_sign), ("verify_strict", &**raw_verify));
        vec![
            row("sign", sign, signing, bar),
            row("decode and verify", verify, verifying, bar),
            row("encode", encode, signing, None),
            row("decode", decode, verifying, None),
        ]
    }

    /// In the order in which [`rows`](Self::rows) reads their times; each primitive beside what rests on it.
    fn operations(&self) -> [Operation<'_>; 6] {
        let receive = || Signed::<EnvelopeRef<'_>>::from_canonical(black_box(&self.bytes));
        [
            Box::new(repeated(|| self.key.sign_raw(black_box(&self.message)))),
            Box::new(|repetitions| {
                // Signing takes the envelope; copies of it are no part of it.
                let bodies = (0..repetitions).map(|_| self.signed.claimed().clone());
                let bodies: Vec<Envelope> = bodies.collect();
                let start = Instant::now();
                for body in bodies {
                    black_box(Signed::sign(body, &self.key, &self.context));
                }
                start.elapsed()
            }),
            Box::new(repeated(|| {
                self.verifier.verify_raw(black_box(&self.message), &self.signature)
            })),
            Box::new(repeated(move || {
                let signed = receive().ok()?;
                signed.verify(&self.verifier, &self.context).ok().map(|envelope| envelope.sequence)
            })),
            Box::new(repeated(|| black_box(&self.signed).to_canonical())),
            Box::new(repeated(move || receive().is_ok())),
        ]
    }
}
