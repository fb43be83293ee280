//! The simulated world: validators, sites and governors, driven by one event queue.
//!
//! Nodes meet only through encoded frames on the simulated network and through `Persist` effects on the
//! simulated disk; nobody calls anybody. Everything that happens follows from the scenario and the seed.

mod characters;
mod disk;
mod network;
mod queue;
mod validators;

use std::collections::{BTreeMap, BTreeSet};

use consensus_pbft::{SettingsError, ValidSettings};
use federation_proto::codec::Canonical;
use federation_proto::{Digest, Height, LogicalTime, Name, SecretKey, View};
use governance::executor::Executor;
use governance::follower::{Follower, FollowerRefusal};
use governance::governor::{Governor, GovernorRefusal};
use governance::machine::Phase;
use governance::participant::{Participant, ParticipantInput};
use governance::validator::{
    DurableToken, RestoreError, Validator, ValidatorError, ValidatorInput,
};
use governance::wire::{Frame, Outgoing, Recipient};
use meta_core::rng::Stream;
use thiserror::Error;

use crate::founding::Founding;
use crate::keys::KeyRing;
use crate::scenario::Scenario;
use characters::Characters;
use disk::Disk;
use network::Network;
use queue::EventQueue;
use validators::patience;

/// Milliseconds between two ticks of a site's agent.
const TICK_MS: u64 = 1_000;
/// Milliseconds between two wakes of a validator that nothing else woke.
const HEARTBEAT_MS: u64 = 1_000;
/// Milliseconds after which validators say again what may be lost, where anything is.
const RESEND_MS: u64 = 2_000;
/// Events after which a run that gets nowhere is stopped.
const MAX_EVENTS_PER_STEP: u64 = 5_000_000;

/// What can happen.
#[derive(Debug)]
enum Event {
    Deliver {
        to: Name,
        bytes: Vec<u8>,
    },
    /// What a validator wrote before it crashed says nothing to the one that came back.
    Durable {
        validator: Name,
        life: u32,
        token: DurableToken,
    },
    Wake {
        validator: Name,
        again: bool,
    },
    Resend {
        validator: Name,
    },
    Crash {
        validator: Name,
    },
    Return {
        validator: Name,
    },
    Tick {
        site: Name,
    },
    Submit {
        site: Name,
        blob: Vec<u8>,
    },
    Join {
        site: Name,
        nonce: [u8; 32],
    },
}

/// The world.
#[derive(Debug)]
pub(crate) struct World {
    queue: EventQueue<Event>,
    network: Network,
    validators: BTreeMap<Name, Validator>,
    sites: BTreeMap<Name, Participant>,
    governors: BTreeMap<Name, Governor>,
    validator_names: Vec<Name>,
    governor_names: Vec<Name>,
    unsigning: BTreeSet<Name>,
    characters: Characters,
    /// Validators with a fault: what they hold proves nothing about the others.
    faulty: BTreeSet<Name>,
    /// The disks of validators that will crash.
    disks: BTreeMap<Name, Disk>,
    /// How often a validator came back.
    lives: BTreeMap<Name, u32>,
    /// When somebody first took part in a view.
    views: BTreeMap<View, LogicalTime>,
    founding: Founding,
    keys: KeyRing,
    settings: ValidSettings,
    refusals: Vec<String>,
    seed: u64,
    /// Sites whose next hello is scheduled.
    joining_again: BTreeSet<Name>,
}

/// How a node sees the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// The validator, site or governor.
    pub node: Name,
    /// Height of its ledger.
    pub height: Height,
    /// Whether an aggregate is decided and waits for its sign-off.
    pub awaits_signoff: bool,
    /// Hash of its meta state.
    pub state_hash: Digest,
}

/// Why a world stopped.
#[derive(Debug, Error)]
pub enum WorldError {
    /// Replica settings are refused.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A validator is refused.
    #[error(transparent)]
    Validator(#[from] ValidatorError),
    /// A validator cannot go on from its disk.
    #[error("{validator} does not come back: {cause}")]
    Restore {
        /// Which.
        validator: Name,
        /// Why.
        cause: Box<RestoreError>,
    },
    /// A validator halted.
    #[error("{validator} halted at {at} ms: {cause}")]
    Halted {
        /// Which.
        validator: Name,
        /// When.
        at: LogicalTime,
        /// Why.
        cause: String,
    },
    /// A site refused what a quorum certified.
    #[error("{site} halted at {at} ms: {cause}")]
    Follower {
        /// Which.
        site: Name,
        /// When.
        at: LogicalTime,
        /// Why.
        cause: FollowerRefusal,
    },
    /// A governor refused what a quorum certified.
    #[error("{governor} halted at {at} ms: {cause}")]
    Governor {
        /// Which.
        governor: Name,
        /// When.
        at: LogicalTime,
        /// Why.
        cause: GovernorRefusal,
    },
    /// A node sent bytes that are no frame.
    #[error("a frame for {to} does not decode: {cause}")]
    Frame {
        /// The receiver.
        to: Name,
        /// Why.
        cause: federation_proto::codec::CodecError,
    },
    /// Time ran out before something had to happen.
    #[error("nothing more can happen by {at} ms: {waiting_for} (last refusal: {last_refusal})")]
    Stuck {
        /// Logical time.
        at: LogicalTime,
        /// What was waited for.
        waiting_for: &'static str,
        /// The last thing a validator refused.
        last_refusal: String,
    },
}

impl World {
    pub(crate) fn new(
        scenario: &Scenario,
        seed: u64,
        founding: &Founding,
        keys: &KeyRing,
    ) -> Result<Self, WorldError> {
        let document = scenario.document();
        let mut regions: BTreeMap<Name, Name> = BTreeMap::new();
        regions.extend(
            document.validators.iter().map(|node| (node.name.clone(), node.region.clone())),
        );
        regions.extend(document.sites.iter().map(|site| (site.name.clone(), site.region.clone())));
        let faults = &document.faults;
        let silent: BTreeSet<Name> = faults
            .silent_validators
            .iter()
            .chain(&faults.silent_governors)
            .chain(&faults.silent_sites)
            .cloned()
            .collect();
        let slow = faults.slow_validators.iter();
        let slow = slow.map(|slow| (slow.validator.clone(), slow.delay_ms)).collect();
        let mut world = Self {
            queue: EventQueue::new(),
            network: Network::new(document.network, regions, silent, slow, seed),
            validators: BTreeMap::new(),
            sites: BTreeMap::new(),
            governors: BTreeMap::new(),
            validator_names: Vec::new(),
            governor_names: Vec::new(),
            unsigning: faults.unsigning_governors.iter().cloned().collect(),
            characters: Characters::new(faults, keys, founding.rules.context),
            faulty: faults.faulty_validators().into_iter().cloned().collect(),
            disks: BTreeMap::new(),
            lives: BTreeMap::new(),
            views: BTreeMap::new(),
            founding: founding.clone(),
            keys: keys.clone(),
            settings: patience(&document.network).validate()?,
            refusals: Vec::new(),
            seed,
            joining_again: BTreeSet::new(),
        };
        world.settle_validators(scenario)?;
        world.schedule_crashes(faults);
        world.settle_governors(founding, keys);
        world.settle_sites(scenario, founding, keys);
        Ok(world)
    }

    fn settle_governors(&mut self, founding: &Founding, keys: &KeyRing) {
        for governor in founding.rules.roster.governors() {
            let name = &governor.record.name;
            let follower = Follower::new(founding.committee.clone(), founding.executor());
            let desk = Governor::new(keys.key(name.as_str()), keys.key(name.as_str()), follower);
            self.governor_names.push(name.clone());
            self.governors.insert(name.clone(), desk);
        }
    }

    fn settle_sites(&mut self, scenario: &Scenario, founding: &Founding, keys: &KeyRing) {
        for site in &scenario.document().sites {
            let owner = site.name.as_str();
            let follower = Follower::new(founding.committee.clone(), founding.executor());
            let transport =
                SecretKey::<federation_proto::keys::Transport>::public(&keys.key(owner));
            let agent = Participant::new(site.name.clone(), keys.key(owner), transport, follower);
            self.sites.insert(site.name.clone(), agent);
            self.schedule_join(&site.name, LogicalTime::new(1));
            let tick = Event::Tick { site: site.name.clone() };
            self.queue.schedule(LogicalTime::new(TICK_MS), tick);
        }
    }

    /// Logical time.
    pub(crate) fn now(&self) -> LogicalTime {
        self.queue.now()
    }

    /// Hash over every frame.
    pub(crate) fn trace(&self) -> Digest {
        self.network.trace()
    }

    /// Frames and bytes sent.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        self.network.traffic()
    }

    /// Keeps a copy of every frame.
    pub(crate) fn tap(&mut self) {
        self.network.tap();
    }

    /// The kept frames.
    pub(crate) fn tapped(&self) -> &[Vec<u8>] {
        self.network.tapped()
    }

    /// What validators refused, oldest first.
    pub(crate) fn refusals(&self) -> &[String] {
        &self.refusals
    }

    /// The validator that exports artifacts: the first one without a fault.
    pub(crate) fn exporter(&self) -> Option<&Validator> {
        let mut honest = self.validator_names.iter().filter(|name| !self.faulty.contains(*name));
        self.validators.get(honest.next()?)
    }

    /// Every view after the first that somebody took part in, its primary, and since when.
    pub(crate) fn entered_views(&self) -> impl Iterator<Item = (View, &Name, LogicalTime)> {
        self.views.iter().filter_map(|(view, since)| {
            let primary = usize::from(self.founding.committee.primary(*view).get());
            Some((*view, self.validator_names.get(primary)?, *since))
        })
    }

    /// A site's agent.
    pub(crate) fn site(&self, name: &Name) -> Option<&Participant> {
        self.sites.get(name)
    }

    /// All sites' agents.
    pub(crate) fn sites(&self) -> impl Iterator<Item = (&Name, &Participant)> {
        self.sites.iter()
    }

    /// Whether nothing a node sends arrives.
    pub(crate) fn is_silent(&self, name: &Name) -> bool {
        self.network.is_silent(name)
    }

    /// Every validator's, site's and governor's view, in this order.
    pub(crate) fn views(&self) -> Vec<NodeView> {
        let validators = self.validators.iter().map(|(name, node)| (name, node.executor()));
        let sites = self.sites.iter().map(|(name, node)| (name, node.follower().executor()));
        let desks = self.governors.iter().map(|(name, node)| (name, node.follower().executor()));
        let view = |(name, executor): (&Name, &Executor)| NodeView {
            node: name.clone(),
            height: executor.ledger().head().height,
            awaits_signoff: matches!(executor.state().phase(), Phase::Aggregated { .. }),
            state_hash: executor.state().meta().hash(),
        };
        validators.chain(sites).chain(desks).map(view).collect()
    }

    /// Lets a site submit an update at a time.
    pub(crate) fn submit_at(&mut self, at: LogicalTime, site: &Name, blob: Vec<u8>) {
        self.queue.schedule(at, Event::Submit { site: site.clone(), blob });
    }

    /// Runs until `done` or, failing that, until `deadline`.
    pub(crate) fn run_until(
        &mut self,
        deadline: LogicalTime,
        waiting_for: &'static str,
        done: impl Fn(&Self) -> bool,
    ) -> Result<(), WorldError> {
        let mut events = 0;
        while !done(self) {
            let in_time = self.queue.next_time().is_some_and(|next| next <= deadline);
            if !in_time || events >= MAX_EVENTS_PER_STEP {
                let last_refusal = self.refusals.last().cloned().unwrap_or_else(|| "none".into());
                return Err(WorldError::Stuck { at: self.now(), waiting_for, last_refusal });
            }
            if let Some(event) = self.queue.next() {
                self.happen(event)?;
            }
            events += 1;
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<(), WorldError> {
        match event {
            Event::Deliver { to, bytes } => self.deliver(to, &bytes),
            Event::Durable { validator, life, token } => {
                if life != self.life(&validator) || !self.validators.contains_key(&validator) {
                    return Ok(());
                }
                if let Some(disk) = self.disks.get_mut(&validator) {
                    disk.sync(token);
                }
                self.tell_validator(&validator, ValidatorInput::Persisted(token))
            }
            Event::Resend { validator } => {
                let at = self.now().plus_millis(RESEND_MS);
                self.queue.schedule(at, Event::Resend { validator: validator.clone() });
                self.tell_validator(&validator, ValidatorInput::Resend)
            }
            Event::Crash { validator } => {
                self.crash(&validator);
                Ok(())
            }
            Event::Return { validator } => self.come_back(&validator),
            Event::Wake { validator, again } => {
                if again {
                    let at = self.now().plus_millis(HEARTBEAT_MS);
                    let wake = Event::Wake { validator: validator.clone(), again };
                    self.queue.schedule(at, wake);
                }
                self.tell_validator(&validator, ValidatorInput::Wake)
            }
            Event::Tick { site } => {
                let at = self.now().plus_millis(TICK_MS);
                self.queue.schedule(at, Event::Tick { site: site.clone() });
                self.tell_site(&site, ParticipantInput::Tick)
            }
            Event::Submit { site, blob } => self.tell_site(&site, ParticipantInput::Submit(blob)),
            Event::Join { site, nonce } => {
                self.joining_again.remove(&site);
                self.tell_site(&site, ParticipantInput::Join { nonce })
            }
        }
    }

    fn deliver(&mut self, to: Name, bytes: &[u8]) -> Result<(), WorldError> {
        let frame = Frame::from_canonical(bytes);
        let frame = frame.map_err(|cause| WorldError::Frame { to: to.clone(), cause })?;
        if self.validator_names.contains(&to) {
            if self.characters.ignores(&to, &frame) {
                return Ok(());
            }
            self.tell_validator(&to, ValidatorInput::Frame(frame))
        } else if self.sites.contains_key(&to) {
            self.tell_site(&to, ParticipantInput::Frame(frame))
        } else {
            self.tell_governor(&to, frame)
        }
    }

    fn tell_site(&mut self, name: &Name, input: ParticipantInput) -> Result<(), WorldError> {
        let now = self.now();
        let Some(site) = self.sites.get_mut(name) else { return Ok(()) };
        let frames = site.handle(now, input);
        let frames =
            frames.map_err(|cause| WorldError::Follower { site: name.clone(), at: now, cause })?;
        let joins_again = site.needs_join();
        frames.iter().for_each(|outgoing| self.send(name, outgoing));
        if joins_again && self.joining_again.insert(name.clone()) {
            self.schedule_join(name, now.plus_millis(1));
        }
        Ok(())
    }

    /// A site says hello at a time, with a nonce that no other hello of the run has.
    fn schedule_join(&mut self, name: &Name, at: LogicalTime) {
        let parts: [&[u8]; 3] =
            [&self.seed.to_le_bytes(), name.as_str().as_bytes(), &at.get().to_le_bytes()];
        let nonce = Stream::new("simulator/nonce", &parts).bytes32();
        self.queue.schedule(at, Event::Join { site: name.clone(), nonce });
    }

    fn tell_governor(&mut self, name: &Name, frame: Frame) -> Result<(), WorldError> {
        let now = self.now();
        let Some(governor) = self.governors.get_mut(name) else { return Ok(()) };
        match governor.handle(frame) {
            Ok(frames) => {
                let unsigning = self.unsigning.contains(name);
                let withheld = |frame: &Frame| unsigning && matches!(frame, Frame::Approval { .. });
                let frames = frames.iter().filter(|outgoing| !withheld(&outgoing.frame));
                frames.for_each(|outgoing| self.send(name, outgoing));
            }
            Err(cause @ GovernorRefusal::Follower(_)) => {
                return Err(WorldError::Governor { governor: name.clone(), at: now, cause });
            }
            Err(refusal) => self.refusals.push(format!("{now} ms {name}: {refusal}")),
        }
        Ok(())
    }

    fn send(&mut self, from: &Name, outgoing: &Outgoing) {
        let receivers: &[Name] = match &outgoing.to {
            Recipient::Node(name) => core::slice::from_ref(name),
            Recipient::Validators => &self.validator_names,
            Recipient::Governors => &self.governor_names,
        };
        let other = self.characters.contradiction(from, &outgoing.frame);
        let (bytes, other) = (outgoing.frame.to_canonical(), other.map(|it| it.to_canonical()));
        let now = self.queue.now();
        for (place, to) in receivers.iter().filter(|to| *to != from).enumerate() {
            let bytes = other.as_ref().filter(|_| place > 0).unwrap_or(&bytes);
            if let Some(at) = self.network.send(now, from, to, bytes) {
                let event = Event::Deliver { to: to.clone(), bytes: bytes.clone() };
                self.queue.schedule(at, event);
            }
        }
    }
}
