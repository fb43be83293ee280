//! `federated_meta_cycle`: one epoch, from the global state to the next one at every node.

use std::collections::BTreeMap;

use consensus_pbft::Committee;
use federation_proto::entry::{AggregatedUpdate, ApplySignoff, EpochOpened};
use federation_proto::genesis::Roster;
use federation_proto::{Digest, FederatedEpoch, Generation, NodeFingerprint, SessionId};
use rayon::prelude::*;
use thiserror::Error;

use super::conclude::{ConcludeError, conclude_epoch};
use super::config::ValidFederationConfig;
use super::ordering::{ApprovedAggregate, DecisionError, OrderingError};
use super::{FederatedNode, OrderingPort, SubmittedUpdate};
use crate::alignment::{
    AcceptedUpdate, Alignment, AlignmentRules, SessionBinding, UpdateContext,
    dynamic_node_alignment,
};
use crate::meta_state::{ApplyError, MetaState};

/// What a cycle is measured by: the configuration, and what the ledger said before this epoch.
#[derive(Clone, Copy, Debug)]
pub struct Federation<'a> {
    /// The agreed settings.
    pub config: &'a ValidFederationConfig,
    /// Who takes part.
    pub roster: &'a Roster,
    /// Who certifies.
    pub committee: &'a Committee,
    /// Every session of the ledger.
    pub sessions: &'a BTreeMap<SessionId, SessionBinding>,
    /// States that were bases of earlier epochs of this generation, with the last such epoch.
    pub bases: &'a BTreeMap<Digest, FederatedEpoch>,
    /// What every node last contributed in this generation.
    pub accepted: &'a BTreeMap<NodeFingerprint, AcceptedUpdate>,
}

/// A node that took no part, or did not follow, and why. The others are not held up by it.
#[derive(Debug)]
pub struct NodeFailure<E> {
    /// Which node.
    pub node_fingerprint: NodeFingerprint,
    /// Why.
    pub error: E,
}

/// A completed epoch.
#[derive(Debug)]
pub struct FederatedCycle<E> {
    /// The epoch.
    pub opened: EpochOpened,
    /// What was taken and left, with the evidence found.
    pub alignment: Alignment,
    /// The decided result, bit-identical to the one computed here.
    pub aggregated: AggregatedUpdate,
    /// Who let it take effect.
    pub signoff: ApplySignoff,
    /// The state after it.
    pub state: MetaState,
    /// Nodes that brought no update.
    pub absent: Vec<NodeFailure<E>>,
    /// Nodes that could not apply the result: they must not go on before they are repaired.
    pub not_applied: Vec<NodeFailure<E>>,
}

/// Why a cycle did not complete. No node's state has moved.
#[derive(Debug, Error)]
pub enum CycleError<P: std::error::Error + 'static> {
    /// The ledger could not open, order or decide.
    #[error("ledger: {0}")]
    Port(#[source] P),
    /// The open epoch starts from another state than the global one.
    #[error("epoch {epoch} starts from state {announced}, the global state is {global}")]
    BaseState {
        /// The open epoch.
        epoch: FederatedEpoch,
        /// Base of the open epoch.
        announced: Digest,
        /// Hash of the global state.
        global: Digest,
    },
    /// The open epoch is of another generation, or not past the global state.
    #[error(
        "epoch {epoch} of generation {generation} cannot follow state of epoch {state_epoch}, generation {state_generation}"
    )]
    Epoch {
        /// The open epoch.
        epoch: FederatedEpoch,
        /// Its generation.
        generation: Generation,
        /// Epoch of the global state.
        state_epoch: FederatedEpoch,
        /// Generation of the global state.
        state_generation: Generation,
    },
    /// What was ordered is not proven.
    #[error(transparent)]
    Ordering(#[from] OrderingError),
    /// The epoch has no result.
    #[error(transparent)]
    Conclude(#[from] ConcludeError),
    /// What was decided is not proven, not ours, or not signed off.
    #[error(transparent)]
    Decision(#[from] DecisionError),
    /// The decided aggregate does not lead on from the global state.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// Runs one epoch (row B1): load the global state and run local cycles in parallel, commit the updates to
/// the ledger, and only then align and aggregate them; have the result decided and signed off; compare;
/// apply at every node.
///
/// # Errors
/// Any variant of [`CycleError`]; then no state has moved. Single nodes that fail are in the result.
pub fn federated_meta_cycle<N: FederatedNode, P: OrderingPort>(
    federation: &Federation<'_>,
    nodes: &mut [N],
    global: &MetaState,
    port: &mut P,
) -> Result<FederatedCycle<N::Error>, CycleError<P::Error>> {
    let schema = federation.config.schema();
    let opened = port.open_epoch().map_err(CycleError::Port)?;
    check_base(&opened, global)?;
    let (updates, absent) = local_cycles(nodes, global, opened.federated_epoch);

    let ordered = port.commit(updates).map_err(CycleError::Port)?;
    let context = federation.update_context();
    let epoch = ordered.verify(&opened, federation.committee, &context)?;
    let cut = epoch.cut_position();
    let rules = federation.alignment_rules(&opened);
    let alignment = dynamic_node_alignment(&rules, epoch.into_updates());
    let rule = federation.config.rule();
    let own = conclude_epoch(schema, rule, opened.federated_epoch, global, &alignment)?;

    let decision = port.decide(&own).map_err(CycleError::Port)?;
    let approved = decision.verify(&own, cut, federation.committee)?;
    let state = global.apply_update(schema, approved.aggregated())?;
    let not_applied = apply_everywhere(nodes, &approved);
    Ok(FederatedCycle {
        opened,
        alignment,
        aggregated: approved.aggregated().clone(),
        signoff: approved.signoff().clone(),
        state,
        absent,
        not_applied,
    })
}

impl<'a> Federation<'a> {
    fn update_context(&self) -> UpdateContext<'a> {
        UpdateContext {
            roster: self.roster,
            signing: self.committee.context(),
            sessions: self.sessions,
            schema: self.config.schema(),
        }
    }

    fn alignment_rules(&self, opened: &EpochOpened) -> AlignmentRules {
        let mut bases = self.bases.clone();
        bases.insert(opened.base_state_hash, opened.federated_epoch);
        AlignmentRules {
            epoch: opened.federated_epoch,
            generation: opened.generation,
            bases,
            accepted: self.accepted.clone(),
            max_staleness: self.config.max_staleness(),
        }
    }
}

fn check_base<P: std::error::Error>(
    opened: &EpochOpened,
    global: &MetaState,
) -> Result<(), CycleError<P>> {
    let (epoch, generation) = (opened.federated_epoch, opened.generation);
    let (state_epoch, state_generation) = (global.federated_epoch(), global.generation());
    if generation != state_generation || epoch <= state_epoch {
        return Err(CycleError::Epoch { epoch, generation, state_epoch, state_generation });
    }
    let (announced, global) = (opened.base_state_hash, global.hash());
    if announced != global {
        return Err(CycleError::BaseState { epoch, announced, global });
    }
    Ok(())
}

/// Local cycles in parallel. Results keep the order of the nodes, whatever the number of threads.
fn local_cycles<N: FederatedNode>(
    nodes: &mut [N],
    global: &MetaState,
    epoch: FederatedEpoch,
) -> (Vec<SubmittedUpdate>, Vec<NodeFailure<N::Error>>) {
    let cycle = |node: &mut N| {
        let update = node
            .load_meta(global)
            .and_then(|()| node.run_local_mec_cycle(epoch))
            .and_then(|()| node.meta_update());
        let node_fingerprint = node.node_fingerprint();
        update.map_err(|error| NodeFailure { node_fingerprint, error })
    };
    let results: Vec<_> = nodes.par_iter_mut().map(cycle).collect();
    let (mut updates, mut absent) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(update) => updates.push(update),
            Err(failure) => absent.push(failure),
        }
    }
    (updates, absent)
}

fn apply_everywhere<N: FederatedNode>(
    nodes: &mut [N],
    approved: &ApprovedAggregate,
) -> Vec<NodeFailure<N::Error>> {
    let apply = |node: &mut N| {
        let node_fingerprint = node.node_fingerprint();
        node.apply(approved).err().map(|error| NodeFailure { node_fingerprint, error })
    };
    let failures: Vec<_> = nodes.par_iter_mut().map(apply).collect();
    failures.into_iter().flatten().collect()
}
