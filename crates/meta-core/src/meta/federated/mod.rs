//! The distributed orchestrator's interfaces: what a node does, what the ledger does, and the cycle.
//!
//! ```text
//! load_meta ┐                                             ┌ apply (every node)
//! run_local ├ par ─▶ commit ─▶ align ─▶ aggregate ─▶ decide
//! update    ┘        (B2: on the ledger BEFORE anything is aggregated)
//! ```
//!
//! [`federated_meta_cycle`] drives one epoch. It believes neither the nodes nor the [`OrderingPort`]:
//! every ordered entry comes with its place in a log that a quorum certified, the aggregate is computed
//! here and compared bit for bit with the decided one, and nothing is applied without a sign-off entry
//! that names it.

mod conclude;
mod config;
mod cycle;
mod ordering;
mod site;

#[cfg(test)]
mod tests;

use federation_proto::entry::{AggregatedUpdate, EpochOpened};
use federation_proto::{Digest, FederatedEpoch, NodeFingerprint};

pub use conclude::{ConcludeError, conclude_epoch};
pub use config::{ConfigError, FederationConfig, MAX_STALENESS, ValidFederationConfig};
pub use cycle::{CycleError, FederatedCycle, Federation, NodeFailure, federated_meta_cycle};
pub use ordering::{
    ApprovedAggregate, Decision, DecisionError, OrderedEpoch, OrderedUpdate, OrderingError,
    VerifiedEpoch,
};
pub use site::{MAX_CACHED_UPDATES, Site, SiteError, SiteIdentity};

use crate::meta_state::MetaState;

/// What a node hands in for commitment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmittedUpdate {
    /// Who made it.
    pub node_fingerprint: NodeFingerprint,
    /// The exact bytes of the `Signed<MetaUpdate>`, the same at every attempt.
    pub blob: Vec<u8>,
    /// Work that the local cycle took, in the workload's units. For scheduling and reports; not hashed.
    pub work_units: u64,
}

/// A participant of the federation. Its workload is private; only signed updates leave it.
///
/// Calls come in the order `load_meta`, `run_local_mec_cycle`, `meta_update`, then `apply`, if the epoch
/// is decided. A partitioned node may run several cycles before it is heard again.
pub trait FederatedNode: Send {
    /// Why the node cannot go on.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Who it is.
    fn node_fingerprint(&self) -> NodeFingerprint;

    /// Takes over the global state, unless it has it already.
    ///
    /// # Errors
    /// When the state is not one this node can start from.
    fn load_meta(&mut self, global: &MetaState) -> Result<(), Self::Error>;

    /// Improves the genome on the private workload and makes the update of this cycle.
    ///
    /// # Errors
    /// When the workload or the evolution fails; the node is then absent from the epoch.
    fn run_local_mec_cycle(&mut self, epoch: FederatedEpoch) -> Result<(), Self::Error>;

    /// The update of the last cycle: the same bytes whenever it is asked for.
    ///
    /// # Errors
    /// When no cycle was run.
    fn meta_update(&self) -> Result<SubmittedUpdate, Self::Error>;

    /// Moves to the approved state and returns its hash.
    ///
    /// # Errors
    /// When the aggregate does not follow the node's own state: the node must not go on.
    fn apply(&mut self, approved: &ApprovedAggregate) -> Result<Digest, Self::Error>;
}

/// The ordered ledger, as the cycle sees it: PBFT validators, or a simulation of them.
pub trait OrderingPort {
    /// Why the ledger cannot answer.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The epoch that is open for updates.
    ///
    /// # Errors
    /// When no epoch is open.
    fn open_epoch(&mut self) -> Result<EpochOpened, Self::Error>;

    /// Stores the updates, orders their commitments, cuts the epoch and returns all of it under one
    /// certified log. What is not ordered before the cut is not in the answer, and what others committed is.
    ///
    /// # Errors
    /// When the ledger cannot order or certify.
    fn commit(&mut self, updates: Vec<SubmittedUpdate>) -> Result<OrderedEpoch, Self::Error>;

    /// Has the validators vote on their own aggregate, and governance sign it off.
    ///
    /// `proposal` is what the caller computed. The decision may be another one; the caller compares.
    ///
    /// # Errors
    /// When nothing is decided or no sign-off came: the epoch is held, the state does not move.
    fn decide(&mut self, proposal: &AggregatedUpdate) -> Result<Decision, Self::Error>;
}
