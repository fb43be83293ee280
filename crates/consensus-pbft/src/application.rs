//! The port to the replicated application: what is admissible, and what executing it does.
//!
//! The replica decides *order* and knows nothing of what is ordered. The application never sees a view, a
//! vote or a clock other than the times that the driver passed to [`Replica::handle`](crate::Replica::handle).

use core::fmt;

use federation_proto::{Batch, Digest, LogicalTime, Request, SequenceNumber, Signature, Signed};
use thiserror::Error;

use crate::certificate::CommitCertificate;
use crate::message::CheckpointStatement;

/// What a backup thinks of a batch at its first PRE-PREPARE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<R> {
    /// It may be ordered here.
    Accept,
    /// Something it needs has not happened: a blob has not arrived, or what is ahead must be executed first. Ask again
    /// at [`Input::Wake`](crate::Input::Wake), and when the next batch has been executed.
    Wait,
    /// It may not. Final for this PRE-PREPARE.
    Refuse(R),
}

/// What executing a batch led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// At a checkpoint: the result, whose sequence number is the executed one, and the signature of this
    /// validator's log key on [`CheckpointStatement::note_text`]. One that names a next configuration is a border:
    /// nothing beyond it is executed for this configuration.
    pub checkpoint: Option<(CheckpointStatement, Signature)>,
}

/// The application could not execute a decided batch. It keeps the cause for whoever drives it: the replica
/// could do nothing with one but stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the application could not execute the batch")]
pub struct ExecutionFailed;

/// The replicated application.
///
/// Exactly-once execution is the application's: its replicated state refuses a request that was executed
/// before. The replica only keeps a waiting request from waiting twice.
///
/// # Batches ahead
///
/// With a [`pipeline_depth`](crate::Settings::pipeline_depth) above 1 a batch is proposed and judged while those
/// before it are accepted but not executed: `ahead`, in sequence order, null requests among them, empty when nothing is
/// between the executed batch and this one. A request in `ahead` should be neither proposed nor accepted again, and the
/// time of a batch should stay above the times there.
///
/// What is ahead is likely, not certain: a view change may put null requests, or what an earlier view prepared, in the
/// places of batches that were accepted and keep those behind them. So whoever judges by `ahead` must be able to
/// *execute* a batch whose predecessors were others, which is to say: skip the requests in it that have been executed
/// or are not admissible any more. An application for which that is not so proposes nothing, and answers
/// [`Verdict::Wait`], while anything is ahead: then a quorum judges each batch only in the state it is executed in.
/// The same holds while what is ahead may lead to a border, for nothing may be voted for beyond one.
pub trait Application {
    /// Why something is not admissible.
    type Refusal: fmt::Debug + fmt::Display;

    /// Cheap admission of a request into the pool. It must verify the request's signature. It is asked again
    /// about waiting requests after every stable checkpoint; what is refused then leaves the pool.
    ///
    /// # Errors
    /// Why the request cannot be ordered.
    fn check_request(&self, request: &Signed<Request>) -> Result<(), Self::Refusal>;

    /// Asked of the primary while there is room in the pipeline: the batch to propose next, or nothing to wait. An
    /// empty batch counts as nothing: every backup would refuse it as a null request. `pool` holds the waiting requests
    /// in order of arrival, those in `ahead` too; the batch may leave some and add derived items. Limits:
    /// [`BATCH`](federation_proto::limits::BATCH) bytes, [`BATCH_ITEMS`](federation_proto::limits::BATCH_ITEMS) items.
    fn propose(
        &mut self,
        now: LogicalTime,
        pool: &[Signed<Request>],
        ahead: &[&Batch],
    ) -> Option<Batch>;

    /// Names the first thing that a correct primary would order by now, such as the digest of the oldest request that
    /// is admissible; none while nothing is due. While the answer stays the same the replica's patience runs, and
    /// ends in a view change: so a primary that stops, or leaves out one request for ever, is replaced.
    fn awaits(&self, now: LogicalTime, pool: &[Signed<Request>]) -> Option<Digest>;

    /// Asked of a backup once per PRE-PREPARE, in sequence order, and again after [`Verdict::Wait`]. Everything
    /// before `sequence` is executed or stands in `ahead`. It must verify the signatures of the requests in the batch.
    /// What a NEW-VIEW proposes again is not judged: an earlier view may have decided it.
    ///
    /// `arrived` is the clock when the PRE-PREPARE first arrived and was held, not of the asking: a proposal
    /// that waited for its predecessor or for data was in time if it arrived in time.
    fn judge(
        &mut self,
        arrived: LogicalTime,
        sequence: SequenceNumber,
        batch: &Batch,
        ahead: &[&Batch],
    ) -> Verdict<Self::Refusal>;

    /// Executes a decided batch. Called exactly once per sequence number, without gaps. The result must
    /// depend on the batches alone: no clock, no view, no certificate (it is passed to be stored).
    ///
    /// An empty batch is a null request, with which a NEW-VIEW fills gaps: it must change nothing but the sequence
    /// number [OSDI '99 §4.4].
    ///
    /// A decided batch is executed even where `judge` refused it: q replicas accepted it.
    ///
    /// # Errors
    /// [`ExecutionFailed`] stops the replica before this batch, with
    /// [`Fault::Execution`](crate::Fault::Execution). The application is not called again.
    fn execute(
        &mut self,
        sequence: SequenceNumber,
        batch: &Batch,
        certificate: &CommitCertificate,
    ) -> Result<Execution, ExecutionFailed>;
}
