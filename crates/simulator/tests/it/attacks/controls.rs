//! Positive controls: a gate that refuses everything is worth nothing.

use governance::audit::{Check, PERMITTED_GAPS, Verdict};

use super::{honest, report, resigned, run_with};
use simulator::keys::KeyRing;

#[test]
fn an_honest_run_passes_and_names_its_gaps() {
    let report = report(honest());
    assert_eq!(report.exit_code(), 0, "{report}");
    for line in report.checks() {
        let permitted = PERMITTED_GAPS.iter().any(|(check, _)| *check == line.check);
        let expected = if permitted { Verdict::NotCovered } else { Verdict::Pass };
        assert_eq!(line.verdict, expected, "{}\n{report}", line.check.id());
    }
    let shown = report.to_string();
    let synthetic = "Root of trust: SYNTHETIC (published keys): proves consistency, not authorship";
    assert_eq!(shown.lines().next(), Some(synthetic));
    // A weak policy that is well signed passes; so the reader is told.
    let terms = report.terms().expect("a genesis");
    assert_eq!((terms.validators, terms.faulty, terms.quorum), (4, 1, 3));
    assert_eq!(shown.lines().nth(1), Some(terms.to_string().as_str()));
    let last = shown.lines().last().unwrap_or_default();
    assert!(last.contains("zk:proof_valid"), "{last}");
}

#[test]
fn every_check_is_in_the_report_whatever_happens() {
    let empty = report(std::collections::BTreeMap::new());
    assert_eq!(empty.exit_code(), 1, "nothing to check is no pass");
    assert_eq!(empty.checks().len(), Check::ALL.len());
    let hollow =
        |line: &governance::audit::CheckLine| line.verdict == Verdict::Pass && line.compared == 0;
    assert!(!empty.checks().iter().any(hollow), "a pass that compared nothing\n{empty}");
}

#[test]
fn signing_the_manifest_again_changes_nothing() {
    assert_eq!(resigned(honest()), honest());
}

#[test]
fn another_seed_is_as_good() {
    assert_eq!(report(run_with(6, KeyRing::published())).exit_code(), 0);
}
