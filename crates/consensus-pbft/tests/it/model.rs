//! A bounded model of the real core: every reachable state of four replicas, up to bounds that each test names.
//!
//! The states are those of [`Replica`](consensus_pbft::Replica) itself, driven through `handle` and `restore`; nothing
//! of the protocol is told again here, but for what the liar needs. [`stateright`] explores what can happen: any message
//! that was ever said arrives at any replica at any time, again, or never; patience ends at any time at which it runs;
//! a replica crashes and comes back from its records.
//!
//! What bounds it, and what it leaves out:
//! - four replicas, a few views, sequence numbers and crashes: see the [`Scope`] of each test;
//! - records are durable at once, in order, and a crash falls between two steps;
//! - a vote arrives with those that complete a quorum with it (`causes.rs` says why this loses nothing);
//! - the answers to a STATUS are there without the question; and no state is transferred.
//!
//! | file | idea |
//! |---|---|
//! | `local.rs` | one replica, its application and its disk; one step |
//! | `book.rs` | every step is taken once |
//! | `causes.rs` | what may happen next |
//! | `liar.rs` | what the Byzantine replica says |
//! | `properties.rs` | what always holds, and what must be reached |

mod book;
mod causes;
mod liar;
mod local;
mod message;
mod properties;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use stateright::{Checker as _, Expectation, HasDiscoveries, Model, Path, Property};

use book::{Book, Cause, LocalId, SoupId};
use properties::properties;

/// What a model explores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    /// The Byzantine replica.
    liar: Option<usize>,
    /// The last view that replicas leave an earlier one for.
    views: u64,
    /// Batches until the application has enough.
    sequences: usize,
    /// A checkpoint every so many batches.
    interval: u64,
    /// Whoever is behind is told what is decided.
    answers: bool,
    /// Crashes, of all replicas together.
    crashes: u8,
}

impl Scope {
    fn correct(&self) -> impl Iterator<Item = usize> {
        let liar = self.liar;
        (0..4).filter(move |index| Some(*index) != liar)
    }
}

/// All that a state is; the rest stands in the book.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// The correct replicas.
    nodes: Vec<LocalId>,
    soup: SoupId,
    crashes: u8,
    /// The latest view that a correct replica wanted of its own accord.
    wanted: u64,
}

/// Which correct replica, and which of its moves.
type Action = (usize, usize);

struct Bounded {
    scope: Scope,
    book: Arc<Book>,
}

impl Model for Bounded {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let (nodes, soup) = self.book.begin();
        vec![State { nodes, soup, crashes: 0, wanted: 0 }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (place, node) in state.nodes.iter().enumerate() {
            let moves = self.book.moves(*node, state.soup);
            let is_left =
                |cause: &Cause| *cause != Cause::Crash || state.crashes < self.scope.crashes;
            let left = moves.iter().enumerate().filter(|(_, step)| is_left(&step.cause));
            actions.extend(left.map(|(number, _)| (place, number)));
        }
    }

    fn next_state(&self, state: &State, (place, number): Action) -> Option<State> {
        let node = *state.nodes.get(place)?;
        let moves = self.book.moves(node, state.soup);
        let step = moves.get(number)?;
        let mut next = state.clone();
        next.nodes[place] = step.to;
        let views = next.nodes.iter().map(|node| self.book.local(*node).1.view);
        next.soup = self.book.grow(state.soup, step, views.min().unwrap_or_default());
        match step.cause {
            Cause::Crash => next.crashes += 1,
            Cause::Patience(_) => {
                next.wanted = next.wanted.max(self.book.local(step.to).1.view);
            }
            Cause::Heard(_) => {}
        }
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties()
    }
}

impl Bounded {
    /// A path in words, a step a line.
    fn tell(&self, path: Path<State, Action>) -> String {
        let correct: Vec<_> = self.scope.correct().collect();
        let line = |(state, action): (State, Option<Action>)| {
            let (place, number) = action?;
            let moves = self.book.moves(state.nodes[place], state.soup);
            Some(self.book.tell(correct[place], &moves[number]))
        };
        path.into_vec().into_iter().filter_map(line).collect::<Vec<_>>().join("\n")
    }
}

/// What only an exploration of view 2 reaches.
const IN_VIEW_2: &str = "a batch is decided in view 2";

/// Explores all of a scope: nothing is wrong anywhere, and all is reached but `unreached`, which cannot be.
fn explore(name: &str, scope: Scope, unreached: &[&str]) {
    let reached = explore_for(name, scope, None);
    for property in properties() {
        let wanted = property.expectation == Expectation::Sometimes;
        let (found, is_out) = (reached.contains(property.name), unreached.contains(&property.name));
        assert!(!wanted || found != is_out, "{name}: reached {found}: {}", property.name);
    }
}

/// Explores a scope, breadth first, all of it or as far as the time allows. What it reached; it fails at anything wrong.
fn explore_for(name: &str, scope: Scope, time: Option<Duration>) -> BTreeSet<&'static str> {
    let book = Arc::new(Book::new(scope));
    let model = Bounded { scope, book: Arc::clone(&book) };
    let mut checker = model.checker().threads(2).finish_when(HasDiscoveries::AnyFailures);
    if let Some(time) = time {
        checker = checker.timeout(time);
    }
    let checker = checker.spawn_bfs().join();
    let [replicas, messages, sets, steps] = book.sizes();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    println!(
        "{name}: {states} states, depth {depth}; {replicas} states of a replica, {steps} steps, \
         {messages} messages in {sets} sets"
    );
    let mut reached = BTreeSet::new();
    for (property, path) in checker.discoveries() {
        if checker.model().property(property).expectation == Expectation::Sometimes {
            reached.insert(property);
            continue;
        }
        let nodes = path.last_state().nodes.clone();
        let flaws = nodes.iter().filter_map(|node| book.local(*node).1.flaw.clone());
        let flaws: Vec<_> = flaws.collect();
        panic!("{name}: not always: {property} {flaws:?}\n{}", checker.model().tell(path));
    }
    reached
}

/// Three views, one sequence number, answers withheld: what is decided is heard of by COMMITs alone.
const THREE_VIEWS: Scope =
    Scope { liar: None, views: 2, sequences: 1, interval: 8, answers: false, crashes: 0 };

#[test]
fn three_views_whose_first_primary_lies() {
    explore("liar 0", Scope { liar: Some(0), ..THREE_VIEWS }, &[]);
}

#[test]
fn three_views_in_which_a_backup_lies() {
    explore("liar 3", Scope { liar: Some(3), ..THREE_VIEWS }, &[]);
}

#[test]
fn two_views_whose_second_primary_lies() {
    explore("liar 1", Scope { liar: Some(1), views: 1, ..THREE_VIEWS }, &[IN_VIEW_2]);
}

#[test]
fn two_views_with_a_crash_of_any_replica() {
    explore("crash", Scope { liar: Some(3), views: 1, crashes: 1, ..THREE_VIEWS }, &[IN_VIEW_2]);
}

/// What is too large to be explored whole: as far as `PRISM_MODEL_SECONDS` reach for each, or a first look at one.
#[expect(clippy::disallowed_methods, reason = "the time of a long run comes from its command line")]
#[test]
fn wider_scopes_for_as_long_as_asked() {
    let asked = std::env::var("PRISM_MODEL_SECONDS").ok();
    let seconds = asked.as_ref().map_or(1, |asked| asked.parse().expect("a number of seconds"));
    let wide = Scope { sequences: 2, interval: 2, answers: true, crashes: 1, ..THREE_VIEWS };
    let liars = [Some(0), Some(1), Some(3), None];
    for liar in liars.into_iter().take(if asked.is_some() { liars.len() } else { 1 }) {
        let time = Some(Duration::from_secs(seconds));
        explore_for(&format!("wide, liar {liar:?}"), Scope { liar, ..wide }, time);
    }
}
