//! The one rounding of the federation: to the nearest integer, halves to the even neighbour.
//!
//! Half-even has no drift: over many cycles as many halves go up as down, and the sign does not matter.

use std::num::NonZeroU64;

/// `numerator / denominator`, rounded half-even.
pub(crate) fn divide(numerator: i128, denominator: NonZeroU64) -> i128 {
    let denominator = i128::from(denominator.get());
    let floor = numerator.div_euclid(denominator);
    let remainder = numerator.rem_euclid(denominator);
    // Invariant: 0 <= remainder < denominator <= 2^64, so twice the remainder is far from overflow.
    let twice = 2 * remainder;
    let up = twice > denominator || (twice == denominator && floor & 1 == 1);
    floor + i128::from(up)
}

/// `value / 2^bits`, rounded half-even.
///
/// Invariant: every caller's |value| is below 2^60, so from 62 bits on the quotient rounds to 0.
pub(crate) fn shift_right(value: i64, bits: u32) -> i64 {
    if bits == 0 {
        return value;
    }
    if bits > 61 {
        return 0;
    }
    let floor = value >> bits;
    let remainder = value - (floor << bits);
    let half = 1_i64 << (bits - 1);
    let up = remainder > half || (remainder == half && floor & 1 == 1);
    floor + i64::from(up)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by(denominator: u64) -> NonZeroU64 {
        NonZeroU64::new(denominator).unwrap()
    }

    #[test]
    fn halves_go_to_the_even_neighbour() {
        let halves: Vec<_> = (-5..=5).map(|n| divide(n, by(2))).collect();
        assert_eq!(halves, [-2, -2, -2, -1, 0, 0, 0, 1, 2, 2, 2]);
        let shifted: Vec<_> = (-5..=5).map(|n| shift_right(n, 1)).collect();
        assert_eq!(shifted, [-2, -2, -2, -1, 0, 0, 0, 1, 2, 2, 2]);
        assert_eq!(shift_right(-7, 0), -7);
        assert_eq!(shift_right(1 << 59, 61), 0);
        assert_eq!(shift_right(-(1 << 59), 200), 0);
    }

    proptest! {
        #[test]
        fn the_error_is_at_most_half_and_ties_are_even(
            n in -(1_i128 << 75)..(1_i128 << 75), d in 1_u64..=u64::MAX,
        ) {
            let quotient = divide(n, by(d));
            let error = (2 * (n - quotient * i128::from(d))).abs();
            prop_assert!(error <= i128::from(d));
            prop_assert!(error < i128::from(d) || quotient % 2 == 0);
        }

        #[test]
        fn negation_commutes(n in -(1_i128 << 75)..(1_i128 << 75), d in 1_u64..=1 << 30) {
            prop_assert_eq!(divide(-n, by(d)), -divide(n, by(d)));
        }

        #[test]
        fn a_shift_is_a_division(n in -(1_i64 << 60)..(1_i64 << 60), bits in 0_u32..62) {
            prop_assert_eq!(i128::from(shift_right(n, bits)), divide(n.into(), by(1 << bits)));
        }
    }
}
