//! Why an input is refused (somebody else's doing), and why a replica stops (our own).

use federation_proto::keys::NodeFingerprint;
use federation_proto::signing::SignatureError;
use federation_proto::{Digest, SequenceNumber, View};
use ledger::CheckpointError;
use thiserror::Error;

use crate::certificate::{CertificateError, CheckpointCertificate};
use crate::committee::ReplicaId;
use crate::message::CheckpointStatement;
use crate::safety::PersistToken;

/// Why an input is refused. Nothing has changed, except that a [`Conflict`](Self::Conflict) leaves evidence, and that
/// what was costly to look at is counted ([`TooOften`](Self::TooOften)).
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
    /// The view has not begun for this replica: it waits for the NEW-VIEW.
    #[error("view {view} has not begun here")]
    ViewNotEntered {
        /// The view.
        view: View,
    },
    /// The view's NEW-VIEW settled this sequence number: it may be decided.
    #[error("sequence {sequence} was settled when the view began, up to {floor}")]
    Settled {
        /// Sequence number of the PRE-PREPARE.
        sequence: SequenceNumber,
        /// The last one that was settled.
        floor: SequenceNumber,
    },
    /// A view that is over, or has begun already.
    #[error("view {found} is over or has begun, this replica is in view {own}")]
    StaleView {
        /// View of the message.
        found: View,
        /// View of the replica.
        own: View,
    },
    /// A view further ahead than correct replicas are.
    #[error("view {found} is too far ahead of {own}")]
    ViewTooFar {
        /// View of the message.
        found: View,
        /// View of the replica.
        own: View,
    },
    /// The replica wanted a view at least as late before.
    #[error("replica {replica} wants view {found}, it wanted {held} before")]
    OlderViewChange {
        /// Who.
        replica: ReplicaId,
        /// The view now.
        found: View,
        /// The view before.
        held: View,
    },
    /// A VIEW-CHANGE does not prove what it says.
    #[error("VIEW-CHANGE of replica {replica}: {cause}")]
    ViewChange {
        /// Whose.
        replica: ReplicaId,
        /// What is wrong.
        cause: ViewChangeFault,
    },
    /// A NEW-VIEW does not follow from its VIEW-CHANGEs.
    #[error("NEW-VIEW of replica {replica}: {cause}")]
    NewView {
        /// Whose.
        replica: ReplicaId,
        /// What is wrong.
        cause: Box<NewViewFault>,
    },
    /// The certificate of a decided batch or checkpoint proves nothing.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Nobody asked for this batch, or it is here.
    #[error("no batch of sequence {sequence} and digest {digest} is wanted")]
    Unwanted {
        /// Its sequence number.
        sequence: SequenceNumber,
        /// Its digest.
        digest: Digest,
    },
    /// No batch is lacking at this sequence number.
    #[error("no batch is lacking at sequence {sequence}")]
    NothingLacks {
        /// The sequence number.
        sequence: SequenceNumber,
    },
    /// A STATUS asks for more than it may.
    #[error("{found} batches are wanted, the limit is {limit}")]
    TooManyWanted {
        /// How many.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The replica has had its share of our attention: messages of a kind that are costly to look at or to answer, as
    /// many as a correct replica sends between two STATUSes of ours.
    #[error("replica {replica} sent {count} of {kind} since our last STATUS, the limit is {limit}")]
    TooOften {
        /// Who.
        replica: ReplicaId,
        /// [`ConsensusMessage::kind`](crate::ConsensusMessage::kind).
        kind: &'static str,
        /// How many were looked at.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// The application is being brought to a checkpoint at least as late.
    #[error("a transfer to sequence {target} is under way, {sequence} is not later")]
    Transferring {
        /// The checkpoint that was offered.
        sequence: SequenceNumber,
        /// The one that was asked for.
        target: SequenceNumber,
    },
    /// No transfer to this checkpoint was asked for.
    #[error("no transfer to sequence {sequence} was asked for")]
    NoTransfer {
        /// The checkpoint.
        sequence: SequenceNumber,
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
    /// A null request: the primary signed an empty batch. Only a NEW-VIEW fills gaps with them [OSDI '99 §4.4]: a
    /// primary that proposed nothing else would use up the window, because an empty batch leads to no checkpoint.
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
    /// No more room in the pool for this client.
    #[error("{requests} requests of client {client} wait, {bytes} bytes: its share of the pool")]
    ClientShare {
        /// Who signed the request.
        client: NodeFingerprint,
        /// Its requests that wait.
        requests: usize,
        /// Their bytes.
        bytes: usize,
    },
    /// This configuration is over here: a retired replica says only what others need to reach the border.
    #[error("the configuration ended at the border {border}")]
    Retired {
        /// The border.
        border: SequenceNumber,
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

/// What is wrong with a VIEW-CHANGE. None of it is believed then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ViewChangeFault {
    /// The stable checkpoint is not proved.
    #[error("stable checkpoint: {0}")]
    Stable(CertificateError),
    /// A prepared certificate is not proved.
    #[error("prepared certificate of sequence {sequence}: {cause}")]
    Prepared {
        /// Its sequence number.
        sequence: SequenceNumber,
        /// What is wrong.
        cause: CertificateError,
    },
    /// Prepared sequence numbers must increase within one window above the stable checkpoint.
    #[error("prepared sequence {sequence} after {previous}, the stable checkpoint is {low}")]
    Sequence {
        /// The sequence number.
        sequence: SequenceNumber,
        /// The one before it.
        previous: SequenceNumber,
        /// The stable checkpoint.
        low: SequenceNumber,
    },
    /// Prepared in the wanted view or a later one.
    #[error("prepared in view {found}, which is not before {wanted}")]
    View {
        /// View of the certificate.
        found: View,
        /// View that is wanted.
        wanted: View,
    },
}

/// What is wrong with a NEW-VIEW.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NewViewFault {
    /// VIEW-CHANGEs are not in the order of their replicas.
    #[error("the VIEW-CHANGE of replica {replica} is out of order")]
    Unordered {
        /// Whose.
        replica: ReplicaId,
    },
    /// A VIEW-CHANGE for another view.
    #[error("the VIEW-CHANGE of replica {replica} is for view {found}, not {expected}")]
    OtherView {
        /// Whose.
        replica: ReplicaId,
        /// Its view.
        found: View,
        /// View of the NEW-VIEW.
        expected: View,
    },
    /// A message in it is refused.
    #[error("of replica {replica}: {cause}")]
    Member {
        /// Whose.
        replica: ReplicaId,
        /// Why.
        cause: Box<Rejection>,
    },
    /// Fewer distinct public keys want the view than decide.
    #[error("{found} distinct keys want the view, the quorum is {needed}")]
    BelowQuorum {
        /// Distinct public keys.
        found: usize,
        /// The quorum.
        needed: usize,
    },
    /// Another number of proposals than follows.
    #[error("{found} proposals, {expected} follow from the VIEW-CHANGEs")]
    Proposals {
        /// How many follow.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Another proposal than follows.
    #[error("the proposal of sequence {sequence} does not follow from the VIEW-CHANGEs")]
    Proposal {
        /// Its sequence number.
        sequence: SequenceNumber,
    },
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
    /// A view proposes another batch than an earlier one decided: more than f replicas lie.
    #[error("at sequence {sequence} {decided} was decided and {proposed} is proposed again")]
    TwoDecisions {
        /// The sequence number.
        sequence: SequenceNumber,
        /// What was decided.
        decided: Digest,
        /// What is proposed again.
        proposed: Digest,
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
