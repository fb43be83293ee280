//! Forgeries by whoever holds all published keys: everything is signed, and only recomputation tells.

use federation_proto::entry::AggregatedUpdate;
use federation_proto::keys::Document;
use federation_proto::signing::Endorsed;
use federation_proto::*;

use super::super::*;
use super::fixture::{
    World, audit_set, checkpoint_certificate, commit_certificate, genesis, key, log_hash, resign,
    run_set,
};
use crate::artifact::plan::FederatedPlan;
use crate::artifact::{GENESIS, GenesisDocument, PLAN, block_path, json};
use ::ledger::BlockFile;
use consensus_pbft::CheckpointStatement;
use federation_proto::codec::Canonical;

fn bend_delta(mut aggregated: AggregatedUpdate, world: &World) -> AggregatedUpdate {
    aggregated.delta[0] += 4096;
    let (state, schema) = (world.executor.state(), &world.executor.rules().schema);
    let epoch = aggregated.federated_epoch;
    let next = state.meta().preview(schema, epoch, &aggregated.alignment, &aggregated.delta);
    aggregated.new_state_hash = next.expect("a legal state").hash();
    aggregated
}

#[test]
fn a_bent_aggregate_that_everybody_signed() {
    let mut world = World::new(1);
    world.join_all();
    world.epoch(bend_delta);
    let report = audit_set(world.assemble());
    assert_eq!(report.verdict(Check::AggregateRecomputed), Verdict::Fail, "{report}");
    // The votes are genuine and the replay is consistent: nothing but the recomputation can tell.
    assert_eq!(report.verdict(Check::Quorum), Verdict::Pass);
    assert_eq!(report.verdict(Check::FederatedPlan), Verdict::Pass);
}

#[test]
fn an_alignment_that_left_a_site_out() {
    let leave_out = |mut aggregated: AggregatedUpdate, world: &World| {
        let left = aggregated.alignment.aligned.pop().expect("an aligned update");
        let reason = entry::DiscardReason::Stale;
        aggregated.alignment.discarded.push(entry::DiscardedUpdate { update: left.update, reason });
        bend_delta(aggregated, world)
    };
    let mut world = World::new(1);
    world.join_all();
    world.epoch(leave_out);
    let report = audit_set(world.assemble());
    assert_eq!(report.verdict(Check::AlignmentProofs), Verdict::Fail, "{report}");
}

#[test]
fn a_fresh_governor_set() {
    let mut set = run_set();
    let body = genesis(1);
    let context = body.signing_context();
    let keys = ["mallory-a", "mallory-b"].map(key::<Document>);
    let endorsed = Endorsed::sign(body, &keys, &context);
    set.insert(GENESIS.into(), GenesisDocument::of(&endorsed).to_text().into_bytes());
    resign(&mut set, &context);
    let report = audit_set(set);
    assert_eq!(report.verdict(Check::RosterEpoch), Verdict::Fail, "{report}");
    assert_eq!(report.verdict(Check::GovQuorum), Verdict::Fail);
    let on_genesis =
        |finding: &&Finding| finding.check == Check::GovQuorum && finding.file == GENESIS;
    assert!(report.findings().iter().any(|finding| on_genesis(&finding)));
}

#[test]
fn one_governor_is_not_two() {
    let mut set = run_set();
    let body = genesis(1);
    let context = body.signing_context();
    let endorsed = Endorsed::sign(body, [&key::<Document>("governor-a")], &context);
    set.insert(GENESIS.into(), GenesisDocument::of(&endorsed).to_text().into_bytes());
    resign(&mut set, &context);
    assert_eq!(audit_set(set).verdict(Check::GovQuorum), Verdict::Fail);
}

#[test]
fn two_signed_heads_at_one_size() {
    let world = World::finished();
    let mut set = world.assemble();
    let mut plan = json::read::<FederatedPlan>(&set[PLAN]).value.expect("a plan");
    let decision = plan.consensus_decisions.iter_mut().find(|one| one.checkpoint.is_some());
    let checkpoint = decision.and_then(|one| one.checkpoint.as_mut()).expect("a checkpoint");
    checkpoint.log_root = Digest::of_blob(b"another history");
    let statement = CheckpointStatement {
        sequence: SequenceNumber::new(checkpoint.sequence),
        height: Height::new(checkpoint.height),
        header_hash: checkpoint.header_hash,
        log_size: checkpoint.log_size,
        log_root: log_hash(&checkpoint.log_root),
        state_root: checkpoint.state_root,
        next: None,
    };
    let certificate = checkpoint_certificate(&world.committee, statement);
    for (vote, signed) in checkpoint.votes.iter_mut().zip(&certificate.votes) {
        (vote.signature, vote.note_signature) = (signed.signature, signed.note_signature);
    }
    set.insert(PLAN.into(), plan.to_text().into_bytes());
    resign(&mut set, &world.context());
    let report = audit_set(set);
    for check in [Check::LedgerFork, Check::MerkleRoot, Check::Equivocation, Check::FederatedPlan] {
        assert_eq!(report.verdict(check), Verdict::Fail, "{}: {report}", check.id());
    }
}

#[test]
fn files_of_another_run() {
    let mut other = World::new(2);
    other.join_all();
    other.epoch(|aggregated, _| aggregated);
    let other = other.assemble();
    let mixed = |path: &str| {
        let mut set = run_set();
        set.insert(path.into(), other[path].clone());
        resign(&mut set, &genesis(1).signing_context());
        audit_set(set)
    };
    let anchor = mixed(crate::artifact::ANCHOR);
    assert_eq!(anchor.verdict(Check::MerkleRoot), Verdict::Fail, "{anchor}");
    let plan = mixed(PLAN);
    for check in [Check::EpochMonotonic, Check::IncompleteRun, Check::FederatedPlan] {
        assert_eq!(plan.verdict(check), Verdict::Fail, "{}: {plan}", check.id());
    }
    let block = mixed("mec/M5/ledger/blocks/00000003.blk");
    assert_eq!(block.verdict(Check::IncompleteRun), Verdict::Fail, "{block}");
    let genesis = mixed(GENESIS);
    assert_eq!(genesis.verdict(Check::IncompleteRun), Verdict::Fail, "{genesis}");
}

/// Rewrites one block and signs it again; later blocks no longer follow it.
fn forge_block(height: u64, mutate: impl FnOnce(&mut BlockFile)) -> Report {
    let world = World::finished();
    let mut set = world.assemble();
    let path = block_path(Height::new(height)).expect("a path");
    let mut block = BlockFile::from_canonical(&set[&path]).expect("a block");
    mutate(&mut block);
    let tree = ::ledger::block::entry_tree(&block.batch).expect("a tree");
    let header = &mut block.header;
    (header.entries_count, header.entries_root) = (tree.count(), tree.root());
    header.batch_digest = block.batch.digest(&world.context(), header.sequence);
    let (sequence, digest) = (header.sequence, header.batch_digest);
    let certificate = commit_certificate(&world.context(), View::ZERO, sequence, digest);
    block.commit_certificate = certificate.to_canonical();
    set.insert(path, block.to_canonical());
    resign(&mut set, &world.context());
    audit_set(set)
}

fn height_of(kind: &str) -> u64 {
    let world = World::finished();
    let blocks = world.executor.ledger().blocks();
    let has = |block: &&BlockFile| block.batch.items.iter().any(|item| item.entry().kind() == kind);
    blocks.filter(has).last().expect("a block").header.height.get()
}

fn entry_mut(block: &mut BlockFile) -> &mut LedgerEntry {
    match &mut block.batch.items[0] {
        BatchItem::Derived(entry) => entry,
        BatchItem::Request(_) => panic!("a derived entry"),
    }
}

#[test]
fn a_committed_update_left_out_of_the_cut() {
    let height = height_of("EpochCut");
    let left_out = forge_block(height, |block| {
        let LedgerEntry::EpochCut(cut) = entry_mut(block) else { panic!("a cut") };
        let left = cut.included.remove(1);
        let (node_fingerprint, reason) =
            (left.node_fingerprint, entry::AbsenceReason::NoCommitment);
        cut.absent.push(entry::Absence { node_fingerprint, reason });
    });
    assert_eq!(left_out.verdict(Check::Coverage), Verdict::Fail, "{left_out}");
}

#[test]
fn sign_offs_that_are_none() {
    let height = height_of("ApplySignoff");
    let alone = forge_block(height, |block| {
        let LedgerEntry::ApplySignoff(signoff) = entry_mut(block) else { panic!("a sign-off") };
        signoff.signatures.pop();
    });
    assert_eq!(alone.verdict(Check::GovQuorum), Verdict::Fail, "{alone}");
    let unchained = forge_block(height, |block| {
        let LedgerEntry::ApplySignoff(signoff) = entry_mut(block) else { panic!("a sign-off") };
        signoff.pin.previous_note = Digest::ZERO;
    });
    assert_eq!(unchained.verdict(Check::GovChain), Verdict::Fail, "{unchained}");
}

#[test]
fn a_header_with_another_state() {
    let report = forge_block(height_of("ApplySignoff"), |block| {
        block.header.state_root_after = Digest::of_blob(b"another state");
    });
    assert_eq!(report.verdict(Check::StateRecomputed), Verdict::Fail, "{report}");
}

#[test]
fn another_sites_name_on_a_request() {
    let report = forge_block(1, |block| {
        let BatchItem::Request(request) = &block.batch.items[0] else { panic!("a request") };
        let mut body = request.claimed().clone();
        body.node_fingerprint = key::<keys::Identity>("site-2").public();
        block.batch.items[0] = BatchItem::Request(Signed::from_parts(body, *request.signature()));
    });
    assert_eq!(report.verdict(Check::SigStrict), Verdict::Fail, "{report}");
}
