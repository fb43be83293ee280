//! Byzantine-robust aggregation of deltas in exact integers.
//!
//! Every validator computes the aggregate alone and votes only for bit-identical ones, so there is no
//! float and one rounding an operation, always half-even:
//!
//! 1. **Gate**: shape and bounds of every contribution; nothing is cut to fit.
//! 2. **Staleness**: a delta whose base is s epochs old counts 2⁻ˢ.
//! 3. **Organisations**: an organisation's updates are averaged first. Robust rules count organisations,
//!    so nobody gains weight by running more sites.
//! 4. **Rule**: an exact fraction a gene ([`AggregationRule`]), over organisations in canonical order
//!    (by their least fingerprint).
//! 5. **Division**: once, after shifting the numerator to Q8.24 units.
//!
//! # Bounds
//! |δ| ≤ 2¹⁵ and at most n ≤ 2¹⁴ contributions, so |Σδ| ≤ 2²⁹ (2⁴⁵ with trust weights up to 2¹⁶, should the
//! mean ever have them). Nearest-neighbour mixing adds sums of sums: ≤ 2⁴³. All fit `i64` with room. A
//! squared distance is at most (2¹⁶)² · d ≤ 2⁵² for d ≤ 2²⁰ genes: it fits `u64`. The shift to Q8.24 adds up to
//! 30 bits and is done in `i128`.
//!
//! | rule | tolerates | precondition |
//! |---|---|---|
//! | mean | no liar | one organisation |
//! | median | fewer than half | one organisation |
//! | trimmed mean | `trim` | 2 · trim < organisations |
//! | NNM, then trimmed mean | `trim` | 2 · trim < organisations |

mod mean;
mod median;
mod nearest;
mod organisation;
mod trimmed_mean;

#[cfg(test)]
mod tests;

use std::num::NonZeroU64;

use federation_proto::entry::AggregationRule;
use federation_proto::{Name, NodeFingerprint};
use rayon::prelude::*;
use thiserror::Error;

use crate::delta::{DeltaError, check_coordinates};
use crate::genome::GenomeSchema;
use crate::rounding::divide;
use organisation::organisations;

/// Most contributions that are aggregated at once; the bounds of the sums rest on it.
pub const MAX_CONTRIBUTIONS: usize = 1 << 14;

/// One aligned update, as the rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Contribution<'a> {
    /// Who made it. A node contributes once.
    pub node_fingerprint: NodeFingerprint,
    /// Organisation of the node, from the roster.
    pub organisation: &'a Name,
    /// Epochs between its base and the epoch.
    pub staleness: u8,
    /// The delta, in steps of the genes' scale blocks.
    pub coordinates: &'a [i16],
}

/// Why nothing is aggregated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AggregationError {
    /// There is nothing to aggregate.
    #[error("no contribution: at least 1 is needed")]
    Empty,
    /// More contributions than the bounds allow.
    #[error("{found} contributions, the limit is {limit}")]
    TooMany {
        /// Contributions given.
        found: usize,
        /// [`MAX_CONTRIBUTIONS`].
        limit: usize,
    },
    /// A node stands there twice.
    #[error("node {0} contributes twice")]
    RepeatedNode(NodeFingerprint),
    /// A contribution is no delta of the schema.
    #[error("contribution of node {node}: {cause}")]
    Input {
        /// Who made it.
        node: NodeFingerprint,
        /// What is wrong with it.
        cause: DeltaError,
    },
    /// The rule cuts everything away.
    #[error("2 * trim({trim}) must be < organisations({organisations})")]
    Trim {
        /// Values cut at each end.
        trim: u16,
        /// Organisations that contribute.
        organisations: usize,
    },
    /// An aggregate that does not fit Q8.24. The gate makes this impossible; it is checked all the same.
    #[error("gene {gene}: aggregated change {change} does not fit Q8.24")]
    Overflow {
        /// Index of the gene.
        gene: usize,
        /// The change in Q8.24 units.
        change: i128,
    },
}

/// A vector of exact fractions with one denominator, in steps of the genes' scale blocks.
struct Fractions {
    numerators: Vec<i64>,
    denominator: NonZeroU64,
}

/// The aggregated change of every gene in Q8.24, the same bits on every machine, for every order of
/// `aligned` and every number of threads.
///
/// # Errors
/// Any variant of [`AggregationError`].
pub fn aggregate_meta_updates(
    schema: &GenomeSchema,
    rule: AggregationRule,
    aligned: &[Contribution<'_>],
) -> Result<Vec<i32>, AggregationError> {
    check_inputs(schema, aligned)?;
    let rows = organisations(aligned);
    check_rule(rule, rows.len())?;
    let fractions = match rule {
        AggregationRule::Mean => mean::mean(&rows),
        AggregationRule::Median => median::median(&rows),
        AggregationRule::TrimmedMean { trim } => trimmed_mean::trimmed_mean(&rows, trim.into()),
        AggregationRule::NnmTrimmedMean { trim } => nearest::nnm_trimmed_mean(&rows, trim.into()),
    };
    to_q824(schema, &fractions)
}

fn check_inputs(
    schema: &GenomeSchema,
    aligned: &[Contribution<'_>],
) -> Result<(), AggregationError> {
    let (found, limit) = (aligned.len(), MAX_CONTRIBUTIONS);
    if found == 0 {
        return Err(AggregationError::Empty);
    }
    if found > limit {
        return Err(AggregationError::TooMany { found, limit });
    }
    let mut nodes: Vec<_> = aligned.iter().map(|one| one.node_fingerprint).collect();
    nodes.sort_unstable();
    let twice = nodes.windows(2).find_map(|pair| match pair {
        [a, b] if a == b => Some(*a),
        _ => None,
    });
    if let Some(node) = twice {
        return Err(AggregationError::RepeatedNode(node));
    }
    // The error that is reported must not depend on the order of the input either.
    let faults = aligned.iter().filter_map(|one| {
        let node = one.node_fingerprint;
        check_coordinates(schema, one.coordinates).err().map(|cause| (node, cause))
    });
    match faults.min_by_key(|(node, _)| *node) {
        Some((node, cause)) => Err(AggregationError::Input { node, cause }),
        None => Ok(()),
    }
}

fn check_rule(rule: AggregationRule, organisations: usize) -> Result<(), AggregationError> {
    match rule {
        AggregationRule::Mean | AggregationRule::Median => Ok(()),
        AggregationRule::TrimmedMean { trim } | AggregationRule::NnmTrimmedMean { trim } => {
            if 2 * usize::from(trim) < organisations {
                Ok(())
            } else {
                Err(AggregationError::Trim { trim, organisations })
            }
        }
    }
}

/// Shifts the numerators to Q8.24 units, then divides: the only place where an aggregate is rounded.
fn to_q824(schema: &GenomeSchema, fractions: &Fractions) -> Result<Vec<i32>, AggregationError> {
    let changes = fractions.numerators.iter().enumerate().map(|(gene, &numerator)| {
        let scale = schema.scale_log2(gene).unwrap_or(0);
        // Invariant: |numerator| <= 2^43 and the scale at most 2^30: 2^73 fits i128.
        let change = divide(i128::from(numerator) << scale, fractions.denominator);
        // Invariant: the gate keeps every coordinate's expansion within i32, and an average (staleness
        // only shrinks) lies between the least and the greatest of what it averages.
        i32::try_from(change).map_err(|_| AggregationError::Overflow { gene, change })
    });
    changes.collect()
}

/// Applies `reduce` to the values of every gene, sorted, in parallel; the order of genes is kept.
fn per_gene(rows: &[Vec<i64>], reduce: impl Fn(&[i64]) -> i64 + Sync) -> Vec<i64> {
    let genes = rows.first().map_or(0, Vec::len);
    let column = |gene: usize| {
        let mut values: Vec<i64> = rows.iter().filter_map(|row| row.get(gene).copied()).collect();
        values.sort_unstable();
        reduce(&values)
    };
    (0..genes).into_par_iter().map(column).collect()
}

/// A count as a denominator. Invariant: the preconditions leave at least one value.
fn denominator(count: usize) -> NonZeroU64 {
    NonZeroU64::new(count as u64).unwrap_or(NonZeroU64::MIN)
}
