//! Domain-separated signatures: `Signed<T>` comes in, only [`Verified<T>`] lets its content be used.
//!
//! Signing preimage, 105 bytes, never valid UTF-8 text (so never a C2SP note):
//!
//! ```text
//! 0xFF ‖ "prism1" ‖ u16 domain (big-endian) ‖ federation_id[32] ‖ config_digest[32] ‖ BLAKE3(canonical bytes)[32]
//! ```
//!
//! Epoch, view and sequence stand inside the canonical bytes. The federation and configuration are bound by
//! the preimage, so nothing signed for one federation or roster is worth anything in another.

use core::ops::Deref;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounded;
use crate::codec::Canonical;
use crate::digest::Digest;
use crate::ids::FederationId;
use crate::keys::{KeyRole, PublicKey, SecretKey, Signature, VerifyingKey};
use crate::limits;

/// The registry of signing domains. A number is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Domain {
    /// [`Genesis`](crate::genesis::Genesis).
    Genesis = 1,
    /// [`FederationHello`](crate::handshake::FederationHello).
    Hello = 2,
    /// [`FederationAccept`](crate::handshake::FederationAccept).
    Accept = 3,
    /// [`SessionStatement`](crate::handshake::SessionStatement).
    Session = 4,
    /// [`Envelope`](crate::envelope::Envelope).
    Envelope = 5,
    /// [`MetaUpdate`](crate::update::MetaUpdate).
    MetaUpdate = 6,
    /// [`BlobReceipt`](crate::update::BlobReceipt).
    BlobReceipt = 7,
    /// [`Request`](crate::batch::Request).
    Request = 8,
    /// [`SessionResumption`](crate::handshake::SessionResumption).
    Resumption = 9,
    /// [`Heartbeat`](crate::heartbeat::Heartbeat).
    Heartbeat = 10,
    /// [`FederationRefusal`](crate::handshake::FederationRefusal).
    Refusal = 11,
    /// PBFT PRE-PREPARE.
    PrePrepare = 16,
    /// PBFT PREPARE.
    Prepare = 17,
    /// PBFT COMMIT.
    Commit = 18,
    /// PBFT CHECKPOINT.
    Checkpoint = 19,
    /// A replica leaves its view.
    ViewChange = 20,
    /// A primary begins its view.
    NewView = 21,
    /// Where a replica stands.
    Status = 22,
    /// The manifest of a run, over its exact bytes.
    Manifest = 32,
    /// [`RosterChange`](crate::governed::RosterChange).
    RosterChange = 33,
    /// [`PolicyChange`](crate::governed::PolicyChange).
    PolicyChange = 34,
    /// [`GovernancePinned`](crate::governed::GovernancePinned).
    GovernancePinned = 35,
    /// [`QuarantineReview`](crate::governed::QuarantineReview).
    QuarantineReview = 36,
    /// [`FederatedRollback`](crate::governed::FederatedRollback).
    Rollback = 37,
    /// [`KeyRotation`](crate::statement::KeyRotation), by the old key and by the new one.
    KeyRotation = 48,
    /// [`KeyRevocation`](crate::statement::KeyRevocation).
    KeyRevocation = 49,
}

/// What every signature of a federation is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningContext {
    /// Hash of the genesis body.
    pub federation_id: FederationId,
    /// Hash of the configuration in force.
    pub config_digest: Digest,
}

impl SigningContext {
    /// The fixed-length preimage for canonical (or exact stored) bytes under a domain.
    pub fn preimage(&self, domain: Domain, bytes: &[u8]) -> [u8; 105] {
        self.preimage_of_hash(domain, blake3::hash(bytes))
    }

    /// The preimage of a body, whose bytes are hashed as they are made.
    fn preimage_of<T: SignedBody>(&self, body: &T) -> [u8; 105] {
        let hasher = body.hash_canonical(blake3::Hasher::new());
        self.preimage_of_hash(T::DOMAIN, hasher.finalize())
    }

    fn preimage_of_hash(&self, domain: Domain, hash: blake3::Hash) -> [u8; 105] {
        let mut preimage = [0; 105];
        preimage[0] = 0xFF;
        preimage[1..7].copy_from_slice(b"prism1");
        preimage[7..9].copy_from_slice(&(domain as u16).to_be_bytes());
        preimage[9..41].copy_from_slice(self.federation_id.as_bytes());
        preimage[41..73].copy_from_slice(self.config_digest.as_bytes());
        preimage[73..105].copy_from_slice(hash.as_bytes());
        preimage
    }
}

/// A body that is signed under one domain by one role of key.
pub trait SignedBody: Canonical {
    /// The domain that separates this type's signatures from all others.
    const DOMAIN: Domain;
    /// The only role of key that may sign it.
    type Role: KeyRole;
}

/// A body and a signature that nobody has checked yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed<T> {
    body: T,
    signature: Signature,
}

/// Why a signed body was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// The signature does not verify strictly under the key, federation, configuration and domain.
    #[error("{what}: signature does not verify under {key}")]
    Invalid {
        /// Type of the body.
        what: &'static str,
        /// Hexadecimal key that was tried.
        key: String,
    },
    /// S is not reduced modulo the group order.
    #[error("{what}: signature scalar is not reduced")]
    NotReduced {
        /// Type of the body.
        what: &'static str,
    },
    /// Too few distinct permitted keys endorsed a document.
    #[error("{what}: {valid} valid endorsements of {needed} needed")]
    BelowThreshold {
        /// Type of the body.
        what: &'static str,
        /// Distinct permitted keys whose signature verified.
        valid: usize,
        /// Endorsements needed.
        needed: usize,
    },
    /// An endorsement by a key that may not endorse.
    #[error("{what}: endorsement by unknown key {key}")]
    UnknownKey {
        /// Type of the body.
        what: &'static str,
        /// Hexadecimal key.
        key: String,
    },
    /// One key endorsed twice, or the endorsements are not in the order of their keys.
    #[error("{what}: endorsements are not in strictly increasing order of their keys")]
    Unordered {
        /// Type of the body.
        what: &'static str,
    },
}

impl<T: SignedBody> Signed<T> {
    /// Signs a body.
    pub fn sign(body: T, key: &SecretKey<T::Role>, context: &SigningContext) -> Self {
        let signature = key.sign_raw(&context.preimage_of(&body));
        Self { body, signature }
    }

    /// The unverified body, only to look up whose key must verify it.
    pub fn claimed(&self) -> &T {
        &self.body
    }

    /// The signature, as stored in certificates and artifacts.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Joins a body and a signature read from different places; nothing is checked.
    pub fn from_parts(body: T, signature: Signature) -> Self {
        Self { body, signature }
    }

    /// Strict verification under the one key that may have signed.
    pub fn verify(
        self,
        key: &VerifyingKey<T::Role>,
        context: &SigningContext,
    ) -> Result<Verified<T>, SignatureError> {
        check(&self.body, &self.signature, key, context)?;
        Ok(Verified(self))
    }
}

fn check<T: SignedBody>(
    body: &T,
    signature: &Signature,
    key: &VerifyingKey<T::Role>,
    context: &SigningContext,
) -> Result<(), SignatureError> {
    if !signature.has_reduced_s() {
        return Err(SignatureError::NotReduced { what: T::NAME });
    }
    if key.verify_raw(&context.preimage_of(body), signature) {
        Ok(())
    } else {
        Err(SignatureError::Invalid { what: T::NAME, key: key.public().to_string() })
    }
}

/// A body whose signature was verified. Only [`Signed::verify`] and [`Verified::signed_by_us`] make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(Signed<T>);

impl<T: SignedBody> Verified<T> {
    /// Signs a body of our own; our own signature needs no check.
    pub fn signed_by_us(body: T, key: &SecretKey<T::Role>, context: &SigningContext) -> Self {
        Self(Signed::sign(body, key, context))
    }
}

impl<T> Verified<T> {
    /// The signed form, to store or forward.
    pub fn as_signed(&self) -> &Signed<T> {
        &self.0
    }

    /// The signed form, to store or forward.
    pub fn into_signed(self) -> Signed<T> {
        self.0
    }

    /// The verified body.
    pub fn into_body(self) -> T {
        self.0.body
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.body
    }
}

/// One key's signature on a document that needs several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Endorsement<R: KeyRole> {
    /// The signing key.
    pub key: PublicKey<R>,
    /// Its signature.
    pub signature: Signature,
}

/// A document with the signatures of several keys, in strictly increasing order of the keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "T: Serialize + serde::de::DeserializeOwned")]
pub struct Endorsed<T: SignedBody> {
    body: T,
    #[serde(deserialize_with = "bounded::list::<_, _, { limits::ENDORSEMENTS }>")]
    endorsements: Vec<Endorsement<T::Role>>,
}

impl<T: SignedBody> Endorsed<T> {
    /// Signs a document with several keys.
    pub fn sign<'k>(
        body: T,
        keys: impl IntoIterator<Item = &'k SecretKey<T::Role>>,
        context: &SigningContext,
    ) -> Self {
        let preimage = context.preimage_of(&body);
        let endorse = |key: &SecretKey<T::Role>| Endorsement {
            key: key.public(),
            signature: key.sign_raw(&preimage),
        };
        let mut endorsements: Vec<_> = keys.into_iter().map(endorse).collect();
        endorsements.sort_by_key(|endorsement| endorsement.key);
        Self { body, endorsements }
    }

    /// The unverified document.
    pub fn claimed(&self) -> &T {
        &self.body
    }

    /// The endorsements as they came.
    pub fn endorsements(&self) -> &[Endorsement<T::Role>] {
        &self.endorsements
    }

    /// Joins a document and endorsements read from different places; nothing is checked.
    pub fn from_parts(body: T, endorsements: Vec<Endorsement<T::Role>>) -> Self {
        Self { body, endorsements }
    }

    /// The document, if at least `needed` distinct keys out of `permitted` signed it and every signature verifies.
    ///
    /// A single bad, foreign or repeated endorsement refuses the whole: there is one good form of a document.
    pub fn verify(
        &self,
        permitted: &[VerifyingKey<T::Role>],
        needed: usize,
        context: &SigningContext,
    ) -> Result<&T, SignatureError> {
        if !self.endorsements.is_sorted_by(|a, b| a.key < b.key) {
            return Err(SignatureError::Unordered { what: T::NAME });
        }
        for endorsement in &self.endorsements {
            let key =
                permitted.iter().find(|key| key.public() == endorsement.key).ok_or_else(|| {
                    SignatureError::UnknownKey { what: T::NAME, key: endorsement.key.to_string() }
                })?;
            check(&self.body, &endorsement.signature, key, context)?;
        }
        let valid = self.endorsements.len();
        if valid < needed.max(1) {
            return Err(SignatureError::BelowThreshold { what: T::NAME, valid, needed });
        }
        Ok(&self.body)
    }
}
