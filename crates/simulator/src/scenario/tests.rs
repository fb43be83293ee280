//! Good scenarios and bad ones.

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
fn names_are_unique_and_faults_name_somebody() {
    let twice = refused("name = \"site-cologne\"", "name = \"site-oslo\"");
    assert!(matches!(twice, ScenarioError::SharedName(name) if name.as_str() == "site-oslo"));
    let governor = refused("name = \"site-oslo\"", "name = \"governor-a\"");
    assert!(matches!(governor, ScenarioError::SharedName(_)));
    let text = format!("{BASELINE}\n[faults]\nsilent_sites = [\"site-nowhere\"]\n");
    let nobody = Scenario::parse(text.as_bytes()).expect_err("nobody of that name");
    assert!(
        matches!(nobody, ScenarioError::UnknownFaulty(name) if name.as_str() == "site-nowhere")
    );
    let policy = refused("policy = \"baseline\"", "policy = \"lenient\"");
    assert!(matches!(policy, ScenarioError::UnknownPolicy(_)));
}
