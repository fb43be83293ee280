//! Coordinate-wise median [Yin et al., ICML '18]. An even number of values has two middles: their
//! average, rounded half-even only once, in Q8.24 units.

use super::{Fractions, denominator, per_gene};

pub(super) fn median(rows: &[Vec<i64>]) -> Fractions {
    let count = rows.len();
    // The middle positions: the same one twice when the count is odd.
    let (low, high) = (count.saturating_sub(1) / 2, count / 2);
    let width = 1 + high - low;
    let numerators = per_gene(rows, |sorted| {
        // Invariant: at most two values of at most 2^15.
        sorted.iter().skip(low).take(width).sum()
    });
    Fractions { numerators, denominator: denominator(width) }
}
