//! A validator: a PBFT replica over the federation's state machine. Sans-IO.
//!
//! The driver's law of [`consensus_pbft`] holds here too: one [`Validator::handle`], carry out all effects in
//! order, then the next input. A vote or receipt leaves only after the `Persist` before it was acknowledged
//! with [`ValidatorInput::Persisted`].

mod application;
mod approvals;
mod awaited;
mod blobs;
mod envelopes;
mod held;
mod recovery;
mod refusal;
mod transfer;

use std::collections::BTreeMap;

use consensus_pbft::{
    CheckpointCertificate, CommitCertificate, Committee, Effect, Equivocation, Input, PersistToken,
    Replica, ReplicaId, SafetyRecord, ValidSettings,
};
use federation_proto::codec::Canonical;
use federation_proto::envelope::{Envelope, PayloadKind};
use federation_proto::keys::{Consensus, Identity, LogCheckpoint};
use federation_proto::replay::ReplayRefusal;
use federation_proto::update::BlobReceipt;
use federation_proto::{
    Digest, LedgerEntry, LogicalTime, Name, NodeFingerprint, Request, SecretKey, SequenceNumber,
    Signed, View,
};
use ledger::BlockFile;

use crate::executor::Executor;
use crate::wire::{Frame, OrderedBatch, Outgoing};
use application::FederationApplication;
pub use application::ProposalRefusal;
pub use approvals::ApprovalRefusal;
pub use blobs::BlobRefusal;
use blobs::Storing;
pub use envelopes::EnvelopeRefusal;
use envelopes::Gate;
pub use recovery::{ImportError, RestoreError, Survived};
pub use refusal::{HaltCause, ValidatorError, ValidatorRefusal};
use transfer::Transfer;

/// The three keys of a validator.
#[derive(Debug)]
pub struct ValidatorKeys {
    /// Signs receipts.
    pub identity: SecretKey<Identity>,
    /// Signs votes.
    pub consensus: SecretKey<Consensus>,
    /// Signs log checkpoints.
    pub log: SecretKey<LogCheckpoint>,
}

/// What a validator is told.
#[derive(Debug)]
pub enum ValidatorInput {
    /// A frame arrived.
    Frame(Frame),
    /// What [`ValidatorEffect::Persist`] named is durable.
    Persisted(DurableToken),
    /// Time passed, or something it waits for may have arrived.
    Wake,
    /// Say again what was not acknowledged.
    Resend,
}

/// Names what was made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DurableToken {
    /// A record of the safety log.
    Safety(PersistToken),
    /// A blob.
    Blob(Digest),
    /// The block of a sequence number. Nothing waits for it: it is certified and can be fetched again.
    Block(SequenceNumber),
    /// The certificate of the checkpoint at a sequence number. Nothing waits for it either.
    Checkpoint(SequenceNumber),
}

/// What must be made durable.
#[derive(Clone, Debug)]
pub enum DurableRecord {
    /// Append to the safety log.
    Safety(Box<SafetyRecord>),
    /// Store a blob under its BLAKE3 name.
    Blob(Vec<u8>),
    /// Store a committed block.
    Block(Box<BlockFile>),
    /// Store a certificate with the block that it names. Safety records up to it may be cut
    /// ([`SafetyRecord::cut`]).
    Checkpoint(Box<CheckpointCertificate>),
}

/// What the driver must do, in order.
#[derive(Debug)]
pub enum ValidatorEffect {
    /// Make durable, then answer with the token.
    Persist {
        /// To be answered.
        token: DurableToken,
        /// What to store.
        record: DurableRecord,
    },
    /// Send a frame.
    Send(Outgoing),
    /// Call again with [`ValidatorInput::Wake`] at this time.
    WakeAt(LogicalTime),
    /// It takes part in this view from here on.
    EnteredView(View),
    /// Something was refused; for the operator's log.
    Refused(ValidatorRefusal),
    /// Proof that a validator contradicted itself; anybody can check it.
    Evidence(Box<Equivocation>),
    /// Stop this node, keep its disk.
    Halt(HaltCause),
}

/// The validator.
#[derive(Debug)]
pub struct Validator {
    index: usize,
    replica: Replica,
    application: FederationApplication,
    gate: Gate,
    /// Receipts that wait for their blob to be durable.
    unstored: BTreeMap<Digest, (Name, Signed<BlobReceipt>)>,
    /// What is being fetched from the ledger of a peer.
    transfer: Option<Transfer>,
    halted: bool,
}

impl Validator {
    /// Validator `id` of the committee, at genesis.
    pub fn new(
        committee: Committee,
        id: ReplicaId,
        keys: ValidatorKeys,
        settings: ValidSettings,
        executor: Executor,
    ) -> Result<Self, ValidatorError> {
        Self::check_window(&executor, &settings)?;
        let replica = Replica::new(committee.clone(), id, keys.consensus, settings)?;
        let application = FederationApplication::new(committee, executor, keys.identity, keys.log);
        Ok(Self::of(replica, application))
    }

    fn check_window(executor: &Executor, settings: &ValidSettings) -> Result<(), ValidatorError> {
        let interval = executor.rules().policy.document().consensus.checkpoint_interval;
        let window = settings.get().window;
        // With less room a replica whose checkpoint was lost could fill its log before the next one.
        if interval > window / 2 {
            return Err(ValidatorError::CheckpointInterval { interval, window });
        }
        Ok(())
    }

    fn of(replica: Replica, application: FederationApplication) -> Self {
        Self {
            index: usize::from(replica.id().get()),
            gate: Gate::new(application.executor().rules().roster.participants().len()),
            replica,
            application,
            unstored: BTreeMap::new(),
            transfer: None,
            halted: false,
        }
    }

    /// The view it takes part in, or whose beginning it waits for.
    pub fn view(&self) -> View {
        self.replica.view()
    }

    /// Rules, state and ledger.
    pub fn executor(&self) -> &Executor {
        self.application.executor()
    }

    /// The blobs it stores.
    pub fn blobs(&self) -> &BTreeMap<Digest, Vec<u8>> {
        self.application.store.blobs()
    }

    /// Whether it stopped because a committed batch could not be executed.
    pub fn is_halted(&self) -> bool {
        self.halted
    }

    /// Handles one input.
    #[must_use = "every effect must be carried out, in order"]
    pub fn handle(&mut self, now: LogicalTime, input: ValidatorInput) -> Vec<ValidatorEffect> {
        if self.halted {
            return Vec::new();
        }
        let mut effects = Vec::new();
        match input {
            ValidatorInput::Frame(frame) => {
                if let Err(refusal) = self.handle_frame(now, frame, &mut effects) {
                    effects.push(ValidatorEffect::Refused(refusal));
                }
            }
            ValidatorInput::Persisted(DurableToken::Safety(token)) => {
                self.step(now, Input::Persisted(token), &mut effects);
            }
            ValidatorInput::Persisted(DurableToken::Blob(blob)) => {
                self.stored(now, blob, &mut effects)
            }
            ValidatorInput::Persisted(DurableToken::Block(_) | DurableToken::Checkpoint(_)) => {}
            ValidatorInput::Wake => self.step(now, Input::Wake, &mut effects),
            ValidatorInput::Resend => {
                self.application.store.ask_again();
                self.step(now, Input::Resend, &mut effects);
            }
        }
        effects
    }

    fn handle_frame(
        &mut self,
        now: LogicalTime,
        frame: Frame,
        effects: &mut Vec<ValidatorEffect>,
    ) -> Result<(), ValidatorRefusal> {
        match frame {
            Frame::Consensus(message) => self.step(now, Input::Message(*message), effects),
            Frame::Envelope(envelope) => self.envelope(now, *envelope, effects)?,
            Frame::Approval { signoff, endorsement } => {
                self.application.approve(*signoff, endorsement)?;
                self.step(now, Input::Wake, effects);
            }
            Frame::BlobRequest { blob, asker } => self.serve_blob(&blob, &asker, effects),
            Frame::LedgerQuestion { question, asker } => {
                self.answer_ledger(&question, &asker, effects);
            }
            Frame::LedgerAnswer(answer) => self.take_answer(now, &answer, effects)?,
            Frame::Blob(bytes) => {
                if let Storing::Begin(token, record) = self.application.take_wanted(bytes)? {
                    effects.push(ValidatorEffect::Persist { token, record });
                }
            }
            // Nothing else is meant for a validator; a peer that sends it wastes only its own bytes.
            _ => {}
        }
        Ok(())
    }

    /// An envelope: signature, session and position first, then what it carries.
    fn envelope(
        &mut self,
        now: LogicalTime,
        signed: Signed<Envelope>,
        effects: &mut Vec<ValidatorEffect>,
    ) -> Result<(), ValidatorRefusal> {
        let node = signed.claimed().node_fingerprint;
        let refuse = |cause: EnvelopeRefusal| ValidatorRefusal::Envelope { node, cause };
        let executor = self.application.executor();
        let (name, envelope) =
            envelopes::authentic(executor, self.index, signed.clone()).map_err(refuse)?;
        if envelope.kind == PayloadKind::Request {
            let request = Signed::<Request>::from_canonical(&envelope.payload)
                .map_err(|cause| refuse(cause.into()))?;
            let author = request.claimed().node_fingerprint;
            if author != node {
                return Err(refuse(EnvelopeRefusal::OtherAuthor(author)));
            }
            // Before its session stands there is no window: the machine takes each opening once.
            let opening = matches!(request.claimed().entry, LedgerEntry::SessionOpened(_));
            if opening || self.is_new(&envelope).map_err(refuse)? {
                self.request(now, request, signed, effects);
                if !opening {
                    self.gate.admit(&envelope).map_err(refuse)?;
                }
            }
            return Ok(());
        }
        if envelope.kind != PayloadKind::MetaUpdate {
            return Err(refuse(EnvelopeRefusal::NotForValidators(envelope.kind)));
        }
        if self.is_new(&envelope).map_err(refuse)? {
            self.update(&node, name, envelope.payload.clone(), effects)?;
            self.gate.admit(&envelope).map_err(refuse)?;
        }
        Ok(())
    }

    /// Whether an envelope of an open session was not taken before. Repetitions are dropped without a word:
    /// validators relay what they see first, so every request comes several times.
    fn is_new(&mut self, envelope: &Envelope) -> Result<bool, EnvelopeRefusal> {
        match self.gate.check(self.application.executor(), envelope) {
            Err(EnvelopeRefusal::Replay(ReplayRefusal::Replayed { .. })) => Ok(false),
            other => other.map(|()| true),
        }
    }

    fn request(
        &mut self,
        now: LogicalTime,
        request: Signed<Request>,
        carrier: Signed<Envelope>,
        effects: &mut Vec<ValidatorEffect>,
    ) {
        if self.application.note_request(now, &request) {
            // The primary gets what backups hold, even if the site or the network left it out.
            let relayed = Frame::Envelope(Box::new(carrier));
            effects.push(ValidatorEffect::Send(Outgoing::to_validators(relayed)));
        }
        self.step(now, Input::Request(request), effects);
    }

    /// A site's update: stored before its receipt leaves.
    fn update(
        &mut self,
        node: &NodeFingerprint,
        name: Name,
        bytes: Vec<u8>,
        effects: &mut Vec<ValidatorEffect>,
    ) -> Result<(), ValidatorRefusal> {
        let (receipt, storing) = self.application.admit_blob(node, bytes)?;
        let blob = receipt.claimed().blob;
        if let Storing::Stored = storing {
            let frame = Frame::Receipt(Box::new(receipt));
            effects.push(ValidatorEffect::Send(Outgoing::to_node(&name, frame)));
            return Ok(());
        }
        // A repetition while the disk is slow replaces its receipt, which is the same.
        self.unstored.insert(blob, (name, receipt));
        if let Storing::Begin(token, record) = storing {
            effects.push(ValidatorEffect::Persist { token, record });
        }
        Ok(())
    }

    /// Answers whoever asks, and nobody else: a request is small and a blob is not.
    fn serve_blob(&self, blob: &Digest, asker: &Name, effects: &mut Vec<ValidatorEffect>) {
        let mut validators = self.application.executor().rules().roster.validators().iter();
        let known = validators.any(|validator| validator.record.name == *asker);
        if let Some(bytes) = self.application.store.blobs().get(blob).filter(|_| known) {
            let frame = Frame::Blob(bytes.clone());
            effects.push(ValidatorEffect::Send(Outgoing::to_node(asker, frame)));
        }
    }

    /// A blob is durable: its receipts may leave, and whoever waited for it may go on.
    fn stored(&mut self, now: LogicalTime, blob: Digest, effects: &mut Vec<ValidatorEffect>) {
        self.application.store.keep(blob);
        if let Some((name, receipt)) = self.unstored.remove(&blob) {
            let frame = Frame::Receipt(Box::new(receipt));
            effects.push(ValidatorEffect::Send(Outgoing::to_node(&name, frame)));
        }
        self.step(now, Input::Wake, effects);
    }

    /// Runs the replica and turns its effects into ours.
    fn step(&mut self, now: LogicalTime, input: Input, effects: &mut Vec<ValidatorEffect>) {
        let mut wanted = None;
        for effect in self.replica.handle(now, input, &mut self.application) {
            match effect {
                Effect::Persist { token, record } => effects.push(ValidatorEffect::Persist {
                    token: DurableToken::Safety(token),
                    record: DurableRecord::Safety(Box::new(record)),
                }),
                Effect::Broadcast(message) => {
                    let frame = Frame::Consensus(Box::new(message));
                    effects.push(ValidatorEffect::Send(Outgoing::to_validators(frame)));
                }
                Effect::Send { to, message } => {
                    let validators = self.application.executor().rules().roster.validators();
                    if let Some(to) = validators.get(usize::from(to.get())) {
                        let frame = Frame::Consensus(Box::new(message));
                        let outgoing = Outgoing::to_node(&to.record.name, frame);
                        effects.push(ValidatorEffect::Send(outgoing));
                    }
                }
                Effect::EnteredView(view) => effects.push(ValidatorEffect::EnteredView(view)),
                Effect::Transfer(certificate) => wanted = Some(*certificate),
                // No checkpoint of our application names a next configuration.
                Effect::HandedOver { .. } => {}
                Effect::Committed { sequence, certificate, .. } => {
                    self.publish(sequence, certificate, effects);
                }
                Effect::StableCheckpoint(certificate) => {
                    self.publish_checkpoint(certificate, effects)
                }
                Effect::Evidence(evidence) => effects.push(ValidatorEffect::Evidence(evidence)),
                Effect::Refused(rejection) => {
                    effects.push(ValidatorEffect::Refused(ValidatorRefusal::Message(rejection)));
                }
                Effect::RequestRefused { reason, .. } => {
                    effects.push(ValidatorEffect::Refused(ValidatorRefusal::Request(reason)));
                }
                Effect::BatchRefused { sequence, reason, .. } => {
                    let refusal = ValidatorRefusal::Proposal { sequence, reason };
                    effects.push(ValidatorEffect::Refused(refusal));
                }
                Effect::Halted(fault) => {
                    let cause = match self.application.take_failure() {
                        Some(cause) => HaltCause::Execution(Box::new(cause)),
                        None => HaltCause::Replica(Box::new(fault)),
                    };
                    self.halt(cause, effects);
                }
            }
        }
        let roster = &self.application.executor().rules().roster;
        let asker = roster.validators().get(self.index).map(|own| own.record.name.clone());
        for (blob, asker) in self.application.store.ask().into_iter().zip(asker.iter().cycle()) {
            let frame = Frame::BlobRequest { blob, asker: asker.clone() };
            effects.push(ValidatorEffect::Send(Outgoing::to_validators(frame)));
        }
        let step = self.application.next_wake(now);
        let patience = self.replica.deadline().filter(|deadline| *deadline > now);
        effects.extend(step.into_iter().chain(patience).map(ValidatorEffect::WakeAt));
        // Its answer is another input, so it comes when everything that this one led to is done.
        if let Some(target) = wanted {
            self.transfer(now, target, effects);
        }
    }

    fn halt(&mut self, cause: HaltCause, effects: &mut Vec<ValidatorEffect>) {
        self.halted = true;
        effects.push(ValidatorEffect::Halt(cause));
    }

    /// Tells the followers this validator serves what was ordered. Every follower has f+1 servers, so one is honest.
    fn publish(
        &mut self,
        sequence: SequenceNumber,
        certificate: CommitCertificate,
        effects: &mut Vec<ValidatorEffect>,
    ) {
        let Some(block) = self.application.block_of(sequence) else {
            return;
        };
        let batch = block.batch.clone();
        effects.push(ValidatorEffect::Persist {
            token: DurableToken::Block(sequence),
            record: DurableRecord::Block(Box::new(block.clone())),
        });
        let frame = Frame::Ordered(Box::new(OrderedBatch { sequence, batch, certificate }));
        self.serve(&frame, effects);
    }

    fn publish_checkpoint(
        &mut self,
        certificate: CheckpointCertificate,
        effects: &mut Vec<ValidatorEffect>,
    ) {
        self.application.attach_checkpoint(&certificate);
        effects.push(ValidatorEffect::Persist {
            token: DurableToken::Checkpoint(certificate.statement.sequence),
            record: DurableRecord::Checkpoint(Box::new(certificate.clone())),
        });
        self.serve(&Frame::Checkpoint(Box::new(certificate)), effects);
    }

    fn serve(&self, frame: &Frame, effects: &mut Vec<ValidatorEffect>) {
        let roster = &self.application.executor().rules().roster;
        let validators = roster.validators().len();
        let servers = federation_proto::quorum::max_faulty(validators) + 1;
        let participants = roster.participants().iter().map(|participant| &participant.record.name);
        let governors = roster.governors().iter().map(|governor| &governor.record.name);
        for (position, name) in participants.chain(governors).enumerate() {
            let distance = (self.index + validators - position % validators) % validators;
            if distance < servers {
                effects.push(ValidatorEffect::Send(Outgoing::to_node(name, frame.clone())));
            }
        }
    }
}
