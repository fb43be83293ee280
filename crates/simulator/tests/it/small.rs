//! The scenario that the tests run, and ways to bend it.

use std::collections::BTreeMap;

use simulator::scenario::Scenario;
use simulator::{FederationSimulator, SimulationError, SimulationRun};

/// Five sites, two epochs, tiny budgets.
pub(crate) const SMALL: &str = include_str!("../scenarios/small.toml");

/// The small scenario with more text at its end.
pub(crate) fn scenario_with(more: &str) -> Scenario {
    Scenario::parse(format!("{SMALL}\n{more}\n").as_bytes()).expect("the small scenario")
}

/// Runs a scenario whose instances need no files.
pub(crate) fn run(scenario: Scenario, seed: u64) -> Result<SimulationRun, SimulationError> {
    FederationSimulator::new(scenario, seed, &BTreeMap::new())?.run(&mut |_| {})
}
