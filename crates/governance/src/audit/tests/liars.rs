//! One liar among the sites: the run of the others passes, with the lie on record. And what a signer may not lie
//! about without being seen.

use ::ledger::{Anchor, Note, NoteSigner};
use federation_proto::genesis::FederationKind;
use federation_proto::handshake::TransportKind;
use federation_proto::keys::LogCheckpoint;
use federation_proto::*;

use super::super::*;
use super::fixture::{Channel, World, audit_set, genesis, key, resign, run_set, schema};
use crate::artifact::plan::{AlignmentStatus, FederatedPlan};
use crate::artifact::replay::Replay;
use crate::artifact::{
    ANCHOR, ArtifactSet, EVALUATION, Evaluation, MANIFEST, Manifest, PLAN, epoch_anchor_path, json,
};

fn plan_of(set: &ArtifactSet) -> FederatedPlan {
    json::read::<FederatedPlan>(&set[PLAN]).value.expect("a plan")
}

#[test]
fn a_site_that_lies_about_its_blob_is_left_out_and_the_run_passes() {
    let mut world = World::new(1);
    world.join_all();
    world.liar = Some(4);
    world.epoch(|aggregated, _| aggregated);
    world.liar = None;
    world.epoch(|aggregated, _| aggregated);
    let set = world.assemble();
    let reasons: Vec<_> =
        plan_of(&set).alignment_proofs.iter().filter_map(|proof| proof.reason).collect();
    assert_eq!(reasons, [entry::DiscardReason::ConflictingHash; 2]);
    let report = audit_set(set);
    assert!(report.passed(), "{report}");
}

/// An excuse is worth what alignment, recomputed, says: a record that takes the lie excuses nothing.
#[test]
fn a_lie_that_was_aligned_is_a_finding() {
    let mut world = World::new(1);
    world.join_all();
    world.rubbish = Some(4);
    world.epoch(|mut aggregated, world| {
        let discarded = aggregated.alignment.discarded.pop().expect("the rubbish");
        let taken = entry::AlignedUpdate { update: discarded.update, staleness: 0 };
        aggregated.alignment.aligned.push(taken);
        aggregated.alignment.aligned.sort_unstable();
        let (state, schema) = (world.executor.state(), &world.executor.rules().schema);
        let (epoch, record) = (aggregated.federated_epoch, &aggregated.alignment);
        let next = state.meta().preview(schema, epoch, record, &aggregated.delta);
        aggregated.new_state_hash = next.expect("a legal state").hash();
        aggregated
    });
    let report = audit_set(world.assemble());
    assert_eq!(report.verdict(Check::Numeric), Verdict::Fail, "{report}");
    assert_eq!(report.verdict(Check::AlignmentProofs), Verdict::Fail, "{report}");
}

/// The ledger refuses a repetition while the update waits or is the last accepted; the audit copes with every
/// ledger that has one.
#[test]
fn one_update_committed_twice_has_two_proofs() {
    let world = World::finished();
    let mut replay = Replay::new(world.executor.rules().clone());
    for block in world.executor.ledger().blocks() {
        let certificate = &block.commit_certificate;
        replay.execute(block.header.sequence, &block.batch, certificate).expect("replays");
    }
    let mut epochs = replay.epochs;
    let mut again = epochs[0].commitments[0].clone();
    again.index = 77;
    epochs[0].commitments.push(again);
    let mut proofs = plan_of(&run_set()).alignment_proofs;
    let first = proofs.iter().find(|proof| proof.epoch == 1).expect("a proof").clone();
    let status = AlignmentStatus::Discarded;
    let coverage = |proofs: &[crate::artifact::plan::AlignmentProof]| {
        let mut found = Results::default();
        plan::check_coverage(proofs, Some(&epochs), &mut found);
        let trust = RootOfTrust::synthetic().expect("the shipped root");
        found.into_report(&trust, None, false).verdict(Check::Coverage)
    };
    assert_eq!(coverage(&proofs), Verdict::Fail, "one of two proofs");
    proofs.push(crate::artifact::plan::AlignmentProof { entry_index: 77, status, ..first.clone() });
    assert_eq!(coverage(&proofs), Verdict::Pass);
    proofs.push(first);
    assert_eq!(coverage(&proofs), Verdict::Fail, "one proof twice");
}

fn live_trust() -> RootOfTrust {
    let text = include_str!("../../../trust/synthetic-m5.toml");
    let live = text.replace("kind = \"synthetic\"", "kind = \"live\"");
    RootOfTrust::parse(live.as_bytes()).expect("a root of trust")
}

#[test]
fn a_live_session_is_quic_with_tls_1_3() {
    // Weaker TLS, and no network at all, never get on a live ledger: the machine refuses the session.
    let channel = |kind, tls| Channel { kind, tls };
    let cases = [
        (channel(TransportKind::Quic, [0x0304, 0x1301]), Verdict::Pass),
        (channel(TransportKind::Quic, [0x0304, 0x1302]), Verdict::Pass),
        (channel(TransportKind::Zenoh, [0x0304, 0x1303]), Verdict::Pass),
    ];
    let options = AuditOptions { schemas: vec![schema()], ..AuditOptions::default() };
    for (channel, verdict) in cases {
        let mut body = genesis(1);
        body.kind = FederationKind::Live;
        let mut world = World::founded(1, body);
        world.channel = channel;
        world.join_all();
        world.epoch(|aggregated, _| aggregated);
        let set = LoadedArtifacts::from(world.assemble());
        let report = audit(&set, &live_trust(), &options);
        assert_eq!(report.verdict(Check::SessionTransport), verdict, "{channel:?}\n{report}");
        assert_eq!(report.passed(), verdict == Verdict::Pass, "{channel:?}\n{report}");
    }
}

#[test]
fn a_strangers_line_under_an_anchor() {
    let mut set = run_set();
    let anchor = Anchor::parse(&set[ANCHOR]).expect("an anchor");
    let text = anchor.note().text().to_owned();
    let origin = genesis(1).log_origin;
    let signer = NoteSigner::new(origin.as_str(), key::<LogCheckpoint>("stranger"));
    let line = signer.expect("a signer").sign(&text).expect("a line");
    let note = Note::new(text, vec![line]).expect("a note").to_text();
    let line = note.lines().last().expect("the stranger's line");
    let bent = format!("{}{line}\n", String::from_utf8(set[ANCHOR].clone()).expect("text"));
    let last = epoch_anchor_path(FederatedEpoch::new(2));
    for path in [ANCHOR.to_owned(), last] {
        set.insert(path, bent.clone().into_bytes());
    }
    resign(&mut set, &genesis(1).signing_context());
    let report = audit_set(set);
    let failed: Vec<_> = report.with(Verdict::Fail).map(|line| line.check).collect();
    assert_eq!(failed, [Check::RosterEpoch], "{report}");
}

#[test]
fn a_view_that_falls_is_no_lie() {
    let mut world = World::new(1);
    world.join_all();
    world.view = View::new(3);
    world.epoch(|aggregated, _| aggregated);
    world.view = View::new(2);
    world.epoch(|aggregated, _| aggregated);
    let report = audit_set(world.assemble());
    let failed: Vec<_> = report.with(Verdict::Fail).map(|line| line.check).collect();
    assert_eq!(failed, [], "{report}");
}

#[test]
fn a_run_that_was_another() {
    let lies: [fn(&mut Manifest); 3] = [
        |manifest| manifest.scenario.name.push('x'),
        |manifest| manifest.scenario.seed += 1,
        |manifest| manifest.scenario.digest = Digest::ZERO,
    ];
    for lie in lies {
        let mut set = run_set();
        let mut manifest = json::read::<Manifest>(&set[MANIFEST]).value.expect("a manifest");
        lie(&mut manifest);
        set.insert(MANIFEST.into(), manifest.to_text().into_bytes());
        resign(&mut set, &genesis(1).signing_context());
        let report = audit_set(set);
        let failed: Vec<_> = report.with(Verdict::Fail).map(|line| line.check).collect();
        assert_eq!(failed, [Check::Manifest], "{report}");
    }
}

#[test]
fn figures_of_another_epoch() {
    let mut set = run_set();
    let mut evaluation = json::read::<Evaluation>(&set[EVALUATION]).value.expect("an evaluation");
    evaluation.epochs += 1;
    set.insert(EVALUATION.into(), evaluation.to_text().into_bytes());
    resign(&mut set, &genesis(1).signing_context());
    let report = audit_set(set);
    let failed: Vec<_> = report.with(Verdict::Fail).map(|line| line.check).collect();
    assert_eq!(failed, [Check::EvaluationAttested], "{report}");
}
