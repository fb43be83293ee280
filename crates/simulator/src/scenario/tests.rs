//! Good scenarios and bad ones.

use meta_core::workload::coloring::{dimacs, generators};

use super::*;

const BASELINE: &str = include_str!("../../scenarios/baseline.toml");

fn refused(from: &str, to: &str) -> ScenarioError {
    let text = BASELINE.replacen(from, to, 1);
    assert_ne!(text, BASELINE, "{from:?} must stand in the baseline");
    Scenario::parse(text.as_bytes()).expect_err("a bad scenario")
}

#[test]
fn every_builtin_scenario_is_good_and_named_as_it_is_called() {
    for name in builtin_names() {
        let scenario = Scenario::builtin(name).expect("a built-in scenario");
        assert_eq!(scenario.document().name.as_str(), name);
    }
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let error = Scenario::builtin("basline").expect_err("no such scenario");
    assert!(error.to_string().contains("baseline"), "{error}");
}

#[test]
fn malformed_text_names_line_and_field() {
    let error = refused("epochs = 5", "epochs = \"five\"").to_string();
    assert!(error.contains("line") && error.contains("string"), "{error}");
    let error = refused("summary =", "sumary =").to_string();
    assert!(error.contains("sumary") && error.contains("line"), "{error}");
    assert!(matches!(Scenario::parse(&[0xff]), Err(ScenarioError::Malformed(_))));
    let long = vec![b'#'; MAX_SCENARIO_BYTES + 1];
    assert_eq!(Scenario::parse(&long), Err(ScenarioError::TooLarge(MAX_SCENARIO_BYTES + 1)));
}

#[test]
fn numbers_out_of_range_name_both_ends() {
    let epochs = ScenarioError::Range { field: "epochs", value: 0, least: 1, most: MAX_EPOCHS };
    assert_eq!(refused("epochs = 5", "epochs = 0"), epochs);
    assert_eq!(Scenario::builtin("baseline").expect("built in").with_epochs(0), Err(epochs));
    let delay = refused("disk_ms = [4, 6]", "disk_ms = [6, 4]");
    assert_eq!(delay, ScenarioError::Delay { field: "disk_ms", range: [6, 4] });
    assert_eq!(refused("schema_version = 1", "schema_version = 2"), ScenarioError::Version(2));
}

#[test]
fn names_are_unique() {
    let twice = refused("name = \"site-cologne\"", "name = \"site-oslo\"");
    assert!(matches!(twice, ScenarioError::SharedName(name) if name.as_str() == "site-oslo"));
    let governor = refused("name = \"site-oslo\"", "name = \"governor-a\"");
    assert!(matches!(governor, ScenarioError::SharedName(_)));
    let policy = refused("policy = \"baseline\"", "policy = \"lenient\"");
    assert!(matches!(policy, ScenarioError::UnknownPolicy(_)));
}

/// The baseline with faults, refused.
fn faulty(faults: &str) -> String {
    let text = format!("{BASELINE}\n[faults]\n{faults}\n");
    Scenario::parse(text.as_bytes()).expect_err("a bad scenario").to_string()
}

#[test]
fn a_fault_names_somebody_of_its_role() {
    for (field, name, role) in [
        ("silent_sites", "site-nowhere", "site"),
        ("silent_sites", "validator-2", "site"),
        ("silent_validators", "site-oslo", "validator"),
        ("silent_governors", "validator-2", "governor"),
        ("unsigning_governors", "site-oslo", "governor"),
    ] {
        let error = faulty(&format!("{field} = [\"{name}\"]"));
        let expected =
            format!("faults.{field} names {name}, which is no {role} (there are: {role}");
        assert!(error.contains(&expected), "{error}");
    }
    let site = "censoring_validators = [{ validator = \"validator-1\", site = \"site-nowhere\" }]";
    let error = faulty(site);
    assert!(
        error.contains("faults.censoring_validators names site-nowhere, which is no site"),
        "{error}"
    );
    for (field, more) in [
        ("crashed_validators", "at_ms = 5"),
        ("slow_validators", "delay_ms = 5"),
        ("censoring_validators", "site = \"site-oslo\""),
    ] {
        let error = faulty(&format!("{field} = [{{ validator = \"site-oslo\", {more} }}]"));
        let expected = format!("faults.{field} names site-oslo, which is no validator");
        assert!(error.contains(&expected), "{error}");
    }
    let error = faulty("equivocating_validators = [\"governor-a\"]");
    assert!(error.contains("equivocating_validators names governor-a, which is no validator"));
}

/// Seven faults, each of which one of four validators may have: the first too.
const ONE_VALIDATOR: [&str; 7] = [
    "silent_validators = [\"validator-1\"]",
    "equivocating_validators = [\"validator-1\"]",
    "crashed_validators = [{ validator = \"validator-1\", at_ms = 5 }]",
    "crashed_validators = [{ validator = \"validator-1\", at_ms = 5, back_ms = 6 }]",
    "slow_validators = [{ validator = \"validator-1\", delay_ms = 60000 }]",
    "censoring_validators = [{ validator = \"validator-1\", site = \"site-oslo\" }]",
    "censoring_validators = [{ validator = \"validator-1\", site = \"site-oslo\" }, { validator = \"validator-1\", site = \"site-tokyo\" }]",
];

#[test]
fn a_validator_may_have_any_fault_and_a_second_one_may_have_none() {
    for fault in ONE_VALIDATOR {
        let text = format!("{BASELINE}\n[faults]\n{fault}\n");
        Scenario::parse(text.as_bytes()).expect("f faulty validators");
        let second = if fault.starts_with("silent") {
            "equivocating_validators = [\"validator-3\"]"
        } else {
            "silent_validators = [\"validator-3\"]"
        };
        let error = faulty(&format!("{fault}\n{second}"));
        let expected = "name 2 of 4 validators (validator-1, validator-3), at most 1 may be faulty";
        assert!(error.contains(expected), "{error}");
    }
    // Two faults of one validator are one faulty validator.
    let both = ONE_VALIDATOR[0].to_owned() + "\n" + ONE_VALIDATOR[4];
    let text = format!("{BASELINE}\n[faults]\n{both}\n");
    Scenario::parse(text.as_bytes()).expect("one faulty validator");
}

#[test]
fn crashes_and_delays_out_of_range_name_their_values() {
    let crash = "{ validator = \"validator-2\", at_ms = 500, back_ms = 900 }";
    for (faults, part) in [
        (format!("crashed_validators = [{crash}, {crash}]"), "names validator-2 twice"),
        (
            format!("crashed_validators = [{}]", crash.replace("900", "500")),
            "validator-2 crashes at 500 ms and is back at 500 ms",
        ),
        (format!("crashed_validators = [{}]", crash.replace("500", "0")), "at_ms is 0, must be 1"),
        (format!("crashed_validators = [{}]", crash.replace("back", "later")), "later_ms"),
        (
            "slow_validators = [{ validator = \"validator-2\", delay_ms = 60001 }]".into(),
            "delay_ms is 60001, must be 1 to 60000",
        ),
    ] {
        let error = faulty(&faults);
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn learning_settings_out_of_range_name_field_and_values() {
    for (from, to, parts) in [
        ("population = 20", "population = 0", "learning.population is 0, must be 4 to 1024"),
        ("population = 20", "population = 1000000000", "learning.population is 1000000000"),
        ("trials = 2", "trials = 0", "learning.trials is 0, must be 1 to 1000"),
        ("trials = 2", "trials = 1000000000", "learning.trials is 1000000000"),
        ("final_trials = 10", "final_trials = 4000000000", "final_trials is 4000000000"),
        ("final_trials = 10", "final_trials = 0", "final_trials is 0, must be 1 to 10000"),
        ("sigma_permille = 120", "sigma_permille = 0", "sigma_permille is 0, must be 1 to 1000"),
        ("min_gain_permille = 20", "min_gain_permille = 1000", "is 1000, must be 0 to 999"),
        ("evaluations = 520", "evaluations = 1", "evaluations is 1, must be 80 to 1000000"),
        ("work_limit = 200000000", "work_limit = 0", "learning.work_limit is 0, must be 1 to"),
    ] {
        let error = refused(from, to).to_string();
        assert!(error.contains(parts), "{to}: {error}");
    }
    let text = BASELINE.replacen("population = 20", "population = 1024", 1);
    let text = text.replacen("\ntrials = 2", "\ntrials = 1000", 1);
    let error = Scenario::parse(text.as_bytes()).expect_err("a generation too large").to_string();
    assert!(error.contains("1024 × trials 1000") && error.contains("1024040"), "{error}");
}

#[test]
fn instances_out_of_range_name_site_field_and_values() {
    let oslo = "{ kind = \"family\", name = \"queen\" }";
    for (instance, part) in [
        (
            "kind = \"gnp\", vertices = 20, p_permille = 1001, seed = 1",
            "p_permille is 1001, must be 0 to 1000",
        ),
        (
            "kind = \"gnp\", vertices = 0, p_permille = 10, seed = 1",
            "vertices is 0, must be 1 to 2000",
        ),
        ("kind = \"mycielski\", k = 1", "mycielski k is 1, must be 2 to 10"),
        ("kind = \"mycielski\", k = 11", "mycielski k is 11, must be 2 to 10"),
        ("kind = \"queen\", rows = 0, cols = 5", "queen rows is 0, must be 1 to 2000"),
        ("kind = \"queen\", rows = 50, cols = 50", "queen rows × cols is 2500, must be 1 to 2000"),
        ("kind = \"dimacs\", path = \"/etc/passwd\"", "\"/etc/passwd\" must be relative"),
        ("kind = \"dimacs\", path = \"a/../../b.col\"", "\"a/../../b.col\" must be relative"),
        ("kind = \"dimacs\", path = \"\"", "\"\" must be relative"),
    ] {
        let error = refused(oslo, &format!("{{ {instance} }}")).to_string();
        assert!(error.contains("site-oslo") && error.contains(part), "{instance}: {error}");
    }
    assert_eq!(
        refused("    \"gnp_sparse\",", "    \"queen\","),
        ScenarioError::HeldOutTwice("queen".into())
    );
    let long = refused("cross_region_ms = [18, 70]", "cross_region_ms = [18, 1001]").to_string();
    assert!(long.contains("[18, 1001]") && long.contains("at most 1000 ms"), "{long}");
}

/// Refusal of the baseline whose first site learns on one DIMACS file.
fn unusable(file: &str) -> String {
    let named = "{ kind = \"dimacs\", path = \"graph.col\" }";
    let text = BASELINE.replacen("{ kind = \"family\", name = \"queen\" }", named, 1);
    let scenario = Scenario::parse(text.as_bytes()).expect("a good scenario");
    let files = [("graph.col".to_owned(), file.as_bytes().to_vec())].into();
    scenario.document().workloads(1, &files).expect_err("an unusable file").to_string()
}

#[test]
fn vertex_lines_of_weighted_problems_are_refused_by_line() {
    let error = unusable("p edge 2 1\nn 1 4\ne 1 2\n");
    assert!(error.contains("site-oslo: graph.col: line 2"), "{error}");
    assert!(error.contains("found \"n 1 4\""), "{error}");
}

#[test]
fn a_graph_too_hard_to_calibrate_names_the_file_and_what_was_tried() {
    let graph = generators::gnp(500, 500, 7).expect("a graph of the size of DSJC500.5");
    let error = unusable(&dimacs::render(&graph));
    for part in [
        "site-oslo: graph.col: no k from 66 to 70 colours",
        "4000000 work units",
        "500 vertices",
        "take a smaller or sparser graph",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn too_few_organisations_are_refused_before_anything_runs() {
    let text = BASELINE.replace("organisation = \"org-", "organisation = \"org-one-");
    let merged: String = text
        .lines()
        .map(|line| match line.strip_prefix("organisation = ") {
            Some(_) => "organisation = \"org-one\"\n".to_owned(),
            None => format!("{line}\n"),
        })
        .collect();
    let refused = Scenario::parse(merged.as_bytes()).expect_err("one organisation");
    assert_eq!(refused, ScenarioError::Organisations { found: 1, needed: 4 });
}

#[test]
fn a_value_of_another_type_names_its_field() {
    let shown = refused("epochs = 5", "epochs = \"5\"").to_string();
    assert!(shown.contains("field epochs") && shown.contains("line"), "{shown}");
}
