//! The two hash trees of the ledger and the hash values they are made of.
//!
//! | tree | hashes | leaf | module |
//! |---|---|---|---|
//! | history, across blocks | SHA-256 | canonical bytes of a block header | [`history`], [`frontier`] |
//! | entries, inside one block | BLAKE3 | canonical bytes of one ledger entry | [`block_tree`] |
//!
//! Both have the shape of RFC 6962 §2.1 (the left subtree holds the largest power of two smaller
//! than the size), so one strict verifier, [`verify`], serves both. The hash functions differ on
//! purpose: SHA-256 is what C2SP tooling reads, and a value of one tree can never pass for a value
//! of the other because the Rust types differ too.

pub mod block_tree;
pub mod frontier;
pub mod history;
pub mod subtrees;
pub mod verify;

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::block_api::compress256;
use sha2::{Digest as _, Sha256};

use crate::base64;

/// Where SHA-256 starts [FIPS 180-4 §5.3.3].
const SHA256_START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// A SHA-256 value of the history tree: a leaf hash, an inner node or a root [RFC 6962 §2.1].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogHash([u8; 32]);

impl LogHash {
    /// Root of the tree without leaves: SHA-256 of the empty string [RFC 6962 §2.1].
    pub const EMPTY_ROOT: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9,
        0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52,
        0xb8, 0x55,
    ]);

    /// Wraps 32 bytes that are already a hash.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Hash of a leaf: SHA-256(0x00 ‖ leaf) [RFC 6962 §2.1].
    #[must_use]
    pub fn of_leaf(leaf: &[u8]) -> Self {
        Self(Sha256::new().chain_update([0x00]).chain_update(leaf).finalize().into())
    }

    /// Hash of an inner node: SHA-256(0x01 ‖ left ‖ right) [RFC 6962 §2.1].
    #[must_use]
    pub fn of_node(left: &Self, right: &Self) -> Self {
        // These 65 bytes always fill two blocks in the same way. With their padding written here, the
        // hottest path of the tree does without the hasher's buffer and counters: a third of its time.
        let mut message = [0x00_u8; 128];
        message[0] = 0x01;
        message[1..33].copy_from_slice(&left.0);
        message[33..65].copy_from_slice(&right.0);
        message[65] = 0x80;
        message[126..].copy_from_slice(&(65_u16 * 8).to_be_bytes());
        let mut state = SHA256_START;
        compress256(&mut state, message.as_chunks().0);
        let mut hash = [0x00_u8; 32];
        hash.copy_from_slice(state.map(u32::to_be_bytes).as_flattened());
        Self(hash)
    }

    /// Standard base64 with padding: the form of C2SP files.
    #[must_use]
    pub fn to_base64(&self) -> String {
        base64::encode(&self.0)
    }

    /// Reads the form that [`Self::to_base64`] writes; nothing else, so every hash has one text.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        <[u8; 32]>::try_from(base64::decode(text)?).ok().map(Self)
    }
}

impl fmt::Display for LogHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64())
    }
}

impl fmt::Debug for LogHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogHash({self})")
    }
}

/// A hash value that knows how to combine two siblings: what the strict verifier is generic over.
pub(crate) trait TreeHash: Copy + Eq + fmt::Display {
    /// Hash of the inner node above `left` and `right`.
    fn node(left: &Self, right: &Self) -> Self;
}

impl TreeHash for LogHash {
    fn node(left: &Self, right: &Self) -> Self {
        Self::of_node(left, right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_root_is_sha256_of_nothing() {
        assert_eq!(LogHash(Sha256::digest(b"").into()), LogHash::EMPTY_ROOT);
    }

    #[test]
    fn leaves_and_nodes_are_sha256_of_their_prefixed_parts() {
        let (left, right) = (LogHash::of_leaf(b"left"), LogHash::of_leaf(b"right"));
        assert_eq!(left, LogHash(Sha256::digest(b"\x00left").into()));
        let node = [&[0x01][..], &left.0, &right.0].concat();
        assert_eq!(LogHash::of_node(&left, &right), LogHash(Sha256::digest(node).into()));
    }

    #[test]
    fn base64_has_one_form_per_hash() {
        let text = LogHash::EMPTY_ROOT.to_base64();
        assert_eq!(text, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert_eq!(LogHash::from_base64(&text), Some(LogHash::EMPTY_ROOT));
        // The last digit carries four bits beyond the hash: U is canonical, V sets a stray bit.
        assert_eq!(LogHash::from_base64("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV="), None);
        assert_eq!(LogHash::from_base64(text.trim_end_matches('=')), None);
        assert_eq!(LogHash::from_base64("AAAA"), None);
    }

    #[test]
    fn a_leaf_never_hashes_like_a_node() {
        let (left, right) = (LogHash::of_leaf(b"l"), LogHash::of_leaf(b"r"));
        let joined = [left.0, right.0].concat();
        assert_ne!(LogHash::of_leaf(&joined), LogHash::of_node(&left, &right));
    }
}
