//! A point of a log's history.

use std::fmt;

use federation_proto::Digest;
use federation_proto::codec::Canonical;
use serde::{Deserialize, Serialize};

/// How far a log has come: the number of its last group, and a hash over all groups up to it, cut away or not.
///
/// Whoever keeps a mark outside the log can tell later that the log was lost, shortened, replaced by an older
/// copy or by another history. A log that was cut can no longer be compared with marks below the cut; it
/// accepts them, since a cut begins only where the log had passed them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    group: u64,
    chain: Digest,
}

impl Mark {
    /// The beginning of the log with this id.
    pub(super) fn origin(id: &Digest) -> Self {
        let chain = blake3::derive_key("prism1 2026-11-24 safety-log-origin", id.as_bytes());
        Self { group: 0, chain: Digest::from_bytes(chain) }
    }

    /// A point as a file names it.
    pub(super) const fn new(group: u64, chain: Digest) -> Self {
        Self { group, chain }
    }

    /// The point after the next group. Numbers saturate: 2⁶⁴ groups cannot be written.
    pub(super) fn after(&self, payload: &[u8]) -> Self {
        let group = self.group.saturating_add(1);
        let mut hasher = blake3::Hasher::new_derive_key("prism1 2026-11-24 safety-log-group");
        hasher.update(self.chain.as_bytes()).update(&group.to_le_bytes()).update(payload);
        Self { group, chain: Digest::from_bytes(*hasher.finalize().as_bytes()) }
    }

    /// Number of the group: groups count from 1, over all cuts.
    #[must_use]
    pub const fn group(&self) -> u64 {
        self.group
    }

    /// The hash over all groups up to this one.
    #[must_use]
    pub const fn chain(&self) -> &Digest {
        &self.chain
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {} ({})", self.group, self.chain.short())
    }
}

impl Canonical for Mark {
    const NAME: &'static str = "Mark";
    const MAX_BYTES: usize = 10 + 32;
}
