//! Lies about who agreed.

use governance::artifact::{GENESIS, GOVERNANCE_LOG};
use governance::audit::Check;

use super::{honest, refused, resigned, run_with};
use simulator::keys::KeyRing;

fn log() -> String {
    String::from_utf8(honest()[GOVERNANCE_LOG].clone()).expect("text")
}

fn with_log(text: String) -> governance::artifact::ArtifactSet {
    assert_ne!(text, log(), "the lie must change something");
    let mut set = honest();
    set.insert(GOVERNANCE_LOG.into(), text.into_bytes());
    resigned(set)
}

/// The section of the log that begins with the n-th heading of second level, from 0.
fn section(n: usize) -> String {
    let text = log();
    let starts: Vec<usize> = text.match_indices("\n## ").map(|(at, _)| at + 1).collect();
    let end = starts.get(n + 1).copied().unwrap_or(text.len());
    text[starts[n]..end].to_owned()
}

#[test]
fn the_whole_run_signed_by_fresh_governors() {
    let set = run_with(5, KeyRing::with_label("an attacker's own governors"));
    refused(set.clone(), Check::GovQuorum, GENESIS);
    refused(set, Check::RosterEpoch, GENESIS);
}

#[test]
fn an_apply_left_out_of_the_log() {
    let text = log();
    refused(with_log(text.replacen(&section(2), "", 1)), Check::GovCoverage, GOVERNANCE_LOG);
}

#[test]
fn a_note_dropped_from_the_middle() {
    let text = log();
    refused(with_log(text.replacen(&section(1), "", 1)), Check::GovChain, GOVERNANCE_LOG);
}

#[test]
fn an_under_signed_apply() {
    let apply = section(1);
    let line = apply.lines().find(|line| line.starts_with("— ")).expect("a signature line");
    let bent = apply.replacen(&format!("{line}\n"), "", 1);
    refused(with_log(log().replacen(&apply, &bent, 1)), Check::GovQuorum, GOVERNANCE_LOG);
}

#[test]
fn a_forged_note() {
    let apply = section(1);
    let bent = apply.replacen("federated_epoch: 1", "federated_epoch: 3", 1);
    refused(with_log(log().replacen(&apply, &bent, 1)), Check::SigStrict, GOVERNANCE_LOG);
}
