//! A driver of validators through the terms of several committees: one replica and one safety log a term, a network
//! that loses, delays and parts, crashes, and a ledger from which whoever is not in a committee follows.
//!
//! It obeys the driver's law. Its oracles look at what was sent, executed and certified, and never ask a replica.

use std::collections::{BTreeMap, BTreeSet};

use consensus_pbft::{
    CheckpointCertificate, Committee, ConsensusMessage, Decided, Effect, Handover, Input,
    PersistToken, Rejection, Replica, Restart, SafetyRecord, Settings, ValidSettings,
};
use federation_proto::genesis::{Agreement, Configuration, Roster};
use federation_proto::{Batch, Digest, LogicalTime, SequenceNumber, SigningContext};

use crate::federation::{consensus_key, genesis, id, request, validator_record};
use crate::seeds::Dice;
use crate::toy::{Refusal, Toy};

/// The request of this number and the term's orders the term.
const ORDERS: u64 = 1_000;

const TICK: u64 = 250;

/// Batches between two checkpoints.
const INTERVAL: u64 = 2;

/// One committee: who is in it, by their numbers in the federation.
pub(crate) struct Term {
    pub(crate) members: Vec<usize>,
    pub(crate) roster: Roster,
}

/// A validator's replica in one term.
pub(crate) struct Post {
    /// None while it is down.
    pub(crate) replica: Option<Replica>,
    pub(crate) disk: Vec<SafetyRecord>,
    writing: BTreeMap<PersistToken, SafetyRecord>,
    pub(crate) stable: Option<CheckpointCertificate>,
    pub(crate) rejections: Vec<Rejection>,
}

pub(crate) struct Node {
    pub(crate) app: Toy,
    pub(crate) posts: BTreeMap<usize, Post>,
    /// The handovers it knows: its term is their number.
    pub(crate) chain: Vec<Handover>,
    pub(crate) alive: bool,
    life: u64,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub(crate) term: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) message: ConsensusMessage,
}

#[expect(clippy::large_enum_variant, reason = "a short queue of a test")]
enum Event {
    Deliver(Envelope),
    Acknowledge { term: usize, node: usize, life: u64, token: PersistToken },
    Transferred { term: usize, node: usize, life: u64, sequence: SequenceNumber },
    Tick(usize),
}

/// What the network does.
#[derive(Clone, Copy)]
pub(crate) struct Weather {
    /// Percent of the messages that are lost, and that come twice.
    pub(crate) loss: u64,
    pub(crate) twice: u64,
    /// Longest delay of a message and of a disk, in milliseconds.
    pub(crate) delay: u64,
}

pub(crate) const CALM: Weather = Weather { loss: 0, twice: 0, delay: 1 };

pub(crate) struct Terms {
    pub(crate) dice: Dice,
    pub(crate) terms: Vec<Term>,
    pub(crate) first: Committee,
    pub(crate) nodes: Vec<Node>,
    pub(crate) weather: Weather,
    /// Who hears nobody outside, and is not heard.
    pub(crate) island: BTreeSet<usize>,
    /// Messages that never arrive.
    pub(crate) lost: Box<dyn Fn(&Envelope) -> bool>,
    /// Whether whoever is behind a whole term may read the others' ledgers.
    pub(crate) ledgers: bool,
    /// Who may lie: the oracles do not look at what it says.
    pub(crate) liar: Option<usize>,
    queue: BTreeMap<(u64, u64), Event>,
    counter: u64,
    pub(crate) now: u64,
    decided: BTreeMap<SequenceNumber, Batch>,
    pub(crate) certified: BTreeMap<SequenceNumber, CheckpointCertificate>,
    /// The highest sequence number of which an honest replica spoke in a term.
    spoken: BTreeMap<usize, SequenceNumber>,
    pub(crate) accused: BTreeSet<usize>,
}

pub(crate) fn settings() -> ValidSettings {
    let patience =
        Settings { view_timeout: 1_000, max_view_timeout: 16_000, ..Settings::default() };
    Settings { window: 4, ..patience }.validate().expect("good settings")
}

/// The configuration of a term.
pub(crate) fn configuration(number: usize, members: &[usize]) -> Configuration {
    let number = u32::try_from(number).expect("small");
    let mut configuration = genesis(1, "here", number).configuration;
    configuration.validators = members.iter().map(|member| validator_record(*member)).collect();
    configuration
}

impl Terms {
    /// Fewer than four members are authorities.
    pub(crate) fn new(seed: u64, members: &[&[usize]]) -> Self {
        let term = |(number, members): (usize, &&[usize])| {
            let few = members.len() < 4;
            let agreement = if few { Agreement::Authority } else { Agreement::Byzantine };
            let roster = configuration(number, members).validate_as(agreement);
            Term { members: members.to_vec(), roster: roster.expect("a good roster") }
        };
        let terms: Vec<Term> = members.iter().enumerate().map(term).collect();
        let founding = genesis(1, "here", 0);
        let context = SigningContext {
            federation_id: founding.federation_id(),
            config_digest: terms[0].roster.digest(),
        };
        let first = Committee::new(&terms[0].roster, context, &founding.log_origin);
        let first = first.expect("a good committee");
        let size = terms.iter().flat_map(|term| &term.members).max().expect("members") + 1;
        let orders: BTreeMap<u64, Digest> =
            (ORDERS..).zip(&terms).map(|(number, term)| (number, term.roster.digest())).collect();
        let node = |index: usize| {
            let mut app = Toy::new(&first, index, INTERVAL);
            app.orders = orders.clone();
            Node { app, posts: BTreeMap::new(), chain: Vec::new(), alive: true, life: 0 }
        };
        let mut this = Self {
            dice: Dice(seed),
            nodes: (0..size).map(node).collect(),
            terms,
            first,
            weather: CALM,
            island: BTreeSet::new(),
            lost: Box::new(|_| false),
            ledgers: true,
            liar: None,
            queue: BTreeMap::new(),
            counter: 0,
            now: 0,
            decided: BTreeMap::new(),
            certified: BTreeMap::new(),
            spoken: BTreeMap::new(),
            accused: BTreeSet::new(),
        };
        for index in 0..size {
            this.take_post(index, 0);
            this.at(index as u64 * 17, Event::Tick(index));
        }
        this
    }

    fn at(&mut self, time: u64, event: Event) {
        self.counter += 1;
        self.queue.insert((time, self.counter), event);
    }

    pub(crate) fn member(&self, term: usize, node: usize) -> Option<usize> {
        self.terms[term].members.iter().position(|member| *member == node)
    }

    pub(crate) fn committee(&self, term: usize, node: usize) -> Committee {
        Committee::newest(self.first.clone(), &self.nodes[node].chain[..term]).expect("a chain")
    }

    /// The term's replica of a validator, as it is now.
    pub(crate) fn replica(&self, term: usize, node: usize) -> &Replica {
        self.nodes[node].posts[&term].replica.as_ref().expect("up")
    }

    /// A client sends a request to every validator, signed for the term each is in.
    pub(crate) fn request(&mut self, number: u64) {
        for index in 0..self.nodes.len() {
            let term = self.nodes[index].chain.len();
            let request = request(self.nodes[index].app.committee.context(), number);
            self.input(term, index, Input::Request(request));
        }
    }

    /// A client asks for the next configuration.
    pub(crate) fn order(&mut self, term: usize) {
        self.request(ORDERS + term as u64);
    }

    /// The validator's replica of a term begins, or comes back, if it is a member.
    fn take_post(&mut self, node: usize, term: usize) {
        let Some(position) = self.member(term, node) else { return };
        let committee = self.committee(term, node);
        let base = committee.base();
        let Node { app, posts, .. } = &mut self.nodes[node];
        let post = posts.entry(term).or_insert_with(|| Post {
            replica: None,
            disk: Vec::new(),
            writing: BTreeMap::new(),
            stable: None,
            rejections: Vec::new(),
        });
        let low = post.stable.as_ref().map_or(base, |stable| stable.statement.sequence);
        let decided = app.history.iter().filter(|(at, ..)| *at > low);
        let decided = decided.map(|(_, batch, certificate)| Decided {
            certificate: certificate.clone(),
            batch: batch.clone(),
        });
        let restart = Restart {
            stable: post.stable.clone(),
            executed: SequenceNumber::new(app.history.len() as u64),
            decided: decided.collect(),
            reached: app.reached,
            records: post.disk.clone(),
        };
        let key = consensus_key(node);
        let restored = Replica::restore(committee, id(position), key, settings(), restart);
        post.replica = Some(restored.expect("a good restart"));
        post.writing.clear();
    }

    pub(crate) fn crash(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.alive = false;
        node.life += 1;
        node.posts.values_mut().for_each(|post| post.replica = None);
    }

    /// The crashed validator comes back with its disks and its application.
    pub(crate) fn restart(&mut self, index: usize) {
        self.nodes[index].alive = true;
        let terms: Vec<usize> = self.nodes[index].posts.keys().copied().collect();
        for term in terms {
            self.take_post(index, term);
        }
    }

    /// Lets this many milliseconds pass.
    pub(crate) fn run(&mut self, millis: u64) {
        let end = self.now + millis;
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) {
            self.now = entry.key().0;
            let event = entry.remove();
            self.happen(event);
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver(Envelope { term, to, message, .. }) => {
                self.input(term, to, Input::Message(message));
            }
            Event::Acknowledge { term, node, life, token } => {
                let same_life = self.nodes[node].life == life;
                let post = self.nodes[node].posts.get_mut(&term).filter(|_| same_life);
                let post = post.and_then(|post| Some((post.writing.remove(&token)?, post)));
                if let Some((record, post)) = post {
                    post.disk.push(record);
                    self.input(term, node, Input::Persisted(token));
                }
            }
            Event::Transferred { term, node, life, sequence } => {
                let histories = self.nodes.iter().map(|node| &node.app.history);
                let longest = histories.max_by_key(|history| history.len()).expect("nodes").clone();
                let node_is = &mut self.nodes[node];
                if node_is.life == life && node_is.chain.len() == term {
                    node_is.app.install(&longest, sequence);
                    self.input(term, node, Input::Transferred(sequence));
                }
            }
            Event::Tick(node) => {
                let terms: Vec<usize> = self.nodes[node].posts.keys().copied().collect();
                for term in terms {
                    self.input(term, node, Input::Wake);
                    self.input(term, node, Input::Resend);
                }
                if self.ledgers && self.nodes[node].alive {
                    self.read_ledger(node);
                }
                self.at(self.now + TICK, Event::Tick(node));
            }
        }
    }

    /// Whoever has no post in its term follows a neighbour's ledger; whoever is a term behind learns of the border.
    fn read_ledger(&mut self, node: usize) {
        let term = self.nodes[node].chain.len();
        let reachable = |other: &usize| {
            let apart = self.island.contains(other) != self.island.contains(&node);
            *other != node && !apart && self.nodes[*other].alive
        };
        let further =
            |other: &usize| (self.nodes[*other].chain.len(), self.nodes[*other].app.history.len());
        let Some(server) = (0..self.nodes.len()).filter(reachable).max_by_key(further) else {
            return;
        };
        let handover = self.nodes[server].chain.get(term).cloned();
        if self.nodes[node].posts.contains_key(&term) {
            if let Some(handover) = handover {
                let border = Box::new(handover.certificate);
                self.input(term, node, Input::Message(ConsensusMessage::Stable(border)));
            }
            return;
        }
        let history = self.nodes[server].app.history.clone();
        let border = handover.as_ref().map(|handover| handover.certificate.statement.sequence);
        let last = SequenceNumber::new(history.len() as u64);
        self.nodes[node].app.install(&history, border.unwrap_or(last));
        if let Some(handover) = handover {
            self.hand_over(node, handover);
        }
    }

    /// The next term begins for a validator.
    fn hand_over(&mut self, node: usize, handover: Handover) {
        let committee = handover.verify(&self.nodes[node].app.committee).expect("a handover");
        let term = self.nodes[node].chain.len();
        assert_eq!(self.nodes[node].app.history.len() as u64, committee.base().get());
        self.nodes[node].app.committee = committee;
        self.nodes[node].chain.push(handover);
        self.take_post(node, term + 1);
    }

    /// One `handle`, all effects in order.
    pub(crate) fn input(&mut self, term: usize, node: usize, input: Input) {
        let Node { app, posts, .. } = &mut self.nodes[node];
        let replica = posts.get_mut(&term).and_then(|post| post.replica.as_mut());
        let Some(replica) = replica else { return };
        for effect in replica.handle(LogicalTime::new(self.now), input, app) {
            self.effect(term, node, effect);
        }
    }

    fn effect(&mut self, term: usize, node: usize, effect: Effect<Refusal>) {
        let life = self.nodes[node].life;
        match effect {
            Effect::Persist { token, record } => {
                self.post(term, node).writing.insert(token, record);
                let when = self.now + 1 + self.dice.below(self.weather.delay);
                self.at(when, Event::Acknowledge { term, node, life, token });
            }
            Effect::Broadcast(message) => {
                self.hear(term, node, &message);
                for to in self.terms[term].members.clone() {
                    let message = message.clone();
                    self.send(Envelope { term, from: node, to, message });
                }
            }
            Effect::Send { to, message } => {
                let to = self.terms[term].members[usize::from(to.get())];
                self.send(Envelope { term, from: node, to, message });
            }
            Effect::Committed { sequence, certificate } => {
                certificate.verify(&self.committee(term, node)).expect("a proof");
                let mut history = self.nodes[node].app.history.iter();
                let executed = history.find(|(at, ..)| *at == sequence);
                let (_, batch, _) = executed.expect("executed first");
                let first = self.decided.entry(sequence).or_insert_with(|| batch.clone());
                assert_eq!(first, batch, "one chain of batches");
            }
            Effect::StableCheckpoint(certificate) => self.stable(term, node, certificate),
            Effect::HandedOver { border, next } => {
                let certificate = self.post(term, node).stable.clone().expect("the border");
                assert_eq!(certificate.statement.sequence, border);
                let roster = &self.terms[term + 1].roster;
                assert_eq!(roster.digest(), next, "the next term");
                let (configuration, agreement) =
                    (roster.configuration().clone(), roster.agreement());
                self.hand_over(node, Handover { configuration, agreement, certificate });
            }
            Effect::Transfer(certificate) => {
                let (when, sequence) = (self.now + 100, certificate.statement.sequence);
                self.at(when, Event::Transferred { term, node, life, sequence });
            }
            Effect::Evidence(evidence) => {
                let accused = evidence.verify(&self.committee(term, node)).expect("a proof");
                self.accused.insert(self.terms[term].members[usize::from(accused.get())]);
            }
            Effect::Refused(rejection) => self.post(term, node).rejections.push(rejection),
            Effect::Halted(fault) => panic!("validator {node} halts in term {term}: {fault}"),
            Effect::EnteredView(_)
            | Effect::RequestRefused { .. }
            | Effect::BatchRefused { .. } => {}
        }
    }

    fn post(&mut self, term: usize, node: usize) -> &mut Post {
        self.nodes[node].posts.get_mut(&term).expect("a post")
    }

    fn stable(&mut self, term: usize, node: usize, certificate: CheckpointCertificate) {
        certificate.verify(&self.committee(term, node)).expect("a proof");
        let CheckpointCertificate { statement, .. } = &certificate;
        let first = self.certified.entry(statement.sequence).or_insert_with(|| certificate.clone());
        assert_eq!(first.statement, *statement, "one chain of certificates");
        let post = self.post(term, node);
        SafetyRecord::cut(&mut post.disk, statement);
        post.stable = Some(certificate);
    }

    /// Remembers how far an honest replica voted in a term. Once its border is stable it votes for nothing more.
    fn hear(&mut self, term: usize, node: usize, message: &ConsensusMessage) {
        if self.liar == Some(node) {
            return;
        }
        let stable = self.nodes[node].posts[&term].stable.as_ref();
        let retired = stable.is_some_and(|stable| stable.statement.next.is_some());
        let serves =
            matches!(message, ConsensusMessage::Checkpoint(_) | ConsensusMessage::Status(_));
        assert!(
            !retired || serves,
            "validator {node} retired in term {term}, and says {message:?}"
        );
        if let Some(sequence) = message.claimed_sequence() {
            let spoken = self.spoken.entry(term).or_default();
            *spoken = sequence.max(*spoken);
        }
    }

    pub(crate) fn send(&mut self, envelope: Envelope) {
        let Envelope { from, to, .. } = envelope;
        let apart = self.island.contains(&from) != self.island.contains(&to);
        if from == to || apart || (self.lost)(&envelope) || self.dice.chance(self.weather.loss) {
            return;
        }
        let copies = 1 + u64::from(self.dice.chance(self.weather.twice));
        for _ in 0..copies {
            let when = self.now + 1 + self.dice.below(self.weather.delay);
            self.at(when, Event::Deliver(envelope.clone()));
        }
    }

    /// What must hold at any time: no term voted beyond its border, nothing was executed twice or left out, and
    /// nobody honest is accused.
    pub(crate) fn check_safety(&self) {
        let borders = self.certified.values().filter(|stable| stable.statement.next.is_some());
        for (term, border) in borders.enumerate() {
            let border = border.statement.sequence;
            assert!(self.spoken[&term] <= border, "term {term} spoke beyond {border}");
        }
        for node in &self.nodes {
            for (position, (sequence, batch, _)) in (1..).zip(&node.app.history) {
                assert_eq!(sequence.get(), position, "a gap or a repetition");
                assert_eq!(self.decided.get(sequence), Some(batch), "one chain of batches");
            }
            let mut numbers = node.app.executed_numbers();
            let count = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), count, "a request was executed twice");
        }
        let honest = self.accused.iter().filter(|accused| Some(**accused) != self.liar);
        assert_eq!(honest.count(), 0, "an honest replica is accused");
    }

    /// The terms in which the validators are.
    pub(crate) fn at_terms(&self) -> Vec<usize> {
        self.nodes.iter().map(|node| node.chain.len()).collect()
    }

    pub(crate) fn executed(&self, node: usize, number: u64) -> bool {
        self.nodes[node].app.executed_numbers().contains(&number)
    }
}
