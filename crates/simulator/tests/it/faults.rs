//! What a federation survives, and what it must not do without a quorum or a sign-off.

use std::collections::BTreeMap;

use federation_proto::FederatedEpoch;
use governance::artifact::PLAN;
use meta_core::meta::federated::CycleError;
use meta_core::meta_state::MetaState;
use meta_core::workload::coloring;
use simulator::scenario::{Scenario, ScenarioError};
use simulator::{FederationSimulator, PortError, SimulationError, WorldError};

use crate::small::{SMALL, run, scenario_with};

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

/// What could only be waited for in vain is not begun.
#[test]
fn two_of_four_validators_decide_nothing() {
    let faults = "[faults]\nsilent_validators = [\"validator-2\", \"validator-3\"]";
    let refused = Scenario::parse(format!("{SMALL}\n{faults}\n").as_bytes());
    let Err(ScenarioError::TooManyFaulty { names, found, size, most }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((names.as_str(), found, size, most), ("validator-2, validator-3", 2, 4, 1));
}

#[test]
fn without_the_sign_off_the_meta_state_does_not_move() {
    let faults = "[faults]\nunsigning_governors = [\"governor-a\", \"governor-b\"]";
    let first = Some(FederatedEpoch::new(1));
    let simulator = FederationSimulator::new(scenario_with(faults), 1, &BTreeMap::new());
    let (outcome, views) = simulator.expect("a federation").run_and_inspect(&mut |_| {});
    assert_eq!(stuck(outcome), ("ApplySignoff", first));
    assert_eq!(views.len(), 4 + 5 + 3, "validators, sites and governors");
    let initial = MetaState::initial(&coloring::schema().expect("the colouring schema")).hash();
    for view in &views {
        assert!(view.awaits_signoff, "the aggregate is decided: {view:?}");
        assert_eq!(view.state_hash, initial, "{view:?}");
    }
}

#[test]
fn with_the_sign_off_every_state_moves_to_the_same_one() {
    let simulator = FederationSimulator::new(scenario_with(""), 1, &BTreeMap::new());
    let (outcome, views) = simulator.expect("a federation").run_and_inspect(&mut |_| {});
    let run = outcome.expect("a run without faults");
    assert_eq!(run.views, []);
    let last = run.epochs.last().expect("two epochs").state_hash;
    let validators = views.iter().filter(|view| view.node.as_str().starts_with("validator-"));
    let moved = validators.filter(|view| view.state_hash == last && !view.awaits_signoff).count();
    assert!(moved >= 3, "a quorum has executed the last sign-off: {views:?}");
}

#[test]
fn the_longest_delays_still_decide() {
    let text = SMALL.replacen("cross_region_ms = [18, 70]", "cross_region_ms = [1000, 1000]", 1);
    let text = text.replacen("disk_ms = [4, 6]", "disk_ms = [1000, 1000]", 1);
    let text = text.replacen("same_region_ms = [1, 4]", "same_region_ms = [1000, 1000]", 1);
    let scenario = Scenario::parse(text.as_bytes()).expect("delays at their limit");
    let run = run(scenario, 1).expect("slow is not silent");
    assert_eq!(run.epochs.len(), 2);
    assert_eq!(run.views, [], "an honest run changes no view, however slow");
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

/// Sessions last 64 epochs under the baseline policy. The run goes on beyond them: every site greets again, is
/// missed in no cut, and its updates keep counting.
#[test]
fn sites_renew_their_sessions_when_they_expire() {
    let scenario = scenario_with("").with_epochs(66).expect("longer than a session");
    let run = run(scenario, 1).expect("a run without faults");
    let plan = plan(&run);
    assert_eq!(plan["alignment_proofs"].as_array().map(Vec::len), Some(66 * 5));
    let nodes = plan["participating_nodes"].as_array().expect("nodes").iter();
    let mut sessions: Vec<_> =
        nodes.map(|node| (node["name"].as_str(), node["not_after_epoch"].as_str())).collect();
    sessions.sort_unstable();
    let names = ["site-1", "site-2", "site-3", "site-4", "site-5"];
    // The second session would last 64 epochs more; the mandate ends with the run.
    let expected = names.map(|name| [(Some(name), Some("64")), (Some(name), Some("66"))]);
    assert_eq!(sessions, expected.concat());
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
