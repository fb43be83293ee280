//! Runs that fail at a site, and how far a run says it has come.

use super::*;

const SMALL: &str = include_str!("../../tests/scenarios/small.toml");

fn simulator() -> FederationSimulator {
    let scenario = Scenario::parse(SMALL.as_bytes()).expect("the small scenario");
    FederationSimulator::new(scenario, 1, &BTreeMap::new()).expect("a founded federation")
}

#[test]
fn a_failed_local_cycle_ends_the_run_with_the_sites_own_cause() {
    let mut simulator = simulator();
    // The scenario file would be refused; only a site that is handed such settings fails later.
    simulator.evolution.population = 0;
    match simulator.run(&mut |_| {}).expect_err("no site can learn") {
        SimulationError::Site { site, cause } => {
            assert_eq!(site.as_str(), "site-1");
            assert!(cause.to_string().contains("population(0)"), "{cause}");
        }
        other => panic!("another failure: {other}"),
    }
}

#[test]
fn progress_rises_to_its_total_with_the_last_measured_genome() {
    let mut steps = Vec::new();
    simulator().run(&mut |step| steps.push(step)).expect("a run without faults");
    assert!(
        steps.windows(2).all(|pair| pair[0].done < pair[1].done && pair[0].total == pair[1].total)
    );
    let last = steps.last().expect("some progress");
    // Two epochs of five sites, twice, and eight genomes in the table.
    assert_eq!((last.done, last.total), (28, 28));
    assert!(last.what.contains("held-out"), "{last:?}");
}
