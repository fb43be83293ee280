//! Choices that follow from a seed.

/// A stream of numbers: BLAKE3's extended output of seed and label.
pub(super) struct Random(blake3::OutputReader);

impl Random {
    pub(super) fn new(seed: u64, label: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes()).update(label.as_bytes());
        Self(hasher.finalize_xof())
    }

    /// Below `bound`; 0 for a bound of 0. The bias of the remainder does not matter here.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % bound.max(1)
    }

    pub(super) fn chance(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }
}
