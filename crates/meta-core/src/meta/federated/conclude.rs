//! From an alignment to the result of the epoch: what every validator computes before it votes.

use federation_proto::FederatedEpoch;
use federation_proto::entry::{AggregatedUpdate, AggregationRule};
use thiserror::Error;

use crate::aggregation::{AggregationError, aggregate_meta_updates};
use crate::alignment::Alignment;
use crate::genome::GenomeSchema;
use crate::meta_state::{ApplyError, MetaState};

/// Why an epoch has no result.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConcludeError {
    /// The aligned updates cannot be aggregated.
    #[error(transparent)]
    Aggregation(#[from] AggregationError),
    /// The aggregate does not lead on from the base.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// The result of an epoch, a pure function of its arguments: aggregate, then the state it leads to.
///
/// Where fewer organisations are aligned than the rule needs, the result is the null change: the epoch ends
/// with its record of what was left and why, and the genome stays. Otherwise one site that contradicts
/// itself in a small federation could hold an epoch for ever.
///
/// # Errors
/// [`ConcludeError`].
pub fn conclude_epoch(
    schema: &GenomeSchema,
    rule: AggregationRule,
    epoch: FederatedEpoch,
    base: &MetaState,
    alignment: &Alignment,
) -> Result<AggregatedUpdate, ConcludeError> {
    let delta = match aggregate_meta_updates(schema, rule, &alignment.contributions()) {
        Err(AggregationError::Empty | AggregationError::Trim { .. }) => vec![0; schema.dimension()],
        outcome => outcome?,
    };
    let next = base.preview(schema, epoch, &alignment.record, &delta)?;
    Ok(AggregatedUpdate {
        federated_epoch: epoch,
        generation: base.generation(),
        base_state_hash: base.hash(),
        alignment: alignment.record.clone(),
        rule,
        delta,
        new_state_hash: next.hash(),
    })
}
