//! One colouring problem with the yardstick its costs are measured by.

use super::dsatur::{DsaturColoring, dsatur};
use super::graph::Graph;
use super::tabucol::{TabuOutcome, TabuParameters, tabucol};
use crate::rng::Stream;
use crate::workload::{Cost, Evaluation};

/// A run may use this many times the reference work before it counts as unsolved.
const BUDGET_FACTOR: u64 = 6;
/// An unsolved run costs its budget plus this part of it for each conflict left.
const CONFLICT_PENALTY_DIVISOR: u64 = 8;
/// Runs of the published solver whose mean work is the reference.
const CALIBRATION_RUNS: u64 = 16;
/// How far above DSATUR's number of colours [`Instance::hardest`] looks.
const MAX_EXTRA_COLORS: usize = 4;

/// Why no instance could be made of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InstanceError {
    /// The published solver did not solve every calibration run.
    #[error(
        "{solved} of {runs} calibration runs solved k = {k} within {cap} work units: must be all"
    )]
    NotSolved {
        /// Colours asked for.
        k: usize,
        /// Runs solved before the first failure.
        solved: u64,
        /// Runs needed.
        runs: u64,
        /// Work units a run may use.
        cap: u64,
    },
    /// No number of colours that was tried is within the published solver's reach.
    #[error(
        "no k from {least} to {most} colours is solved by all {runs} calibration runs within {cap} work units each ({vertices} vertices, {edges} edges)"
    )]
    TooHard {
        /// Least number of colours tried, DSATUR's.
        least: usize,
        /// Most colours tried.
        most: usize,
        /// Runs needed.
        runs: u64,
        /// Work units a run may use.
        cap: u64,
        /// Vertices of the graph.
        vertices: usize,
        /// Its edges.
        edges: usize,
    },
}

/// A graph, a number of colours, and the work the published solver needs on average.
#[derive(Debug, Clone)]
pub struct Instance {
    graph: Graph,
    start: DsaturColoring,
    k: usize,
    /// Mean work of the published solver, in work units, at least 1.
    reference: u64,
    /// Work after which a run counts as unsolved.
    budget: u64,
}

impl Instance {
    /// Measures the published solver on `graph` with `k` colours; each run may use `cap` work units.
    ///
    /// # Errors
    /// [`InstanceError::NotSolved`] when a run fails: such an instance would only measure its own budget.
    pub fn with_colors(graph: Graph, k: usize, cap: u64) -> Result<Self, InstanceError> {
        let start = dsatur(&graph);
        let reference = calibrate(&graph, &start, k, cap)?;
        Ok(Self::from_parts(graph, start, k, reference))
    }

    /// Chooses the hardest `k` that the published solver still masters: the last before a calibration run
    /// fails, going down from DSATUR's number of colours (or from a little above, where even that fails).
    ///
    /// # Errors
    /// [`InstanceError::TooHard`] when nothing near DSATUR's number of colours is solved within `cap`.
    pub fn hardest(graph: Graph, cap: u64) -> Result<Self, InstanceError> {
        let start = dsatur(&graph);
        let mut k = start.color_count;
        let mut reference = calibrate(&graph, &start, k, cap);
        while reference.is_err() && k < start.color_count + MAX_EXTRA_COLORS {
            k += 1;
            reference = calibrate(&graph, &start, k, cap);
        }
        let Ok(mut reference) = reference else {
            let (least, most, runs) = (start.color_count, k, CALIBRATION_RUNS);
            let (vertices, edges) = (graph.vertex_count(), graph.edge_count());
            return Err(InstanceError::TooHard { least, most, runs, cap, vertices, edges });
        };
        while k > 1 {
            let Ok(harder) = calibrate(&graph, &start, k - 1, cap) else {
                break;
            };
            (k, reference) = (k - 1, harder);
        }
        Ok(Self::from_parts(graph, start, k, reference))
    }

    fn from_parts(graph: Graph, start: DsaturColoring, k: usize, reference: u64) -> Self {
        Self { graph, start, k, reference, budget: reference.saturating_mul(BUDGET_FACTOR) }
    }

    /// The graph.
    #[must_use]
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Colours allowed.
    #[must_use]
    pub const fn k(&self) -> usize {
        self.k
    }

    /// Mean work of the published solver, in work units.
    #[must_use]
    pub const fn reference(&self) -> u64 {
        self.reference
    }

    /// Work units after which a run counts as unsolved.
    #[must_use]
    pub const fn budget(&self) -> u64 {
        self.budget
    }

    /// Runs the solver once.
    #[must_use]
    pub fn solve(&self, parameters: &TabuParameters, stream: &mut Stream) -> TabuOutcome {
        tabucol(&self.graph, self.k, &self.start, parameters, self.budget, stream)
    }

    /// Runs the solver once and prices the run: work used when solved, otherwise the budget and a
    /// penalty for each conflict left, in permille of the reference.
    #[must_use]
    pub fn evaluate(&self, parameters: &TabuParameters, stream: &mut Stream) -> Evaluation {
        let outcome = self.solve(parameters, stream);
        let priced = if outcome.conflicts == 0 {
            outcome.work
        } else {
            self.budget + outcome.conflicts * self.budget / CONFLICT_PENALTY_DIVISOR
        };
        let permille = priced.saturating_mul(Cost::REFERENCE.permille()) / self.reference;
        Evaluation { cost: Cost::from_permille(permille), work: outcome.work }
    }
}

/// Mean work of the published solver over the calibration runs, all of which must succeed.
fn calibrate(
    graph: &Graph,
    start: &DsaturColoring,
    k: usize,
    cap: u64,
) -> Result<u64, InstanceError> {
    let parameters = TabuParameters::published();
    let mut total = 0;
    for run in 0..CALIBRATION_RUNS {
        let parts = [(k as u64).to_le_bytes(), run.to_le_bytes()];
        let mut stream = Stream::new("coloring/calibration", &[&parts[0], &parts[1]]);
        let outcome = tabucol(graph, k, start, &parameters, cap, &mut stream);
        if outcome.conflicts > 0 {
            return Err(InstanceError::NotSolved { k, solved: run, runs: CALIBRATION_RUNS, cap });
        }
        total += outcome.work;
    }
    Ok((total / CALIBRATION_RUNS).max(1))
}
