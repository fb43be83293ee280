//! What nodes ask each other about their ledgers, and what they answer.
//!
//! All questions name `of`, the size of a head that the asker holds signed: every answer proves
//! itself against that head, and a peer that has grown since can still answer.
//!
//! A [`Question`] fits the payload of a `LedgerRequest`, an [`Answer`] that of a `LedgerSegment`.

use federation_proto::bounded::{self, Bytes};
use federation_proto::codec::Canonical;
use federation_proto::heartbeat::LedgerSummary;
use federation_proto::{Height, limits};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::root_of;
use crate::block::{BlockFile, BlockHeader};
use crate::merkle::LogHash;
use crate::merkle::verify::{ProofError, compare_roots, verify_consistency, verify_inclusion};

/// Most hashes of a proof: 64 siblings, and the node that a consistency proof begins with.
pub const MAX_PROOF_HASHES: usize = 65;

/// Most blocks of one answer.
pub const MAX_BLOCKS: usize = 256;

/// Most bytes of the blocks of one answer. What is left of a segment holds the proof.
pub const MAX_BLOCK_BYTES: usize = limits::SEGMENT - (4 << 10);

// The largest block fits, so there is always an answer.
const _: () = assert!(BlockFile::MAX_BYTES <= MAX_BLOCK_BYTES);

/// The canonical bytes of a [`BlockFile`]. They stay bytes until they are proven: decoded, a block
/// may take many times its length.
pub type BlockBytes = Bytes<{ BlockFile::MAX_BYTES }>;

/// A question to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// Its root at a smaller size.
    Root(RootQuestion),
    /// The header of one of its blocks.
    Header(HeaderQuestion),
    /// Some of its blocks.
    Blocks(BlocksRequest),
}

/// Which root do the first `size` of your first `of` blocks have?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootQuestion {
    /// Size that is asked about, at most `of`.
    pub size: u64,
    /// Size of the head that the answer is proven against.
    pub of: u64,
}

/// Which header has your block `height`?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderQuestion {
    /// Height that is asked about, 1 to `of`.
    pub height: Height,
    /// Size of the head that the answer is proven against.
    pub of: u64,
}

/// Give me blocks. An answer may hold fewer than `count`, never more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlocksRequest {
    /// Height of the first, 1 to `of`.
    pub first: Height,
    /// How many, at least 1; more than [`MAX_BLOCKS`] are never given.
    pub count: u16,
    /// Size of the head that the answer is proven against.
    pub of: u64,
}

/// An answer of a peer: worth nothing before it is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To a [`RootQuestion`].
    Root(RootAnswer),
    /// To a [`HeaderQuestion`].
    Header(Box<HeaderAnswer>),
    /// To a [`BlocksRequest`].
    Blocks(BlocksAnswer),
    /// To any.
    Refused(Refusal),
}

/// A root, and the proof that the head asked about extends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootAnswer {
    /// Root of the first blocks.
    pub root: LogHash,
    /// Consistency proof from them to the head [RFC 9162 §2.1.4.1]; empty from no blocks at all.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_PROOF_HASHES>")]
    pub proof: Vec<LogHash>,
}

/// A header, and its place under the head asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderAnswer {
    /// The header.
    pub header: BlockHeader,
    /// Inclusion path of the header, from its sibling up.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_PROOF_HASHES>")]
    pub path: Vec<LogHash>,
}

/// Successive blocks, and the proof that they lead to the head asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlocksAnswer {
    /// The blocks, from the first one asked for.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_BLOCKS>")]
    pub blocks: Vec<BlockBytes>,
    /// Consistency proof from the end of the last block to the head.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_PROOF_HASHES>")]
    pub proof: Vec<LogHash>,
}

/// Why a peer does not answer. Nothing follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum Refusal {
    /// The question asks for nothing, or for what no log of that size has.
    #[error("the sizes of the question do not go together")]
    Senseless,
    /// The log is shorter than the head asked about.
    #[error("the log has {size} blocks only")]
    Beyond {
        /// Its size.
        size: u64,
    },
    /// The block is not kept any more.
    #[error("the block is not kept")]
    NotKept,
}

impl RootAnswer {
    /// The root of the first `size` blocks of the log with this head.
    ///
    /// # Errors
    /// [`ProofError`]: the proof does not bind the root to the head.
    pub fn verify(&self, size: u64, head: &LedgerSummary) -> Result<LogHash, ProofError> {
        // Every log extends the empty one, and RFC 9162 has no proof of it.
        match self.proof.len() {
            0 if size == 0 => compare_roots(&LogHash::EMPTY_ROOT, &self.root)?,
            found if size == 0 => return Err(ProofError::PathLength { expected: 0, found }),
            _ => verify_consistency(size, &self.root, head.size, &root_of(head), &self.proof)?,
        }
        Ok(self.root)
    }
}

impl HeaderAnswer {
    /// Checks that this is the header of block `height` of the log with this head.
    ///
    /// # Errors
    /// [`ProofError`]: it is not, or there is no such block.
    pub fn verify(&self, height: Height, head: &LedgerSummary) -> Result<(), ProofError> {
        // Height 0 wraps to an index that no tree has.
        let index = height.get().wrapping_sub(1);
        let leaf = LogHash::of_leaf(&self.header.to_canonical());
        verify_inclusion(&leaf, index, head.size, &self.path, &root_of(head))
    }
}

impl Canonical for Question {
    const NAME: &'static str = "Question";
    const MAX_BYTES: usize = limits::QUERY;
}

impl Canonical for Answer {
    const NAME: &'static str = "Answer";
    const MAX_BYTES: usize = limits::SEGMENT;
}
