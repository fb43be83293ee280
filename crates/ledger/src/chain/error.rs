//! Why a block cannot follow, and why the ledger cannot answer.

use federation_proto::{
    FederatedEpoch, FederationId, Height, LedgerBlockId, LogicalTime, SequenceNumber,
};
use thiserror::Error;

use crate::anchor::AnchorError;
use crate::block::BlockError;
use crate::checkpoint::CheckpointError;
use crate::merkle::LogHash;
use crate::merkle::block_tree::BlockTreeError;
use crate::merkle::history::HistoryError;

/// Why a block cannot follow.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AppendError {
    /// A block of another federation.
    #[error("a block of ledger {found} cannot follow in ledger {expected}")]
    LedgerId {
        /// This ledger.
        expected: FederationId,
        /// The block's ledger.
        found: FederationId,
    },
    /// Not the next height.
    #[error("height {found} cannot follow {head}")]
    Height {
        /// Height of the head.
        head: Height,
        /// Height of the block.
        found: Height,
    },
    /// Another parent than the head.
    #[error("parent {found} is not the head {head}")]
    Parent {
        /// Id of the head.
        head: LedgerBlockId,
        /// Parent of the block.
        found: LedgerBlockId,
    },
    /// The sequence number does not increase.
    #[error("sequence {found} is not above {head}")]
    Sequence {
        /// Sequence number of the head.
        head: SequenceNumber,
        /// Sequence number of the block.
        found: SequenceNumber,
    },
    /// The time does not increase.
    #[error("batch time {found} is not above {head}")]
    BatchTime {
        /// Time of the head.
        head: LogicalTime,
        /// Time of the block.
        found: LogicalTime,
    },
    /// The epoch falls.
    #[error("epoch {found} is below {head}")]
    Epoch {
        /// Epoch of the head.
        head: FederatedEpoch,
        /// Epoch of the block.
        found: FederatedEpoch,
    },
    /// Header, batch and certificates do not belong together.
    #[error(transparent)]
    Block(#[from] BlockError),
}

/// Why the ledger cannot answer or take a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LedgerError {
    /// No such block.
    #[error("no block of height {height}, the head is {head}")]
    NoBlock {
        /// Height that was asked for.
        height: Height,
        /// Height of the head.
        head: Height,
    },
    /// The block has a checkpoint certificate already. Another one may be as valid, but what was
    /// exported once must not change.
    #[error("block {height} has a checkpoint certificate already")]
    CheckpointPresent {
        /// Height of the block.
        height: Height,
    },
    /// The certificate is empty or too long.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// No such entry.
    #[error(transparent)]
    Entry(#[from] BlockTreeError),
    /// No such size.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The note is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint has another root than this ledger at that size.
    #[error("the checkpoint has root {found} at size {size}, this ledger has {own}")]
    RootDiffers {
        /// Size of the checkpoint.
        size: u64,
        /// Root of this ledger at that size.
        own: LogHash,
        /// Root in the checkpoint.
        found: LogHash,
    },
    /// The anchor cannot be put together.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
}
