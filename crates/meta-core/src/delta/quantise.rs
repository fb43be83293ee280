//! From a change of genomes to `i16` steps and back.

use federation_proto::Digest;

use super::DeltaError;
use crate::genome::{Genome, GenomeSchema};
use crate::rounding::shift_right;

/// What quantisation left over, Q8.24, at most half a step a gene. It never leaves the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Residual {
    values: Vec<i32>,
}

impl Residual {
    /// Nothing left over: before a site's first cycle, and after a rollback took the base away.
    #[must_use]
    pub fn none(schema: &GenomeSchema) -> Self {
        Self { values: vec![0; schema.dimension()] }
    }

    /// The left-over of every gene, Q8.24.
    #[must_use]
    pub fn values(&self) -> &[i32] {
        &self.values
    }
}

/// The change from `base` to `target` in steps, with what the last cycle left over put back in, and
/// what is left over now. Rounds half-even.
///
/// # Errors
/// [`DeltaError::Schema`] for a genome of another schema, [`DeltaError::Length`] for a residual of
/// another one, [`DeltaError::OutOfRange`] for a change that does not fit; the residual is then unused.
pub fn quantise(
    schema: &GenomeSchema,
    base: &Genome,
    target: &Genome,
    residual: &Residual,
) -> Result<(Vec<i16>, Residual), DeltaError> {
    for genome in [base, target] {
        if !genome.belongs_to(schema) {
            return Err(DeltaError::Schema {
                expected: Digest::from_bytes(schema.digest()),
                found: Digest::from_bytes(genome.schema_digest()),
            });
        }
    }
    let (expected, found) = (schema.dimension(), residual.values.len());
    if found != expected {
        return Err(DeltaError::Length { expected, found });
    }
    let mut coordinates = Vec::with_capacity(expected);
    let mut left = Vec::with_capacity(expected);
    let genes = base.values().iter().zip(target.values());
    for (gene, ((&from, &to), &carried)) in genes.zip(&residual.values).enumerate() {
        let scale = scale_of(schema, gene);
        // Invariant: three i32 sum to less than 2^34 in magnitude.
        let change = i64::from(to) - i64::from(from) + i64::from(carried);
        let coordinate = check_range(schema, gene, shift_right(change, scale))?;
        coordinates.push(coordinate);
        // Invariant: rounding to the nearest step leaves at most half a step, 2^(scale-1) <= 2^29.
        left.push((change - (i64::from(coordinate) << scale)) as i32);
    }
    Ok((coordinates, Residual { values: left }))
}

/// The change in Q8.24 that a coordinate stands for. Exact: |coordinate| ≤ 2¹⁵ and a scale is at most
/// 2³⁰, so |result| ≤ 2⁴⁵.
#[must_use]
pub const fn expand(coordinate: i16, scale_log2: u8) -> i64 {
    (coordinate as i64) << scale_log2
}

/// Most steps, either way, that a coordinate of this gene may have; `None` when there is no such gene.
///
/// Two legal genomes differ by at most the gene's range. The residual put back in and the rounding add
/// at most half a step each. The result is cut so that it fits `i16`, and its expansion `i32`: every
/// average of accepted changes then fits the `i32` of an aggregate.
#[must_use]
pub fn coordinate_limit(schema: &GenomeSchema, gene: usize) -> Option<i64> {
    let (spec, scale) = (schema.genes().get(gene)?, schema.scale_log2(gene)?);
    let range = i64::from(spec.max) - i64::from(spec.min);
    let steps = (range >> scale) + 1;
    Some(steps.min(i64::from(i16::MAX)).min(i64::from(i32::MAX) >> scale))
}

/// The coordinate as `i16`, if the gene may change by it.
pub(super) fn check_range(
    schema: &GenomeSchema,
    gene: usize,
    coordinate: i64,
) -> Result<i16, DeltaError> {
    let limit = coordinate_limit(schema, gene).unwrap_or(0);
    match i16::try_from(coordinate) {
        Ok(fits) if coordinate.abs() <= limit => Ok(fits),
        _ => Err(DeltaError::OutOfRange {
            gene: schema.genes().get(gene).map_or_else(String::new, |spec| spec.name.clone()),
            coordinate,
            limit,
        }),
    }
}

fn scale_of(schema: &GenomeSchema, gene: usize) -> u32 {
    // Invariant: a validated schema gives every gene a block; callers walk its genes only.
    u32::from(schema.scale_log2(gene).unwrap_or(0))
}
