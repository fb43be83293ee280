//! The final table: what did the federation learn, on instances that nobody learnt on?
//!
//! Every genome meets the same trial seeds. Costs are permille of what the published solver needs, so the
//! published default stands near 1000 and lower is better.

use governance::artifact::evaluation::RowKind;
use governance::artifact::{Evaluation, EvaluationRow, FamilyCost};
use meta_core::genome::{Genome, GenomeError, GenomeSchema};
use meta_core::optimizer::{EvolveError, evolve};
use meta_core::rng::Stream;
use meta_core::workload::coloring::{ColoringWorkload, Family, published_default};
use meta_core::workload::{Workload, WorkloadError};
use rayon::prelude::*;
use thiserror::Error;

use crate::scenario::{Scenario, Workloads};

/// Why a table cannot be made.
#[derive(Debug, Error)]
pub enum EvaluationError {
    /// A genome does not fit the schema.
    #[error(transparent)]
    Genome(#[from] GenomeError),
    /// A workload gives no cost.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    /// A local cycle failed.
    #[error(transparent)]
    Evolve(#[from] EvolveError),
}

/// What each site reaches alone: as many cycles with the same budget as the federation ran, each starting
/// from its own last genome.
pub fn evolve_alone(
    scenario: &Scenario,
    seed: u64,
    schema: &GenomeSchema,
    sites: &[ColoringWorkload],
    done: impl Fn() + Sync,
) -> Result<Vec<Genome>, EvaluationError> {
    let settings = scenario.evolution();
    let epochs = scenario.document().epochs;
    let alone = |(index, workload): (usize, &ColoringWorkload)| {
        let mut genome = Genome::start(schema);
        for epoch in 0..epochs {
            let parts = [seed, index as u64, epoch].map(u64::to_le_bytes);
            let seed =
                Stream::new("simulator/alone", &parts.each_ref().map(|part| part.as_slice()))
                    .bytes32();
            genome = evolve(workload, &genome, &settings, seed)?.best;
            done();
        }
        Ok(genome)
    };
    sites.par_iter().enumerate().map(alone).collect()
}

/// Genomes that [`evaluate`] measures for this many lone sites: theirs, and the start, the federation's and
/// the published one.
pub const fn measured_genomes(sites: u64) -> u64 {
    sites + 3
}

/// Measures the rows of the table; `done` is called after each of [`measured_genomes`].
pub fn evaluate(
    scenario: &Scenario,
    seed: u64,
    schema: &GenomeSchema,
    workloads: &Workloads,
    (alone, federated): (&[Genome], &Genome),
    done: impl Fn(),
) -> Result<Evaluation, EvaluationError> {
    let trials = scenario.document().learning.held_out_trials;
    let measure = |genome: &Genome| {
        let costs = costs(genome, seed, trials, &workloads.held_out);
        done();
        costs
    };
    let mut rows = vec![EvaluationRow::new(RowKind::Start, measure(&Genome::start(schema))?)];
    for (site, genome) in scenario.document().sites.iter().zip(alone) {
        rows.push(EvaluationRow::alone(site.name.as_str(), measure(genome)?));
    }
    rows.push(EvaluationRow::new(RowKind::Federated, measure(federated)?));
    let published = measure(&published_default(schema)?)?;
    rows.push(EvaluationRow::new(RowKind::Published, published));
    Ok(Evaluation::new(scenario.document().epochs, rows))
}

/// Costs of one genome in every family.
fn costs(
    genome: &Genome,
    seed: u64,
    trials: u32,
    held_out: &[(Family, ColoringWorkload)],
) -> Result<Vec<FamilyCost>, EvaluationError> {
    let one = |(family, workload): &(Family, ColoringWorkload)| {
        let cost = cost(genome, seed, trials, *family, workload)?;
        let cost_permille = u32::try_from(cost).unwrap_or(u32::MAX);
        Ok(FamilyCost { family: family.name().to_owned(), cost_permille })
    };
    let families: Vec<_> = held_out.par_iter().map(one).collect();
    families.into_iter().collect()
}

/// Mean cost per instance and trial.
fn cost(
    genome: &Genome,
    seed: u64,
    trials: u32,
    family: Family,
    workload: &ColoringWorkload,
) -> Result<u64, EvaluationError> {
    let parts: [&[u8]; 2] = [&seed.to_le_bytes(), family.name().as_bytes()];
    let mut stream = Stream::new("simulator/held-out", &parts);
    let mut total = 0u64;
    for _ in 0..trials {
        let evaluation = workload.evaluate(genome, stream.next_u64())?;
        total = total.saturating_add(evaluation.cost.permille());
    }
    Ok(total / (u64::from(trials) * workload.instances().len() as u64).max(1))
}
