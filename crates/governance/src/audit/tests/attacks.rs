//! Attacks on files: one thing mutated, the manifest re-signed, the named check fails.

use std::collections::BTreeSet;

use federation_proto::keys::{Consensus, Identity};
use federation_proto::*;

use super::super::*;
use super::fixture::{audit_loaded, audit_set, genesis, key, resign, run_set};
use crate::artifact::plan::{FederatedPlan, PlanVote};
use crate::artifact::{
    ANCHOR, ArtifactSet, EVALUATION, GENESIS, GOVERNANCE_LOG, LoadProblem, LoadProblemKind,
    MANIFEST, PLAN, POLICY, json,
};
use consensus_pbft::{Commit, ReplicaId};

/// Bytes flipped in every file.
const POSITIONS: usize = 4;

/// Mutates the files, re-signs the manifest, audits.
fn attack(mutate: impl FnOnce(&mut ArtifactSet)) -> Report {
    let mut set = run_set();
    mutate(&mut set);
    resign(&mut set, &genesis(1).signing_context());
    audit_set(set)
}

fn attack_plan(mutate: impl FnOnce(&mut FederatedPlan)) -> Report {
    attack(|set| {
        let mut plan = json::read::<FederatedPlan>(&set[PLAN]).value.expect("a plan");
        mutate(&mut plan);
        set.insert(PLAN.into(), plan.to_text().into_bytes());
    })
}

fn attack_text(path: &str, mutate: impl FnOnce(String) -> String) -> Report {
    attack(|set| {
        let text = String::from_utf8(set[path].clone()).expect("text");
        let mutated = mutate(text.clone());
        assert_ne!(mutated, text, "the attack must change something");
        set.insert(path.into(), mutated.into_bytes());
    })
}

#[track_caller]
fn fails(report: &Report, check: Check) {
    assert_eq!(report.verdict(check), Verdict::Fail, "{}\n{report}", check.id());
    assert_eq!(report.exit_code(), 1);
}

/// Exactly these checks fail: an audit that cries at everything names nothing.
#[track_caller]
fn fails_exactly(report: &Report, checks: &[Check]) {
    let failed: BTreeSet<Check> = report.with(Verdict::Fail).map(|line| line.check).collect();
    assert_eq!(failed, checks.iter().copied().collect(), "{report}");
}

fn sign_vote(vote: &mut PlanVote, owner: &str) {
    let body = Commit {
        view: View::new(vote.view),
        sequence: SequenceNumber::new(vote.sequence),
        digest: vote.digest,
        replica: ReplicaId::new(u16::try_from(vote.replica).expect("small")),
    };
    let context = genesis(1).signing_context();
    vote.signature = *Signed::sign(body, &key::<Consensus>(owner), &context).signature();
}

#[test]
fn votes_that_do_not_count() {
    let flipped = attack_plan(|plan| {
        plan.consensus_decisions[3].votes[1].digest = Digest::of_blob(b"another");
    });
    fails(&flipped, Check::SigStrict);
    fails(&flipped, Check::FederatedPlan);
    let finding = flipped.findings().iter().find(|finding| finding.check == Check::SigStrict);
    let finding = finding.expect("the vote");
    assert_eq!(
        (finding.file.as_str(), finding.at.as_str()),
        (PLAN, "/consensus_decisions/3/votes/1/signature")
    );
    let deleted = attack_plan(|plan| plan.consensus_decisions[3].votes.truncate(2));
    fails_exactly(&deleted, &[Check::Quorum, Check::FederatedPlan, Check::ConsensusPassed]);
    let copied = attack_plan(|plan| {
        let votes = &mut plan.consensus_decisions[3].votes;
        votes[1] = votes[0].clone();
    });
    fails(&copied, Check::VoterUnique);
    fails(&copied, Check::Quorum);
    let other_view = attack_plan(|plan| {
        let vote = &mut plan.consensus_decisions[3].votes[0];
        vote.view = 9;
        sign_vote(vote, "validator-1");
    });
    fails(&other_view, Check::ViewSeq);
    let other_epoch = attack_plan(|plan| plan.consensus_decisions[3].epoch = 9);
    fails_exactly(&other_epoch, &[Check::ViewSeq, Check::FederatedPlan]);
    let other_sequence = attack_plan(|plan| plan.consensus_decisions[3].sequence = 9);
    fails(&other_sequence, Check::ViewSeq);
    let many = attack_plan(|plan| {
        let votes = &mut plan.consensus_decisions[3].votes;
        let vote = votes[0].clone();
        votes.resize(10_000, vote);
    });
    fails(&many, Check::Size);
    let unreduced = attack_plan(|plan| {
        let vote = &mut plan.consensus_decisions[3].votes[0];
        let mut bytes = vote.signature.to_bytes();
        bytes[63] |= 0xE0;
        vote.signature = Signature::from_bytes(&bytes);
    });
    fails(&unreduced, Check::SigCanonical);
}

#[test]
fn forced_and_denied_consensus() {
    let forced = attack_plan(|plan| {
        plan.consensus_decisions[0].votes.truncate(1);
        plan.consensus_passed = true;
    });
    fails(&forced, Check::ConsensusPassed);
    let denied = attack_plan(|plan| plan.consensus_passed = false);
    fails_exactly(&denied, &[Check::ConsensusPassed, Check::FederatedPlan]);
}

#[test]
fn two_digests_of_one_voter() {
    let report = attack_plan(|plan| {
        let votes = &mut plan.consensus_decisions[3].votes;
        let mut second = votes[0].clone();
        second.digest = Digest::of_blob(b"another");
        sign_vote(&mut second, "validator-1");
        votes.push(second);
    });
    fails(&report, Check::Equivocation);
}

#[test]
fn strangers_and_weak_keys() {
    let stranger = attack_plan(|plan| {
        plan.consensus_decisions[2].votes[0].validator = key::<Identity>("stranger").public();
    });
    fails(&stranger, Check::RosterEpoch);
    let unknown = attack_plan(|plan| plan.consensus_decisions[2].votes[2].replica = 77);
    fails(&unknown, Check::RosterEpoch);
    let mut small = [0; 32];
    small[0] = 1;
    let weak = attack_plan(|plan| plan.validators[0].consensus_key = PublicKey::from_bytes(small));
    fails(&weak, Check::WeakKey);
    fails(&weak, Check::FederatedPlan);
}

#[test]
fn alignment_proofs() {
    let left_out = attack_plan(|plan| {
        plan.alignment_proofs.remove(4);
    });
    fails_exactly(&left_out, &[Check::Coverage, Check::FederatedPlan]);
    let swapped = attack_plan(|plan| {
        plan.alignment_proofs[0].update_hash = Digest::of_blob(b"another");
    });
    fails(&swapped, Check::UpdateHash);
    let bent = attack_plan(|plan| plan.alignment_proofs[0].log_path[0] = Digest::ZERO);
    fails_exactly(&bent, &[Check::MerkleInclusion, Check::FederatedPlan]);
    let long = attack_plan(|plan| plan.alignment_proofs[0].entry_path.push(Digest::ZERO));
    fails(&long, Check::MerkleInclusion);
    let beyond = attack_plan(|plan| plan.alignment_proofs[0].entry_index = 99);
    fails(&beyond, Check::MerkleInclusion);
    let stale = attack_plan(|plan| plan.alignment_proofs[0].staleness = Some(200));
    fails(&stale, Check::Numeric);
    fails(&stale, Check::AlignmentProofs);
}

#[test]
fn epochs_and_numbers() {
    let older = attack_plan(|plan| {
        plan.epochs.pop();
    });
    fails(&older, Check::EpochMonotonic);
    let huge = attack_plan(|plan| plan.epochs[0].delta[0] = i64::MAX);
    fails(&huge, Check::Numeric);
    fails(&huge, Check::AggregateRecomputed);
    let outside = attack_plan(|plan| plan.epochs[1].new_state[0] = i64::from(i32::MAX));
    fails(&outside, Check::Numeric);
    fails(&outside, Check::StateRecomputed);
    let float =
        attack_text(PLAN, |text| text.replacen("\"staleness\": 0", "\"staleness\": 1e999", 1));
    fails(&float, Check::Numeric);
    let absent = attack_plan(|plan| {
        plan.epochs[0].absent.push(crate::artifact::plan::AbsentNode {
            node_fingerprint: plan.participating_nodes[0].node_fingerprint,
            reason: entry::AbsenceReason::NoCommitment,
        });
    });
    fails(&absent, Check::Coverage);
    let transport = attack_plan(|plan| plan.participating_nodes[0].transport = "quic".into());
    fails(&transport, Check::SessionTransport);
}

#[test]
fn encodings() {
    for path in [PLAN, GENESIS, EVALUATION] {
        fails(&attack_text(path, |text| format!("\u{feff}{text}")), Check::Encoding);
        fails(&attack_text(path, |text| format!("{text}{{}}")), Check::Encoding);
        let duplicate = attack_text(path, |text| text.replacen('{', "{\n  \"schema\": \"x\",", 1));
        fails(&duplicate, Check::Encoding);
        let unknown = attack_text(path, |text| text.replacen('{', "{\n  \"extra\": 1,", 1));
        fails(&unknown, Check::Schema);
        let version =
            |text: String| text.replacen("\"schema_version\": 1", "\"schema_version\": 9", 1);
        fails(&attack_text(path, version), Check::SchemaVersion);
        let deep = |text: String| text.replacen('{', &format!("{{\"x\": {}", "[".repeat(5000)), 1);
        fails(&attack_text(path, deep), Check::Encoding);
    }
    let respelt = attack_text(PLAN, |text| text.replacen("\": ", "\" : ", 1));
    fails_exactly(&respelt, &[Check::Encoding]);
}

#[test]
fn a_mutation_without_a_new_manifest_is_still_its_own_check() {
    let mut set = run_set();
    let mut plan = json::read::<FederatedPlan>(&set[PLAN]).value.expect("a plan");
    plan.consensus_decisions[3].votes[1].digest = Digest::of_blob(b"another");
    set.insert(PLAN.into(), plan.to_text().into_bytes());
    let report = audit_set(set);
    fails(&report, Check::Manifest);
    fails(&report, Check::SigStrict);
}

#[test]
fn files_and_paths() {
    let mut set = run_set();
    set.insert("mec/M5/extra.txt".into(), b"x".to_vec());
    fails_exactly(&audit_set(set), &[Check::Unlisted]);
    // Listed, but named by nothing.
    fails_exactly(
        &attack(|set| drop(set.insert("mec/M5/extra.txt".into(), vec![1]))),
        &[Check::Unlisted],
    );
    let mut set = run_set();
    set.remove(EVALUATION);
    let missing = audit_set(set);
    fails(&missing, Check::IncompleteRun);
    for (kind, check) in [
        (LoadProblemKind::Symlink, Check::Path),
        (LoadProblemKind::NotRegular, Check::Path),
        (LoadProblemKind::Path, Check::Path),
        (LoadProblemKind::TooLarge { length: 10 << 30 }, Check::Size),
        (LoadProblemKind::TooMany, Check::Size),
        (LoadProblemKind::Unreadable("denied".into()), Check::IncompleteRun),
        (LoadProblemKind::Staging, Check::IncompleteRun),
    ] {
        let mut loaded = LoadedArtifacts::from(run_set());
        loaded.problems.push(LoadProblem { path: "mec/M5/x".into(), kind });
        fails_exactly(&audit_loaded(&loaded), &[check]);
    }
    let escape =
        attack_manifest(|text| text.replacen("mec/M5/evaluation", "mec/../../evaluation", 1));
    fails(&escape, Check::Path);
    let absolute = attack_manifest(|text| text.replacen("mec/M5/evaluation", "/etc/evaluation", 1));
    fails(&absolute, Check::Path);
    let huge =
        attack_manifest(|text| text.replacen("\"length\": \"", "\"length\": \"1099511627776", 1));
    fails(&huge, Check::Size);
    fails(&huge, Check::Manifest);
}

/// Changes the manifest itself and signs it again.
fn attack_manifest(mutate: impl FnOnce(String) -> String) -> Report {
    let mut set = run_set();
    let text = mutate(String::from_utf8(set[MANIFEST].clone()).expect("text"));
    let context = genesis(1).signing_context();
    let artifact_key = key::<keys::Artifact>("artifacts");
    let signature = crate::artifact::manifest::sign(text.as_bytes(), &artifact_key, &context);
    set.insert(MANIFEST.into(), text.into_bytes());
    set.insert(crate::artifact::MANIFEST_SIGNATURE.into(), signature.into_bytes());
    audit_set(set)
}

#[test]
fn the_policy_is_pinned() {
    let swapped =
        attack_text(POLICY, |text| text.replace("max_staleness = 3", "max_staleness = 9"));
    fails(&swapped, Check::PolicyPinned);
    assert_eq!(swapped.verdict(Check::StateRecomputed), Verdict::NotRun);
    // Votes need no policy and were judged all the same.
    assert_eq!(swapped.verdict(Check::Quorum), Verdict::Pass);
    fails(&attack_text(POLICY, |text| format!("{text}\nunknown = 1\n")), Check::Schema);
}

#[test]
fn the_governance_log() {
    let dropped = attack_text(GOVERNANCE_LOG, |text| {
        let (first, second) =
            (text.find("\n## 0001").expect("one"), text.find("\n## 0002").expect("two"));
        format!("{}{}", &text[..first], &text[second..])
    });
    fails(&dropped, Check::GovCoverage);
    fails(&dropped, Check::GovChain);
    let last =
        attack_text(GOVERNANCE_LOG, |text| text[..text.find("\n## 0002").expect("two")].to_owned());
    fails(&last, Check::GovCoverage);
    let unsigned = attack_text(GOVERNANCE_LOG, |text| {
        let at = text.find("\u{2014} governor").expect("a signature");
        let end = at + text[at..].find('\n').expect("a line") + 1;
        format!("{}{}", &text[..at], &text[end..])
    });
    fails(&unsigned, Check::GovQuorum);
    let forged =
        attack_text(GOVERNANCE_LOG, |text| text.replacen("new_state: ", "new_state: 0", 1));
    fails(&forged, Check::GovQuorum);
    fails(&forged, Check::SigStrict);
}

#[test]
fn anchors() {
    let flipped = attack_text(ANCHOR, |text| {
        let at = text.find("\n\n").expect("the note");
        let line = text[..at].rfind('\n').expect("a path line") + 1;
        format!("{}{}{}", &text[..line], "A".repeat(43) + "=", &text[at..])
    });
    fails(&flipped, Check::MerkleRoot);
    let short = attack_text(ANCHOR, |text| {
        let at = text.find("\n\n").expect("the note");
        let line = text[..at].rfind('\n').expect("a path line");
        format!("{}{}", &text[..line], &text[at..])
    });
    fails(&short, Check::MerkleInclusion);
    let beyond = attack_text(ANCHOR, |text| {
        let at = text.find("index ").expect("an index") + "index ".len();
        format!("{}9{}", &text[..at], &text[at..])
    });
    fails(&beyond, Check::MerkleInclusion);
    fails(&attack(|set| drop(set.remove(ANCHOR))), Check::IncompleteRun);
}

#[test]
fn blobs_and_blocks() {
    let first = |set: &ArtifactSet, folder: &str| {
        let path = set.keys().find(|path| path.contains(folder)).expect("a file");
        path.clone()
    };
    let flipped = attack(|set| {
        let path = first(set, "blobs");
        let bytes = set.get_mut(&path).expect("a blob");
        bytes[10] ^= 1;
    });
    fails(&flipped, Check::UpdateHash);
    let removed = attack(|set| drop(set.remove(&first(set, "blobs"))));
    fails(&removed, Check::IncompleteRun);
    let cut_off = attack(|set| {
        let path = set.keys().rfind(|path| path.contains("blocks")).expect("a block").clone();
        set.remove(&path);
    });
    fails(&cut_off, Check::LedgerHead);
    let gap = attack(|set| drop(set.remove("mec/M5/ledger/blocks/00000004.blk")));
    fails(&gap, Check::LedgerHead);
    let reordered = attack(|set| {
        let (a, b) = ("mec/M5/ledger/blocks/00000002.blk", "mec/M5/ledger/blocks/00000003.blk");
        let (x, y) = (set[a].clone(), set[b].clone());
        set.insert(a.into(), y);
        set.insert(b.into(), x);
    });
    fails(&reordered, Check::MerkleRoot);
    let garbage = attack(|set| {
        let path = first(set, "blocks");
        set.insert(path, vec![0xFF; 64]);
    });
    fails(&garbage, Check::Encoding);
}

#[test]
fn every_single_byte_of_the_small_files_counts() {
    let set = run_set();
    let paths = [MANIFEST, GENESIS, POLICY, GOVERNANCE_LOG, ANCHOR, EVALUATION];
    for path in paths {
        for step in 0..24 {
            let mut set = set.clone();
            let bytes = set.get_mut(path).expect("a file");
            let at = bytes.len() * step / 24;
            bytes[at] ^= 0x01;
            assert!(!audit_set(set).passed(), "{path} byte {at}");
        }
    }
}

/// The held-out figures are attested only; everything else follows from the ledger, so even whoever holds the
/// artifact key cannot change a byte of it.
#[test]
fn a_new_manifest_hides_nothing() {
    let set = run_set();
    let context = genesis(1).signing_context();
    let attested = [MANIFEST, crate::artifact::MANIFEST_SIGNATURE, EVALUATION];
    for (number, path) in
        set.keys().enumerate().filter(|(_, path)| !attested.contains(&path.as_str()))
    {
        for step in 0..POSITIONS {
            let mut set = set.clone();
            let bytes = set.get_mut(path).expect("a file");
            // Another place in every file, so that together they cover all parts of the formats.
            let at = (bytes.len() * step / POSITIONS + 7 * number) % bytes.len();
            bytes[at] ^= 0x01;
            resign(&mut set, &context);
            assert!(!audit_set(set).passed(), "{path} byte {at}");
        }
    }
}
