//! The replica: one `handle` in, effects out.
//!
//! | file | sub-protocol | source |
//! |---|---|---|
//! | `normal_case.rs` | PRE-PREPARE, PREPARE, COMMIT, execution in order | OSDI '99 §4.2 |
//! | `checkpoint.rs` | CHECKPOINT, stability, garbage collection | OSDI '99 §4.3 |
//! | `border.rs` | the end of a configuration | – |
//! | `view_change.rs` | VIEW-CHANGE | OSDI '99 §4.4 |
//! | `new_view.rs` | NEW-VIEW, null requests | OSDI '99 §4.4 |
//! | `timer.rs` | patience and back-off | OSDI '99 §4.5.1 |
//! | `status.rs` | retransmission, decided batches, state transfer | OSDI '99 §5.2, §5.3 |
//! | `restart.rs` | what a replica is after a crash | – |
//! | `attention.rs` | what one replica may cost | – |
//! | `admission.rs` | what every message must satisfy before it is looked at | OSDI '99 §4.2 |
//! | `pool.rs` | requests that wait | OSDI '99 §4.1 |
//! | `log.rs` | slots between the watermarks, early messages | OSDI '99 §4.2 |
//! | `outbox.rs` | votes that are not durable yet | – |
//! | `holdings.rs` | how much is held | – |
//! | `invariants.rs` | what holds after every step | – |

mod admission;
mod attention;
mod border;
mod checkpoint;
mod holdings;
mod invariants;
mod log;
mod new_view;
mod normal_case;
mod outbox;
mod pool;
mod restart;
mod status;
mod timer;
mod view_change;

use std::sync::Arc;

use federation_proto::keys::{Consensus, PublicKey, SecretKey};
use federation_proto::{LogicalTime, Request, SequenceNumber, Signed, View};
use thiserror::Error;

use crate::application::Application;
use crate::certificate::CheckpointCertificate;
use crate::committee::{Committee, ReplicaId};
use crate::effect::{Effect, Effects, Input};
use crate::message::{ConsensusMessage, NEW_VIEW_BYTES, NewView};
use crate::rejection::{Fault, Rejection};
use crate::safety::PersistToken;
use crate::settings::ValidSettings;
use attention::Attention;
use checkpoint::Checkpoints;
pub use holdings::Holdings;
use log::{Log, Stage};
pub(crate) use new_view::{check_new_view, floor};
use outbox::{Outbox, Pending};
use pool::Pool;
pub use restart::{Restart, RestartError};
use timer::Timer;
use view_change::Changes;

/// A replica of the committee: a pure state machine that owns no clock, disk or network.
///
/// The driver's law is in the [crate documentation](crate#the-drivers-law). A copy is for whoever explores what could
/// happen next, such as a model checker; of two copies only one may speak.
#[derive(Clone, Debug)]
pub struct Replica {
    committee: Committee,
    id: ReplicaId,
    /// Shared by copies: a secret key has no second place in memory.
    key: Arc<SecretKey<Consensus>>,
    settings: ValidSettings,
    /// The view it takes part in, or whose NEW-VIEW it waits for.
    view: View,
    active: bool,
    /// It took part in the view before a crash, and needs the NEW-VIEW once more.
    rejoining: bool,
    /// The last sequence number that the NEW-VIEW settled: the view's primary assigns only later ones.
    floor: SequenceNumber,
    /// Whether what the view settled was compared with what had been decided before it began.
    compared: bool,
    /// What began the view; none in view 0.
    entered: Option<Box<Signed<NewView>>>,
    /// The view whose NEW-VIEW of ours is on its way to disk.
    beginning: Option<View>,
    changes: Changes,
    timer: Timer,
    log: Log,
    checkpoints: Checkpoints,
    /// The checkpoint that the application is being brought to.
    transfer: Option<CheckpointCertificate>,
    attention: Attention,
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
    /// With so many replicas and so large a window, a NEW-VIEW could be longer than a message may be.
    #[error(
        "with {size} replicas and window {window} a NEW-VIEW may have {bytes} bytes, the limit is {limit}"
    )]
    Window {
        /// Replicas.
        size: usize,
        /// The window.
        window: u64,
        /// The longest NEW-VIEW in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
}

impl Replica {
    /// A replica at the beginning of its configuration: view 0, nothing executed beyond [`Committee::base`]. The
    /// application must be what the border's certificate says.
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
        check_window(&committee, settings.get().window)?;
        let chosen = settings.get();
        let log = Log::new(committee.base(), chosen.window, chosen.pipeline_depth);
        Ok(Self {
            committee,
            id,
            key: Arc::new(key),
            settings,
            view: View::ZERO,
            active: true,
            rejoining: false,
            floor: SequenceNumber::ZERO,
            compared: true,
            entered: None,
            beginning: None,
            changes: Changes::default(),
            timer: Timer::new(settings.get()),
            transfer: None,
            attention: Attention::default(),
            log,
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

    /// The view it takes part in, or whose NEW-VIEW it waits for.
    pub fn view(&self) -> View {
        self.view
    }

    /// What began its view; none in view 0 and while it waits. Whoever wants [`forensics`](crate::forensics) to name
    /// the guilty one day stores it at [`Effect::EnteredView`].
    pub fn new_view(&self) -> Option<&Signed<NewView>> {
        self.entered.as_deref()
    }

    /// Whether it takes part in its view, rather than waiting for the NEW-VIEW.
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// When [`Input::Wake`] must come at the latest; never while nothing is awaited. Time is the `now` of the inputs.
    pub fn deadline(&self) -> Option<LogicalTime> {
        self.timer.deadline()
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
        self.admit_retired(&input)?;
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
            Input::Message(ConsensusMessage::ViewChange(change)) => self.on_view_change(*change),
            Input::Message(ConsensusMessage::NewView(new_view)) => {
                self.on_new_view(now, *new_view, effects)
            }
            Input::Message(ConsensusMessage::Status(status)) => self.on_status(status, effects),
            Input::Message(ConsensusMessage::Decided(decided)) => self.on_decided(*decided),
            Input::Message(ConsensusMessage::Batch(wanted)) => self.on_batch(*wanted),
            Input::Message(ConsensusMessage::Stable(stable)) => self.on_stable(*stable, effects),
            Input::Persisted(token) => self.on_persisted(now, token, effects),
            Input::Wake => {
                self.ask_again();
                self.watch(now, app, effects);
                Ok(())
            }
            Input::Resend => {
                self.resend(effects);
                self.send_status(effects);
                Ok(())
            }
            Input::Transferred(sequence) => self.on_transferred(sequence, app, effects),
        }
    }

    /// Does everything that has become possible.
    fn run<A: Application>(
        &mut self,
        now: LogicalTime,
        app: &mut A,
        effects: &mut Effects<A::Refusal>,
    ) -> Result<(), Fault> {
        if !core::mem::replace(&mut self.compared, true) {
            self.check_decided()?;
        }
        self.repeat_checkpoint(effects)?;
        // Ends: every turn raises the low watermark, the view, the executed sequence number or a stage, and what can
        // be reached without further input is bounded by the window and by the VIEW-CHANGEs at hand.
        while self.stabilise(app, effects)?
            || self.advance_view(now, effects)
            || self.advance(now, app, effects)?
        {}
        Ok(())
    }

    /// Looks at the clock: whether what is due has had its time.
    fn watch<A: Application>(
        &mut self,
        now: LogicalTime,
        app: &A,
        effects: &mut Effects<A::Refusal>,
    ) {
        // At a border no primary can order anything.
        if self.active && self.log.border != Some(self.log.executed) {
            self.timer.await_due(app.awaits(now, self.pool.requests()), now);
        }
        if self.timer.is_over(now) {
            self.give_up_view(effects);
        }
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
        now: LogicalTime,
        token: PersistToken,
        effects: &mut Effects<R>,
    ) -> Result<(), Rejection> {
        let pending = self.outbox.acknowledge(token).ok_or(Rejection::UnknownToken { token })?;
        match pending {
            // What belongs to a view that we have left stays unsaid.
            Pending::Proposal(assigned) => {
                let own = self.log.proposal(assigned.sequence);
                if own.is_some_and(|own| *own.pre_prepare == assigned) {
                    self.log.set_stage(assigned.sequence, Stage::PrepareSent);
                    self.send_proposal(assigned.sequence, effects);
                }
            }
            Pending::Prepare(prepare) if self.is_present(prepare.view) => {
                self.count_own(&prepare, Stage::PrepareSent);
                let prepare = ConsensusMessage::Prepare(prepare.into_signed());
                effects.push(Effect::Broadcast(prepare));
            }
            Pending::Commit(commit) if self.is_present(commit.view) => {
                self.count_own(&commit, Stage::CommitSent);
                let commit = ConsensusMessage::Commit(commit.into_signed());
                effects.push(Effect::Broadcast(commit));
            }
            Pending::Prepare(_) | Pending::Commit(_) => {}
            Pending::ViewChange(change) => {
                if change.view == self.view && !self.active && self.retired_at().is_none() {
                    self.changes.0.insert(self.id, (*change).clone());
                    let change = ConsensusMessage::ViewChange(Box::new(change.into_signed()));
                    effects.push(Effect::Broadcast(change));
                }
            }
            Pending::NewView(new_view) => {
                if new_view.view == self.view && !self.active && self.retired_at().is_none() {
                    self.begin(now, *new_view, effects);
                }
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
            let prepare = slot.prepares.of(self.id).map(|entry| &entry.vote);
            if let Some(prepare) = prepare {
                let prepare = ConsensusMessage::Prepare(prepare.as_signed().clone());
                effects.push(Effect::Broadcast(prepare));
            }
            let commit = slot.commits.of(self.id).map(|entry| &entry.vote);
            if let Some(commit) = commit {
                let commit = ConsensusMessage::Commit(commit.as_signed().clone());
                effects.push(Effect::Broadcast(commit));
            }
        }
        for checkpoint in self.checkpoints.by(self.id) {
            let checkpoint = ConsensusMessage::Checkpoint(checkpoint.as_signed().clone());
            effects.push(Effect::Broadcast(checkpoint));
        }
        if let Some(own) = self.changes.0.get(&self.id) {
            let own = Box::new(own.as_signed().clone());
            effects.push(Effect::Broadcast(ConsensusMessage::ViewChange(own)));
        }
    }
}

/// Whether the VIEW-CHANGEs of a quorum, each with a prepared certificate for the whole window, fit in a NEW-VIEW.
fn check_window(committee: &Committee, window: u64) -> Result<(), ReplicaError> {
    let (size, limit) = (committee.size(), NEW_VIEW_BYTES as u64);
    let quorum = committee.quorum() as u64;
    // A PRE-PREPARE with its signature has some 120 bytes, a vote 68, a checkpoint vote 134.
    let certificate = 128 + 68 * quorum;
    let change = 512 + 134 * quorum + window.saturating_mul(certificate);
    let bytes = quorum.saturating_mul(change).saturating_add(window.saturating_mul(128));
    if bytes > limit {
        return Err(ReplicaError::Window { size, window, bytes, limit });
    }
    Ok(())
}
