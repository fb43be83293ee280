//! Coordinate-wise trimmed mean [Yin et al., ICML '18]: without the `trim` least and greatest values.
//!
//! With at most `trim` liars every value that is left has an honest value on either side (or is one), so
//! the result lies between the least and the greatest honest value of each gene.

use super::{Fractions, denominator, per_gene};

/// Precondition, checked by the caller: 2 · trim < rows.
pub(super) fn trimmed_mean(rows: &[Vec<i64>], trim: usize) -> Fractions {
    let kept = rows.len().saturating_sub(2 * trim);
    let numerators = per_gene(rows, |sorted| {
        // Invariant: |value| <= 2^29 (a neighbour sum) and at most 2^14 rows: |sum| <= 2^43.
        sorted.iter().skip(trim).take(kept).sum()
    });
    Fractions { numerators, denominator: denominator(kept) }
}
