//! An entry of the ledger with the way from it to a log that a quorum certified.

use consensus_pbft::{CertificateError, CheckpointCertificate, Committee};
use federation_proto::{BatchItem, FederationId, Height, LedgerEntry};
use ledger::{Checkpoint, CheckpointError, EntryProof, EntryProofError, VerifiedCheckpoint};
use thiserror::Error;

/// Where an entry stands: the order of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LedgerPosition {
    /// Height of its block, from 1.
    pub height: Height,
    /// Its index in the block, from 0.
    pub index: u32,
}

/// An entry and the proof of its place. A value from outside until [`LedgerRecord::verify`] accepts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRecord {
    /// What was ordered.
    pub item: BatchItem,
    /// Header of its block, its place there, and the block's place in the log.
    pub proof: EntryProof,
}

/// A log that a quorum certified; only verification makes one.
#[derive(Clone, Debug)]
pub struct CertifiedLog {
    ledger_id: FederationId,
    checkpoint: Checkpoint,
}

/// Why a certificate certifies no log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CertifiedLogError {
    /// The certificate proves nothing.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// What it certifies is no log.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// Why a record is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The entry does not stand where the record says.
    #[error(transparent)]
    Proof(#[from] EntryProofError),
    /// It is another kind of entry.
    #[error("record of a {found} where a {expected} was expected")]
    Kind {
        /// Kind that was expected.
        expected: &'static str,
        /// Kind of the entry.
        found: &'static str,
    },
}

impl CertifiedLog {
    /// The log that a PBFT checkpoint certificate of `committee` names.
    ///
    /// # Errors
    /// Any variant of [`CertifiedLogError`].
    pub fn from_certificate(
        certificate: &CheckpointCertificate,
        committee: &Committee,
    ) -> Result<Self, CertifiedLogError> {
        certificate.verify(committee)?;
        let statement = &certificate.statement;
        let origin = committee.origin().as_str();
        Ok(Self {
            ledger_id: committee.context().federation_id,
            checkpoint: Checkpoint::new(origin, statement.log_size, statement.log_root)?,
        })
    }

    /// The log of a signed C2SP checkpoint, for auditors who hold an anchor and no certificate.
    #[must_use]
    pub fn from_checkpoint(ledger_id: FederationId, verified: &VerifiedCheckpoint) -> Self {
        Self { ledger_id, checkpoint: verified.checkpoint().clone() }
    }

    /// Blocks of the log.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.checkpoint.size()
    }
}

impl LedgerRecord {
    /// The position, if the entry stands there in the certified log.
    ///
    /// # Errors
    /// [`RecordError::Proof`].
    pub fn verify(&self, log: &CertifiedLog) -> Result<LedgerPosition, RecordError> {
        self.proof.verify(&self.item, log.ledger_id, &log.checkpoint)?;
        Ok(LedgerPosition { height: self.proof.header.height, index: self.proof.entry.index })
    }

    /// The verified entry, as `pick` takes it out, and its position.
    ///
    /// # Errors
    /// Any variant of [`RecordError`].
    pub(crate) fn entry<'a, T>(
        &'a self,
        log: &CertifiedLog,
        expected: &'static str,
        pick: impl FnOnce(&'a LedgerEntry) -> Option<T>,
    ) -> Result<(T, LedgerPosition), RecordError> {
        let position = self.verify(log)?;
        let entry = self.item.entry();
        let found = entry.kind();
        let picked = pick(entry).ok_or(RecordError::Kind { expected, found })?;
        Ok((picked, position))
    }
}
