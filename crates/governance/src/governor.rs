//! A governor's online desk: admits nodes of the roster and signs off decided aggregates. Sans-IO.
//!
//! It acts only within the standing mandate and only on what a quorum certified and its own execution
//! confirmed. One desk alone can do nothing: accepts and sign-offs count from the policy's threshold on.

use federation_proto::entry::ApplySignoff;
use federation_proto::handshake::{
    AcceptTerms, FederationAccept, FederationHello, HandshakeError, certificate_hash,
};
use federation_proto::keys::{Admission, GovernanceNote};
use federation_proto::signing::{Endorsed, Endorsement, SignatureError};
use federation_proto::{Digest, HashDomain, NodeFingerprint, SecretKey, Signed};
use thiserror::Error;

use crate::follower::{Follower, FollowerRefusal};
use crate::machine::{Phase, session_expiry};
use crate::note;
use crate::wire::{Frame, Outgoing};

/// One governor's desk.
#[derive(Debug)]
pub struct Governor {
    admission: SecretKey<Admission>,
    note: SecretKey<GovernanceNote>,
    follower: Follower,
    /// The last aggregate it signed off, so that it signs each once.
    signed: Option<Digest>,
}

/// Why a desk refused.
#[derive(Debug, PartialEq, Error)]
pub enum GovernorRefusal {
    /// The node is not in the roster.
    #[error("node {0} is not in the roster")]
    UnknownNode(NodeFingerprint),
    /// The hello's signature fails.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The hello does not fit this federation.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// What it follows does not hold.
    #[error(transparent)]
    Follower(#[from] FollowerRefusal),
}

impl Governor {
    /// A desk with its delegated keys.
    pub fn new(
        admission: SecretKey<Admission>,
        note: SecretKey<GovernanceNote>,
        follower: Follower,
    ) -> Self {
        Self { admission, note, follower, signed: None }
    }

    /// The ledger it follows.
    pub fn follower(&self) -> &Follower {
        &self.follower
    }

    /// Handles one frame; frames to send come back in order.
    pub fn handle(&mut self, frame: Frame) -> Result<Vec<Outgoing>, GovernorRefusal> {
        match frame {
            Frame::Hello(hello) => self.hello(*hello),
            Frame::Ordered(ordered) => {
                self.follower.handle_ordered(*ordered)?;
                Ok(self.sign_off())
            }
            Frame::Checkpoint(certificate) => {
                self.follower.handle_checkpoint(*certificate)?;
                Ok(self.sign_off())
            }
            _ => Ok(Vec::new()),
        }
    }

    fn hello(&mut self, hello: Signed<FederationHello>) -> Result<Vec<Outgoing>, GovernorRefusal> {
        let executor = self.follower.executor();
        let rules = executor.rules();
        let node = hello.claimed().node_fingerprint;
        let participant =
            rules.roster.participant(&node).ok_or(GovernorRefusal::UnknownNode(node))?;
        let name = participant.record.name.clone();
        let hello = hello.verify(&participant.identity, &rules.context)?;
        let epoch = executor.state().epoch();
        let terms = AcceptTerms {
            epoch,
            policy_hash: rules.policy.digest(),
            capabilities: rules.requirements().negotiate(&hello)?,
            not_after_epoch: session_expiry(rules, epoch),
            certificate_hashes: [
                certificate_hash(&hello.tls_public_key),
                federation_certificate(rules.roster.configuration().validator_set_hash()),
            ],
        };
        let accept = FederationAccept::answer(&hello, terms);
        let endorsed = Endorsed::sign(accept.clone(), [&self.admission], &rules.context);
        let frames = endorsed.endorsements().iter().map(|endorsement| {
            let (accept, endorsement) = (Box::new(accept.clone()), endorsement.clone());
            Outgoing::to_node(&name, Frame::Accept { accept, endorsement })
        });
        Ok(frames.collect())
    }

    /// Signs a decided aggregate once a checkpoint certificate covers it.
    ///
    /// The pinned head is the aggregate's block, not the newest certified one: governors hold different
    /// certificates, and only signatures on one text count together.
    fn sign_off(&mut self) -> Vec<Outgoing> {
        let executor = self.follower.executor();
        let Phase::Aggregated { aggregated, height } = executor.state().phase() else {
            return Vec::new();
        };
        let Some(certified) = self.follower.certified() else {
            return Vec::new();
        };
        let head_size = height.get();
        let aggregated_hash = aggregated.hash();
        if certified.statement.log_size < head_size || self.signed == Some(aggregated_hash) {
            return Vec::new();
        }
        let Some(head_root) = executor.log_root(head_size) else {
            return Vec::new();
        };
        let signoff = ApplySignoff {
            federated_epoch: aggregated.federated_epoch,
            generation: aggregated.generation,
            aggregated_hash,
            new_state_hash: aggregated.new_state_hash,
            previous_note: executor.state().note_head(),
            head_size,
            head_root: Digest::from_bytes(*head_root.as_bytes()),
            signatures: Vec::new(),
        };
        let text = note::apply_text(executor.rules().federation_id(), &signoff);
        let endorsement =
            Endorsement { key: self.note.public(), signature: self.note.sign_raw(text.as_bytes()) };
        self.signed = Some(aggregated_hash);
        vec![Outgoing::to_validators(Frame::Approval { signoff: Box::new(signoff), endorsement })]
    }
}

/// In process there is no transport certificate of the federation: its committee stands for it.
fn federation_certificate(validator_set: Digest) -> Digest {
    Digest::of(HashDomain::TransportCertificate, validator_set.as_bytes())
}
