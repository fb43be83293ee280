//! What must be durable before a vote leaves.

use core::fmt;

use federation_proto::codec::Canonical;
use federation_proto::{SequenceNumber, Signed, View, limits};
use serde::{Deserialize, Serialize};

use crate::committee::MAX_REPLICAS;
use crate::evidence::Equivocation;
use crate::message::{
    Checkpoint, CheckpointStatement, Commit, NewView, Prepare, Proposal, ViewChange,
};

/// Names one [`Effect::Persist`](crate::Effect::Persist). Tokens count up and start anew with a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersistToken(u64);

impl PersistToken {
    pub(crate) const FIRST: Self = Self(0);

    /// Saturating, as every counter here: 2⁶⁴ records cannot be written.
    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for PersistToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One record of the safety log. It holds what the replica is about to say and what entitles it to say so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SafetyRecord {
    /// The primary is about to propose.
    PrePrepare(Proposal),
    /// A backup is about to send its PREPARE for a proposal.
    Prepare {
        /// The accepted proposal.
        proposal: Proposal,
        /// The vote.
        prepare: Signed<Prepare>,
    },
    /// A replica is about to send its COMMIT. With the proposal of an earlier record, `prepares` is the
    /// prepared certificate that a later view must respect.
    Commit {
        /// The PREPAREs of a quorum, without the primary's PRE-PREPARE.
        prepares: Vec<Signed<Prepare>>,
        /// The vote.
        commit: Signed<Commit>,
    },
    /// A replica is about to send its CHECKPOINT.
    Checkpoint(Signed<Checkpoint>),
    /// A replica is about to leave its view. It holds the prepared certificates that the record of each COMMIT held.
    ViewChange(Box<Signed<ViewChange>>),
    /// A primary is about to begin its view.
    NewView(Box<Signed<NewView>>),
    /// A replica lied. Durable before it is reported, so that a crash cannot lose it.
    Evidence(Box<Equivocation>),
}

impl Canonical for SafetyRecord {
    const NAME: &'static str = "SafetyRecord";
    const MAX_BYTES: usize = limits::BATCH + 1024 + MAX_REPLICAS * 256;
}

impl SafetyRecord {
    /// The sequence number it speaks of: a record at or below a stable checkpoint may be cut. Evidence, and what is
    /// said about a view, must stay: [`Self::cut`].
    pub fn sequence(&self) -> Option<SequenceNumber> {
        Some(match self {
            Self::PrePrepare(proposal) | Self::Prepare { proposal, .. } => {
                proposal.pre_prepare.claimed().sequence
            }
            Self::Commit { commit, .. } => commit.claimed().sequence,
            Self::Checkpoint(checkpoint) => checkpoint.claimed().statement.sequence,
            Self::Evidence(evidence) => evidence.claimed_sequence(),
            Self::ViewChange(_) | Self::NewView(_) => return None,
        })
    }

    /// Removes from a safety log what a restart can do without once the certificate of `stable` is stored: at a border
    /// everything but evidence, for its configuration is over.
    ///
    /// The last VIEW-CHANGE stays, whatever view the replica is in: the record of a later one may not be durable yet, or a
    /// view may have begun without one, and a replica that forgot it would vote in a view that it had left.
    pub fn cut(records: &mut Vec<Self>, stable: &CheckpointStatement) {
        let (border, stable) = (stable.next.is_some(), stable.sequence);
        let left_for = records.iter().filter_map(|record| match record {
            Self::ViewChange(change) => Some(change.claimed().view),
            _ => None,
        });
        let left_for = left_for.max().unwrap_or(View::ZERO);
        records.retain(|record| match record {
            Self::Evidence(_) => true,
            record => !border && !record.may_cut(stable, left_for),
        });
    }

    fn may_cut(&self, stable: SequenceNumber, left_for: View) -> bool {
        match self {
            Self::Evidence(_) => false,
            Self::ViewChange(change) => change.claimed().view < left_for,
            Self::NewView(new_view) => {
                // Its assignments are part of what was prepared by them.
                let last = new_view.claimed().pre_prepares.last().map(Signed::claimed);
                new_view.claimed().view < left_for
                    && last.is_none_or(|last| last.sequence <= stable)
            }
            _ => self.sequence().is_some_and(|sequence| sequence <= stable),
        }
    }

    /// Its kind, for tables and messages.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::PrePrepare(_) => "PRE-PREPARE",
            Self::Prepare { .. } => "PREPARE",
            Self::Commit { .. } => "COMMIT",
            Self::Checkpoint(_) => "CHECKPOINT",
            Self::ViewChange(_) => "VIEW-CHANGE",
            Self::NewView(_) => "NEW-VIEW",
            Self::Evidence(_) => "evidence",
        }
    }
}
