//! The normal case: PRE-PREPARE, PREPARE, COMMIT, execution in order [OSDI '99 §4.2].
//!
//! A batch that others decided before we voted is executed at once; our votes for it still follow.
//!
//! ```text
//!            propose │ judge: Accept            prepared                 q COMMITs
//! Received ──────────┴────▶ Preparing ┄▶ PrepareSent ──▶ Committing ┄▶ CommitSent ──▶ executed
//!   ▲  ├─ judge: Wait ───▶ Waiting        ┄▶ the record is durable     (from any stage, in order)
//!   │  └─ judge: Refuse ─▶ Refused
//!   └── wake, execution ────┘
//! ```
//!
//! Several sequence numbers are in flight: stages beyond `Received` exist up to `executed + pipeline_depth`, but not
//! beyond H. They are assigned and judged in order, so that nobody votes for a batch without knowing what it expects
//! before it; prepared and committed in any order; executed in order. The primary assigns the next one when its last
//! assignment has left: requests gather meanwhile, and a crash leaves no hole among its assignments.

use federation_proto::codec::Canonical;
use federation_proto::{Batch, LogicalTime, SequenceNumber, Signed, Verified, View, limits};

use super::Replica;
use super::log::{Accepted, Held, Slot, Stage, Tabled};
use super::outbox::Pending;
use crate::application::{Application, ExecutionFailed, Verdict};
use crate::certificate::{CommitCertificate, Vote};
use crate::effect::{Effect, Effects};
use crate::evidence::Equivocation;
use crate::message::{Commit, ConsensusMessage, PrePrepare, Prepare, Proposal};
use crate::rejection::{Fault, OversizedBatch, Rejection};
use crate::safety::SafetyRecord;

impl Replica {
    /// A PRE-PREPARE arrived. It is held until its turn comes.
    pub(super) fn on_proposal<R>(
        &mut self,
        now: LogicalTime,
        proposal: Proposal,
        effects: &mut Effects<R>,
    ) -> Result<(), Rejection> {
        let claimed = *proposal.pre_prepare.claimed();
        let (replica, sequence) = (claimed.replica, claimed.sequence);
        self.admit_sender(replica)?;
        self.admit_view(claimed.view)?;
        let primary = self.committee.primary(self.view);
        if replica != primary {
            return Err(Rejection::NotPrimary { replica, primary });
        }
        self.admit_sequence(sequence)?;
        if self.rejoining {
            return Err(Rejection::ViewNotEntered { view: self.view });
        }
        match self.log.proposal(sequence) {
            Some(first) if *first.pre_prepare == claimed => {
                return Err(Rejection::Duplicate { replica, sequence });
            }
            Some(first) => {
                if !first.accused {
                    let first = first.pre_prepare.as_signed().clone();
                    let second = self.authenticate(replica, proposal.pre_prepare)?;
                    self.mark_accused_proposal(sequence);
                    let second = second.into_signed();
                    self.accuse(Equivocation::PrePrepare { first, second }, effects);
                }
                return Err(Rejection::Conflict { replica, sequence });
            }
            // What the NEW-VIEW settled may be decided, even where it proposes nothing again.
            None if sequence <= self.floor => {
                let floor = self.floor;
                return Err(Rejection::Settled { sequence, floor });
            }
            None => {}
        }
        let pre_prepare = self.authenticate(replica, proposal.pre_prepare)?;
        let batch = proposal.batch;
        let bytes = measure(&batch)?;
        self.admit_early(sequence, bytes)?;
        let computed = batch.digest(self.committee.context(), sequence);
        if computed != claimed.digest {
            return Err(Rejection::DigestMismatch { claimed: claimed.digest, computed });
        }
        // Asked last, so that the refusal blames the primary only for an emptiness that it signed.
        if batch.is_null() {
            return Err(Rejection::NullRequest { sequence });
        }
        let slot = self.log.slot_mut(sequence);
        slot.batches.insert(computed, Held { batch, bytes });
        slot.proposal = Some(Accepted {
            pre_prepare,
            arrived: now,
            exempt: false,
            accused: false,
            stage: Stage::Received,
        });
        Ok(())
    }

    /// A PREPARE arrived.
    pub(super) fn on_prepare<R>(
        &mut self,
        prepare: Signed<Prepare>,
        effects: &mut Effects<R>,
    ) -> Result<(), Rejection> {
        let replica = prepare.claimed().replica;
        if replica == self.committee.primary(self.view) {
            return Err(Rejection::PrepareByPrimary { replica });
        }
        self.on_vote(prepare, effects)
    }

    /// A PREPARE or COMMIT arrived: the first of a replica counts, another digest is evidence.
    pub(super) fn on_vote<V: Tabled, R>(
        &mut self,
        vote: Signed<V>,
        effects: &mut Effects<R>,
    ) -> Result<(), Rejection> {
        let claimed = *vote.claimed();
        let (replica, sequence) = (claimed.replica(), claimed.sequence());
        self.admit_sender(replica)?;
        self.admit_view(claimed.view())?;
        self.admit_sequence(sequence)?;
        let first = self.log.slots.get(&sequence).and_then(|slot| V::votes(slot).of(replica));
        match first {
            None => {
                let vote = self.authenticate(replica, vote)?;
                V::votes_mut(self.log.slot_mut(sequence)).insert(replica, vote);
                Ok(())
            }
            Some(first) if *first.vote == claimed => {
                Err(Rejection::Duplicate { replica, sequence })
            }
            Some(first) => {
                if !first.accused {
                    let first = first.vote.clone();
                    let second = self.authenticate(replica, vote)?;
                    V::votes_mut(self.log.slot_mut(sequence)).accuse(replica);
                    self.accuse(V::equivocation(first, second), effects);
                }
                Err(Rejection::Conflict { replica, sequence })
            }
        }
    }

    /// What the application waited for may be there.
    pub(super) fn ask_again(&mut self) {
        for sequence in self.log.in_flight() {
            let stage = self.log.proposal(sequence).map(|proposal| proposal.stage);
            if stage == Some(Stage::Waiting) {
                self.log.set_stage(sequence, Stage::Received);
            }
        }
    }

    /// One step of the sequence numbers in flight; whether there was one to take.
    pub(super) fn advance<A: Application>(
        &mut self,
        now: LogicalTime,
        app: &mut A,
        effects: &mut Effects<A::Refusal>,
    ) -> Result<bool, Fault> {
        if self.vote_for_decided(effects) {
            return Ok(true);
        }
        let next = self.log.next();
        if next <= self.log.high()
            && let Some(certificate) = self.commit_certificate(next)
        {
            self.execute(certificate, app, effects)?;
            return Ok(true);
        }
        for sequence in self.log.in_flight() {
            if self.advance_one(now, sequence, app, effects)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// One step of one sequence number in flight; whether there was one to take.
    fn advance_one<A: Application>(
        &mut self,
        now: LogicalTime,
        sequence: SequenceNumber,
        app: &mut A,
        effects: &mut Effects<A::Refusal>,
    ) -> Result<bool, Fault> {
        match self.log.proposal(sequence).map(|proposal| proposal.stage) {
            None if self.may_assign(sequence) => self.propose(now, sequence, app, effects),
            Some(Stage::Received) => Ok(self.judge(sequence, app, effects)),
            Some(Stage::PrepareSent) if self.is_prepared(sequence) => {
                self.commit(sequence, effects);
                Ok(true)
            }
            None
            | Some(
                Stage::Waiting
                | Stage::Refused
                | Stage::Preparing
                | Stage::PrepareSent
                | Stage::Committing
                | Stage::CommitSent,
            ) => Ok(false),
        }
    }

    /// One vote for a batch that others decided before we had voted; whether there was one to cast.
    ///
    /// Ours may still be missing elsewhere: a liar can complete a quorum at one replica and withhold its vote
    /// from the rest. The batch is decided, so the application is not asked any more.
    fn vote_for_decided<R>(&mut self, effects: &mut Effects<R>) -> bool {
        let quorum = self.committee.quorum();
        let mut decided = self.log.slots.range(..=self.log.executed);
        let due = decided.find_map(|(sequence, slot)| {
            let stage = slot.proposal.as_ref()?.stage;
            // The usual case first: of a window of executed batches each step looks at no more than this.
            if matches!(stage, Stage::Preparing | Stage::Committing | Stage::CommitSent) {
                return None;
            }
            // Under a primary that told us another batch, ours stays without a vote. What a NEW-VIEW proposes again
            // may have been executed here without its batch being kept.
            let decided = slot.decided.as_ref().is_none_or(|decided| {
                slot.proposal.as_ref().is_some_and(|own| own.pre_prepare.digest == decided.digest)
            });
            slot.batch().filter(|_| decided)?;
            let due = stage < Stage::Preparing
                || (stage == Stage::PrepareSent && slot.is_prepared(quorum));
            due.then_some((*sequence, stage))
        });
        match due {
            Some((sequence, Stage::PrepareSent)) => self.commit(sequence, effects),
            Some((sequence, _)) => self.prepare(sequence, effects),
            None => return false,
        }
        true
    }

    /// Broadcasts our proposal if it is ours and durable.
    pub(super) fn send_proposal<R>(&self, sequence: SequenceNumber, effects: &mut Effects<R>) {
        if let Some(slot) = self.log.slots.get(&sequence)
            && let Some(accepted) = &slot.proposal
            && accepted.pre_prepare.replica == self.id
            && accepted.stage >= Stage::PrepareSent
            // The NEW-VIEW carries those up to the floor.
            && sequence > self.floor
            && let Some(proposal) = slot.to_proposal()
        {
            effects.push(Effect::Broadcast(ConsensusMessage::Proposal(proposal)));
        }
    }

    /// Counts a vote of our own that has become durable.
    pub(super) fn count_own<V: Tabled>(&mut self, vote: &Verified<V>, stage: Stage) {
        let (sequence, own) = (vote.sequence(), self.id);
        // Others may have decided and certified the slot meanwhile; then nothing is left to count.
        if sequence > self.log.low {
            V::votes_mut(self.log.slot_mut(sequence)).insert(own, vote.clone());
            self.log.set_stage(sequence, stage);
        }
    }

    /// Whether a vote of ours is of the view we take part in: one that became durable later is not sent any more.
    pub(super) fn is_present(&self, view: View) -> bool {
        self.active && view == self.view && self.retired_at().is_none()
    }

    /// Whether a sequence number that has no assignment is ours to assign now.
    fn may_assign(&self, sequence: SequenceNumber) -> bool {
        self.active
            && self.is_primary()
            && sequence > self.floor
            && !self.log.is_assigning(sequence)
            // Others refuse what they have no room for, and it would have to be sent again.
            && self.admit_early(sequence, limits::BATCH).is_ok()
    }

    /// The primary assigns the next sequence number.
    fn propose<A: Application>(
        &mut self,
        now: LogicalTime,
        sequence: SequenceNumber,
        app: &mut A,
        effects: &mut Effects<A::Refusal>,
    ) -> Result<bool, Fault> {
        let Some(ahead) = self.log.ahead(sequence) else {
            return Ok(false);
        };
        // An empty batch orders nothing, and every backup refuses it.
        let batch = app.propose(now, self.pool.requests(), &ahead).filter(|batch| !batch.is_null());
        let Some(batch) = batch else {
            return Ok(false);
        };
        let bytes = measure(&batch)?;
        let body = PrePrepare {
            view: self.view,
            sequence,
            digest: batch.digest(self.committee.context(), sequence),
            replica: self.id,
        };
        let accepted = Accepted {
            pre_prepare: Verified::signed_by_us(body, &self.key, self.committee.context()),
            arrived: now,
            exempt: false,
            accused: false,
            stage: Stage::Preparing,
        };
        let pre_prepare = accepted.pre_prepare.as_signed().clone();
        let record = SafetyRecord::PrePrepare(Proposal { pre_prepare, batch: batch.clone() });
        let slot = self.log.slot_mut(sequence);
        slot.batches.insert(body.digest, Held { batch, bytes });
        slot.proposal = Some(accepted);
        self.outbox.persist(record, Pending::Proposal(body), effects);
        Ok(true)
    }

    /// A backup asks its application about the proposal, if its turn has come, and votes; whether it had.
    fn judge<A: Application>(
        &mut self,
        sequence: SequenceNumber,
        app: &mut A,
        effects: &mut Effects<A::Refusal>,
    ) -> bool {
        let Some(slot) = self.log.slots.get(&sequence) else {
            return false;
        };
        let (Some(accepted), Some(batch)) = (&slot.proposal, slot.batch()) else {
            return false;
        };
        if accepted.exempt {
            self.prepare(sequence, effects);
            return true;
        }
        // One before it is missing, waits or was refused: this one is held.
        let Some(ahead) = self.log.ahead(sequence) else {
            return false;
        };
        let digest = accepted.pre_prepare.digest;
        match app.judge(accepted.arrived, sequence, batch, &ahead) {
            Verdict::Wait => self.log.set_stage(sequence, Stage::Waiting),
            Verdict::Refuse(reason) => {
                self.log.set_stage(sequence, Stage::Refused);
                effects.push(Effect::BatchRefused { sequence, digest, reason });
            }
            Verdict::Accept => self.prepare(sequence, effects),
        }
        true
    }

    /// We vote for the proposal we hold.
    fn prepare<R>(&mut self, sequence: SequenceNumber, effects: &mut Effects<R>) {
        let proposal = self.log.slots.get(&sequence).and_then(Slot::to_proposal);
        let Some(proposal) = proposal else {
            return;
        };
        let digest = proposal.pre_prepare.claimed().digest;
        let body = Prepare { view: self.view, sequence, digest, replica: self.id };
        let prepare = Verified::signed_by_us(body, &self.key, self.committee.context());
        let record = SafetyRecord::Prepare { proposal, prepare: prepare.as_signed().clone() };
        self.log.set_stage(sequence, Stage::Preparing);
        self.outbox.persist(record, Pending::Prepare(prepare), effects);
    }

    /// Prepared: we vote to commit, and keep what entitles us to.
    fn commit<R>(&mut self, sequence: SequenceNumber, effects: &mut Effects<R>) {
        let quorum = self.committee.quorum();
        let Some(slot) = self.log.slots.get_mut(&sequence) else {
            return;
        };
        // From here on a VIEW-CHANGE of ours must name it, whether the record becomes durable before or after.
        slot.prepared = slot.prepared_certificate(quorum);
        let Some(accepted) = &slot.proposal else {
            return;
        };
        let digest = accepted.pre_prepare.digest;
        let body = Commit { view: self.view, sequence, digest, replica: self.id };
        let commit = Verified::signed_by_us(body, &self.key, self.committee.context());
        let prepares = slot.prepares.matching(digest);
        let record = SafetyRecord::Commit {
            prepares: prepares.map(|vote| vote.as_signed().clone()).collect(),
            commit: commit.as_signed().clone(),
        };
        self.log.set_stage(sequence, Stage::Committing);
        self.outbox.persist(record, Pending::Commit(commit), effects);
    }

    /// A decided batch takes effect, in order and once, or this replica stops before it.
    fn execute<A: Application>(
        &mut self,
        certificate: CommitCertificate,
        app: &mut A,
        effects: &mut Effects<A::Refusal>,
    ) -> Result<(), Fault> {
        let sequence = certificate.sequence;
        let floor = self.floor;
        let slot = self.log.slot_mut(sequence);
        let Some(held) = slot.batches.get(&certificate.digest) else {
            return Ok(());
        };
        if let Some(proposal) = slot.proposal.as_ref().filter(|_| sequence <= floor) {
            proposal.agrees_with(&certificate)?;
        }
        // A failure changes nothing here: the next batch must not meet a state without this one.
        let execution = app
            .execute(sequence, &held.batch, &certificate)
            .map_err(|ExecutionFailed| Fault::Execution { sequence })?;
        self.pool.remove(&held.batch);
        slot.decided = Some(certificate.clone());
        self.log.executed = sequence;
        self.ask_again();
        if self.active {
            self.timer.reset(self.settings.get());
        }
        effects.push(Effect::Committed { sequence, certificate });
        let Some((statement, note)) = execution.checkpoint else {
            return Ok(());
        };
        if statement.sequence != sequence {
            let (executed, found) = (sequence, statement.sequence);
            return Err(Fault::CheckpointSequence { executed, found });
        }
        self.make_checkpoint(statement, note, effects)
    }

    /// The proof that the order is decided, if we have it and the batch: one that others sent, or the COMMITs of a
    /// quorum for the proposal we hold. They decide whatever our own vote was: a quorum of
    /// COMMITs contains one of a correct replica, which saw the batch prepared.
    fn commit_certificate(&self, sequence: SequenceNumber) -> Option<CommitCertificate> {
        let slot = self.log.slots.get(&sequence)?;
        if let Some(decided) = &slot.decided {
            return slot.batches.contains_key(&decided.digest).then(|| decided.clone());
        }
        let proposal = slot.proposal.as_ref()?;
        slot.batch()?;
        if !slot.is_committed(self.committee.quorum()) {
            return None;
        }
        let digest = proposal.pre_prepare.digest;
        let vote = |commit: &Verified<Commit>| Vote {
            replica: commit.replica,
            signature: *commit.as_signed().signature(),
        };
        Some(CommitCertificate {
            view: self.view,
            sequence,
            digest,
            votes: slot.commits.matching(digest).map(vote).collect(),
        })
    }

    pub(super) fn is_prepared(&self, sequence: SequenceNumber) -> bool {
        let quorum = self.committee.quorum();
        let slot = self.log.slots.get(&sequence);
        slot.is_some_and(|slot| slot.is_prepared(quorum))
    }

    /// A liar as primary may not make us hold a window of the largest batches.
    pub(super) fn admit_early(
        &self,
        sequence: SequenceNumber,
        bytes: usize,
    ) -> Result<(), Rejection> {
        let (held, limit) = (self.log.early_bytes(), self.settings.get().early_batch_bytes);
        if sequence > self.log.next() && held.saturating_add(bytes) > limit {
            return Err(Rejection::EarlyBatches { held, bytes, limit });
        }
        Ok(())
    }

    fn mark_accused_proposal(&mut self, sequence: SequenceNumber) {
        if let Some(proposal) = &mut self.log.slot_mut(sequence).proposal {
            proposal.accused = true;
        }
    }
}

impl Slot {
    /// The present view's assignment with its batch, if both are here.
    fn to_proposal(&self) -> Option<Proposal> {
        let pre_prepare = self.proposal.as_ref()?.pre_prepare.as_signed().clone();
        Some(Proposal { pre_prepare, batch: self.batch()?.clone() })
    }
}

/// Canonical length of a batch within the wire's limits. A batch that came as a value met no decoder.
pub(super) fn measure(batch: &Batch) -> Result<usize, OversizedBatch> {
    let (items, bytes) = (batch.items.len(), batch.to_canonical().len());
    if items > limits::BATCH_ITEMS || bytes > limits::BATCH {
        return Err(OversizedBatch {
            items,
            bytes,
            max_items: limits::BATCH_ITEMS,
            max_bytes: limits::BATCH,
        });
    }
    Ok(bytes)
}
