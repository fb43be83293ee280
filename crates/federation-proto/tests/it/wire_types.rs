//! Every canonical type of the crate, behind one interface that knows nothing of any of them.
//!
//! A new type costs one line in [`all`]; `every_canonical_type_is_listed` says which is missing.

use std::collections::BTreeSet;

use federation_proto::codec::{Canonical, CodecError};
use federation_proto::keys::KeyRole;
use federation_proto::signing::{Domain, SignatureError};
use federation_proto::{
    Digest, Endorsed, FederationId, SecretKey, Signed, SignedBody, SigningContext,
};
use federation_proto::{
    batch, entry, envelope, evidence, genesis, governed, handshake, heartbeat, update,
};

use serde::de::DeserializeOwned;

use crate::draw::{Declared, draw};
use crate::outside;
use crate::trace::{Trace, trace};

/// A canonical type.
#[derive(Clone, Copy)]
pub(crate) struct WireType {
    /// [`Canonical::NAME`].
    pub(crate) name: &'static str,
    /// [`Canonical::MAX_BYTES`].
    pub(crate) max_bytes: usize,
    /// Draws a value; where the type is signed, it is signed properly by [`Authority::keys`].
    pub(crate) draw: fn(u64) -> Drawn,
    /// Reads bytes as this type and verifies them.
    pub(crate) read: fn(&[u8]) -> Reading,
    /// Reads bytes as this type and traces the value.
    pub(crate) retrace: fn(&[u8]) -> Option<Trace>,
    /// Who signs it.
    pub(crate) authority: Option<Authority>,
}

/// How a type is signed.
#[derive(Clone, Copy)]
pub(crate) struct Authority {
    /// Name of the body.
    pub(crate) body: &'static str,
    /// Domain of its signatures.
    pub(crate) domain: Domain,
    /// Role of the keys that may sign it.
    pub(crate) role: &'static str,
    /// The public keys that sign what is drawn, in hexadecimal.
    pub(crate) keys: fn() -> Vec<String>,
    /// How many of them must sign; none for a type with exactly one signature.
    pub(crate) threshold: Option<usize>,
}

/// A drawn value.
#[derive(Clone)]
pub(crate) struct Drawn {
    /// What `to_canonical` says.
    pub(crate) canonical: Vec<u8>,
    /// What the second encoder says.
    pub(crate) trace: Trace,
    /// The types in it.
    pub(crate) declared: Declared,
}

/// What became of some bytes.
pub(crate) enum Reading {
    /// Refused by the codec.
    Refused(CodecError),
    /// They are a value.
    Value {
        /// That value, encoded again.
        reencoded: Vec<u8>,
        /// What verification says, where the type is signed.
        verdict: Option<Result<(), SignatureError>>,
    },
}

/// Most governors that sign a drawn document, and how many of them are needed.
const GOVERNORS: [&str; 3] = ["a", "b", "c"];
const THRESHOLD: usize = 2;

/// What every drawn signature is bound to.
pub(crate) fn context() -> SigningContext {
    SigningContext {
        federation_id: FederationId::new(Digest::of_blob(b"format guard: federation")),
        config_digest: Digest::of_blob(b"format guard: configuration"),
    }
}

/// The label under which the signing keys are derived; everybody can.
pub(crate) const KEY_LABEL: &str = "format guard";

fn key<T: SignedBody>(owner: &str) -> SecretKey<T::Role> {
    SecretKey::synthetic(KEY_LABEL, owner)
}

fn published<T: SignedBody>(owner: &str) -> String {
    key::<T>(owner).public().to_string()
}

fn drawn<T: Canonical>(value: &T, declared: Declared) -> Drawn {
    Drawn { canonical: value.to_canonical(), trace: trace(value), declared }
}

fn read<T: Canonical + DeserializeOwned>(
    bytes: &[u8],
    verdict: impl FnOnce(T) -> Option<Result<(), SignatureError>>,
) -> Reading {
    match T::from_canonical(bytes) {
        Err(error) => Reading::Refused(error),
        Ok(value) => Reading::Value { reencoded: value.to_canonical(), verdict: verdict(value) },
    }
}

fn retrace<T: Canonical + DeserializeOwned>(bytes: &[u8]) -> Option<Trace> {
    T::from_canonical(bytes).ok().map(|value| trace(&value))
}

/// A type whose values carry no signature of their own.
fn plain<T: Canonical + DeserializeOwned>() -> WireType {
    WireType {
        name: T::NAME,
        max_bytes: T::MAX_BYTES,
        draw: |seed| {
            let (value, declared) = draw::<T>(seed);
            drawn(&value, declared)
        },
        read: |bytes| read::<T>(bytes, |_| None),
        retrace: retrace::<T>,
        authority: None,
    }
}

/// A body with one signature.
fn signed<T: SignedBody + DeserializeOwned>() -> WireType
where
    Signed<T>: Canonical + DeserializeOwned,
{
    WireType {
        name: <Signed<T>>::NAME,
        retrace: retrace::<Signed<T>>,
        max_bytes: <Signed<T>>::MAX_BYTES,
        draw: |seed| {
            let (body, declared) = draw::<T>(seed);
            drawn(&Signed::sign(body, &key::<T>("signer"), &context()), declared)
        },
        read: |bytes| {
            read::<Signed<T>>(bytes, |value| {
                let key = key::<T>("signer").public().check().expect("a good key");
                Some(value.verify(&key, &context()).map(|_| ()))
            })
        },
        authority: Some(Authority {
            body: T::NAME,
            domain: T::DOMAIN,
            role: <T::Role as KeyRole>::NAME,
            keys: || vec![published::<T>("signer")],
            threshold: None,
        }),
    }
}

/// A document with the signatures of several keys.
fn endorsed<T: SignedBody + DeserializeOwned>() -> WireType
where
    Endorsed<T>: Canonical + DeserializeOwned,
{
    WireType {
        name: <Endorsed<T>>::NAME,
        retrace: retrace::<Endorsed<T>>,
        max_bytes: <Endorsed<T>>::MAX_BYTES,
        draw: |seed| {
            let (body, declared) = draw::<T>(seed);
            drawn(&Endorsed::sign(body, &GOVERNORS.map(key::<T>), &context()), declared)
        },
        read: |bytes| {
            read::<Endorsed<T>>(bytes, |value| {
                let keys = GOVERNORS.map(|owner| {
                    let key = key::<T>(owner).public().check();
                    key.expect("a good key")
                });
                Some(value.verify(&keys, THRESHOLD, &context()).map(|_| ()))
            })
        },
        authority: Some(Authority {
            body: T::NAME,
            domain: T::DOMAIN,
            role: <T::Role as KeyRole>::NAME,
            keys: || GOVERNORS.map(published::<T>).into(),
            threshold: Some(THRESHOLD),
        }),
    }
}

/// Every canonical type of the crate.
pub(crate) fn all() -> Vec<WireType> {
    vec![
        plain::<handshake::FederationHello>(),
        signed::<handshake::FederationHello>(),
        plain::<handshake::FederationAccept>(),
        endorsed::<handshake::FederationAccept>(),
        plain::<handshake::FederationRefusal>(),
        signed::<handshake::FederationRefusal>(),
        plain::<handshake::SessionStatement>(),
        signed::<handshake::SessionStatement>(),
        plain::<handshake::SessionOpened>(),
        plain::<handshake::SessionResumption>(),
        signed::<handshake::SessionResumption>(),
        plain::<handshake::SessionClosed>(),
        plain::<heartbeat::Heartbeat>(),
        signed::<heartbeat::Heartbeat>(),
        plain::<entry::LedgerEntry>(),
        plain::<entry::AlignmentRecord>(),
        plain::<entry::AggregatedUpdate>(),
        plain::<governed::GovernancePinned>(),
        endorsed::<governed::GovernancePinned>(),
        plain::<governed::QuarantineOpened>(),
        plain::<governed::QuarantineReview>(),
        endorsed::<governed::QuarantineReview>(),
        plain::<governed::FederatedRollback>(),
        endorsed::<governed::FederatedRollback>(),
        plain::<governed::RosterChange>(),
        endorsed::<governed::RosterChange>(),
        plain::<governed::RosterChanged>(),
        plain::<governed::PolicyChange>(),
        endorsed::<governed::PolicyChange>(),
        plain::<evidence::Evidence>(),
        plain::<batch::Request>(),
        signed::<batch::Request>(),
        plain::<batch::BatchItem>(),
        plain::<batch::Batch>(),
        plain::<update::ProofSlot>(),
        plain::<update::MetaUpdate>(),
        signed::<update::MetaUpdate>(),
        plain::<update::BlobReceipt>(),
        signed::<update::BlobReceipt>(),
        plain::<update::UpdateCommitment>(),
        plain::<envelope::Envelope>(),
        signed::<envelope::Envelope>(),
        plain::<genesis::Configuration>(),
        plain::<genesis::Genesis>(),
    ]
}

/// The names in the `canonical!` blocks of the sources.
fn declared() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in outside::sources() {
        for block in source.split("\ncanonical! {\n").skip(1) {
            let (block, _) = block.split_once("\n}").expect("a block ends");
            let lines = block.lines().filter_map(|line| line.split_once(" => "));
            names.extend(lines.map(|(name, _)| name.trim().to_owned()));
        }
        // A generic type cannot use the macro and says its name itself.
        let by_hand = source.lines().filter_map(|line| {
            line.trim().strip_prefix("const NAME: &'static str = \"")?.strip_suffix("\";")
        });
        names.extend(by_hand.map(str::to_owned));
    }
    names
}

#[test]
fn every_canonical_type_is_listed() {
    let listed: BTreeSet<String> = all().iter().map(|wire| wire.name.to_owned()).collect();
    assert_eq!(listed, declared(), "a line in `wire_types::all` for every canonical type");
    assert_eq!(listed.len(), all().len(), "a type is listed twice");
}
