//! A block: the header that everything hashes, and the file that carries its evidence.

use federation_proto::codec::Canonical;
use federation_proto::{
    Batch, Digest, FederatedEpoch, FederationId, HashDomain, Height, LedgerBlockId, LogicalTime,
    SequenceNumber, SigningContext, limits,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::merkle::block_tree::{BlockTree, BlockTreeError};

/// The only header layout there is.
pub const BLOCK_VERSION: u16 = 1;

/// Largest certificate in bytes. The commit certificate of 100 validators has about 12 KiB.
pub const MAX_CERTIFICATE_BYTES: usize = 64 << 10;

/// What a block is: its id is the hash of these fields.
///
/// Views and certificates are absent on purpose: correct replicas may hold different ones, and
/// what they hash must be the same [Castro & Liskov, OSDI '99 §4.3].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockHeader {
    /// Header layout, [`BLOCK_VERSION`].
    pub version: u16,
    /// The federation whose ledger this is.
    pub ledger_id: FederationId,
    /// Position in the ledger, from 1.
    pub height: Height,
    /// PBFT sequence number of the batch. It skips those of null requests.
    pub sequence: SequenceNumber,
    /// Id of the block before; for the first block, the digest of the federation id.
    pub parent: LedgerBlockId,
    /// Configuration in force.
    pub config_digest: Digest,
    /// Epoch in force after the batch.
    pub epoch: FederatedEpoch,
    /// Number of entries.
    pub entries_count: u32,
    /// Root of the entry tree, bound to the count.
    pub entries_root: Digest,
    /// The digest that was voted on.
    pub batch_digest: Digest,
    /// Agreed time of the batch in milliseconds since genesis, above the parent's.
    pub batch_time: LogicalTime,
    /// Digest of the replicated state after the batch.
    pub state_root_after: Digest,
}

/// A block with its evidence, as the canonical export holds it.
///
/// The certificates are opaque to this crate: the consensus crate made them and verifies them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockFile {
    /// The header.
    pub header: BlockHeader,
    /// What was ordered.
    pub batch: Batch,
    /// Proof of order: canonical bytes, not empty, at most [`MAX_CERTIFICATE_BYTES`].
    pub commit_certificate: Vec<u8>,
    /// Proof of the result, at checkpoints only; same limits.
    pub checkpoint_certificate: Option<Vec<u8>>,
}

/// Why header, batch and certificates do not belong together.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BlockError {
    /// Another header layout.
    #[error("block version {found}, only {BLOCK_VERSION} is known")]
    Version {
        /// Version found.
        found: u16,
    },
    /// A null request makes no block.
    #[error("an empty batch makes no block")]
    EmptyBatch,
    /// The batch has too many items.
    #[error(transparent)]
    Tree(#[from] BlockTreeError),
    /// The batch is larger than the wire allows.
    #[error("the batch has {length} bytes, the limit is {limit}")]
    BatchTooLarge {
        /// Canonical length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The header counts other entries than the batch has.
    #[error("the header counts {header} entries, the batch has {batch}")]
    EntriesCount {
        /// Count in the header.
        header: u32,
        /// Count of the batch.
        batch: u32,
    },
    /// The header commits to other entries.
    #[error("the header has entries root {header}, the batch has {batch}")]
    EntriesRoot {
        /// Root in the header.
        header: Digest,
        /// Root of the batch.
        batch: Digest,
    },
    /// The header commits to another batch.
    #[error("the header has batch digest {header}, the batch has {batch}")]
    BatchDigest {
        /// Digest in the header.
        header: Digest,
        /// Digest of the batch.
        batch: Digest,
    },
    /// The header has another time than the batch.
    #[error("the header has batch time {header}, the batch has {batch}")]
    BatchTime {
        /// Time in the header.
        header: LogicalTime,
        /// Time of the batch.
        batch: LogicalTime,
    },
    /// A certificate is empty or longer than [`MAX_CERTIFICATE_BYTES`].
    #[error("a certificate has {length} bytes, 1 to {limit} are allowed")]
    CertificateLength {
        /// Length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

impl BlockHeader {
    /// The id of the block: the domain-separated hash of the canonical header.
    #[must_use]
    pub fn id(&self) -> LedgerBlockId {
        LedgerBlockId::new(Digest::of(HashDomain::BlockHeader, &self.to_canonical()))
    }

    /// Checks that the header commits to `batch` in every field that the batch determines.
    ///
    /// # Errors
    /// Any variant of [`BlockError`] but that of certificates.
    pub fn check_batch(&self, batch: &Batch) -> Result<(), BlockError> {
        if self.version != BLOCK_VERSION {
            return Err(BlockError::Version { found: self.version });
        }
        if self.batch_time != batch.batch_time {
            return Err(BlockError::BatchTime { header: self.batch_time, batch: batch.batch_time });
        }
        let tree = entry_tree(batch)?;
        if self.entries_count != tree.count() {
            let (header, batch) = (self.entries_count, tree.count());
            return Err(BlockError::EntriesCount { header, batch });
        }
        let root = tree.root();
        if self.entries_root != root {
            return Err(BlockError::EntriesRoot { header: self.entries_root, batch: root });
        }
        let digest = batch.digest(&self.signing_context(), self.sequence);
        if self.batch_digest != digest {
            return Err(BlockError::BatchDigest { header: self.batch_digest, batch: digest });
        }
        Ok(())
    }

    /// Federation and configuration that the signatures of this block are bound to.
    #[must_use]
    pub fn signing_context(&self) -> SigningContext {
        SigningContext { federation_id: self.ledger_id, config_digest: self.config_digest }
    }
}

impl BlockFile {
    /// Checks that header, batch and certificates belong together. What the certificates prove is
    /// for the consensus crate to say.
    ///
    /// # Errors
    /// Any variant of [`BlockError`].
    pub fn check(&self) -> Result<(), BlockError> {
        check_certificate(&self.commit_certificate)?;
        self.checkpoint_certificate.as_deref().map_or(Ok(()), check_certificate)?;
        self.header.check_batch(&self.batch)
    }
}

impl Canonical for BlockHeader {
    const NAME: &'static str = "BlockHeader";
    const MAX_BYTES: usize = 512;
}

impl Canonical for BlockFile {
    const NAME: &'static str = "BlockFile";
    const MAX_BYTES: usize = limits::BATCH + 2 * MAX_CERTIFICATE_BYTES + 1024;
}

/// The entry tree of a batch: its leaves are the canonical bytes of the items.
///
/// # Errors
/// [`BlockError::EmptyBatch`], [`BlockError::BatchTooLarge`] or [`BlockError::Tree`].
pub fn entry_tree(batch: &Batch) -> Result<BlockTree, BlockError> {
    if batch.is_null() {
        return Err(BlockError::EmptyBatch);
    }
    let (length, limit) = (batch.to_canonical().len(), limits::BATCH);
    if length > limit {
        return Err(BlockError::BatchTooLarge { length, limit });
    }
    Ok(BlockTree::from_entries(batch.items.iter().map(Canonical::to_canonical))?)
}

pub(crate) fn check_certificate(certificate: &[u8]) -> Result<(), BlockError> {
    let (length, limit) = (certificate.len(), MAX_CERTIFICATE_BYTES);
    if length == 0 || length > limit {
        return Err(BlockError::CertificateLength { length, limit });
    }
    Ok(())
}
