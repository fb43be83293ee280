//! What goes into a replica and what comes out.

use federation_proto::{Digest, Request, SequenceNumber, Signed, View};

use crate::certificate::{CheckpointCertificate, CommitCertificate};
use crate::committee::ReplicaId;
use crate::evidence::Equivocation;
use crate::message::ConsensusMessage;
use crate::rejection::{Fault, Rejection};
use crate::safety::{PersistToken, SafetyRecord};

/// One thing that happens to a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A client's request arrived.
    Request(Signed<Request>),
    /// A message of another replica arrived. Nothing about it is trusted.
    Message(ConsensusMessage),
    /// The record of this token survives a crash.
    Persisted(PersistToken),
    /// Something the application waits for may have arrived, or time has passed: at the latest at
    /// [`Replica::deadline`](crate::Replica::deadline).
    Wake,
    /// Messages may have been lost: every vote of ours above the stable checkpoint is to be sent again, and where we
    /// stand, so that others send what we lack.
    Resend,
    /// The application is now what this checkpoint says, as [`Effect::Transfer`] asked.
    Transferred(SequenceNumber),
}

/// One thing the driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<R> {
    /// Make the record durable, then answer [`Input::Persisted`]. A failure to do so halts the node.
    Persist {
        /// What the answer names.
        token: PersistToken,
        /// What to write, in its canonical bytes.
        record: SafetyRecord,
    },
    /// Send to every other replica. Every vote in it is durable.
    Broadcast(ConsensusMessage),
    /// Send to one replica.
    Send {
        /// To whom.
        to: ReplicaId,
        /// What.
        message: ConsensusMessage,
    },
    /// We entered a view, with [`Replica::new_view`](crate::Replica::new_view).
    EnteredView(View),
    /// We are so far behind that the others have forgotten the votes. Bring the application to this certified state,
    /// from the blocks of the ledger or from a snapshot, and answer [`Input::Transferred`]. It is asked for again at
    /// [`Input::Resend`] until then; batches may be executed meanwhile. A later one takes the place of an earlier one, whose
    /// state must not be installed any more: the replica would not know of it and execute into it.
    Transfer(Box<CheckpointCertificate>),
    /// The batch has its place for ever and the application has executed it. A batch that the application fails
    /// to execute leads to [`Halted`](Self::Halted) instead.
    Committed {
        /// Its sequence number.
        sequence: SequenceNumber,
        /// The proof.
        certificate: CommitCertificate,
    },
    /// A quorum reached the same result as we. Once it is stored, safety records up to it may be cut.
    StableCheckpoint(CheckpointCertificate),
    /// The checkpoint before this effect is a border, and this configuration is over: the replica serves those who
    /// missed the border, and votes for nothing any more.
    ///
    /// Once that checkpoint is stored the driver makes the replica of the next committee, if this validator is in it,
    /// from [`Committee::succeed`](crate::Committee::succeed), with a safety log of its own. It keeps this replica
    /// until a checkpoint of the next committee is stable: then a quorum there has the border.
    HandedOver {
        /// The last sequence number of this configuration.
        border: SequenceNumber,
        /// Digest of the configuration that takes over.
        next: Digest,
    },
    /// A replica lied; the proof is durable.
    Evidence(Box<Equivocation>),
    /// The input, or a held one that became due, was refused.
    Refused(Rejection),
    /// The application does not admit a request.
    RequestRefused {
        /// Digest of the request's canonical bytes.
        digest: Digest,
        /// Why.
        reason: R,
    },
    /// The application does not accept the primary's batch, so this replica does not vote for it.
    BatchRefused {
        /// Its sequence number.
        sequence: SequenceNumber,
        /// Its digest.
        digest: Digest,
        /// Why.
        reason: R,
    },
    /// This replica must not go on. It refuses every later input.
    Halted(Fault),
}

/// Everything one input led to, in the order in which it must be done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the driver's law: drain all effects in order before the next input"]
pub struct Effects<R>(Vec<Effect<R>>);

impl<R> Effects<R> {
    pub(crate) const fn none() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn push(&mut self, effect: Effect<R>) {
        self.0.push(effect);
    }

    /// The effects, in order.
    pub fn as_slice(&self) -> &[Effect<R>] {
        &self.0
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<R> IntoIterator for Effects<R> {
    type Item = Effect<R>;
    type IntoIter = std::vec::IntoIter<Effect<R>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
