//! Ledger entries: the epoch machine's alphabet.
//!
//! ```text
//! SessionOpened*   EpochOpened → UpdateCommitment* → EpochCut → AggregatedUpdate → ApplySignoff → EpochOpened …
//! ```
//!
//! Sessions, keys and governance have entries of their own, at any time. The order of the variants is the wire's:
//! a new kind is appended, never inserted.

use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::codec::{Canonical, canonical};
use crate::counters::{Cycle, FederatedEpoch, Generation};
use crate::digest::{Digest, HashDomain};
use crate::governed::{
    FederatedRollback, GovernancePinned, LedgerPin, PolicyChange, QuarantineOpened,
    QuarantineReview, RosterChanged,
};
use crate::handshake::{SessionClosed, SessionOpened, SessionResumption};
use crate::keys::{GovernanceNote, NodeFingerprint};
use crate::limits;
use crate::signing::{Endorsed, Endorsement, Signed};
use crate::statement::{KeyRevocation, RotatedKey};
use crate::update::UpdateCommitment;

/// One entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LedgerEntry {
    /// A node's session.
    SessionOpened(Box<SessionOpened>),
    /// An epoch begins.
    EpochOpened(EpochOpened),
    /// An update is committed.
    UpdateCommitment(Box<UpdateCommitment>),
    /// The input set of the epoch is closed.
    EpochCut(EpochCut),
    /// The result of the epoch.
    AggregatedUpdate(Box<AggregatedUpdate>),
    /// Governance lets the result take effect.
    ApplySignoff(ApplySignoff),
    /// A session moves to another channel.
    SessionResumed(Box<Signed<SessionResumption>>),
    /// A session ends before its time.
    SessionClosed(SessionClosed),
    /// Governance puts a document on record.
    GovernancePinned(Box<Endorsed<GovernancePinned>>),
    /// Evidence stops a node.
    QuarantineOpened(Box<QuarantineOpened>),
    /// People looked at a quarantine.
    QuarantineReviewed(Box<Endorsed<QuarantineReview>>),
    /// The meta state returns to an anchor.
    FederatedRollback(Box<Endorsed<FederatedRollback>>),
    /// The roster changes.
    RosterChanged(Box<RosterChanged>),
    /// The policy changes.
    PolicyChanged(Box<Endorsed<PolicyChange>>),
    /// A key gives way to another.
    KeyRotated(Box<RotatedKey>),
    /// A key is no longer to be believed.
    KeyRevoked(Box<Endorsed<KeyRevocation>>),
}

/// An epoch begins: sites may commit updates against this base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochOpened {
    /// The epoch.
    pub federated_epoch: FederatedEpoch,
    /// Rollback generation.
    pub generation: Generation,
    /// The meta state everybody starts from.
    pub base_state_hash: Digest,
    /// The configuration in force.
    pub config_digest: Digest,
    /// The policy in force.
    pub policy_hash: Digest,
}

/// One committed update, named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UpdateRef {
    /// Who made it.
    pub node_fingerprint: NodeFingerprint,
    /// The site's cycle.
    pub cycle: Cycle,
    /// Its hash.
    pub update_hash: Digest,
}

/// Why an expected participant is not in a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbsenceReason {
    /// Nothing of it was ordered before the window passed.
    NoCommitment,
    /// It has no open session.
    NoSession,
}

/// A participant that is not in a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Absence {
    /// Who.
    pub node_fingerprint: NodeFingerprint,
    /// Why.
    pub reason: AbsenceReason,
}

/// Closes the input set of an epoch by ledger position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochCut {
    /// The epoch.
    pub federated_epoch: FederatedEpoch,
    /// Rollback generation.
    pub generation: Generation,
    /// Every commitment ordered for this epoch before the cut, sorted.
    pub included: Vec<UpdateRef>,
    /// Every participant of the roster without one, sorted.
    pub absent: Vec<Absence>,
}

/// Why an included update does not enter the aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscardReason {
    /// The same update stands there already.
    Duplicate,
    /// A later cycle of the same node stands there: reconciliation, no penalty.
    Superseded,
    /// One (node, generation, cycle) with two hashes: both are out.
    ConflictingHash,
    /// Its base is too many epochs old.
    Stale,
    /// Its base is no state this federation ever had.
    UnknownBase,
    /// It speaks of another genome schema.
    IncompatibleSchema,
    /// Its payload is not a delta within bounds.
    InvalidPayload,
}

/// An update that entered the aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AlignedUpdate {
    /// Which.
    pub update: UpdateRef,
    /// Epochs between its base and the epoch: the delta is scaled by 2^−staleness.
    pub staleness: u8,
}

/// An update that did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DiscardedUpdate {
    /// Which.
    pub update: UpdateRef,
    /// Why.
    pub reason: DiscardReason,
}

/// What `dynamic_node_alignment` decided about a cut.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlignmentRecord {
    /// Taken, in canonical order.
    pub aligned: Vec<AlignedUpdate>,
    /// Left, in canonical order.
    pub discarded: Vec<DiscardedUpdate>,
}

/// A robust rule with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AggregationRule {
    /// Arithmetic mean: tolerates no liar.
    Mean,
    /// Coordinate-wise median [Yin et al., ICML '18].
    Median,
    /// Coordinate-wise mean without the `trim` smallest and largest values [Yin et al., ICML '18].
    TrimmedMean {
        /// Values cut at each end; the number of lying organisations it tolerates.
        trim: u16,
    },
    /// Nearest-neighbour mixing, then the trimmed mean [Allouah et al., AISTATS '23].
    NnmTrimmedMean {
        /// Number of lying organisations it tolerates.
        trim: u16,
    },
}

/// The result of an epoch. PBFT votes for it only where the voter's own result is bit-identical.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AggregatedUpdate {
    /// The epoch.
    pub federated_epoch: FederatedEpoch,
    /// Rollback generation.
    pub generation: Generation,
    /// The state it starts from.
    pub base_state_hash: Digest,
    /// What was taken and left.
    pub alignment: AlignmentRecord,
    /// The rule.
    pub rule: AggregationRule,
    /// The aggregated change of every gene, in Q8.24.
    pub delta: Vec<i32>,
    /// The state after it.
    pub new_state_hash: Digest,
}

/// Governance action `FEDERATED_APPLY`: m of n governors let an aggregate take effect.
///
/// The signatures are C2SP note signatures over the text that governance renders from the other fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplySignoff {
    /// The epoch.
    pub federated_epoch: FederatedEpoch,
    /// Rollback generation.
    pub generation: Generation,
    /// The aggregate that takes effect.
    pub aggregated_hash: Digest,
    /// The state after it.
    pub new_state_hash: Digest,
    /// Where the statement stands.
    pub pin: LedgerPin,
    /// Note signatures, in increasing order of their keys.
    #[serde(deserialize_with = "bounded::list::<_, _, { limits::ENDORSEMENTS }>")]
    pub signatures: Vec<Endorsement<GovernanceNote>>,
}

canonical! {
    LedgerEntry => limits::ENTRY,
    AlignmentRecord => limits::ENTRY,
    AggregatedUpdate => limits::ENTRY,
}

impl AlignmentRecord {
    /// The alignment's digest, as the plan shows it.
    pub fn hash(&self) -> Digest {
        Digest::of(HashDomain::Alignment, &self.to_canonical())
    }
}

impl AggregatedUpdate {
    /// The digest a sign-off names.
    pub fn hash(&self) -> Digest {
        Digest::of(HashDomain::AggregatedUpdate, &self.to_canonical())
    }
}

impl LedgerEntry {
    /// The entry's kind, for tables and messages.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SessionOpened(_) => "SessionOpened",
            Self::EpochOpened(_) => "EpochOpened",
            Self::UpdateCommitment(_) => "UpdateCommitment",
            Self::EpochCut(_) => "EpochCut",
            Self::AggregatedUpdate(_) => "AggregatedUpdate",
            Self::ApplySignoff(_) => "ApplySignoff",
            Self::SessionResumed(_) => "SessionResumed",
            Self::SessionClosed(_) => "SessionClosed",
            Self::GovernancePinned(_) => "GovernancePinned",
            Self::QuarantineOpened(_) => "QuarantineOpened",
            Self::QuarantineReviewed(_) => "QuarantineReviewed",
            Self::FederatedRollback(_) => "FederatedRollback",
            Self::RosterChanged(_) => "RosterChanged",
            Self::PolicyChanged(_) => "PolicyChanged",
            Self::KeyRotated(_) => "KeyRotated",
            Self::KeyRevoked(_) => "KeyRevoked",
        }
    }
}
