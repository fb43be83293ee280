//! The MIPP envelope, version 1: who sends what to whom, in which session.
//!
//! An envelope is what authenticates a message end to end: transports and routers see it, and nobody but the
//! sender can make one. The receiver's order of checks is: size and form ([`Canonical`]), the roster's key for
//! `node_fingerprint` ([`Signed::verify`]), [`Envelope::check`], [`Envelope::check_route`], the session on the
//! ledger ([`Envelope::check_session`]), the replay window of its lane.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::codec::Canonical;
use crate::counters::{FederatedEpoch, LaneSequence, LogicalTime};
use crate::ids::{LedgerBlockId, SessionId};
use crate::keys::{Identity, NodeFingerprint};
use crate::lane::Lane;
use crate::limits;
use crate::name::Name;
use crate::signing::{Domain, Signed, SignedBody};

/// The group that every validator belongs to, as a target of envelopes. No member has this name.
pub const VALIDATORS: &str = "validators";

/// What an envelope's payload is: always the canonical bytes of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayloadKind {
    /// A `Signed<MetaUpdate>`.
    MetaUpdate,
    /// A `Signed<Request>`.
    Request,
    /// A `Signed<BlobReceipt>`.
    BlobReceipt,
    /// A `Signed<Heartbeat>`.
    Heartbeat,
    /// The digest of a blob that the sender lacks.
    BlobRequest,
    /// The exact stored bytes of a blob.
    Blob,
    /// A governor's endorsement of a governed entry.
    Approval,
    /// A range of the ledger that the sender lacks.
    LedgerRequest,
    /// Blocks with the certificates of their order.
    LedgerSegment,
}

impl PayloadKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::MetaUpdate,
        Self::Request,
        Self::BlobReceipt,
        Self::Heartbeat,
        Self::BlobRequest,
        Self::Blob,
        Self::Approval,
        Self::LedgerRequest,
        Self::LedgerSegment,
    ];

    /// Largest payload of this kind in bytes.
    pub const fn max_bytes(self) -> usize {
        match self {
            Self::MetaUpdate | Self::Blob => limits::META_UPDATE,
            Self::Request => limits::REQUEST,
            Self::BlobReceipt => limits::RECEIPT,
            Self::Heartbeat => limits::HEARTBEAT,
            Self::BlobRequest | Self::LedgerRequest => limits::QUERY,
            Self::Approval => limits::APPROVAL,
            Self::LedgerSegment => limits::SEGMENT,
        }
    }

    /// Largest payload of this kind in a lane: a frame of the lane must hold it with its header.
    pub const fn max_bytes_in(self, lane: Lane) -> usize {
        let room = lane.max_frame() - limits::ENVELOPE_HEADER;
        if room < self.max_bytes() { room } else { self.max_bytes() }
    }

    /// Whether this kind may travel in a lane. A bulk transfer must never hold up a vote or a heartbeat.
    pub const fn travels_in(self, lane: Lane) -> bool {
        match self {
            Self::MetaUpdate | Self::BlobReceipt => matches!(lane, Lane::Update),
            Self::Request => matches!(lane, Lane::Control | Lane::Update | Lane::Governance),
            Self::Heartbeat => matches!(lane, Lane::Control),
            Self::Approval => matches!(lane, Lane::Governance),
            Self::BlobRequest | Self::Blob | Self::LedgerRequest | Self::LedgerSegment => {
                matches!(lane, Lane::Bulk)
            }
        }
    }
}

/// A message of a session. `P` holds the payload's bytes: owned, or borrowed from the bytes received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(
    serialize = "P: serde_bytes::Serialize",
    deserialize = "P: serde_bytes::Deserialize<'de>"
))]
pub struct Envelope<P = Vec<u8>> {
    /// Format version, 1.
    pub version: u8,
    /// Name of the sender.
    pub origin: Name,
    /// Name of the receiver, or of the group `validators`.
    pub target: Name,
    /// What the payload is.
    pub kind: PayloadKind,
    /// Lane within the session.
    pub lane: Lane,
    /// Position within the lane.
    pub sequence: LaneSequence,
    /// Highest position received in the other direction.
    pub ack: LaneSequence,
    /// The sender's clock. It informs; no decision rests on it.
    pub timestamp: LogicalTime,
    /// The epoch the sender is in.
    pub federated_epoch: FederatedEpoch,
    /// The sender's identity.
    pub node_fingerprint: NodeFingerprint,
    /// The session.
    pub session_id: SessionId,
    /// The block that opened it.
    pub ledger_block_id: LedgerBlockId,
    /// The content.
    #[serde(with = "serde_bytes")]
    pub payload: P,
}

/// An envelope whose payload is borrowed from the bytes received: reading it allocates nothing.
pub type EnvelopeRef<'a> = Envelope<&'a [u8]>;

/// The session as the receiver's ledger knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionPosition {
    /// The node's open session.
    pub session_id: SessionId,
    /// The block that opened it.
    pub ledger_block_id: LedgerBlockId,
    /// Last epoch it is good for.
    pub not_after_epoch: FederatedEpoch,
}

/// Why a genuine envelope is refused all the same.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EnvelopeError {
    /// Written by other software.
    #[error("envelope version {got}, this node reads {}", Envelope::VERSION)]
    Version {
        /// Its version.
        got: u8,
    },
    /// More bytes than the kind allows.
    #[error("payload of kind {kind:?} has {length} bytes, the limit is {limit}")]
    PayloadTooLarge {
        /// Kind of the payload.
        kind: PayloadKind,
        /// Its length.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// This kind does not travel in this lane.
    #[error("payload of kind {kind:?} does not travel in lane {lane:?}")]
    WrongLane {
        /// Kind of the payload.
        kind: PayloadKind,
        /// The lane it came in.
        lane: Lane,
    },
    /// Its origin is not the name of the node that signed it.
    #[error("envelope says it is from {got}, its signer is {expected}")]
    WrongOrigin {
        /// Name of the signer in the roster.
        expected: Name,
        /// The one stated.
        got: Name,
    },
    /// It was sent to somebody else: whoever brought it here cannot make it count.
    #[error("envelope is for {0}")]
    NotForUs(Name),
    /// Sent in another session than the sender's open one.
    #[error("envelope of session {got}, the sender's open session is {expected}")]
    OtherSession {
        /// The open session.
        expected: SessionId,
        /// The one named.
        got: SessionId,
    },
    /// Names another block than the one that opened the session.
    #[error("envelope names ledger block {got}, its session was opened by {expected}")]
    OtherBlock {
        /// The block that opened the session.
        expected: LedgerBlockId,
        /// The one named.
        got: LedgerBlockId,
    },
    /// The session has run out.
    #[error("session ended with epoch {not_after}, now is epoch {current}")]
    SessionExpired {
        /// Last epoch of the session.
        not_after: FederatedEpoch,
        /// The receiver's epoch.
        current: FederatedEpoch,
    },
    /// Sent in an epoch that the receiver has not reached.
    #[error("envelope of epoch {got}, now is epoch {current}")]
    FutureEpoch {
        /// The receiver's epoch.
        current: FederatedEpoch,
        /// The one named.
        got: FederatedEpoch,
    },
}

impl Envelope {
    /// The version this crate writes and reads.
    pub const VERSION: u8 = 1;
}

impl<P: AsRef<[u8]>> Envelope<P> {
    /// Checks what needs no ledger: version, size limit of the kind, lane of the kind.
    pub fn check(&self) -> Result<(), EnvelopeError> {
        let (kind, lane) = (self.kind, self.lane);
        if self.version != Envelope::VERSION {
            return Err(EnvelopeError::Version { got: self.version });
        }
        let (length, limit) = (self.payload.as_ref().len(), kind.max_bytes_in(lane));
        if length > limit {
            return Err(EnvelopeError::PayloadTooLarge { kind, length, limit });
        }
        if !kind.travels_in(lane) {
            return Err(EnvelopeError::WrongLane { kind, lane });
        }
        Ok(())
    }

    /// Checks from whom and to whom: `signer` is the roster's name of the key that signed it, `receivers` are the
    /// receiver's own name and its groups. Positions count in a session's lane over all receivers.
    pub fn check_route(&self, signer: &Name, receivers: &[&str]) -> Result<(), EnvelopeError> {
        if self.origin != *signer {
            let (expected, got) = (signer.clone(), self.origin.clone());
            return Err(EnvelopeError::WrongOrigin { expected, got });
        }
        if !receivers.contains(&self.target.as_str()) {
            return Err(EnvelopeError::NotForUs(self.target.clone()));
        }
        Ok(())
    }

    /// Checks the envelope against the sender's open session and the receiver's epoch.
    pub fn check_session(
        &self,
        session: &SessionPosition,
        current: FederatedEpoch,
    ) -> Result<(), EnvelopeError> {
        let (expected, got) = (session.session_id, self.session_id);
        if got != expected {
            return Err(EnvelopeError::OtherSession { expected, got });
        }
        let (expected, got) = (session.ledger_block_id, self.ledger_block_id);
        if got != expected {
            return Err(EnvelopeError::OtherBlock { expected, got });
        }
        let not_after = session.not_after_epoch;
        if current > not_after {
            return Err(EnvelopeError::SessionExpired { not_after, current });
        }
        if self.federated_epoch > current {
            return Err(EnvelopeError::FutureEpoch { current, got: self.federated_epoch });
        }
        Ok(())
    }
}

impl<P: serde_bytes::Serialize> Canonical for Envelope<P> {
    const NAME: &'static str = "Envelope";
    const MAX_BYTES: usize = limits::ENVELOPE;
}

impl<P: serde_bytes::Serialize> Canonical for Signed<Envelope<P>> {
    const NAME: &'static str = "Signed<Envelope>";
    const MAX_BYTES: usize = limits::ENVELOPE;
}

impl<P: serde_bytes::Serialize> SignedBody for Envelope<P> {
    const DOMAIN: Domain = Domain::Envelope;
    type Role = Identity;
}
