//! The published keys of synthetic federations.
//!
//! Anybody can derive them, so artifacts signed with them prove consistency and nothing about authorship.
//! One label serves all scenarios and seeds; a federation is told apart by its genesis, not by its keys.

use federation_proto::SecretKey;
use federation_proto::keys::{Artifact, DecryptionKey, KeyRole};
use governance::trust::SYNTHETIC_LABEL;

/// Derives the keys of one federation from a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRing {
    label: String,
}

impl KeyRing {
    /// The published key ring.
    pub fn published() -> Self {
        Self::with_label(SYNTHETIC_LABEL)
    }

    /// Another key ring, which the compiled-in root of trust does not know.
    pub fn with_label(label: &str) -> Self {
        Self { label: label.to_owned() }
    }

    /// The key of an owner in a role.
    pub fn key<R: KeyRole>(&self, owner: &str) -> SecretKey<R> {
        SecretKey::synthetic(&self.label, owner)
    }

    /// The key that payloads to an owner are encrypted to, with its secret half.
    pub fn decryption_key(&self, owner: &str) -> DecryptionKey {
        DecryptionKey::synthetic(&self.label, owner)
    }

    /// The key that signs manifests.
    pub fn artifact_key(&self) -> SecretKey<Artifact> {
        self.key("artifact-writer")
    }
}
