//! What always holds, and what an exploration must have reached to say so.

use std::collections::BTreeMap;
use std::sync::Arc;

use stateright::Property;

use super::book::Seen;
use super::local::Facts;
use super::{Bounded, State};

fn locals(model: &Bounded, state: &State) -> Vec<Arc<Seen>> {
    state.nodes.iter().map(|node| model.book.local(*node)).collect()
}

/// No flaw begins like this.
fn is_free_of(model: &Bounded, state: &State, flaw: &str) -> bool {
    let is_flaw = |facts: &Facts| facts.flaw.as_ref().is_some_and(|own| own.starts_with(flaw));
    locals(model, state).iter().all(|local| !is_flaw(&local.1))
}

fn decided_in(model: &Bounded, state: &State, view: u64) -> bool {
    locals(model, state).iter().any(|local| local.1.executed.iter().any(|own| own.view == view))
}

/// No two replicas executed two batches at one sequence number.
fn agree(model: &Bounded, state: &State) -> bool {
    let mut first = BTreeMap::new();
    locals(model, state).iter().all(|local| {
        let mut executed = (1..).zip(&local.1.executed);
        executed.all(|(at, own): (u64, _)| *first.entry(at).or_insert(own.digest) == own.digest)
    })
}

pub(super) fn properties() -> Vec<Property<Bounded>> {
    let always = Property::<Bounded>::always;
    let sometimes = Property::<Bounded>::sometimes;
    vec![
        always("one batch a sequence number", agree),
        always("only requests of clients are executed, each once", |model, state| {
            locals(model, state).iter().all(|local| local.1.executed.iter().all(|own| own.is_valid))
        }),
        always("nobody says two things in one place", |model, state| {
            is_free_of(model, state, "two voices")
        }),
        always("a view is left only where a correct replica wants to", |model, state| {
            locals(model, state).iter().all(|local| local.1.view <= state.wanted)
        }),
        always("views do not go back", |model, state| {
            is_free_of(model, state, "the view went back")
                && is_free_of(model, state, "a restart goes back")
        }),
        always("nothing is sent before it is durable", |model, state| {
            is_free_of(model, state, "sent before")
        }),
        always("the watermarks enclose what was executed", |model, state| {
            is_free_of(model, state, "invariant: watermarks")
        }),
        always("the slots are sound", |model, state| is_free_of(model, state, "invariant: slots")),
        always("votes that are not durable do not count", |model, state| {
            is_free_of(model, state, "invariant: outbox")
        }),
        always("the checkpoints are sound", |model, state| {
            is_free_of(model, state, "invariant: checkpoints")
        }),
        always("the pool is consistent", |model, state| {
            is_free_of(model, state, "invariant: pool")
        }),
        always("no token is issued twice", |model, state| {
            is_free_of(model, state, "invariant: tokens")
        }),
        // Any other panic, a halt, a decision without a proof, records that make no replica.
        always("nothing else goes wrong", |model, state| is_free_of(model, state, "")),
        sometimes("a batch is decided in view 0", |model, state| decided_in(model, state, 0)),
        sometimes("a batch is decided in view 1", |model, state| decided_in(model, state, 1)),
        sometimes("a batch is decided in view 2", |model, state| decided_in(model, state, 2)),
        sometimes("a batch that was prepared is decided in a later view", |model, state| {
            let again = &model.book.said(state.soup).proposed_again;
            let is_again = |facts: &Facts| {
                let mut executed = facts.executed.iter().filter(|own| !own.is_null);
                executed.any(|own| again.contains(&(own.view, own.digest)))
            };
            locals(model, state).iter().any(|local| is_again(&local.1))
        }),
        sometimes("everybody executes everything", |model, state| {
            let enough = model.scope.sequences;
            locals(model, state).iter().all(|local| local.1.executed.len() >= enough)
        }),
    ]
}
