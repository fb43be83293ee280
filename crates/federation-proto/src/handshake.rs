//! Joining: hello, accept, session.
//!
//! ```text
//! site ── FederationHello (signed) ──────────▶ admission desk
//! site ◀─ FederationAccept (m of n keys) ───── admission desk
//! site ── SessionOpened (all of it, signed) ─▶ ledger; its block is the site's `ledger_block_id`
//! ```
//!
//! The session id is a hash of everything both sides said, so a recorded handshake opens no other session.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::codec::{Canonical, canonical};
use crate::counters::FederatedEpoch;
use crate::digest::{Digest, HashDomain};
use crate::ids::{FederationId, SessionId};
use crate::keys::{Admission, Identity, NodeFingerprint, PublicKey, Transport};
use crate::limits;
use crate::name::Name;
use crate::signing::{Domain, Endorsed, Signed, SignedBody};

/// A software version; compatible when the major number is equal (and, before 1.0, the minor one too).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SoftwareVersion {
    /// Incompatible changes.
    pub major: u16,
    /// Compatible additions.
    pub minor: u16,
    /// Fixes.
    pub patch: u16,
}

impl SoftwareVersion {
    /// The version this crate was built as.
    pub const CURRENT: Self = Self { major: 0, minor: 1, patch: 0 };

    /// Semantic-versioning compatibility [semver.org 2.0.0 §4, §8].
    pub const fn is_compatible_with(&self, other: &Self) -> bool {
        self.major == other.major && (self.major > 0 || self.minor == other.minor)
    }
}

/// Evidence about the machine a node runs on, opaque here. Quotes come with the attestation work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attestation {
    /// None offered.
    None,
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
    /// What it can do, sorted, without repetition.
    pub supported_capabilities: Vec<Name>,
    /// Key of its transport certificate.
    pub tls_public_key: PublicKey<Transport>,
    /// The committee it believes in.
    pub validator_set_hash: Digest,
    /// Blocks it already holds.
    pub ledger_size: u64,
    /// Fresh bytes, never repeated.
    pub nonce: [u8; 32],
    /// Evidence about its machine.
    pub attestation: Attestation,
}

/// Governance admits a node. Signed by `admission` keys, m of n.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FederationAccept {
    /// The session this opens.
    pub session_id: SessionId,
    /// The epoch in which it was admitted.
    pub epoch: FederatedEpoch,
    /// The policy it must follow.
    pub policy_hash: Digest,
    /// The hello that is answered.
    pub hello_hash: Digest,
    /// Capabilities both sides have, sorted.
    pub capabilities: Vec<Name>,
    /// Last epoch of the session.
    pub not_after_epoch: FederatedEpoch,
    /// Hashes of both transport certificates: the node's, the federation's.
    pub certificate_hashes: [Digest; 2],
}

/// The terms of an accept: all of it but the session id that is derived from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptTerms {
    /// The epoch in which the node is admitted.
    pub epoch: FederatedEpoch,
    /// The policy it must follow.
    pub policy_hash: Digest,
    /// Capabilities both sides have, sorted.
    pub capabilities: Vec<Name>,
    /// Last epoch of the session.
    pub not_after_epoch: FederatedEpoch,
    /// Hashes of both transport certificates.
    pub certificate_hashes: [Digest; 2],
}

impl FederationHello {
    /// The digest an accept names.
    pub fn hash(&self) -> Digest {
        Digest::of(HashDomain::Hello, &self.to_canonical())
    }
}

impl FederationAccept {
    /// Answers a hello under given terms.
    pub fn answer(hello: &FederationHello, terms: AcceptTerms) -> Self {
        let hello_hash = hello.hash();
        let AcceptTerms { epoch, policy_hash, capabilities, not_after_epoch, certificate_hashes } =
            terms;
        let mut accept = Self {
            session_id: SessionId::new(Digest::ZERO),
            epoch,
            policy_hash,
            hello_hash,
            capabilities,
            not_after_epoch,
            certificate_hashes,
        };
        accept.session_id = accept.derive_session_id(hello);
        accept
    }

    /// session_id = H(hello ‖ accept without its session id ‖ certificate hashes).
    fn derive_session_id(&self, hello: &FederationHello) -> SessionId {
        let unnamed = Self { session_id: SessionId::new(Digest::ZERO), ..self.clone() };
        let [node, federation] = &self.certificate_hashes;
        let parts: [&[u8]; 4] = [
            &hello.to_canonical(),
            &unnamed.to_canonical(),
            node.as_bytes(),
            federation.as_bytes(),
        ];
        SessionId::new(Digest::of_parts(HashDomain::Session, &parts))
    }
}

/// How the session's channel was secured, for the audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransportRecord {
    /// No network: both ends live in one simulated world.
    InProcess,
    /// QUIC with mutual TLS.
    Quic {
        /// TLS protocol version, 0x0304 for 1.3.
        tls_version: u16,
        /// TLS cipher suite number.
        cipher_suite: u16,
    },
}

/// What the node signs to take the session up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStatement {
    /// The session.
    pub session_id: SessionId,
    /// Who takes it up.
    pub node_fingerprint: NodeFingerprint,
    /// Certificate of the node's end.
    pub certificate_hash: Digest,
    /// Last epoch of the session.
    pub not_after_epoch: FederatedEpoch,
    /// The channel.
    pub transport: TransportRecord,
}

/// The whole handshake, as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOpened {
    /// The node's hello.
    pub hello: Signed<FederationHello>,
    /// Governance's accept.
    pub accept: Endorsed<FederationAccept>,
    /// The node's session signature.
    pub statement: Signed<SessionStatement>,
}

canonical! {
    FederationHello => limits::HELLO,
    Signed<FederationHello> => limits::HELLO,
    FederationAccept => limits::ACCEPT,
    Endorsed<FederationAccept> => limits::ACCEPT,
    SessionStatement => limits::ACCEPT,
}

impl SignedBody for FederationHello {
    const DOMAIN: Domain = Domain::Hello;
    type Role = Identity;
}
impl SignedBody for FederationAccept {
    const DOMAIN: Domain = Domain::Accept;
    type Role = Admission;
}
impl SignedBody for SessionStatement {
    const DOMAIN: Domain = Domain::Session;
    type Role = Identity;
}

/// Why a handshake does not fit together. Signatures are the caller's: it knows the keys.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// The hello names another federation.
    #[error("hello is for federation {got}, this is {expected}")]
    Federation {
        /// This federation.
        expected: FederationId,
        /// The one named.
        got: FederationId,
    },
    /// The node believes in another committee.
    #[error("hello names validator set {got}, this is {expected}")]
    ValidatorSet {
        /// This committee.
        expected: Digest,
        /// The one named.
        got: Digest,
    },
    /// The software versions cannot work together.
    #[error("node runs {got:?}, which is incompatible with {expected:?}")]
    Version {
        /// Our version.
        expected: SoftwareVersion,
        /// Its version.
        got: SoftwareVersion,
    },
    /// Capabilities are not sorted or repeat.
    #[error("capabilities are not in strictly increasing order")]
    CapabilityOrder,
    /// A capability the federation requires is missing.
    #[error("required capability {0} is not offered")]
    MissingCapability(Name),
    /// The accept answers another hello.
    #[error("accept answers hello {got}, this one is {expected}")]
    OtherHello {
        /// Digest of this hello.
        expected: Digest,
        /// Digest that the accept names.
        got: Digest,
    },
    /// The session id is not derived from what was said.
    #[error("session id {got} is not the hash {expected} of hello, accept and certificates")]
    SessionId {
        /// Derived id.
        expected: SessionId,
        /// Stated id.
        got: SessionId,
    },
    /// The node's statement differs from what governance accepted.
    #[error("session statement disagrees with the accept in its {0}")]
    Statement(&'static str),
    /// The accepted capabilities are not what both sides offer.
    #[error("accepted capabilities are not among those the node offered")]
    CapabilityDowngrade,
}

/// What a federation demands of a hello.
#[derive(Clone, Debug)]
pub struct Requirements<'a> {
    /// This federation.
    pub federation_id: FederationId,
    /// Its committee.
    pub validator_set_hash: Digest,
    /// Capabilities without which nobody joins, sorted.
    pub capabilities: &'a [Name],
}

impl Requirements<'_> {
    /// Checks a hello's content and negotiates: all of what is required, which the node must offer.
    pub fn negotiate(&self, hello: &FederationHello) -> Result<Vec<Name>, HandshakeError> {
        if hello.federation_id != self.federation_id {
            return Err(HandshakeError::Federation {
                expected: self.federation_id,
                got: hello.federation_id,
            });
        }
        if hello.validator_set_hash != self.validator_set_hash {
            return Err(HandshakeError::ValidatorSet {
                expected: self.validator_set_hash,
                got: hello.validator_set_hash,
            });
        }
        let (expected, got) = (SoftwareVersion::CURRENT, hello.software_version);
        if !expected.is_compatible_with(&got) {
            return Err(HandshakeError::Version { expected, got });
        }
        let offered = &hello.supported_capabilities;
        if !offered.is_sorted_by(|a, b| a < b) {
            return Err(HandshakeError::CapabilityOrder);
        }
        match self.capabilities.iter().find(|needed| !offered.contains(needed)) {
            Some(missing) => Err(HandshakeError::MissingCapability(missing.clone())),
            None => Ok(self.capabilities.to_vec()),
        }
    }
}

impl SessionOpened {
    /// Checks that hello, accept and statement belong together. Signatures are checked by the caller.
    pub fn check_binding(&self) -> Result<(), HandshakeError> {
        let (hello, accept) = (self.hello.claimed(), self.accept.claimed());
        let statement = self.statement.claimed();
        let expected = hello.hash();
        if accept.hello_hash != expected {
            return Err(HandshakeError::OtherHello { expected, got: accept.hello_hash });
        }
        let derived = accept.derive_session_id(hello);
        if accept.session_id != derived {
            return Err(HandshakeError::SessionId { expected: derived, got: accept.session_id });
        }
        if !accept.capabilities.iter().all(|taken| hello.supported_capabilities.contains(taken)) {
            return Err(HandshakeError::CapabilityDowngrade);
        }
        let agreements = [
            ("session id", statement.session_id == accept.session_id),
            ("node fingerprint", statement.node_fingerprint == hello.node_fingerprint),
            ("certificate hash", statement.certificate_hash == accept.certificate_hashes[0]),
            (
                "certificate key",
                accept.certificate_hashes[0] == certificate_hash(&hello.tls_public_key),
            ),
            ("expiry", statement.not_after_epoch == accept.not_after_epoch),
        ];
        match agreements.iter().find(|(_, agrees)| !agrees) {
            Some((what, _)) => Err(HandshakeError::Statement(what)),
            None => Ok(()),
        }
    }
}

/// The hash that stands for a transport certificate: of its key, since certificates rotate around it.
pub fn certificate_hash(key: &PublicKey<Transport>) -> Digest {
    Digest::of(HashDomain::TransportCertificate, key.as_bytes())
}
