//! `FederationAccept`: governance admits a node.

use serde::{Deserialize, Serialize};

use super::attestation::AttestationLevel;
use super::hello::FederationHello;
use super::negotiation::Negotiated;
use super::version::Capability;
use crate::bounded;
use crate::codec::{Canonical, canonical};
use crate::counters::FederatedEpoch;
use crate::digest::{Digest, HashDomain};
use crate::ids::SessionId;
use crate::keys::Admission;
use crate::limits;
use crate::signing::{Domain, Endorsed, SignedBody};

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
    /// The wire format of the session.
    pub wire_version: u8,
    /// Capabilities of the session, in strictly increasing order of names.
    #[serde(deserialize_with = "bounded::list::<_, _, { limits::CAPABILITIES }>")]
    pub capabilities: Vec<Capability>,
    /// What governance found proven about the node's machine.
    pub attested: AttestationLevel,
    /// Last epoch of the session.
    pub not_after_epoch: FederatedEpoch,
    /// Hashes of both transport certificates: the node's, the federation's.
    pub certificate_hashes: [Digest; 2],
}

/// The terms of an accept: all of it but what follows from the hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptTerms {
    /// The epoch in which the node is admitted.
    pub epoch: FederatedEpoch,
    /// The policy it must follow.
    pub policy_hash: Digest,
    /// What both sides can do.
    pub negotiated: Negotiated,
    /// Last epoch of the session.
    pub not_after_epoch: FederatedEpoch,
    /// Hashes of both transport certificates: the node's, the federation's.
    pub certificate_hashes: [Digest; 2],
}

canonical! {
    FederationAccept => limits::ACCEPT,
    Endorsed<FederationAccept> => limits::ACCEPT,
}

impl SignedBody for FederationAccept {
    const DOMAIN: Domain = Domain::Accept;
    type Role = Admission;
}

impl FederationAccept {
    /// Answers a hello under given terms.
    pub fn answer(hello: &FederationHello, terms: AcceptTerms) -> Self {
        let AcceptTerms { epoch, policy_hash, negotiated, not_after_epoch, certificate_hashes } =
            terms;
        let Negotiated { wire_version, capabilities, attested } = negotiated;
        let mut accept = Self {
            session_id: SessionId::new(Digest::ZERO),
            epoch,
            policy_hash,
            hello_hash: hello.hash(),
            wire_version,
            capabilities,
            attested,
            not_after_epoch,
            certificate_hashes,
        };
        accept.session_id = accept.derive_session_id(hello);
        accept
    }

    /// session_id = H(hello ‖ accept without its session id ‖ certificate hashes).
    pub(super) fn derive_session_id(&self, hello: &FederationHello) -> SessionId {
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

    /// What was negotiated.
    pub fn negotiated(&self) -> Negotiated {
        Negotiated {
            wire_version: self.wire_version,
            capabilities: self.capabilities.clone(),
            attested: self.attested,
        }
    }
}
