//! A governor's online desk: admits nodes of the roster and signs off decided aggregates. Sans-IO.
//!
//! It acts only within the standing mandate and only on what a quorum certified and its own execution
//! confirmed. One desk alone can do nothing: accepts and sign-offs count from the policy's threshold on.

use federation_proto::entry::ApplySignoff;
use federation_proto::governed::LedgerPin;
use federation_proto::handshake::{
    AdmissionDesk, AttestationLevel, DeskView, FederationHello, HelloChannel, HelloRefusal,
};
use federation_proto::keys::{Admission, GovernanceNote};
use federation_proto::signing::Endorsement;
use federation_proto::{Digest, HashDomain, SecretKey, Signed};
use thiserror::Error;

use crate::follower::{Follower, FollowerRefusal};
use crate::machine::{Phase, Rules};
use crate::note;
use crate::wire::{Frame, Outgoing};

/// One governor's desk.
#[derive(Debug)]
pub struct Governor {
    admission: SecretKey<Admission>,
    note: SecretKey<GovernanceNote>,
    desk: AdmissionDesk,
    follower: Follower,
    /// The last aggregate it signed off, so that it signs each once.
    signed: Option<Digest>,
}

/// Why a desk refused.
#[derive(Debug, PartialEq, Error)]
pub enum GovernorRefusal {
    /// The hello is not accepted.
    #[error(transparent)]
    Hello(#[from] HelloRefusal),
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
        Self { admission, note, desk: AdmissionDesk::default(), follower, signed: None }
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

    /// Endorses the accept that a hello deserves, or tells the node why there is none. A hello that nobody of
    /// the roster signed gets no answer.
    fn hello(&mut self, hello: Signed<FederationHello>) -> Result<Vec<Outgoing>, GovernorRefusal> {
        let executor = self.follower.executor();
        let rules = executor.rules();
        let node = hello.claimed().node_fingerprint;
        let view = DeskView {
            rules: rules.admission(),
            epoch: executor.state().epoch(),
            federation_certificate: federation_certificate(rules),
            last_session: executor.state().last_session_of(&node),
            channel: HelloChannel::Relayed,
            proven: AttestationLevel::None,
        };
        let name = rules.roster.participant(&node).map(|site| site.record.name.clone());
        let answer = self.desk.handle_hello(hello, &view, &self.admission);
        let Some(name) = name else {
            return answer.map(|_| Vec::new()).map_err(GovernorRefusal::from);
        };
        match answer {
            Ok(accept) => {
                let frames = accept.endorsements().iter().map(|endorsement| Frame::Accept {
                    accept: Box::new(accept.claimed().clone()),
                    endorsement: endorsement.clone(),
                });
                Ok(frames.map(|frame| Outgoing::to_node(&name, frame)).collect())
            }
            Err(HelloRefusal::Incompatible(refusal)) => {
                Ok(vec![Outgoing::to_node(&name, Frame::Refusal(refusal))])
            }
            Err(refusal) => Err(refusal.into()),
        }
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
            pin: LedgerPin {
                previous_note: executor.state().note_head(),
                head_size,
                head_root: Digest::from_bytes(*head_root.as_bytes()),
            },
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
pub(crate) fn federation_certificate(rules: &Rules) -> Digest {
    let committee = rules.roster.configuration().validator_set_hash();
    Digest::of(HashDomain::TransportCertificate, committee.as_bytes())
}
