//! Votes on their way to disk: nothing in here has left the replica.

use std::collections::BTreeMap;

use federation_proto::Verified;

use crate::effect::{Effect, Effects};
use crate::evidence::Equivocation;
use crate::message::{Checkpoint, Commit, NewView, PrePrepare, Prepare, ViewChange};
use crate::safety::{PersistToken, SafetyRecord};

/// What happens when the record is durable.
#[derive(Clone, Debug)]
pub(super) enum Pending {
    /// Our proposal leaves. It stands in its slot.
    Proposal(PrePrepare),
    /// Our PREPARE counts and leaves.
    Prepare(Verified<Prepare>),
    /// Our COMMIT counts and leaves.
    Commit(Verified<Commit>),
    /// Our CHECKPOINT counts and leaves.
    Checkpoint(Verified<Checkpoint>),
    /// Our VIEW-CHANGE counts and leaves.
    ViewChange(Box<Verified<ViewChange>>),
    /// Our view begins.
    NewView(Box<Verified<NewView>>),
    /// The lie is reported.
    Evidence(Box<Equivocation>),
}

/// Records handed to the driver and not yet acknowledged. One vote of a kind a slot, one piece of evidence a
/// replica, kind and slot: bounded by the window.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    next: PersistToken,
    pending: BTreeMap<PersistToken, Pending>,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self { next: PersistToken::FIRST, pending: BTreeMap::new() }
    }

    /// Asks for a record to be made durable.
    pub(super) fn persist<R>(
        &mut self,
        record: SafetyRecord,
        then: Pending,
        effects: &mut Effects<R>,
    ) {
        let token = self.next;
        self.next = token.next();
        self.pending.insert(token, then);
        effects.push(Effect::Persist { token, record });
    }

    pub(super) fn acknowledge(&mut self, token: PersistToken) -> Option<Pending> {
        self.pending.remove(&token)
    }

    /// Our votes that are not durable yet.
    pub(super) fn pending(&self) -> impl Iterator<Item = &Pending> {
        self.pending.values()
    }

    /// Whether no outstanding token could be issued again.
    pub(super) fn is_consistent(&self) -> bool {
        self.pending.keys().all(|token| *token < self.next)
    }
}
