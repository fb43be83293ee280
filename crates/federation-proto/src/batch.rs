//! Requests and batches: what PBFT orders.

use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::codec::{Canonical, canonical};
use crate::counters::{LaneSequence, LogicalTime, SequenceNumber};
use crate::digest::{Digest, HashDomain};
use crate::entry::LedgerEntry;
use crate::ids::SessionId;
use crate::keys::{Identity, NodeFingerprint};
use crate::lane::Lane;
use crate::limits;
use crate::signing::{Domain, Signed, SignedBody, SigningContext};

/// A client's request in the sense of PBFT: a ledger entry signed by its author.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Who asks.
    pub node_fingerprint: NodeFingerprint,
    /// Its session (the one being opened, for a `SessionOpened`).
    pub session_id: SessionId,
    /// Lane within the session.
    pub lane: Lane,
    /// Position within the lane; executed exactly once.
    pub sequence: LaneSequence,
    /// What is to be ordered.
    pub entry: LedgerEntry,
}

/// One item of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BatchItem {
    /// Asked for by a client.
    Request(Signed<Request>),
    /// Derived by the validators from what is already ordered. It has no author: the votes are its signature.
    Derived(LedgerEntry),
}

/// What one sequence number orders. An empty batch is a null request: it advances the sequence without a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The primary's clock at proposal, above the parent block's; every expiry is judged by it.
    pub batch_time: LogicalTime,
    /// What is ordered, in this order.
    #[serde(deserialize_with = "bounded::list::<_, _, { limits::BATCH_ITEMS }>")]
    pub items: Vec<BatchItem>,
}

canonical! {
    Request => limits::ENTRY,
    Signed<Request> => limits::ENTRY,
    BatchItem => limits::ENTRY,
    Batch => limits::BATCH,
}

impl SignedBody for Request {
    const DOMAIN: Domain = Domain::Request;
    type Role = Identity;
}

impl BatchItem {
    /// The ledger entry of the item; a request's signature is not checked here.
    pub fn entry(&self) -> &LedgerEntry {
        match self {
            Self::Request(request) => &request.claimed().entry,
            Self::Derived(entry) => entry,
        }
    }
}

impl Batch {
    /// The digest that is voted on: H(federation, configuration, sequence, batch). It holds no parent, state
    /// or view, so a batch keeps its digest across views and pipelining needs no results.
    pub fn digest(&self, context: &SigningContext, sequence: SequenceNumber) -> Digest {
        let parts: [&[u8]; 4] = [
            context.federation_id.as_bytes(),
            context.config_digest.as_bytes(),
            &sequence.get().to_le_bytes(),
            &self.to_canonical(),
        ];
        Digest::of_parts(HashDomain::Batch, &parts)
    }

    /// Whether it orders nothing.
    pub fn is_null(&self) -> bool {
        self.items.is_empty()
    }
}
