//! Runs with one faulty validator of four: a view change at most, and every epoch decided with every update.

use std::collections::BTreeMap;

use consensus_pbft::CommitCertificate;
use federation_proto::LedgerEntry;
use federation_proto::codec::Canonical;
use governance::artifact::LoadedArtifacts;
use governance::audit::{AuditOptions, Verdict, audit};
use governance::trust::RootOfTrust;
use governance::wire::Frame;
use ledger::BlockFile;
use ledger::divergence::Answer;
use meta_core::workload::coloring;
use simulator::{FederationSimulator, NodeView, SimulationRun};

use crate::small::scenario_with;

const EPOCHS: u64 = 4;

/// A run with a fault, tapped, and how every node sees the ledger at its end.
fn faulty(fault: &str) -> (SimulationRun, Vec<NodeView>) {
    let scenario = scenario_with(&format!("[faults]\n{fault}"));
    let scenario = scenario.with_epochs(EPOCHS).expect("a few epochs");
    let simulator = FederationSimulator::new(scenario, 1, &BTreeMap::new()).expect("a federation");
    let (outcome, views) = simulator.tapped().run_and_inspect(&mut |_| {});
    let run = outcome.expect("one faulty validator of four");
    assert_eq!(run.epochs.len() as u64, EPOCHS);
    assert!(run.epochs.iter().all(|epoch| epoch.aligned == 5 && epoch.discarded == 0));
    let trust = RootOfTrust::synthetic().expect("the compiled-in root of trust");
    let schemas = vec![coloring::schema().expect("the colouring schema")];
    let options = AuditOptions { schemas, ..AuditOptions::default() };
    let report = audit(&LoadedArtifacts::from(run.artifacts.clone()), &trust, &options);
    assert_eq!(report.with(Verdict::Fail).count(), 0, "{report}");
    (run, views)
}

/// The blocks of a run, and in which view each was decided.
fn blocks(run: &SimulationRun) -> Vec<(u64, BlockFile)> {
    let files = run.artifacts.iter().filter(|(path, _)| path.ends_with(".blk"));
    let mut blocks: Vec<(u64, BlockFile)> = files
        .map(|(_, bytes)| {
            let block = BlockFile::from_canonical(bytes).expect("a block");
            let certificate = CommitCertificate::from_canonical(&block.commit_certificate);
            (certificate.expect("a certificate").view.get(), block)
        })
        .collect();
    blocks.sort_by_key(|(_, block)| block.header.height);
    blocks
}

/// Numbers and primaries of the views after the first.
fn views(run: &SimulationRun) -> Vec<(u64, &str)> {
    run.views.iter().map(|view| (view.view.get(), view.primary.as_str())).collect()
}

fn height(views: &[NodeView], node: &str) -> u64 {
    let view = views.iter().find(|view| view.node.as_str() == node);
    view.expect("a node that runs at the end").height.get()
}

#[test]
fn a_silent_primary_is_replaced_before_anything_is_ordered() {
    let (run, _) = faulty("silent_validators = [\"validator-1\"]");
    assert_eq!(views(&run), [(1, "validator-2")]);
    assert!(blocks(&run).iter().all(|(view, _)| *view == 1));
}

#[test]
fn a_silent_backup_changes_no_view() {
    let (run, _) = faulty("silent_validators = [\"validator-3\"]");
    assert_eq!(views(&run), []);
}

#[test]
fn a_primary_that_crashes_is_replaced_whenever_it_does() {
    for at_ms in [1, 120, 260, 400, 700, 1_000, 1_400] {
        let fault =
            format!("crashed_validators = [{{ validator = \"validator-1\", at_ms = {at_ms} }}]");
        let (run, views_at_end) = faulty(&fault);
        assert_eq!(views(&run), [(1, "validator-2")], "{at_ms} ms");
        assert!(views_at_end.iter().all(|view| view.node.as_str() != "validator-1"));
    }
}

#[test]
fn a_crashed_validator_comes_back_from_its_disk_and_catches_up() {
    // Back before and after its view has ended, with and without what the others have forgotten.
    for (validator, at_ms, back_ms, left) in [
        ("validator-1", 300, 900, 0),
        ("validator-1", 300, 6_000, 1),
        ("validator-1", 1_200, 7_000, 1),
        ("validator-3", 300, 320, 0),
        ("validator-3", 300, 1_800, 0),
    ] {
        let fault = format!(
            "crashed_validators = [{{ validator = \"{validator}\", at_ms = {at_ms}, back_ms = {back_ms} }}]"
        );
        let (run, at_end) = faulty(&fault);
        assert_eq!(run.views.len(), left, "{fault}: {:?}", run.views);
        let (own, exporters) = (height(&at_end, validator), height(&at_end, "validator-2"));
        assert!(own + 3 >= exporters, "{fault}: {own} of {exporters} blocks");
    }
}

#[test]
fn what_the_others_have_forgotten_comes_from_a_ledger_with_proofs() {
    let fault =
        "crashed_validators = [{ validator = \"validator-4\", at_ms = 100, back_ms = 2_000 }]";
    let (run, at_end) = faulty(fault);
    let answers = run.tapped.iter().filter_map(|bytes| match Frame::from_canonical(bytes) {
        Ok(Frame::LedgerAnswer(answer)) => Some(*answer),
        _ => None,
    });
    let blocks = answers.filter(|answer| matches!(answer, Answer::Blocks(_))).count();
    assert!(blocks > 0, "no block was asked for");
    assert!(height(&at_end, "validator-4") + 3 >= height(&at_end, "validator-1"));
}

#[test]
fn what_a_primary_censors_is_the_first_that_the_next_one_orders() {
    let (run, _) =
        faulty("censoring_validators = [{ validator = \"validator-1\", site = \"site-3\" }]");
    assert_eq!(views(&run), [(1, "validator-2")]);
    let blocks = blocks(&run);
    let site = scenario_site("site-3");
    let commits = |block: &BlockFile| {
        block.batch.items.iter().any(|item| {
            matches!(item.entry(), LedgerEntry::UpdateCommitment(it) if it.node_fingerprint == site)
        })
    };
    let (view, first) = blocks.iter().find(|(_, block)| commits(block)).expect("it is ordered");
    assert_eq!(*view, 1);
    let next = blocks.iter().find(|(view, _)| *view == 1).expect("a block of the next view");
    assert_eq!(next.1.header.height, first.header.height);
}

fn scenario_site(name: &str) -> federation_proto::NodeFingerprint {
    simulator::keys::KeyRing::published().key::<federation_proto::keys::Identity>(name).public()
}

#[test]
fn a_primary_that_says_two_things_decides_neither_and_is_replaced() {
    let (run, _) = faulty("equivocating_validators = [\"validator-1\"]");
    assert_eq!(views(&run), [(1, "validator-2")]);
    assert!(blocks(&run).iter().all(|(view, _)| *view == 1));
}

#[test]
fn a_slow_primary_keeps_its_view_until_it_is_slower_than_patience() {
    let slow = |delay_ms: u64| {
        faulty(&format!(
            "slow_validators = [{{ validator = \"validator-1\", delay_ms = {delay_ms} }}]"
        ))
    };
    assert_eq!(views(&slow(1_000).0), []);
    assert_eq!(views(&slow(20_000).0), [(1, "validator-2")]);
}

#[test]
fn a_run_with_faults_is_as_determined_as_one_without() {
    let fault =
        "crashed_validators = [{ validator = \"validator-1\", at_ms = 300, back_ms = 6_000 }]";
    let [(one, _), (other, _)] = [faulty(fault), faulty(fault)];
    assert_eq!((one.trace, &one.artifacts), (other.trace, &other.artifacts));
}
