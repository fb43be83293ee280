//! Seeded storms: loss, delay, doubling, reordering, partitions, crashes with restarts, slow disks, and f liars.
//! Safety always; liveness once the storm is over.
//!
//! A failing seed prints the command that repeats it. `PRISM_STORM_SEEDS=FROM..TO` chooses other seeds.

use std::collections::{BTreeMap, BTreeSet};

use consensus_pbft::{
    CheckpointCertificate, Committee, ConsensusMessage, Decided, Effect, Input, PersistToken,
    Proposal, Replica, Restart, SafetyRecord, Settings,
};
use federation_proto::codec::Canonical as _;
use federation_proto::{Batch, LogicalTime, SequenceNumber, Signed};

use crate::federation::{batch, committee, consensus_key, id, request};
use crate::toy::{Toy, numbers};

/// Milliseconds of storm, and of calm in which everything must be done.
const STORM: u64 = 30_000;
const CALM: u64 = 400_000;

const REQUESTS: u64 = 12;
const TICK: u64 = 250;

/// SplitMix64.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What a liar does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Character {
    Honest,
    /// Says nothing.
    Silent,
    /// As primary it tells the halves of the committee two things; its other votes are honest.
    Equivocator,
    /// Flips bits of what it says.
    Forger,
    /// Says everything many times, and old things again.
    Flooder,
    /// Speaks to some only.
    Selective,
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

struct Node {
    replica: Option<Replica>,
    app: Toy,
    /// Counts restarts: answers of a disk from before a crash are lost.
    life: u64,
    disk: Vec<SafetyRecord>,
    writing: BTreeMap<PersistToken, SafetyRecord>,
    stable: Option<CheckpointCertificate>,
    character: Character,
    said: Vec<ConsensusMessage>,
    /// What it ever signed, by kind, view and slot: an honest replica says one thing.
    votes: BTreeMap<(&'static str, u64, u64), Vec<u8>>,
}

struct Storm {
    seed: u64,
    dice: Dice,
    committee: Committee,
    settings: Settings,
    nodes: Vec<Node>,
    queue: BTreeMap<(u64, u64), Event>,
    counter: u64,
    now: u64,
    /// Nodes of one side of the partition, while there is one.
    island: BTreeSet<usize>,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let n = [4, 4, 4, 5, 7][dice.below(5) as usize];
        let committee = committee(n);
        let settings = Settings {
            window: 8,
            pipeline_depth: [1, 2, 4, 8][dice.below(4) as usize],
            view_timeout: 1_000,
            max_view_timeout: 16_000,
            ..Settings::default()
        };
        let faulty = committee.max_faulty();
        let characters = [
            Character::Silent,
            Character::Equivocator,
            Character::Forger,
            Character::Flooder,
            Character::Selective,
        ];
        let mut liars = BTreeMap::new();
        for _ in 0..faulty {
            let who = dice.below(n as u64) as usize;
            liars.insert(who, characters[dice.below(5) as usize]);
        }
        let valid = settings.validate().expect("good settings");
        let (batch_size, needs_state) = (1 + dice.below(2) as usize, dice.chance(20));
        let app = |index: usize| {
            let mut app = Toy::new(&committee, index, 3);
            (app.batch_size, app.needs_state) = (batch_size, needs_state);
            app
        };
        let node = |index: usize| Node {
            replica: Some(
                Replica::new(committee.clone(), id(index), consensus_key(index), valid)
                    .expect("a good replica"),
            ),
            app: app(index),
            life: 0,
            disk: Vec::new(),
            writing: BTreeMap::new(),
            stable: None,
            character: liars.get(&index).copied().unwrap_or(Character::Honest),
            said: Vec::new(),
            votes: BTreeMap::new(),
        };
        let nodes = (0..n).map(node).collect();
        let (queue, island) = (BTreeMap::new(), BTreeSet::new());
        let mut storm =
            Self { seed, dice, committee, settings, nodes, queue, counter: 0, now: 0, island };
        for index in 0..n {
            storm.at(index as u64 * 17, Event::Tick(index));
        }
        // One by one, or many at once, so that there is something to put in flight.
        let bursts = [STORM, 4][storm.dice.below(2) as usize];
        for number in 1..=REQUESTS {
            let when = storm.dice.below(bursts) * (STORM / bursts) + number;
            storm.at(when, Event::Request(number));
        }
        storm
    }

    fn at(&mut self, time: u64, event: Event) {
        self.counter += 1;
        self.queue.insert((time, self.counter), event);
    }

    fn raging(&self) -> bool {
        self.now < STORM
    }

    fn run(&mut self) {
        while let Some(((time, _), event)) = self.queue.pop_first() {
            self.now = time;
            if self.now > STORM + CALM {
                break;
            }
            if self.raging() && self.dice.chance(1) {
                self.change_weather();
            }
            if !self.raging() {
                self.island.clear();
            }
            self.happen(event);
            if self.is_done() {
                return;
            }
        }
        let state: Vec<_> = self
            .nodes
            .iter()
            .map(|node| {
                let replica = node.replica.as_ref();
                (
                    node.character,
                    replica.map(|r| {
                        (
                            r.view().get(),
                            r.is_active(),
                            r.executed().get(),
                            r.watermarks().0.get(),
                            r.waiting_requests(),
                            r.is_halted(),
                        )
                    }),
                    node.app.executed_numbers().len(),
                )
            })
            .collect();
        panic!("seed {}: not everything was executed: {state:#?}", self.seed);
    }

    fn change_weather(&mut self) {
        let n = self.nodes.len() as u64;
        match self.dice.below(4) {
            0 => {
                self.island = (0..self.nodes.len()).filter(|_| self.dice.chance(50)).collect();
            }
            1 => self.island.clear(),
            _ => {
                let victim = self.dice.below(n) as usize;
                if let Some(_replica) = self.nodes[victim].replica.take() {
                    let node = &mut self.nodes[victim];
                    node.life += 1;
                    node.writing.clear();
                    let back = self.now + 1 + self.dice.below(5_000);
                    self.at(back, Event::Restart(victim));
                }
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver(to, message) => self.input(to, Input::Message(message)),
            Event::Acknowledge(index, life, token) => {
                let node = &mut self.nodes[index];
                if node.life == life
                    && let Some(record) = node.writing.remove(&token)
                {
                    node.disk.push(record);
                    self.input(index, Input::Persisted(token));
                }
            }
            Event::Transferred(index, life, sequence) => {
                let histories = self.nodes.iter().map(|node| &node.app.history);
                let longest = histories.max_by_key(|history| history.len()).expect("nodes").clone();
                if self.nodes[index].life == life && longest.len() as u64 >= sequence.get() {
                    self.nodes[index].app.install(&longest, sequence);
                    self.input(index, Input::Transferred(sequence));
                }
            }
            Event::Request(number) => {
                let request = request(self.committee.context(), number);
                for index in 0..self.nodes.len() {
                    if !self.raging() || self.dice.chance(80) {
                        self.input(index, Input::Request(request.clone()));
                    }
                }
                // Clients ask again until they see it done.
                if !self.everybody_has(number) {
                    let again = self.now + 2_000 + self.dice.below(1_000);
                    self.at(again, Event::Request(number));
                }
            }
            Event::Tick(index) => {
                let deadline = self.nodes[index].replica.as_ref().and_then(Replica::deadline);
                self.input(index, Input::Wake);
                if self.dice.chance(30) {
                    self.input(index, Input::Resend);
                }
                let next = self.now + TICK;
                let next = deadline.map_or(next, |d| next.min(d.get().max(self.now + 1)));
                self.at(next, Event::Tick(index));
            }
            Event::Restart(index) => self.restart(index),
        }
    }

    fn restart(&mut self, index: usize) {
        let settings = self.settings.validate().expect("good settings");
        let node = &mut self.nodes[index];
        let low = node.stable.as_ref().map_or(0, |stable| stable.statement.sequence.get());
        let decided = node.app.history.iter().filter(|(at, ..)| at.get() > low);
        let decided = decided
            .map(|(_, batch, certificate)| Decided {
                certificate: certificate.clone(),
                batch: batch.clone(),
            })
            .collect();
        let restart = Restart {
            stable: node.stable.clone(),
            executed: SequenceNumber::new(node.app.history.len() as u64),
            decided,
            reached: node.app.reached,
            records: node.disk.clone(),
        };
        let restored = Replica::restore(
            self.committee.clone(),
            id(index),
            consensus_key(index),
            settings,
            restart,
        );
        node.replica = Some(restored.unwrap_or_else(|cause| {
            let kinds: Vec<_> = node.disk.iter().map(|r| (r.kind(), r.sequence())).collect();
            panic!("seed {}: replica {index} at {low}: {cause}: {kinds:?}", self.seed)
        }));
    }

    fn input(&mut self, index: usize, input: Input) {
        let now = LogicalTime::new(self.now);
        let node = &mut self.nodes[index];
        let Some(replica) = node.replica.as_mut() else { return };
        let effects = replica.handle(now, input, &mut node.app);
        for effect in effects {
            self.effect(index, effect);
        }
    }

    fn effect(&mut self, index: usize, effect: Effect<crate::toy::Refusal>) {
        match effect {
            Effect::Persist { token, record } => {
                let delay = 1 + self.dice.below(if self.raging() { 300 } else { 10 });
                let node = &mut self.nodes[index];
                node.writing.insert(token, record);
                let life = node.life;
                self.at(self.now + delay, Event::Acknowledge(index, life, token));
            }
            Effect::Broadcast(message) => self.broadcast(index, &message),
            Effect::Send { to, message } => self.send(index, usize::from(to.get()), message),
            Effect::StableCheckpoint(certificate) => {
                certificate.verify(&self.committee).expect("a proof");
                let node = &mut self.nodes[index];
                let (stable, view) =
                    (certificate.statement.sequence, node.replica.as_ref().map(Replica::view));
                node.disk.retain(|record| view.is_none_or(|view| !record.may_cut(stable, view)));
                node.stable = Some(certificate);
            }
            Effect::Committed { certificate, .. } => {
                certificate.verify(&self.committee).expect("a proof");
                self.check_safety();
            }
            Effect::Transfer(certificate) => {
                let (when, life) = (self.now + 200, self.nodes[index].life);
                self.at(when, Event::Transferred(index, life, certificate.statement.sequence));
            }
            Effect::Evidence(evidence) => {
                let accused = evidence.verify(&self.committee).expect("proof of a lie");
                let liar = self.nodes[usize::from(accused.get())].character;
                assert_ne!(
                    liar,
                    Character::Honest,
                    "seed {}: an honest replica is accused",
                    self.seed
                );
            }
            Effect::HandedOver { .. } => panic!("one configuration here"),
            Effect::Halted(fault) => panic!("seed {}: replica {index} halts: {fault}", self.seed),
            Effect::EnteredView(_)
            | Effect::Refused(_)
            | Effect::RequestRefused { .. }
            | Effect::BatchRefused { .. } => {}
        }
    }

    fn broadcast(&mut self, index: usize, message: &ConsensusMessage) {
        self.check_one_voice(index, message);
        let others: Vec<usize> = (0..self.nodes.len()).filter(|to| *to != index).collect();
        match self.nodes[index].character {
            Character::Honest => {}
            Character::Silent => return,
            Character::Equivocator => {
                if let ConsensusMessage::Proposal(proposal) = message {
                    let other = self.other_proposal(index, proposal);
                    for to in &others {
                        let told = if to % 2 == 0 { message.clone() } else { other.clone() };
                        self.send(index, *to, told);
                    }
                    return;
                }
            }
            Character::Forger => {
                let mut bytes = message.to_canonical();
                let at = self.dice.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << self.dice.below(8);
                if let Ok(forged) = ConsensusMessage::from_canonical(&bytes) {
                    for to in &others {
                        self.send(index, *to, forged.clone());
                    }
                }
            }
            Character::Flooder => {
                self.nodes[index].said.push(message.clone());
                let said = self.nodes[index].said.len() as u64;
                for _ in 0..3 {
                    let old = self.nodes[index].said[self.dice.below(said) as usize].clone();
                    for to in &others {
                        self.send(index, *to, old.clone());
                    }
                }
            }
            Character::Selective => {
                let to = others[0];
                return self.send(index, to, message.clone());
            }
        }
        for to in others {
            self.send(index, to, message.clone());
        }
    }

    fn other_proposal(&mut self, index: usize, proposal: &Proposal) -> ConsensusMessage {
        let context = self.committee.context();
        let mut claimed = *proposal.pre_prepare.claimed();
        let numbers = [1 + self.dice.below(REQUESTS)];
        let batch: Batch = batch(context, &numbers);
        claimed.digest = batch.digest(context, claimed.sequence);
        let pre_prepare = Signed::sign(claimed, &consensus_key(index), context);
        ConsensusMessage::Proposal(Proposal { pre_prepare, batch })
    }

    fn send(&mut self, from: usize, to: usize, message: ConsensusMessage) {
        let raging = self.raging();
        let cut = self.island.contains(&from) != self.island.contains(&to);
        if raging && (cut || self.dice.chance(15)) {
            return;
        }
        let copies = if raging && self.dice.chance(10) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = 1 + self.dice.below(if raging { 400 } else { 20 });
            self.at(self.now + delay, Event::Deliver(to, message.clone()));
        }
    }

    /// An honest replica never says two things in one place, crashes or not.
    fn check_one_voice(&mut self, index: usize, message: &ConsensusMessage) {
        let place = match message {
            ConsensusMessage::Proposal(proposal) => {
                let body = proposal.pre_prepare.claimed();
                (message.kind(), body.view.get(), body.sequence.get())
            }
            ConsensusMessage::Prepare(vote) => {
                (message.kind(), vote.claimed().view.get(), vote.claimed().sequence.get())
            }
            ConsensusMessage::Commit(vote) => {
                (message.kind(), vote.claimed().view.get(), vote.claimed().sequence.get())
            }
            ConsensusMessage::Checkpoint(vote) => {
                (message.kind(), 0, vote.claimed().statement.sequence.get())
            }
            ConsensusMessage::NewView(new_view) => {
                (message.kind(), new_view.claimed().view.get(), 0)
            }
            _ => return,
        };
        let bytes = message.to_canonical();
        let said = self.nodes[index].votes.entry(place).or_insert_with(|| bytes.clone());
        assert_eq!(
            *said, bytes,
            "seed {}: replica {index} says two things at {place:?}",
            self.seed
        );
    }

    fn check_safety(&self) {
        let mut decided: BTreeMap<u64, &Batch> = BTreeMap::new();
        for node in &self.nodes {
            for (position, (sequence, batch, _)) in (1..).zip(&node.app.history) {
                assert_eq!(sequence.get(), position, "seed {}: a gap or a repetition", self.seed);
                let first = decided.entry(position).or_insert(batch);
                assert_eq!(*first, batch, "seed {}: two batches at {position}", self.seed);
            }
            let batches = node.app.history.iter().map(|(_, batch, _)| batch);
            let ordered: Vec<u64> = batches.flat_map(numbers).collect();
            let distinct: BTreeSet<_> = ordered.iter().collect();
            let executed = node.app.executed_numbers().len();
            assert_eq!(distinct.len(), executed, "seed {}: executed twice, or never", self.seed);
            // A view change may order again what is in flight, unless only one is, or each waits for the state.
            let one = self.settings.pipeline_depth == 1 || node.app.needs_state;
            assert!(!one || ordered.len() == executed, "seed {}: ordered twice", self.seed);
        }
    }

    fn everybody_has(&self, number: u64) -> bool {
        let honest = self.nodes.iter().filter(|node| node.character == Character::Honest);
        honest.into_iter().all(|node| node.app.executed_numbers().contains(&number))
    }

    fn is_done(&self) -> bool {
        !self.raging() && (1..=REQUESTS).all(|number| self.everybody_has(number))
    }
}

#[expect(clippy::disallowed_methods, reason = "the seeds of a long run come from its command line")]
#[test]
fn whatever_the_weather_one_order_and_in_the_end_everything() {
    let seeds = std::env::var("PRISM_STORM_SEEDS").unwrap_or_else(|_| "0..60".to_owned());
    let (from, to) = seeds.split_once("..").expect("FROM..TO");
    let (from, to): (u64, u64) = (from.parse().expect("a number"), to.parse().expect("a number"));
    for seed in from..to {
        let repeat = format!(
            "PRISM_STORM_SEEDS={seed}..{} cargo test -p consensus-pbft --test it storm",
            seed + 1
        );
        let run = std::panic::catch_unwind(|| Storm::new(seed).run());
        assert!(run.is_ok(), "repeat with: {repeat}");
    }
}
