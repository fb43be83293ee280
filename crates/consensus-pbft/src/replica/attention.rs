//! What one replica may cost us: messages that are worth many signatures to look at, or megabytes to answer.
//!
//! Everything else that is held has a place of its own for each replica, in a slot between the watermarks; these are
//! counted instead. The counts start anew with each STATUS of ours, whose pace the driver sets.

use std::collections::BTreeMap;

use crate::committee::ReplicaId;
use crate::rejection::Rejection;

/// A kind of message that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Costly {
    /// The answer may have megabytes.
    Status,
    /// Each holds up to a window of certificates. A correct replica sends one for each view that it leaves, and does
    /// not run through views alone.
    ViewChange,
    /// Each holds a quorum of VIEW-CHANGEs. A correct primary sends one for its view.
    NewView,
    /// Each becomes a record that is never cut. One would do; some more tell what kind of liar it is.
    Lie,
}

impl Costly {
    const fn limit(self) -> usize {
        match self {
            Self::Status => 1,
            Self::NewView => 4,
            Self::ViewChange => 16,
            Self::Lie => 64,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Status => "STATUS",
            Self::NewView => "NEW-VIEW",
            Self::ViewChange => "VIEW-CHANGE",
            Self::Lie => "evidence",
        }
    }
}

/// How much of each kind was spent on each replica: as many entries as replicas and kinds at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Attention(BTreeMap<(ReplicaId, Costly), usize>);

impl Attention {
    /// Whether there is some left, asked before anything is verified.
    pub(super) fn admit(&self, replica: ReplicaId, costly: Costly) -> Result<(), Rejection> {
        let count = self.0.get(&(replica, costly)).copied().unwrap_or(0);
        let (kind, limit) = (costly.name(), costly.limit());
        if count >= limit {
            return Err(Rejection::TooOften { replica, kind, count, limit });
        }
        Ok(())
    }

    /// Its author is proved: nobody can use up the share of another.
    pub(super) fn spend(&mut self, replica: ReplicaId, costly: Costly) {
        let count = self.0.entry((replica, costly)).or_default();
        *count = count.saturating_add(1);
    }

    /// We said where we stand. Lies count for ever.
    pub(super) fn renew(&mut self) {
        self.0.retain(|(_, costly), _| *costly == Costly::Lie);
    }
}
