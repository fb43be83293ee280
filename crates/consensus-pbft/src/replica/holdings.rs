//! How much a replica holds: what an operator watches, and what a flood must not move.

use super::Replica;
use super::log::Slot;

/// Everything held that others can make grow. Each number has a bound that follows from
/// [`Settings`](crate::Settings) and the size of the committee alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Requests that wait.
    pub requests: usize,
    /// Their bytes.
    pub request_bytes: usize,
    /// Sequence numbers of which anything is held, at most 2L.
    pub slots: usize,
    /// PREPAREs and COMMITs, at most two of a replica for each of them.
    pub votes: usize,
    /// Batches in them.
    pub batches: usize,
    /// Their bytes.
    pub batch_bytes: usize,
    /// CHECKPOINTs, at most one of a replica for each sequence number.
    pub checkpoints: usize,
    /// VIEW-CHANGEs, at most one of a replica.
    pub view_changes: usize,
    /// Records that are not durable yet.
    pub unwritten: usize,
}

impl Replica {
    /// How much is held now. Its cost grows with the window.
    pub fn holdings(&self) -> Holdings {
        let slots = || self.log.slots.values();
        let batches = || slots().flat_map(|slot: &Slot| slot.batches.values());
        Holdings {
            requests: self.pool.requests().len(),
            request_bytes: self.pool.bytes(),
            slots: slots().count(),
            votes: slots().map(|slot| slot.prepares.len() + slot.commits.len()).sum(),
            batches: batches().count(),
            batch_bytes: batches().map(|held| held.bytes).sum(),
            checkpoints: self.checkpoints.count(),
            view_changes: self.changes.0.len(),
            unwritten: self.outbox.pending().count(),
        }
    }
}
