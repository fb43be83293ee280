//! A deterministic driver of n replicas: messages, disk acknowledgements and crashes in any chosen order.
//!
//! It obeys the driver's law and checks at every broadcast that the vote was durable before.

use std::collections::{BTreeMap, BTreeSet};

use consensus_pbft::{
    CheckpointCertificate, CommitCertificate, Committee, ConsensusMessage, Decided, Effect,
    Equivocation, Fault, Input, PersistToken, Rejection, Replica, Restart, SafetyRecord, Settings,
};
use federation_proto::{Digest, LogicalTime, SequenceNumber, View};

use crate::federation::{committee, consensus_key, id, replica, request};
use crate::toy::{Refusal, Toy, numbers};

pub(crate) struct Node {
    pub(crate) replica: Replica,
    pub(crate) app: Toy,
    pub(crate) alive: bool,
    /// Durable records, in the order in which they became so.
    pub(crate) disk: Vec<SafetyRecord>,
    /// Written, not acknowledged yet.
    pub(crate) writing: BTreeMap<PersistToken, SafetyRecord>,
    pub(crate) sent: Vec<ConsensusMessage>,
    pub(crate) stable: Vec<CheckpointCertificate>,
    pub(crate) committed: Vec<(SequenceNumber, CommitCertificate)>,
    pub(crate) evidence: Vec<Equivocation>,
    pub(crate) views: Vec<View>,
    pub(crate) transfers: Vec<CheckpointCertificate>,
    pub(crate) rejections: Vec<Rejection>,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) fault: Option<Fault>,
}

/// Something that will happen, in an order the test chooses.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a short queue of a test")]
pub(crate) enum Event {
    Deliver(usize, ConsensusMessage),
    Acknowledge(usize, PersistToken),
}

pub(crate) struct World {
    pub(crate) committee: Committee,
    settings: Settings,
    pub(crate) nodes: Vec<Node>,
    pub(crate) queue: Vec<Event>,
    pub(crate) now: u64,
}

/// A window of four, all of it in flight. `PRISM_PIPELINE_DEPTH` runs the suite with another depth.
#[expect(clippy::disallowed_methods, reason = "the depth of a run comes from its command line")]
pub(crate) fn small_window() -> Settings {
    let depth = std::env::var("PRISM_PIPELINE_DEPTH").map(|depth| depth.parse());
    let pipeline_depth = depth.map_or(4, |depth| depth.expect("a number"));
    Settings { window: 4, pipeline_depth, ..Settings::default() }
}

impl World {
    /// n replicas with a checkpoint every second batch and a window of four.
    pub(crate) fn new(n: usize) -> Self {
        Self::with(n, small_window(), 2)
    }

    /// The same, with another depth of the pipeline.
    pub(crate) fn of_depth(n: usize, pipeline_depth: u64) -> Self {
        Self::with(n, Settings { pipeline_depth, ..small_window() }, 2)
    }

    pub(crate) fn with(n: usize, settings: Settings, interval: u64) -> Self {
        let committee = committee(n);
        let node = |index| Node {
            replica: replica(n, index, settings),
            app: Toy::new(&committee, index, interval),
            alive: true,
            disk: Vec::new(),
            writing: BTreeMap::new(),
            sent: Vec::new(),
            stable: Vec::new(),
            committed: Vec::new(),
            evidence: Vec::new(),
            views: Vec::new(),
            transfers: Vec::new(),
            rejections: Vec::new(),
            refusals: Vec::new(),
            fault: None,
        };
        let nodes = (0..n).map(node).collect();
        Self { settings, nodes, committee, queue: Vec::new(), now: 0 }
    }

    /// Puts fresh replicas of another committee in place, those whose keys fit.
    pub(crate) fn use_committee(&mut self, committee: &Committee) {
        let settings = self.settings.validate().expect("good settings");
        self.committee = committee.clone();
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let key = consensus_key(index);
            match Replica::new(committee.clone(), id(index), key, settings) {
                Ok(replica) => node.replica = replica,
                Err(_) => node.alive = false,
            }
            node.app = Toy::new(committee, index, 2);
        }
    }

    pub(crate) fn crash(&mut self, index: usize) {
        self.nodes[index].alive = false;
    }

    /// The crashed replica comes back with its disk and its application.
    pub(crate) fn restart(&mut self, index: usize) {
        let settings = self.settings.validate().expect("good settings");
        let node = &mut self.nodes[index];
        let decided = node.app.history.iter().map(|(_, batch, certificate)| Decided {
            certificate: certificate.clone(),
            batch: batch.clone(),
        });
        let restart = Restart {
            stable: node.stable.last().cloned(),
            executed: SequenceNumber::new(node.app.history.len() as u64),
            decided: decided.collect(),
            reached: node.app.reached,
            records: node.disk.clone(),
        };
        let key = consensus_key(index);
        node.replica = Replica::restore(self.committee.clone(), id(index), key, settings, restart)
            .expect("a good restart");
        node.writing.clear();
        node.alive = true;
        // What its disk would have answered before the crash is lost.
        self.queue.retain(|event| !matches!(event, Event::Acknowledge(at, _) if *at == index));
    }

    /// Time passes, everybody looks at the clock, and everything that follows happens.
    pub(crate) fn wait(&mut self, millis: u64) {
        self.now += millis;
        for index in 0..self.nodes.len() {
            self.input(index, Input::Wake);
        }
        self.run();
    }

    /// Everybody says everything again, and everything that follows happens.
    pub(crate) fn resend(&mut self) {
        for index in 0..self.nodes.len() {
            self.input(index, Input::Resend);
        }
        self.run();
    }

    /// Every node that was asked to becomes what the others are, from their blocks.
    pub(crate) fn transfer(&mut self) {
        for index in 0..self.nodes.len() {
            let Some(target) = self.nodes[index].transfers.pop() else { continue };
            self.nodes[index].transfers.clear();
            let sequence = target.statement.sequence;
            let history = |node: &Node| node.app.history.clone();
            let longest = self.nodes.iter().map(history).max_by_key(Vec::len).expect("nodes");
            self.nodes[index].app.install(&longest, sequence);
            self.input(index, Input::Transferred(sequence));
        }
        self.run();
    }

    /// Patience for what is due runs, and is over.
    pub(crate) fn time_out(&mut self) {
        self.wait(1);
        self.wait(1_000_000);
    }

    pub(crate) fn views(&self) -> Vec<(u64, bool)> {
        let view = |node: &Node| (node.replica.view().get(), node.replica.is_active());
        self.nodes.iter().map(view).collect()
    }

    /// A client sends a request to every validator.
    pub(crate) fn request(&mut self, number: u64) {
        let request = request(self.committee.context(), number);
        for index in 0..self.nodes.len() {
            self.input(index, Input::Request(request.clone()));
        }
    }

    /// One `handle`, all effects in order.
    pub(crate) fn input(&mut self, index: usize, input: Input) {
        self.now += 1;
        let node = &mut self.nodes[index];
        if !node.alive {
            return;
        }
        let now = LogicalTime::new(self.now);
        for effect in node.replica.handle(now, input, &mut node.app) {
            match effect {
                Effect::Persist { token, record } => {
                    assert!(node.writing.insert(token, record).is_none(), "token reused");
                    self.queue.push(Event::Acknowledge(index, token));
                }
                Effect::Broadcast(message) => {
                    assert_durable(&node.disk, &message);
                    node.sent.push(message.clone());
                    for to in (0..self.committee.size()).filter(|to| *to != index) {
                        self.queue.push(Event::Deliver(to, message.clone()));
                    }
                }
                Effect::Committed { sequence, certificate } => {
                    let executed =
                        |(at, _, proof): &(_, _, _)| (*at, proof) == (sequence, &certificate);
                    assert!(node.app.history.iter().any(executed), "executed first");
                    certificate.verify(&self.committee).expect("a proof");
                    node.committed.push((sequence, certificate));
                }
                Effect::StableCheckpoint(certificate) => {
                    certificate.verify(&self.committee).expect("a proof");
                    node.stable.push(certificate);
                }
                Effect::Evidence(evidence) => {
                    assert!(node.disk.contains(&SafetyRecord::Evidence(evidence.clone())));
                    node.evidence.push(*evidence);
                }
                Effect::Send { to, message } => {
                    let to = usize::from(to.get());
                    self.queue.push(Event::Deliver(to, message));
                }
                Effect::EnteredView(view) => node.views.push(view),
                Effect::Transfer(certificate) => node.transfers.push(*certificate),
                Effect::Refused(rejection) => node.rejections.push(rejection),
                Effect::RequestRefused { reason, .. } | Effect::BatchRefused { reason, .. } => {
                    node.refusals.push(reason);
                }
                Effect::HandedOver { .. } => panic!("one configuration here"),
                Effect::Halted(fault) => node.fault = Some(fault),
            }
        }
    }

    /// Lets the event at a position of the queue happen.
    pub(crate) fn step(&mut self, position: usize) {
        match self.queue.remove(position) {
            Event::Deliver(to, message) => self.input(to, Input::Message(message)),
            Event::Acknowledge(index, token) => {
                let node = &mut self.nodes[index];
                if node.alive {
                    let record = node.writing.remove(&token).expect("written");
                    node.disk.push(record);
                    self.input(index, Input::Persisted(token));
                }
            }
        }
    }

    /// First in, first out, until nothing is left to happen.
    pub(crate) fn run(&mut self) {
        while !self.queue.is_empty() {
            self.step(0);
        }
    }

    /// The same, but what `lost` names never arrives.
    pub(crate) fn run_without(&mut self, lost: impl Fn(&Event) -> bool) {
        self.filter(|event| !lost(event));
        while !self.queue.is_empty() {
            self.step(0);
            self.filter(|event| !lost(event));
        }
    }

    /// Keeps only the events that `keep` wants.
    pub(crate) fn filter(&mut self, keep: impl Fn(&Event) -> bool) {
        self.queue.retain(|event| keep(event));
    }

    /// Agreement and exactly-once order, from what the applications saw; crashed and halted ones included.
    pub(crate) fn check_safety(&self) {
        let mut decided = BTreeMap::new();
        for node in &self.nodes {
            for (position, (sequence, batch, _)) in (1..).zip(&node.app.history) {
                assert_eq!(sequence.get(), position, "a gap or a repetition");
                let first = decided.entry(position).or_insert_with(|| batch.clone());
                assert_eq!(first, batch, "two batches at sequence {position}");
            }
            let ordered: Vec<u64> =
                node.app.history.iter().flat_map(|(_, batch, _)| numbers(batch)).collect();
            let distinct: BTreeSet<_> = ordered.iter().collect();
            // With several in flight a view change may order a request again; the application skips it then.
            let may_skip = self.settings.pipeline_depth > 1 && node.replica.view() > View::ZERO;
            assert!(may_skip || distinct.len() == ordered.len(), "a request was ordered twice");
            let executed = node.app.executed_numbers();
            assert_eq!(executed.len(), distinct.len(), "a request was executed twice, or never");
        }
    }

    pub(crate) fn executed(&self) -> Vec<u64> {
        let executed = |node: &Node| node.replica.executed().get();
        self.nodes.iter().map(executed).collect()
    }

    pub(crate) fn digest_of(&self, numbers: &[u64], sequence: u64) -> Digest {
        let context = self.committee.context();
        crate::federation::batch(context, numbers)
            .digest(context, federation_proto::SequenceNumber::new(sequence))
    }
}

/// Nothing is sent before its record is durable, and exactly what is recorded is sent.
pub(crate) fn assert_durable(disk: &[SafetyRecord], message: &ConsensusMessage) {
    // It binds to nothing.
    let binds = !matches!(message, ConsensusMessage::Status(_));
    let recorded = !binds
        || disk.iter().any(|record| match (record, message) {
            (SafetyRecord::PrePrepare(ours), ConsensusMessage::Proposal(sent)) => ours == sent,
            (SafetyRecord::Prepare { prepare, .. }, ConsensusMessage::Prepare(sent)) => {
                prepare == sent
            }
            (SafetyRecord::Commit { commit, .. }, ConsensusMessage::Commit(sent)) => commit == sent,
            (SafetyRecord::Checkpoint(ours), ConsensusMessage::Checkpoint(sent)) => ours == sent,
            (SafetyRecord::ViewChange(ours), ConsensusMessage::ViewChange(sent)) => ours == sent,
            (SafetyRecord::NewView(ours), ConsensusMessage::NewView(sent)) => ours == sent,
            _ => false,
        });
    assert!(recorded, "sent before it was durable: {message:?}");
}
