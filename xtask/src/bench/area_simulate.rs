//! What the federation costs beside the workload: signatures, consensus, recomputation, proofs, artifacts.
//!
//! A whole run is measured, then the same number of local cycles and the same held-out table alone, in the
//! same process. A run makes every cycle twice, once in the federation and once for the comparison with sites
//! that learn alone; the difference, by client-rounds, is the federation. Cycles are tiny here: with real
//! ones the difference of two large numbers would drown in their noise.

use std::collections::BTreeMap;

use meta_core::genome::Genome;
use meta_core::workload::coloring;
use simulator::FederationSimulator;
use simulator::evaluation::{evaluate, evolve_alone};
use simulator::scenario::Scenario;

use super::cpu::Mark;
use super::rounds::Comparison;
use super::{BarOf, BenchError, Row};

const SCENARIO: &str = include_str!("overhead.toml");
const SEED: u64 = 1;
/// The design's bar in milliseconds of CPU time: with signatures and consensus on.
const BAR_MS: f64 = 1.0;

pub(super) fn measure() -> Result<Vec<Row>, BenchError> {
    let scenario = Scenario::parse(SCENARIO.as_bytes())?;
    let document = scenario.document();
    let client_rounds = (document.epochs * document.sites.len() as u64) as f64;
    let files = BTreeMap::new();
    let schema = coloring::schema()?;
    let workloads = document.workloads(SEED, &files)?;
    let simulator = FederationSimulator::new(scenario.clone(), SEED, &files)?;

    let mark = Mark::now();
    let run = simulator.run(&mut |_| ())?;
    let whole = mark.elapsed_ms();

    let mark = Mark::now();
    let alone = evolve_alone(&scenario, SEED, &schema, &workloads.sites, || ())?;
    let cycles = mark.elapsed_ms();
    let mark = Mark::now();
    let start = Genome::start(&schema);
    let table = evaluate(&scenario, SEED, &schema, &workloads, (&alone, &start), || ())?;
    let evaluation = mark.elapsed_ms();
    // Neither may be optimised away.
    std::hint::black_box((run, table));

    let overhead = (whole - 2.0 * cycles - evaluation).max(0.0) / client_rounds;
    let comparison = Comparison {
        area: "simulate",
        name: "federation overhead, CPU per client-round".to_owned(),
        unit: "ms",
        values: &[overhead],
        reference: "smallest local cycle, CPU per client-round".to_owned(),
        references: &[cycles / client_rounds],
        bar: Some(BAR_MS),
        bar_of: BarOf::Value,
    };
    Ok(vec![comparison.row()])
}
