//! The way from one ledger entry to a checkpoint: through its block to the log.

use federation_proto::codec::Canonical;
use federation_proto::{BatchItem, FederationId, Height};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::log_index;
use crate::block::BlockHeader;
use crate::checkpoint::Checkpoint;
use crate::merkle::LogHash;
use crate::merkle::block_tree::{InclusionProof, entry_leaf};
use crate::merkle::verify::{ProofError, verify_inclusion};

/// Proof that an entry stands in a block and that block in the log.
///
/// A value from outside: nothing is known about it before [`EntryProof::verify`] accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryProof {
    /// Header of the block.
    pub header: BlockHeader,
    /// Proof of the entry in the block.
    pub entry: InclusionProof,
    /// Number of blocks of the log that the path leads to.
    pub log_size: u64,
    /// Inclusion path of the header in the log, from its sibling up.
    pub log_path: Vec<LogHash>,
}

/// Why an entry proof was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EntryProofError {
    /// The block belongs to another ledger.
    #[error("the proof is of ledger {found}, expected {expected}")]
    LedgerId {
        /// The trusted ledger.
        expected: FederationId,
        /// Ledger of the header.
        found: FederationId,
    },
    /// Heights begin at 1.
    #[error("a block of height {found}")]
    Height {
        /// Height of the header.
        found: Height,
    },
    /// The proof is for another size than the trusted checkpoint.
    #[error("the proof is for log size {found}, the checkpoint has {expected}")]
    LogSize {
        /// Size of the trusted checkpoint.
        expected: u64,
        /// Size in the proof.
        found: u64,
    },
    /// Header and entry proof count different entries.
    #[error("the header counts {header} entries, the proof {proof}")]
    EntriesCount {
        /// Count in the header.
        header: u32,
        /// Count in the proof.
        proof: u32,
    },
    /// The entry is not in the block.
    #[error("entry: {0}")]
    Entry(ProofError),
    /// The block is not in the log.
    #[error("block: {0}")]
    Log(ProofError),
}

impl EntryProof {
    /// Checks that `item` is entry [`InclusionProof::index`] of the block with [`Self::header`] in
    /// the ledger `ledger_id` whose trusted head is `checkpoint`.
    ///
    /// # Errors
    /// Any variant of [`EntryProofError`].
    pub fn verify(
        &self,
        item: &BatchItem,
        ledger_id: FederationId,
        checkpoint: &Checkpoint,
    ) -> Result<(), EntryProofError> {
        let (header, entry) = (&self.header, &self.entry);
        if header.ledger_id != ledger_id {
            let (expected, found) = (ledger_id, header.ledger_id);
            return Err(EntryProofError::LedgerId { expected, found });
        }
        if header.height == Height::ZERO {
            return Err(EntryProofError::Height { found: header.height });
        }
        if self.log_size != checkpoint.size() {
            let (expected, found) = (checkpoint.size(), self.log_size);
            return Err(EntryProofError::LogSize { expected, found });
        }
        if header.entries_count != entry.count {
            let (header, proof) = (header.entries_count, entry.count);
            return Err(EntryProofError::EntriesCount { header, proof });
        }
        entry
            .verify(&header.entries_root, &entry_leaf(&item.to_canonical()))
            .map_err(EntryProofError::Entry)?;
        let leaf = LogHash::of_leaf(&header.to_canonical());
        let index = log_index(header.height);
        verify_inclusion(&leaf, index, self.log_size, &self.log_path, &checkpoint.root())
            .map_err(EntryProofError::Log)
    }
}

impl Canonical for EntryProof {
    const NAME: &'static str = "EntryProof";
    // A header, 64 log hashes and 32 entry hashes fit with room to spare.
    const MAX_BYTES: usize = 8 << 10;
}
