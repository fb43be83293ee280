//! What may follow a session's opening: it moves to another channel, or it ends.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::transport::{TransportError, TransportKind, TransportRecord, certificate_hash};
use crate::codec::canonical;
use crate::counters::FederatedEpoch;
use crate::digest::Digest;
use crate::ids::SessionId;
use crate::keys::{Identity, NodeFingerprint, PublicKey, Transport};
use crate::limits;
use crate::signing::{Domain, Signed, SignedBody};

/// A node goes on with its session over another channel: after a reconnection with rotated certificates, say.
/// Published on the ledger, so that the audit knows every channel a session used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionResumption {
    /// The session.
    pub session_id: SessionId,
    /// Whose it is.
    pub node_fingerprint: NodeFingerprint,
    /// The epoch of the move.
    pub federated_epoch: FederatedEpoch,
    /// Counts the session's moves from 1, strictly: an old resumption cannot bring an old channel back.
    pub number: u32,
    /// Key of the new transport certificate.
    pub tls_public_key: PublicKey<Transport>,
    /// The new channel.
    pub transport: TransportRecord,
}

/// A node leaves its session, or governance ends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionClosed {
    /// The session.
    pub session_id: SessionId,
    /// Whose it is.
    pub node_fingerprint: NodeFingerprint,
    /// The epoch in which it ends. From this entry on nothing of the session counts.
    pub federated_epoch: FederatedEpoch,
    /// Why.
    pub reason: SessionEnd,
}

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEnd {
    /// The node leaves.
    Left,
    /// A later session of the same node takes its place.
    Replaced,
    /// The key it was opened with is revoked.
    KeyRevoked,
    /// The node is quarantined.
    Quarantined,
}

canonical! {
    SessionResumption => limits::RECEIPT,
    Signed<SessionResumption> => limits::RECEIPT,
    SessionClosed => limits::RECEIPT,
}

impl SignedBody for SessionResumption {
    const DOMAIN: Domain = Domain::Resumption;
    type Role = Identity;
}

/// An open session as the ledger knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionTerms {
    /// The session.
    pub session_id: SessionId,
    /// Whose it is.
    pub node_fingerprint: NodeFingerprint,
    /// Its last epoch.
    pub not_after_epoch: FederatedEpoch,
    /// Moves so far.
    pub resumptions: u32,
    /// Kind of its present channel.
    pub transport: TransportKind,
    /// The federation's certificate, the same for the whole session.
    pub federation_certificate: Digest,
}

/// Why a resumption is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ResumptionError {
    /// It is for another session.
    #[error("resumption of session {got}, the open one is {expected}")]
    OtherSession {
        /// The open session.
        expected: SessionId,
        /// The one named.
        got: SessionId,
    },
    /// It is another node's session.
    #[error("resumption by {got}, the session is of {expected}")]
    OtherNode {
        /// The session's node.
        expected: NodeFingerprint,
        /// The one named.
        got: NodeFingerprint,
    },
    /// It does not follow the last one.
    #[error("resumption number {got}, next is {expected}")]
    Number {
        /// The next number.
        expected: u32,
        /// The one named.
        got: u32,
    },
    /// It was signed in another epoch.
    #[error("resumption of epoch {got}, now is epoch {current}")]
    Epoch {
        /// The current epoch.
        current: FederatedEpoch,
        /// The one named.
        got: FederatedEpoch,
    },
    /// The session has run out: it takes a new handshake.
    #[error(
        "session ended with epoch {not_after}, now is epoch {current}: a new handshake is needed"
    )]
    Expired {
        /// The session's last epoch.
        not_after: FederatedEpoch,
        /// The current epoch.
        current: FederatedEpoch,
    },
    /// The new channel would outlive the session.
    #[error("channel is good until epoch {got}, its session only until {not_after}")]
    ChannelOutlivesSession {
        /// The session's last epoch.
        not_after: FederatedEpoch,
        /// The channel's.
        got: FederatedEpoch,
    },
    /// The new channel is over already.
    #[error("channel was good until epoch {got}, now is epoch {current}")]
    ChannelExpired {
        /// The current epoch.
        current: FederatedEpoch,
        /// The channel's last epoch.
        got: FederatedEpoch,
    },
    /// The record names another certificate than the channel has.
    #[error("resumption names certificate {got} for {end}, the session has {expected}")]
    OtherCertificate {
        /// Which end.
        end: &'static str,
        /// The right one.
        expected: Digest,
        /// The one named.
        got: Digest,
    },
    /// The new channel is weaker than the present one.
    #[error("channel {got:?} is weaker than the session's present {present:?}")]
    Downgrade {
        /// The present kind.
        present: TransportKind,
        /// The new kind.
        got: TransportKind,
    },
    /// The channel is not permitted.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

impl SessionTerms {
    /// Checks a resumption, whose signature the caller has verified, and returns the terms that it leaves.
    pub fn resume(
        &self,
        resumption: &SessionResumption,
        current: FederatedEpoch,
    ) -> Result<Self, ResumptionError> {
        let (expected, got) = (self.session_id, resumption.session_id);
        if got != expected {
            return Err(ResumptionError::OtherSession { expected, got });
        }
        let (expected, got) = (self.node_fingerprint, resumption.node_fingerprint);
        if got != expected {
            return Err(ResumptionError::OtherNode { expected, got });
        }
        let (expected, got) = (self.resumptions.saturating_add(1), resumption.number);
        if got != expected || got == self.resumptions {
            return Err(ResumptionError::Number { expected, got });
        }
        if resumption.federated_epoch.get().abs_diff(current.get()) > 1 {
            return Err(ResumptionError::Epoch { current, got: resumption.federated_epoch });
        }
        let not_after = self.not_after_epoch;
        if current > not_after {
            return Err(ResumptionError::Expired { not_after, current });
        }
        let channel = &resumption.transport;
        if channel.not_after_epoch > not_after {
            let got = channel.not_after_epoch;
            return Err(ResumptionError::ChannelOutlivesSession { not_after, got });
        }
        if channel.not_after_epoch < current {
            let got = channel.not_after_epoch;
            return Err(ResumptionError::ChannelExpired { current, got });
        }
        let certificates =
            [certificate_hash(&resumption.tls_public_key), self.federation_certificate];
        let ends = ["the node", "the federation"];
        for ((end, expected), got) in
            ends.into_iter().zip(certificates).zip(channel.certificate_hashes)
        {
            if got != expected {
                return Err(ResumptionError::OtherCertificate { end, expected, got });
            }
        }
        if channel.kind < self.transport {
            return Err(ResumptionError::Downgrade { present: self.transport, got: channel.kind });
        }
        channel.check()?;
        Ok(Self { resumptions: resumption.number, transport: channel.kind, ..*self })
    }
}
