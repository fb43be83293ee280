//! The result of an epoch, computed alone from the ordered entries and the blobs they name.
//!
//! Validators compute it before they vote, auditors to check what was voted: bit for bit the same.

use std::collections::{BTreeMap, BTreeSet};

use federation_proto::entry::{AggregatedUpdate, EpochCut, UpdateRef};
use federation_proto::{Digest, FederatedEpoch, NodeFingerprint, SessionId};
use ledger::Ledger;
use meta_core::alignment::{
    AcceptedUpdate, Alignment, AlignmentRules, FederatedUpdate, LedgerPosition, SessionBinding,
    UpdateContext, VerifyError, dynamic_node_alignment,
};
use meta_core::meta::federated::{ConcludeError, conclude_epoch};
use thiserror::Error;

use crate::machine::{MachineState, OrderedCommitment, Phase, Rules};

/// What an epoch's cut leads to.
#[derive(Debug)]
pub enum EpochResult {
    /// The aggregate, with the alignment that led to it.
    Aggregated(Box<AggregatedUpdate>, Box<Alignment>),
    /// Blobs that are not here.
    Missing(BTreeSet<Digest>),
    /// No cut waits for a result.
    NotInCut,
    /// The cut leads to no aggregate: the epoch is held.
    Unaggregatable(ResultError),
}

/// Why a cut leads to no aggregate.
#[derive(Debug, PartialEq, Error)]
pub enum ResultError {
    /// The updates do not aggregate, or the change does not fit the state.
    #[error(transparent)]
    Conclude(#[from] ConcludeError),
    /// A commitment that the state machine ordered does not verify.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A commitment that the state machine ordered is not on the ledger.
    #[error("commitment at height {0} is not on the ledger")]
    NotOnLedger(u64),
}

/// Computes the result of the cut that `state` stands in.
pub fn compute(
    rules: &Rules,
    ledger: &Ledger,
    state: &MachineState,
    blobs: &BTreeMap<Digest, Vec<u8>>,
) -> EpochResult {
    let Phase::Cut { cut, commitments, .. } = state.phase() else {
        return EpochResult::NotInCut;
    };
    let named = commitments.iter().map(|ordered| ordered.commitment.blob);
    let missing: BTreeSet<Digest> = named.filter(|blob| !blobs.contains_key(blob)).collect();
    if !missing.is_empty() {
        return EpochResult::Missing(missing);
    }
    match result(rules, ledger, state, cut, commitments, blobs) {
        Ok((aggregated, alignment)) => {
            EpochResult::Aggregated(Box::new(aggregated), Box::new(alignment))
        }
        Err(cause) => EpochResult::Unaggregatable(cause),
    }
}

fn result(
    rules: &Rules,
    ledger: &Ledger,
    state: &MachineState,
    cut: &EpochCut,
    commitments: &[OrderedCommitment],
    blobs: &BTreeMap<Digest, Vec<u8>>,
) -> Result<(AggregatedUpdate, Alignment), ResultError> {
    let sessions = session_bindings(state, ledger);
    let context = UpdateContext {
        roster: &rules.roster,
        signing: &rules.context,
        sessions: &sessions,
        schema: &rules.schema,
    };
    let mut updates = Vec::with_capacity(commitments.len());
    for ordered in commitments {
        let position = LedgerPosition { height: ordered.height, index: ordered.index };
        let block = ledger.block(position.height);
        let item = block.and_then(|block| block.batch.items.get(position.index as usize));
        let item = item.ok_or(ResultError::NotOnLedger(position.height.get()))?;
        let blob = blobs.get(&ordered.commitment.blob).map(Vec::as_slice).unwrap_or_default();
        updates.push(FederatedUpdate::from_own_ledger(blob, item, position, &context)?);
    }
    let alignment = dynamic_node_alignment(&alignment_rules(rules, state, cut), updates);
    let epoch = cut.federated_epoch;
    let aggregated =
        conclude_epoch(&rules.schema, rules.policy.rule(), epoch, state.meta(), &alignment)?;
    Ok((aggregated, alignment))
}

/// What the cut's updates are aligned by.
pub fn alignment_rules(rules: &Rules, state: &MachineState, cut: &EpochCut) -> AlignmentRules {
    AlignmentRules {
        epoch: cut.federated_epoch,
        generation: cut.generation,
        bases: epoch_bases(state),
        accepted: accepted_updates(state),
        max_staleness: rules.policy.document().aggregation.max_staleness,
    }
}

/// Every state that an epoch of this generation started from, with that epoch.
pub fn epoch_bases(state: &MachineState) -> BTreeMap<Digest, FederatedEpoch> {
    state.bases().iter().map(|base| (base.hash, base.epoch)).collect()
}

/// What every node last contributed in this generation.
pub fn accepted_updates(state: &MachineState) -> BTreeMap<NodeFingerprint, AcceptedUpdate> {
    let accepted = |(node, update): (&NodeFingerprint, &UpdateRef)| {
        let UpdateRef { cycle, update_hash, .. } = *update;
        (*node, AcceptedUpdate { cycle, update_hash })
    };
    state.accepted().iter().map(accepted).collect()
}

/// Every session of the ledger with the block that opened it.
pub fn session_bindings(
    state: &MachineState,
    ledger: &Ledger,
) -> BTreeMap<SessionId, SessionBinding> {
    let binding = |(id, session): (&SessionId, &crate::machine::Session)| {
        let block = ledger.block(session.height)?;
        let ledger_block_id = block.header.id();
        Some((*id, SessionBinding { node_fingerprint: session.node, ledger_block_id }))
    };
    state.sessions().iter().filter_map(binding).collect()
}
