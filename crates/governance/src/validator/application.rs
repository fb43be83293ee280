//! The federation as a PBFT application: what a primary proposes, what a backup accepts, what execution does.
//!
//! Only here stand the rules that need a clock or data outside the ledger. They are judged at the first
//! PRE-PREPARE; execution ([`Executor`]) depends on the ordered entries alone.

use std::collections::{BTreeMap, BTreeSet};

use consensus_pbft::{
    Application, CheckpointCertificate, CheckpointStatement, CommitCertificate, Committee,
    Execution, Verdict,
};
use federation_proto::codec::Canonical;
use federation_proto::entry::{AggregatedUpdate, ApplySignoff};
use federation_proto::keys::{GovernanceNote, Identity, LogCheckpoint};
use federation_proto::signing::Endorsement;
use federation_proto::{
    Batch, BatchItem, Digest, Height, LedgerEntry, LogicalTime, Request, SecretKey, SequenceNumber,
    Signature, Signed, limits,
};
use ledger::{BlockFile, BlockHeader};
use thiserror::Error;

use super::approvals::{ApprovalRefusal, Approvals};
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
    pub(super) blobs: BTreeMap<Digest, Vec<u8>>,
    /// Blobs on their way to the disk.
    pub(super) storing: BTreeMap<Digest, Vec<u8>>,
    /// Blobs of the current cut that this validator lacks.
    wanted: BTreeSet<Digest>,
    asked: BTreeSet<Digest>,
    /// When each unordered commitment was first seen: what a cut may no longer leave out.
    held: BTreeMap<Digest, (LogicalTime, Signed<Request>)>,
    approvals: Approvals,
    /// This validator's own result for the current cut.
    own_result: Option<AggregatedUpdate>,
    /// Executed null requests that were not published yet: no block holds them.
    nulls: BTreeMap<SequenceNumber, Batch>,
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
    /// The step is not due yet.
    #[error("{0} is not due: neither complete nor has the window passed")]
    NotDue(&'static str),
    /// This validator's own aggregate differs.
    #[error("proposed aggregate {proposed} is not this validator's own {own}")]
    Aggregate {
        /// Digest of the proposal.
        proposed: Digest,
        /// Digest of its own.
        own: Digest,
    },
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
        Self {
            committee,
            executor,
            identity,
            log,
            blobs: BTreeMap::new(),
            storing: BTreeMap::new(),
            wanted: BTreeSet::new(),
            asked: BTreeSet::new(),
            held: BTreeMap::new(),
            approvals: Approvals::default(),
            own_result: None,
            nulls: BTreeMap::new(),
            last_checkpoint: 0,
            failure: None,
        }
    }

    pub(super) fn executor(&self) -> &Executor {
        &self.executor
    }

    pub(super) fn blobs(&self) -> &BTreeMap<Digest, Vec<u8>> {
        &self.blobs
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

    /// The null request of a sequence number, once.
    pub(super) fn take_null(&mut self, sequence: SequenceNumber) -> Option<Batch> {
        self.nulls.remove(&sequence)
    }

    pub(super) fn attach_checkpoint(&mut self, certificate: &CheckpointCertificate) {
        let height = certificate.statement.height;
        // A second certificate for one block is as good as the first, which stays.
        let _ = self.executor.ledger_mut().attach_checkpoint(height, certificate.to_canonical());
    }

    /// Remembers since when a commitment waits, for the cut's grace rule.
    pub(super) fn note_request(&mut self, now: LogicalTime, request: &Signed<Request>) {
        let LedgerEntry::UpdateCommitment(commitment) = &request.claimed().entry else {
            return;
        };
        let admissible = self.check_request(request).is_ok();
        if admissible && self.held.len() < limits::BATCH_ITEMS {
            let hash = commitment.update_hash;
            self.held.entry(hash).or_insert_with(|| (now, request.clone()));
        }
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

    fn signoff(&self) -> Option<ApplySignoff> {
        let needed = self.executor.rules().roster.configuration().thresholds.apply;
        self.approvals.complete(usize::from(needed))
    }

    /// Blobs to ask the other validators for, each once a cut.
    pub(super) fn missing_blobs(&mut self) -> Vec<Digest> {
        let new: Vec<Digest> = self.wanted.difference(&self.asked).copied().collect();
        self.asked.extend(&new);
        new
    }

    /// Requests or answers may have been lost: what is still missing is asked for again.
    pub(super) fn ask_again(&mut self) {
        self.asked.clear();
    }

    pub(super) fn is_wanted(&self, blob: &Digest) -> bool {
        self.wanted.contains(blob)
    }

    pub(super) fn no_longer_wanted(&mut self, blob: &Digest) {
        self.wanted.remove(blob);
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
        match state.phase() {
            Phase::Idle => {
                let opened = state.next_epoch(self.executor.rules())?;
                self.may_open(state, time).then_some(LedgerEntry::EpochOpened(opened))
            }
            Phase::Open { .. } => {
                let minimum = self.executor.rules().policy.document().epoch.minimum_updates;
                let cut = state.next_cut(self.executor.rules())?;
                let due = cut.included.len() >= minimum as usize && self.may_cut(state, time);
                due.then_some(LedgerEntry::EpochCut(cut))
            }
            Phase::Cut { .. } => {
                let own = self.own_result(state)?;
                Some(LedgerEntry::AggregatedUpdate(Box::new(own)))
            }
            Phase::Aggregated { .. } => self.signoff().map(LedgerEntry::ApplySignoff),
        }
    }

    /// The first epoch waits for the whole roster or the join window; later ones open at once.
    fn may_open(&self, state: &MachineState, time: LogicalTime) -> bool {
        let rules = self.executor.rules();
        let everybody = rules
            .roster
            .participants()
            .iter()
            .all(|participant| state.session_of(&participant.record.fingerprint).is_some());
        let window = rules.policy.document().admission.join_window_ms;
        let passed = state.started_at().is_some_and(|started| time.millis_since(started) >= window);
        everybody || passed || state.meta().federated_epoch().get() > 0
    }

    /// A cut waits for every site with a session, or for the window.
    fn may_cut(&self, state: &MachineState, time: LogicalTime) -> bool {
        let Phase::Open { opened_at, .. } = state.phase() else {
            return false;
        };
        let complete = state
            .sessions()
            .values()
            .filter(|session| state.epoch() <= session.not_after_epoch)
            .all(|session| state.waiting(&session.node) > 0);
        let window = self.executor.rules().policy.document().epoch.window_ms;
        complete || time.millis_since(*opened_at) >= window
    }

    /// This validator's own aggregate for the cut of `state`, if it has every blob.
    fn own_result(&mut self, state: &MachineState) -> Option<AggregatedUpdate> {
        if self.own_result.is_none() {
            let (rules, ledger) = (self.executor.rules(), self.executor.ledger());
            match epoch_result::compute(rules, ledger, state, &self.blobs) {
                EpochResult::Aggregated(aggregated, _) => self.own_result = Some(*aggregated),
                EpochResult::Missing(blobs) => self.wanted = blobs,
                // Nothing can be aggregated: the epoch stays open to a governed decision.
                EpochResult::NotInCut | EpochResult::Unaggregatable(_) => {}
            }
        }
        self.own_result.clone()
    }

    /// The rules that need a clock or data of this validator's own.
    fn judge_locally(
        &mut self,
        now: LogicalTime,
        batch: &Batch,
    ) -> Result<Readiness, ProposalRefusal> {
        let (parent, got) = (self.executor.ledger().head().batch_time, batch.batch_time);
        if got <= parent {
            return Err(ProposalRefusal::Time { parent, got });
        }
        let limit = self.executor.rules().policy.document().consensus.max_clock_drift_ms;
        let drift = got.millis_since(now).max(now.millis_since(got));
        if drift > limit {
            return Err(ProposalRefusal::Drift { got, drift, limit });
        }
        let before = self.executor.state().clone();
        self.executor.preview(batch)?;
        for (index, item) in batch.items.iter().enumerate() {
            let BatchItem::Derived(entry) = item else {
                continue;
            };
            match entry {
                LedgerEntry::EpochOpened(_)
                    if !self.may_open(&self.state_before(batch, index)?, got) =>
                {
                    return Err(ProposalRefusal::NotDue("EpochOpened"));
                }
                LedgerEntry::EpochCut(cut) => {
                    if !self.may_cut(&self.state_before(batch, index)?, got) {
                        return Err(ProposalRefusal::NotDue("EpochCut"));
                    }
                    let included: BTreeSet<_> =
                        cut.included.iter().map(|update| update.update_hash).collect();
                    self.check_withheld(now, &included)?;
                }
                LedgerEntry::AggregatedUpdate(proposed) => {
                    let Some(own) = self.own_result(&before) else {
                        return Ok(Readiness::LacksBlobs);
                    };
                    if own != **proposed {
                        let (proposed, own) = (proposed.hash(), own.hash());
                        return Err(ProposalRefusal::Aggregate { proposed, own });
                    }
                }
                _ => {}
            }
        }
        Ok(Readiness::Ready)
    }

    /// The state that item `index` of a batch meets. What a primary orders after a step cannot make it due.
    fn state_before(&self, batch: &Batch, index: usize) -> Result<MachineState, ProposalRefusal> {
        let items = batch.items.iter().take(index).cloned().collect();
        Ok(self.executor.preview(&Batch { batch_time: batch.batch_time, items })?)
    }

    fn check_withheld(
        &self,
        now: LogicalTime,
        included: &BTreeSet<Digest>,
    ) -> Result<(), ProposalRefusal> {
        let grace_ms = self.executor.rules().policy.document().epoch.commitment_grace_ms;
        for (update, (since, request)) in &self.held {
            let held_ms = now.millis_since(*since);
            // What became inadmissible since it arrived may be left out.
            let overdue = held_ms > grace_ms && !included.contains(update);
            if overdue && self.check_request(request).is_ok() {
                return Err(ProposalRefusal::Withheld { update: *update, held_ms, grace_ms });
            }
        }
        Ok(())
    }

    /// Whether the block is a checkpoint: at every step of the epoch machine, at sessions, and every K blocks.
    fn is_checkpoint(&self, header: &BlockHeader, batch: &Batch) -> bool {
        let interval = self.executor.rules().policy.document().consensus.checkpoint_interval;
        let quiet = |item: &BatchItem| matches!(item.entry(), LedgerEntry::UpdateCommitment(_));
        let step = !batch.items.iter().all(quiet);
        step || header.height.get() >= self.last_checkpoint + interval
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
        };
        let text = statement.note_text(&self.committee).ok()?;
        let signature = self.log.sign_raw(text.as_bytes());
        Some((statement, signature))
    }

    /// Forgets what the executed batch settled.
    fn settle(&mut self, batch: &Batch) {
        for item in &batch.items {
            match item.entry() {
                LedgerEntry::UpdateCommitment(commitment) => {
                    self.held.remove(&commitment.update_hash);
                }
                LedgerEntry::EpochCut(_) => {
                    self.own_result = None;
                    self.wanted.clear();
                    self.asked.clear();
                }
                LedgerEntry::ApplySignoff(_) => self.approvals.clear(),
                _ => {}
            }
        }
    }
}

impl Application for FederationApplication {
    type Refusal = ProposalRefusal;

    fn check_request(&self, request: &Signed<Request>) -> Result<(), ProposalRefusal> {
        check_request_signature(self.executor.rules(), request)?;
        let time = self.executor.ledger().head().batch_time.plus_millis(1);
        let items = vec![BatchItem::Request(request.clone())];
        self.executor.preview(&Batch { batch_time: time, items })?;
        Ok(())
    }

    fn propose(&mut self, now: LogicalTime, pool: &[Signed<Request>]) -> Option<Batch> {
        let batch_time = now.max(self.executor.ledger().head().batch_time.plus_millis(1));
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

    fn judge(
        &mut self,
        now: LogicalTime,
        _sequence: SequenceNumber,
        batch: &Batch,
    ) -> Verdict<ProposalRefusal> {
        match self.judge_locally(now, batch) {
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
    ) -> Execution {
        let none = Execution { checkpoint: None };
        match self.executor.execute(sequence, batch, certificate.to_canonical()) {
            Ok(Some(header)) => {
                self.settle(batch);
                if !self.is_checkpoint(&header, batch) {
                    return none;
                }
                self.last_checkpoint = header.height.get();
                Execution { checkpoint: self.checkpoint(&header) }
            }
            Ok(None) => {
                self.nulls.insert(sequence, batch.clone());
                none
            }
            Err(cause) => {
                self.failure = Some(cause);
                none
            }
        }
    }
}
