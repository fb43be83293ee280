//! Envelopes beside the Ed25519 primitive they rest on: sign, decode and verify, encode, decode.
//!
//! `cargo xtask bench proto` measures the same pairs interleaved and judges them by the limits; this gives
//! criterion's statistics, and a baseline to compare a change with.
#![expect(clippy::expect_used, reason = "a subject that cannot be made is a failed bench")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ed25519_dalek::{Signer as _, SigningKey};
use federation_proto::codec::Canonical as _;
use federation_proto::envelope::{Envelope, EnvelopeRef, PayloadKind};
use federation_proto::keys::Identity;
use federation_proto::{
    Digest, FederatedEpoch, FederationId, Lane, LaneSequence, LedgerBlockId, LogicalTime, Name,
    SecretKey, SessionId, Signed, SigningContext,
};

/// Payload bytes, and their name.
const PAYLOADS: [(usize, &str); 3] = [(0, "0"), (1 << 10, "1 KiB"), (64 << 10, "64 KiB")];

fn context() -> SigningContext {
    SigningContext {
        federation_id: FederationId::new(Digest::of_blob(b"federation")),
        config_digest: Digest::of_blob(b"configuration"),
    }
}

fn envelope(length: usize) -> Envelope {
    let name = |text: &str| Name::new(text).expect("a valid name");
    Envelope {
        version: Envelope::VERSION,
        origin: name("site-1"),
        target: name("validators"),
        kind: PayloadKind::MetaUpdate,
        lane: Lane::Update,
        sequence: LaneSequence::new(1_000),
        ack: LaneSequence::new(999),
        timestamp: LogicalTime::new(1_000_000),
        federated_epoch: FederatedEpoch::new(12),
        node_fingerprint: SecretKey::<Identity>::synthetic("bench", "site-1").public(),
        session_id: SessionId::new(Digest::of_blob(b"session")),
        ledger_block_id: LedgerBlockId::new(Digest::of_blob(b"block")),
        payload: (0..length).map(|at| at.to_le_bytes()[0]).collect(),
    }
}

fn envelopes(criterion: &mut Criterion) {
    let key = SecretKey::<Identity>::synthetic("bench", "site-1");
    let verifier = key.public().check().expect("a good key");
    let raw_key = SigningKey::from_bytes(&[7; 32]);
    let raw_verifier = raw_key.verifying_key();
    let context = context();
    for (length, name) in PAYLOADS {
        let body = envelope(length);
        let signed = Signed::sign(body.clone(), &key, &context);
        let bytes = signed.to_canonical();
        let message = body.to_canonical();
        let signature = raw_key.sign(&message);

        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(message.len() as u64));
        group.bench_function("raw sign", |b| b.iter(|| raw_key.sign(black_box(&message))));
        group.bench_function("sign", |b| {
            b.iter_batched(
                || body.clone(),
                |body| Signed::sign(body, &key, &context),
                BatchSize::SmallInput,
            );
        });
        group.bench_function("raw verify_strict", |b| {
            b.iter(|| raw_verifier.verify_strict(black_box(&message), &signature));
        });
        group.bench_function("decode and verify", |b| {
            b.iter(|| {
                let signed = Signed::<EnvelopeRef<'_>>::from_canonical(black_box(&bytes))
                    .expect("canonical bytes");
                signed.verify(&verifier, &context).expect("a good signature").sequence
            });
        });
        group.bench_function("encode", |b| b.iter(|| black_box(&signed).to_canonical()));
        group.bench_function("decode", |b| {
            b.iter(|| Signed::<EnvelopeRef<'_>>::from_canonical(black_box(&bytes)).is_ok());
        });
        group.finish();
    }
}

criterion_group!(benches, envelopes);
criterion_main!(benches);
