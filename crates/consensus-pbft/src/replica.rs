//! The replica: one `handle` in, effects out.
//!
//! | file | sub-protocol | source |
//! |---|---|---|
//! | `normal_case.rs` | PRE-PREPARE, PREPARE, COMMIT, execution in order | OSDI '99 §4.2 |
//! | `checkpoint.rs` | CHECKPOINT, stability, garbage collection | OSDI '99 §4.3 |
//! | `admission.rs` | what every message must satisfy before it is looked at | OSDI '99 §4.2 |
//! | `pool.rs` | requests that wait | OSDI '99 §4.1 |
//! | `log.rs` | slots between the watermarks, early messages | OSDI '99 §4.2 |
//! | `outbox.rs` | votes that are not durable yet | – |
//! | `invariants.rs` | what holds after every step | – |

mod admission;
mod checkpoint;
mod invariants;
mod log;
mod normal_case;
mod outbox;
mod pool;

use federation_proto::keys::{Consensus, PublicKey, SecretKey};
use federation_proto::{LogicalTime, Request, SequenceNumber, Signed, View};
use thiserror::Error;

use crate::application::Application;
use crate::certificate::CheckpointCertificate;
use crate::committee::{Committee, ReplicaId};
use crate::effect::{Effect, Effects, Input};
use crate::message::ConsensusMessage;
use crate::rejection::{Fault, Rejection};
use crate::safety::PersistToken;
use crate::settings::ValidSettings;
use checkpoint::Checkpoints;
use log::{Log, Stage};
use outbox::{Outbox, Pending};
use pool::Pool;

/// A replica of the committee: a pure state machine that owns no clock, disk or network.
///
/// The driver's law is in the [crate documentation](crate#the-drivers-law).
#[derive(Debug)]
pub struct Replica {
    committee: Committee,
    id: ReplicaId,
    key: SecretKey<Consensus>,
    settings: ValidSettings,
    view: View,
    log: Log,
    checkpoints: Checkpoints,
    pool: Pool,
    outbox: Outbox,
    halted: bool,
}

/// Why a replica cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReplicaError {
    /// The committee has no such replica.
    #[error("replica {id} is unknown: the committee has {size} replicas")]
    UnknownReplica {
        /// The id given.
        id: ReplicaId,
        /// Replicas of the committee.
        size: usize,
    },
    /// The secret key is another's.
    #[error("replica {id} has consensus key {expected}, the secret key is that of {found}")]
    ForeignKey {
        /// The id given.
        id: ReplicaId,
        /// Key in the committee.
        expected: PublicKey<Consensus>,
        /// Public half of the secret key.
        found: PublicKey<Consensus>,
    },
}

impl Replica {
    /// A replica at the beginning of its federation: view 0, nothing executed.
    ///
    /// # Errors
    /// Any variant of [`ReplicaError`].
    pub fn new(
        committee: Committee,
        id: ReplicaId,
        key: SecretKey<Consensus>,
        settings: ValidSettings,
    ) -> Result<Self, ReplicaError> {
        let size = committee.size();
        let member = committee.member(id).ok_or(ReplicaError::UnknownReplica { id, size })?;
        let (expected, found) = (member.consensus_key().public(), key.public());
        if expected != found {
            return Err(ReplicaError::ForeignKey { id, expected, found });
        }
        Ok(Self {
            committee,
            id,
            key,
            settings,
            view: View::ZERO,
            log: Log::new(settings.get().window),
            checkpoints: Checkpoints::default(),
            pool: Pool::default(),
            outbox: Outbox::new(),
            halted: false,
        })
    }

    /// Takes one input to its end. `now` is passed on to the application, that of a PRE-PREPARE's arrival when
    /// its turn comes; it decides nothing here.
    pub fn handle<A: Application>(
        &mut self,
        now: LogicalTime,
        input: Input,
        app: &mut A,
    ) -> Effects<A::Refusal> {
        let mut effects = Effects::none();
        let outcome = if self.halted {
            Err(Rejection::Halted)
        } else {
            self.take(now, input, app, &mut effects)
        };
        match outcome {
            // A refused input changes nothing, so nothing can follow from it.
            Err(rejection) => effects.push(Effect::Refused(rejection)),
            Ok(()) => {
                if let Err(fault) = self.run(now, app, &mut effects) {
                    self.halted = true;
                    effects.push(Effect::Halted(fault));
                }
            }
        }
        self.check_invariants();
        effects
    }

    /// This replica's position.
    pub fn id(&self) -> ReplicaId {
        self.id
    }

    /// The committee it votes in.
    pub fn committee(&self) -> &Committee {
        &self.committee
    }

    /// The view it is in. It stays 0 until the view change is built.
    pub fn view(&self) -> View {
        self.view
    }

    /// Last executed sequence number.
    pub fn executed(&self) -> SequenceNumber {
        self.log.executed
    }

    /// Low and high watermark, h and H: votes are cast for sequence numbers in (h, H].
    pub fn watermarks(&self) -> (SequenceNumber, SequenceNumber) {
        (self.log.low, self.log.high())
    }

    /// The last stable checkpoint.
    pub fn stable_checkpoint(&self) -> Option<&CheckpointCertificate> {
        self.checkpoints.stable()
    }

    /// Requests that wait.
    pub fn waiting_requests(&self) -> usize {
        self.pool.requests().len()
    }

    /// Whether it has stopped for a [`Fault`].
    pub fn is_halted(&self) -> bool {
        self.halted
    }

    fn is_primary(&self) -> bool {
        self.committee.primary(self.view) == self.id
    }

    fn take<A: Application>(
        &mut self,
        now: LogicalTime,
        input: Input,
        app: &A,
        effects: &mut Effects<A::Refusal>,
    ) -> Result<(), Rejection> {
        match input {
            Input::Request(request) => self.on_request(request, app, effects),
            Input::Message(ConsensusMessage::Proposal(proposal)) => {
                self.on_proposal(now, proposal, effects)
            }
            Input::Message(ConsensusMessage::Prepare(prepare)) => self.on_prepare(prepare, effects),
            Input::Message(ConsensusMessage::Commit(commit)) => self.on_vote(commit, effects),
            Input::Message(ConsensusMessage::Checkpoint(checkpoint)) => {
                self.on_checkpoint(checkpoint, effects)
            }
            Input::Persisted(token) => self.on_persisted(token, effects),
            Input::Wake => {
                self.on_wake();
                Ok(())
            }
            Input::Resend => {
                self.resend(effects);
                Ok(())
            }
        }
    }

    /// Does everything that has become possible.
    fn run<A: Application>(
        &mut self,
        now: LogicalTime,
        app: &mut A,
        effects: &mut Effects<A::Refusal>,
    ) -> Result<(), Fault> {
        // Ends: every turn raises the low watermark, the executed sequence number or a stage, and what can be
        // executed without further input is bounded by the window.
        while self.stabilise(app, effects)? || self.advance(now, app, effects)? {}
        Ok(())
    }

    fn on_request<A: Application>(
        &mut self,
        request: Signed<Request>,
        app: &A,
        effects: &mut Effects<A::Refusal>,
    ) -> Result<(), Rejection> {
        let fitting = self.pool.fit(request, self.settings.get())?;
        match app.check_request(fitting.request()) {
            Ok(()) => self.pool.add(fitting),
            Err(reason) => {
                let digest = fitting.digest;
                effects.push(Effect::RequestRefused { digest, reason });
            }
        }
        Ok(())
    }

    /// A record is durable: only now does the vote count, for us as for the others.
    fn on_persisted<R>(
        &mut self,
        token: PersistToken,
        effects: &mut Effects<R>,
    ) -> Result<(), Rejection> {
        let pending = self.outbox.acknowledge(token).ok_or(Rejection::UnknownToken { token })?;
        match pending {
            Pending::Proposal(sequence) => {
                self.log.set_stage(sequence, Stage::PrepareSent);
                self.send_proposal(sequence, effects);
            }
            Pending::Prepare(prepare) => {
                self.count_own(&prepare, Stage::PrepareSent);
                let prepare = ConsensusMessage::Prepare(prepare.into_signed());
                effects.push(Effect::Broadcast(prepare));
            }
            Pending::Commit(commit) => {
                self.count_own(&commit, Stage::CommitSent);
                let commit = ConsensusMessage::Commit(commit.into_signed());
                effects.push(Effect::Broadcast(commit));
            }
            Pending::Checkpoint(checkpoint) => {
                // A later checkpoint may have become stable meanwhile; others may still need this one.
                if checkpoint.statement.sequence >= self.log.low {
                    self.checkpoints.insert(checkpoint.clone());
                }
                let checkpoint = ConsensusMessage::Checkpoint(checkpoint.into_signed());
                effects.push(Effect::Broadcast(checkpoint));
            }
            Pending::Evidence(evidence) => effects.push(Effect::Evidence(evidence)),
        }
        Ok(())
    }

    /// Sends every durable vote above the last stable checkpoint again, and the CHECKPOINT that made it stable.
    fn resend<R>(&self, effects: &mut Effects<R>) {
        for (sequence, slot) in &self.log.slots {
            self.send_proposal(*sequence, effects);
            let prepare = slot.prepares.0.get(&self.id).map(|entry| &entry.vote);
            if let Some(prepare) = prepare {
                let prepare = ConsensusMessage::Prepare(prepare.as_signed().clone());
                effects.push(Effect::Broadcast(prepare));
            }
            let commit = slot.commits.0.get(&self.id).map(|entry| &entry.vote);
            if let Some(commit) = commit {
                let commit = ConsensusMessage::Commit(commit.as_signed().clone());
                effects.push(Effect::Broadcast(commit));
            }
        }
        for checkpoint in self.checkpoints.by(self.id) {
            let checkpoint = ConsensusMessage::Checkpoint(checkpoint.as_signed().clone());
            effects.push(Effect::Broadcast(checkpoint));
        }
    }
}
