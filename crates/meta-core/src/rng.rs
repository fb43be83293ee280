//! Named random streams with samplers of our own.
//!
//! What a site learns is hashed and voted on, so every draw must give the same bits on every machine and
//! with every future version of a random-number crate. ChaCha itself is a fixed function; the ranges and
//! distributions of the `rand` family are not value-stable, so the samplers live here, pinned by golden
//! values. The only transcendental function is the logarithm of the exactly pinned `libm`.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Domain tag of the seed derivation; a change of derivation gets another tag.
const STREAM_CONTEXT: &str = "PRISM meta-core random stream v1";

/// A deterministic random stream, named by a label and the values it depends on.
///
/// Two streams are independent (as far as ChaCha12 and BLAKE3 go) when their label or any part differs;
/// the parts are length-prefixed, so `["ab", "c"]` and `["a", "bc"]` name different streams.
#[derive(Debug, Clone)]
pub struct Stream {
    chacha: ChaCha12Rng,
    /// Second value of the last polar pair, not yet handed out.
    spare_normal: Option<f64>,
}

impl Stream {
    /// Opens the stream named by `label` and `parts`.
    #[must_use]
    pub fn new(label: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(STREAM_CONTEXT);
        for part in std::iter::once(label.as_bytes()).chain(parts.iter().copied()) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let seed = *hasher.finalize().as_bytes();
        Self { chacha: ChaCha12Rng::from_seed(seed), spare_normal: None }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.chacha.next_u64()
    }

    /// The next 256 random bits, as a seed or nonce.
    pub fn bytes32(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes());
        }
        bytes
    }

    /// A uniform integer in `0..n`, without modulo bias (Lemire 2019, multiply and reject).
    ///
    /// `n` of 0 or 1 leaves only one answer: 0 is returned and nothing is drawn.
    pub fn uniform_below(&mut self, n: u64) -> u64 {
        if n <= 1 {
            return 0;
        }
        // 2^64 mod n: products whose low half falls below it are the surplus that would bias the result.
        let surplus = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= surplus {
                return (product >> 64) as u64;
            }
        }
    }

    /// A uniform value in `[0, 1)` with all 53 bits of the significand.
    pub fn uniform_f64(&mut self) -> f64 {
        const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
        (self.next_u64() >> 11) as f64 * UNIT
    }

    /// A standard normal value (Marsaglia's polar method, 1964).
    ///
    /// The polar method needs one logarithm and one square root and no trigonometry, which keeps the set
    /// of functions that decide our bits as small as it can be.
    pub fn normal(&mut self) -> f64 {
        if let Some(value) = self.spare_normal.take() {
            return value;
        }
        loop {
            let x = 2.0 * self.uniform_f64() - 1.0;
            let y = 2.0 * self.uniform_f64() - 1.0;
            let squared_radius = x * x + y * y;
            if squared_radius < 1.0 && squared_radius > 0.0 {
                let factor = (-2.0 * libm::log(squared_radius) / squared_radius).sqrt();
                self.spare_normal = Some(y * factor);
                return x * factor;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_values_are_pinned() {
        let mut stream = Stream::new("golden", &[b"prism", &7_u64.to_le_bytes()]);
        let bits: Vec<u64> = (0..3).map(|_| stream.next_u64()).collect();
        let below: Vec<u64> = (0..8).map(|_| stream.uniform_below(1000)).collect();
        let unit: Vec<u64> = (0..3).map(|_| stream.uniform_f64().to_bits()).collect();
        let normal: Vec<u64> = (0..4).map(|_| stream.normal().to_bits()).collect();
        assert_eq!(bits, [7711061829292730184, 4170140985591330467, 11343926318711796139]);
        assert_eq!(below, [806, 498, 123, 797, 644, 199, 177, 261]);
        assert_eq!(unit, [4588356086284566672, 4603514816715434798, 4599233525470037100]);
        assert_eq!(
            normal,
            [13831771649607457258, 4606503317305310358, 4600126369409942019, 4611923627863133984]
        );
    }

    #[test]
    fn label_and_parts_name_the_stream() {
        let first = |label: &str, parts: &[&[u8]]| Stream::new(label, parts).next_u64();
        let base = first("a", &[b"bc"]);
        assert_eq!(base, first("a", &[b"bc"]));
        for other in [first("ab", &[b"c"]), first("a", &[b"b", b"c"]), first("a", &[b"bc", b""])] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn bounded_draws_are_in_range_and_even() {
        let mut stream = Stream::new("even", &[]);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[usize::try_from(stream.uniform_below(7)).unwrap()] += 1;
        }
        // Standard deviation of a count is about 93: five of them either side.
        assert!(counts.iter().all(|&count| (9_535..=10_465).contains(&count)), "{counts:?}");
        assert_eq!(stream.uniform_below(0), 0);
        assert_eq!(stream.uniform_below(1), 0);
        // Just above half the 64-bit range nearly every second draw is rejected.
        let n = (1_u64 << 63) + 1;
        assert!((0..200).all(|_| stream.uniform_below(n) < n));
    }

    #[test]
    fn normal_draws_have_the_moments_of_a_normal() {
        let mut stream = Stream::new("moments", &[]);
        let draws: Vec<f64> = (0..40_000).map(|_| stream.normal()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance =
            draws.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / draws.len() as f64;
        let tail = draws.iter().filter(|x| x.abs() > 1.96).count() as f64 / draws.len() as f64;
        assert!(mean.abs() < 0.025, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.035, "variance {variance}");
        assert!((tail - 0.05).abs() < 0.006, "tail {tail}");
    }
}
