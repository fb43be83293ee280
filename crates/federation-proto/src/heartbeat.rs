//! Heartbeats: a node says that it lives, and which ledger it holds.
//!
//! A heartbeat is no ledger entry. It is signed all the same, so that two of them that contradict each other
//! prove to anybody that their author tells different stories.

use serde::{Deserialize, Serialize};

use crate::codec::canonical;
use crate::counters::{FederatedEpoch, LogicalTime};
use crate::digest::Digest;
use crate::keys::{Identity, NodeFingerprint};
use crate::limits;
use crate::signing::{Domain, Signed, SignedBody};

/// A ledger in 40 bytes: how many blocks it has, and their RFC 6962 root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerSummary {
    /// Blocks.
    pub size: u64,
    /// Root of the history tree over them [RFC 6962 §2.1].
    pub root: Digest,
}

/// A node says that it lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Who.
    pub node_fingerprint: NodeFingerprint,
    /// The epoch it is in.
    pub federated_epoch: FederatedEpoch,
    /// Counts its heartbeats, strictly, so that an old one cannot be replayed as a sign of life.
    pub number: u64,
    /// Its clock. It informs; no decision rests on it.
    pub timestamp: LogicalTime,
    /// The ledger it holds.
    pub ledger: LedgerSummary,
    /// The meta state after exactly the blocks of `ledger`: whoever samples the two at different moments
    /// contradicts itself.
    pub state_hash: Digest,
}

canonical! {
    Heartbeat => limits::HEARTBEAT,
    Signed<Heartbeat> => limits::HEARTBEAT,
}

impl SignedBody for Heartbeat {
    const DOMAIN: Domain = Domain::Heartbeat;
    type Role = Identity;
}

impl Heartbeat {
    /// Whether the two cannot both be true: one node, one ledger size, two roots or two states after them.
    /// Another size proves nothing by itself: who is behind or ahead does not diverge.
    pub fn contradicts(&self, other: &Self) -> bool {
        self.node_fingerprint == other.node_fingerprint
            && self.ledger.size == other.ledger.size
            && (self.ledger.root, self.state_hash) != (other.ledger.root, other.state_hash)
    }
}
