//! Evidence: two signed messages by which one replica proves, to anybody, that it lied.

use federation_proto::codec::Canonical;
use federation_proto::keys::Consensus;
use federation_proto::signing::SignatureError;
use federation_proto::{SequenceNumber, Signed, SignedBody};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::committee::{Committee, ReplicaId};
use crate::message::{Checkpoint, Commit, PrePrepare, Prepare, SlotVote};

/// One replica signed two things of which a correct replica signs at most one. It needs no context but the committee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Equivocation {
    /// Two batches for one view and sequence number.
    PrePrepare {
        /// The one seen first.
        first: Signed<PrePrepare>,
        /// The other.
        second: Signed<PrePrepare>,
    },
    /// Two PREPAREs for one view and sequence number.
    Prepare {
        /// The one seen first.
        first: Signed<Prepare>,
        /// The other.
        second: Signed<Prepare>,
    },
    /// Two COMMITs for one view and sequence number.
    Commit {
        /// The one seen first.
        first: Signed<Commit>,
        /// The other.
        second: Signed<Commit>,
    },
    /// Two results for one sequence number. A replica whose disk or build is faulty does this too.
    Checkpoint {
        /// The one seen first.
        first: Box<Signed<Checkpoint>>,
        /// The other.
        second: Box<Signed<Checkpoint>>,
    },
}

/// Why evidence proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EvidenceError {
    /// The two messages are by different replicas.
    #[error("the messages are by replica {first} and replica {second}")]
    DifferentReplicas {
        /// Signer of the first.
        first: ReplicaId,
        /// Signer of the second.
        second: ReplicaId,
    },
    /// The accused is not in the committee.
    #[error("replica {replica} is unknown: the committee has {size} replicas")]
    UnknownReplica {
        /// The accused.
        replica: ReplicaId,
        /// Replicas of the committee.
        size: usize,
    },
    /// A correct replica may have signed both: they speak of different slots or say the same.
    #[error("a correct replica {replica} may have signed both messages")]
    NoConflict {
        /// The accused.
        replica: ReplicaId,
    },
    /// One of the signatures is not the accused's.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl Canonical for Equivocation {
    const NAME: &'static str = "Equivocation";
    const MAX_BYTES: usize = 1024;
}

impl Equivocation {
    /// The replica that lied, if the evidence holds.
    ///
    /// # Errors
    /// Any variant of [`EvidenceError`].
    pub fn verify(&self, committee: &Committee) -> Result<ReplicaId, EvidenceError> {
        match self {
            Self::PrePrepare { first, second } => slot_conflict(committee, first, second),
            Self::Prepare { first, second } => slot_conflict(committee, first, second),
            Self::Commit { first, second } => slot_conflict(committee, first, second),
            Self::Checkpoint { first, second } => {
                let (a, b) = (first.claimed(), second.claimed());
                let (x, y) = (a.statement, b.statement);
                // A second note signature on one statement is no second result.
                let conflict = x.sequence == y.sequence && x != y;
                both_by_one(
                    committee,
                    (first.as_ref(), a.replica),
                    (second.as_ref(), b.replica),
                    conflict,
                )
            }
        }
    }

    /// The replica the evidence accuses. Unverified.
    pub fn claimed_replica(&self) -> ReplicaId {
        match self {
            Self::PrePrepare { first, .. } => first.claimed().replica,
            Self::Prepare { first, .. } => first.claimed().replica,
            Self::Commit { first, .. } => first.claimed().replica,
            Self::Checkpoint { first, .. } => first.claimed().replica,
        }
    }

    /// The sequence number it speaks of. Unverified.
    pub fn claimed_sequence(&self) -> SequenceNumber {
        match self {
            Self::PrePrepare { first, .. } => first.claimed().sequence,
            Self::Prepare { first, .. } => first.claimed().sequence,
            Self::Commit { first, .. } => first.claimed().sequence,
            Self::Checkpoint { first, .. } => first.claimed().statement.sequence,
        }
    }
}

fn slot_conflict<V: SlotVote>(
    committee: &Committee,
    first: &Signed<V>,
    second: &Signed<V>,
) -> Result<ReplicaId, EvidenceError> {
    let (a, b) = (first.claimed(), second.claimed());
    let one_slot = (a.view(), a.sequence()) == (b.view(), b.sequence());
    let conflict = one_slot && a.digest() != b.digest();
    both_by_one(committee, (first, a.replica()), (second, b.replica()), conflict)
}

fn both_by_one<B: SignedBody<Role = Consensus> + Clone>(
    committee: &Committee,
    (first, first_by): (&Signed<B>, ReplicaId),
    (second, second_by): (&Signed<B>, ReplicaId),
    conflict: bool,
) -> Result<ReplicaId, EvidenceError> {
    if first_by != second_by {
        let (first, second) = (first_by, second_by);
        return Err(EvidenceError::DifferentReplicas { first, second });
    }
    let replica = first_by;
    let member = committee
        .member(replica)
        .ok_or(EvidenceError::UnknownReplica { replica, size: committee.size() })?;
    if !conflict {
        return Err(EvidenceError::NoConflict { replica });
    }
    for message in [first, second] {
        let key = member.consensus_key();
        message.clone().verify(key, committee.context())?;
    }
    Ok(replica)
}
