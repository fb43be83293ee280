//! What a sealed payload belongs to. Both of its layers authenticate these bytes.

use crate::counters::{Cycle, FederatedEpoch, Generation};
use crate::digest::Digest;
use crate::ids::{FederationId, SessionId};
use crate::keys::NodeFingerprint;
use crate::update::MetaUpdate;

/// Separates these bytes from all other associated data, and names the version of the layout.
const TITLE: &[u8; 16] = b"prism1 sealed v1";

/// The place of a payload. Elsewhere it opens for nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealBinding {
    /// The federation.
    pub federation_id: FederationId,
    /// The author's session.
    pub session_id: SessionId,
    /// The author.
    pub node_fingerprint: NodeFingerprint,
    /// The epoch it contributes to.
    pub federated_epoch: FederatedEpoch,
    /// Rollback generation of its base.
    pub generation: Generation,
    /// The author's cycle.
    pub cycle: Cycle,
    /// Hash of the plaintext with its secret salt.
    pub update_hash: Digest,
}

impl SealBinding {
    /// Length of the layout.
    pub const BYTES: usize = 168;

    /// The binding of an update's payload.
    pub fn of_update(update: &MetaUpdate, federation_id: FederationId) -> Self {
        Self {
            federation_id,
            session_id: update.session_id,
            node_fingerprint: update.node_fingerprint,
            federated_epoch: update.federated_epoch,
            generation: update.generation,
            cycle: update.cycle,
            update_hash: update.update_hash,
        }
    }

    /// The associated data, always [`Self::BYTES`] long, numbers big-endian:
    ///
    /// ```text
    /// "prism1 sealed v1"[16] ‖ federation_id[32] ‖ session_id[32] ‖ node_fingerprint[32]
    ///     ‖ u64 epoch ‖ u64 generation ‖ u64 cycle ‖ update_hash[32]
    /// ```
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(TITLE);
        bytes[16..48].copy_from_slice(self.federation_id.as_bytes());
        bytes[48..80].copy_from_slice(self.session_id.as_bytes());
        bytes[80..112].copy_from_slice(self.node_fingerprint.as_bytes());
        bytes[112..120].copy_from_slice(&self.federated_epoch.get().to_be_bytes());
        bytes[120..128].copy_from_slice(&self.generation.get().to_be_bytes());
        bytes[128..136].copy_from_slice(&self.cycle.get().to_be_bytes());
        bytes[136..168].copy_from_slice(self.update_hash.as_bytes());
        bytes
    }
}
