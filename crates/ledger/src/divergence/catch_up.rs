//! From our head to a certified one, without trusting whoever gives the blocks.
//!
//! The target is certified by a quorum, so any peer can be asked and the next one can go on where
//! another failed. An answer is checked as a whole before anything of it is released: a peer that
//! lies costs one answer of bounded size, and nothing else.
//!
//! Certificates are opaque here and no hash covers them: the consensus crate verifies them before
//! the caller imports a block. Where that or `Ledger::import` fails, begin anew from the ledger's
//! head.

use federation_proto::Height;
use federation_proto::codec::Canonical;
use federation_proto::heartbeat::LedgerSummary;

use super::messages::{
    Answer, BlocksAnswer, BlocksRequest, MAX_BLOCKS, Question, RootAnswer, RootQuestion,
};
use super::recovery::Contradiction;
use super::{Unproven, head_of, root_of};
use crate::block::BlockFile;
use crate::checkpoint::VerifiedCheckpoint;
use crate::export::{ExportError, decode_block};
use crate::merkle::frontier::Frontier;
use crate::merkle::verify::verify_consistency;

/// The way from our head to a certified one.
///
/// Invariant: `frontier` is not beyond `target`; if `extends`, the target's history extends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatchUp {
    frontier: Frontier,
    target: LedgerSummary,
    extends: bool,
}

/// What an accepted answer brought.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// The certified history extends ours: go on.
    Extends,
    /// It does not: our own store contradicts what a quorum certified. Halt.
    Contradicted {
        /// Our root and the certified one.
        contradiction: Contradiction,
        /// Proof that the target commits to the certified one. Where ours is a certified anchor's,
        /// it proves their [`Conflict`](super::Conflict).
        prefix: RootAnswer,
    },
    /// The next blocks of the certified history, in their order.
    Blocks(Vec<BlockFile>),
}

impl CatchUp {
    /// Begins from our own frontier; none unless the target is ahead of it.
    #[must_use]
    pub fn new(frontier: Frontier, target: &VerifiedCheckpoint) -> Option<Self> {
        let target = head_of(target.checkpoint());
        (frontier.size() < target.size).then_some(Self { frontier, target, extends: false })
    }

    /// What to ask any peer next; nothing once we are there. The same until an answer is accepted.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        let (size, of) = (self.size(), self.target.size);
        if !self.extends {
            return Some(Question::Root(RootQuestion { size, of }));
        }
        let count = self.missing();
        let first = Height::new(size).next();
        (count > 0).then_some(Question::Blocks(BlocksRequest { first, count, of }))
    }

    /// Takes the answer to [`Self::question`].
    ///
    /// # Errors
    /// [`Unproven`]; nothing has changed, and the question stands.
    pub fn handle_answer(&mut self, answer: &Answer) -> Result<Progress, Unproven> {
        match answer {
            Answer::Refused(refusal) => Err(Unproven::Refused(*refusal)),
            Answer::Root(prefix) if !self.extends => self.handle_root(prefix),
            Answer::Blocks(range) if self.extends => self.handle_blocks(range),
            Answer::Root(_) | Answer::Blocks(_) | Answer::Header(_) => Err(Unproven::OtherKind),
        }
    }

    /// Number of blocks released or there from the beginning.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    fn handle_root(&mut self, prefix: &RootAnswer) -> Result<Progress, Unproven> {
        let (size, own) = (self.size(), self.frontier.root());
        let certified = prefix.verify(size, &self.target)?;
        if own != certified {
            let contradiction = Contradiction { size, own, certified };
            return Ok(Progress::Contradicted { contradiction, prefix: prefix.clone() });
        }
        self.extends = true;
        Ok(Progress::Extends)
    }

    fn handle_blocks(&mut self, range: &BlocksAnswer) -> Result<Progress, Unproven> {
        let (asked, found) = (usize::from(self.missing()), range.blocks.len());
        if found == 0 || found > asked {
            return Err(Unproven::Count { asked, found });
        }
        // One block is decoded at a time, for its header, until all headers are certified. So a
        // liar never gets more memory than its bytes and one block.
        let mut frontier = self.frontier.clone();
        for bytes in &range.blocks {
            let block = BlockFile::from_canonical(bytes.as_slice()).map_err(ExportError::from)?;
            frontier.append(&block.header.to_canonical());
        }
        let (size, root, target) = (frontier.size(), frontier.root(), &self.target);
        verify_consistency(size, &root, target.size, &root_of(target), &range.proof)?;
        let heights = (self.size() + 1..=size).map(Height::new);
        let blocks = heights.zip(&range.blocks);
        let blocks = blocks.map(|(height, bytes)| decode_block(height, bytes.as_slice()));
        let blocks = blocks.collect::<Result<_, _>>()?;
        self.frontier = frontier;
        Ok(Progress::Blocks(blocks))
    }

    /// How many blocks the next request asks for.
    fn missing(&self) -> u16 {
        let missing = (self.target.size - self.size()).min(MAX_BLOCKS as u64);
        u16::try_from(missing).unwrap_or(u16::MAX)
    }
}
