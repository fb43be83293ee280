//! Tests of the local cycle on a cheap synthetic workload, and its golden hash on a real one.

use super::*;
use crate::genome::q824::{self, ONE};
use crate::genome::{GeneKind, GeneSpec, ScaleBlock};
use crate::workload::coloring::{ColoringWorkload, Instance, generators};

/// A noisy bowl: cost grows with the squared distance from `target`, plus up to `noise` permille.
struct Bowl {
    schema: GenomeSchema,
    target: Vec<i32>,
    noise: u64,
}

impl Bowl {
    fn new(noise: u64) -> Self {
        let gene = |index: usize, kind| GeneSpec {
            name: format!("x{index}"),
            kind,
            min: -8 * ONE,
            max: 8 * ONE,
            start: -6 * ONE,
            block: 0,
        };
        let mut genes: Vec<GeneSpec> = (0..5).map(|i| gene(i, GeneKind::Continuous)).collect();
        genes.push(gene(5, GeneKind::Integer));
        let blocks = vec![ScaleBlock { name: "all".into(), scale_log2: 14 }];
        let schema = GenomeSchema::new("bowl", 1, blocks, genes).unwrap();
        Self { schema, target: vec![ONE, -2 * ONE, 3 * ONE, 0, 5 * ONE, 2 * ONE], noise }
    }
}

impl Workload for Bowl {
    fn schema(&self) -> &GenomeSchema {
        &self.schema
    }

    fn evaluate(&self, genome: &Genome, trial_seed: u64) -> Result<Evaluation, WorkloadError> {
        let distances = genome.values().iter().zip(&self.target).map(|(&value, &target)| {
            let distance = i64::from(value).abs_diff(i64::from(target)) >> 14;
            (distance * distance) >> 10
        });
        let noise = Stream::new("bowl", &[&trial_seed.to_le_bytes()]).uniform_below(self.noise + 1);
        let cost = Cost::from_permille(1000 + distances.sum::<u64>() + noise);
        Ok(Evaluation { cost, work: 10 })
    }
}

fn settings() -> EvolutionSettings {
    EvolutionSettings { evaluations: 1500, population: 12, trials: 1, ..Default::default() }
}

#[test]
fn the_bowl_is_descended() {
    let bowl = Bowl::new(300);
    let start = Genome::start(&bowl.schema);
    let result = evolve(&bowl, &start, &settings(), [1; 32]).unwrap();
    let near = result.best.values().iter().zip(&bowl.target);
    assert!(near.clone().all(|(&v, &t)| (v - t).abs() < ONE), "{:?}", near.collect::<Vec<_>>());
    assert!(q824::is_whole(result.best.values()[5]));
    assert!(result.best_cost < result.incumbent_cost);
    assert!(result.evaluations <= 1500);
    assert_eq!(result.work_units, 10 * result.evaluations);
}

#[test]
fn an_optimal_incumbent_stays() {
    let bowl = Bowl::new(0);
    let best = Genome::from_values(&bowl.schema, bowl.target.clone()).unwrap();
    let result = evolve(&bowl, &best, &settings(), [2; 32]).unwrap();
    assert_eq!(result.best, best);
    assert_eq!(result.best_cost, result.incumbent_cost);
    assert_eq!(result.best_cost, Cost::REFERENCE);
}

#[test]
fn the_margin_keeps_the_incumbent_where_gains_are_small() {
    let bowl = Bowl::new(0);
    let mut values = bowl.target.clone();
    // Cost 1009 at the incumbent: at most 9 permille can be gained.
    values[0] += 3 * ONE / 32;
    let incumbent = Genome::from_values(&bowl.schema, values).unwrap();
    let strict = evolve(&bowl, &incumbent, &settings(), [3; 32]).unwrap();
    assert_eq!((strict.best, strict.best_cost.permille()), (incumbent.clone(), 1009));
    let eager = EvolutionSettings { min_gain_permille: 0, sigma_permille: 5, ..settings() };
    let gained = evolve(&bowl, &incumbent, &eager, [3; 32]).unwrap();
    assert!(gained.best_cost.permille() < 1009, "{gained:?}");
}

#[test]
fn the_work_limit_stops_new_generations() {
    let bowl = Bowl::new(0);
    let limited = EvolutionSettings { work_limit: 1, ..settings() };
    let result = evolve(&bowl, &Genome::start(&bowl.schema), &limited, [4; 32]).unwrap();
    assert_eq!(result.evaluations, limited.per_generation() + limited.per_final());
}

#[test]
fn impossible_settings_are_refused() {
    let bowl = Bowl::new(0);
    let start = Genome::start(&bowl.schema);
    let refusal = |edit: fn(&mut EvolutionSettings)| {
        let mut settings = settings();
        edit(&mut settings);
        evolve(&bowl, &start, &settings, [0; 32]).unwrap_err()
    };
    assert!(matches!(refusal(|s| s.population = 3), EvolveError::Population { found: 3, .. }));
    assert!(matches!(refusal(|s| s.population = 1025), EvolveError::Population { .. }));
    assert!(matches!(refusal(|s| s.trials = 0), EvolveError::Trials { trials: 0, .. }));
    assert!(matches!(refusal(|s| s.final_trials = 0), EvolveError::Trials { .. }));
    assert!(matches!(refusal(|s| s.sigma_permille = 1001), EvolveError::Sigma { found: 1001 }));
    assert!(matches!(refusal(|s| s.min_gain_permille = 1000), EvolveError::Gain { found: 1000 }));
    assert!(matches!(
        refusal(|s| s.evaluations = 51),
        EvolveError::Evaluations { evaluations: 51, needed: 52 }
    ));
}

#[test]
fn a_foreign_incumbent_is_refused() {
    let coloring = small_coloring();
    let foreign = Genome::start(&Bowl::new(0).schema);
    let refusal = evolve(&coloring, &foreign, &settings(), [0; 32]).unwrap_err();
    assert!(matches!(refusal, EvolveError::Workload(WorkloadError::SchemaMismatch { .. })));
}

fn small_coloring() -> ColoringWorkload {
    let graph = generators::queen(5, 5).unwrap();
    let random = generators::gnp(30, 500, 7).unwrap();
    let instances = [graph, random].map(|graph| Instance::hardest(graph, 50_000).unwrap());
    ColoringWorkload::new(instances.to_vec()).unwrap()
}

/// The bits of a whole cycle: streams, solver, float arithmetic and selection together. If this changes,
/// learned results of the federation change with it, and nodes of two versions disagree.
#[test]
fn one_cycle_is_pinned() {
    let workload = small_coloring();
    let start = Genome::start(workload.schema());
    let few = EvolutionSettings { evaluations: 200, population: 10, final_trials: 5, ..settings() };
    let run = || evolve(&workload, &start, &few, [9; 32]).unwrap();
    let result = run();
    assert_eq!(result, run());
    let mut hasher = blake3::Hasher::new();
    for value in result.best.values() {
        hasher.update(&value.to_le_bytes());
    }
    for number in [
        result.incumbent_cost.permille(),
        result.best_cost.permille(),
        result.evaluations,
        result.work_units,
    ] {
        hasher.update(&number.to_le_bytes());
    }
    let golden = "d69e4c5a7983d129f1dcb37df488077020c05ec4ee2079a4644979a8c3cf231c";
    assert_eq!(hasher.finalize().to_hex().as_str(), golden, "{result:?}");
}
