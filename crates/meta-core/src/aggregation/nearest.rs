//! Nearest-neighbour mixing, then the trimmed mean [Allouah et al., AISTATS '23].
//!
//! Every vector is replaced by the average of the n − f vectors nearest to it (itself among them), which
//! draws liars towards the honest ones before coordinates are trimmed. The averages stay unnormalised
//! sums, so the whole rule has one division, by (n − f)(n − 2f).
//!
//! Distances are squared Euclidean distances in steps: the scale blocks make genes of different
//! magnitude comparable. Ties go to the lower fingerprint. Time is O(n² · d).

use std::num::NonZeroU64;

use rayon::prelude::*;

use super::{Fractions, denominator, trimmed_mean};

/// Precondition, checked by the caller: 2 · trim < rows.
pub(super) fn nnm_trimmed_mean(rows: &[Vec<i64>], trim: usize) -> Fractions {
    let neighbours = rows.len().saturating_sub(trim);
    let mixed: Vec<Vec<i64>> =
        rows.par_iter().map(|centre| neighbour_sum(rows, centre, neighbours)).collect();
    let trimmed = trimmed_mean::trimmed_mean(&mixed, trim);
    // Invariant: both factors are at most 2^14.
    let product = trimmed.denominator.get() * denominator(neighbours).get();
    Fractions {
        numerators: trimmed.numerators,
        denominator: NonZeroU64::new(product).unwrap_or(NonZeroU64::MIN),
    }
}

/// Sum of the `count` rows nearest to `centre`. Rows stand in the order of fingerprints, so the index
/// breaks ties.
fn neighbour_sum(rows: &[Vec<i64>], centre: &[i64], count: usize) -> Vec<i64> {
    let mut nearest: Vec<(u64, usize)> = rows
        .iter()
        .enumerate()
        .map(|(index, row)| (squared_distance(centre, row), index))
        .collect();
    nearest.sort_unstable();
    let mut sum = vec![0_i64; centre.len()];
    for row in nearest.iter().take(count).filter_map(|&(_, index)| rows.get(index)) {
        for (total, value) in sum.iter_mut().zip(row) {
            // Invariant: |value| <= 2^15 and at most 2^14 rows: |total| <= 2^29.
            *total += value;
        }
    }
    sum
}

/// Invariant: a difference is at most 2^16, its square 2^32; 2^20 genes give 2^52.
fn squared_distance(a: &[i64], b: &[i64]) -> u64 {
    a.iter().zip(b).map(|(x, y)| x.abs_diff(*y)).map(|difference| difference * difference).sum()
}
