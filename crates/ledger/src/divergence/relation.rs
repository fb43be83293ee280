//! How a peer's ledger stands to ours. Behind or ahead is not divergence.

use federation_proto::heartbeat::LedgerSummary;

use super::messages::{Answer, Question, RootQuestion};
use super::{OwnLog, Unproven, root_of};
use crate::merkle::LogHash;
use crate::merkle::subtrees::Subtrees;

/// How a peer's ledger stands to ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relation {
    /// It is ours.
    Equal,
    /// It is a prefix of ours.
    Behind,
    /// It has more blocks. Whether it extends ours is for the peer to prove.
    Ahead(Ahead),
    /// At a size that both have, the roots differ.
    Forked(Forked),
    /// It claims no block and another root than that of no blocks: no ledger has this head.
    Malformed,
}

/// A peer that has more blocks than we have: undecided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ahead {
    own: LedgerSummary,
    peer: LedgerSummary,
}

/// Two histories that differ, proven against the peer's head. Only [`compare`] and
/// [`Ahead::handle_answer`] make one.
///
/// Invariant: `own` and `theirs` differ; `theirs` is the root of the first `size ≥ 1` blocks of
/// `peer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forked {
    peer: LedgerSummary,
    size: u64,
    own: LogHash,
    theirs: LogHash,
}

/// How the ledger with head `peer` stands to ours.
///
/// # Errors
/// Our own store has a subtree missing.
pub fn compare<S: Subtrees>(
    own: &OwnLog<'_, S>,
    peer: &LedgerSummary,
) -> Result<Relation, S::Error> {
    let (size, peer) = (peer.size, *peer);
    if size > own.size() {
        return Ok(Relation::Ahead(Ahead { own: own.head()?, peer }));
    }
    let (own_root, theirs) = (own.root_at(size)?, root_of(&peer));
    if own_root == theirs {
        return Ok(if size == own.size() { Relation::Equal } else { Relation::Behind });
    }
    if size == 0 {
        return Ok(Relation::Malformed);
    }
    Ok(Relation::Forked(Forked { peer, size, own: own_root, theirs }))
}

impl Ahead {
    /// What the peer must answer.
    #[must_use]
    pub fn question(&self) -> Question {
        Question::Root(RootQuestion { size: self.own.size, of: self.peer.size })
    }

    /// Whether the peer's ledger parts from ours as it was when compared; none if it extends it.
    ///
    /// # Errors
    /// [`Unproven`]: undecided as before.
    pub fn handle_answer(&self, answer: &Answer) -> Result<Option<Forked>, Unproven> {
        let size = self.own.size;
        let theirs = answer.root(size, &self.peer)?;
        let own = root_of(&self.own);
        Ok((own != theirs).then_some(Forked { peer: self.peer, size, own, theirs }))
    }
}

impl Forked {
    /// The peer's head.
    #[must_use]
    pub fn peer(&self) -> &LedgerSummary {
        &self.peer
    }

    /// A size at which the roots differ.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Our root at this size.
    #[must_use]
    pub fn own(&self) -> LogHash {
        self.own
    }

    /// The peer's root at this size.
    #[must_use]
    pub fn theirs(&self) -> LogHash {
        self.theirs
    }
}

impl Answer {
    /// The proven root at `size` under `head`, if this is one.
    pub(super) fn root(&self, size: u64, head: &LedgerSummary) -> Result<LogHash, Unproven> {
        match self {
            Self::Root(answer) => Ok(answer.verify(size, head)?),
            Self::Refused(refusal) => Err(Unproven::Refused(*refusal)),
            Self::Header(_) | Self::Blocks(_) => Err(Unproven::OtherKind),
        }
    }
}
