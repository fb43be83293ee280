//! The plan against the one that the ledger leads to: every field, and every proof by itself.

use std::collections::BTreeSet;

use federation_proto::{Height, LedgerEntry};
use ledger::merkle::block_tree::InclusionProof;
use ledger::{Checkpoint, EntryProof, LogHash, ProofError};
use serde_json::Value;

use super::checks::Check;
use super::ground::{Documents, Ground};
use super::ledger::{Chain, HeadClaim, Replayed};
use super::report::{Place, Results};
use crate::artifact::plan::{AlignmentProof, FederatedPlan};
use crate::artifact::replay::{AppliedEpoch, Replay};
use crate::artifact::{PLAN, derive_plan};

/// Most proofs and epochs of a plan that are judged.
const MAX_ITEMS: usize = 200_000;

/// Checks that judge what the plan says, besides what the ledger says.
const NEED_PLAN: &[Check] =
    &[Check::MerkleInclusion, Check::Coverage, Check::Numeric, Check::EpochMonotonic];

/// Which check a differing field belongs to, besides `artifact:federated_plan`: section, field, check.
/// The first line that matches counts; an empty field matches the whole section.
const FIELDS: &[(&str, &str, Check)] = &[
    ("federation_id", "", Check::IncompleteRun),
    ("config_digest", "", Check::RosterEpoch),
    ("policy_hash", "", Check::PolicyPinned),
    ("committee", "", Check::RosterEpoch),
    ("validators", "", Check::RosterEpoch),
    ("participating_nodes", "transport", Check::SessionTransport),
    ("participating_nodes", "", Check::RosterEpoch),
    ("epochs", "absent", Check::Coverage),
    ("epochs", "alignment_hash", Check::AlignmentProofs),
    ("epochs", "rule", Check::AggregateRecomputed),
    ("epochs", "aggregated_update_hash", Check::AggregateRecomputed),
    ("epochs", "delta", Check::AggregateRecomputed),
    ("epochs", "base_state_hash", Check::StateRecomputed),
    ("epochs", "new_state_hash", Check::StateRecomputed),
    ("epochs", "new_state_blob", Check::StateRecomputed),
    ("epochs", "new_state", Check::StateRecomputed),
    ("epochs", "", Check::EpochMonotonic),
    ("alignment_proofs", "update_hash", Check::UpdateHash),
    ("alignment_proofs", "blob", Check::UpdateHash),
    ("alignment_proofs", "status", Check::AlignmentProofs),
    ("alignment_proofs", "staleness", Check::AlignmentProofs),
    ("alignment_proofs", "reason", Check::AlignmentProofs),
    ("consensus_decisions", "view", Check::ViewSeq),
    ("consensus_decisions", "sequence", Check::ViewSeq),
    ("consensus_decisions", "epoch", Check::ViewSeq),
    ("consensus_decisions", "height", Check::ViewSeq),
    ("consensus_decisions", "ledger_block_id", Check::MerkleRoot),
];

/// Checks the plan, as far as it can be read, against the replayed ledger.
pub(super) fn check(
    documents: &Documents,
    chain: &Chain,
    ground: &Ground,
    replayed: Option<&Replayed>,
    consensus_passed: bool,
    found: &mut Results,
) {
    let Some(value) = &documents.plan_value else {
        found.fail(Check::FederatedPlan, &Place::file(PLAN), "a readable plan", "none");
        found.block(NEED_PLAN, "there is no readable plan");
        return;
    };
    let place = Place::at(PLAN, "/alignment_proofs");
    let proofs = value.get("alignment_proofs").and_then(Value::as_array).map_or(0, Vec::len);
    found.holds(Check::FederatedPlan, &place, proofs > 0, "at least one alignment proof", proofs);
    if let Some(plan) = &documents.plan {
        check_epochs(plan, ground, replayed, found);
        check_proofs(plan, chain, ground, replayed.map(|replayed| &replayed.replay), found);
    } else {
        found.block(NEED_PLAN, "the plan has another shape");
    }
    let Some(replayed) = replayed.filter(|replayed| replayed.complete) else { return };
    match derive_plan(&replayed.replay, &chain.decisions, consensus_passed) {
        Ok(expected) => {
            let expected = serde_json::to_value(&expected).unwrap_or_default();
            found.pass(Check::FederatedPlan);
            let mut pointer = Vec::new();
            diff(&expected, value, &mut pointer, found);
        }
        Err(cause) => {
            let expected = "a ledger that leads to a plan";
            found.fail(Check::FederatedPlan, &Place::file(PLAN), expected, cause);
        }
    }
}

/// The heads that the plan's checkpoints claim.
pub(super) fn heads(plan: &FederatedPlan) -> impl Iterator<Item = HeadClaim> {
    plan.consensus_decisions.iter().enumerate().filter_map(|(index, decision)| {
        let checkpoint = decision.checkpoint.as_ref()?;
        let at = format!("/consensus_decisions/{index}/checkpoint/log_root");
        let (size, root) = (checkpoint.log_size, checkpoint.log_root);
        Some(HeadClaim { place: Place::at(PLAN, at), size, root })
    })
}

/// Epochs count up by one; numbers are within the schema's bounds.
fn check_epochs(
    plan: &FederatedPlan,
    ground: &Ground,
    replayed: Option<&Replayed>,
    found: &mut Results,
) {
    let sections = [plan.epochs.len(), plan.alignment_proofs.len(), plan.consensus_decisions.len()];
    let fits = sections.iter().all(|length| *length <= MAX_ITEMS);
    let limit = format!("at most {MAX_ITEMS} items a section");
    if !found.holds(Check::Size, &Place::file(PLAN), fits, limit, format!("{sections:?}")) {
        return;
    }
    for (index, (expected, epoch)) in (1u64..).zip(&plan.epochs).enumerate() {
        let place = Place::at(PLAN, format!("/epochs/{index}"));
        found.same(Check::EpochMonotonic, &place.below("epoch"), &expected, &epoch.epoch);
        for (gene, delta) in epoch.delta.iter().enumerate() {
            let fits = i32::try_from(*delta).is_ok();
            let place = place.below("delta").below(gene);
            found.holds(Check::Numeric, &place, fits, "a Q8.24 value of 32 bits", delta);
        }
        let Some(rules) = &ground.rules else { continue };
        for (gene, (value, spec)) in epoch.new_state.iter().zip(rules.schema.genes()).enumerate() {
            let fits = (i64::from(spec.min)..=i64::from(spec.max)).contains(value);
            let expected = format!("{} in {}..={}", spec.name, spec.min, spec.max);
            let place = place.below("new_state").below(gene);
            found.holds(Check::Numeric, &place, fits, expected, value);
        }
    }
    if let Some(replayed) = replayed {
        let (applied, stated) = (replayed.replay.epochs.len(), plan.epochs.len());
        let place = Place::at(PLAN, "/epochs");
        let (expected, shown) = (format!("{applied} epochs"), format!("{stated} epochs"));
        found.holds(Check::EpochMonotonic, &place, applied == stated, expected, shown);
    }
}

/// Every proof by itself, and the set of them against the cuts of the ledger.
fn check_proofs(
    plan: &FederatedPlan,
    chain: &Chain,
    ground: &Ground,
    replay: Option<&Replay>,
    found: &mut Results,
) {
    for (index, proof) in plan.alignment_proofs.iter().take(MAX_ITEMS).enumerate() {
        let place = Place::at(PLAN, format!("/alignment_proofs/{index}"));
        check_proof(proof, &place, chain, ground, found);
        if let (Some(staleness), Some(rules)) = (proof.staleness, &ground.rules) {
            let limit = u64::from(rules.policy.document().aggregation.max_staleness);
            let place = place.below("staleness");
            let expected = format!("at most {limit}");
            found.holds(Check::Numeric, &place, staleness <= limit, expected, staleness);
        }
    }
    let epochs = replay.map(|replay| replay.epochs.as_slice());
    check_coverage(&plan.alignment_proofs, epochs, found);
}

/// Every commitment of every cut has exactly one proof. A commitment is known by its epoch and its place on the
/// ledger: one update can be committed twice.
pub(super) fn check_coverage(
    proofs: &[AlignmentProof],
    epochs: Option<&[AppliedEpoch]>,
    found: &mut Results,
) {
    let mut stated: BTreeSet<(u64, u64, u32)> = BTreeSet::new();
    for (index, proof) in proofs.iter().take(MAX_ITEMS).enumerate() {
        let place = Place::at(PLAN, format!("/alignment_proofs/{index}"));
        let first = stated.insert((proof.epoch, proof.height, proof.entry_index));
        let expected = "every commitment once";
        found.holds(Check::Coverage, &place, first, expected, "a second proof of one");
    }
    let Some(epochs) = epochs else { return };
    let place = Place::at(PLAN, "/alignment_proofs");
    for epoch in epochs {
        for ordered in &epoch.commitments {
            let at = epoch.cut.federated_epoch;
            let there = stated.remove(&(at.get(), ordered.height.get(), ordered.index));
            let expected = format!(
                "a proof for update {} of node {} in epoch {at}, block {} entry {}",
                ordered.commitment.update_hash,
                ordered.commitment.node_fingerprint.short(),
                ordered.height,
                ordered.index,
            );
            found.holds(Check::Coverage, &place, there, expected, "none");
        }
    }
    for (epoch, height, index) in stated {
        let shown = format!("block {height} entry {index} in epoch {epoch}");
        found.fail(Check::Coverage, &place, "updates of the ledger's cuts only", shown);
    }
}

/// The way from the commitment to the log head, with the plan's own path, and what it proves.
fn check_proof(
    proof: &AlignmentProof,
    place: &Place,
    chain: &Chain,
    ground: &Ground,
    found: &mut Results,
) {
    let Some(block) = chain.ledger.block(Height::new(proof.height)) else {
        let expected = format!("a block of {}", chain.ledger.head().height);
        found.fail(Check::MerkleInclusion, &place.below("height"), expected, proof.height);
        return;
    };
    let item = usize::try_from(proof.entry_index).ok().and_then(|at| block.batch.items.get(at));
    let Some(item) = item else {
        let expected = format!("an entry of {}", block.header.entries_count);
        found.fail(
            Check::MerkleInclusion,
            &place.below("entry_index"),
            expected,
            proof.entry_index,
        );
        return;
    };
    let root = match chain.ledger.history().root_at(proof.log_size) {
        Ok(root) => root,
        Err(cause) => {
            found.fail(
                Check::MerkleInclusion,
                &place.below("log_size"),
                "a size of this log",
                cause,
            );
            return;
        }
    };
    let entry = InclusionProof {
        index: proof.entry_index,
        count: proof.entries_count,
        siblings: proof.entry_path.clone(),
    };
    let log_path =
        proof.log_path.iter().map(|hash| LogHash::from_bytes(*hash.as_bytes())).collect();
    let whole = EntryProof { header: block.header, entry, log_size: proof.log_size, log_path };
    let federation = ground.context.federation_id;
    let origin = ground.genesis.claimed().log_origin.as_str();
    let verified =
        Checkpoint::new(origin, proof.log_size, root).map_err(|cause| cause.to_string()).and_then(
            |head| whole.verify(item, federation, &head).map_err(|cause| entry_fault(&cause)),
        );
    match verified {
        Ok(()) => found.pass(Check::MerkleInclusion),
        Err(cause) => {
            let expected = format!("a proof that leads to the log of {} blocks", proof.log_size);
            found.fail(Check::MerkleInclusion, place, expected, cause);
        }
    }
    let LedgerEntry::UpdateCommitment(commitment) = item.entry() else {
        found.fail(Check::Coverage, place, "an UpdateCommitment", item.entry().kind());
        return;
    };
    let hashes = (commitment.update_hash, proof.update_hash);
    found.same(Check::UpdateHash, &place.below("update_hash"), &hashes.0, &hashes.1);
    let blobs = (commitment.blob, proof.blob);
    found.same(Check::UpdateHash, &place.below("blob"), &blobs.0, &blobs.1);
    let nodes = (commitment.node_fingerprint, proof.node_fingerprint);
    found.same(Check::Coverage, &place.below("node_fingerprint"), &nodes.0, &nodes.1);
    let cycles = (commitment.cycle.get(), proof.cycle);
    found.same(Check::Coverage, &place.below("cycle"), &cycles.0, &cycles.1);
}

fn entry_fault(cause: &ledger::EntryProofError) -> String {
    match cause {
        ledger::EntryProofError::Entry(ProofError::RootMismatch { .. }) => {
            "an entry path that leads to another root".to_owned()
        }
        ledger::EntryProofError::Log(ProofError::RootMismatch { .. }) => {
            "a log path that leads to another root".to_owned()
        }
        other => other.to_string(),
    }
}

/// Compares two JSON values; `pointer` is the way to them.
fn diff(expected: &Value, got: &Value, pointer: &mut Vec<String>, found: &mut Results) {
    match (expected, got) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            for key in keys {
                pointer.push(key.clone());
                match (ours.get(key), theirs.get(key)) {
                    (Some(ours), Some(theirs)) => diff(ours, theirs, pointer, found),
                    (ours, theirs) => differ(&show(ours), &show(theirs), pointer, found),
                }
                pointer.pop();
            }
        }
        // Items of lists of different lengths are not paired: one missing item would make all others differ.
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                pointer.push(index.to_string());
                diff(ours, theirs, pointer, found);
                pointer.pop();
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            let first = ours.iter().zip(theirs).take_while(|(ours, theirs)| ours == theirs).count();
            let count =
                |items: &[Value]| format!("{} items (first difference at {first})", items.len());
            differ(&count(ours), &count(theirs), pointer, found);
        }
        _ if expected == got => found.pass(Check::FederatedPlan),
        _ => differ(&show(Some(expected)), &show(Some(got)), pointer, found),
    }
}

fn show(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn differ(expected: &str, got: &str, pointer: &[String], found: &mut Results) {
    let place = Place::at(PLAN, format!("/{}", pointer.join("/")));
    found.fail(Check::FederatedPlan, &place, expected, got);
    let section = pointer.first().map_or("", String::as_str);
    // Votes and checkpoints have checks of their own, from their own signatures.
    let own = ["votes", "checkpoint"].iter().any(|part| pointer.iter().any(|step| step == part));
    let field = pointer.get(2).map_or("", String::as_str);
    let named =
        |line: &&(&str, &str, Check)| line.0 == section && (line.1.is_empty() || line.1 == field);
    if let Some((_, _, check)) = FIELDS.iter().find(named).filter(|_| !own) {
        found.fail(*check, &place, expected, got);
    }
}
