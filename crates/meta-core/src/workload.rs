//! Workloads: what a site scores genomes on.
//!
//! A workload holds a site's private data and answers one question: what does this genome cost here? The
//! federation sees genomes and costs, never the data. [`coloring`] is the default workload; others
//! (a classifier, an external program) implement the same trait.

pub mod coloring;

use crate::genome::{Genome, GenomeSchema};

/// Cost of a genome, lower is better.
///
/// The unit is the permille of a per-instance reference, summed over the instances of the workload: a
/// genome exactly as good as the reference costs 1000 an instance. What the reference measures is the
/// workload's affair (work units for colouring, loss or seconds elsewhere); integers keep it comparable
/// bit by bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cost(u64);

impl Cost {
    /// Cost of a genome that is exactly as good as the reference of one instance.
    pub const REFERENCE: Self = Self(1000);

    /// A cost from its permille value.
    #[must_use]
    pub const fn from_permille(permille: u64) -> Self {
        Self(permille)
    }

    /// The permille value.
    #[must_use]
    pub const fn permille(self) -> u64 {
        self.0
    }

    /// Sum of two costs. Stops at `u64::MAX`, which still compares as the worst cost there is.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// What one evaluation found and what it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evaluation {
    /// Cost summed over the workload's instances.
    pub cost: Cost,
    /// Work spent, in the workload's own deterministic unit; 0 when it has none.
    pub work: u64,
}

impl Evaluation {
    /// Sum of two evaluations.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { cost: self.cost.plus(other.cost), work: self.work.saturating_add(other.work) }
    }
}

/// Why a workload gave no cost.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// The genome belongs to another schema than the workload's.
    #[error(
        "genome of schema {} given to workload {workload:?} of schema {}",
        hex(found),
        hex(expected)
    )]
    SchemaMismatch {
        /// Name of the workload's schema.
        workload: String,
        /// Digest of the workload's schema.
        expected: [u8; 32],
        /// Digest of the genome's schema.
        found: [u8; 32],
    },
    /// The workload itself failed, for example an external program that ended early.
    #[error("workload failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Enough of a digest to tell two schemas apart in a message.
fn hex(digest: &[u8; 32]) -> String {
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A site's private problem.
///
/// # Contract
/// `evaluate` is a pure function of the genome and the trial seed: the same pair gives the same
/// [`Evaluation`] on every machine, in any order and from any number of threads. Different trial seeds
/// give independent samples of the same expected cost.
pub trait Workload: Send + Sync {
    /// The schema whose genomes this workload can score.
    fn schema(&self) -> &GenomeSchema;

    /// Scores a genome once on every instance.
    ///
    /// # Errors
    /// [`WorkloadError::SchemaMismatch`] for a foreign genome; [`WorkloadError::Failed`] when the
    /// workload has parts that can fail.
    fn evaluate(&self, genome: &Genome, trial_seed: u64) -> Result<Evaluation, WorkloadError>;
}
