//! Evidence of misbehaviour: self-contained, so that any auditor reaches the same verdict years later.
//!
//! Behind or ahead is not divergence, malformed is rejection, silent is suspension: none of them is evidence.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::batch::Request;
use crate::bounded::Bytes;
use crate::codec::{Canonical, CodecError, canonical};
use crate::digest::Digest;
use crate::entry::{DiscardReason, LedgerEntry, UpdateRef};
use crate::genesis::Roster;
use crate::heartbeat::Heartbeat;
use crate::keys::{Identity, NodeFingerprint, VerifyingKey};
use crate::limits;
use crate::signing::{SignatureError, Signed, SigningContext};
use crate::update::UpdateCommitment;

/// The canonical bytes of a `Signed<Request>` that carries an update commitment. They stay bytes here: a
/// request holds an entry and an entry may hold evidence, and a type that contains itself has no bounded depth.
pub type RequestBytes = Bytes<{ 2 * limits::COMMITMENT }>;

/// What proves that a node misbehaved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Evidence {
    /// Two commitments of one (node, generation, cycle) to different updates, each in its signed request.
    ConflictingCommitments {
        /// One.
        first: RequestBytes,
        /// The other.
        second: RequestBytes,
    },
    /// Two heartbeats with one ledger size and two roots.
    ConflictingHeartbeats {
        /// One.
        first: Signed<Heartbeat>,
        /// The other.
        second: Signed<Heartbeat>,
    },
    /// A heartbeat whose root is not the certified root of its size.
    DivergentHeartbeat(Signed<Heartbeat>),
    /// A committed update that does not hold what its commitment says, judged by whoever can open it.
    InvalidUpdate {
        /// The update.
        update: UpdateRef,
        /// Its stored bytes.
        blob: Digest,
        /// What is wrong with it.
        reason: DiscardReason,
    },
    /// Two votes of one validator that exclude each other, in the consensus crate's form.
    ConflictingVotes(Bytes<{ limits::EVIDENCE }>),
}

canonical! {
    Evidence => limits::EVIDENCE + (64 << 10),
}

/// Why evidence proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EvidenceError {
    /// It does not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A signature fails.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Its author is not in the roster.
    #[error("evidence against {0}, which is not in the roster")]
    UnknownNode(NodeFingerprint),
    /// The request carries something else than a commitment of its author.
    #[error("request {0} carries no update commitment of its author")]
    NoCommitment(&'static str),
    /// The two statements can both be true.
    #[error("the two statements do not contradict each other")]
    NoConflict,
    /// No certified root is known for this size.
    #[error("no certified root is known for size {0}")]
    UnknownSize(u64),
    /// Other crates judge this kind.
    #[error("this kind is judged by {0}")]
    JudgedElsewhere(&'static str),
}

impl Evidence {
    /// The node that the evidence convicts. `certified_root` gives the certified root of a ledger size.
    pub fn verify(
        &self,
        roster: &Roster,
        context: &SigningContext,
        certified_root: impl Fn(u64) -> Option<Digest>,
    ) -> Result<NodeFingerprint, EvidenceError> {
        match self {
            Self::ConflictingCommitments { first, second } => {
                let first = commitment(first, "one", roster, context)?;
                let second = commitment(second, "two", roster, context)?;
                let one_cycle = first.node_fingerprint == second.node_fingerprint
                    && (first.generation, first.cycle) == (second.generation, second.cycle);
                if one_cycle && first.update_hash != second.update_hash {
                    Ok(first.node_fingerprint)
                } else {
                    Err(EvidenceError::NoConflict)
                }
            }
            Self::ConflictingHeartbeats { first, second } => {
                let first = heartbeat(first, roster, context)?;
                let second = heartbeat(second, roster, context)?;
                if first.contradicts(&second) {
                    Ok(first.node_fingerprint)
                } else {
                    Err(EvidenceError::NoConflict)
                }
            }
            Self::DivergentHeartbeat(signed) => {
                let heartbeat = heartbeat(signed, roster, context)?;
                let size = heartbeat.ledger.size;
                let root = certified_root(size).ok_or(EvidenceError::UnknownSize(size))?;
                if heartbeat.ledger.root == root {
                    Err(EvidenceError::NoConflict)
                } else {
                    Ok(heartbeat.node_fingerprint)
                }
            }
            Self::InvalidUpdate { .. } => Err(EvidenceError::JudgedElsewhere("meta-core")),
            Self::ConflictingVotes(_) => Err(EvidenceError::JudgedElsewhere("consensus-pbft")),
        }
    }
}

/// The identity key of any member that signs with one.
fn identity<'r>(
    roster: &'r Roster,
    node: &NodeFingerprint,
) -> Result<&'r VerifyingKey<Identity>, EvidenceError> {
    let participant = roster.participant(node).map(|participant| &participant.identity);
    let validator = || roster.validator(node).map(|validator| &validator.identity);
    participant.or_else(validator).ok_or(EvidenceError::UnknownNode(*node))
}

fn heartbeat(
    signed: &Signed<Heartbeat>,
    roster: &Roster,
    context: &SigningContext,
) -> Result<Heartbeat, EvidenceError> {
    let key = identity(roster, &signed.claimed().node_fingerprint)?;
    Ok(signed.clone().verify(key, context)?.into_body())
}

fn commitment(
    bytes: &RequestBytes,
    which: &'static str,
    roster: &Roster,
    context: &SigningContext,
) -> Result<UpdateCommitment, EvidenceError> {
    let signed = Signed::<Request>::from_canonical(bytes.as_slice())?;
    let key = identity(roster, &signed.claimed().node_fingerprint)?;
    let request = signed.verify(key, context)?.into_body();
    match request.entry {
        LedgerEntry::UpdateCommitment(commitment)
            if commitment.node_fingerprint == request.node_fingerprint =>
        {
            Ok(*commitment)
        }
        _ => Err(EvidenceError::NoCommitment(which)),
    }
}
