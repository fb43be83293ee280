//! One replica of the model: the real [`Replica`], its application, its disk, and one step of all three.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use consensus_pbft::{
    ConsensusMessage, Decided, Effect, Input, Replica, Restart, SafetyRecord, Settings,
};
use federation_proto::{Digest, LogicalTime, SequenceNumber, View};

use super::Scope;
use super::message::{Place, name, place};
use crate::federation::{committee, consensus_key, id, replica, request};
use crate::toy::Toy;
use crate::world::assert_durable;

/// The clock stands still but for patience: what is proposed, and when, follows from the order of events alone.
const NOW: LogicalTime = LogicalTime::new(1);

/// A batch that a replica executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Executed {
    pub(super) digest: Digest,
    /// The view of its commit certificate.
    pub(super) view: u64,
    pub(super) is_null: bool,
    /// It has a request, and each of its requests for the first time.
    pub(super) is_valid: bool,
}

/// What the properties and the bounds look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) view: u64,
    pub(super) active: bool,
    pub(super) executed: Vec<Executed>,
    pub(super) low: u64,
    /// The first thing that went wrong on the way here.
    pub(super) flaw: Option<String>,
}

#[derive(Clone)]
pub(super) struct Local {
    index: usize,
    scope: Scope,
    replica: Replica,
    app: Toy,
    /// Durable records.
    disk: Vec<SafetyRecord>,
    /// The name of what it said in each place.
    said: BTreeMap<Place, Vec<u8>>,
    restarts: u8,
    /// The name of the NEW-VIEW by which it entered its view, while it takes part in it.
    entered: Option<Vec<u8>>,
    /// It needs the NEW-VIEW of its view again.
    rejoins: bool,
    flaw: Option<String>,
}

/// What is said to all others.
pub(super) type Said = Vec<ConsensusMessage>;

/// What a step led to.
#[derive(Debug, Default)]
pub(super) struct Took {
    pub(super) said: Said,
    /// Something came of it, rather than a vote that is counted or a message that is held.
    pub(super) acted: bool,
}

impl Took {
    pub(super) fn add(&mut self, more: Self) {
        self.said.extend(more.said);
        self.acted |= more.acted;
    }
}

fn settings() -> Settings {
    // Patience does not grow, so that replicas with and without a failed view behind them are alike.
    let patience = 1_000;
    Settings {
        window: 4,
        view_timeout: patience,
        max_view_timeout: patience,
        ..Settings::default()
    }
}

impl Local {
    /// A fresh replica to which clients sent requests that nobody else has.
    pub(super) fn new(index: usize, scope: Scope) -> (Self, Took) {
        let mut app = Toy::new(&committee(4), index, scope.interval);
        (app.batch_size, app.enough) = (1, scope.sequences);
        let replica = replica(4, index, settings());
        let mut local = Self {
            index,
            scope,
            replica,
            app,
            disk: Vec::new(),
            said: BTreeMap::new(),
            restarts: 0,
            entered: None,
            rejoins: false,
            flaw: None,
        };
        let took = local.hear_clients();
        (local, took)
    }

    /// The numbers of the requests that this replica alone learns of.
    pub(super) fn requests(index: usize, scope: Scope) -> impl Iterator<Item = u64> {
        let first = 10 * (index as u64 + 1);
        first..first + scope.sequences as u64
    }

    fn hear_clients(&mut self) -> Took {
        let context = *self.replica.committee().context();
        let mut took = Took::default();
        for number in Self::requests(self.index, self.scope) {
            took.add(self.handle(NOW, Input::Request(request(&context, number))));
        }
        took
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn scope(&self) -> Scope {
        self.scope
    }

    pub(super) fn hear(&mut self, message: ConsensusMessage) -> Took {
        let begins = matches!(message, ConsensusMessage::NewView(_)).then(|| name(&message));
        let took = self.handle(NOW, Input::Message(message));
        if took.acted && begins.is_some() {
            self.entered = begins;
        }
        self.entered.take_if(|_| !self.replica.is_active());
        took
    }

    /// Patience is over, if there is something to wait for.
    pub(super) fn lose_patience(&mut self) -> Took {
        let mut took = self.handle(NOW, Input::Wake);
        if let Some(deadline) = self.replica.deadline() {
            took.add(self.handle(deadline, Input::Wake));
        }
        self.entered.take_if(|_| !self.replica.is_active());
        took
    }

    /// It crashes and comes back with what was durable; clients ask it again.
    pub(super) fn restart(&mut self) -> Took {
        let decided = self.app.history.iter().map(|(_, batch, certificate)| Decided {
            certificate: certificate.clone(),
            batch: batch.clone(),
        });
        let restart = Restart {
            stable: self.replica.stable_checkpoint().cloned(),
            executed: SequenceNumber::new(self.app.history.len() as u64),
            decided: decided.collect(),
            reached: self.app.reached,
            records: self.disk.clone(),
        };
        let spoken = self.disk.iter().filter_map(spoken_in).max();
        let settings = settings().validate().expect("good settings");
        let committee = self.replica.committee().clone();
        let key = consensus_key(self.index);
        match Replica::restore(committee, id(self.index), key, settings, restart) {
            Ok(replica) => self.replica = replica,
            Err(error) => self.blame(format!("no restart: {error}")),
        }
        if spoken.is_some_and(|view| view > self.replica.view().get()) {
            self.blame("a restart goes back behind a view it spoke in".to_owned());
        }
        (self.restarts, self.entered) = (self.restarts + 1, None);
        self.rejoins = self.replica.is_active() && self.replica.view() > View::ZERO;
        let mut took = self.hear_clients();
        took.acted = true;
        took
    }

    pub(super) fn facts(&self) -> Facts {
        let mut seen = Vec::new();
        let executed = self.app.history.iter().map(|(_, batch, certificate)| {
            let numbers = crate::toy::numbers(batch);
            let is_null = batch.is_null();
            let fresh = numbers.iter().all(|number| !seen.contains(number));
            let is_valid = is_null || (!numbers.is_empty() && fresh);
            seen.extend(numbers);
            let (digest, view) = (certificate.digest, certificate.view.get());
            Executed { digest, view, is_null, is_valid }
        });
        Facts {
            executed: executed.collect(),
            view: self.replica.view().get(),
            active: self.replica.is_active(),
            low: self.replica.watermarks().0.get(),
            flaw: self.flaw.clone(),
        }
    }

    /// What tells this replica from others: what anybody can see of it, and what it said. Whose votes made a quorum, and
    /// what is held without a consequence, is not part of it; nor are VIEW-CHANGE and NEW-VIEW of earlier views, since
    /// all that later ones say follows from the votes.
    pub(super) fn observable(&self) -> Vec<u8> {
        let facts = self.facts();
        let matters = |place: &Place| place.is_vote || place.view >= facts.view;
        let said: Vec<_> = self.said.iter().filter(|(place, _)| matters(place)).collect();
        let view = (&facts, &self.entered, self.restarts, self.rejoins);
        format!("{} {view:?} {said:?}", self.index).into_bytes()
    }

    /// One input to its end. Records become durable at once, in order: other orders are `tests/it/persistence.rs`.
    fn handle(&mut self, now: LogicalTime, input: Input) -> Took {
        let (mut inputs, mut took) = (VecDeque::from([input]), Took::default());
        while let Some(input) = inputs.pop_front() {
            let before = self.replica.view();
            let step = AssertUnwindSafe(|| self.replica.handle(now, input, &mut self.app));
            let effects = match catch_unwind(step) {
                Ok(effects) => effects,
                Err(panic) => {
                    let what = panic.downcast_ref::<String>().map_or("a panic", String::as_str);
                    self.blame(format!("invariant: {what}"));
                    return took;
                }
            };
            if self.replica.view() < before {
                self.blame("the view went back".to_owned());
            }
            let mut written = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Persist { token, record } => {
                        written.push(record);
                        inputs.push_back(Input::Persisted(token));
                    }
                    Effect::Broadcast(message) => {
                        let durable = AssertUnwindSafe(|| assert_durable(&self.disk, &message));
                        if catch_unwind(durable).is_err() {
                            self.blame("sent before it was durable".to_owned());
                        }
                        took.said.push(message);
                    }
                    Effect::Committed { sequence, certificate } => {
                        if let Err(error) = certificate.verify(self.replica.committee()) {
                            self.blame(format!("decided without a proof: {error}"));
                        }
                        let mut history = self.app.history.iter();
                        let executed = history.find(|(at, ..)| *at == sequence);
                        let batch = executed.map(|(_, batch, _)| batch.clone());
                        let batch = batch.expect("executed first");
                        took.said.push(ConsensusMessage::Decided(Box::new(Decided {
                            certificate,
                            batch,
                        })));
                    }
                    Effect::StableCheckpoint(certificate) => {
                        took.said.push(ConsensusMessage::Stable(Box::new(certificate)));
                    }
                    Effect::Halted(fault) => self.blame(format!("halted: {fault}")),
                    Effect::EnteredView(_) => (took.acted, self.rejoins) = (true, false),
                    Effect::HandedOver { .. }
                    | Effect::Send { .. }
                    | Effect::Transfer(_)
                    | Effect::Evidence(_)
                    | Effect::Refused(_)
                    | Effect::RequestRefused { .. }
                    | Effect::BatchRefused { .. } => {}
                }
            }
            self.disk.extend(written);
        }
        for message in &took.said {
            if let Some(place) = place(message) {
                let name = name(message);
                if *self.said.entry(place).or_insert_with(|| name.clone()) != name {
                    self.blame("two voices".to_owned());
                }
            }
        }
        took.acted |= !took.said.is_empty();
        took
    }

    fn blame(&mut self, flaw: String) {
        self.flaw.get_or_insert(flaw);
    }
}

/// The view that a record is about.
fn spoken_in(record: &SafetyRecord) -> Option<u64> {
    Some(match record {
        SafetyRecord::PrePrepare(proposal) => proposal.pre_prepare.claimed().view.get(),
        SafetyRecord::Prepare { prepare, .. } => prepare.claimed().view.get(),
        SafetyRecord::Commit { commit, .. } => commit.claimed().view.get(),
        SafetyRecord::ViewChange(change) => change.claimed().view.get(),
        SafetyRecord::NewView(new_view) => new_view.claimed().view.get(),
        SafetyRecord::Checkpoint(_) | SafetyRecord::Evidence(_) => return None,
    })
}
