//! Beginning a view [OSDI '99 §4.4].
//!
//! What a NEW-VIEW proposes follows from its VIEW-CHANGEs: from the highest stable checkpoint to the highest prepared
//! sequence number, each with the batch that was prepared in the latest view, or a null request. So everything that may
//! have been decided keeps its place, and every replica can check it.

use std::collections::{BTreeMap, BTreeSet};

use federation_proto::{Batch, Digest, LogicalTime, SequenceNumber, Signed, Verified};

use super::Replica;
use super::admission::{authenticate, member};
use super::attention::Costly;
use super::log::{Accepted, Held, Stage};
use super::outbox::Pending;
use super::view_change::check_view_change;
use crate::certificate::{CheckpointCertificate, CommitCertificate};
use crate::committee::Committee;
use crate::effect::{Effect, Effects};
use crate::message::{ConsensusMessage, NewView, PrePrepare, ViewChange};
use crate::rejection::{Fault, NewViewFault, Rejection};
use crate::safety::SafetyRecord;

/// What VIEW-CHANGEs of a quorum lead to.
pub(super) struct Plan<'a> {
    /// The highest stable checkpoint.
    pub(super) stable: Option<&'a CheckpointCertificate>,
    /// The digest of every sequence number from there to the highest prepared one, in order.
    pub(super) proposals: Vec<(SequenceNumber, Digest)>,
}

impl<'a> Plan<'a> {
    pub(super) fn of(
        changes: impl Iterator<Item = &'a ViewChange> + Clone,
        committee: &Committee,
    ) -> Self {
        let stables = changes.clone().filter_map(|change| change.stable.as_ref());
        let stable = stables.max_by_key(|certificate| certificate.statement.sequence);
        let low = stable.map_or(committee.base(), |stable| stable.statement.sequence);
        let mut latest: BTreeMap<SequenceNumber, &PrePrepare> = BTreeMap::new();
        for prepared in changes.flat_map(|change| &change.prepared) {
            let claimed = prepared.claimed();
            let known = latest.entry(claimed.sequence).or_insert(claimed);
            if claimed.view > known.view {
                *known = claimed;
            }
        }
        let high = latest.keys().next_back().copied().unwrap_or(low);
        let sequences = (low.get()..high.get()).map(|before| SequenceNumber::new(before + 1));
        let proposals = sequences.map(|sequence| {
            let null = || null_request().digest(committee.context(), sequence);
            (sequence, latest.get(&sequence).map_or_else(null, |prepared| prepared.digest))
        });
        Self { stable, proposals: proposals.collect() }
    }
}

/// The last sequence number that VIEW-CHANGEs settle: the highest prepared one, or the highest stable checkpoint.
pub(crate) fn floor<'a>(changes: impl Iterator<Item = &'a ViewChange>) -> SequenceNumber {
    let of = |change: &'a ViewChange| {
        let stable = change.stable.as_ref().map(|stable| stable.statement.sequence);
        let prepared = change.prepared.last().map(|prepared| prepared.claimed().sequence);
        stable.max(prepared)
    };
    changes.filter_map(of).max().unwrap_or(SequenceNumber::ZERO)
}

/// The batch that fills a gap: without items, at no time.
pub(super) fn null_request() -> Batch {
    Batch { batch_time: LogicalTime::ZERO, items: Vec::new() }
}

impl Replica {
    /// A quorum wants the view and we are its primary: it begins, once its record is durable.
    pub(super) fn begin_view<R>(&mut self, effects: &mut Effects<R>) -> bool {
        if !self.is_primary() || self.beginning == Some(self.view) {
            return false;
        }
        let changes: Vec<_> =
            self.changes.of(self.view).take(self.committee.quorum()).cloned().collect();
        let plan = Plan::of(changes.iter().map(|change| &**change), &self.committee);
        let sign = |(sequence, digest)| {
            let body = PrePrepare { view: self.view, sequence, digest, replica: self.id };
            Verified::signed_by_us(body, &self.key, self.committee.context()).into_signed()
        };
        let body = NewView {
            view: self.view,
            pre_prepares: plan.proposals.into_iter().map(sign).collect(),
            view_changes: changes.into_iter().map(Verified::into_signed).collect(),
            replica: self.id,
        };
        let new_view = Verified::signed_by_us(body, &self.key, self.committee.context());
        let record = SafetyRecord::NewView(Box::new(new_view.as_signed().clone()));
        self.beginning = Some(self.view);
        self.outbox.persist(record, Pending::NewView(Box::new(new_view)), effects);
        true
    }

    /// Our NEW-VIEW is durable: it leaves, and the view begins for us.
    pub(super) fn begin<R>(
        &mut self,
        now: LogicalTime,
        new_view: Verified<NewView>,
        effects: &mut Effects<R>,
    ) {
        let own = |signed: &Signed<PrePrepare>| {
            Verified::signed_by_us(*signed.claimed(), &self.key, self.committee.context())
        };
        let pre_prepares = new_view.pre_prepares.iter().map(own).collect();
        let message = Box::new(new_view.as_signed().clone());
        effects.push(Effect::Broadcast(ConsensusMessage::NewView(message)));
        self.enter(now, new_view, pre_prepares, effects);
    }

    /// A NEW-VIEW arrived.
    pub(super) fn on_new_view<R>(
        &mut self,
        now: LogicalTime,
        new_view: Signed<NewView>,
        effects: &mut Effects<R>,
    ) -> Result<(), Rejection> {
        let (replica, view) = (new_view.claimed().replica, new_view.claimed().view);
        self.admit_sender(replica)?;
        let own = self.view;
        if view < own || (view == own && self.active && !self.rejoining) {
            return Err(Rejection::StaleView { found: view, own });
        }
        let primary = self.committee.primary(view);
        if replica != primary {
            return Err(Rejection::NotPrimary { replica, primary });
        }
        self.attention.admit(replica, Costly::NewView)?;
        let new_view = self.authenticate(replica, new_view)?;
        self.attention.spend(replica, Costly::NewView);
        // What was verified when it came need not be verified again.
        let known = |change: &Signed<ViewChange>| {
            let held = self.changes.0.get(&change.claimed().replica);
            held.is_some_and(|held| held.as_signed() == change)
        };
        let pre_prepares = check_new_view(&new_view, &self.committee, self.log.window(), known)
            .map_err(|cause| Rejection::NewView { replica, cause: Box::new(cause) })?;
        self.enter(now, new_view, pre_prepares, effects);
        Ok(())
    }

    /// We take part in the view from here on.
    pub(super) fn enter<R>(
        &mut self,
        now: LogicalTime,
        new_view: Verified<NewView>,
        pre_prepares: Vec<Verified<PrePrepare>>,
        effects: &mut Effects<R>,
    ) {
        let (view, quorum) = (new_view.view, self.committee.quorum());
        let ours = self.committee.primary(view) == self.id;
        // Whoever rejoins the view keeps what it said in it.
        if !(self.rejoining && view == self.view) {
            self.log.slots.values_mut().for_each(|slot| slot.leave_view(quorum));
        }
        self.rejoining = false;
        self.view = view;
        self.active = true;
        self.timer.stop();
        self.changes.0.retain(|_, change| change.view > view);
        let (low, limit) = (self.log.low, self.log.limit());
        for pre_prepare in pre_prepares {
            let (sequence, digest) = (pre_prepare.sequence, pre_prepare.digest);
            if sequence <= low || sequence > limit {
                continue;
            }
            let slot = self.log.slot_mut(sequence);
            let null = null_request();
            if digest == null.digest(self.committee.context(), sequence) {
                slot.batches.insert(digest, Held { batch: null, bytes: 2 });
            }
            if slot.proposal.is_some() {
                continue;
            }
            let stage = if ours { Stage::PrepareSent } else { Stage::Received };
            let (accused, exempt, arrived) = (false, true, now);
            slot.proposal = Some(Accepted { pre_prepare, arrived, exempt, accused, stage });
        }
        let changes = new_view.view_changes.iter().map(Signed::claimed);
        self.floor = floor(changes.clone());
        if let Some(stable) = Plan::of(changes, &self.committee).stable.cloned() {
            self.checkpoints.learn(stable);
        }
        self.entered = Some(Box::new(new_view.into_signed()));
        self.compared = false;
        effects.push(Effect::EnteredView(view));
    }

    /// What is decided must be what a NEW-VIEW proposes again: anything else means that more than f replicas lie.
    /// Asked when a view has begun, of what was executed before; [`execute`](Self::execute) asks the same of the rest.
    pub(super) fn check_decided(&self) -> Result<(), Fault> {
        let settled = self.log.executed.min(self.floor);
        for slot in self.log.slots.range(..=settled).map(|(_, slot)| slot) {
            if let (Some(proposal), Some(decided)) = (&slot.proposal, &slot.decided) {
                proposal.agrees_with(decided)?;
            }
        }
        Ok(())
    }
}

impl Accepted {
    /// Whether what a NEW-VIEW proposes again is what was decided before its view. What is decided in the view or later
    /// proves less: one primary may have begun it in two ways.
    pub(super) fn agrees_with(&self, decided: &CommitCertificate) -> Result<(), Fault> {
        let (sequence, proposed) = (decided.sequence, self.pre_prepare.digest);
        let (view, decided) = (decided.view, decided.digest);
        if proposed == decided || view >= self.pre_prepare.view {
            return Ok(());
        }
        Err(Fault::TwoDecisions { sequence, decided, proposed })
    }
}

/// The verified assignments of a NEW-VIEW, if everything in it follows from everything else. A VIEW-CHANGE that is
/// `known` was verified before.
pub(crate) fn check_new_view(
    new_view: &NewView,
    committee: &Committee,
    window: u64,
    known: impl Fn(&Signed<ViewChange>) -> bool,
) -> Result<Vec<Verified<PrePrepare>>, NewViewFault> {
    let mut signers = BTreeSet::new();
    let mut previous = None;
    for signed in &new_view.view_changes {
        let change = signed.claimed();
        let replica = change.replica;
        if previous.is_some_and(|previous| previous >= replica) {
            return Err(NewViewFault::Unordered { replica });
        }
        previous = Some(replica);
        if change.view != new_view.view {
            let (found, expected) = (change.view, new_view.view);
            return Err(NewViewFault::OtherView { replica, found, expected });
        }
        let bad = |cause| NewViewFault::Member { replica, cause: Box::new(cause) };
        let member = member(committee, replica).map_err(bad)?;
        signers.insert(member.consensus_key().public());
        if !known(signed) {
            let change = authenticate(committee, replica, signed.clone()).map_err(bad)?;
            check_view_change(&change, committee, window)
                .map_err(|cause| bad(Rejection::ViewChange { replica, cause }))?;
        }
    }
    if signers.len() < committee.quorum() {
        let (found, needed) = (signers.len(), committee.quorum());
        return Err(NewViewFault::BelowQuorum { found, needed });
    }
    let plan = Plan::of(new_view.view_changes.iter().map(Signed::claimed), committee);
    let (expected, found) = (plan.proposals.len(), new_view.pre_prepares.len());
    if expected != found {
        return Err(NewViewFault::Proposals { expected, found });
    }
    let planned = new_view.pre_prepares.iter().zip(plan.proposals);
    let checked = planned.map(|(signed, (sequence, digest))| {
        let (view, replica) = (new_view.view, new_view.replica);
        if *signed.claimed() != (PrePrepare { view, sequence, digest, replica }) {
            return Err(NewViewFault::Proposal { sequence });
        }
        authenticate(committee, replica, signed.clone())
            .map_err(|cause| NewViewFault::Member { replica, cause: Box::new(cause) })
    });
    checked.collect()
}
