//! Why a node does not go on with its handshake.

use thiserror::Error;

use crate::counters::FederatedEpoch;
use crate::digest::Digest;
use crate::handshake::resumption::ResumptionError;
use crate::handshake::transport::TransportError;
use crate::ids::SessionId;
use crate::signing::SignatureError;

/// Why a message of the handshake does not come at this time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PhaseError {
    /// The handshake is in another phase.
    #[error("{input} while {phase}")]
    Unexpected {
        /// What came.
        input: &'static str,
        /// The phase.
        phase: &'static str,
    },
    /// The resumption is not possible.
    #[error(transparent)]
    Resumption(#[from] ResumptionError),
}

/// Why a node does not count an accept.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AcceptRefusal {
    /// It comes at another time.
    #[error(transparent)]
    Phase(#[from] PhaseError),
    /// The endorsement fails.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It answers another hello: an earlier one of this node, or another node's.
    #[error("accept answers hello {got}, this node's is {expected}")]
    OtherHello {
        /// This node's hello.
        expected: Digest,
        /// The one named.
        got: Digest,
    },
    /// Its session id is not derived from what was said.
    #[error("session id {got} is not the hash {expected} of hello, accept and certificates")]
    SessionId {
        /// Derived id.
        expected: SessionId,
        /// Stated id.
        got: SessionId,
    },
    /// It takes less than the node insists on, or more than it offered.
    #[error("downgrade: the accept's {what} is not what this node offered and demands")]
    Downgrade {
        /// Which field.
        what: &'static str,
    },
    /// It names another channel than the one the node speaks in.
    #[error("accept names certificate {got} for {end}, the channel has {expected}")]
    OtherChannel {
        /// Which end.
        end: &'static str,
        /// The channel's certificate.
        expected: Digest,
        /// The one named.
        got: Digest,
    },
    /// It admits under another policy.
    #[error("accept under policy {got}, this node follows {expected}")]
    Policy {
        /// The node's policy.
        expected: Digest,
        /// The one named.
        got: Digest,
    },
    /// It is of an epoch far from the hello's, or its session is over before it begins.
    #[error("accept of epoch {got} until {not_after}, hello was of epoch {said}")]
    Epoch {
        /// Epoch of the hello.
        said: FederatedEpoch,
        /// Epoch of the accept.
        got: FederatedEpoch,
        /// Last epoch of the session.
        not_after: FederatedEpoch,
    },
    /// The channel is not permitted.
    #[error(transparent)]
    Transport(#[from] TransportError),
}
