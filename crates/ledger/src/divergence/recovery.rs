//! When to halt, and what to restore.
//!
//! One checkpoint against our own store decides about our store alone. Two checkpoints of one size
//! decide about the quorum. Two of different sizes decide nothing by themselves: a consistency
//! proof between them that fails may be a bad proof. Only the proven root of the larger one at the
//! smaller one's size decides, one way or the other ([`Conflict::between`]).

use std::collections::BTreeSet;

use federation_proto::keys::{LogCheckpoint, PublicKey};
use thiserror::Error;

use super::messages::RootAnswer;
use super::{OwnLog, head_of};
use crate::checkpoint::VerifiedCheckpoint;
use crate::merkle::LogHash;
use crate::merkle::subtrees::Subtrees;
use crate::merkle::verify::ProofError;

/// How our own store stands to a certified checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It has the certified root at that size.
    Agrees,
    /// It is shorter: undecided. [`CatchUp`](super::CatchUp) decides with its first answer.
    Behind,
    /// It has another root: halt, and restore from [`rollback_point`].
    Contradicted(Contradiction),
}

/// Our own store has another history than a quorum certified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("our own root at size {size} is {own}, certified is {certified}")]
pub struct Contradiction {
    /// Size at which they differ.
    pub size: u64,
    /// Our root.
    pub own: LogHash,
    /// The root that the certified checkpoint has, or commits to, at this size.
    pub certified: LogHash,
}

/// Two checkpoints that a quorum certified and that cannot be of one history: more validators than
/// the federation can bear are faulty, and everything halts. Only [`Conflict::between`] makes one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "checkpoints of sizes {} and {} are of different histories, {} keys signed both",
    smaller.checkpoint().size(), larger.checkpoint().size(), equivocators.len()
)]
pub struct Conflict {
    smaller: VerifiedCheckpoint,
    larger: VerifiedCheckpoint,
    prefix: RootAnswer,
    equivocators: BTreeSet<PublicKey<LogCheckpoint>>,
}

/// Where local recovery begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum RollbackPoint<'a> {
    /// Our own blocks up to this anchor are the certified ones: keep them, and catch up from there.
    Cut(&'a VerifiedCheckpoint),
    /// Our own blocks are worth nothing: take frontier and snapshot from this anchor alone.
    Alone(&'a VerifiedCheckpoint),
    /// There is no anchor: catch up from no blocks at all.
    Genesis,
}

/// How our own store stands to a certified checkpoint of our log.
///
/// # Errors
/// Our own store has a subtree missing.
pub fn self_check<S: Subtrees>(
    own: &OwnLog<'_, S>,
    certified: &VerifiedCheckpoint,
) -> Result<Verdict, S::Error> {
    let (size, certified) = (certified.checkpoint().size(), certified.checkpoint().root());
    if size > own.size() {
        return Ok(Verdict::Behind);
    }
    let own = own.root_at(size)?;
    if own == certified {
        return Ok(Verdict::Agrees);
    }
    Ok(Verdict::Contradicted(Contradiction { size, own, certified }))
}

/// The conflict of two checkpoints of one size; none if they agree, or if their sizes or logs
/// differ.
#[must_use]
pub fn conflict(a: &VerifiedCheckpoint, b: &VerifiedCheckpoint) -> Option<Conflict> {
    // Between equal sizes the proof is empty, and refused where they are not equal.
    let itself = RootAnswer { root: b.checkpoint().root(), proof: Vec::new() };
    let equal = a.checkpoint().size() == b.checkpoint().size();
    equal.then(|| Conflict::between(a, b, &itself).ok().flatten()).flatten()
}

impl Conflict {
    /// The conflict of two checkpoints, where `prefix` is the root that the larger one has at the
    /// size of the smaller one. None if that is the smaller one's root, or if the two are of
    /// different logs.
    ///
    /// # Errors
    /// [`ProofError`]: `prefix` is not proven, so nothing is decided.
    pub fn between(
        a: &VerifiedCheckpoint,
        b: &VerifiedCheckpoint,
        prefix: &RootAnswer,
    ) -> Result<Option<Self>, ProofError> {
        let (smaller, larger) =
            if a.checkpoint().size() <= b.checkpoint().size() { (a, b) } else { (b, a) };
        let (small, large) = (smaller.checkpoint(), larger.checkpoint());
        if small.origin() != large.origin() {
            return Ok(None);
        }
        let root = prefix.verify(small.size(), &head_of(large))?;
        Ok((root != small.root()).then(|| Self {
            smaller: smaller.clone(),
            larger: larger.clone(),
            prefix: prefix.clone(),
            equivocators: smaller.signers().intersection(larger.signers()).copied().collect(),
        }))
    }

    /// The checkpoint of fewer blocks.
    #[must_use]
    pub fn smaller(&self) -> &VerifiedCheckpoint {
        &self.smaller
    }

    /// The checkpoint of more blocks, or of as many.
    #[must_use]
    pub fn larger(&self) -> &VerifiedCheckpoint {
        &self.larger
    }

    /// The root that the larger one has at the size of the smaller one, proven.
    #[must_use]
    pub fn prefix(&self) -> &RootAnswer {
        &self.prefix
    }

    /// Who signed both, and so two histories. Two quorums of one committee share more validators
    /// than can be faulty in it, so this is never empty then.
    #[must_use]
    pub fn equivocators(&self) -> &BTreeSet<PublicKey<LogCheckpoint>> {
        &self.equivocators
    }
}

/// Where to begin after our own store contradicted `certified`: at the newest of our verified
/// `anchors`, in any order, up to which the store contradicts nothing that we know to be certified.
///
/// A subtree that cannot be read is not agreement: the worst that follows is more to catch up.
/// Roots say which blocks the store must have; that it has them undamaged, it checks as it reads
/// them.
///
/// # Errors
/// [`Conflict`]: the checkpoints contradict each other, as they are or because our own store proves
/// it. Restore nothing then.
pub fn rollback_point<'a, S: Subtrees>(
    own: &OwnLog<'_, S>,
    anchors: &'a [VerifiedCheckpoint],
    certified: &VerifiedCheckpoint,
) -> Result<RollbackPoint<'a>, Box<Conflict>> {
    let mut known: Vec<_> = anchors.iter().chain([certified]).collect();
    known.sort_by_key(|known| (known.checkpoint().size(), known.checkpoint().root()));
    let pairs = known.iter().zip(known.iter().skip(1));
    if let Some(conflict) = pairs.into_iter().find_map(|(a, b)| conflict(a, b)) {
        return Err(Box::new(conflict));
    }
    let mut contradicted: Option<&VerifiedCheckpoint> = None;
    for known in known {
        match (self_check(own, known), contradicted) {
            (Ok(Verdict::Contradicted(_)), None) => contradicted = Some(known),
            (Ok(Verdict::Agrees), Some(smaller)) => bridge(own, smaller, known)?,
            _ => {}
        }
    }
    let limit = contradicted.map_or(u64::MAX, |contradicted| contradicted.checkpoint().size());
    let size = |anchor: &&VerifiedCheckpoint| anchor.checkpoint().size();
    let agreed = anchors.iter().filter(|anchor| {
        size(anchor) < limit && matches!(self_check(own, anchor), Ok(Verdict::Agrees))
    });
    Ok(match (agreed.max_by_key(size), anchors.iter().max_by_key(size)) {
        (Some(anchor), _) => RollbackPoint::Cut(anchor),
        (None, Some(newest)) => RollbackPoint::Alone(newest),
        (None, None) => RollbackPoint::Genesis,
    })
}

/// Our store contradicts the smaller checkpoint and agrees with the larger. If it is sound, it
/// proves that the two are of different histories; a damaged store proves nothing.
fn bridge<S: Subtrees>(
    own: &OwnLog<'_, S>,
    smaller: &VerifiedCheckpoint,
    larger: &VerifiedCheckpoint,
) -> Result<(), Box<Conflict>> {
    let prefix = own.prefix(smaller.checkpoint().size(), larger.checkpoint().size()).ok();
    let conflict = prefix.and_then(|prefix| Conflict::between(smaller, larger, &prefix).ok()?);
    conflict.map_or(Ok(()), |conflict| Err(Box::new(conflict)))
}
