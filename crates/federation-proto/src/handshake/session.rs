//! `SessionOpened`: the whole handshake, as the ledger keeps it.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::accept::FederationAccept;
use super::hello::FederationHello;
use super::negotiation::IncompatibilityReport;
use super::transport::{TransportError, TransportKind, TransportRecord, certificate_hash};
use crate::codec::canonical;
use crate::counters::FederatedEpoch;
use crate::digest::Digest;
use crate::ids::SessionId;
use crate::keys::{Identity, NodeFingerprint};
use crate::limits;
use crate::signing::{Domain, Endorsed, SignatureError, Signed, SignedBody};

/// What the node signs to take the session up: the channel with both its certificates, and the session id,
/// which is a hash of hello and accept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStatement {
    /// The session.
    pub session_id: SessionId,
    /// Who takes it up.
    pub node_fingerprint: NodeFingerprint,
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
    SessionStatement => limits::ACCEPT,
    Signed<SessionStatement> => limits::ACCEPT,
    SessionOpened => limits::HELLO + 2 * limits::ACCEPT,
}

impl SignedBody for SessionStatement {
    const DOMAIN: Domain = Domain::Session;
    type Role = Identity;
}

/// Why a handshake is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// The node is not in the roster.
    #[error("node {0} is not a participant of the roster")]
    UnknownNode(NodeFingerprint),
    /// A signature fails.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The two sides cannot work together.
    #[error(transparent)]
    Incompatible(#[from] IncompatibilityReport),
    /// The channel is not permitted.
    #[error(transparent)]
    Transport(#[from] TransportError),
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
    /// The accept does not say what follows from hello and rules.
    #[error("accept disagrees with what was negotiated in its {0}")]
    Accept(&'static str),
    /// Accepted in an epoch that has not come.
    #[error("accepted in epoch {got}, now is epoch {current}")]
    FutureEpoch {
        /// The current epoch.
        current: FederatedEpoch,
        /// The one named.
        got: FederatedEpoch,
    },
    /// Accepted too long ago: an accept is published at once, or not at all.
    #[error("accepted in epoch {got}, now is epoch {current}: greet again")]
    StaleAccept {
        /// The current epoch.
        current: FederatedEpoch,
        /// The one named.
        got: FederatedEpoch,
    },
    /// Accepted outside the standing mandate.
    #[error("accepted in epoch {got}, the mandate covers {first} to {last}")]
    Mandate {
        /// First epoch of the mandate.
        first: FederatedEpoch,
        /// Last epoch of the mandate.
        last: FederatedEpoch,
        /// The epoch.
        got: FederatedEpoch,
    },
    /// A channel of another kind than this federation uses.
    #[error("this federation admits no channel of kind {got:?}")]
    TransportKind {
        /// The kind.
        got: TransportKind,
    },
    /// The session has run out before it was published.
    #[error("session {session_id} ended with epoch {not_after}, now is epoch {current}")]
    Expired {
        /// The session.
        session_id: SessionId,
        /// Its last epoch.
        not_after: FederatedEpoch,
        /// The current epoch.
        current: FederatedEpoch,
    },
}

impl SessionOpened {
    /// Checks that hello, accept and statement belong together. It checks no signature and asks no roster:
    /// [`verify`](Self::verify) does.
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
        if accept.certificate_hashes[0] != certificate_hash(&hello.tls_public_key) {
            return Err(HandshakeError::Accept("node certificate"));
        }
        let channel = &statement.transport;
        let agreements = [
            ("session id", statement.session_id == accept.session_id),
            ("node fingerprint", statement.node_fingerprint == hello.node_fingerprint),
            ("certificate hashes", channel.certificate_hashes == accept.certificate_hashes),
            ("expiry", channel.not_after_epoch == accept.not_after_epoch),
        ];
        if let Some((what, _)) = agreements.iter().find(|(_, agrees)| !agrees) {
            return Err(HandshakeError::Statement(what));
        }
        Ok(channel.check()?)
    }
}
