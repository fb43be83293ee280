//! Why an ordered entry would mean nothing: one variant a rule, with both values.

use federation_proto::handshake::{HandshakeError, ResumptionError};
use federation_proto::replay::WindowRefusal;
use federation_proto::signing::SignatureError;
use federation_proto::{Digest, FederatedEpoch, Generation, NodeFingerprint, SessionId};
use meta_core::meta_state::ApplyError;
use thiserror::Error;

/// A batch that the state machine refuses, and at which item.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("item {index} ({kind}): {cause}")]
pub struct BatchRefusal {
    /// Position in the batch.
    pub index: u32,
    /// Kind of the entry.
    pub kind: &'static str,
    /// Why.
    pub cause: Refusal,
}

/// Why an entry is refused.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Refusal {
    /// Only validators derive such an entry.
    #[error("a {0} cannot be requested")]
    NotRequestable(&'static str),
    /// Only clients request such an entry.
    #[error("a {0} cannot be derived")]
    NotDerivable(&'static str),
    /// The wire has this kind of entry, the machine does not execute it yet.
    #[error("a {0} is not executed by this version")]
    NotBuilt(&'static str),
    /// A session cannot move to this channel.
    #[error(transparent)]
    Resumption(#[from] ResumptionError),
    /// The author is not in the roster.
    #[error("node {0} is not in the roster")]
    UnknownNode(NodeFingerprint),
    /// A signature or threshold fails.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The handshake of a session does not hold.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// Two fields of the entry (or of the entry and the state) that must agree do not.
    #[error("{what}: expected {expected}, got {got}")]
    Mismatch {
        /// Which field.
        what: &'static str,
        /// The right value.
        expected: String,
        /// The value found.
        got: String,
    },
    /// The session was opened before.
    #[error("session {0} was opened before")]
    SessionReplayed(SessionId),
    /// The node opens sessions as it pleases.
    #[error("node {node} opened too many sessions in epoch {epoch}")]
    TooManySessions {
        /// The node.
        node: NodeFingerprint,
        /// The epoch.
        epoch: FederatedEpoch,
    },
    /// The session moves to other channels as it pleases.
    #[error("a session moves to another channel at most {limit} times")]
    TooManyResumptions {
        /// The limit.
        limit: u32,
    },
    /// No such session, or it has expired.
    #[error("session {0} is not open")]
    NoSession(SessionId),
    /// Exactly-once.
    #[error(transparent)]
    Window(#[from] WindowRefusal),
    /// An epoch outside the standing mandate.
    #[error("epoch {got} is outside the mandate {first}..={last}")]
    Mandate {
        /// First epoch of the mandate.
        first: FederatedEpoch,
        /// Last epoch of the mandate.
        last: FederatedEpoch,
        /// The epoch.
        got: FederatedEpoch,
    },
    /// The epoch machine is in another phase.
    #[error("{entry} in phase {phase}")]
    Phase {
        /// The entry.
        entry: &'static str,
        /// The phase.
        phase: &'static str,
    },
    /// An epoch ahead of the federation.
    #[error("epoch {got} is ahead of {current}")]
    FutureEpoch {
        /// The federation's epoch.
        current: FederatedEpoch,
        /// The epoch named.
        got: FederatedEpoch,
    },
    /// Another generation.
    #[error("generation {got}, the federation is in {expected}")]
    Generation {
        /// Ours.
        expected: Generation,
        /// Named.
        got: Generation,
    },
    /// The update's base is no state this federation had.
    #[error("base state {0} is unknown")]
    UnknownBase(Digest),
    /// The update stands on the ledger already.
    #[error("update {0} is on the ledger already")]
    Repeated(Digest),
    /// A step before its time: neither complete nor has the window passed.
    #[error("{0} is not due: neither complete nor has the window passed")]
    NotDue(&'static str),
    /// Too few storage receipts.
    #[error("{got} storage receipts, the quorum is {needed}")]
    Receipts {
        /// Quorum.
        needed: usize,
        /// Distinct validators.
        got: usize,
    },
    /// A receipt speaks of something else, repeats or is out of order.
    #[error("receipt {index}: {what}")]
    Receipt {
        /// Which receipt.
        index: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A node has too many commitments waiting.
    #[error("node has {count} commitments waiting, the policy allows {limit}")]
    TooManyCommitments {
        /// Waiting.
        count: usize,
        /// Allowed.
        limit: u32,
    },
    /// A cut with updates of too few organisations.
    #[error("cut with updates of {got} organisations, the policy demands {needed}")]
    TooFewOrganisations {
        /// Demanded.
        needed: u32,
        /// In the cut.
        got: usize,
    },
    /// The aggregate does not apply.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The pinned ledger head is not one of ours in the allowed range.
    #[error("ledger head {got} must be in {first}..={last}")]
    Head {
        /// Earliest allowed size.
        first: u64,
        /// Latest allowed size.
        last: u64,
        /// Size named.
        got: u64,
    },
    /// A sign-off with too few governors.
    #[error("{got} organisations signed, the policy demands {needed}")]
    SignOff {
        /// Demanded.
        needed: usize,
        /// Distinct organisations.
        got: usize,
    },
    /// A note signature that does not count.
    #[error("note signature by {key}: {what}")]
    NoteSignature {
        /// Hexadecimal key.
        key: String,
        /// What is wrong.
        what: &'static str,
    },
}

/// Refuses unless both are equal.
pub(super) fn same<T: PartialEq + ToString>(
    what: &'static str,
    expected: &T,
    got: &T,
) -> Result<(), Refusal> {
    if expected == got {
        return Ok(());
    }
    Err(Refusal::Mismatch { what, expected: expected.to_string(), got: got.to_string() })
}
