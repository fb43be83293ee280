//! Faulty validators as users write them into scenarios: the run completes, the plan shows in which view each block
//! was decided, and the audit passes. Nonsense is refused by name.

use std::fs;

use serde_json::Value;

use crate::cli::{Desk, scenario};

/// A finished run of the smallest scenario with faults, audited: its report and its plan.
fn ran(faults: &str) -> (Value, Value) {
    let desk = Desk::new();
    let text = format!("{}[faults]\n{faults}\n", scenario(2));
    fs::write(desk.path("faulty.toml"), text).expect("writable");
    let arguments = ["simulate", "--scenario", "faulty.toml", "--out", "run", "--format", "json"];
    let report = desk.run(&arguments).expect_code(0);
    desk.audit(&[]).expect_code(0);
    let plan = fs::read(desk.path("run/mec/M5/federated_plan.json")).expect("a plan");
    let read = |bytes: &[u8]| serde_json::from_slice(bytes).expect("one document");
    (read(&report.0.stdout), read(&plan))
}

/// The views of the plan's decisions, by height.
fn decided_in(plan: &Value) -> Vec<(u64, String)> {
    let decisions = plan["consensus_decisions"].as_array().expect("decisions");
    let text = |value: &Value| value.as_str().expect("a decimal").to_owned();
    let mut decided: Vec<(u64, String)> = decisions
        .iter()
        .map(|it| (text(&it["height"]).parse().expect("a height"), text(&it["view"])))
        .collect();
    decided.sort();
    decided
}

/// The report names the one view that followed the first.
fn assert_second_view(report: &Value) {
    let views = report["views"].as_array().expect("a list");
    assert_eq!(views.len(), 1, "{views:?}");
    assert_eq!((&views[0]["view"], &views[0]["primary"]), (&"1".into(), &"validator-2".into()));
}

#[test]
fn a_silent_primary_is_replaced_and_the_artifacts_show_it() {
    let (report, plan) = ran("silent_validators = [\"validator-1\"]");
    assert_second_view(&report);
    let decided = decided_in(&plan);
    assert!(decided.len() > 8 && decided.iter().all(|(_, view)| view == "1"), "{decided:?}");
    assert_eq!(report["epochs"][1]["aligned"], 4);
}

#[test]
fn a_crashed_validator_recovers_while_the_others_go_on() {
    let (report, plan) =
        ran("crashed_validators = [{ validator = \"validator-1\", at_ms = 200, back_ms = 5500 }]");
    assert_second_view(&report);
    let views: Vec<String> = decided_in(&plan).into_iter().map(|(_, view)| view).collect();
    assert!(views.contains(&"1".to_owned()), "{views:?}");
    assert_eq!(report["epochs"][1]["aligned"], 4);
}

#[test]
fn a_censored_update_is_in_the_next_block_after_the_view_change() {
    let (report, plan) =
        ran("censoring_validators = [{ validator = \"validator-1\", site = \"site-3\" }]");
    assert_second_view(&report);
    let first_of = |view: &str| {
        let mut decided = decided_in(&plan).into_iter();
        decided.find(|(_, decided)| decided == view).map(|(height, _)| height.to_string())
    };
    let nodes = plan["participating_nodes"].as_array().expect("nodes");
    let site = nodes.iter().find(|node| node["name"] == "site-3").expect("the site");
    let proofs = plan["alignment_proofs"].as_array().expect("proofs");
    let censored = |proof: &&Value| {
        proof["epoch"] == "1" && proof["node_fingerprint"] == site["node_fingerprint"]
    };
    let proof = proofs.iter().find(censored).expect("its update of the first epoch");
    assert_eq!(proof["height"].as_str().map(str::to_owned), first_of("1"));
    assert_eq!(first_of("0").as_deref(), Some("1"), "the view before it ordered the others");
}

#[test]
fn more_than_f_faulty_validators_are_refused_by_name() {
    let desk = Desk::new();
    for faults in [
        "silent_validators = [\"validator-1\", \"validator-3\"]",
        "silent_validators = [\"validator-1\"]\nslow_validators = [{ validator = \"validator-3\", delay_ms = 9 }]",
    ] {
        let text = format!("{}[faults]\n{faults}\n", scenario(1));
        fs::write(desk.path("many.toml"), text).expect("writable");
        desk.run(&["simulate", "--scenario", "many.toml", "--out", "run"]).expect_error(
            2,
            &[
                "many.toml",
                "2 of 4 validators (validator-1, validator-3)",
                "at most 1 may be faulty",
            ],
        );
        assert!(!desk.path("run").exists());
    }
}

#[test]
fn a_run_says_in_words_which_views_it_had() {
    let desk = Desk::new();
    let text = format!("{}[faults]\nsilent_validators = [\"validator-1\"]\n", scenario(1));
    fs::write(desk.path("faulty.toml"), text).expect("writable");
    let ran = desk.run(&["simulate", "--scenario", "faulty.toml", "--out", "run"]).expect_code(0);
    let out = ran.stdout();
    assert!(
        out.lines().any(|line| line.starts_with("view 1: primary validator-2 since ")),
        "{out}"
    );
}
