//! Eight families of graphs, so that eight sites can each hold a problem of their own kind.
//!
//! A site sees instances of one family only; what it learns there need not hold elsewhere. Training and
//! held-out instances come from different arguments or seeds and never coincide.

use super::generators;
use super::graph::{Graph, GraphError};
use super::instance::{Instance, InstanceError};

/// Work units a calibration run may use, about a millisecond or two of release-mode CPU time.
const CALIBRATION_CAP: u64 = 400_000;
/// Instances in each set.
pub const INSTANCES: u64 = 4;

/// A family of graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Queen graphs of boards from 6 × 6 to 8 × 8.
    Queen,
    /// Sparse G(n, 0.1).
    GnpSparse,
    /// G(n, 0.5).
    GnpMedium,
    /// Dense G(n, 0.9).
    GnpDense,
    /// Random geometric graphs.
    Geometric,
    /// Equipartite graphs with a hidden colouring.
    Planted,
    /// Unions of cliques over a hidden colouring.
    Leighton,
    /// Latin squares.
    Latin,
}

/// Which of a family's two disjoint instance sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Split {
    /// Instances a site learns on.
    Training,
    /// Instances nobody learns on.
    HeldOut,
}

/// Why a family could not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FamilyError {
    /// A generator refused its arguments.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The solver could not be calibrated on a graph.
    #[error(transparent)]
    Instance(#[from] InstanceError),
}

impl Family {
    /// All families, in the order sites are given them.
    pub const ALL: [Self; 8] = [
        Self::Queen,
        Self::GnpSparse,
        Self::GnpMedium,
        Self::GnpDense,
        Self::Geometric,
        Self::Planted,
        Self::Leighton,
        Self::Latin,
    ];

    /// Stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queen => "queen",
            Self::GnpSparse => "gnp_sparse",
            Self::GnpMedium => "gnp_medium",
            Self::GnpDense => "gnp_dense",
            Self::Geometric => "geometric",
            Self::Planted => "planted",
            Self::Leighton => "leighton",
            Self::Latin => "latin",
        }
    }

    /// Builds and calibrates the family's instances of one split for one seed.
    ///
    /// # Errors
    /// [`FamilyError`] when a random graph happens to be too hard to calibrate.
    pub fn instances(self, split: Split, seed: u64) -> Result<Vec<Instance>, FamilyError> {
        let build = |index| {
            let graph = self.graph(split, seed, index)?;
            Ok(Instance::hardest(graph, CALIBRATION_CAP)?)
        };
        (0..INSTANCES).map(build).collect()
    }

    fn graph(self, split: Split, seed: u64, index: u64) -> Result<Graph, GraphError> {
        let held_out = split == Split::HeldOut;
        // Even seeds train, odd ones are held out.
        let seed = (seed.wrapping_mul(INSTANCES).wrapping_add(index) << 1) | u64::from(held_out);
        let step = index as usize;
        match self {
            Self::Queen => {
                let boards = [[(6, 6), (6, 8), (7, 7), (7, 9)], [(5, 8), (6, 7), (7, 8), (8, 8)]];
                let (rows, cols) = boards[usize::from(held_out)][step % 4];
                generators::queen(rows, cols)
            }
            Self::GnpSparse => generators::gnp(90 + 10 * step, 100, seed),
            Self::GnpMedium => generators::gnp(50 + 5 * step, 500, seed),
            Self::GnpDense => generators::gnp(45 + 5 * step, 900, seed),
            Self::Geometric => generators::geometric(80 + 10 * step, 250, seed),
            Self::Planted => generators::planted(70 + 10 * step, 5, 300, seed),
            Self::Leighton => generators::leighton(80 + 10 * step, 8, 60 + 10 * step, seed),
            Self::Latin => generators::latin_square(if held_out { 7 } else { 6 } + 2 * step),
        }
    }
}
