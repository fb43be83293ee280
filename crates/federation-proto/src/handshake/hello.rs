//! `FederationHello`: a node asks to join.

use serde::{Deserialize, Serialize};

use super::attestation::Attestation;
use super::version::{Capability, SoftwareVersion, WireVersions};
use crate::bounded;
use crate::codec::{Canonical, canonical};
use crate::counters::FederatedEpoch;
use crate::digest::{Digest, HashDomain};
use crate::ids::{FederationId, SessionId};
use crate::keys::{Identity, NodeFingerprint, PublicKey, Transport};
use crate::limits;
use crate::signing::{Domain, Signed, SignedBody};

/// Ties the handshake to the channel it runs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChannelBinding {
    /// The channel has no exporter (in process, or Zenoh): the certificate keys bind it instead.
    None,
    /// Keying material exported from TLS 1.3 [RFC 9266 §2, `tls-exporter`].
    TlsExporter([u8; 32]),
}

/// A node asks to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FederationHello {
    /// The federation it wants to join.
    pub federation_id: FederationId,
    /// Who it is.
    pub node_fingerprint: NodeFingerprint,
    /// What it runs.
    pub software_version: SoftwareVersion,
    /// Wire formats it reads and writes.
    pub wire_versions: WireVersions,
    /// What it can do, in strictly increasing order of names.
    #[serde(deserialize_with = "bounded::list::<_, _, { limits::CAPABILITIES }>")]
    pub supported_capabilities: Vec<Capability>,
    /// The epoch it believes the federation is in. A hello is answered only around that epoch.
    pub federated_epoch: FederatedEpoch,
    /// The node's last session on the ledger, zeros before its first. The ledger opens a session only after the
    /// one it names, so a handshake that somebody withheld opens nothing once another was opened.
    pub previous_session: SessionId,
    /// Key of its transport certificate.
    pub tls_public_key: PublicKey<Transport>,
    /// The channel it speaks in.
    pub channel_binding: ChannelBinding,
    /// The committee it believes in.
    pub validator_set_hash: Digest,
    /// Blocks it already holds.
    pub ledger_size: u64,
    /// Fresh bytes, never repeated.
    pub nonce: [u8; 32],
    /// Evidence about its machine.
    pub attestation: Attestation,
}

canonical! {
    FederationHello => limits::HELLO,
    Signed<FederationHello> => limits::HELLO,
}

impl SignedBody for FederationHello {
    const DOMAIN: Domain = Domain::Hello;
    type Role = Identity;
}

impl FederationHello {
    /// The digest an accept names.
    pub fn hash(&self) -> Digest {
        Digest::of(HashDomain::Hello, &self.to_canonical())
    }

    /// What a quote about this node must contain in its report data: the digest of the hello without its
    /// evidence. So a quote is good for these keys, this epoch and this nonce only. How fresh it is beyond the
    /// epoch, its verifier must judge by what the quote itself says.
    pub fn attestation_binding(&self) -> Digest {
        let bare = Self { attestation: Attestation::None, ..self.clone() };
        Digest::of(HashDomain::AttestationBinding, &bare.to_canonical())
    }
}
