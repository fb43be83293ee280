//! What a federation survives, and what it must not do without a quorum or a sign-off.

use federation_proto::FederatedEpoch;
use governance::artifact::PLAN;
use meta_core::meta::federated::CycleError;
use simulator::{PortError, SimulationError, WorldError};

use crate::small::{run, scenario_with};

/// What the ledger was waited for when the world could not go on.
fn stuck(
    outcome: Result<simulator::SimulationRun, SimulationError>,
) -> (&'static str, Option<FederatedEpoch>) {
    match outcome.expect_err("the run cannot complete") {
        SimulationError::World(WorldError::Stuck { waiting_for, .. }) => (waiting_for, None),
        SimulationError::Cycle { epoch, cause } => match *cause {
            CycleError::Port(PortError::World(WorldError::Stuck { waiting_for, .. })) => {
                (waiting_for, Some(epoch))
            }
            other => panic!("another failure: {other}"),
        },
        other => panic!("another failure: {other}"),
    }
}

fn plan(run: &simulator::SimulationRun) -> serde_json::Value {
    let plan = run.artifacts.get(PLAN).expect("a plan");
    serde_json::from_slice(plan).expect("a JSON document")
}

#[test]
fn three_of_four_validators_decide_every_epoch() {
    let run = run(scenario_with("[faults]\nsilent_validators = [\"validator-3\"]"), 1);
    let run = run.expect("3 of 4 are a quorum");
    assert_eq!(run.epochs.len(), 2);
    assert!(run.epochs.iter().all(|epoch| epoch.aligned == 5 && epoch.discarded == 0));
}

#[test]
fn two_of_four_validators_decide_nothing() {
    let faults = "[faults]\nsilent_validators = [\"validator-2\", \"validator-3\"]";
    assert_eq!(stuck(run(scenario_with(faults), 1)), ("sessions and the first epoch", None));
}

#[test]
fn without_the_sign_off_the_meta_state_does_not_move() {
    let faults = "[faults]\nunsigning_governors = [\"governor-a\", \"governor-b\"]";
    let first = Some(FederatedEpoch::new(1));
    assert_eq!(stuck(run(scenario_with(faults), 1)), ("ApplySignoff", first));
}

#[test]
fn one_governor_less_is_still_two_of_three() {
    let faults = "[faults]\nsilent_governors = [\"governor-c\"]";
    let run = run(scenario_with(faults), 1).expect("2 of 3 governors sign");
    assert_eq!(run.epochs.len(), 2);
}

#[test]
fn a_silent_site_is_named_absent_and_holds_up_nobody() {
    let faults = "[faults]\nsilent_sites = [\"site-4\"]";
    let run = run(scenario_with(faults), 1).expect("four sites are enough");
    assert!(run.epochs.iter().all(|epoch| epoch.aligned == 4));
    let absent = plan(&run)["epochs"][0]["absent"].clone();
    assert_eq!(absent.as_array().map(Vec::len), Some(1), "{absent}");
    assert_eq!(absent[0]["reason"], "no_session");
}

#[test]
fn fewer_updates_than_the_policy_demands_close_no_epoch() {
    let faults = "[faults]\nsilent_sites = [\"site-3\", \"site-4\"]";
    let first = Some(FederatedEpoch::new(1));
    assert_eq!(stuck(run(scenario_with(faults), 1)), ("EpochCut", first));
}

#[test]
fn every_epoch_is_in_the_plan_with_all_its_updates() {
    let run = run(scenario_with(""), 1).expect("a run without faults");
    let plan = plan(&run);
    assert_eq!(plan["consensus_passed"], serde_json::Value::Bool(true));
    assert_eq!(plan["participating_nodes"].as_array().map(Vec::len), Some(5));
    assert_eq!(plan["epochs"].as_array().map(Vec::len), Some(2));
    assert_eq!(plan["alignment_proofs"].as_array().map(Vec::len), Some(10));
}
