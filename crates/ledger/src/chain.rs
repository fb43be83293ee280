//! The chain of blocks in memory, with the history tree over its headers.
//!
//! # Invariants
//! * Block h has height h, h from 1; its parent is block h − 1 (block 1: the federation id).
//! * Sequence and batch time strictly increase; the epoch never falls.
//! * Leaf h − 1 of the history tree is the canonical header of block h.
//! * A block with a commit certificate never changes and never leaves: there is no method for it.
//!
//! What a certificate proves, and whether a state root is right, is decided before a block comes
//! here: the consensus crate verifies certificates, the state machine computes states.

mod error;
mod proof;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;

use federation_proto::codec::Canonical;
use federation_proto::{
    Batch, Digest, FederatedEpoch, FederationId, Height, LedgerBlockId, LogicalTime, SequenceNumber,
};

use serde::{Deserialize, Serialize};

pub use error::{AppendError, LedgerError};
pub use proof::{EntryProof, EntryProofError};

use crate::anchor::Anchor;
use crate::block::{BLOCK_VERSION, BlockFile, BlockHeader, check_certificate, entry_tree};
use crate::checkpoint::Checkpoint;
use crate::merkle::history::HistoryTree;
use crate::note::Note;

/// A ledger from its genesis on.
#[derive(Debug, Clone)]
pub struct Ledger {
    ledger_id: FederationId,
    head: Head,
    blocks: Vec<BlockFile>,
    heights: BTreeMap<LedgerBlockId, Height>,
    history: HistoryTree,
}

/// What the next block must follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Height of the last block; 0 before the first.
    pub height: Height,
    /// Id of the last block; before the first, the digest of the federation id.
    pub id: LedgerBlockId,
    /// PBFT sequence number of the last block.
    pub sequence: SequenceNumber,
    /// Time of the last block in milliseconds since genesis.
    pub batch_time: LogicalTime,
    /// Epoch after the last block.
    pub epoch: FederatedEpoch,
}

impl Head {
    /// Before the first block.
    #[must_use]
    pub fn genesis(ledger_id: FederationId) -> Self {
        Self {
            height: Height::ZERO,
            id: LedgerBlockId::new(ledger_id.digest()),
            sequence: SequenceNumber::ZERO,
            batch_time: LogicalTime::ZERO,
            epoch: FederatedEpoch::ZERO,
        }
    }

    /// After a block.
    #[must_use]
    pub fn after(header: &BlockHeader) -> Self {
        Self {
            height: header.height,
            id: header.id(),
            sequence: header.sequence,
            batch_time: header.batch_time,
            epoch: header.epoch,
        }
    }

    /// Whether the block with this header may follow in ledger `ledger_id`.
    ///
    /// # Errors
    /// Any variant of [`AppendError`] but [`AppendError::Block`].
    pub fn check_follows(
        &self,
        ledger_id: FederationId,
        header: &BlockHeader,
    ) -> Result<(), AppendError> {
        if header.ledger_id != ledger_id {
            let (expected, found) = (ledger_id, header.ledger_id);
            return Err(AppendError::LedgerId { expected, found });
        }
        if header.height != self.height.next() || header.height == self.height {
            return Err(AppendError::Height { head: self.height, found: header.height });
        }
        if header.parent != self.id {
            return Err(AppendError::Parent { head: self.id, found: header.parent });
        }
        if header.sequence <= self.sequence {
            return Err(AppendError::Sequence { head: self.sequence, found: header.sequence });
        }
        if header.batch_time <= self.batch_time {
            return Err(AppendError::BatchTime { head: self.batch_time, found: header.batch_time });
        }
        if header.epoch < self.epoch {
            return Err(AppendError::Epoch { head: self.epoch, found: header.epoch });
        }
        Ok(())
    }
}

/// What executing a batch adds to it to make a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execution {
    /// PBFT sequence number that ordered the batch.
    pub sequence: SequenceNumber,
    /// Configuration in force.
    pub config_digest: Digest,
    /// Epoch in force after the batch.
    pub epoch: FederatedEpoch,
    /// Digest of the replicated state after the batch.
    pub state_root_after: Digest,
}

impl Ledger {
    /// The ledger of a federation before its first block.
    #[must_use]
    pub fn new(ledger_id: FederationId) -> Self {
        Self {
            ledger_id,
            head: Head::genesis(ledger_id),
            blocks: Vec::new(),
            heights: BTreeMap::new(),
            history: HistoryTree::new(),
        }
    }

    /// The header of the block that `batch`, executed, makes on top of the head. Nothing changes.
    ///
    /// # Errors
    /// What [`Ledger::append`] would refuse.
    pub fn next_header(
        &self,
        batch: &Batch,
        execution: &Execution,
    ) -> Result<BlockHeader, AppendError> {
        let tree = entry_tree(batch)?;
        let mut header = BlockHeader {
            version: BLOCK_VERSION,
            ledger_id: self.ledger_id,
            height: self.head.height.next(),
            sequence: execution.sequence,
            parent: self.head.id,
            config_digest: execution.config_digest,
            epoch: execution.epoch,
            entries_count: tree.count(),
            entries_root: tree.root(),
            batch_digest: Digest::ZERO,
            batch_time: batch.batch_time,
            state_root_after: execution.state_root_after,
        };
        header.batch_digest = batch.digest(&header.signing_context(), header.sequence);
        self.head.check_follows(self.ledger_id, &header)?;
        Ok(header)
    }

    /// Appends a block that consensus has committed and returns its id.
    ///
    /// # Errors
    /// Any variant of [`AppendError`]; the ledger is then unchanged.
    pub fn append(
        &mut self,
        header: BlockHeader,
        batch: Batch,
        commit_certificate: Vec<u8>,
    ) -> Result<LedgerBlockId, AppendError> {
        self.import(BlockFile { header, batch, commit_certificate, checkpoint_certificate: None })
    }

    /// Appends a block from an export, with the checkpoint certificate it may carry.
    ///
    /// # Errors
    /// As [`Ledger::append`].
    pub fn import(&mut self, file: BlockFile) -> Result<LedgerBlockId, AppendError> {
        self.head.check_follows(self.ledger_id, &file.header)?;
        file.check()?;
        let header = &file.header;
        self.head = Head::after(header);
        let id = self.head.id;
        self.heights.insert(id, header.height);
        self.history.append(&header.to_canonical());
        self.blocks.push(file);
        Ok(id)
    }

    /// Adds the checkpoint certificate of block `height`, whose log size is `height`.
    ///
    /// # Errors
    /// [`LedgerError::NoBlock`], [`LedgerError::CheckpointPresent`] or [`LedgerError::Block`].
    pub fn attach_checkpoint(
        &mut self,
        height: Height,
        certificate: Vec<u8>,
    ) -> Result<(), LedgerError> {
        check_certificate(&certificate)?;
        let head = self.head.height;
        let block = position(height)
            .and_then(|position| self.blocks.get_mut(position))
            .ok_or(LedgerError::NoBlock { height, head })?;
        if block.checkpoint_certificate.is_some() {
            return Err(LedgerError::CheckpointPresent { height });
        }
        block.checkpoint_certificate = Some(certificate);
        Ok(())
    }

    /// Proof that entry `index` of block `height` is in the log at `size` blocks.
    ///
    /// # Errors
    /// [`LedgerError::NoBlock`], [`LedgerError::Entry`] or [`LedgerError::History`].
    pub fn prove_entry(
        &self,
        height: Height,
        index: u32,
        size: u64,
    ) -> Result<EntryProof, LedgerError> {
        let block = self.existing(height)?;
        Ok(EntryProof {
            header: block.header,
            entry: entry_tree(&block.batch)?.prove(index)?,
            log_size: size,
            log_path: self.history.inclusion_proof(log_index(height), size)?,
        })
    }

    /// The checkpoint of the first `size` blocks, for the validators to sign.
    ///
    /// # Errors
    /// [`LedgerError::History`] or [`LedgerError::Checkpoint`].
    pub fn checkpoint_at(&self, origin: &str, size: u64) -> Result<Checkpoint, LedgerError> {
        Ok(Checkpoint::new(origin, size, self.history.root_at(size)?)?)
    }

    /// The anchor of block `height` under a signed checkpoint note of this ledger. Who signed the
    /// note is checked by whoever verifies the anchor.
    ///
    /// # Errors
    /// [`LedgerError::RootDiffers`] when the note is about another history, and the errors of
    /// parts that are out of range.
    pub fn anchor(
        &self,
        height: Height,
        note: Note,
        extra: Option<Vec<u8>>,
    ) -> Result<Anchor, LedgerError> {
        self.existing(height)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        let (size, found) = (checkpoint.size(), checkpoint.root());
        let own = self.history.root_at(size)?;
        if own != found {
            return Err(LedgerError::RootDiffers { size, own, found });
        }
        let index = log_index(height);
        let path = self.history.inclusion_proof(index, size)?;
        Ok(Anchor::new(extra, index, path, note)?)
    }

    /// The federation whose ledger this is.
    #[must_use]
    pub fn ledger_id(&self) -> FederationId {
        self.ledger_id
    }

    /// What the next block must follow.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// The block of a height, from 1.
    #[must_use]
    pub fn block(&self, height: Height) -> Option<&BlockFile> {
        self.blocks.get(position(height)?)
    }

    /// The height of a block, given its id.
    #[must_use]
    pub fn height_of(&self, id: &LedgerBlockId) -> Option<Height> {
        self.heights.get(id).copied()
    }

    /// All blocks in the order of their heights.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = &BlockFile> {
        self.blocks.iter()
    }

    /// The history tree over the canonical headers.
    #[must_use]
    pub fn history(&self) -> &HistoryTree {
        &self.history
    }

    fn existing(&self, height: Height) -> Result<&BlockFile, LedgerError> {
        self.block(height).ok_or(LedgerError::NoBlock { height, head: self.head.height })
    }
}

/// Zero-based leaf index of a block in the history tree. Height 0 has none; callers have refused it.
pub(crate) fn log_index(height: Height) -> u64 {
    height.get().saturating_sub(1)
}

fn position(height: Height) -> Option<usize> {
    usize::try_from(height.get().checked_sub(1)?).ok()
}
