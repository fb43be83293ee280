//! Why an input is refused (somebody else's doing), and why a replica stops (our own).

use federation_proto::signing::SignatureError;
use federation_proto::{Digest, SequenceNumber, View};
use ledger::CheckpointError;
use thiserror::Error;

use crate::certificate::CheckpointCertificate;
use crate::committee::ReplicaId;
use crate::message::CheckpointStatement;
use crate::safety::PersistToken;

/// Why an input is refused. Nothing has changed, except that a [`Conflict`](Self::Conflict) leaves evidence.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Rejection {
    /// The committee has no such replica.
    #[error("replica {replica} is unknown: the committee has {size} replicas")]
    UnknownReplica {
        /// Who claims to speak.
        replica: ReplicaId,
        /// Replicas of the committee.
        size: usize,
    },
    /// A message in our own name came from outside.
    #[error("a message of replica {replica}, which is this one, came from outside")]
    FromSelf {
        /// This replica.
        replica: ReplicaId,
    },
    /// Another view than the one this replica is in.
    #[error("view {found}, this replica is in view {own}")]
    WrongView {
        /// View of the message.
        found: View,
        /// View of the replica.
        own: View,
    },
    /// Already covered by the stable checkpoint.
    #[error("sequence {sequence} is not above the low watermark {low}")]
    BelowWatermark {
        /// Sequence number of the message.
        sequence: SequenceNumber,
        /// Low watermark.
        low: SequenceNumber,
    },
    /// Too far ahead to be held.
    #[error("sequence {sequence} is above {limit}, the last one held")]
    AboveWatermark {
        /// Sequence number of the message.
        sequence: SequenceNumber,
        /// High watermark plus one window.
        limit: SequenceNumber,
    },
    /// Only the primary proposes.
    #[error("replica {replica} proposes, the primary is {primary}")]
    NotPrimary {
        /// Who proposed.
        replica: ReplicaId,
        /// Who may.
        primary: ReplicaId,
    },
    /// The primary's PRE-PREPARE is its vote; it sends no PREPARE.
    #[error("replica {replica} is the primary and sends a PREPARE")]
    PrepareByPrimary {
        /// The primary.
        replica: ReplicaId,
    },
    /// The same was said before.
    #[error("replica {replica} said the same for sequence {sequence} before")]
    Duplicate {
        /// Who.
        replica: ReplicaId,
        /// For which sequence number.
        sequence: SequenceNumber,
    },
    /// The opposite was said before. The first counts.
    #[error("replica {replica} contradicts itself for sequence {sequence}")]
    Conflict {
        /// Who.
        replica: ReplicaId,
        /// For which sequence number.
        sequence: SequenceNumber,
    },
    /// The signature is not the replica's, not for this federation or configuration, or not strict.
    #[error("message of replica {replica}: {cause}")]
    BadSignature {
        /// Who claims to speak.
        replica: ReplicaId,
        /// What is wrong.
        cause: SignatureError,
    },
    /// The note signature of a CHECKPOINT is not of the replica's log key.
    #[error("note signature of replica {replica} does not verify under its log key")]
    BadNoteSignature {
        /// Who.
        replica: ReplicaId,
    },
    /// A CHECKPOINT that no C2SP checkpoint can express.
    #[error(transparent)]
    Statement(#[from] CheckpointError),
    /// The batch is not the one whose digest is signed.
    #[error("the PRE-PREPARE names digest {claimed}, the batch has {computed}")]
    DigestMismatch {
        /// Digest that is signed.
        claimed: Digest,
        /// Digest of the batch.
        computed: Digest,
    },
    /// A null request: the primary signed an empty batch. Null requests fill the gaps of a NEW-VIEW
    /// [OSDI '99 §4.4], which is not built. Until it is, nothing needs one, and a primary that proposed
    /// nothing else would use up the window, because an empty batch leads to no checkpoint.
    #[error("the batch for sequence {sequence} is empty, and null requests are not accepted")]
    NullRequest {
        /// Sequence number of the PRE-PREPARE.
        sequence: SequenceNumber,
    },
    /// A batch beyond the wire's limits.
    #[error(transparent)]
    Batch(#[from] OversizedBatch),
    /// Batches held for later already fill their room. The primary sends this one again.
    #[error("{held} bytes of early batches are held, {bytes} more exceed the limit {limit}")]
    EarlyBatches {
        /// Bytes held.
        held: usize,
        /// Bytes of this batch.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A request longer than an entry may be.
    #[error("the request has {bytes} bytes, the limit is {limit}")]
    RequestTooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The request waits already.
    #[error("request {digest} waits already")]
    RequestWaits {
        /// Digest of its canonical bytes.
        digest: Digest,
    },
    /// No room in the pool.
    #[error("the pool is full: {requests} requests, {bytes} bytes")]
    PoolFull {
        /// Requests that wait.
        requests: usize,
        /// Bytes that wait.
        bytes: usize,
    },
    /// Nothing is being persisted under this token.
    #[error("persist token {token} is not outstanding")]
    UnknownToken {
        /// The token.
        token: PersistToken,
    },
    /// The replica has stopped, see [`Fault`].
    #[error("the replica has halted")]
    Halted,
}

/// A batch beyond the wire's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the batch has {items} items in {bytes} bytes, the limits are {max_items} and {max_bytes}")]
pub struct OversizedBatch {
    /// Items of the batch.
    pub items: usize,
    /// Its canonical length.
    pub bytes: usize,
    /// Most items.
    pub max_items: usize,
    /// Most bytes.
    pub max_bytes: usize,
}

/// Why this replica must stop: it, its application or its disk is wrong. No message of a minority causes one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// A quorum certified another result than ours: local recovery must restore a certified state.
    #[error("our result at sequence {} differs from the certified one", certificate.statement.sequence)]
    Diverged {
        /// Our result; none if our application made no checkpoint there.
        own: Option<Box<CheckpointStatement>>,
        /// What a quorum certified.
        certificate: Box<CheckpointCertificate>,
    },
    /// The application could not execute a decided batch, and keeps the cause. Every earlier batch is executed;
    /// this one is not, and no later one may be, for the state would lack it.
    #[error("the application could not execute the batch at sequence {sequence}")]
    Execution {
        /// Sequence number of the batch.
        sequence: SequenceNumber,
    },
    /// The application's checkpoint is of another sequence number than was executed.
    #[error("executed sequence {executed}, the application's checkpoint names {found}")]
    CheckpointSequence {
        /// What was executed.
        executed: SequenceNumber,
        /// What the statement names.
        found: SequenceNumber,
    },
    /// The application's checkpoint cannot be expressed as a C2SP checkpoint.
    #[error(transparent)]
    Statement(#[from] CheckpointError),
    /// The application's note signature is not of our log key.
    #[error("the note signature at sequence {sequence} is not of this replica's log key")]
    NoteSignature {
        /// The checkpoint.
        sequence: SequenceNumber,
    },
    /// The application proposed a batch that no replica would accept.
    #[error("own proposal: {0}")]
    Proposal(#[from] OversizedBatch),
}
