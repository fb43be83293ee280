//! `dynamic_node_alignment`: which of the updates of a cut enter the aggregate, and why the others do not.
//!
//! A cut is closed by ledger position, so everybody aligns the same set. Each update carries its identity
//! (base, generation, session, cycle, previous update hash); alignment is a pure function of the set and
//! the rules, whatever the order in which the updates arrive. What an author did wrong is a
//! classification of that author's update, never an error of the epoch: one rotten payload must not hold
//! up the rest.
//!
//! The first reason that holds is recorded:
//!
//! | order | reason | when |
//! |---|---|---|
//! | 1 | `ConflictingHash` | one (node, generation, cycle) with two hashes, or a cycle that names another predecessor than the one that stands there: all of them are out, evidence is handed up |
//! | 2 | `Duplicate` | the same update stands at an earlier position, or was accepted in an earlier epoch |
//! | 3 | `IncompatibleSchema`, `InvalidPayload` | [`PayloadFault`] |
//! | 4 | `UnknownBase` | base, or generation, or epoch is none that is open or was |
//! | 5 | `Stale` | its base is more than `max_staleness` epochs old |
//! | 6 | `Superseded` | a later cycle of the node stands there: how the cache of a partitioned site reconciles |

mod record;
mod update;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use federation_proto::entry::{AlignedUpdate, AlignmentRecord, DiscardReason, DiscardedUpdate};
use federation_proto::{
    Cycle, Digest, FederatedEpoch, Generation, NodeFingerprint, Request, Signed,
};

pub use record::{CertifiedLog, CertifiedLogError, LedgerPosition, LedgerRecord, RecordError};
pub use update::{FederatedUpdate, PayloadFault, SessionBinding, UpdateContext, VerifyError};

use crate::aggregation::Contribution;

/// The last update of a node that entered an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedUpdate {
    /// Its cycle.
    pub cycle: Cycle,
    /// Its hash.
    pub update_hash: Digest,
}

/// What alignment measures updates by. All of it follows from the ledger before the cut.
#[derive(Clone, Debug, Default)]
pub struct AlignmentRules {
    /// The epoch that is aggregated.
    pub epoch: FederatedEpoch,
    /// The generation in force.
    pub generation: Generation,
    /// Every state that was an epoch's base in this generation, with the last epoch it was opened for.
    pub bases: BTreeMap<Digest, FederatedEpoch>,
    /// What every node last contributed in this generation: nothing is counted in two epochs.
    pub accepted: BTreeMap<NodeFingerprint, AcceptedUpdate>,
    /// Most epochs between base and epoch.
    pub max_staleness: u8,
}

/// An update that entered the alignment, with its weight 2^−staleness.
#[derive(Clone, Debug)]
pub struct AlignedNode {
    /// The update.
    pub update: FederatedUpdate,
    /// Epochs between its base and the epoch.
    pub staleness: u8,
}

/// Two requests of one node, each with its valid signature, that an honest node never both signs. Anybody
/// who knows the node's key can check it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equivocation {
    /// Who signed both.
    pub node_fingerprint: NodeFingerprint,
    /// The one ordered first.
    pub first: Signed<Request>,
    /// The one ordered later.
    pub second: Signed<Request>,
}

/// The outcome of [`dynamic_node_alignment`].
#[derive(Clone, Debug)]
pub struct Alignment {
    /// What was taken and left, sorted by update: at most one aligned update a node.
    pub record: AlignmentRecord,
    /// What was taken, in the order of the record.
    pub aligned: Vec<AlignedNode>,
    /// Proof of what was conflicting, in the order of nodes.
    pub equivocations: Vec<Equivocation>,
}

impl Alignment {
    /// What enters the aggregate.
    #[must_use]
    pub fn contributions(&self) -> Vec<Contribution<'_>> {
        // Invariant: an aligned update has content, or it would have been discarded for its fault.
        self.aligned.iter().filter_map(|node| node.update.contribution(node.staleness)).collect()
    }
}

/// Aligns the updates of a cut. The result does not depend on their order.
#[must_use]
pub fn dynamic_node_alignment(
    rules: &AlignmentRules,
    mut updates: Vec<FederatedUpdate>,
) -> Alignment {
    updates.sort_by_key(FederatedUpdate::position);
    // One entry of the ledger counts once, even when it is handed in twice.
    updates.dedup_by_key(|update| update.position());
    let mut by_node: BTreeMap<NodeFingerprint, Vec<FederatedUpdate>> = BTreeMap::new();
    for update in updates {
        by_node.entry(update.reference().node_fingerprint).or_default().push(update);
    }
    let mut alignment = Alignment {
        record: AlignmentRecord::default(),
        aligned: Vec::new(),
        equivocations: Vec::new(),
    };
    for (node, updates) in by_node {
        align_node(rules, node, updates, &mut alignment);
    }
    alignment.aligned.sort_by_key(|node| node.update.reference());
    alignment.record.aligned.sort_unstable();
    alignment.record.discarded.sort_unstable();
    alignment
}

/// Aligns one node's updates, which stand in ledger order.
fn align_node(
    rules: &AlignmentRules,
    node: NodeFingerprint,
    updates: Vec<FederatedUpdate>,
    alignment: &mut Alignment,
) {
    let conflicts = conflicts(&updates);
    for &(first, second) in &conflicts {
        if let (Some(first), Some(second)) = (updates.get(first), updates.get(second)) {
            alignment.equivocations.push(Equivocation {
                node_fingerprint: node,
                first: first.request().clone(),
                second: second.request().clone(),
            });
        }
    }
    let mut winner: Option<AlignedNode> = None;
    for update in classify(rules, &updates, &conflicts) {
        match update {
            Err(discarded) => alignment.record.discarded.push(discarded),
            Ok((index, staleness)) => {
                let Some(update) = updates.get(index).cloned() else { continue };
                let beaten = match &mut winner {
                    Some(best) if best.update.cycle() > update.cycle() => Some(update),
                    best => best.replace(AlignedNode { update, staleness }).map(|old| old.update),
                };
                alignment.record.discarded.extend(beaten.map(|beaten| DiscardedUpdate {
                    update: beaten.reference(),
                    reason: DiscardReason::Superseded,
                }));
            }
        }
    }
    if let Some(node) = winner {
        let (update, staleness) = (node.update.reference(), node.staleness);
        alignment.record.aligned.push(AlignedUpdate { update, staleness });
        alignment.aligned.push(node);
    }
}

/// Every update by itself: discarded, or its index and staleness.
fn classify(
    rules: &AlignmentRules,
    updates: &[FederatedUpdate],
    conflicts: &[(usize, usize)],
) -> Vec<Result<(usize, u8), DiscardedUpdate>> {
    let mut conflicting: Vec<Digest> = Vec::new();
    for index in conflicts.iter().flat_map(|&(first, second)| [first, second]) {
        conflicting.extend(updates.get(index).map(FederatedUpdate::update_hash));
    }
    let mut seen: BTreeMap<(Generation, Cycle), Digest> = BTreeMap::new();
    let verdict = |(index, update): (usize, &FederatedUpdate)| {
        let identity = (update.generation(), update.cycle());
        let repeated = seen.insert(identity, update.update_hash()).is_some();
        let verdict = if conflicting.contains(&update.update_hash()) {
            Err(DiscardReason::ConflictingHash)
        } else if repeated {
            Err(DiscardReason::Duplicate)
        } else {
            judge(rules, update)
        };
        let update = update.reference();
        verdict
            .map(|staleness| (index, staleness))
            .map_err(|reason| DiscardedUpdate { update, reason })
    };
    updates.iter().enumerate().map(verdict).collect()
}

/// One update against the rules and what was accepted before: its staleness, or the reason it is out.
fn judge(rules: &AlignmentRules, update: &FederatedUpdate) -> Result<u8, DiscardReason> {
    let accepted = rules
        .accepted
        .get(&update.reference().node_fingerprint)
        .filter(|_| update.generation() == rules.generation);
    if let Some(accepted) = accepted
        && accepted.cycle == update.cycle()
    {
        return Err(if accepted.update_hash == update.update_hash() {
            DiscardReason::Duplicate
        } else {
            DiscardReason::ConflictingHash
        });
    }
    if let Some(fault) = update.fault() {
        return Err(fault.reason());
    }
    let base = rules
        .bases
        .get(&update.base_state_hash())
        .filter(|_| update.generation() == rules.generation)
        .filter(|_| update.federated_epoch() <= rules.epoch)
        .ok_or(DiscardReason::UnknownBase)?;
    let age = rules.epoch.get().checked_sub(base.get()).ok_or(DiscardReason::UnknownBase)?;
    let staleness = u8::try_from(age)
        .ok()
        .filter(|staleness| *staleness <= rules.max_staleness)
        .ok_or(DiscardReason::Stale)?;
    match accepted {
        Some(accepted) if accepted.cycle > update.cycle() => Err(DiscardReason::Superseded),
        _ => Ok(staleness),
    }
}

/// Pairs of one node's updates (in ledger order) that contradict each other: two hashes of one cycle, or a
/// cycle that names another predecessor than the one that stands there.
fn conflicts(updates: &[FederatedUpdate]) -> Vec<(usize, usize)> {
    let mut cycles: BTreeMap<(Generation, Cycle), Vec<usize>> = BTreeMap::new();
    for (index, update) in updates.iter().enumerate() {
        cycles.entry((update.generation(), update.cycle())).or_default().push(index);
    }
    let hash = |index: usize| updates.get(index).map(FederatedUpdate::update_hash);
    let previous = |index: usize| updates.get(index).map(FederatedUpdate::previous_update);
    let mut pairs = Vec::new();
    for (&(generation, cycle), indices) in &cycles {
        let Some((&first, others)) = indices.split_first() else { continue };
        let other = |&&index: &&usize| hash(index) != hash(first);
        pairs.extend(others.iter().filter(other).map(|&index| (first, index)));
        let following = cycles.get(&(generation, cycle.next())).map_or(&[][..], Vec::as_slice);
        let broken = |&&index: &&usize| cycle < cycle.next() && previous(index) != hash(first);
        pairs.extend(
            following.iter().filter(broken).map(|&index| (first.min(index), first.max(index))),
        );
    }
    pairs
}
