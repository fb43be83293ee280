//! Is there something to learn, and does averaging help? Run with
//! `cargo run --release -p meta-core --example coloring_landscape -- [seeds] [epochs]`.
//!
//! Eight sites hold one family of graphs each. Printed, for every seed, as the ratio to the published
//! TabuCol on held-out instances (below 1.00 is better than published): the untuned start, genomes
//! evolved by each site alone (on its own family and on all), and the federated genome (the mean of the
//! sites' deltas, repeated). The mean over lone sites is carried by the few whose family teaches nothing
//! about the others, so the median and the best and worst site are printed beside it.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "an example may time itself"
)]

use std::error::Error;
use std::time::Instant;

use meta_core::genome::Genome;
use meta_core::optimizer::{EvolutionSettings, evolve};
use meta_core::workload::coloring::{
    ColoringWorkload, Family, Instance, Split, published_default, schema,
};
use meta_core::workload::{Evaluation, Workload};
use rayon::prelude::*;

/// Held-out evaluations of every genome.
const JUDGE_TRIALS: u64 = 60;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let seeds: u64 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let epochs: u64 = arguments.next().map_or(Ok(6), |text| text.parse())?;
    for seed in 1..=seeds {
        one_seed(seed, epochs)?;
    }
    Ok(())
}

fn one_seed(seed: u64, epochs: u64) -> Outcome<()> {
    let begun = Instant::now();
    let sites = workloads(Split::Training, seed)?;
    let held_out = workloads(Split::HeldOut, seed)?;
    let building = begun.elapsed();
    let schema = schema()?;
    let start = Genome::start(&schema);
    let judge = Judge::new(&held_out, &published_default(&schema)?)?;
    println!("seed {seed}: sites built in {building:.1?}");
    judge.line("start", &start)?;

    let begun = Instant::now();
    let mut local = vec![start.clone(); sites.len()];
    for epoch in 0..epochs {
        local = cycle(&sites, &local, seed, epoch)?;
    }
    println!("  local-only learning took {:.1?}", begun.elapsed());
    for (family, genome) in Family::ALL.iter().zip(&local) {
        judge.line(&format!("local {}", family.name()), genome)?;
    }
    let own = local.iter().enumerate().map(|(site, genome)| judge.ratio(site, genome));
    println!(
        "  local on own family, mean of sites:   {:.2}",
        mean(&own.collect::<Outcome<Vec<_>>>()?)
    );
    let all = local.iter().map(|genome| Ok(mean(&judge.ratios(genome)?)));
    let mut all = all.collect::<Outcome<Vec<f64>>>()?;
    all.sort_by(f64::total_cmp);
    println!(
        "  local on all families, over sites: mean {:.2}, best {:.2}, median {:.2}, worst {:.2}",
        mean(&all),
        all[0],
        (all[all.len() / 2 - 1] + all[all.len() / 2]) / 2.0,
        all[all.len() - 1],
    );

    let begun = Instant::now();
    let mut global = start;
    for epoch in 0..epochs {
        let found = cycle(&sites, &vec![global.clone(); sites.len()], seed, epoch)?;
        global = average(&schema, &found)?;
        judge.line(&format!("federated, epoch {}", epoch + 1), &global)?;
    }
    println!("  federated learning took {:.1?}", begun.elapsed());
    let personal = cycle(&sites, &vec![global.clone(); sites.len()], seed, epochs)?;
    let own = personal.iter().enumerate().map(|(site, genome)| judge.ratio(site, genome));
    println!(
        "  federated, then one local cycle, own family: {:.2}",
        mean(&own.collect::<Outcome<Vec<_>>>()?)
    );
    print!("{}", global.render(&schema).unwrap_or_default());
    Ok(())
}

fn workloads(split: Split, seed: u64) -> Outcome<Vec<ColoringWorkload>> {
    let build = |family: &Family| -> Outcome<ColoringWorkload> {
        let instances: Vec<Instance> = family.instances(split, seed)?;
        Ok(ColoringWorkload::new(instances)?)
    };
    Family::ALL.par_iter().map(build).collect()
}

/// One local cycle at every site.
fn cycle(
    sites: &[ColoringWorkload],
    incumbents: &[Genome],
    seed: u64,
    epoch: u64,
) -> Outcome<Vec<Genome>> {
    let run = |(site, (workload, incumbent)): (usize, (&ColoringWorkload, &Genome))| {
        let mut stream_seed = [0; 32];
        let values = [seed, epoch, site as u64];
        for (slot, value) in stream_seed.chunks_exact_mut(8).zip(values) {
            slot.copy_from_slice(&value.to_le_bytes());
        }
        Ok(evolve(workload, incumbent, &EvolutionSettings::default(), stream_seed)?.best)
    };
    sites.par_iter().zip(incumbents).enumerate().map(run).collect()
}

/// The genome at the mean of all genomes; the same as adding the mean delta to a common base.
fn average(schema: &meta_core::genome::GenomeSchema, genomes: &[Genome]) -> Outcome<Genome> {
    let mean_gene = |gene: usize| {
        let total: i64 = genomes.iter().map(|genome| i64::from(genome.values()[gene])).sum();
        total / genomes.len() as i64
    };
    let values: Vec<i64> = (0..schema.dimension()).map(mean_gene).collect();
    Ok(Genome::clamped(schema, &values)?)
}

/// Costs relative to the published solver, on common seeds no site has seen.
struct Judge<'a> {
    held_out: &'a [ColoringWorkload],
    published: Vec<f64>,
}

impl<'a> Judge<'a> {
    fn new(held_out: &'a [ColoringWorkload], published: &Genome) -> Outcome<Self> {
        let costs = held_out.par_iter().map(|workload| judged_cost(workload, published));
        Ok(Self { held_out, published: costs.collect::<Outcome<_>>()? })
    }

    fn ratio(&self, site: usize, genome: &Genome) -> Outcome<f64> {
        Ok(judged_cost(&self.held_out[site], genome)? / self.published[site])
    }

    fn ratios(&self, genome: &Genome) -> Outcome<Vec<f64>> {
        (0..self.held_out.len()).into_par_iter().map(|site| self.ratio(site, genome)).collect()
    }

    fn line(&self, name: &str, genome: &Genome) -> Outcome<()> {
        let ratios = self.ratios(genome)?;
        let each: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:5.2}")).collect();
        println!("  {name:22} {:5.2}  [{}]", mean(&ratios), each.join(" "));
        Ok(())
    }
}

fn judged_cost(workload: &ColoringWorkload, genome: &Genome) -> Outcome<f64> {
    let mut total = Evaluation::default();
    for trial in 0..JUDGE_TRIALS {
        total = total.plus(workload.evaluate(genome, u64::MAX - trial)?);
    }
    Ok(total.cost.permille() as f64)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
