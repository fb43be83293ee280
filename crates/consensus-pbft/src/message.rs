//! The messages: those of the normal case here [OSDI '99 §4.2, §4.3], those of a view change in a file of their own.
//!
//! View and sequence number stand inside the signed bytes, federation and configuration in the signing
//! preimage: a vote is worth nothing in another slot, view, roster or federation.

use federation_proto::codec::Canonical;
use federation_proto::keys::{Consensus, Signature};
use federation_proto::signing::Domain;
use federation_proto::{Batch, Digest, SequenceNumber, Signed, SignedBody, View, limits};
use serde::{Deserialize, Serialize};

use crate::certificate::CheckpointCertificate;
use crate::committee::ReplicaId;

mod statement;
mod view_change;

pub use statement::CheckpointStatement;
pub use view_change::{
    Decided, MAX_WANTED, NEW_VIEW_BYTES, NewView, Status, VIEW_CHANGE_BYTES, ViewChange,
    WantedBatch,
};

/// Largest vote in bytes.
const VOTE_BYTES: usize = 512;

/// The primary assigns a sequence number to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrePrepare {
    /// View in which it is assigned.
    pub view: View,
    /// The sequence number.
    pub sequence: SequenceNumber,
    /// Digest of the batch, [`Batch::digest`].
    pub digest: Digest,
    /// The primary.
    pub replica: ReplicaId,
}

/// A backup accepted the assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepare {
    /// View of the assignment.
    pub view: View,
    /// Its sequence number.
    pub sequence: SequenceNumber,
    /// Its digest.
    pub digest: Digest,
    /// The backup.
    pub replica: ReplicaId,
}

/// A replica saw a quorum accept the assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// View of the assignment.
    pub view: View,
    /// Its sequence number.
    pub sequence: SequenceNumber,
    /// Its digest.
    pub digest: Digest,
    /// The replica.
    pub replica: ReplicaId,
}

/// A replica executed up to a checkpoint with this result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The result.
    pub statement: CheckpointStatement,
    /// The replica.
    pub replica: ReplicaId,
    /// Its log key's signature on the C2SP checkpoint text, so that q of these make a signed checkpoint of the log.
    pub note_signature: Signature,
}

/// A PRE-PREPARE with the batch it orders. Only the digest is signed, the batch rides along [OSDI '99 §4.2].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The signed assignment.
    pub pre_prepare: Signed<PrePrepare>,
    /// The batch.
    pub batch: Batch,
}

/// Everything one replica says to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsensusMessage {
    /// PRE-PREPARE.
    Proposal(Proposal),
    /// PREPARE.
    Prepare(Signed<Prepare>),
    /// COMMIT.
    Commit(Signed<Commit>),
    /// CHECKPOINT.
    Checkpoint(Signed<Checkpoint>),
    /// VIEW-CHANGE.
    ViewChange(Box<Signed<ViewChange>>),
    /// NEW-VIEW.
    NewView(Box<Signed<NewView>>),
    /// Where a replica stands.
    Status(Signed<Status>),
    /// An answer to it: a decided batch.
    Decided(Box<Decided>),
    /// An answer to it: a batch whose digest the asker has.
    Batch(Box<WantedBatch>),
    /// An answer to it: what is decided up to here is to be taken from the ledger.
    Stable(Box<CheckpointCertificate>),
}

/// A message by which a replica binds itself to one digest in one slot.
pub(crate) trait SlotVote: SignedBody<Role = Consensus> + Copy + Eq {
    fn view(&self) -> View;
    fn sequence(&self) -> SequenceNumber;
    fn digest(&self) -> Digest;
    fn replica(&self) -> ReplicaId;
}

macro_rules! slot_votes {
    ($($vote:ident),+) => {$(
        impl Canonical for $vote {
            const NAME: &'static str = stringify!($vote);
            const MAX_BYTES: usize = VOTE_BYTES;
        }
        impl SignedBody for $vote {
            const DOMAIN: Domain = Domain::$vote;
            type Role = Consensus;
        }
        impl SlotVote for $vote {
            fn view(&self) -> View {
                self.view
            }
            fn sequence(&self) -> SequenceNumber {
                self.sequence
            }
            fn digest(&self) -> Digest {
                self.digest
            }
            fn replica(&self) -> ReplicaId {
                self.replica
            }
        }
    )+};
}
slot_votes!(PrePrepare, Prepare, Commit);

impl Canonical for Checkpoint {
    const NAME: &'static str = "Checkpoint";
    const MAX_BYTES: usize = VOTE_BYTES;
}
impl SignedBody for Checkpoint {
    const DOMAIN: Domain = Domain::Checkpoint;
    type Role = Consensus;
}
impl Canonical for Proposal {
    const NAME: &'static str = "Proposal";
    const MAX_BYTES: usize = limits::BATCH + VOTE_BYTES;
}
impl Canonical for ConsensusMessage {
    const NAME: &'static str = "ConsensusMessage";
    const MAX_BYTES: usize = limits::BATCH + ledger::block::MAX_CERTIFICATE_BYTES + VOTE_BYTES;
}

impl ConsensusMessage {
    /// Who claims to have sent it; nobody where the content proves itself. Unverified: for tables and routing only.
    pub fn claimed_replica(&self) -> Option<ReplicaId> {
        Some(match self {
            Self::Proposal(proposal) => proposal.pre_prepare.claimed().replica,
            Self::Prepare(prepare) => prepare.claimed().replica,
            Self::Commit(commit) => commit.claimed().replica,
            Self::Checkpoint(checkpoint) => checkpoint.claimed().replica,
            Self::ViewChange(change) => change.claimed().replica,
            Self::NewView(new_view) => new_view.claimed().replica,
            Self::Status(status) => status.claimed().replica,
            Self::Decided(_) | Self::Batch(_) | Self::Stable(_) => return None,
        })
    }

    /// The sequence number it speaks of; none where it speaks of a view. Unverified.
    pub fn claimed_sequence(&self) -> Option<SequenceNumber> {
        Some(match self {
            Self::Proposal(proposal) => proposal.pre_prepare.claimed().sequence,
            Self::Prepare(prepare) => prepare.claimed().sequence,
            Self::Commit(commit) => commit.claimed().sequence,
            Self::Checkpoint(checkpoint) => checkpoint.claimed().statement.sequence,
            Self::Decided(decided) => decided.certificate.sequence,
            Self::Batch(wanted) => wanted.sequence,
            Self::Stable(certificate) => certificate.statement.sequence,
            Self::ViewChange(_) | Self::NewView(_) | Self::Status(_) => return None,
        })
    }

    /// Its kind, for tables and messages.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Proposal(_) => "PRE-PREPARE",
            Self::Prepare(_) => "PREPARE",
            Self::Commit(_) => "COMMIT",
            Self::Checkpoint(_) => "CHECKPOINT",
            Self::ViewChange(_) => "VIEW-CHANGE",
            Self::NewView(_) => "NEW-VIEW",
            Self::Status(_) => "STATUS",
            Self::Decided(_) => "decided batch",
            Self::Batch(_) => "batch",
            Self::Stable(_) => "stable checkpoint",
        }
    }
}
