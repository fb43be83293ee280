//! What a dishonest author tries on the artifacts, and the named check that refuses each.
//!
//! The author here owns every published synthetic key, so manifests are signed anew after each lie unless the
//! test is about the manifest itself.

mod bytes;
mod chain;
mod claims;
mod controls;
mod plan;
mod sign_offs;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use federation_proto::SigningContext;
use governance::artifact::{
    ArtifactSet, FederatedPlan, FileRecord, GENESIS, GenesisDocument, LoadedArtifacts, MANIFEST,
    MANIFEST_SIGNATURE, Manifest, PLAN, manifest,
};
use governance::audit::{AuditOptions, Check, Report, Verdict, audit};
use governance::trust::RootOfTrust;
use meta_core::workload::coloring;
use simulator::FederationSimulator;
use simulator::keys::KeyRing;

use crate::small::scenario_with;

/// The artifacts of one honest run, made once.
fn honest() -> ArtifactSet {
    static RUN: OnceLock<ArtifactSet> = OnceLock::new();
    RUN.get_or_init(|| run_with(5, KeyRing::published())).clone()
}

/// A small run under a key ring.
fn run_with(seed: u64, keys: KeyRing) -> ArtifactSet {
    let simulator = FederationSimulator::with_keys(scenario_with(""), seed, &BTreeMap::new(), keys);
    simulator
        .expect("a founded federation")
        .run(&mut |_| {})
        .expect("a run without faults")
        .artifacts
}

fn options() -> AuditOptions {
    let schema = coloring::schema().expect("the colouring schema");
    AuditOptions { schemas: vec![schema], ..AuditOptions::default() }
}

fn report(set: ArtifactSet) -> Report {
    let trust = RootOfTrust::synthetic().expect("the compiled-in root of trust");
    audit(&LoadedArtifacts::from(set), &trust, &options())
}

fn context(set: &ArtifactSet) -> SigningContext {
    let genesis: GenesisDocument = serde_json::from_slice(&set[GENESIS]).expect("genesis.json");
    genesis.decode().expect("a genesis").claimed().signing_context()
}

/// Signs the manifest anew over what the set holds now.
fn resigned(mut set: ArtifactSet) -> ArtifactSet {
    let mut listed: Manifest = serde_json::from_slice(&set[MANIFEST]).expect("manifest.json");
    let others = set.iter().filter(|(path, _)| *path != MANIFEST && *path != MANIFEST_SIGNATURE);
    listed.files = others.map(|(path, bytes)| FileRecord::of(path, bytes)).collect();
    let text = listed.to_text().into_bytes();
    let signature = manifest::sign(&text, &KeyRing::published().artifact_key(), &context(&set));
    set.insert(MANIFEST.into(), text);
    set.insert(MANIFEST_SIGNATURE.into(), signature.into_bytes());
    set
}

/// The honest run with a lie in its plan.
fn with_plan(lie: impl FnOnce(&mut FederatedPlan)) -> ArtifactSet {
    let mut set = honest();
    let mut plan: FederatedPlan = serde_json::from_slice(&set[PLAN]).expect("federated_plan.json");
    lie(&mut plan);
    set.insert(PLAN.into(), plan.to_text().into_bytes());
    resigned(set)
}

/// The audit refuses, and the named check says in which file, where, what it expected and what it found.
#[track_caller]
fn refused(set: ArtifactSet, check: Check, file: &str) {
    let report = report(set);
    assert_eq!(report.exit_code(), 1, "{report}");
    assert_eq!(report.verdict(check), Verdict::Fail, "{}\n{report}", check.id());
    let finding = report
        .findings()
        .iter()
        .find(|finding| finding.check == check && finding.file.starts_with(file))
        .unwrap_or_else(|| panic!("{} names no {file}\n{report}", check.id()));
    assert_ne!(finding.expected, finding.found, "{report}");
}
