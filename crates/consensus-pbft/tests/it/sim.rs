//! A simulated committee: replicas with their disks, clocks and clients, in one queue of events.
//!
//! Who hears whom, and what a message is when it arrives, is the [`Network`]'s; what must hold is in `oracles.rs`.
//! One identity may have several instances: same key, own state.

mod oracles;

use std::collections::{BTreeMap, BTreeSet};

use consensus_pbft::{
    CheckpointCertificate, Committee, ConsensusMessage, Decided, Effect, Equivocation, Fault,
    Input, NewView, PersistToken, Replica, Restart, SafetyRecord, Settings,
};
use federation_proto::{Digest, LogicalTime, Request, SequenceNumber, Signed};

use crate::federation::{consensus_key, id, memoised_committee, request};
use crate::seeds::Dice;
use crate::toy::{Refusal, Toy};

/// Everything a run may choose.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The identity of each instance. Twins share one.
    pub(crate) identities: Vec<usize>,
    /// Identities that may lie.
    pub(crate) liars: BTreeSet<usize>,
    pub(crate) settings: Settings,
    /// Batches between checkpoints.
    pub(crate) interval: u64,
    /// Most requests in a batch, and whether the application proposes and accepts nothing behind what is not executed.
    pub(crate) batch_size: usize,
    pub(crate) needs_state: bool,
    /// Requests of the client, and the milliseconds of which multiples are the times at which they come.
    pub(crate) requests: u64,
    pub(crate) pace: u64,
    /// Milliseconds in which anything may happen, and then those in which everything must be done.
    pub(crate) rage: u64,
    pub(crate) calm: u64,
    /// Per cent of the requests that reach an instance in the rage.
    pub(crate) heard: u64,
    /// Most per mille by which a clock runs too fast or too slow, and most milliseconds by which it starts off.
    pub(crate) drift: u64,
    pub(crate) offset: u64,
}

impl Config {
    /// One honest instance of each of n identities.
    pub(crate) fn of(n: usize) -> Self {
        Self {
            identities: (0..n).collect(),
            liars: BTreeSet::new(),
            settings: Settings {
                window: 8,
                view_timeout: 1_000,
                max_view_timeout: 16_000,
                ..Settings::default()
            },
            interval: 3,
            batch_size: 2,
            needs_state: false,
            requests: 12,
            pace: 1,
            rage: 30_000,
            calm: 400_000,
            heard: 80,
            drift: 100,
            offset: 300,
        }
    }
}

/// A message on its way between two instances.
pub(crate) struct Way<'a> {
    pub(crate) now: u64,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) message: &'a ConsensusMessage,
}

/// An instance loses everything that is not on disk, and comes back later.
pub(crate) struct Crash {
    pub(crate) victim: usize,
    pub(crate) back: u64,
}

/// What lies between the instances.
pub(crate) trait Network {
    /// What arrives of a message, each after how many milliseconds.
    fn carry(&mut self, dice: &mut Dice, way: &Way<'_>) -> Vec<(u64, ConsensusMessage)>;

    /// Milliseconds that a disk takes.
    fn disk(&mut self, _: &mut Dice, _now: u64) -> u64 {
        1
    }

    /// Asked before every event of the rage.
    fn weather(&mut self, _: &mut Dice, _now: u64) -> Option<Crash> {
        None
    }
}

#[expect(clippy::large_enum_variant, reason = "a short queue of a test")]
enum Event {
    Deliver(usize, ConsensusMessage),
    Acknowledge(usize, u64, PersistToken),
    Transferred(usize, u64, SequenceNumber),
    Request(u64),
    Tick(usize),
    Restart(usize),
}

pub(crate) struct Instance {
    pub(crate) identity: usize,
    pub(crate) replica: Option<Replica>,
    pub(crate) app: Toy,
    pub(crate) fault: Option<Fault>,
    pub(crate) evidence: Vec<Equivocation>,
    /// NEW-VIEWs of the views it entered, as an archive keeps them.
    pub(crate) archive: Vec<Signed<NewView>>,
    /// Counts restarts: answers of a disk from before a crash are lost.
    life: u64,
    disk: Vec<SafetyRecord>,
    writing: BTreeMap<PersistToken, SafetyRecord>,
    stable: Option<CheckpointCertificate>,
    /// What it last asked to be brought to: an earlier target counts no more, and must not be installed.
    target: Option<SequenceNumber>,
    /// What it ever signed, by kind, view and slot: an instance says one thing.
    said: BTreeMap<(&'static str, u64, u64), ConsensusMessage>,
    clock: Clock,
}

/// A clock that starts off and runs too fast or too slow.
#[derive(Clone, Copy)]
struct Clock {
    offset: u64,
    /// Its milliseconds in a thousand true ones.
    rate: u64,
}

impl Clock {
    fn read(self, now: u64) -> LogicalTime {
        LogicalTime::new(self.offset + now * self.rate / 1_000)
    }

    /// The true time at which it shows at least this.
    fn when(self, shown: LogicalTime) -> u64 {
        (shown.get().saturating_sub(self.offset) * 1_000).div_ceil(self.rate)
    }
}

pub(crate) struct Sim<N> {
    pub(crate) config: Config,
    pub(crate) committee: Committee,
    pub(crate) network: N,
    pub(crate) instances: Vec<Instance>,
    dice: Dice,
    queue: BTreeMap<(u64, u64), Event>,
    counter: u64,
    now: u64,
    /// What the client asks for, from number 1.
    requests: Vec<Signed<Request>>,
    decided: BTreeMap<u64, Digest>,
}

/// Milliseconds between two looks at the clock.
const TICK: u64 = 250;

impl<N: Network> Sim<N> {
    pub(crate) fn new(config: Config, mut dice: Dice, network: N) -> Self {
        let n = config.identities.iter().max().map_or(0, |last| last + 1);
        let committee = memoised_committee(n);
        let request = |number| request(committee.context(), number);
        let requests = (1..=config.requests).map(request).collect();
        let settings = config.settings.validate().expect("good settings");
        let app = |identity: usize| {
            let mut app = Toy::new(&committee, identity, config.interval).memoised();
            (app.batch_size, app.needs_state) = (config.batch_size, config.needs_state);
            app
        };
        let instance = |identity: &usize| Instance {
            identity: *identity,
            replica: Some(
                Replica::new(committee.clone(), id(*identity), consensus_key(*identity), settings)
                    .expect("a good replica"),
            ),
            app: app(*identity),
            fault: None,
            evidence: Vec::new(),
            archive: Vec::new(),
            life: 0,
            disk: Vec::new(),
            writing: BTreeMap::new(),
            stable: None,
            target: None,
            said: BTreeMap::new(),
            clock: Clock {
                offset: dice.below(config.offset + 1),
                rate: 1_000 - config.drift + dice.below(2 * config.drift + 1),
            },
        };
        let instances = config.identities.iter().map(instance).collect();
        let mut sim = Self {
            config,
            committee,
            network,
            instances,
            dice,
            queue: BTreeMap::new(),
            counter: 0,
            now: 0,
            requests,
            decided: BTreeMap::new(),
        };
        for index in 0..sim.instances.len() {
            sim.at(index as u64 * 17, Event::Tick(index));
        }
        // The first comes at once: what follows has its time.
        sim.at(0, Event::Request(1));
        for number in 2..=sim.config.requests {
            let pace = sim.config.pace;
            let when = sim.dice.below(sim.config.rage.div_ceil(pace)) * pace;
            sim.at(when, Event::Request(number));
        }
        sim
    }

    /// Until everything is done, or the calm is over.
    pub(crate) fn run(&mut self) {
        while let Some(((time, _), event)) = self.queue.pop_first() {
            self.now = time;
            if self.now > self.config.rage + self.config.calm {
                break;
            }
            if self.raging()
                && let Some(Crash { victim, back }) = self.network.weather(&mut self.dice, time)
                && self.instances[victim].replica.take().is_some()
            {
                self.instances[victim].life += 1;
                self.instances[victim].writing.clear();
                self.at(back, Event::Restart(victim));
            }
            self.happen(event);
            if !self.raging() && self.is_done() {
                break;
            }
        }
    }

    fn at(&mut self, time: u64, event: Event) {
        self.counter += 1;
        self.queue.insert((time, self.counter), event);
    }

    fn raging(&self) -> bool {
        self.now < self.config.rage
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver(to, message) => self.input(to, Input::Message(message)),
            Event::Acknowledge(index, life, token) => {
                let instance = &mut self.instances[index];
                if instance.life == life
                    && let Some(record) = instance.writing.remove(&token)
                {
                    instance.disk.push(record);
                    self.input(index, Input::Persisted(token));
                }
            }
            Event::Transferred(index, life, sequence) => {
                let honest = (0..self.instances.len()).filter(|other| !self.lies(*other));
                let histories = honest.map(|other| &self.instances[other].app.history);
                let longest = histories.max_by_key(|history| history.len()).cloned();
                let longest = longest.unwrap_or_default();
                let instance = &self.instances[index];
                let asked = instance.life == life && instance.target == Some(sequence);
                if asked && longest.len() as u64 >= sequence.get() {
                    self.instances[index].app.install(&longest, sequence);
                    self.input(index, Input::Transferred(sequence));
                }
            }
            Event::Request(number) => {
                let request = self.requests[number as usize - 1].clone();
                for index in 0..self.instances.len() {
                    if !self.raging() || self.dice.chance(self.config.heard) {
                        self.input(index, Input::Request(request.clone()));
                    }
                }
                // Clients ask again until they see it done.
                if !self.is_done() {
                    let again = self.now + 2_000 + self.dice.below(1_000);
                    self.at(again, Event::Request(number));
                }
            }
            Event::Tick(index) => {
                self.input(index, Input::Wake);
                if self.dice.chance(30) {
                    self.input(index, Input::Resend);
                }
                let instance = &self.instances[index];
                let deadline = instance.replica.as_ref().and_then(Replica::deadline);
                let next = deadline.map_or(u64::MAX, |deadline| instance.clock.when(deadline));
                let next = next.max(self.now + 1).min(self.now + TICK);
                self.at(next, Event::Tick(index));
            }
            Event::Restart(index) => self.restart(index),
        }
    }

    fn restart(&mut self, index: usize) {
        let settings = self.config.settings.validate().expect("good settings");
        let instance = &mut self.instances[index];
        let low = instance.stable.as_ref().map_or(0, |stable| stable.statement.sequence.get());
        let decided = instance.app.history.iter().filter(|(at, ..)| at.get() > low);
        let decided = decided.map(|(_, batch, certificate)| Decided {
            certificate: certificate.clone(),
            batch: batch.clone(),
        });
        let restart = Restart {
            reached: instance.app.reached,
            stable: instance.stable.clone(),
            executed: SequenceNumber::new(instance.app.history.len() as u64),
            decided: decided.collect(),
            records: instance.disk.clone(),
        };
        let (identity, committee) = (instance.identity, self.committee.clone());
        let key = consensus_key(identity);
        let restored = Replica::restore(committee, id(identity), key, settings, restart);
        instance.replica = Some(restored.unwrap_or_else(|cause| {
            let kinds: Vec<_> = instance.disk.iter().map(|r| (r.kind(), r.sequence())).collect();
            panic!("instance {index} at {low}: {cause}: {kinds:?}")
        }));
    }

    fn input(&mut self, index: usize, input: Input) {
        let instance = &mut self.instances[index];
        let now = instance.clock.read(self.now);
        let Some(replica) = instance.replica.as_mut().filter(|replica| !replica.is_halted()) else {
            return;
        };
        for effect in replica.handle(now, input, &mut instance.app) {
            self.effect(index, effect);
        }
    }

    fn effect(&mut self, index: usize, effect: Effect<Refusal>) {
        match effect {
            Effect::HandedOver { .. } => panic!("one configuration here"),
            Effect::Persist { token, record } => {
                let delay = self.network.disk(&mut self.dice, self.now);
                let instance = &mut self.instances[index];
                instance.writing.insert(token, record);
                let life = instance.life;
                self.at(self.now + delay, Event::Acknowledge(index, life, token));
            }
            Effect::Broadcast(message) => {
                self.check_one_voice(index, &message);
                for to in 0..self.instances.len() {
                    self.send(index, to, &message);
                }
            }
            Effect::Send { to, message } => {
                for instance in 0..self.instances.len() {
                    if id(self.instances[instance].identity) == to {
                        self.send(index, instance, &message);
                    }
                }
            }
            Effect::StableCheckpoint(certificate) => {
                certificate.verify(&self.committee).expect("a proof");
                let instance = &mut self.instances[index];
                SafetyRecord::cut(&mut instance.disk, &certificate.statement);
                instance.stable = Some(certificate);
            }
            Effect::Committed { sequence, certificate } => {
                self.check_decided(index, sequence, &certificate);
            }
            Effect::Transfer(certificate) => {
                let (when, life) = (self.now + 200, self.instances[index].life);
                let target = certificate.statement.sequence;
                self.instances[index].target = Some(target);
                self.at(when, Event::Transferred(index, life, target));
            }
            Effect::Evidence(evidence) => {
                self.check_evidence(&evidence);
                self.instances[index].evidence.push(*evidence);
            }
            Effect::Halted(fault) => {
                assert!(!self.is_tolerated(), "instance {index} halts: {fault}");
                self.instances[index].fault = Some(fault);
            }
            Effect::EnteredView(_) => {
                let instance = &mut self.instances[index];
                let entered = instance.replica.as_ref().and_then(Replica::new_view);
                instance.archive.extend(entered.cloned());
            }
            Effect::Refused(_) | Effect::RequestRefused { .. } | Effect::BatchRefused { .. } => {}
        }
    }

    /// A message to another instance. One of the same identity does not hear it: a replica knows its own voice.
    fn send(&mut self, from: usize, to: usize, message: &ConsensusMessage) {
        if self.instances[from].identity == self.instances[to].identity {
            return;
        }
        let way = Way { now: self.now, from, to, message };
        for (delay, message) in self.network.carry(&mut self.dice, &way) {
            self.at(self.now + delay, Event::Deliver(to, message));
        }
    }
}
