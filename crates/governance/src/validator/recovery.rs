//! A validator after a crash: what it had written, and nothing else.
//!
//! The ledger is executed again from its beginning, so its state is computed and not believed; the safety log makes
//! the replica that repeats itself and never contradicts itself. Requests and replay windows are gone: who sent them sends
//! them again, and the ordered windows of the state decide what counts. Approvals are gone too, and governors do not
//! repeat them.

use consensus_pbft::{
    CertificateError, CheckpointCertificate, CheckpointStatement, CommitCertificate, Committee,
    Decided, Replica, ReplicaId, Restart, RestartError, SafetyRecord, ValidSettings,
};
use federation_proto::codec::{Canonical, CodecError};
use federation_proto::{Height, LedgerBlockId, Signature};
use ledger::{BlockFile, LedgerError};
use thiserror::Error;

use super::application::FederationApplication;
use super::{Validator, ValidatorError, ValidatorKeys};
use crate::executor::{ExecutionError, Executor};

/// What the disk of a validator holds after a crash.
#[derive(Clone, Debug, Default)]
pub struct Survived {
    /// The records of the safety log, in the order in which they were written.
    pub records: Vec<SafetyRecord>,
    /// The blocks from the first on without a gap, with the checkpoint certificates that were stored.
    pub blocks: Vec<BlockFile>,
    /// The blobs.
    pub blobs: Vec<Vec<u8>>,
}

/// Why what survived makes no validator. It must not vote then.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// No validator could be made with these settings.
    #[error(transparent)]
    Validator(#[from] ValidatorError),
    /// A block is not what was decided and executed.
    #[error("block {height}: {cause}")]
    Block {
        /// Its height.
        height: Height,
        /// Why.
        cause: ImportError,
    },
    /// The safety log makes no replica.
    #[error(transparent)]
    Replica(#[from] RestartError),
}

/// Why a block of a ledger does not follow here.
#[derive(Debug, Error)]
pub enum ImportError {
    /// A certificate is not canonical.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A certificate does not hold.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The certificate decides something else.
    #[error("its certificate is for another batch")]
    OtherBatch,
    /// The batch cannot be executed.
    #[error(transparent)]
    Execution(#[from] ExecutionError),
    /// A null request makes no block.
    #[error("its batch is empty")]
    NoBlock,
    /// Execution leads to another block.
    #[error("its id is {found}, execution leads to {own}")]
    OtherBlock {
        /// What was computed.
        own: LedgerBlockId,
        /// What was given.
        found: LedgerBlockId,
    },
    /// The certificate is for another result.
    #[error("its checkpoint certificate is for another block")]
    OtherCheckpoint,
    /// The ledger does not take the certificate.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Validator {
    /// The validator that crashed. `executor` stands at genesis.
    pub fn restore(
        committee: Committee,
        id: ReplicaId,
        keys: ValidatorKeys,
        settings: ValidSettings,
        executor: Executor,
        survived: Survived,
    ) -> Result<Self, RestoreError> {
        Self::check_window(&executor, &settings)?;
        let ValidatorKeys { identity, consensus, log } = keys;
        let mut application =
            FederationApplication::new(committee.clone(), executor, identity, log);
        let mut restart = Restart { records: survived.records, ..Restart::default() };
        for block in survived.blocks {
            let height = block.header.height;
            let bad = |cause| RestoreError::Block { height, cause };
            let (certificate, checkpoint) = certificates(&committee, &block).map_err(bad)?;
            // Our CHECKPOINT may be lost: the record of it is not written together with the block.
            let reached = application.repeat(&block).map_err(bad)?;
            restart.reached = reached.or(restart.reached);
            restart.executed = block.header.sequence;
            restart.decided.push(Decided { certificate, batch: block.batch });
            if let Some(stable) = checkpoint {
                restart.stable = Some(stable);
                // What is below it, nobody asks for by its sequence number any more.
                restart.decided.clear();
            }
        }
        survived.blobs.into_iter().for_each(|blob| application.store.restore(blob));
        let replica = Replica::restore(committee, id, consensus, settings, restart)?;
        Ok(Self::of(replica, application))
    }
}

/// The certificates of a block, which no hash covers: whoever gives a block can bend them.
pub(super) fn certificates(
    committee: &Committee,
    block: &BlockFile,
) -> Result<(CommitCertificate, Option<CheckpointCertificate>), ImportError> {
    let header = &block.header;
    let certificate = CommitCertificate::from_canonical(&block.commit_certificate)?;
    if (certificate.sequence, certificate.digest) != (header.sequence, header.batch_digest) {
        return Err(ImportError::OtherBatch);
    }
    certificate.verify(committee)?;
    let checkpoint = block.checkpoint_certificate.as_deref();
    let checkpoint = checkpoint.map(CheckpointCertificate::from_canonical).transpose()?;
    if let Some(checkpoint) = &checkpoint {
        if checkpoint.statement.header_hash != header.id() {
            return Err(ImportError::OtherCheckpoint);
        }
        checkpoint.verify(committee)?;
    }
    Ok((certificate, checkpoint))
}

impl FederationApplication {
    /// Executes a block of a ledger, ours or a peer's, and compares: what leads to another block is none of ours. What
    /// comes back is what was reached, if the block is a checkpoint.
    pub(super) fn repeat(
        &mut self,
        block: &BlockFile,
    ) -> Result<Option<(CheckpointStatement, Signature)>, ImportError> {
        let header = &block.header;
        let bytes = block.commit_certificate.clone();
        let ordered = self.order(header.sequence, &block.batch, bytes)?;
        let ordered = ordered.ok_or(ImportError::NoBlock)?;
        let (own, found) = (ordered.header.id(), header.id());
        if own != found {
            return Err(ImportError::OtherBlock { own, found });
        }
        if let Some(bytes) = &block.checkpoint_certificate {
            self.executor.ledger_mut().attach_checkpoint(header.height, bytes.clone())?;
        }
        Ok(self.reached(&ordered))
    }
}
