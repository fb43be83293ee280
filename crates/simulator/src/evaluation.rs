//! The final table: what did the federation learn, on instances that nobody learnt on?
//!
//! Every genome meets the same trial seeds. Costs are permille of what the published solver needs, so the
//! published default stands near 1000 and lower is better.

use governance::artifact::{Evaluation, EvaluationRow, FamilyCost};
use meta_core::genome::{Genome, GenomeError, GenomeSchema};
use meta_core::optimizer::{EvolveError, evolve};
use meta_core::rng::Stream;
use meta_core::workload::coloring::{ColoringWorkload, Family, published_default};
use meta_core::workload::{Workload, WorkloadError};
use rayon::prelude::*;
use thiserror::Error;

use crate::scenario::{Scenario, Workloads};

/// Labels of the rows, in their order.
pub const LABELS: [&str; 4] =
    ["start genome", "each site alone", "federated", "published TabuCol default"];

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

/// Measures the four rows of the table.
pub fn evaluate(
    scenario: &Scenario,
    seed: u64,
    schema: &GenomeSchema,
    workloads: &Workloads,
    alone: &[Genome],
    federated: &Genome,
) -> Result<Evaluation, EvaluationError> {
    let trials = scenario.document().learning.held_out_trials;
    let single = |genome: Genome| vec![genome];
    let genomes = [
        single(Genome::start(schema)),
        alone.to_vec(),
        single(federated.clone()),
        single(published_default(schema)?),
    ];
    let mut rows = Vec::with_capacity(LABELS.len());
    for (label, genomes) in LABELS.iter().zip(genomes) {
        rows.push(row(label, &genomes, seed, trials, &workloads.held_out)?);
    }
    let sentence = sentence(&rows);
    Ok(Evaluation::new(scenario.document().epochs, rows, sentence))
}

/// Mean cost of several genomes on every family.
fn row(
    label: &str,
    genomes: &[Genome],
    seed: u64,
    trials: u32,
    held_out: &[(Family, ColoringWorkload)],
) -> Result<EvaluationRow, EvaluationError> {
    let families: Vec<FamilyCost> = held_out
        .par_iter()
        .map(|(family, workload)| {
            let mut total = 0u64;
            for genome in genomes {
                total = total.saturating_add(cost(genome, seed, trials, *family, workload)?);
            }
            let count = (genomes.len() as u64).max(1);
            let cost_permille = u32::try_from(total / count).unwrap_or(u32::MAX);
            Ok(FamilyCost { family: family.name().to_owned(), cost_permille })
        })
        .collect::<Result<_, EvaluationError>>()?;
    let sum: u64 = families.iter().map(|family| u64::from(family.cost_permille)).sum();
    let mean = sum / (families.len() as u64).max(1);
    let cost_permille = u32::try_from(mean).unwrap_or(u32::MAX);
    Ok(EvaluationRow { label: label.to_owned(), cost_permille, families })
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

/// Says in one sentence what the figures show, whichever way they fall.
fn sentence(rows: &[EvaluationRow]) -> String {
    let cost = |index: usize| rows.get(index).map_or(0, |row| row.cost_permille);
    let [start, alone, federated, published] = [cost(0), cost(1), cost(2), cost(3)];
    let against = |name: &str, other: u32| {
        let (a, b) = (u64::from(federated), u64::from(other).max(1));
        match federated.cmp(&other) {
            core::cmp::Ordering::Less => format!("{}% cheaper than {name}", (b - a) * 100 / b),
            core::cmp::Ordering::Equal => format!("as cheap as {name}"),
            core::cmp::Ordering::Greater => format!("{}% dearer than {name}", (a - b) * 100 / b),
        }
    };
    format!(
        "On instances nobody trained on, the federated genome is {}, {} and {}.",
        against("the untuned start", start),
        against("a site that learns alone", alone),
        against("the published hand-tuned default", published),
    )
}
