//! A site's side of the protocol: joining, submitting, committing. Sans-IO.
//!
//! The learning is elsewhere (`meta_core::meta::federated::Site`); this agent carries the site's signed bytes to the
//! validators, collects their receipts, has the commitment ordered, and follows the ledger. What was not
//! acknowledged is sent again, byte for byte.

mod joining;

use std::collections::BTreeMap;

use federation_proto::codec::Canonical;
use federation_proto::envelope::{Envelope, PayloadKind, VALIDATORS};
use federation_proto::handshake::{FederationAccept, IncompatibilityReport};
use federation_proto::keys::{Admission, Identity, Transport};
use federation_proto::signing::Endorsement;
use federation_proto::update::{BlobReceipt, MetaUpdate, UpdateCommitment};
use federation_proto::{
    Digest, Lane, LaneSequence, LedgerBlockId, LedgerEntry, LogicalTime, Name, NodeFingerprint,
    PublicKey, Request, SecretKey, SessionId, Signed,
};

use crate::follower::{Follower, FollowerRefusal};
use crate::wire::{Frame, Outgoing};
use joining::Joining;

/// After so many milliseconds without an acknowledgement the same bytes are sent again.
pub const RETRY_MS: u64 = 2_000;

/// What the agent is told.
#[derive(Debug)]
pub enum ParticipantInput {
    /// Say hello. The nonce is fresh randomness from the caller.
    Join {
        /// 32 fresh bytes.
        nonce: [u8; 32],
    },
    /// Carry an update: the exact bytes of a `Signed<MetaUpdate>` of this site.
    Submit(Vec<u8>),
    /// A frame arrived.
    Frame(Frame),
    /// Time passed.
    Tick,
}

/// An open session of this site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The session.
    pub session_id: SessionId,
    /// The block that opened it.
    pub ledger_block_id: LedgerBlockId,
}

#[derive(Debug)]
struct Submission {
    blob: Vec<u8>,
    update: MetaUpdate,
    receipts: BTreeMap<NodeFingerprint, Signed<BlobReceipt>>,
    request: Option<Box<Signed<Request>>>,
}

impl Submission {
    fn commitment(&self, receipts: Vec<Signed<BlobReceipt>>) -> UpdateCommitment {
        UpdateCommitment::new(&self.update, &self.blob, receipts)
    }

    /// The receipt that a validator must give for it.
    fn receipt_of(&self, validator: NodeFingerprint) -> BlobReceipt {
        BlobReceipt {
            validator,
            node_fingerprint: self.update.node_fingerprint,
            federated_epoch: self.update.federated_epoch,
            blob: Digest::of_blob(&self.blob),
            blob_len: u32::try_from(self.blob.len()).unwrap_or(u32::MAX),
            commitment: self.commitment(Vec::new()).statement_hash(),
        }
    }
}

/// The agent.
#[derive(Debug)]
pub struct Participant {
    name: Name,
    identity: SecretKey<Identity>,
    transport: PublicKey<Transport>,
    follower: Follower,
    joining: Option<Joining>,
    submission: Option<Submission>,
    next_request: u64,
    next_envelope: u64,
    last_sent: LogicalTime,
}

impl Participant {
    /// An agent that has not joined.
    pub fn new(
        name: Name,
        identity: SecretKey<Identity>,
        transport: PublicKey<Transport>,
        follower: Follower,
    ) -> Self {
        Self {
            name,
            identity,
            transport,
            follower,
            joining: None,
            submission: None,
            next_request: 1,
            next_envelope: 0,
            last_sent: LogicalTime::ZERO,
        }
    }

    /// The ledger this site follows.
    pub fn follower(&self) -> &Follower {
        &self.follower
    }

    /// The site's session, once the ledger has it.
    pub fn membership(&self) -> Option<Membership> {
        self.joining.as_ref()?.membership()
    }

    /// Why a governor refused the hello that is out, for the operator.
    pub fn refusal(&self) -> Option<&IncompatibilityReport> {
        self.joining.as_ref()?.refusal()
    }

    /// Whether the handshake or the session is over and the driver must join again, with a fresh nonce.
    pub fn needs_join(&self) -> bool {
        self.joining.as_ref().is_some_and(Joining::is_over)
    }

    /// Whether an update still waits to be ordered.
    pub fn is_submitting(&self) -> bool {
        self.submission.is_some()
    }

    /// Handles one input; frames to send come back in order.
    pub fn handle(
        &mut self,
        now: LogicalTime,
        input: ParticipantInput,
    ) -> Result<Vec<Outgoing>, FollowerRefusal> {
        match input {
            ParticipantInput::Join { nonce } => Ok(self.join(now, nonce)),
            ParticipantInput::Submit(blob) => Ok(self.submit(now, blob)),
            ParticipantInput::Tick => Ok(self.tick(now)),
            ParticipantInput::Frame(frame) => self.handle_frame(now, frame),
        }
    }

    fn handle_frame(
        &mut self,
        now: LogicalTime,
        frame: Frame,
    ) -> Result<Vec<Outgoing>, FollowerRefusal> {
        match frame {
            Frame::Accept { accept, endorsement } => Ok(self.accept(now, *accept, endorsement)),
            Frame::Refusal(refusal) => {
                if let Some(joining) = &mut self.joining {
                    joining.handle_refusal(self.follower.executor().rules(), *refusal);
                }
                Ok(Vec::new())
            }
            Frame::Receipt(receipt) => Ok(self.receipt(now, *receipt)),
            Frame::Ordered(ordered) => {
                self.follower.handle_ordered(*ordered)?;
                self.observe_ledger();
                Ok(Vec::new())
            }
            Frame::Checkpoint(certificate) => {
                self.follower.handle_checkpoint(*certificate)?;
                Ok(Vec::new())
            }
            // Nothing else is meant for a site; a peer that sends it wastes only its own bytes.
            _ => Ok(Vec::new()),
        }
    }

    fn join(&mut self, now: LogicalTime, nonce: [u8; 32]) -> Vec<Outgoing> {
        let executor = self.follower.executor();
        self.joining = Some(Joining::greet(executor, &self.identity, self.transport, nonce));
        self.say_hello(now)
    }

    fn say_hello(&mut self, now: LogicalTime) -> Vec<Outgoing> {
        let Some(hello) = self.joining.as_ref().and_then(Joining::hello) else {
            return Vec::new();
        };
        self.last_sent = now;
        vec![Outgoing::to_governors(Frame::Hello(Box::new(hello.clone())))]
    }

    /// Collects endorsements until m governors say the same, then takes the session up.
    fn accept(
        &mut self,
        now: LogicalTime,
        accept: FederationAccept,
        endorsement: Endorsement<Admission>,
    ) -> Vec<Outgoing> {
        let rules = self.follower.executor().rules();
        let opened = self
            .joining
            .as_mut()
            .and_then(|joining| joining.handle_accept(rules, &self.identity, accept, endorsement));
        let Some(opened) = opened else {
            return Vec::new();
        };
        let session_id = opened.accept.claimed().session_id;
        // Positions count within a session, from the one of its opening.
        (self.next_request, self.next_envelope) = (1, 0);
        let entry = LedgerEntry::SessionOpened(Box::new(opened));
        let request = self.sign_request(session_id, Lane::Control, 0, entry);
        if let Some(joining) = &mut self.joining {
            joining.publish(request.clone());
        }
        self.send_request(now, &request)
    }

    fn sign_request(
        &self,
        session_id: SessionId,
        lane: Lane,
        sequence: u64,
        entry: LedgerEntry,
    ) -> Signed<Request> {
        let request = Request {
            node_fingerprint: self.identity.public(),
            session_id,
            lane,
            sequence: LaneSequence::new(sequence),
            entry,
        };
        Signed::sign(request, &self.identity, &self.follower.executor().rules().context)
    }

    fn submit(&mut self, now: LogicalTime, blob: Vec<u8>) -> Vec<Outgoing> {
        let Ok(signed) = Signed::<MetaUpdate>::from_canonical(&blob) else {
            return Vec::new();
        };
        let update = signed.claimed().clone();
        self.submission = Some(Submission {
            blob: blob.clone(),
            update,
            receipts: BTreeMap::new(),
            request: None,
        });
        self.send_envelope(now, PayloadKind::MetaUpdate, blob)
    }

    /// Collects storage receipts until a quorum vouches, then asks for the commitment to be ordered.
    fn receipt(&mut self, now: LogicalTime, receipt: Signed<BlobReceipt>) -> Vec<Outgoing> {
        let Some(membership) = self.membership() else {
            return Vec::new();
        };
        let Some(submission) = &mut self.submission else {
            return Vec::new();
        };
        let rules = self.follower.executor().rules();
        let claimed = receipt.claimed();
        // Every field: one bad receipt in the commitment, and the ledger refuses it.
        let ours = *claimed == submission.receipt_of(claimed.validator);
        let Some(validator) = rules.roster.validator(&claimed.validator).filter(|_| ours) else {
            return Vec::new();
        };
        if receipt.clone().verify(&validator.identity, &rules.context).is_err() {
            return Vec::new();
        }
        submission.receipts.insert(claimed.validator, receipt);
        if submission.request.is_some() || submission.receipts.len() < rules.roster.quorum() {
            return Vec::new();
        }
        let receipts = submission.receipts.values().cloned().collect();
        let commitment = submission.commitment(receipts);
        let entry = LedgerEntry::UpdateCommitment(Box::new(commitment));
        let sequence = self.next_request;
        self.next_request += 1;
        let request = self.sign_request(membership.session_id, Lane::Update, sequence, entry);
        if let Some(submission) = &mut self.submission {
            submission.request = Some(Box::new(request.clone()));
        }
        self.send_request(now, &request)
    }

    /// Sees what the ledger says about this site: the session it opened, the update it ordered.
    fn observe_ledger(&mut self) {
        let node = self.identity.public();
        let executor = self.follower.executor();
        let state = executor.state();
        if let Some(joining) = &mut self.joining {
            let last = state.last_session_of(&node);
            if let Some(block) = executor.block_of_session(&last) {
                joining.handle_opened(last, block);
            }
            joining.handle_epoch(state.epoch());
        }
        // A request of another session will not be ordered any more; the receipts stay good.
        let current = self.joining.as_ref().and_then(Joining::membership);
        if let (Some(membership), Some(submission)) = (current, &mut self.submission) {
            let session_id = membership.session_id;
            submission.request.take_if(|request| request.claimed().session_id != session_id);
        }
        // Several epochs may have been executed at once, so its place in the window counts too.
        let ordered = |submission: &mut Submission| {
            let request = submission.request.as_ref().map(|request| request.claimed());
            request.is_some_and(|request| state.has_executed(request))
                || state.has_ordered(&node, &submission.update.update_hash)
        };
        self.submission.take_if(ordered);
    }

    fn tick(&mut self, now: LogicalTime) -> Vec<Outgoing> {
        if now.millis_since(self.last_sent) < RETRY_MS {
            return Vec::new();
        }
        let Some(joining) = &self.joining else {
            return Vec::new();
        };
        if joining.hello().is_some() {
            return self.say_hello(now);
        }
        if let Some(request) = joining.request().cloned() {
            return self.send_request(now, &request);
        }
        match &self.submission {
            Some(Submission { request: Some(request), .. }) => {
                let request = request.clone();
                self.send_request(now, &request)
            }
            Some(Submission { blob, .. }) => {
                let blob = blob.clone();
                self.send_envelope(now, PayloadKind::MetaUpdate, blob)
            }
            None => Vec::new(),
        }
    }

    fn send_request(&mut self, now: LogicalTime, request: &Signed<Request>) -> Vec<Outgoing> {
        self.send_envelope(now, PayloadKind::Request, request.to_canonical())
    }

    fn send_envelope(
        &mut self,
        now: LogicalTime,
        kind: PayloadKind,
        payload: Vec<u8>,
    ) -> Vec<Outgoing> {
        let executor = self.follower.executor();
        let Some(joining) = &self.joining else {
            return Vec::new();
        };
        let (session_id, ledger_block_id) = match (joining.membership(), joining.request()) {
            (Some(membership), _) => (membership.session_id, membership.ledger_block_id),
            (None, Some(request)) => {
                // The session's block does not exist yet: the id of the federation stands for it.
                let genesis = LedgerBlockId::new(executor.rules().federation_id().digest());
                (request.claimed().session_id, genesis)
            }
            (None, None) => return Vec::new(),
        };
        let Ok(target) = Name::new(VALIDATORS) else {
            return Vec::new();
        };
        let envelope = Envelope {
            version: Envelope::VERSION,
            origin: self.name.clone(),
            target,
            kind,
            lane: Lane::Update,
            sequence: LaneSequence::new(self.next_envelope),
            ack: LaneSequence::ZERO,
            timestamp: now,
            federated_epoch: executor.state().epoch(),
            node_fingerprint: self.identity.public(),
            session_id,
            ledger_block_id,
            payload,
        };
        self.next_envelope += 1;
        self.last_sent = now;
        let envelope = Signed::sign(envelope, &self.identity, &executor.rules().context);
        vec![Outgoing::to_validators(Frame::Envelope(Box::new(envelope)))]
    }
}
