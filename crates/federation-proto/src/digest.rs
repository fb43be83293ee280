//! 32-byte BLAKE3 digests with a domain for every use.

use core::fmt;
use core::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A 32-byte digest, shown and parsed as 64 lowercase hexadecimal characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest([u8; 32]);

/// What a digest stands for. Two values hashed under different domains never collide by construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashDomain {
    /// The genesis body; its digest is the federation id.
    Genesis,
    /// A configuration: roster, thresholds, mandate and policy.
    Configuration,
    /// The validator set alone, as a joining node names it.
    ValidatorSet,
    /// A policy document, over its exact bytes.
    Policy,
    /// A hello, as the accept that answers it names it.
    Hello,
    /// What a quote about a node's machine is bound to.
    AttestationBinding,
    /// A session identifier.
    Session,
    /// A transport certificate or, in process, the transport key that stands for it.
    TransportCertificate,
    /// The uncompressed canonical bytes of a genome delta, with its secret salt.
    Update,
    /// A commitment without its receipts.
    Commitment,
    /// A proof slot.
    Proof,
    /// A block header.
    BlockHeader,
    /// A leaf of a block's entry tree.
    EntryLeaf,
    /// A batch as it is voted on.
    Batch,
    /// An aggregated update.
    AggregatedUpdate,
    /// An alignment: what was taken, what was left, and why.
    Alignment,
    /// A genome schema.
    GenomeSchema,
    /// A meta state.
    MetaState,
    /// The replicated state of a validator.
    MachineState,
    /// The text of a governance note.
    GovernanceNote,
    /// An opened quarantine, as its review names it.
    Quarantine,
    /// A scenario file.
    Scenario,
    /// The frames of a simulated run.
    Trace,
    /// A verified signature in a memo.
    VerifiedSignature,
    /// A synthetic key seed, derived from a published label.
    SyntheticKey,
}

impl HashDomain {
    /// The BLAKE3 `derive_key` context string: fixed, globally unique, never reused.
    pub const fn context(self) -> &'static str {
        match self {
            Self::Genesis => "prism1 2026-11-24 genesis",
            Self::Configuration => "prism1 2026-11-24 configuration",
            Self::ValidatorSet => "prism1 2026-11-24 validator-set",
            Self::Policy => "prism1 2026-11-24 policy",
            Self::Hello => "prism1 2026-11-24 hello",
            Self::AttestationBinding => "prism1 2026-11-24 attestation-binding",
            Self::Session => "prism1 2026-11-24 session",
            Self::TransportCertificate => "prism1 2026-11-24 transport-certificate",
            Self::Update => "prism1 2026-11-24 update",
            Self::Commitment => "prism1 2026-11-24 commitment",
            Self::Proof => "prism1 2026-11-24 proof",
            Self::BlockHeader => "prism1 2026-11-24 block-header",
            Self::EntryLeaf => "prism1 2026-11-24 entry-leaf",
            Self::Batch => "prism1 2026-11-24 batch",
            Self::AggregatedUpdate => "prism1 2026-11-24 aggregated-update",
            Self::Alignment => "prism1 2026-11-24 alignment",
            Self::GenomeSchema => "prism1 2026-11-24 genome-schema",
            Self::MetaState => "prism1 2026-11-24 meta-state",
            Self::MachineState => "prism1 2026-11-24 machine-state",
            Self::GovernanceNote => "prism1 2026-11-24 governance-note",
            Self::Quarantine => "prism1 2026-11-24 quarantine",
            Self::Scenario => "prism1 2026-11-24 scenario",
            Self::Trace => "prism1 2026-11-24 trace",
            Self::VerifiedSignature => "prism1 2026-11-24 verified-signature",
            Self::SyntheticKey => "prism1 2026-11-24 synthetic-key",
        }
    }
}

impl Digest {
    /// Thirty-two zero bytes: "none", where a chain has no predecessor.
    pub const ZERO: Self = Self([0; 32]);

    /// The domain-separated digest of `bytes`.
    pub fn of(domain: HashDomain, bytes: &[u8]) -> Self {
        Self::of_parts(domain, &[bytes])
    }

    /// The domain-separated digest of several parts, each preceded by its length so that no two lists collide.
    pub fn of_parts(domain: HashDomain, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(domain.context());
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The plain BLAKE3 digest of stored bytes: the name of a blob, as `b3sum` prints it.
    pub fn of_blob(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Wraps raw digest bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw digest bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight hexadecimal characters, for tables.
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// Why a text is no 32-byte hexadecimal value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("not 64 lowercase hexadecimal characters (got {length} characters)")]
pub struct HexError {
    /// Length of the text that was refused.
    pub length: usize,
}

/// Parses exactly 64 lowercase hexadecimal characters; upper case is refused so that every value has one text.
pub(crate) fn parse_hex32(text: &str) -> Result<[u8; 32], HexError> {
    HEXLOWER
        .decode(text.as_bytes())
        .ok()
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
        .ok_or(HexError { length: text.len() })
}

impl FromStr for Digest {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_hex32(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_and_part_borders_separate() {
        let a = Digest::of(HashDomain::Batch, b"x");
        assert_ne!(a, Digest::of(HashDomain::Policy, b"x"));
        let split = |parts: &[&[u8]]| Digest::of_parts(HashDomain::Batch, parts);
        assert_ne!(split(&[b"ab", b"c"]), split(&[b"a", b"bc"]));
        assert_ne!(split(&[b"x"]), split(&[b"x", b""]));
    }

    #[test]
    fn hex_has_one_form() {
        let digest = Digest::of_blob(b"");
        // The published BLAKE3 test vector of the empty input.
        let text = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse::<Digest>(), Ok(digest));
        assert!(text.to_uppercase().parse::<Digest>().is_err());
        assert_eq!("00".parse::<Digest>(), Err(HexError { length: 2 }));
    }
}
