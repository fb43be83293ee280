//! Evidence: two signed messages by which one replica proves, to anybody, that it lied.

use federation_proto::codec::Canonical;
use federation_proto::keys::Consensus;
use federation_proto::signing::SignatureError;
use federation_proto::{SequenceNumber, Signed, SignedBody};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::certificate::PreparedCertificate;
use crate::committee::{Committee, ReplicaId};
use crate::message::{
    Checkpoint, Commit, PrePrepare, Prepare, SlotVote, VIEW_CHANGE_BYTES, ViewChange,
};

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
    /// As primary it assigned one batch, and committed to another in that view and sequence number.
    AssignedOther {
        /// What it assigned.
        assigned: Signed<PrePrepare>,
        /// What it committed to.
        committed: Signed<Commit>,
    },
    /// It accepted one batch, and committed to another in that view and sequence number.
    AcceptedOther {
        /// What it accepted.
        accepted: Signed<Prepare>,
        /// What it committed to.
        committed: Signed<Commit>,
    },
    /// It committed, so it was prepared, and left that out of the VIEW-CHANGE for a later view [OSDI '99 §4.4]. Only a
    /// stable checkpoint at least as high, or a certificate of the same or a later view, may stand in its place.
    Forgotten {
        /// What it committed to.
        committed: Signed<Commit>,
        /// Where it is missing.
        change: Box<Signed<ViewChange>>,
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
    const MAX_BYTES: usize = VIEW_CHANGE_BYTES + 1024;
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
            Self::AssignedOther { assigned, committed } => {
                slot_conflict(committee, assigned, committed)
            }
            Self::AcceptedOther { accepted, committed } => {
                slot_conflict(committee, accepted, committed)
            }
            Self::Forgotten { committed, change } => {
                let (commit, later) = (committed.claimed(), change.claimed());
                both_by_one(
                    committee,
                    (committed, commit.replica),
                    (change.as_ref(), later.replica),
                    forgets(later, commit),
                )
            }
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
            Self::AssignedOther { committed, .. }
            | Self::AcceptedOther { committed, .. }
            | Self::Forgotten { committed, .. } => committed.claimed().replica,
        }
    }

    /// The sequence number it speaks of. Unverified.
    pub fn claimed_sequence(&self) -> SequenceNumber {
        match self {
            Self::PrePrepare { first, .. } => first.claimed().sequence,
            Self::Prepare { first, .. } => first.claimed().sequence,
            Self::Commit { first, .. } => first.claimed().sequence,
            Self::Checkpoint { first, .. } => first.claimed().statement.sequence,
            Self::AssignedOther { committed, .. }
            | Self::AcceptedOther { committed, .. }
            | Self::Forgotten { committed, .. } => committed.claimed().sequence,
        }
    }
}

fn slot_conflict<V: SlotVote, W: SlotVote>(
    committee: &Committee,
    first: &Signed<V>,
    second: &Signed<W>,
) -> Result<ReplicaId, EvidenceError> {
    let (a, b) = (first.claimed(), second.claimed());
    let one_slot = (a.view(), a.sequence()) == (b.view(), b.sequence());
    let conflict = one_slot && a.digest() != b.digest();
    both_by_one(committee, (first, a.replica()), (second, b.replica()), conflict)
}

/// Whether a VIEW-CHANGE lacks what a COMMIT of the same replica says it had prepared.
///
/// What it had prepared again since, in the view of the COMMIT or a later one, may be another batch: a NEW-VIEW of a
/// view between them may have settled that.
fn forgets(change: &ViewChange, commit: &Commit) -> bool {
    let stable = change.stable.as_ref().map(|stable| stable.statement.sequence);
    let named = change
        .prepared
        .iter()
        .map(PreparedCertificate::claimed)
        .any(|prepared| prepared.sequence == commit.sequence && prepared.view >= commit.view);
    change.view > commit.view && stable.is_none_or(|stable| stable < commit.sequence) && !named
}

fn both_by_one<A, B>(
    committee: &Committee,
    (first, first_by): (&Signed<A>, ReplicaId),
    (second, second_by): (&Signed<B>, ReplicaId),
    conflict: bool,
) -> Result<ReplicaId, EvidenceError>
where
    A: SignedBody<Role = Consensus> + Clone,
    B: SignedBody<Role = Consensus> + Clone,
{
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
    let key = member.consensus_key();
    first.clone().verify(key, committee.context())?;
    second.clone().verify(key, committee.context())?;
    Ok(replica)
}
