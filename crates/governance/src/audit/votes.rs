//! Votes, judged one by one: whoever signed what, where it counts, and whether it is enough.
//!
//! The votes of the block files and those of the plan go through the same judgement, each from its own bytes.

mod checkpoints;

use std::collections::{BTreeMap, BTreeSet};

use consensus_pbft::{
    CheckpointStatement, Commit, CommitCertificate, Committee, Member, ReplicaId,
};
use federation_proto::keys::{NodeFingerprint, Signature};
use federation_proto::{Digest, SequenceNumber, Signed, View};

use self::checkpoints::{CheckpointClaim, check_checkpoint, judge_checkpoint};
use super::checks::Check;
use super::ground::Ground;
use super::ledger::{Chain, block_place};
use super::report::{Place, Results};
use crate::artifact::PLAN;
use crate::artifact::plan::{ConsensusDecision, FederatedPlan};

/// Most votes of one decision: a committee has no more members.
const MAX_VOTES: usize = consensus_pbft::committee::MAX_REPLICAS;

/// What is decided in one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    view: u64,
    sequence: u64,
    digest: Digest,
}

/// A vote as it stands somewhere.
struct VoteClaim {
    place: Place,
    replica: u32,
    /// The identity, where the place names one.
    validator: Option<NodeFingerprint>,
    slot: Slot,
    signature: Signature,
}

/// What every voter was seen to sign, over the whole run.
#[derive(Debug, Default)]
pub(super) struct VoteBook {
    /// Votes verified before, so that a plan's copy of a block's vote costs nothing.
    verified: BTreeSet<(ReplicaId, Slot, Signature)>,
    commits: BTreeMap<(ReplicaId, u64, u64), (Digest, Place)>,
    checkpoints: BTreeMap<(ReplicaId, u64), (CheckpointStatement, Place)>,
}

/// Judges the certificates of all blocks; says whether each has its quorum.
pub(super) fn check_blocks(
    chain: &Chain,
    ground: &Ground,
    book: &mut VoteBook,
    found: &mut Results,
) -> bool {
    let (Some(committee), Some(roster)) = (&ground.committee, &ground.roster) else {
        let votes = [Check::Quorum, Check::VoterUnique, Check::ViewSeq, Check::Equivocation];
        found.block(&votes, "no committee to judge votes by");
        return false;
    };
    let mut all = !chain.decisions.is_empty();
    for decided in &chain.decisions {
        let header = &decided.header;
        let Some(commit) = &decided.commit else {
            all = false;
            continue;
        };
        let place = block_place(header.height, "/commit_certificate");
        let sequence = (header.sequence.get(), commit.sequence.get());
        found.same(Check::ViewSeq, &place.below("sequence"), &sequence.0, &sequence.1);
        // Its view says nothing of its neighbours': what one view decided a later one may have decided again, and
        // either certificate proves it.
        let digest = (header.batch_digest, commit.digest);
        all &= found.same(Check::SigStrict, &place.below("digest"), &digest.0, &digest.1);
        let slot = Slot { view: commit.view.get(), sequence: sequence.0, digest: digest.0 };
        all &= judge(committee, &place, slot, &commit_claims(commit, &place), book, found);
        if let Some(certificate) = &decided.checkpoint {
            let place = block_place(header.height, "/checkpoint_certificate");
            let votes = certificate.votes.iter().enumerate().map(|(index, vote)| CheckpointClaim {
                place: place.below("votes").below(index),
                replica: u32::from(vote.replica.get()),
                validator: None,
                signature: vote.signature,
                note_signature: vote.note_signature,
            });
            let claims: Vec<_> = votes.collect();
            let statement = certificate.statement;
            let matches = statement.height == header.height
                && statement.header_hash == header.id()
                && statement.state_root == header.state_root_after
                && statement.sequence == header.sequence;
            let expected = format!("a result of block {}", header.id());
            let shown = format!("{statement:?}");
            all &=
                found.holds(Check::MerkleRoot, &place.below("statement"), matches, expected, shown);
            all &= judge_checkpoint((committee, roster), &place, &statement, &claims, book, found);
        }
    }
    all
}

fn commit_claims(commit: &CommitCertificate, place: &Place) -> Vec<VoteClaim> {
    let slot =
        Slot { view: commit.view.get(), sequence: commit.sequence.get(), digest: commit.digest };
    let claim = |(index, vote): (usize, &consensus_pbft::Vote)| VoteClaim {
        place: place.below("votes").below(index),
        replica: u32::from(vote.replica.get()),
        validator: None,
        slot,
        signature: vote.signature,
    };
    commit.votes.iter().enumerate().map(claim).collect()
}

/// Judges the plan's own votes and keys, and recomputes `consensus_passed` from them.
pub(super) fn check_plan(
    plan: Option<&FederatedPlan>,
    ground: &Ground,
    blocks_certified: bool,
    book: &mut VoteBook,
    found: &mut Results,
) -> bool {
    let (Some(plan), Some(committee), Some(roster)) = (plan, &ground.committee, &ground.roster)
    else {
        found.block(&[Check::ConsensusPassed], "no readable plan, or no committee to judge it by");
        return false;
    };
    check_keys(plan, found);
    let mut passed = blocks_certified && !plan.consensus_decisions.is_empty();
    let mut certified_up_to = 0;
    for (index, decision) in plan.consensus_decisions.iter().enumerate() {
        let place = Place::at(PLAN, format!("/consensus_decisions/{index}"));
        passed &= check_decision(decision, &place, committee, book, found);
        if let Some(checkpoint) = &decision.checkpoint {
            let place = place.below("checkpoint");
            let stable = check_checkpoint(checkpoint, &place, (committee, roster), book, found);
            passed &= stable;
            if stable {
                certified_up_to = certified_up_to.max(checkpoint.log_size);
            }
        }
    }
    let last = plan.epochs.last().map(|epoch| epoch.signoff_height);
    passed &= last.is_some_and(|signoff| signoff <= certified_up_to);
    let place = Place::at(PLAN, "/consensus_passed");
    found.same(Check::ConsensusPassed, &place, &passed, &plan.consensus_passed);
    found.holds(Check::ConsensusPassed, &place, plan.consensus_passed, true, plan.consensus_passed);
    passed
}

/// The keys that the plan shows: a reader may use them without looking at the genesis.
fn check_keys(plan: &FederatedPlan, found: &mut Results) {
    for (index, validator) in plan.validators.iter().enumerate() {
        let place = Place::at(PLAN, format!("/validators/{index}"));
        let keys = [
            ("node_fingerprint", validator.node_fingerprint.check().err()),
            ("consensus_key", validator.consensus_key.check().err()),
        ];
        for (field, fault) in keys {
            let shown = fault.map(|fault| fault.to_string()).unwrap_or_default();
            let place = place.below(field);
            found.holds(Check::WeakKey, &place, fault.is_none(), "a usable key", shown);
        }
    }
    for (index, node) in plan.participating_nodes.iter().enumerate() {
        let place = Place::at(PLAN, format!("/participating_nodes/{index}/node_fingerprint"));
        let fault = node.node_fingerprint.check().err();
        let shown = fault.map(|fault| fault.to_string()).unwrap_or_default();
        found.holds(Check::WeakKey, &place, fault.is_none(), "a usable key", shown);
    }
}

fn check_decision(
    decision: &ConsensusDecision,
    place: &Place,
    committee: &Committee,
    book: &mut VoteBook,
    found: &mut Results,
) -> bool {
    let claims = decision.votes.iter().enumerate().map(|(index, vote)| VoteClaim {
        place: place.below("votes").below(index),
        replica: vote.replica,
        validator: Some(vote.validator),
        slot: Slot { view: vote.view, sequence: vote.sequence, digest: vote.digest },
        signature: vote.signature,
    });
    let ConsensusDecision { view, sequence, batch_digest, .. } = *decision;
    let slot = Slot { view, sequence, digest: batch_digest };
    judge(committee, place, slot, &claims.collect::<Vec<_>>(), book, found)
}

/// Judges the votes of one decision; says whether distinct keys make a quorum for exactly this slot.
fn judge(
    committee: &Committee,
    place: &Place,
    slot: Slot,
    claims: &[VoteClaim],
    book: &mut VoteBook,
    found: &mut Results,
) -> bool {
    if !few_enough(claims.len(), place, found) {
        return false;
    }
    let mut voters = BTreeSet::new();
    let mut counted = BTreeSet::new();
    for claim in claims {
        let Some(member) = voter(committee, &claim.place, claim.replica, claim.validator, found)
        else {
            continue;
        };
        unique(&mut voters, member, &claim.place, found);
        // Said before the signature is looked at: a vote for another slot is no vote here, valid or not.
        let here = (claim.slot.view, claim.slot.sequence) == (slot.view, slot.sequence);
        found.holds(Check::ViewSeq, &claim.place, here, show(&slot), show(&claim.slot));
        if !verify_commit(committee, member, claim, book, found) {
            continue;
        }
        check_equivocation(member, claim, book, found);
        if claim.slot == slot {
            counted.insert(member.consensus_key().public());
        }
    }
    enough(committee, counted.len(), place, found)
}

/// Said before a vote is looked at: a committee has no more members.
fn few_enough(claims: usize, place: &Place, found: &mut Results) -> bool {
    let limit = format!("at most {MAX_VOTES} votes");
    found.holds(Check::Size, &place.below("votes"), claims <= MAX_VOTES, limit, claims)
}

/// Whether the distinct keys that voted make a quorum.
fn enough(committee: &Committee, counted: usize, place: &Place, found: &mut Results) -> bool {
    let needed = committee.quorum();
    let expected = format!("at least {needed} distinct valid votes");
    found.holds(Check::Quorum, &place.below("votes"), counted >= needed, expected, counted)
}

fn show(slot: &Slot) -> String {
    format!("view {} sequence {} digest {}", slot.view, slot.sequence, slot.digest.short())
}

/// The member that a vote names, by its position and, where it is given, its identity.
fn voter<'c>(
    committee: &'c Committee,
    place: &Place,
    replica: u32,
    validator: Option<NodeFingerprint>,
    found: &mut Results,
) -> Option<&'c Member> {
    let id = u16::try_from(replica).ok().map(ReplicaId::new);
    let Some(member) = id.and_then(|id| committee.member(id)) else {
        let expected = format!("a replica below {}", committee.size());
        found.fail(Check::RosterEpoch, &place.below("replica"), expected, replica);
        return None;
    };
    let named = validator.unwrap_or(member.fingerprint());
    let known = named == member.fingerprint();
    let expected = format!("replica {replica}, {}", member.fingerprint());
    found
        .holds(Check::RosterEpoch, &place.below("validator"), known, expected, named)
        .then_some(member)
}

/// Voters stand in increasing order, each once.
fn unique(voters: &mut BTreeSet<ReplicaId>, member: &Member, place: &Place, found: &mut Results) {
    let increasing = voters.last().is_none_or(|last| *last < member.id());
    let again = !voters.insert(member.id());
    let shown = format!("replica {}{}", member.id(), if again { " again" } else { "" });
    let expected = "voters in increasing order, each once";
    found.holds(Check::VoterUnique, place, increasing, expected, shown);
}

fn verify_commit(
    committee: &Committee,
    member: &Member,
    claim: &VoteClaim,
    book: &mut VoteBook,
    found: &mut Results,
) -> bool {
    let known = (member.id(), claim.slot, claim.signature);
    if book.verified.contains(&known) {
        found.pass(Check::SigStrict);
        found.pass(Check::SigCanonical);
        return true;
    }
    let body = Commit {
        view: View::new(claim.slot.view),
        sequence: SequenceNumber::new(claim.slot.sequence),
        digest: claim.slot.digest,
        replica: member.id(),
    };
    if !reduced(&claim.signature, &claim.place.below("signature"), found) {
        return false;
    }
    let signed = Signed::from_parts(body, claim.signature);
    let valid = signed.verify(member.consensus_key(), committee.context()).is_ok();
    let expected = format!("a COMMIT of replica {} for {}", member.id(), show(&claim.slot));
    let place = claim.place.below("signature");
    if found.holds(Check::SigStrict, &place, valid, expected, claim.signature) {
        book.verified.insert(known);
    }
    valid
}

fn reduced(signature: &Signature, place: &Place, found: &mut Results) -> bool {
    let canonical = signature.has_reduced_s();
    found.holds(Check::SigCanonical, place, canonical, "a reduced scalar", signature)
}

fn check_equivocation(
    member: &Member,
    claim: &VoteClaim,
    book: &mut VoteBook,
    found: &mut Results,
) {
    let Slot { view, sequence, digest } = claim.slot;
    let key = (member.id(), view, sequence);
    let (first, first_place) =
        book.commits.entry(key).or_insert_with(|| (digest, claim.place.clone()));
    if *first == digest {
        found.pass(Check::Equivocation);
        return;
    }
    let Place { file, at } = first_place;
    let expected = format!("{first} as in {file} {at}");
    found.fail(Check::Equivocation, &claim.place, expected, digest);
}
