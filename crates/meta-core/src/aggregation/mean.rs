//! The arithmetic mean: exact, and at the mercy of a single liar. For federations without one.

use super::{Fractions, denominator};

pub(super) fn mean(rows: &[Vec<i64>]) -> Fractions {
    let mut numerators = vec![0_i64; rows.first().map_or(0, Vec::len)];
    for row in rows {
        for (sum, value) in numerators.iter_mut().zip(row) {
            // Invariant: |value| <= 2^15 and at most 2^14 rows: |sum| <= 2^29.
            *sum += value;
        }
    }
    Fractions { numerators, denominator: denominator(rows.len()) }
}
