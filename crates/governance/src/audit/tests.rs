//! The audit against a small real run: it must pass untouched, and every attack must fail its own check.

mod attacks;
mod fixture;
mod forgeries;
mod liars;
mod log_keys;
mod unsettled;

use super::*;
use fixture::{World, audit_set, run_set};

#[test]
fn an_untouched_run_passes_and_names_its_gaps() {
    let report = audit_set(run_set());
    assert!(report.passed(), "{report}");
    let uncovered: Vec<_> = report.with(Verdict::NotCovered).map(|line| line.check).collect();
    let permitted: Vec<_> = PERMITTED_GAPS.iter().map(|(check, _)| *check).collect();
    assert_eq!(uncovered, permitted);
    assert_eq!(report.with(Verdict::Pass).count() + permitted.len(), Check::ALL.len());
    let text = report.to_string();
    let first = "Root of trust: SYNTHETIC (published keys): proves consistency, not authorship";
    assert_eq!(text.lines().next(), Some(first));
    let terms = "Committee: n=4 f=1 q=3, 4 validator organisations; thresholds: document 2, admission 2, \
                 apply 2 of 3 governors; aggregation: nnm_trimmed_mean(trim=1) of at least 4 organisations, \
                 staleness at most 3";
    assert_eq!(text.lines().nth(1), Some(terms));
    assert_eq!(report.exit_code(), 0);
}

/// What correct federations also do must pass: a gate that refuses everything is worth nothing.
#[test]
fn absences_rubbish_view_changes_and_null_requests_are_legal() {
    let mut world = World::new(1);
    world.join_all();
    world.epoch(|aggregated, _| aggregated);
    (world.absent, world.rubbish) = (Some(2), Some(4));
    world.view = federation_proto::View::new(3);
    world.skip(5);
    world.epoch(|aggregated, _| aggregated);
    let set = world.assemble();
    let text = String::from_utf8(set[artifact::PLAN].clone()).expect("text");
    for sign in ["\"discarded\"", "\"invalid_payload\"", "\"no_commitment\"", "\"view\": \"3\""] {
        assert!(text.contains(sign), "{sign}");
    }
    let report = audit_set(set);
    assert!(report.passed(), "{report}");
}

#[test]
fn two_runs_of_one_world_are_identical() {
    assert_eq!(World::finished().assemble(), run_set());
}

#[test]
fn expectations_of_the_caller_count() {
    let set = LoadedArtifacts::from(run_set());
    let trust = RootOfTrust::synthetic().expect("the shipped root");
    let size = World::finished().ledger_size();
    let head = World::finished().head_at(size - 3);
    let with = |expect_head, strict, require_live| {
        let schemas = vec![fixture::schema()];
        audit(&set, &trust, &AuditOptions { schemas, expect_head, strict, require_live })
    };
    assert!(with(Some(head), false, false).passed());
    let other = ExpectedHead { root: Digest::of_blob(b"another"), ..head };
    assert_eq!(with(Some(other), false, false).verdict(Check::LedgerHead), Verdict::Fail);
    let later = ExpectedHead { size: size + 1, ..head };
    assert_eq!(with(Some(later), false, false).verdict(Check::LedgerHead), Verdict::Fail);
    assert_eq!(with(None, true, false).exit_code(), 1);
    assert_eq!(with(None, false, true).verdict(Check::RosterEpoch), Verdict::Fail);
}

#[test]
fn expected_heads_have_one_text() {
    let text = format!("7:{}", Digest::of_blob(b"root"));
    let head: ExpectedHead = text.parse().expect("a head");
    assert_eq!((head.size, head.root), (7, Digest::of_blob(b"root")));
    for text in ["7", "7:ab", "x:00", ":", ""] {
        assert!(text.parse::<ExpectedHead>().is_err());
    }
}

#[test]
fn nothing_at_all_is_no_pass() {
    let report = audit_set(artifact::ArtifactSet::new());
    assert!(!report.passed());
    assert_eq!(report.verdict(Check::IncompleteRun), Verdict::Fail);
    let passed: Vec<_> = report.with(Verdict::Pass).map(|line| line.check).collect();
    assert_eq!(passed, [Check::Size], "only the size of nothing holds: {report}");
    assert_eq!((report.terms(), report.to_string().lines().count() > 2), (None, true));
}

#[test]
fn the_governance_log_verifies_from_its_own_text_and_a_signed_note_reader() {
    use ::ledger::{Note, NoteKey, verify_quorum};
    use federation_proto::keys::GovernanceNote;

    let set = run_set();
    let log = crate::governance_log::parse(&set[artifact::GOVERNANCE_LOG]).expect("a log");
    let keys: Vec<NoteKey<GovernanceNote>> = log
        .genesis
        .iter()
        .filter_map(|line| line.strip_prefix("verifier_key: "))
        .map(|key| key.parse().expect("a verifier key"))
        .collect();
    assert_eq!((keys.len(), log.entries.len()), (3, 2));
    for entry in &log.entries {
        let text = entry.note.to_text();
        let note = Note::parse(text.as_bytes()).expect("a note");
        assert_eq!(verify_quorum(&note, &keys, 2).expect("signed").len(), 2);
    }
}
