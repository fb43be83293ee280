//! Patience: when a view has had its chance [OSDI '99 §4.4, §4.5.1].
//!
//! In a view, patience runs for one thing at a time, the first that is due; other progress does not stop it, so a
//! primary that leaves out one request is replaced. Between views it runs only once a quorum has left
//! the old one, or replicas would chase each other through views. It doubles with each view that brings nothing, up to
//! a bound, and falls back with the first batch that is executed.

use federation_proto::{Digest, LogicalTime};

use crate::settings::Settings;

#[derive(Clone, Debug)]
pub(super) struct Timer {
    timeout: u64,
    /// What the deadline is about; nothing between views.
    awaited: Option<Digest>,
    deadline: Option<LogicalTime>,
}

impl Timer {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { timeout: settings.view_timeout, awaited: None, deadline: None }
    }

    pub(super) const fn deadline(&self) -> Option<LogicalTime> {
        self.deadline
    }

    pub(super) fn is_over(&self, now: LogicalTime) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// Runs for what is due. What was due before keeps its deadline.
    pub(super) fn await_due(&mut self, due: Option<Digest>, now: LogicalTime) {
        if due.is_none() || due != self.awaited {
            self.awaited = due;
            self.deadline = due.map(|_| self.after(now));
        }
    }

    /// Runs for the NEW-VIEW, if it does not yet.
    pub(super) fn await_new_view(&mut self, now: LogicalTime) {
        if self.deadline.is_none() {
            self.deadline = Some(self.after(now));
        }
    }

    pub(super) fn stop(&mut self) {
        (self.awaited, self.deadline) = (None, None);
    }

    /// A view brought nothing.
    pub(super) fn back_off(&mut self, settings: &Settings) {
        self.timeout = self.timeout.saturating_mul(2).min(settings.max_view_timeout);
    }

    /// A batch was executed.
    pub(super) fn reset(&mut self, settings: &Settings) {
        self.timeout = settings.view_timeout;
    }

    fn after(&self, now: LogicalTime) -> LogicalTime {
        LogicalTime::new(now.get().saturating_add(self.timeout))
    }
}
