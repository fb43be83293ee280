//! The MIPP envelope, version 1: who sends what to whom, in which session.

use serde::{Deserialize, Serialize};

use crate::codec::canonical;
use crate::counters::{FederatedEpoch, LaneSequence, LogicalTime};
use crate::ids::{LedgerBlockId, SessionId};
use crate::keys::{Identity, NodeFingerprint};
use crate::lane::Lane;
use crate::limits;
use crate::name::Name;
use crate::signing::{Domain, Signed, SignedBody};

/// What an envelope's payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayloadKind {
    /// Canonical bytes of a `Signed<MetaUpdate>`.
    MetaUpdate,
    /// Canonical bytes of a `Signed<Request>`.
    Request,
}

/// A message of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
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
    pub payload: Vec<u8>,
}

impl Envelope {
    /// The version this crate writes and reads.
    pub const VERSION: u8 = 1;
}

canonical! {
    Envelope => limits::ENVELOPE,
    Signed<Envelope> => limits::ENVELOPE,
}

impl SignedBody for Envelope {
    const DOMAIN: Domain = Domain::Envelope;
    type Role = Identity;
}
