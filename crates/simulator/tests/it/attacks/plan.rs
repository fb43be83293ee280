//! Lies in the plan alone. The ledger beside it is honest.

use federation_proto::{Digest, Signature};
use governance::artifact::PLAN;
use governance::audit::Check;

use super::{refused, with_plan};

#[test]
fn a_flipped_digest_in_a_vote() {
    let set = with_plan(|plan| {
        plan.consensus_decisions[3].votes[0].digest = Digest::of_blob(b"another batch");
    });
    refused(set, Check::SigStrict, PLAN);
}

#[test]
fn a_signature_of_another_decision() {
    let set = with_plan(|plan| {
        let other = plan.consensus_decisions[4].votes[0].signature;
        plan.consensus_decisions[3].votes[0].signature = other;
    });
    refused(set, Check::SigStrict, PLAN);
}

#[test]
fn a_scalar_that_is_not_reduced() {
    let set = with_plan(|plan| {
        let vote = &mut plan.consensus_decisions[0].votes[0];
        let mut bytes = vote.signature.to_bytes();
        bytes[32..].fill(0xff);
        vote.signature = Signature::from_bytes(&bytes);
    });
    refused(set, Check::SigCanonical, PLAN);
}

#[test]
fn votes_below_the_quorum() {
    let set = with_plan(|plan| plan.consensus_decisions[2].votes.truncate(2));
    refused(set, Check::Quorum, PLAN);
}

#[test]
fn one_vote_copied_to_make_a_quorum() {
    let set = with_plan(|plan| {
        let votes = &mut plan.consensus_decisions[2].votes;
        votes.truncate(2);
        let copy = votes[1].clone();
        votes.push(copy);
    });
    refused(set, Check::VoterUnique, PLAN);
}

#[test]
fn a_vote_of_another_view_or_sequence() {
    let view = with_plan(|plan| plan.consensus_decisions[2].votes[0].view += 1);
    refused(view, Check::ViewSeq, PLAN);
    let sequence = with_plan(|plan| plan.consensus_decisions[2].votes[0].sequence += 1);
    refused(sequence, Check::ViewSeq, PLAN);
}

#[test]
fn a_signer_outside_the_roster() {
    let set = with_plan(|plan| {
        let site = plan.participating_nodes[0].node_fingerprint;
        plan.consensus_decisions[2].votes[0].validator = site;
    });
    refused(set, Check::RosterEpoch, PLAN);
    let replica = with_plan(|plan| plan.consensus_decisions[2].votes[0].replica = 9);
    refused(replica, Check::RosterEpoch, PLAN);
}

#[test]
fn a_small_order_key_in_the_committee() {
    let set = with_plan(|plan| {
        let mut identity = [0; 32];
        identity[0] = 1;
        plan.validators[0].consensus_key = federation_proto::PublicKey::from_bytes(identity);
    });
    refused(set, Check::WeakKey, PLAN);
}

#[test]
fn one_voter_that_signs_two_digests() {
    use consensus_pbft::{Commit, ReplicaId};
    use federation_proto::keys::Consensus;
    use federation_proto::{SequenceNumber, Signed, View};
    let set = with_plan(|plan| {
        let context = federation_proto::SigningContext {
            federation_id: plan.federation_id,
            config_digest: plan.config_digest,
        };
        let key = simulator::keys::KeyRing::published().key::<Consensus>("validator-1");
        let decision = &mut plan.consensus_decisions[2];
        let mut vote =
            decision.votes.iter().find(|vote| vote.replica == 0).expect("a vote").clone();
        vote.digest = Digest::of_blob(b"another batch");
        let commit = Commit {
            view: View::new(vote.view),
            sequence: SequenceNumber::new(vote.sequence),
            digest: vote.digest,
            replica: ReplicaId::new(0),
        };
        vote.signature = *Signed::sign(commit, &key, &context).signature();
        decision.votes.push(vote);
    });
    refused(set, Check::Equivocation, PLAN);
}

#[test]
fn consensus_passed_is_recomputed() {
    let forced = with_plan(|plan| {
        plan.consensus_decisions[2].votes.truncate(2);
        plan.consensus_passed = true;
    });
    refused(forced, Check::ConsensusPassed, PLAN);
    let denied = with_plan(|plan| plan.consensus_passed = false);
    refused(denied, Check::ConsensusPassed, PLAN);
}

#[test]
fn an_alignment_proof_left_out_or_of_another_update() {
    let out = with_plan(|plan| {
        plan.alignment_proofs.remove(1);
    });
    refused(out, Check::Coverage, PLAN);
    let swapped = with_plan(|plan| {
        let other = plan.alignment_proofs[1].update_hash;
        plan.alignment_proofs[0].update_hash = other;
    });
    refused(swapped, Check::UpdateHash, PLAN);
    let path = with_plan(|plan| plan.alignment_proofs[0].log_path[0] = Digest::ZERO);
    refused(path, Check::MerkleInclusion, PLAN);
    let long = with_plan(|plan| plan.alignment_proofs[0].log_path.push(Digest::ZERO));
    refused(long, Check::MerkleInclusion, PLAN);
    let index = with_plan(|plan| plan.alignment_proofs[0].entry_index = u32::MAX);
    refused(index, Check::MerkleInclusion, PLAN);
}

#[test]
fn an_available_update_marked_absent() {
    let set = with_plan(|plan| {
        let node_fingerprint = plan.participating_nodes[0].node_fingerprint;
        let reason = federation_proto::entry::AbsenceReason::NoCommitment;
        plan.epochs[0]
            .absent
            .push(governance::artifact::plan::AbsentNode { node_fingerprint, reason });
    });
    refused(set, Check::Coverage, PLAN);
}

#[test]
fn numbers_out_of_range() {
    let set = with_plan(|plan| plan.epochs[0].delta[0] = i64::MAX);
    refused(set, Check::Numeric, PLAN);
    let state = with_plan(|plan| plan.epochs[0].new_state[0] = i64::from(i32::MAX) + 1);
    refused(state, Check::Numeric, PLAN);
}

#[test]
fn an_epoch_skipped_repeated_or_renumbered() {
    let skipped = with_plan(|plan| {
        plan.epochs.remove(0);
    });
    refused(skipped, Check::EpochMonotonic, PLAN);
    let renumbered = with_plan(|plan| plan.epochs[1].epoch = 7);
    refused(renumbered, Check::EpochMonotonic, PLAN);
}

#[test]
fn two_heads_at_one_size() {
    let set = with_plan(|plan| {
        let checkpoint = plan.consensus_decisions[0].checkpoint.as_mut().expect("a checkpoint");
        checkpoint.log_root = Digest::of_blob(b"another history");
    });
    // Which of the two is the lie is not for the check to say: it names the block and cites the plan.
    refused(set, Check::LedgerFork, "mec/M5/");
}

#[test]
fn any_other_field_of_the_plan() {
    let delta = with_plan(|plan| plan.epochs[0].delta[0] += 1);
    refused(delta, Check::FederatedPlan, PLAN);
    let session = with_plan(|plan| plan.participating_nodes[0].not_after_epoch += 1);
    refused(session, Check::FederatedPlan, PLAN);
    let transport = with_plan(|plan| plan.participating_nodes[0].transport = "quic".into());
    refused(transport, Check::SessionTransport, PLAN);
}
