//! Certificates stand alone: what proves, and what each forgery is refused for.

use consensus_pbft::{
    CertificateError, CheckpointCertificate, Commit, CommitCertificate, ReplicaId,
};
use federation_proto::codec::Canonical;
use federation_proto::{Digest, SequenceNumber, Signed, View};
use ledger::{NoteKey, VerifiedCheckpoint};

use crate::federation::{committee, committee_of, consensus_key, genesis, id};
use crate::world::World;

/// The certificates of an honest run of n replicas: order at 1, result at 2.
fn honest(n: usize) -> (CommitCertificate, CheckpointCertificate) {
    let mut world = World::new(n);
    for number in 0..3 {
        world.request(number);
    }
    world.run();
    let commit = world.nodes[1].app.history[0].2.clone();
    (commit, world.nodes[1].stable[0].clone())
}

fn bad_signature(result: Result<(), CertificateError>, of: ReplicaId) {
    match result {
        Err(CertificateError::BadSignature { replica, .. }) => assert_eq!(replica, of),
        other => panic!("expected a bad signature of replica {of}, got {other:?}"),
    }
}

#[test]
fn certificates_of_four_and_seven_verify_alone_and_have_one_form() {
    for n in [4, 7] {
        let (commit, checkpoint) = honest(n);
        let committee = committee(n);
        assert_eq!(commit.verify(&committee), Ok(()));
        assert_eq!(checkpoint.verify(&committee), Ok(()));
        let bytes = commit.to_canonical();
        assert_eq!(CommitCertificate::from_canonical(&bytes), Ok(commit));
        let bytes = checkpoint.to_canonical();
        assert_eq!(CheckpointCertificate::from_canonical(&bytes), Ok(checkpoint));
    }
}

#[test]
fn trap_10_certificates_of_another_configuration_or_federation_prove_nothing() {
    let (commit, checkpoint) = honest(4);
    for foreign in [genesis(4, "elsewhere", 0), genesis(4, "here", 1)] {
        let foreign = committee_of(foreign);
        bad_signature(commit.verify(&foreign), commit.votes[0].replica);
        bad_signature(checkpoint.verify(&foreign), checkpoint.votes[0].replica);
    }
}

#[test]
fn a_duplicate_voter_is_named() {
    let (mut commit, mut checkpoint) = honest(4);
    commit.votes[1] = commit.votes[0];
    checkpoint.votes[1] = checkpoint.votes[0];
    let replica = commit.votes[0].replica;
    let committee = committee(4);
    assert_eq!(commit.verify(&committee), Err(CertificateError::DuplicateVoter { replica }));
    let replica = checkpoint.votes[0].replica;
    assert_eq!(checkpoint.verify(&committee), Err(CertificateError::DuplicateVoter { replica }));
}

#[test]
fn below_quorum_names_both_numbers() {
    for n in [4, 7] {
        let (mut commit, mut checkpoint) = honest(n);
        let committee = committee(n);
        let needed = committee.quorum();
        commit.votes.truncate(needed - 1);
        checkpoint.votes.truncate(needed - 1);
        let error = CertificateError::BelowQuorum { found: needed - 1, needed };
        assert_eq!(commit.verify(&committee), Err(error.clone()));
        assert_eq!(checkpoint.verify(&committee), Err(error));
        commit.votes.clear();
        let error = CertificateError::BelowQuorum { found: 0, needed };
        assert_eq!(commit.verify(&committee), Err(error));
    }
}

#[test]
fn an_unknown_or_misplaced_voter_is_named() {
    let (commit, _) = honest(4);
    let committee = committee(4);
    let mut unknown = commit.clone();
    unknown.votes[2].replica = id(4);
    assert_eq!(
        unknown.verify(&committee),
        Err(CertificateError::UnknownReplica { replica: id(4), size: 4 })
    );
    let mut swapped = commit.clone();
    swapped.votes.swap(0, 1);
    let (previous, replica) = (swapped.votes[0].replica, swapped.votes[1].replica);
    assert_eq!(swapped.verify(&committee), Err(CertificateError::Unordered { replica, previous }));
}

#[test]
fn view_sequence_and_digest_cannot_be_swapped() {
    let (commit, checkpoint) = honest(4);
    let committee = committee(4);
    let later_view = CommitCertificate { view: commit.view.next(), ..commit.clone() };
    let elsewhere = CommitCertificate { sequence: commit.sequence.next(), ..commit.clone() };
    let other = CommitCertificate { digest: Digest::ZERO, ..commit.clone() };
    // View 0 and sequence 1 exchanged: the sum of the bytes is the same, the meaning is not.
    let exchanged = CommitCertificate {
        view: View::new(commit.sequence.get()),
        sequence: SequenceNumber::new(commit.view.get()),
        ..commit.clone()
    };
    for forged in [later_view, elsewhere, other, exchanged] {
        bad_signature(forged.verify(&committee), forged.votes[0].replica);
    }
    let mut moved = checkpoint.clone();
    moved.statement.sequence = moved.statement.sequence.next();
    bad_signature(moved.verify(&committee), moved.votes[0].replica);
    let mut other = checkpoint.clone();
    other.statement.state_root = Digest::ZERO;
    bad_signature(other.verify(&committee), other.votes[0].replica);
    let mut impossible = checkpoint;
    impossible.statement.log_size = 0;
    assert!(matches!(impossible.verify(&committee), Err(CertificateError::Statement(_))));
}

#[test]
fn a_prepare_is_no_commit_and_another_key_is_no_voter() {
    let (commit, _) = honest(4);
    let committee = committee(4);
    let voter = commit.votes[2].replica;
    let body = Commit {
        view: commit.view,
        sequence: commit.sequence,
        digest: commit.digest,
        replica: voter,
    };
    let key = consensus_key(usize::from(voter.get()));
    let by_other = Signed::sign(body, &consensus_key(0), committee.context());
    assert_ne!(voter, id(0));
    let as_prepare = key.sign_raw(
        &committee
            .context()
            .preimage(federation_proto::signing::Domain::Prepare, &body.to_canonical()),
    );
    for signature in [*by_other.signature(), as_prepare] {
        let mut forged = commit.clone();
        forged.votes[2].signature = signature;
        bad_signature(forged.verify(&committee), voter);
    }
}

#[test]
fn a_note_signature_of_another_is_named() {
    let (_, mut checkpoint) = honest(4);
    let committee = committee(4);
    // Even when the vote itself covers the foreign note signature.
    let foreign = checkpoint.votes[0].note_signature;
    let replica = checkpoint.votes[1].replica;
    let body = consensus_pbft::Checkpoint {
        statement: checkpoint.statement,
        replica,
        note_signature: foreign,
    };
    let key = consensus_key(usize::from(replica.get()));
    checkpoint.votes[1].note_signature = foreign;
    checkpoint.votes[1].signature = *Signed::sign(body, &key, committee.context()).signature();
    assert_eq!(checkpoint.verify(&committee), Err(CertificateError::BadNoteSignature { replica }));
}

#[test]
fn a_checkpoint_certificate_is_a_signed_checkpoint_of_the_log() {
    for n in [4, 7] {
        let (_, checkpoint) = honest(n);
        let committee = committee(n);
        let note = checkpoint.to_note(&committee).expect("a note");
        let members = committee.members().iter();
        let keys: Vec<NoteKey<_>> = members.map(|member| member.note_key().clone()).collect();
        let origin = committee.origin().as_str();
        let verified = VerifiedCheckpoint::verify(&note, origin, &keys, committee.quorum());
        let verified = verified.expect("q log keys signed");
        assert_eq!(verified.signers().len(), checkpoint.votes.len());
        assert_eq!(verified.checkpoint().size(), checkpoint.statement.log_size);
        assert_eq!(verified.checkpoint().root(), checkpoint.statement.log_root);
        assert_eq!(note.signatures().len(), committee.quorum());
    }
}
