//! Leaving a view [OSDI '99 §4.4].
//!
//! ```text
//!              patience is over, or f+1 others are further
//! active in v ─────────────────────────────────────────────▶ waiting for v'  ┄▶ the record is durable: VIEW-CHANGE
//!      ▲                                                       │  q VIEW-CHANGEs: patience runs
//!      └──────────────── NEW-VIEW of v' ◀──────────────────────┘
//! ```
//!
//! A replica that waits takes part in nothing but checkpoints, decided batches and further view changes.

use std::collections::BTreeMap;

use federation_proto::{LogicalTime, Signed, Verified, View};

use super::Replica;
use super::attention::Costly;
use super::outbox::Pending;
use crate::committee::{Committee, ReplicaId};
use crate::effect::Effects;
use crate::message::ViewChange;
use crate::rejection::{Rejection, ViewChangeFault};
use crate::safety::SafetyRecord;

/// How far ahead of ours a view may be. Correct replicas are not so far apart without a NEW-VIEW between them, and
/// each VIEW-CHANGE that is looked at costs signatures.
const MAX_VIEWS_AHEAD: u64 = 1024;

/// The latest VIEW-CHANGE of each replica, ours too once it is durable, for the view we wait for or later ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes(pub(super) BTreeMap<ReplicaId, Verified<ViewChange>>);

impl Changes {
    /// Those for one view, in replica order.
    pub(super) fn of(&self, view: View) -> impl Iterator<Item = &Verified<ViewChange>> {
        self.0.values().filter(move |change| change.view == view)
    }
}

impl Replica {
    /// Patience is over: on to the next view.
    pub(super) fn give_up_view<R>(&mut self, effects: &mut Effects<R>) {
        self.timer.back_off(self.settings.get());
        self.start_view_change(self.view.next(), effects);
    }

    /// Leaves the present view for a later one.
    pub(super) fn start_view_change<R>(&mut self, view: View, effects: &mut Effects<R>) {
        let quorum = self.committee.quorum();
        self.view = view;
        self.active = false;
        self.rejoining = false;
        self.entered = None;
        self.timer.stop();
        self.log.slots.values_mut().for_each(|slot| slot.leave_view(quorum));
        self.changes.0.retain(|_, change| change.view >= view);
        // What others prepared beyond our window, we did not vote to commit; with it nobody would believe us.
        let slots = self.log.slots.range(..=self.log.high()).map(|(_, slot)| slot);
        let prepared = slots.filter_map(|slot| slot.prepared.clone()).collect();
        let stable = self.checkpoints.stable().cloned();
        let body = ViewChange { view, stable, prepared, replica: self.id };
        let change = Verified::signed_by_us(body, &self.key, self.committee.context());
        let record = SafetyRecord::ViewChange(Box::new(change.as_signed().clone()));
        self.outbox.persist(record, Pending::ViewChange(Box::new(change)), effects);
    }

    /// A VIEW-CHANGE arrived.
    pub(super) fn on_view_change(&mut self, change: Signed<ViewChange>) -> Result<(), Rejection> {
        let (replica, view) = (change.claimed().replica, change.claimed().view);
        self.admit_sender(replica)?;
        let own = self.view;
        if view < own || (view == own && self.active) {
            return Err(Rejection::StaleView { found: view, own });
        }
        if view.get() - own.get() > MAX_VIEWS_AHEAD {
            return Err(Rejection::ViewTooFar { found: view, own });
        }
        if let Some(held) = self.changes.0.get(&replica)
            && held.view >= view
        {
            return Err(Rejection::OlderViewChange { replica, found: view, held: held.view });
        }
        self.attention.admit(replica, Costly::ViewChange)?;
        let change = self.authenticate(replica, change)?;
        self.attention.spend(replica, Costly::ViewChange);
        check_view_change(&change, &self.committee, self.log.window())
            .map_err(|cause| Rejection::ViewChange { replica, cause })?;
        self.changes.0.insert(replica, change);
        Ok(())
    }

    /// Goes on with the view change as far as possible; whether there was a step to take.
    pub(super) fn advance_view<R>(&mut self, now: LogicalTime, effects: &mut Effects<R>) -> bool {
        // f+1 others are further, so a correct one is: join the nearest.
        let mut later: Vec<View> =
            self.changes.0.values().map(|change| change.view).filter(|v| *v > self.view).collect();
        later.sort_unstable();
        if later.len() > self.committee.max_faulty()
            && let Some(view) = later.first()
        {
            self.start_view_change(*view, effects);
            return true;
        }
        let quorum = self.committee.quorum();
        if self.active || self.changes.0.len() < quorum {
            return false;
        }
        // Only now: who runs ahead alone waits, instead of running further ahead. Those who are further ahead count
        // too, for they have given up this view.
        self.timer.await_new_view(now);
        self.changes.of(self.view).count() >= quorum && self.begin_view(effects)
    }
}

/// What a VIEW-CHANGE says must be proved by it, all of it: one bad certificate and nothing in it is believed, or a
/// liar could hide a certificate behind a forged one.
pub(super) fn check_view_change(
    change: &ViewChange,
    committee: &Committee,
    window: u64,
) -> Result<(), ViewChangeFault> {
    let low = match &change.stable {
        None => committee.base(),
        Some(certificate) => {
            certificate.verify(committee).map_err(ViewChangeFault::Stable)?;
            certificate.statement.sequence
        }
    };
    let mut previous = low;
    for prepared in &change.prepared {
        let claimed = prepared.claimed();
        let sequence = claimed.sequence;
        if sequence <= previous || sequence.get() - low.get() > window {
            return Err(ViewChangeFault::Sequence { sequence, previous, low });
        }
        if claimed.view >= change.view {
            return Err(ViewChangeFault::View { found: claimed.view, wanted: change.view });
        }
        prepared
            .verify(committee)
            .map_err(|cause| ViewChangeFault::Prepared { sequence, cause })?;
        previous = sequence;
    }
    Ok(())
}
