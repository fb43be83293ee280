//! A follower: a node without a vote that executes what was ordered.
//!
//! Sites, governors and auditors' nodes follow. A follower believes commit certificates and its own
//! execution, never a peer's word: blocks are built here, not received.

use std::collections::BTreeMap;

use consensus_pbft::{CertificateError, CheckpointCertificate, Committee};
use federation_proto::codec::Canonical;
use federation_proto::{Digest, Height, SequenceNumber};
use ledger::LogHash;
use thiserror::Error;

use crate::executor::{ExecutionError, Executor};
use crate::wire::OrderedBatch;

/// Batches that may wait for a predecessor. A faster server is simply asked again later.
const MAX_EARLY: usize = 256;

/// A ledger that follows the committee.
#[derive(Debug)]
pub struct Follower {
    committee: Committee,
    executor: Executor,
    next: SequenceNumber,
    early: BTreeMap<SequenceNumber, OrderedBatch>,
    /// A verified certificate ahead of what was executed.
    ahead: Option<CheckpointCertificate>,
    certified: Option<CheckpointCertificate>,
    halted: bool,
}

/// Why a follower refused what it was sent.
#[derive(Debug, PartialEq, Error)]
pub enum FollowerRefusal {
    /// The certificate does not hold.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// It halted before: something that must agree did not.
    #[error("this follower has halted")]
    Halted,
    /// The certificate is for another batch.
    #[error("certificate is for {certified} at {sequence}, the batch has {batch}")]
    OtherBatch {
        /// Sequence number.
        sequence: SequenceNumber,
        /// Digest in the certificate.
        certified: Digest,
        /// Digest of the batch.
        batch: Digest,
    },
    /// Too many batches wait.
    #[error("batch {0} is too far ahead")]
    TooFarAhead(SequenceNumber),
    /// A certified batch cannot be executed: this node halts.
    #[error("certified batch {sequence} cannot be executed: {cause}")]
    Execution {
        /// Sequence number.
        sequence: SequenceNumber,
        /// Why.
        cause: Box<ExecutionError>,
    },
    /// A q-certified result differs from this node's own: this node halts.
    #[error("certified {what} at height {height} is {certified}, this node computed {own}")]
    Diverged {
        /// What differs.
        what: &'static str,
        /// Height of the checkpoint.
        height: Height,
        /// The certified value.
        certified: Digest,
        /// This node's value.
        own: Digest,
    },
}

impl Follower {
    /// A follower at genesis.
    pub fn new(committee: Committee, executor: Executor) -> Self {
        let next = SequenceNumber::ZERO.next();
        Self {
            committee,
            executor,
            next,
            early: BTreeMap::new(),
            ahead: None,
            certified: None,
            halted: false,
        }
    }

    /// Rules, state and ledger.
    pub fn executor(&self) -> &Executor {
        &self.executor
    }

    /// The committee it follows.
    pub fn committee(&self) -> &Committee {
        &self.committee
    }

    /// The newest certificate that agrees with this node's own execution.
    pub fn certified(&self) -> Option<&CheckpointCertificate> {
        self.certified.as_ref()
    }

    /// Takes an ordered batch, executes it and whatever waited for it. Old ones are ignored.
    pub fn handle_ordered(&mut self, ordered: OrderedBatch) -> Result<(), FollowerRefusal> {
        self.guarded(|follower| follower.take_ordered(ordered))
    }

    /// Takes a certified result.
    pub fn handle_checkpoint(
        &mut self,
        certificate: CheckpointCertificate,
    ) -> Result<(), FollowerRefusal> {
        self.guarded(|follower| follower.take_checkpoint(certificate))
    }

    /// Nothing is taken after a halt.
    fn guarded(
        &mut self,
        take: impl FnOnce(&mut Self) -> Result<(), FollowerRefusal>,
    ) -> Result<(), FollowerRefusal> {
        if self.halted {
            return Err(FollowerRefusal::Halted);
        }
        let outcome = take(self);
        self.halted = matches!(
            outcome,
            Err(FollowerRefusal::Execution { .. } | FollowerRefusal::Diverged { .. })
        );
        outcome
    }

    fn take_ordered(&mut self, ordered: OrderedBatch) -> Result<(), FollowerRefusal> {
        let sequence = ordered.sequence;
        if sequence < self.next || self.early.contains_key(&sequence) {
            return Ok(());
        }
        // The one that all others wait for always has room: it empties the buffer.
        if sequence > self.next && self.early.len() >= MAX_EARLY {
            return Err(FollowerRefusal::TooFarAhead(sequence));
        }
        let batch = ordered.batch.digest(&self.executor.rules().context, sequence);
        let certified = ordered.certificate.digest;
        if batch != certified || ordered.certificate.sequence != sequence {
            return Err(FollowerRefusal::OtherBatch { sequence, certified, batch });
        }
        ordered.certificate.verify(&self.committee)?;
        self.early.insert(sequence, ordered);
        while let Some(ordered) = self.early.remove(&self.next) {
            let certificate = ordered.certificate.to_canonical();
            self.executor.execute(self.next, &ordered.batch, certificate).map_err(|cause| {
                FollowerRefusal::Execution { sequence: self.next, cause: Box::new(cause) }
            })?;
            self.next = self.next.next();
        }
        self.settle()
    }

    fn take_checkpoint(
        &mut self,
        certificate: CheckpointCertificate,
    ) -> Result<(), FollowerRefusal> {
        let size = certificate.statement.log_size;
        let newest = [&self.certified, &self.ahead];
        if newest.into_iter().flatten().any(|known| known.statement.log_size >= size) {
            return Ok(());
        }
        certificate.verify(&self.committee)?;
        self.ahead = Some(certificate);
        self.settle()
    }

    /// Accepts the waiting certificate once its blocks were executed here with the same result.
    fn settle(&mut self) -> Result<(), FollowerRefusal> {
        let reached = |certificate: &mut CheckpointCertificate| {
            certificate.statement.log_size <= self.executor.ledger().head().height.get()
        };
        let Some(certificate) = self.ahead.take_if(reached) else {
            return Ok(());
        };
        let statement = &certificate.statement;
        let height = statement.height;
        let Some(block) = self.executor.ledger().block(height) else {
            return Ok(());
        };
        let root = |hash: LogHash| Digest::from_bytes(*hash.as_bytes());
        let own_root = self.executor.log_root(statement.log_size).map_or(Digest::ZERO, root);
        let own = [
            ("header", statement.header_hash.digest(), block.header.id().digest()),
            ("log root", root(statement.log_root), own_root),
            ("state root", statement.state_root, block.header.state_root_after),
        ];
        for (what, certified, own) in own {
            if certified != own {
                return Err(FollowerRefusal::Diverged { what, height, certified, own });
            }
        }
        self.certified = Some(certificate);
        Ok(())
    }
}
