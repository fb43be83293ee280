//! Two ledgers compared: who is behind, where they part, how to catch up, when to halt.
//!
//! Everything rests on one exchange. A peer's *head* (size and root) is bound by its signature, or
//! by a quorum's; it is asked for its root at a smaller size, and proves by RFC 9162 §2.1.4 that
//! this is the root of a prefix of its head. So no answer can be taken back, and there are three
//! cases:
//!
//! | the answer | means |
//! |---|---|
//! | proven, our root | our prefix of that size and the peer's are the same |
//! | proven, another root | the two histories differ: the peer's from ours, whatever it says later |
//! | refused, or proves nothing | nothing at all: [`Unproven`] is evidence against nobody |
//!
//! | question | answered by | module |
//! |---|---|---|
//! | is a peer behind, ahead, forked? | [`compare`], [`Ahead`] | `relation` |
//! | where do we part? | [`ForkSearch`], [`ForkProof`] | `fork` |
//! | does it convict the peer? | [`conflicting`], [`divergent`] | `evidence` |
//! | which blocks do I lack? | [`CatchUp`] | `catch_up` |
//! | must I halt, and restore what? | [`self_check`], [`Conflict`], [`rollback_point`] | `recovery` |
//! | what do I tell a peer that asks? | [`answer`] | `answer` |
//!
//! # When a node halts
//! A peer's claim never halts a node. A node halts when its **own** store contradicts a checkpoint
//! that a quorum certified ([`Contradiction`]), and everything halts when a quorum certified two
//! histories ([`Conflict`]).
//!
//! Whether the author of a head is who it says, and whether an old answer is replayed, is not seen
//! here: heads come out of verified signatures, and an answer proves what it proves whenever it
//! comes.
//!
//! # Example
//! Two nodes with nine blocks each; from the sixth on they differ.
//!
//! ```
//! use federation_proto::Height;
//! use ledger::divergence::{ForkSearch, OwnLog, Relation, Step, answer, compare};
//! use ledger::merkle::history::{HistoryError, HistoryTree};
//!
//! let [mut ours, mut theirs] = [HistoryTree::new(), HistoryTree::new()];
//! for block in 1..=9_u8 {
//!     ours.append(&[block]);
//!     theirs.append(&[if block < 6 { block } else { 100 + block }]);
//! }
//! let (ours, theirs) = (OwnLog::new(&ours, 9), OwnLog::new(&theirs, 9));
//!
//! // The peer signs its head in its heartbeats.
//! let Relation::Forked(forked) = compare(&ours, &theirs.head()?)? else { unreachable!() };
//! let mut search = ForkSearch::new(&forked, 0);
//! let mut exchanges = 0;
//! let fork = loop {
//!     match search.step() {
//!         Step::Found(fork) => break fork,
//!         Step::BeforeBase => unreachable!("our log is whole"),
//!         Step::Ask(question) => {
//!             let received = answer(&theirs, |_| Ok::<_, HistoryError>(None), &question)?;
//!             search.handle_answer(&ours, &received)?;
//!             exchanges += 1;
//!         }
//!     }
//! };
//! assert_eq!(fork.height(), Height::new(6));
//! assert!(exchanges <= 4, "the binary logarithm of nine");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod catch_up;
mod evidence;
mod fork;
mod messages;
mod recovery;
mod relation;

#[cfg(test)]
mod tests;

use federation_proto::Digest;
use federation_proto::heartbeat::LedgerSummary;
use thiserror::Error;

pub use answer::answer;
pub use catch_up::{CatchUp, Progress};
pub use evidence::{certified_root, conflicting, divergent};
pub use fork::{Fork, ForkProof, ForkProofError, ForkSearch, Step};
pub use messages::{
    Answer, BlockBytes, BlocksAnswer, BlocksRequest, HeaderAnswer, HeaderQuestion, MAX_BLOCK_BYTES,
    MAX_BLOCKS, MAX_PROOF_HASHES, Question, Refusal, RootAnswer, RootQuestion,
};
pub use recovery::{
    Conflict, Contradiction, RollbackPoint, Verdict, conflict, rollback_point, self_check,
};
pub use relation::{Ahead, Forked, Relation, compare};

use crate::checkpoint::Checkpoint;
use crate::export::ExportError;
use crate::merkle::LogHash;
use crate::merkle::subtrees::{self, Subtrees};
use crate::merkle::verify::ProofError;

/// Our own ledger: where the subtrees over its headers are kept, and how many blocks it has.
#[derive(Debug)]
pub struct OwnLog<'a, S> {
    subtrees: &'a S,
    size: u64,
}

impl<'a, S: Subtrees> OwnLog<'a, S> {
    /// The first `size` blocks of a log.
    pub fn new(subtrees: &'a S, size: u64) -> Self {
        Self { subtrees, size }
    }

    /// Number of blocks.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Size and root, as a heartbeat tells them.
    ///
    /// # Errors
    /// A subtree is missing.
    pub fn head(&self) -> Result<LedgerSummary, S::Error> {
        Ok(summary(self.size, self.root_at(self.size)?))
    }

    /// Root of the first `size` blocks.
    ///
    /// # Errors
    /// A subtree is missing, as it is beyond [`Self::size`].
    pub fn root_at(&self, size: u64) -> Result<LogHash, S::Error> {
        subtrees::root(self.subtrees, size)
    }

    /// Root of the first `size` blocks, with the proof that the first `of` blocks extend them.
    ///
    /// # Errors
    /// A subtree is missing.
    pub fn prefix(&self, size: u64, of: u64) -> Result<RootAnswer, S::Error> {
        let proof = subtrees::consistency(self.subtrees, size, of)?;
        Ok(RootAnswer { root: self.root_at(size)?, proof })
    }
}

/// Why an answer proves nothing. It is no evidence: peers fail, prune, restart and disagree about
/// what was asked, so ask again or ask another.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unproven {
    /// The peer says that it will not answer.
    #[error("the peer refuses: {0}")]
    Refused(#[from] Refusal),
    /// An answer to another kind of question.
    #[error("an answer of another kind than the question")]
    OtherKind,
    /// The proof does not lead to the head.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// No block, or more than were asked for.
    #[error("{found} blocks, 1 to {asked} were asked for")]
    Count {
        /// Most blocks of a good answer.
        asked: usize,
        /// Blocks of this one.
        found: usize,
    },
    /// A block has another form than the canonical one, or its parts do not belong together.
    #[error(transparent)]
    Block(#[from] ExportError),
}

/// Why an answer did not advance a search.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HandleError<E> {
    /// Our own store failed; the answer may be good.
    #[error("our own store: {0}")]
    Store(E),
    /// The answer proves nothing.
    #[error(transparent)]
    Unproven(#[from] Unproven),
}

/// Size and root as the wire has them. A [`Digest`] there carries any 32 bytes.
fn summary(size: u64, root: LogHash) -> LedgerSummary {
    LedgerSummary { size, root: Digest::from_bytes(*root.as_bytes()) }
}

fn head_of(checkpoint: &Checkpoint) -> LedgerSummary {
    summary(checkpoint.size(), checkpoint.root())
}

fn root_of(head: &LedgerSummary) -> LogHash {
    LogHash::from_bytes(*head.root.as_bytes())
}
