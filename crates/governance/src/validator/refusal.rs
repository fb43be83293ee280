//! What a validator refuses, and why it stops.

use consensus_pbft::{Fault, Rejection, ReplicaError};
use federation_proto::{Height, NodeFingerprint, SequenceNumber};
use ledger::divergence::{Contradiction, Unproven};
use thiserror::Error;

use super::application::ProposalRefusal;
use super::approvals::ApprovalRefusal;
use super::blobs::BlobRefusal;
use super::envelopes::EnvelopeRefusal;
use super::recovery::ImportError;
use crate::executor::ExecutionError;

/// Why a validator refused what it was sent.
#[derive(Debug, Error)]
pub enum ValidatorRefusal {
    /// An envelope was refused before its payload was looked at.
    #[error("envelope of {node}: {cause}")]
    Envelope {
        /// The claimed sender.
        node: NodeFingerprint,
        /// What is wrong.
        cause: EnvelopeRefusal,
    },
    /// An update was refused.
    #[error(transparent)]
    Blob(#[from] BlobRefusal),
    /// An approval was refused.
    #[error(transparent)]
    Approval(#[from] ApprovalRefusal),
    /// A message among validators was refused.
    #[error(transparent)]
    Message(Rejection),
    /// A request did not enter the pool.
    #[error("request: {0}")]
    Request(ProposalRefusal),
    /// The primary's proposal was refused.
    #[error("proposal {sequence}: {reason}")]
    Proposal {
        /// Its sequence number.
        sequence: SequenceNumber,
        /// Why.
        reason: ProposalRefusal,
    },
    /// An answer about a ledger that proves nothing.
    #[error("state transfer: {0}")]
    Ledger(#[from] Unproven),
    /// A block of a peer's ledger with certificates that do not hold.
    #[error("state transfer: block {height}: {cause}")]
    Block {
        /// Its height.
        height: Height,
        /// What is wrong.
        cause: Box<ImportError>,
    },
    /// An answer about a ledger, and no question.
    #[error("an answer about a ledger that was not asked for")]
    NoTransfer,
}

/// Why there is no such validator.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ValidatorError {
    /// The replica is refused.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// The log would fill before a checkpoint could empty it [PBFT §4.3].
    #[error(
        "policy checkpoint_interval({interval}) must be <= half of the replica's window({window})"
    )]
    CheckpointInterval {
        /// Blocks between checkpoints.
        interval: u64,
        /// Sequence numbers between the watermarks.
        window: u64,
    },
}

impl ValidatorRefusal {
    /// Whether it is only a vote that came after its decision, as a few do for every batch.
    pub fn is_late_vote(&self) -> bool {
        matches!(
            self,
            Self::Message(Rejection::BelowWatermark { .. } | Rejection::Duplicate { .. })
        )
    }
}

/// Why a validator stopped.
#[derive(Debug, Error)]
pub enum HaltCause {
    /// A committed batch cannot be executed: what must agree does not.
    #[error("a committed batch cannot be executed: {0}")]
    Execution(Box<ExecutionError>),
    /// The replica stopped.
    #[error(transparent)]
    Replica(Box<Fault>),
    /// Our ledger contradicts what a quorum certified.
    #[error(transparent)]
    Contradicted(Contradiction),
    /// A block that a quorum certified cannot be repeated here.
    #[error("certified block {height}: {cause}")]
    Import {
        /// Its height.
        height: Height,
        /// Why.
        cause: Box<ImportError>,
    },
}
