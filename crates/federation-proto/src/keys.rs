//! Ed25519 keys, typed by the one job each may do.
//!
//! A key that signs votes must never sign a document, so the role is part of the type:
//! `SecretKey<Consensus>` cannot sign a body whose [`SignedBody::Role`](crate::signing::SignedBody) is
//! [`Identity`]. Keys from outside are [`PublicKey`] (32 bytes, nothing known) until
//! [`check`](PublicKey::check) proves them canonical, of full order and torsion-free.

mod memo;

#[cfg(test)]
mod tests;

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use core::str::FromStr;
use std::sync::Arc;

use curve25519_dalek::edwards::CompressedEdwardsY;
use data_encoding::HEXLOWER;
use ed25519_dalek::Signer as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;
use zeroize::Zeroizing;

pub use memo::SignatureMemo;

use crate::digest::{Digest, HashDomain, HexError, parse_hex32};

/// The job of a key. Implemented only by the markers of this module.
pub trait KeyRole: Copy + Eq + Send + Sync + 'static {
    /// Name of the role in messages and key files.
    const NAME: &'static str;
}

macro_rules! roles {
    ($($(#[$meta:meta])* $role:ident = $name:literal),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $role {}
        impl KeyRole for $role {
            const NAME: &'static str = $name;
        }
    )+};
}

roles! {
    /// A node's identity: signs hellos, sessions, envelopes, updates, requests and blob receipts.
    Identity = "identity",
    /// A validator's votes.
    Consensus = "consensus",
    /// A validator's C2SP log checkpoints (raw note text).
    LogCheckpoint = "log-checkpoint",
    /// A governor's offline document key.
    Document = "document",
    /// A governor's delegated online key that signs accepts.
    Admission = "admission",
    /// A governor's delegated online key that signs governance notes (raw note text).
    GovernanceNote = "governance-note",
    /// The artifact writer's key: signs the manifest of a run.
    Artifact = "artifact",
    /// The key of a transport certificate.
    Transport = "transport",
}

/// 32 bytes that claim to be an Ed25519 public key of role `R`.
pub struct PublicKey<R> {
    bytes: [u8; 32],
    role: PhantomData<R>,
}

/// A node's identity: its Ed25519 public key.
pub type NodeFingerprint = PublicKey<Identity>;

/// Why 32 bytes are refused as a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// No point of the curve decompresses from these bytes.
    #[error("not a point of the curve")]
    NotAPoint,
    /// The point has another, canonical encoding.
    #[error("not the canonical encoding of its point")]
    NotCanonical,
    /// One of the eight points of small order, under which any message verifies.
    #[error("a point of small order")]
    SmallOrder,
    /// The point has a torsion component, under which batch and single verification may differ.
    #[error("a point with a torsion component")]
    Torsion,
}

impl<R> PublicKey<R> {
    /// Wraps bytes from outside.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self { bytes, role: PhantomData }
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The first eight hexadecimal characters, for tables.
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl<R: KeyRole> PublicKey<R> {
    /// Proves the key usable: on the curve, canonical, not of small order, torsion-free.
    ///
    /// `verify_strict` checks none of the last three for A beyond small order, so this is done once here.
    pub fn check(&self) -> Result<VerifyingKey<R>, KeyError> {
        let point = CompressedEdwardsY(self.bytes).decompress().ok_or(KeyError::NotAPoint)?;
        if point.compress().to_bytes() != self.bytes {
            return Err(KeyError::NotCanonical);
        }
        if point.is_small_order() {
            return Err(KeyError::SmallOrder);
        }
        if !point.is_torsion_free() {
            return Err(KeyError::Torsion);
        }
        let inner = ed25519_dalek::VerifyingKey::from_bytes(&self.bytes)
            .map_err(|_| KeyError::NotAPoint)?;
        Ok(VerifyingKey { inner, memo: None, role: PhantomData })
    }
}

impl<R> Clone for PublicKey<R> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<R> Copy for PublicKey<R> {}
impl<R> PartialEq for PublicKey<R> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}
impl<R> Eq for PublicKey<R> {}
impl<R> PartialOrd for PublicKey<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<R> Ord for PublicKey<R> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}
impl<R> Hash for PublicKey<R> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}
impl<R> fmt::Display for PublicKey<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.bytes))
    }
}
impl<R> fmt::Debug for PublicKey<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}
impl<R> FromStr for PublicKey<R> {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        parse_hex32(text).map(Self::from_bytes)
    }
}
impl<R> Serialize for PublicKey<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.bytes.serialize(serializer)
    }
}
impl<'de, R> Deserialize<'de> for PublicKey<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <[u8; 32]>::deserialize(deserializer).map(Self::from_bytes)
    }
}

/// A checked public key of role `R`.
#[derive(Clone, Debug)]
pub struct VerifyingKey<R> {
    inner: ed25519_dalek::VerifyingKey,
    memo: Option<Arc<SignatureMemo>>,
    role: PhantomData<R>,
}

impl<R: KeyRole> VerifyingKey<R> {
    /// The key as it stands on the wire.
    pub fn public(&self) -> PublicKey<R> {
        PublicKey::from_bytes(self.inner.to_bytes())
    }

    /// Strict verification of raw bytes [RFC 8032 §5.1.7, with the cofactorless equation and S < L].
    ///
    /// Messages of this protocol go through [`Signed`](crate::signing::Signed); raw text is for C2SP notes.
    pub fn verify_raw(&self, message: &[u8], signature: &Signature) -> bool {
        let strictly = || self.inner.verify_strict(message, &signature.to_dalek()).is_ok();
        match &self.memo {
            Some(memo) => memo.recall(&self.inner.to_bytes(), message, signature, strictly),
            None => strictly(),
        }
    }

    /// The same key, remembering what it verified together with all keys that share the memo.
    #[must_use]
    pub fn memoised(self, memo: &Arc<SignatureMemo>) -> Self {
        Self { memo: Some(Arc::clone(memo)), ..self }
    }
}

/// An Ed25519 signature: R and S as in RFC 8032 §5.1.6.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Signature {
    r: [u8; 32],
    s: [u8; 32],
}

impl Signature {
    /// From the 64 bytes R ‖ S.
    pub fn from_bytes(bytes: &[u8; 64]) -> Self {
        let (mut r, mut s) = ([0; 32], [0; 32]);
        r.copy_from_slice(&bytes[..32]);
        s.copy_from_slice(&bytes[32..]);
        Self { r, s }
    }

    /// The 64 bytes R ‖ S.
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.r);
        bytes[32..].copy_from_slice(&self.s);
        bytes
    }

    /// Whether S is reduced modulo the group order, as RFC 8032 §5.1.7 demands.
    pub fn has_reduced_s(&self) -> bool {
        bool::from(curve25519_dalek::Scalar::from_canonical_bytes(self.s).is_some())
    }

    fn to_dalek(self) -> ed25519_dalek::Signature {
        ed25519_dalek::Signature::from_components(self.r, self.s)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.to_bytes()))
    }
}
impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}
impl FromStr for Signature {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        HEXLOWER
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| <[u8; 64]>::try_from(bytes).ok())
            .map(|bytes| Self::from_bytes(&bytes))
            .ok_or(HexError { length: text.len() })
    }
}

/// A secret key of role `R`, erased when dropped. It prints as its public key.
pub struct SecretKey<R> {
    inner: ed25519_dalek::SigningKey,
    role: PhantomData<R>,
}

impl<R: KeyRole> SecretKey<R> {
    /// From 32 secret bytes, which the caller draws from the operating system or, for a synthetic
    /// federation, from [`SecretKey::synthetic`].
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        Self { inner: ed25519_dalek::SigningKey::from_bytes(&seed), role: PhantomData }
    }

    /// A key that everybody can derive: H(label, role, owner). It proves consistency, never authorship.
    pub fn synthetic(label: &str, owner: &str) -> Self {
        let parts: [&[u8]; 3] = [label.as_bytes(), R::NAME.as_bytes(), owner.as_bytes()];
        let seed = Digest::of_parts(HashDomain::SyntheticKey, &parts);
        Self::from_seed(Zeroizing::new(*seed.as_bytes()))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey<R> {
        PublicKey::from_bytes(self.inner.verifying_key().to_bytes())
    }

    /// Signs raw bytes. For C2SP notes; protocol messages go through [`Signed`](crate::signing::Signed).
    pub fn sign_raw(&self, message: &[u8]) -> Signature {
        Signature::from_bytes(&self.inner.sign(message).to_bytes())
    }
}

impl<R: KeyRole> fmt::Debug for SecretKey<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey<{}>({}…)", R::NAME, self.public().short())
    }
}
