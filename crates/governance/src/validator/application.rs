//! The federation as a PBFT application: what a primary proposes, what a backup accepts, what execution does.
//!
//! Only here stand the rules that need a clock or data outside the ledger. They are judged at the first
//! PRE-PREPARE; execution ([`Executor`]) depends on the ordered entries alone.

use std::collections::BTreeSet;

use consensus_pbft::{
    Application, CheckpointCertificate, CheckpointStatement, CommitCertificate, Committee,
    Execution, ExecutionFailed, Verdict,
};
use federation_proto::codec::Canonical;
use federation_proto::entry::{AggregatedUpdate, ApplySignoff, EpochCut};
use federation_proto::keys::{GovernanceNote, Identity, LogCheckpoint};
use federation_proto::signing::Endorsement;
use federation_proto::{
    Batch, BatchItem, Digest, Height, LedgerBlockId, LedgerEntry, LogicalTime, Request, SecretKey,
    SequenceNumber, Signature, Signed, limits,
};
use ledger::{BlockFile, BlockHeader};
use thiserror::Error;

use super::approvals::{ApprovalRefusal, Approvals};
use super::blobs::BlobStore;
use super::held::{HeldRequests, request_digest};
use crate::epoch_result::{self, EpochResult};
use crate::executor::{ExecutionError, Executor};
use crate::machine::{BatchRefusal, MachineState, Phase, Refusal, check_request_signature};

/// The replicated application of one validator.
#[derive(Debug)]
pub(super) struct FederationApplication {
    pub(super) committee: Committee,
    pub(super) executor: Executor,
    pub(super) identity: SecretKey<Identity>,
    log: SecretKey<LogCheckpoint>,
    pub(super) store: BlobStore,
    pub(super) held: HeldRequests,
    approvals: Approvals,
    /// This validator's own result for the current cut.
    pub(super) own_result: Option<Box<AggregatedUpdate>>,
    /// Agreed time and id of the block that began the present phase; before the first block, zero and the federation.
    pub(super) phase_began: (LogicalTime, LedgerBlockId),
    last_checkpoint: u64,
    failure: Option<ExecutionError>,
}

/// Why this validator does not accept a proposal.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ProposalRefusal {
    /// The state machine refuses an item.
    #[error(transparent)]
    Batch(#[from] BatchRefusal),
    /// A request may not enter the pool.
    #[error(transparent)]
    Request(#[from] Refusal),
    /// Time does not advance.
    #[error("batch time {got} is not above the parent's {parent}")]
    Time {
        /// The parent block's time.
        parent: LogicalTime,
        /// The proposal's.
        got: LogicalTime,
    },
    /// The primary's clock is off.
    #[error("batch time {got} is {drift} ms from this clock, {limit} ms are allowed")]
    Drift {
        /// The proposal's time.
        got: LogicalTime,
        /// Distance in milliseconds.
        drift: u64,
        /// Allowed.
        limit: u64,
    },
    /// A cut leaves out what this validator has held too long.
    #[error("cut leaves out update {update} held for {held_ms} ms, {grace_ms} ms are allowed")]
    Withheld {
        /// The update.
        update: Digest,
        /// Milliseconds held.
        held_ms: u64,
        /// Allowed.
        grace_ms: u64,
    },
    /// This validator has no result for what is aggregated: nothing was cut before this batch.
    #[error("an aggregate without a cut in an earlier batch")]
    NoResult,
    /// This validator's own aggregate differs.
    #[error("proposed aggregate {proposed} is not this validator's own {own}")]
    Aggregate {
        /// Digest of the proposal.
        proposed: Digest,
        /// Digest of its own.
        own: Digest,
    },
}

/// This validator's own result of a cut.
enum OwnResult {
    Is(Box<AggregatedUpdate>),
    LacksBlobs,
    None,
}

/// A block that execution made.
pub(super) struct OrderedBlock {
    pub(super) header: BlockHeader,
    is_checkpoint: bool,
}

/// Whether everything needed to judge a proposal is here.
enum Readiness {
    Ready,
    LacksBlobs,
}

impl FederationApplication {
    pub(super) fn new(
        committee: Committee,
        executor: Executor,
        identity: SecretKey<Identity>,
        log: SecretKey<LogCheckpoint>,
    ) -> Self {
        let phase_began = (LogicalTime::ZERO, executor.ledger().head().id);
        Self {
            committee,
            executor,
            identity,
            log,
            store: BlobStore::default(),
            held: HeldRequests::default(),
            approvals: Approvals::default(),
            own_result: None,
            phase_began,
            last_checkpoint: 0,
            failure: None,
        }
    }

    pub(super) fn executor(&self) -> &Executor {
        &self.executor
    }

    pub(super) fn take_failure(&mut self) -> Option<ExecutionError> {
        self.failure.take()
    }

    /// The block of a sequence number. A replica that catches up executes several batches in one step, so it
    /// need not be the head.
    pub(super) fn block_of(&self, sequence: SequenceNumber) -> Option<&BlockFile> {
        let ledger = self.executor.ledger();
        let heights = (1..=ledger.head().height.get()).rev().map(Height::new);
        let mut blocks = heights.filter_map(|height| ledger.block(height));
        blocks
            .find(|block| block.header.sequence <= sequence)
            .filter(|block| block.header.sequence == sequence)
    }

    pub(super) fn attach_checkpoint(&mut self, certificate: &CheckpointCertificate) {
        let height = certificate.statement.height;
        // A second certificate for one block is as good as the first, which stays.
        let _ = self.executor.ledger_mut().attach_checkpoint(height, certificate.to_canonical());
    }

    /// Holds an admissible request until it is ordered; says whether it is a commitment that is new here.
    pub(super) fn note_request(&mut self, now: LogicalTime, request: &Signed<Request>) -> bool {
        let commits = matches!(request.claimed().entry, LedgerEntry::UpdateCommitment(_));
        self.check_request(request).is_ok() && self.held.hold(now, request) && commits
    }

    /// Takes a governor's approval of the aggregate that waits.
    pub(super) fn approve(
        &mut self,
        draft: ApplySignoff,
        endorsement: Endorsement<GovernanceNote>,
    ) -> Result<(), ApprovalRefusal> {
        let (rules, phase) = (self.executor.rules(), self.executor.state().phase());
        self.approvals.take(rules, phase, draft, endorsement)
    }

    pub(super) fn signoff(&self) -> Option<ApplySignoff> {
        let needed = self.executor.rules().roster.configuration().thresholds.apply;
        self.approvals.complete(usize::from(needed))
    }

    /// When the next step becomes due by time alone.
    pub(super) fn next_wake(&self, now: LogicalTime) -> Option<LogicalTime> {
        let policy = self.executor.rules().policy.document();
        let state = self.executor.state();
        let due = match state.phase() {
            Phase::Idle if state.meta().federated_epoch().get() == 0 => {
                state.started_at()?.plus_millis(policy.admission.join_window_ms)
            }
            Phase::Open { opened_at, .. } => opened_at.plus_millis(policy.epoch.window_ms),
            _ => return None,
        };
        (due > now).then_some(due)
    }

    /// The derived entry that `state` makes due at `time`, if any.
    fn due_entry(&mut self, state: &MachineState, time: LogicalTime) -> Option<LedgerEntry> {
        let rules = self.executor.rules();
        match state.phase() {
            Phase::Idle if !state.opening_due(rules, time) => None,
            Phase::Idle => state.next_epoch(rules).map(LedgerEntry::EpochOpened),
            Phase::Open { .. } if !state.may_be_cut(rules, time) => None,
            Phase::Open { .. } => state.next_cut(rules).map(LedgerEntry::EpochCut),
            Phase::Cut { .. } => match self.own_result(state) {
                OwnResult::Is(own) => Some(LedgerEntry::AggregatedUpdate(own)),
                OwnResult::LacksBlobs | OwnResult::None => None,
            },
            Phase::Aggregated { .. } => self.signoff().map(LedgerEntry::ApplySignoff),
        }
    }

    /// This validator's own aggregate for the cut of `state`.
    fn own_result(&mut self, state: &MachineState) -> OwnResult {
        if let Some(own) = &self.own_result {
            return OwnResult::Is(own.clone());
        }
        let (rules, ledger) = (self.executor.rules(), self.executor.ledger());
        match epoch_result::compute(rules, ledger, state, self.store.blobs()) {
            EpochResult::Aggregated(own, _) => {
                self.own_result = Some(own.clone());
                OwnResult::Is(own)
            }
            EpochResult::Missing(blobs) => {
                self.store.want(blobs);
                OwnResult::LacksBlobs
            }
            EpochResult::NotInCut | EpochResult::Unaggregatable(_) => OwnResult::None,
        }
    }

    /// The rules that need a clock or data of this validator's own.
    fn judge_locally(
        &mut self,
        arrived: LogicalTime,
        batch: &Batch,
    ) -> Result<Readiness, ProposalRefusal> {
        let (parent, got) = (self.executor.ledger().head().batch_time, batch.batch_time);
        if got <= parent {
            return Err(ProposalRefusal::Time { parent, got });
        }
        let limit = self.executor.rules().policy.document().consensus.max_clock_drift_ms;
        let drift = got.millis_since(arrived).max(arrived.millis_since(got));
        if drift > limit {
            return Err(ProposalRefusal::Drift { got, drift, limit });
        }
        self.executor.preview(batch)?;
        let before = self.executor.state().clone();
        for entry in batch.items.iter().map(BatchItem::entry) {
            match entry {
                LedgerEntry::EpochCut(cut) => self.check_withheld(arrived, cut)?,
                LedgerEntry::AggregatedUpdate(proposed) => match self.own_result(&before) {
                    OwnResult::Is(own) if own == *proposed => {}
                    OwnResult::Is(own) => {
                        let (proposed, own) = (proposed.hash(), own.hash());
                        return Err(ProposalRefusal::Aggregate { proposed, own });
                    }
                    OwnResult::LacksBlobs => return Ok(Readiness::LacksBlobs),
                    OwnResult::None => return Err(ProposalRefusal::NoResult),
                },
                _ => {}
            }
        }
        Ok(Readiness::Ready)
    }

    /// Refuses a cut that leaves out what every validator has had the time to see.
    fn check_withheld(&self, arrived: LogicalTime, cut: &EpochCut) -> Result<(), ProposalRefusal> {
        let grace_ms = self.executor.rules().policy.document().epoch.commitment_grace_ms;
        let included: BTreeSet<_> = cut
            .included
            .iter()
            .map(|update| (update.node_fingerprint, update.update_hash))
            .collect();
        for (request, held_ms) in self.held.overdue(arrived, grace_ms) {
            let LedgerEntry::UpdateCommitment(commitment) = &request.claimed().entry else {
                continue;
            };
            let update = commitment.update_hash;
            // What became inadmissible since it arrived may be left out.
            let left_out = !included.contains(&(commitment.node_fingerprint, update));
            if left_out && self.check_request(request).is_ok() {
                return Err(ProposalRefusal::Withheld { update, held_ms, grace_ms });
            }
        }
        Ok(())
    }

    /// Executes a decided batch. A null request, with which a NEW-VIEW fills a gap, makes no block.
    pub(super) fn order(
        &mut self,
        sequence: SequenceNumber,
        batch: &Batch,
        certificate: Vec<u8>,
    ) -> Result<Option<OrderedBlock>, ExecutionError> {
        let Some(header) = self.executor.execute(sequence, batch, certificate)? else {
            return Ok(None);
        };
        self.settle(&header, batch);
        let is_checkpoint = self.is_checkpoint(&header, batch);
        if is_checkpoint {
            self.last_checkpoint = header.height.get();
        }
        Ok(Some(OrderedBlock { header, is_checkpoint }))
    }

    /// Whether the block is a checkpoint: at every step of the epoch machine, at sessions, and every K blocks.
    fn is_checkpoint(&self, header: &BlockHeader, batch: &Batch) -> bool {
        let interval = self.executor.rules().policy.document().consensus.checkpoint_interval;
        let quiet = |item: &BatchItem| matches!(item.entry(), LedgerEntry::UpdateCommitment(_));
        let step = !batch.items.iter().all(quiet);
        step || header.height.get() >= self.last_checkpoint + interval
    }

    /// What a block that is a checkpoint came to.
    pub(super) fn reached(
        &self,
        ordered: &OrderedBlock,
    ) -> Option<(CheckpointStatement, Signature)> {
        ordered.is_checkpoint.then(|| self.checkpoint(&ordered.header)).flatten()
    }

    fn checkpoint(&self, header: &BlockHeader) -> Option<(CheckpointStatement, Signature)> {
        let log_size = header.height.get();
        let statement = CheckpointStatement {
            sequence: header.sequence,
            height: header.height,
            header_hash: header.id(),
            log_size,
            log_root: self.executor.log_root(log_size)?,
            state_root: header.state_root_after,
            next: None,
        };
        let text = statement.note_text(&self.committee).ok()?;
        let signature = self.log.sign_raw(text.as_bytes());
        Some((statement, signature))
    }

    /// Forgets what the executed batch settled.
    fn settle(&mut self, header: &BlockHeader, batch: &Batch) {
        for entry in batch.items.iter().map(BatchItem::entry) {
            match entry {
                LedgerEntry::EpochCut(_) => {
                    self.own_result = None;
                    self.store.forget_wanted();
                }
                LedgerEntry::ApplySignoff(_) => self.approvals.clear(),
                _ => {}
            }
        }
        if batch.items.iter().any(|item| matches!(item, BatchItem::Derived(_))) {
            self.phase_began = (header.batch_time, header.id());
        }
        let mut held = core::mem::take(&mut self.held);
        held.settle(batch, |request| self.check_request(request).is_ok());
        self.held = held;
    }
}

impl Application for FederationApplication {
    type Refusal = ProposalRefusal;

    fn check_request(&self, request: &Signed<Request>) -> Result<(), ProposalRefusal> {
        // One site must not fill the pool: as many commitments of it wait here as may wait for a cut.
        let node = request.claimed().node_fingerprint;
        let limit = self.executor.rules().policy.document().epoch.maximum_commitments_per_node;
        let count = self.held.of_node_without(&node, &request_digest(request));
        if count >= limit as usize {
            return Err(Refusal::TooManyCommitments { count, limit }.into());
        }
        check_request_signature(self.executor.rules(), request)?;
        let time = self.executor.ledger().head().batch_time.plus_millis(1);
        let items = vec![BatchItem::Request(request.clone())];
        self.executor.preview(&Batch { batch_time: time, items })?;
        Ok(())
    }

    /// One batch at a time: admissibility, derived entries and batch time follow from the executed state, and a batch
    /// whose predecessor a view change replaced could not be executed.
    fn propose(
        &mut self,
        now: LogicalTime,
        pool: &[Signed<Request>],
        ahead: &[&Batch],
    ) -> Option<Batch> {
        if !ahead.is_empty() {
            return None;
        }
        let batch_time = self.next_time(now);
        let mut batch = Batch { batch_time, items: Vec::new() };
        let mut state = self.executor.state().clone();
        let mut bytes = 0;
        // One item of room is kept for a derived entry.
        for request in pool.iter().take(limits::BATCH_ITEMS - 1) {
            let item = BatchItem::Request(request.clone());
            bytes += item.to_canonical().len();
            if bytes > limits::BATCH - limits::ENTRY {
                break;
            }
            // What is not admissible now may become so, or leave the pool at the next checkpoint.
            if let Ok(next) = self.executor.extend(&state, &batch, &item) {
                state = next;
                batch.items.push(item);
            }
        }
        if let Some(entry) = self.due_entry(&state, batch_time) {
            let item = BatchItem::Derived(entry);
            // A sign-off is as good as the governors behind it. What every backup must refuse is not proposed:
            // the sequence number would be stuck for ever.
            if self.executor.extend(&state, &batch, &item).is_ok() {
                batch.items.push(item);
            }
        }
        (!batch.items.is_empty()).then_some(batch)
    }

    fn awaits(&self, now: LogicalTime, pool: &[Signed<Request>]) -> Option<Digest> {
        self.first_due(now, pool)
    }

    fn judge(
        &mut self,
        arrived: LogicalTime,
        _sequence: SequenceNumber,
        batch: &Batch,
        ahead: &[&Batch],
    ) -> Verdict<ProposalRefusal> {
        // So no quorum votes for a batch before its members have executed the one before it.
        if !ahead.is_empty() {
            return Verdict::Wait;
        }
        match self.judge_locally(arrived, batch) {
            Ok(Readiness::Ready) => Verdict::Accept,
            Ok(Readiness::LacksBlobs) => Verdict::Wait,
            Err(refusal) => Verdict::Refuse(refusal),
        }
    }

    fn execute(
        &mut self,
        sequence: SequenceNumber,
        batch: &Batch,
        certificate: &CommitCertificate,
    ) -> Result<Execution, ExecutionFailed> {
        let ordered = self.order(sequence, batch, certificate.to_canonical());
        let ordered = ordered.map_err(|cause| {
            self.failure = Some(cause);
            ExecutionFailed
        })?;
        Ok(Execution { checkpoint: ordered.and_then(|ordered| self.reached(&ordered)) })
    }
}
