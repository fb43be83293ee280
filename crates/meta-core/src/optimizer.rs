//! The local meta-evolution cycle (MEC cycle): improve a genome on a site's private workload.
//!
//! The search is a separable CMA-ES (`sep_cma`) in the unit box of the genes, started at the incumbent.
//! Costs are noisy, so candidates of one generation meet the same trial seeds, and the finalists (best
//! samples, the final mean and the incumbent) are judged once more on fresh common seeds: luck is not
//! mistaken for progress, and the incumbent stays unless something is better by a stated margin.
//!
//! # Why no optimiser crate
//! The result is hashed and voted on, so every bit must be the same everywhere. `cmaes` 0.2 works over
//! nalgebra (matrix kernels chosen by CPU features, some fused) and `rand` 0.8 distributions, which are not
//! value-stable; `argmin` 0.11 has no evolution strategy and delegates its arithmetic to the same back
//! ends. A separable strategy needs no matrix at all: it is short enough to own and to pin.

mod sep_cma;

use crate::genome::{Genome, GenomeError, GenomeSchema};
use crate::rng::Stream;
use crate::workload::{Cost, Evaluation, Workload, WorkloadError};
use sep_cma::SepCma;

#[cfg(test)]
mod tests;

/// Sampled candidates that enter the final comparison.
const SAMPLED_FINALISTS: usize = 2;
/// Incumbent, final mean, and the sampled ones.
const FINALISTS: u64 = 2 + SAMPLED_FINALISTS as u64;
/// Largest population accepted.
pub const MAX_POPULATION: u32 = 1024;

/// Size and pace of one cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvolutionSettings {
    /// Workload evaluations the cycle may make, all told.
    pub evaluations: u64,
    /// Candidates a generation (λ).
    pub population: u32,
    /// Evaluations of each candidate, on different trial seeds.
    pub trials: u32,
    /// Evaluations of each finalist, on fresh trial seeds.
    pub final_trials: u32,
    /// Initial step size, in permille of each gene's range.
    pub sigma_permille: u32,
    /// Least improvement over the incumbent, in permille of its cost, that replaces it. A site with
    /// nothing left to learn then sends a zero delta, not the drift of genes it does not feel.
    pub min_gain_permille: u32,
    /// No generation starts once this much work is spent (the workload's units), so that one slow
    /// genome cannot stretch a cycle without end; `u64::MAX` for no limit.
    pub work_limit: u64,
}

impl Default for EvolutionSettings {
    fn default() -> Self {
        Self {
            evaluations: 520,
            population: 20,
            trials: 2,
            final_trials: 10,
            sigma_permille: 120,
            min_gain_permille: 20,
            work_limit: 200_000_000,
        }
    }
}

/// Why a cycle could not run.
#[derive(Debug, thiserror::Error)]
pub enum EvolveError {
    /// The population is too small to select from, or too large.
    #[error("population({found}) must be between 4 and {limit}")]
    Population {
        /// Population asked for.
        found: u32,
        /// Largest accepted.
        limit: u32,
    },
    /// No trials, so nothing would be measured.
    #[error("trials({trials}) and final_trials({final_trials}) must be at least 1")]
    Trials {
        /// Evaluations of a candidate.
        trials: u32,
        /// Evaluations of a finalist.
        final_trials: u32,
    },
    /// The initial step is nothing, or larger than the range itself.
    #[error("sigma_permille({found}) must be between 1 and 1000")]
    Sigma {
        /// Step asked for.
        found: u32,
    },
    /// No gain could be large enough.
    #[error("min_gain_permille({found}) must be below 1000")]
    Gain {
        /// Gain asked for.
        found: u32,
    },
    /// The budget does not pay for one generation and the final comparison.
    #[error("evaluations({evaluations}) must be >= one generation and the final({needed})")]
    Evaluations {
        /// Budget asked for.
        evaluations: u64,
        /// Least useful budget.
        needed: u64,
    },
    /// A genome of the schema could not be built.
    #[error(transparent)]
    Genome(#[from] GenomeError),
    /// The workload gave no cost; includes an incumbent of another schema.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
}

/// What a cycle found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalResult {
    /// The best finalist; the incumbent itself when nothing beat it.
    pub best: Genome,
    /// Mean cost of the incumbent over the final trials.
    pub incumbent_cost: Cost,
    /// Mean cost of `best` over the same trials; never above `incumbent_cost`.
    pub best_cost: Cost,
    /// Workload evaluations made.
    pub evaluations: u64,
    /// Work spent, in the workload's units.
    pub work_units: u64,
}

impl EvolutionSettings {
    /// Evaluations of one generation.
    const fn per_generation(&self) -> u64 {
        self.population as u64 * self.trials as u64
    }

    /// Evaluations of the final comparison.
    const fn per_final(&self) -> u64 {
        FINALISTS * self.final_trials as u64
    }

    /// The least budget that pays for one generation and the final comparison, in workload evaluations.
    #[must_use]
    pub const fn least_evaluations(&self) -> u64 {
        self.per_generation().saturating_add(self.per_final())
    }

    /// Whether [`evolve`] would accept the settings, so that a bad file is refused before any work is done.
    ///
    /// # Errors
    /// [`EvolveError`] naming the first setting out of range.
    pub fn validate(&self) -> Result<(), EvolveError> {
        if !(4..=MAX_POPULATION).contains(&self.population) {
            return Err(EvolveError::Population { found: self.population, limit: MAX_POPULATION });
        }
        if self.trials == 0 || self.final_trials == 0 {
            let (trials, final_trials) = (self.trials, self.final_trials);
            return Err(EvolveError::Trials { trials, final_trials });
        }
        if !(1..=1000).contains(&self.sigma_permille) {
            return Err(EvolveError::Sigma { found: self.sigma_permille });
        }
        if self.min_gain_permille >= 1000 {
            return Err(EvolveError::Gain { found: self.min_gain_permille });
        }
        let needed = self.least_evaluations();
        if self.evaluations < needed {
            return Err(EvolveError::Evaluations { evaluations: self.evaluations, needed });
        }
        Ok(())
    }
}

/// Runs one cycle: a pure function of the workload, the incumbent, the settings and the seed.
///
/// It is sequential on purpose; run different sites, not one site's candidates, in parallel.
///
/// # Errors
/// [`EvolveError`] for impossible settings, a foreign incumbent or a failing workload.
pub fn evolve(
    workload: &dyn Workload,
    incumbent: &Genome,
    settings: &EvolutionSettings,
    seed: [u8; 32],
) -> Result<LocalResult, EvolveError> {
    settings.validate()?;
    let schema = workload.schema();
    if !incumbent.belongs_to(schema) {
        return Err(EvolveError::Workload(WorkloadError::SchemaMismatch {
            workload: schema.name().to_owned(),
            expected: schema.digest(),
            found: incumbent.schema_digest(),
        }));
    }
    let mut cycle = Cycle { workload, spent: Evaluation::default(), evaluations: 0 };
    let mut samples = Stream::new("mec/samples", &[&seed]);
    let mut trials = Stream::new("mec/trials", &[&seed]);
    let sigma = f64::from(settings.sigma_permille) / 1000.0;
    let mut search = SepCma::new(to_unit(schema, incumbent), sigma, settings.population as usize);
    let mut best_samples: Vec<(Cost, Genome)> = Vec::new();
    let generations = (settings.evaluations - settings.per_final()) / settings.per_generation();
    for _ in 0..generations {
        if cycle.spent.work >= settings.work_limit {
            break;
        }
        let seeds = draw_seeds(settings.trials, &mut trials);
        let points = search.ask(&mut samples);
        let mut costs = Vec::with_capacity(points.len());
        for point in &points {
            let genome = from_unit(schema, point)?;
            let cost = cycle.total_cost(&genome, &seeds)?;
            costs.push(cost);
            best_samples.push((cost, genome));
        }
        keep_best(&mut best_samples);
        search.tell(&points, &costs);
    }
    let mut finalists = vec![from_unit(schema, search.mean())?];
    finalists.extend(best_samples.into_iter().map(|(_, genome)| genome));
    let seeds = draw_seeds(settings.final_trials, &mut trials);
    let (best, costs) = cycle.judge(incumbent, finalists, &seeds, settings)?;
    let mean =
        |total: Cost| Cost::from_permille(total.permille() / u64::from(settings.final_trials));
    Ok(LocalResult {
        best,
        incumbent_cost: mean(costs.0),
        best_cost: mean(costs.1),
        evaluations: cycle.evaluations,
        work_units: cycle.spent.work,
    })
}

/// The workload and what was spent on it.
struct Cycle<'a> {
    workload: &'a dyn Workload,
    spent: Evaluation,
    evaluations: u64,
}

impl Cycle<'_> {
    /// Cost of a genome summed over the trials.
    fn total_cost(&mut self, genome: &Genome, seeds: &[u64]) -> Result<Cost, WorkloadError> {
        let mut total = Cost::default();
        for &seed in seeds {
            let evaluation = self.workload.evaluate(genome, seed)?;
            self.spent = self.spent.plus(evaluation);
            self.evaluations += 1;
            total = total.plus(evaluation.cost);
        }
        Ok(total)
    }

    /// The winner among the incumbent and its challengers, with the summed costs of incumbent and winner.
    fn judge(
        &mut self,
        incumbent: &Genome,
        challengers: Vec<Genome>,
        seeds: &[u64],
        settings: &EvolutionSettings,
    ) -> Result<(Genome, (Cost, Cost)), WorkloadError> {
        let standing = self.total_cost(incumbent, seeds)?;
        let mut winner = (incumbent.clone(), standing);
        let kept = 1000 - u128::from(settings.min_gain_permille);
        for genome in challengers {
            let cost = self.total_cost(&genome, seeds)?;
            let gains =
                u128::from(cost.permille()) * 1000 <= u128::from(standing.permille()) * kept;
            // Strictly better than the best so far, so the earlier of equals stays.
            if gains && cost < winner.1 {
                winner = (genome, cost);
            }
        }
        Ok((winner.0, (standing, winner.1)))
    }
}

fn draw_seeds(count: u32, stream: &mut Stream) -> Vec<u64> {
    (0..count).map(|_| stream.next_u64()).collect()
}

/// Keeps the best samples so far; the earlier of equals stays.
fn keep_best(samples: &mut Vec<(Cost, Genome)>) {
    samples.sort_by_key(|&(cost, _)| cost);
    samples.dedup_by(|a, b| a.1 == b.1);
    samples.truncate(SAMPLED_FINALISTS);
}

/// Gene values as fractions of their ranges.
fn to_unit(schema: &GenomeSchema, genome: &Genome) -> Vec<f64> {
    let genes = schema.genes().iter().zip(genome.values());
    genes
        .map(|(gene, &value)| {
            let span = f64::from(gene.max) - f64::from(gene.min);
            if span > 0.0 { (f64::from(value) - f64::from(gene.min)) / span } else { 0.0 }
        })
        .collect()
}

/// The legal genome nearest to a point of the unit box.
fn from_unit(schema: &GenomeSchema, point: &[f64]) -> Result<Genome, GenomeError> {
    let genes = schema.genes().iter().zip(point);
    let values = genes.map(|(gene, &x)| {
        let span = f64::from(gene.max) - f64::from(gene.min);
        // Adding a half and flooring rounds to nearest; floor is exact on every target.
        (f64::from(gene.min) + x * span + 0.5).floor() as i64
    });
    Genome::clamped(schema, &values.collect::<Vec<i64>>())
}
