//! Public keys: 32 bytes from outside, and what checking makes of them.

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use core::str::FromStr;
use std::sync::Arc;

use curve25519_dalek::edwards::CompressedEdwardsY;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::{Identity, KeyRole, Signature, SignatureMemo};
use crate::digest::{HexError, parse_hex32};

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
