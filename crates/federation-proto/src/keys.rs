//! Keys, typed by the one job each may do.
//!
//! A key that signs votes must never sign a document, so the role is part of the type:
//! `SecretKey<Consensus>` cannot sign a body whose [`SignedBody::Role`](crate::signing::SignedBody) is
//! [`Identity`]. Keys from outside are [`PublicKey`] (32 bytes, nothing known) until
//! [`check`](PublicKey::check) proves them canonical, of full order and torsion-free. Payloads are encrypted
//! to another kind of key, [`EncryptionKey`], which signs nothing.

mod encryption;
mod file;
mod memo;
mod public;
mod secret;
mod signature;

#[cfg(test)]
mod tests;

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use encryption::{CheckedEncryptionKey, DecryptionKey, EncryptionKey, EncryptionKeyError};
pub use file::{KeyFile, KeyFileError, MAX_KEY_FILE, check_mode};
pub use memo::SignatureMemo;
pub use public::{KeyError, NodeFingerprint, PublicKey, VerifyingKey};
pub use secret::SecretKey;
pub use signature::Signature;

/// The job of a signing key. Implemented only by the markers of this module.
pub trait KeyRole: Copy + Eq + Send + Sync + 'static {
    /// Name of the role in messages and key files.
    const NAME: &'static str;
    /// The role as a value, where a statement or a file speaks of keys of any role.
    const KIND: KeyKind;
}

macro_rules! roles {
    ($($(#[$meta:meta])* $role:ident = $number:literal, $name:literal;)+) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum $role {}
            impl KeyRole for $role {
                const NAME: &'static str = $name;
                const KIND: KeyKind = KeyKind::$role;
            }
        )+

        /// The job of a key as a value: one byte on the wire, a name in files. A number is never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(into = "u8", try_from = "u8")]
        #[repr(u8)]
        pub enum KeyKind {
            $($(#[$meta])* $role = $number,)+
            /// Payloads are encrypted to it (X25519). It signs nothing, so it is no [`KeyRole`].
            Encryption = 9,
        }

        impl KeyKind {
            /// Every kind, in the order of their numbers.
            pub const ALL: [Self; 10] = [$(Self::$role,)+ Self::Encryption];

            /// Name of the kind in messages and key files.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$role => $name,)+
                    Self::Encryption => "encryption",
                }
            }
        }
    };
}

roles! {
    /// A node's identity: signs hellos, sessions, envelopes, updates, requests and blob receipts.
    Identity = 0, "identity";
    /// A validator's votes.
    Consensus = 1, "consensus";
    /// A validator's C2SP log checkpoints (raw note text).
    LogCheckpoint = 2, "log-checkpoint";
    /// A governor's offline document key.
    Document = 3, "document";
    /// A governor's delegated online key that signs accepts.
    Admission = 4, "admission";
    /// A governor's delegated online key that signs governance notes (raw note text).
    GovernanceNote = 5, "governance-note";
    /// The key of a transport certificate.
    Transport = 6, "transport";
    /// A witness's C2SP cosignatures, cosignature/v1 (raw note text).
    Cosigner = 7, "cosigner";
    /// The artifact writer's key: signs the manifest of a run.
    Artifact = 8, "artifact";
}

/// A byte or a text that names no kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no such kind of key; there are: {}", KeyKind::ALL.map(KeyKind::name).join(", "))]
pub struct UnknownKind;

impl From<KeyKind> for u8 {
    fn from(kind: KeyKind) -> Self {
        kind as Self
    }
}
impl TryFrom<u8> for KeyKind {
    type Error = UnknownKind;

    fn try_from(number: u8) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| u8::from(*kind) == number).ok_or(UnknownKind)
    }
}
impl FromStr for KeyKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or(UnknownKind)
    }
}
impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
