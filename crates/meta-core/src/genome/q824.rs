//! Q8.24 fixed point: an `i32` in which 1.0 is 2²⁴.
//!
//! Genes travel and are averaged as integers, so that every node computes the same bits; this module is
//! the only door between them and `f64` or decimal text.

/// Number of fractional bits.
pub const FRACTION_BITS: u32 = 24;
/// The value 1.0.
pub const ONE: i32 = 1 << FRACTION_BITS;

/// The value `numerator / denominator`, rounded to the nearest representable one (halves away from zero).
///
/// Meant for constants: an impossible value (zero denominator, outside ±128) stops the compilation when
/// evaluated in a `const`.
#[must_use]
pub const fn ratio(numerator: i32, denominator: i32) -> i32 {
    assert!(denominator > 0, "a Q8.24 constant needs a positive denominator");
    let scaled = (numerator as i64) << (FRACTION_BITS + 1);
    let doubled = scaled / denominator as i64;
    let rounded = if doubled >= 0 { (doubled + 1) >> 1 } else { -((1 - doubled) >> 1) };
    assert!(rounded >= i32::MIN as i64 && rounded <= i32::MAX as i64, "outside Q8.24");
    rounded as i32
}

/// The exact `f64` of a Q8.24 value (31 bits always fit a 53-bit significand).
#[must_use]
pub fn to_f64(value: i32) -> f64 {
    f64::from(value) / f64::from(ONE)
}

/// The Q8.24 value equal to `value`, or `None` when no Q8.24 value equals it exactly.
#[must_use]
pub fn from_f64_exact(value: f64) -> Option<i32> {
    let scaled = value * f64::from(ONE);
    // The comparison also refuses NaN, which is equal to nothing.
    let candidate = scaled as i32;
    (f64::from(candidate) == scaled).then_some(candidate)
}

/// Whether the value has no fractional part.
#[must_use]
pub const fn is_whole(value: i32) -> bool {
    value & (ONE - 1) == 0
}

/// The nearest whole number, in Q8.24; halves go to the even neighbour.
#[must_use]
pub const fn round_to_whole(value: i64) -> i64 {
    let one = ONE as i64;
    let floor = value & !(one - 1);
    let fraction = value - floor;
    let up = fraction > one / 2 || (fraction == one / 2 && floor & one != 0);
    if up { floor + one } else { floor }
}

/// The shortest decimal text that reads back as exactly this value: `0.6`, `10`, `-1.25`.
#[must_use]
pub fn to_decimal(value: i32) -> String {
    let magnitude = u128::from(value.unsigned_abs());
    let sign = if value < 0 { "-" } else { "" };
    let mut power = 1_u128;
    let mut digits = 0_usize;
    // Eight decimals are finer than half a step of 2^-24, so the loop ends at 8 at the latest.
    loop {
        let decimal = ((magnitude * power) + u128::from(ONE.unsigned_abs()) / 2) >> FRACTION_BITS;
        let back = ((decimal << FRACTION_BITS) + power / 2) / power;
        if back == magnitude || digits == 8 {
            let (whole, fraction) = (decimal / power, decimal % power);
            return match digits {
                0 => format!("{sign}{whole}"),
                _ => format!("{sign}{whole}.{fraction:0digits$}"),
            };
        }
        power *= 10;
        digits += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        assert_eq!(ratio(1, 1), ONE);
        assert_eq!(ratio(-5, 4), -(ONE + ONE / 4));
        assert_eq!(ratio(3, 5), 10_066_330);
        assert_eq!(to_decimal(ratio(3, 5)), "0.6");
        assert_eq!(to_decimal(ratio(-5, 4)), "-1.25");
        assert_eq!(to_decimal(10 * ONE), "10");
        assert_eq!(to_decimal(1), "0.00000006");
        assert_eq!(to_decimal(i32::MIN), "-128");
        assert_eq!(from_f64_exact(0.6), None);
        assert_eq!(from_f64_exact(f64::NAN), None);
        assert_eq!(from_f64_exact(128.0), None);
        assert_eq!(round_to_whole(i64::from(ONE) / 2), 0);
        assert_eq!(round_to_whole(3 * i64::from(ONE) / 2), 2 * i64::from(ONE));
        assert_eq!(round_to_whole(-3 * i64::from(ONE) / 2), -2 * i64::from(ONE));
    }

    proptest! {
        #[test]
        fn f64_round_trip(value in any::<i32>()) {
            prop_assert_eq!(from_f64_exact(to_f64(value)), Some(value));
        }

        #[test]
        fn decimal_reads_back(value in any::<i32>()) {
            let text = to_decimal(value);
            let parsed: f64 = text.parse().unwrap();
            let back = (parsed * f64::from(ONE)).round();
            prop_assert_eq!(back as i64, i64::from(value), "{}", text);
        }
    }
}
