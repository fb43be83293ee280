//! Where two histories part: binary search over prefixes, every answer bound to the peer's head.
//!
//! # Bound
//! From a proven difference at size d, d the smaller of both sizes at most, at most ⌈log₂ d⌉
//! answers are needed. Answers that prove nothing do not count and change nothing.
//!
//! # Safety argument
//! A consistency proof determines the root of the prefix from the head, unless SHA-256 collides. So
//! whatever a peer answers, in whatever order: what is accepted is the one root that its head
//! commits it to, and the search ends at the first block in which that tree and ours differ, or not
//! at all.

use federation_proto::Height;
use federation_proto::codec::Canonical;
use federation_proto::heartbeat::LedgerSummary;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::messages::{Answer, HeaderAnswer, HeaderQuestion, Question, RootQuestion};
use super::relation::Forked;
use super::{HandleError, OwnLog, head_of};
use crate::checkpoint::VerifiedCheckpoint;
use crate::merkle::subtrees::Subtrees;
use crate::merkle::verify::ProofError;

/// The search for the first block in which a peer's ledger differs from ours.
///
/// Invariant: the first `common` blocks are the same, the first `differs` are not; `common <
/// differs`. Our log holds no roots of fewer than `base` blocks, so they are not asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkSearch {
    peer: LedgerSummary,
    base: u64,
    common: u64,
    differs: u64,
}

/// What a search does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Ask the peer, and give the answer to [`ForkSearch::handle_answer`].
    Ask(Question),
    /// Done.
    Found(Fork),
    /// Done: the histories differ already where our log begins, so its anchor is not the peer's.
    BeforeBase,
}

/// The first block in which a peer's ledger differs from ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fork {
    peer: LedgerSummary,
    height: Height,
}

/// Two headers of one height, one under a head that a node signed, one under a certified
/// checkpoint: proof for anybody who holds both that this node's ledger is another.
///
/// A value from outside: nothing is known about it before [`ForkProof::verify`] accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkProof {
    /// The node's header, under its head.
    pub theirs: HeaderAnswer,
    /// The certified header, under the checkpoint.
    pub certified: HeaderAnswer,
}

/// Why a fork is not proven.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ForkProofError {
    /// The node has the certified header.
    #[error("both ledgers have the same header at height {height}")]
    SameHeader {
        /// Height of both.
        height: Height,
    },
    /// The node's head does not have this header.
    #[error("the node's header: {0}")]
    Theirs(ProofError),
    /// The checkpoint does not have this header.
    #[error("the certified header: {0}")]
    Certified(ProofError),
}

impl ForkSearch {
    /// Begins where the histories are known to differ. Our own log began after `base` blocks: 0,
    /// or those before and with its anchor.
    #[must_use]
    pub fn new(forked: &Forked, base: u64) -> Self {
        Self { peer: *forked.peer(), base, common: 0, differs: forked.size() }
    }

    /// The next question, or the fork. The same until an answer is accepted.
    pub fn step(&self) -> Step {
        if self.differs <= self.base {
            return Step::BeforeBase;
        }
        if self.differs - self.common == 1 {
            let height = Height::new(self.differs);
            return Step::Found(Fork { peer: self.peer, height });
        }
        Step::Ask(Question::Root(RootQuestion { size: self.middle(), of: self.peer.size }))
    }

    /// Takes the answer to the question of [`Self::step`]. `own` must hold the history that was
    /// compared, and may have grown.
    ///
    /// # Errors
    /// [`HandleError`]; the search is then where it was.
    pub fn handle_answer<S: Subtrees>(
        &mut self,
        own: &OwnLog<'_, S>,
        answer: &Answer,
    ) -> Result<(), HandleError<S::Error>> {
        let middle = self.middle();
        let theirs = answer.root(middle, &self.peer)?;
        if own.root_at(middle).map_err(HandleError::Store)? == theirs {
            self.common = middle;
        } else {
            self.differs = middle;
        }
        Ok(())
    }

    /// Halves the heights that are left, or more than halves them at the base; once the fork is
    /// found, a size at which nothing can differ.
    fn middle(&self) -> u64 {
        (self.common + (self.differs - self.common) / 2).max(self.base)
    }
}

impl Fork {
    /// Height of the first block that differs.
    #[must_use]
    pub fn height(&self) -> Height {
        self.height
    }

    /// The head that the peer signed.
    #[must_use]
    pub fn peer(&self) -> &LedgerSummary {
        &self.peer
    }

    /// What gives the peer's half of a [`ForkProof`].
    #[must_use]
    pub fn question(&self) -> Question {
        Question::Header(HeaderQuestion { height: self.height, of: self.peer.size })
    }
}

impl ForkProof {
    /// The height at which the ledger with head `peer` is not the certified one. Whose head it is,
    /// is for the signature over it to say.
    ///
    /// Other blocks may differ before: that this one is the first, only [`ForkSearch`] finds out.
    ///
    /// # Errors
    /// Any variant of [`ForkProofError`].
    pub fn verify(
        &self,
        peer: &LedgerSummary,
        certified: &VerifiedCheckpoint,
    ) -> Result<Height, ForkProofError> {
        let height = self.certified.header.height;
        if self.certified.header == self.theirs.header {
            return Err(ForkProofError::SameHeader { height });
        }
        let head = head_of(certified.checkpoint());
        self.certified.verify(height, &head).map_err(ForkProofError::Certified)?;
        // The node's header may claim another height: what counts is where it stands.
        self.theirs.verify(height, peer).map_err(ForkProofError::Theirs)?;
        Ok(height)
    }
}

impl Canonical for ForkProof {
    const NAME: &'static str = "ForkProof";
    // Two headers and twice 65 hashes fit with room to spare.
    const MAX_BYTES: usize = 8 << 10;
}
