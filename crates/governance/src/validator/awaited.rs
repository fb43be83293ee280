//! What a correct primary would order by now, and this validator waits for.
//!
//! Whatever has been due the longest is named first, a request or the next step of the epoch machine. Steps keep
//! coming, and so do requests; if either went before the other, a primary could hide one that it leaves out behind
//! those that it orders. So what is left out is interrupted by at most the step of the phase in which it came.

use federation_proto::{Batch, BatchItem, Digest, LedgerEntry, LogicalTime, Request, Signed};

use super::application::FederationApplication;
use super::held::request_digest;
use crate::epoch_result::{self, EpochResult};
use crate::machine::Phase;

impl FederationApplication {
    /// The name of what has been due the longest. A request is named by its digest, a step by the block that
    /// began the phase: what the step contains may change while it waits.
    pub(super) fn first_due(&self, now: LogicalTime, pool: &[Signed<Request>]) -> Option<Digest> {
        let time = self.next_time(now);
        let (began, block) = self.phase_began;
        let step = self.step_is_due(time).then(|| (began, block.digest()));
        let request = pool.iter().find(|request| self.is_orderable(time, request)).map(|request| {
            let digest = request_digest(request);
            // One that found no room to be held waits as long as any.
            (self.held.since(&digest).unwrap_or(LogicalTime::ZERO), digest)
        });
        step.into_iter().chain(request).min_by_key(|(since, _)| *since).map(|(_, digest)| digest)
    }

    /// The time of a batch proposed now: time advances from block to block.
    pub(super) fn next_time(&self, now: LogicalTime) -> LogicalTime {
        now.max(self.executor.ledger().head().batch_time.plus_millis(1))
    }

    fn is_orderable(&self, batch_time: LogicalTime, request: &Signed<Request>) -> bool {
        let items = vec![BatchItem::Request(request.clone())];
        self.executor.preview(&Batch { batch_time, items }).is_ok()
    }

    /// Whether a correct primary would take the next step of the epoch machine at `time`.
    fn step_is_due(&self, time: LogicalTime) -> bool {
        let (rules, state) = (self.executor.rules(), self.executor.state());
        match state.phase() {
            Phase::Idle => state.next_epoch(rules).is_some() && state.opening_due(rules, time),
            Phase::Open { .. } => state.may_be_cut(rules, time),
            Phase::Cut { .. } => self.own_result.is_some() || self.result_exists(),
            Phase::Aggregated { .. } => self.signoff().is_some_and(|signoff| {
                let item = BatchItem::Derived(LedgerEntry::ApplySignoff(signoff));
                let items = vec![item];
                self.executor.preview(&Batch { batch_time: time, items }).is_ok()
            }),
        }
    }

    /// Whether the cut has a result. A quorum vouches for the blobs of a cut, so one that is missing here only is no
    /// excuse for the primary.
    fn result_exists(&self) -> bool {
        let (rules, state) = (self.executor.rules(), self.executor.state());
        let (ledger, blobs) = (self.executor.ledger(), self.store.blobs());
        match epoch_result::compute(rules, ledger, state, blobs) {
            EpochResult::Aggregated(..) | EpochResult::Missing(_) => true,
            EpochResult::NotInCut | EpochResult::Unaggregatable(_) => false,
        }
    }
}
