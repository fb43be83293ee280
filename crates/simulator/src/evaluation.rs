//! The final table: what did the federation learn, on instances that nobody learnt on?
//!
//! Every genome meets the same trial seeds. Costs are permille of what the published solver needs, so the
//! published default stands near 1000 and lower is better.

use core::cmp::Ordering;

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
pub const LABELS: [&str; 6] = [
    "start genome",
    "sites alone, mean",
    "sites alone, median site",
    "sites alone, best site",
    "federated",
    "published TabuCol default",
];

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

/// Measures the rows of the table. The lone sites are shown as their mean and as two single sites, because
/// one site that learnt something useless elsewhere moves a mean a long way.
pub fn evaluate(
    scenario: &Scenario,
    seed: u64,
    schema: &GenomeSchema,
    workloads: &Workloads,
    alone: &[Genome],
    federated: &Genome,
) -> Result<Evaluation, EvaluationError> {
    let trials = scenario.document().learning.held_out_trials;
    let measure = |genome: &Genome| costs(genome, seed, trials, &workloads.held_out);
    let mut lone = alone.iter().map(measure).collect::<Result<Vec<Costs>, _>>()?;
    lone.sort();
    let families = workloads.held_out.len();
    let columns = [
        measure(&Genome::start(schema))?,
        mean(&lone, families),
        lone.get(lone.len() / 2).cloned().unwrap_or_default(),
        lone.first().cloned().unwrap_or_default(),
        measure(federated)?,
        measure(&published_default(schema)?)?,
    ];
    let names = || workloads.held_out.iter().map(|(family, _)| family.name());
    let rows: Vec<EvaluationRow> =
        LABELS.iter().zip(&columns).map(|(label, costs)| costs.row(label, names())).collect();
    let sentence = sentence(&columns);
    Ok(Evaluation::new(scenario.document().epochs, rows, sentence))
}

/// Costs of one genome in permille: the mean over the families, then each family.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Costs {
    mean: u64,
    families: Vec<u64>,
}

impl Costs {
    fn of(families: Vec<u64>) -> Self {
        let sum: u64 = families.iter().sum();
        Self { mean: sum / (families.len() as u64).max(1), families }
    }

    fn row<'n>(&self, label: &str, names: impl Iterator<Item = &'n str>) -> EvaluationRow {
        let permille = |cost: u64| u32::try_from(cost).unwrap_or(u32::MAX);
        let families = names.zip(&self.families).map(|(family, cost)| FamilyCost {
            family: family.to_owned(),
            cost_permille: permille(*cost),
        });
        EvaluationRow {
            label: label.to_owned(),
            cost_permille: permille(self.mean),
            families: families.collect(),
        }
    }
}

fn costs(
    genome: &Genome,
    seed: u64,
    trials: u32,
    held_out: &[(Family, ColoringWorkload)],
) -> Result<Costs, EvaluationError> {
    let one = |(family, workload): &(Family, ColoringWorkload)| {
        cost(genome, seed, trials, *family, workload)
    };
    let families: Vec<_> = held_out.par_iter().map(one).collect();
    Ok(Costs::of(families.into_iter().collect::<Result<_, _>>()?))
}

/// The mean over several genomes, family by family.
fn mean(all: &[Costs], families: usize) -> Costs {
    let count = (all.len() as u64).max(1);
    let family = |index: usize| {
        let total: u64 = all.iter().filter_map(|costs| costs.families.get(index)).sum();
        total / count
    };
    Costs::of((0..families).map(family).collect())
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
fn sentence(columns: &[Costs; 6]) -> String {
    let [start, mean, median, best, federated, published] =
        columns.each_ref().map(|costs| costs.mean);
    let against = |name: &str, other: u64| {
        let other_or_one = other.max(1);
        match federated.cmp(&other) {
            Ordering::Less => {
                format!("{}% cheaper than {name}", (other - federated) * 100 / other_or_one)
            }
            Ordering::Equal => format!("as cheap as {name}"),
            Ordering::Greater => {
                format!("{}% dearer than {name}", (federated - other) * 100 / other_or_one)
            }
        }
    };
    format!(
        "On instances nobody trained on, the federated genome is {}, {}, {}, {} and {}.",
        against("the untuned start", start),
        against("the sites alone on average", mean),
        against("the median site alone", median),
        against("the luckiest site alone", best),
        against("the published default", published),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_follows_the_figures_whichever_way_they_fall() {
        let columns =
            [2000, 1500, 900, 800, 1000, 1000].map(|mean| Costs { mean, families: vec![mean] });
        let sentence = sentence(&columns);
        for part in [
            "50% cheaper than the untuned start",
            "33% cheaper than the sites alone on average",
            "11% dearer than the median site alone",
            "25% dearer than the luckiest site alone",
            "as cheap as the published default",
        ] {
            assert!(sentence.contains(part), "{sentence}");
        }
    }

    #[test]
    fn a_mean_is_taken_family_by_family() {
        let all = [vec![1, 10], vec![3, 30]].map(Costs::of);
        assert_eq!(mean(&all, 2), Costs { mean: 11, families: vec![2, 20] });
        assert_eq!(mean(&[], 2), Costs { mean: 0, families: vec![0, 0] });
    }
}
