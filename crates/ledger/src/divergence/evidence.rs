//! From verified heartbeats to evidence that convicts their author before anybody. What convicts is
//! decided in [`federation_proto::evidence`]; here nothing is offered that it would refuse.

use federation_proto::evidence::Evidence;
use federation_proto::heartbeat::Heartbeat;
use federation_proto::{Digest, Verified};

use super::{OwnLog, head_of, summary};
use crate::checkpoint::VerifiedCheckpoint;
use crate::merkle::subtrees::Subtrees;

/// Evidence that one node told two stories; none if both can be true.
#[must_use]
pub fn conflicting(first: &Verified<Heartbeat>, second: &Verified<Heartbeat>) -> Option<Evidence> {
    first.contradicts(second).then(|| Evidence::ConflictingHeartbeats {
        first: first.as_signed().clone(),
        second: second.as_signed().clone(),
    })
}

/// Evidence that a node holds another ledger than the certified one; none if it holds that one, or
/// if no root of its size is certified (yet). `certified_root` gives the certified root of a size:
/// [`certified_root`], say.
#[must_use]
pub fn divergent(
    heartbeat: &Verified<Heartbeat>,
    certified_root: impl Fn(u64) -> Option<Digest>,
) -> Option<Evidence> {
    let root = certified_root(heartbeat.ledger.size)?;
    (heartbeat.ledger.root != root)
        .then(|| Evidence::DivergentHeartbeat(heartbeat.as_signed().clone()))
}

/// The root of the first `size` blocks that a checkpoint certifies by its own root; none above it,
/// and none that our own store does not prove against the checkpoint: a damaged store may agree with
/// it at its size and at no other, and must accuse nobody.
///
/// # Errors
/// Our own store has a subtree missing.
pub fn certified_root<S: Subtrees>(
    own: &OwnLog<'_, S>,
    certified: &VerifiedCheckpoint,
    size: u64,
) -> Result<Option<Digest>, S::Error> {
    let head = head_of(certified.checkpoint());
    if size > head.size || head.size > own.size() {
        return Ok(None);
    }
    let proven = own.prefix(size, head.size)?.verify(size, &head);
    Ok(proven.ok().map(|root| summary(size, root).root))
}
