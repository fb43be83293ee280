//! What was computed once: replicas, messages, sets of messages, and every step between them.
//!
//! A state of the model is a few numbers into this book. A step of one replica is the same whatever the others are, so
//! each is taken once, with its signatures, and read from here ever after.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};

use consensus_pbft::ConsensusMessage;

use super::Scope;
use super::causes::causes;
use super::liar::Liar;
use super::local::{Facts, Local, Said, Took};
use super::message::{describe, given, name, place};

/// Position of a replica's state in the book.
pub(super) type LocalId = u32;
/// Position of a message.
pub(super) type MessageId = u32;
/// Position of a set of messages.
pub(super) type SoupId = u32;

/// What one replica may do next.
#[derive(Clone, Debug)]
pub(super) struct Move {
    pub(super) cause: Cause,
    pub(super) to: LocalId,
    said: Vec<MessageId>,
}

/// Why a replica takes a step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// These arrive, one after the other.
    Heard(Vec<MessageId>),
    /// These arrive, and then patience is over.
    Patience(Vec<MessageId>),
    /// It crashes and comes back.
    Crash,
}

/// Everything that was ever said, by correct replicas and the liar; each may arrive any number of times, or never.
#[derive(Debug)]
pub(super) struct Soup {
    /// Each with its position.
    pub(super) messages: Vec<(MessageId, Arc<ConsensusMessage>)>,
    /// Digests that a NEW-VIEW of that view proposes again.
    pub(super) proposed_again: BTreeSet<(u64, federation_proto::Digest)>,
}

struct Shelf<K, V> {
    by_key: BTreeMap<K, u32>,
    all: Vec<V>,
}

impl<K: Ord, V> Shelf<K, V> {
    fn new() -> Self {
        Self { by_key: BTreeMap::new(), all: Vec::new() }
    }

    fn put(&mut self, key: K, value: impl FnOnce() -> V) -> u32 {
        let next = u32::try_from(self.all.len()).expect("fewer");
        let all = &mut self.all;
        *self.by_key.entry(key).or_insert_with(|| {
            all.push(value());
            next
        })
    }
}

/// A replica with what can be seen of it.
pub(super) type Seen = (Local, Facts);
/// Something that is computed once.
type Known<K, V> = RwLock<BTreeMap<K, V>>;

pub(super) struct Book {
    scope: Scope,
    liar: Option<Liar>,
    locals: RwLock<Shelf<Vec<u8>, Arc<Seen>>>,
    messages: RwLock<Shelf<Vec<u8>, Arc<ConsensusMessage>>>,
    soups: RwLock<Shelf<BTreeSet<MessageId>, Arc<Soup>>>,
    steps: Known<(LocalId, Cause), Option<Move>>,
    moves: Known<(LocalId, SoupId), Arc<[Move]>>,
    /// A set of messages, what is added to it, and the oldest view of a replica → the set.
    grown: Known<(SoupId, Vec<MessageId>, u64), SoupId>,
    /// What the liar knows → what it says.
    lies: Known<Vec<MessageId>, Vec<MessageId>>,
}

impl Book {
    pub(super) fn new(scope: Scope) -> Self {
        let liar = scope.liar.map(|index| Liar::new(index, scope));
        Self {
            scope,
            liar,
            locals: RwLock::new(Shelf::new()),
            messages: RwLock::new(Shelf::new()),
            soups: RwLock::new(Shelf::new()),
            steps: RwLock::default(),
            moves: RwLock::default(),
            grown: RwLock::default(),
            lies: RwLock::default(),
        }
    }

    /// The replicas at the beginning, and what they say at once.
    pub(super) fn begin(&self) -> (Vec<LocalId>, SoupId) {
        let mut said = Vec::new();
        let mut locals = Vec::new();
        for index in self.scope.correct() {
            let (local, first) = Local::new(index, self.scope);
            locals.push(self.keep(local));
            said.extend(self.know(first.said));
        }
        (locals, self.soup(said.into_iter().collect()))
    }

    pub(super) fn local(&self, local: LocalId) -> Arc<Seen> {
        Arc::clone(&self.locals.read().expect("no panic").all[local as usize])
    }

    pub(super) fn said(&self, soup: SoupId) -> Arc<Soup> {
        Arc::clone(&self.soups.read().expect("no panic").all[soup as usize])
    }

    /// How many replica states, messages and sets of messages were met.
    pub(super) fn sizes(&self) -> [usize; 4] {
        [
            self.locals.read().expect("no panic").all.len(),
            self.messages.read().expect("no panic").all.len(),
            self.soups.read().expect("no panic").all.len(),
            self.steps.read().expect("no panic").len(),
        ]
    }

    /// What a replica can do when so much was said.
    pub(super) fn moves(&self, local: LocalId, soup: SoupId) -> Arc<[Move]> {
        let known = self.moves.read().expect("no panic").get(&(local, soup)).cloned();
        known.unwrap_or_else(|| {
            let said = self.said(soup);
            let mut moves: Vec<Move> = Vec::new();
            for step in
                causes(&self.local(local), &said.messages).filter_map(|c| self.step(local, c))
            {
                // Who made the quorum makes no difference where nothing else does.
                let same = |other: &Move| other.to == step.to && other.said == step.said;
                if !moves.iter().any(same) {
                    moves.push(step);
                }
            }
            let moves: Arc<[Move]> = moves.into();
            self.moves.write().expect("no panic").insert((local, soup), Arc::clone(&moves));
            moves
        })
    }

    /// The messages after a move. Those of views that all correct replicas left can do nothing more.
    pub(super) fn grow(&self, soup: SoupId, step: &Move, oldest: u64) -> SoupId {
        let key = (soup, step.said.clone(), oldest);
        let known = self.grown.read().expect("no panic").get(&key).copied();
        known.unwrap_or_else(|| {
            let before = self.said(soup);
            let said = step.said.iter().map(|id| (*id, self.message(*id)));
            let all = before.messages.iter().cloned().chain(said);
            let of_view = |message: &ConsensusMessage| place(message).map(|place| place.view);
            let counts = all.filter(|(_, message)| of_view(message).is_none_or(|v| v >= oldest));
            let grown = self.soup(counts.map(|(id, _)| id).collect());
            self.grown.write().expect("no panic").insert(key, grown);
            grown
        })
    }

    /// A move in words.
    pub(super) fn tell(&self, index: usize, step: &Move) -> String {
        let kinds = |ids: &[MessageId]| {
            let of = |id: &MessageId| describe(&self.message(*id));
            ids.iter().map(of).collect::<Vec<_>>().join(", ")
        };
        let cause = match &step.cause {
            Cause::Heard(ids) => format!("hears {}", kinds(ids)),
            Cause::Patience(ids) => format!("hears {}, loses patience", kinds(ids)),
            Cause::Crash => "crashes and restarts".to_owned(),
        };
        format!("replica {index} {cause}; says [{}]", kinds(&step.said))
    }

    fn message(&self, id: MessageId) -> Arc<ConsensusMessage> {
        Arc::clone(&self.messages.read().expect("no panic").all[id as usize])
    }

    fn keep(&self, local: Local) -> LocalId {
        let print = local.observable();
        let mut shelf = self.locals.write().expect("no panic");
        shelf.put(print, || {
            let facts = local.facts();
            Arc::new((local, facts))
        })
    }

    fn know(&self, said: Said) -> Vec<MessageId> {
        let mut shelf = self.messages.write().expect("no panic");
        let mut ids: Vec<_> = said
            .into_iter()
            .map(|message| shelf.put(name(&message), || Arc::new(message)))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// What the liar says, knowing this. It takes its signatures once for all sets in which it knows the same.
    fn lies(
        &self,
        liar: &Liar,
        ids: &BTreeSet<MessageId>,
        all: &[Arc<ConsensusMessage>],
    ) -> Vec<MessageId> {
        let minded = ids.iter().zip(all).filter(|(_, message)| liar.minds(message));
        let (key, minded): (Vec<_>, Vec<_>) =
            minded.map(|(id, own)| (*id, Arc::clone(own))).unzip();
        let known = self.lies.read().expect("no panic").get(&key).cloned();
        known.unwrap_or_else(|| {
            let lies = self.know(liar.repertoire(&minded));
            self.lies.write().expect("no panic").insert(key, lies.clone());
            lies
        })
    }

    /// The set with everything that follows from it: whoever has a batch gives it to whoever lacks it, and the liar
    /// says whatever it can.
    fn soup(&self, mut messages: BTreeSet<MessageId>) -> SoupId {
        let all = loop {
            let all: Vec<_> = messages.iter().map(|id| self.message(*id)).collect();
            let more: Said = all.iter().filter_map(|message| given(message)).collect();
            let before = messages.len();
            messages.extend(self.know(more));
            if let Some(liar) = &self.liar {
                messages.extend(self.lies(liar, &messages, &all));
            }
            if messages.len() == before {
                break all;
            }
        };
        let again = all.iter().filter_map(|message| match &**message {
            ConsensusMessage::NewView(new_view) => Some(new_view.claimed()),
            _ => None,
        });
        let proposed_again = again.flat_map(|new_view| {
            new_view.pre_prepares.iter().map(|own| (own.claimed().view.get(), own.claimed().digest))
        });
        let proposed_again = proposed_again.collect();
        let soup = Soup { messages: messages.iter().copied().zip(all).collect(), proposed_again };
        self.soups.write().expect("no panic").put(messages, || Arc::new(soup))
    }

    /// Takes a step for the first time; nothing if it leads nowhere.
    fn step(&self, local: LocalId, cause: Cause) -> Option<Move> {
        let key = (local, cause);
        if let Some(known) = self.steps.read().expect("no panic").get(&key) {
            return known.clone();
        }
        let before = self.local(local);
        let mut after = before.0.clone();
        let cause = &key.1;
        let took = match cause {
            Cause::Patience(ids) => {
                let mut took = Took::default();
                for id in ids {
                    took.add(after.hear((*self.message(*id)).clone()));
                }
                took.add(after.lose_patience());
                took
            }
            Cause::Crash => after.restart(),
            Cause::Heard(ids) => ids.iter().fold(Took::default(), |mut took, id| {
                // What makes a quorum is enough; the rest would arrive late.
                if !took.acted {
                    took.add(after.hear((*self.message(*id)).clone()));
                }
                took
            }),
        };
        let leads_on = took.acted || after.facts() != before.1;
        let step = leads_on.then(|| {
            let said = self.know(took.said);
            Move { cause: cause.clone(), to: self.keep(after), said }
        });
        self.steps.write().expect("no panic").insert(key, step.clone());
        step
    }
}
