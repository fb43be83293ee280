//! The gates that people and CI run are the ones the documents promise.

use std::collections::BTreeSet;
use std::process::Command;

use crate::tree;

/// Lines of a script that do something, without leading blanks.
fn orders(script: &str) -> Vec<String> {
    let text = tree::text(script).unwrap_or_default();
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// The stages of the test command, as it lists them itself.
fn stages() -> BTreeSet<String> {
    let listed = Command::new(env!("CARGO_BIN_EXE_xtask")).args(["ci", "--list"]).output();
    let listed = listed.expect("the binary starts");
    assert!(listed.status.success(), "{listed:?}");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    listed.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn ci_audits_the_reference_run_and_refuses_damaged_copies() {
    let last = orders(".ci/run").pop();
    assert_eq!(last.as_deref(), Some("exec cargo xtask ci"), ".ci/run ends with the test command");
    let readme = tree::text("README.md").unwrap_or_default();
    assert!(readme.contains("```sh\ncargo xtask ci\n```"), "README names the test command");
    let stages = stages();
    for gate in ["clippy", "laws", "test", "simulate", "compliance", "tamper"] {
        assert!(stages.contains(gate), "no stage {gate} in {stages:?}");
    }
}

#[test]
fn the_federation_gate_simulates_and_then_audits() {
    let orders = orders("scripts/run_federation_gate.sh");
    // What is audited is what simulate says it wrote: the script takes the command from there.
    let asked = orders.iter().position(|line| line.starts_with("audit=$(cargo xtask simulate "));
    let checked = orders.iter().position(|line| line == "'cargo xtask compliance '*) ;;");
    assert!(asked.is_some() && asked < checked, "{orders:#?}");
    assert_eq!(orders.last().map(String::as_str), Some("eval \"$audit\""));
    assert_eq!(orders.first().map(String::as_str), Some("set -euo pipefail"));
}

#[test]
fn the_runbook_has_every_procedure() {
    let runbook = tree::text("docs/runbook.md").unwrap_or_default();
    let sections: Vec<&str> = runbook.split("\n## ").skip(1).collect();
    for (title, must_say) in [
        ("Responsibilities", "| governor |"),
        ("The federation gate", "scripts/run_federation_gate.sh"),
        ("Rollback", "FEDERATED_ROLLBACK"),
        ("Quarantine", "alignment_proofs"),
    ] {
        let section = sections.iter().find(|section| section.starts_with(title));
        let section = section.unwrap_or_else(|| panic!("docs/runbook.md has no section {title}"));
        assert!(section.contains(must_say), "{title} does not say {must_say:?}:\n{section}");
    }
}
