//! CHECKPOINT votes: each signs a result, and the head of the log that holds it as a note.

use std::collections::BTreeSet;

use consensus_pbft::{Checkpoint, CheckpointStatement, Committee, Member};
use federation_proto::genesis::Roster;
use federation_proto::keys::{NodeFingerprint, Signature};
use federation_proto::{Height, SequenceNumber, Signed};
use ledger::{Checkpoint as LogCheckpoint, LogHash};

use super::{VoteBook, enough, few_enough, reduced, unique, voter};
use crate::artifact::derive_log_digest;
use crate::artifact::plan::PlanCheckpoint;
use crate::audit::checks::Check;
use crate::audit::report::{Place, Results};

/// A CHECKPOINT vote as it stands somewhere.
pub(super) struct CheckpointClaim {
    pub(super) place: Place,
    pub(super) replica: u32,
    pub(super) validator: Option<NodeFingerprint>,
    pub(super) signature: Signature,
    pub(super) note_signature: Signature,
}

/// Judges the plan's copy of a checkpoint certificate.
pub(super) fn check_checkpoint(
    checkpoint: &PlanCheckpoint,
    place: &Place,
    electorate: (&Committee, &Roster),
    book: &mut VoteBook,
    found: &mut Results,
) -> bool {
    let statement = CheckpointStatement {
        sequence: SequenceNumber::new(checkpoint.sequence),
        height: Height::new(checkpoint.height),
        header_hash: checkpoint.header_hash,
        log_size: checkpoint.log_size,
        log_root: LogHash::from_bytes(*checkpoint.log_root.as_bytes()),
        state_root: checkpoint.state_root,
        next: None,
    };
    let claims = checkpoint.votes.iter().enumerate().map(|(index, vote)| CheckpointClaim {
        place: place.below("votes").below(index),
        replica: vote.replica,
        validator: Some(vote.validator),
        signature: vote.signature,
        note_signature: vote.note_signature,
    });
    judge_checkpoint(electorate, place, &statement, &claims.collect::<Vec<_>>(), book, found)
}

/// Judges the votes of one result, each with its signature on the log's head; says whether they make a quorum.
pub(super) fn judge_checkpoint(
    (committee, roster): (&Committee, &Roster),
    place: &Place,
    statement: &CheckpointStatement,
    claims: &[CheckpointClaim],
    book: &mut VoteBook,
    found: &mut Results,
) -> bool {
    if !few_enough(claims.len(), place, found) {
        return false;
    }
    let origin = committee.origin().as_str();
    let text = match LogCheckpoint::new(origin, statement.log_size, statement.log_root) {
        Ok(checkpoint) => checkpoint.to_text(),
        Err(cause) => {
            found.fail(Check::MerkleRoot, place, "a log head", cause);
            return false;
        }
    };
    let mut voters = BTreeSet::new();
    let mut counted = BTreeSet::new();
    for claim in claims {
        let Some(member) = voter(committee, &claim.place, claim.replica, claim.validator, found)
        else {
            continue;
        };
        unique(&mut voters, member, &claim.place, found);
        let note_key = roster.validators().get(usize::from(member.id().get()));
        let note_place = claim.place.below("note_signature");
        let noted = reduced(&claim.note_signature, &note_place, found)
            && note_key
                .is_some_and(|key| key.log.verify_raw(text.as_bytes(), &claim.note_signature));
        let expected = format!("replica {}'s log key on the head of {origin}", member.id());
        found.holds(Check::SigStrict, &note_place, noted, expected, claim.note_signature);
        let body = Checkpoint {
            statement: *statement,
            replica: member.id(),
            note_signature: claim.note_signature,
        };
        let signature_place = claim.place.below("signature");
        let signed = Signed::from_parts(body, claim.signature);
        let voted = reduced(&claim.signature, &signature_place, found)
            && signed.verify(member.consensus_key(), committee.context()).is_ok();
        let root = derive_log_digest(&statement.log_root);
        let expected = format!("a CHECKPOINT of replica {} for {root}", member.id());
        found.holds(Check::SigStrict, &signature_place, voted, expected, claim.signature);
        if voted && noted {
            two_results(member, statement, &claim.place, book, found);
            counted.insert(member.consensus_key().public());
        }
    }
    enough(committee, counted.len(), place, found)
}

/// One replica with two results for one sequence number.
fn two_results(
    member: &Member,
    statement: &CheckpointStatement,
    place: &Place,
    book: &mut VoteBook,
    found: &mut Results,
) {
    let key = (member.id(), statement.sequence.get());
    let (first, first_place) =
        book.checkpoints.entry(key).or_insert_with(|| (*statement, place.clone()));
    if first == statement {
        found.pass(Check::Equivocation);
        return;
    }
    let Place { file, at } = first_place;
    let expected = format!("{} as in {file} {at}", derive_log_digest(&first.log_root));
    found.fail(Check::Equivocation, place, expected, derive_log_digest(&statement.log_root));
}
