//! Seeded runs: dice, the seeds of a run from its command line, and the command that repeats a failure.

use std::ops::Range;

/// SplitMix64.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// From 0 to `bound`, which it is not.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// Some of 0 to `n`, perhaps none, perhaps all.
    pub(crate) fn some(&mut self, n: usize) -> Vec<usize> {
        (0..n).filter(|_| self.chance(50)).collect()
    }
}

/// Runs every seed of the environment variable, `FROM..TO`, or of `default`. A failing seed prints the command that
/// repeats it. Says whether it was the default, so that a test may ask what so many seeds must have met.
#[expect(clippy::disallowed_methods, reason = "the seeds of a long run come from its command line")]
pub(crate) fn for_seeds(
    variable: &str,
    test: &str,
    default: Range<u64>,
    mut run: impl FnMut(u64),
) -> bool {
    let chosen = std::env::var(variable).ok().map(|text| {
        let (from, to) = text.split_once("..").expect("FROM..TO");
        from.parse().expect("a number")..to.parse().expect("a number")
    });
    let is_default = chosen.is_none();
    let seeds = chosen.unwrap_or(default);
    assert!(!seeds.is_empty(), "{variable} names no seed");
    for seed in seeds {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed)));
        assert!(
            outcome.is_ok(),
            "repeat with: {variable}={seed}..{} cargo test -p consensus-pbft --test it {test}",
            seed + 1
        );
    }
    is_default
}
