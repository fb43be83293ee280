//! Signatures that a cofactored (batch) verifier accepts and a strict one refuses: every path must agree.

use consensus_pbft::{
    CertificateError, Checkpoint, CheckpointCertificate, CheckpointStatement, CheckpointVote,
    Commit, CommitCertificate, Committee, ConsensusMessage, Equivocation, EvidenceError, Input,
    Rejection, Vote,
};
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use curve25519_dalek::traits::IsIdentity;
use federation_proto::codec::Canonical;
use federation_proto::keys::{Consensus, KeyRole, LogCheckpoint, SecretKey, Signature};
use federation_proto::signing::Domain;
use federation_proto::{Digest, Height, LedgerBlockId, SequenceNumber, Signed, View};
use ledger::LogHash;
use sha2::{Digest as _, Sha512};

use crate::federation::{committee_of, consensus_key, genesis, id, log_key};
use crate::world::World;

const SEED: [u8; 32] = [7; 32];

fn secret<R: KeyRole>(seed: [u8; 32]) -> SecretKey<R> {
    SecretKey::from_seed(seed.into())
}

/// Replica 2 is the forger; it holds keys whose seeds the test knows.
fn committee() -> Committee {
    let mut genesis = genesis(4, "here", 0);
    let forger = &mut genesis.configuration.validators[2];
    forger.consensus_key = secret::<Consensus>(SEED).public();
    forger.log_key = secret::<LogCheckpoint>([8; 32]).public();
    committee_of(genesis)
}

fn hash(parts: &[&[u8]]) -> Scalar {
    let mut hasher = Sha512::new();
    for part in parts {
        hasher.update(part);
    }
    Scalar::from_bytes_mod_order_wide(&hasher.finalize().into())
}

/// R = rB + T, S = r + H(R, A, M)·a: valid but for the torsion point T [RFC 8032 §5.1.6].
fn tainted(seed: [u8; 32], message: &[u8], r: u64, torsion: usize) -> Signature {
    let mut expanded = [0; 32];
    expanded.copy_from_slice(&Sha512::digest(seed)[..32]);
    let a = Scalar::from_bytes_mod_order(clamp_integer(expanded));
    let public = (ED25519_BASEPOINT_POINT * a).compress().to_bytes();
    assert_eq!(&public, secret::<Consensus>(seed).public().as_bytes());
    let r = Scalar::from(r);
    let point: EdwardsPoint = ED25519_BASEPOINT_POINT * r + EIGHT_TORSION[torsion];
    let encoded = point.compress().to_bytes();
    let k = hash(&[&encoded, &public, message]);
    let s = r + k * a;
    // The cofactored equation 8SB = 8R + 8kA, which batch verifiers use, accepts every one of these.
    let difference = ED25519_BASEPOINT_POINT * s - point - ED25519_BASEPOINT_POINT * (k * a);
    assert!(difference.mul_by_cofactor().is_identity());
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&encoded);
    bytes[32..].copy_from_slice(s.as_bytes());
    Signature::from_bytes(&bytes)
}

/// Whether strict verification must accept the construction with these parameters.
fn is_genuine(r: u64, torsion: usize) -> bool {
    r != 0 && torsion == 0
}

fn parameters() -> impl Iterator<Item = (u64, usize)> {
    [0, 5].into_iter().flat_map(|r| (0..8).map(move |torsion| (r, torsion)))
}

fn commit_body(replica: usize) -> Commit {
    Commit {
        view: View::ZERO,
        sequence: SequenceNumber::new(1),
        digest: Digest::of_blob(b"batch"),
        replica: id(replica),
    }
}

#[test]
fn trap_1_torsion_tainted_commits_are_refused_by_replica_certificate_and_evidence() {
    let committee = committee();
    let body = commit_body(2);
    let preimage = committee.context().preimage(Domain::Commit, &body.to_canonical());
    let honest = |replica| {
        let signed =
            Signed::sign(commit_body(replica), &consensus_key(replica), committee.context());
        Vote { replica: id(replica), signature: *signed.signature() }
    };
    for (r, torsion) in parameters() {
        let signature = tainted(SEED, &preimage, r, torsion);
        let genuine = is_genuine(r, torsion);

        let certificate = CommitCertificate {
            view: body.view,
            sequence: body.sequence,
            digest: body.digest,
            votes: vec![honest(0), honest(1), Vote { replica: id(2), signature }],
        };
        match certificate.verify(&committee) {
            Ok(()) => assert!(genuine, "certificate: r {r}, torsion {torsion}"),
            Err(CertificateError::BadSignature { replica, .. }) => {
                assert!(!genuine && replica == id(2), "certificate: r {r}, torsion {torsion}");
            }
            Err(other) => panic!("{other}"),
        }

        let mut world = World::new(4);
        world.use_committee(&committee);
        let message = Signed::from_parts(body, signature);
        world.input(1, Input::Message(ConsensusMessage::Commit(message.clone())));
        match &world.nodes[1].rejections[..] {
            [] => assert!(genuine, "replica: r {r}, torsion {torsion}"),
            [Rejection::BadSignature { .. }] => {
                assert!(!genuine, "replica: r {r}, torsion {torsion}");
            }
            other => panic!("{other:?}"),
        }

        let other = Commit { digest: Digest::ZERO, ..body };
        let first = Signed::sign(other, &secret(SEED), committee.context());
        let evidence = Equivocation::Commit { first, second: message };
        match evidence.verify(&committee) {
            Ok(accused) => assert!(genuine && accused == id(2)),
            Err(EvidenceError::Signature(_)) => assert!(!genuine),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn trap_1_torsion_tainted_note_signatures_are_refused_by_replica_and_certificate() {
    let committee = committee();
    let statement = CheckpointStatement {
        sequence: SequenceNumber::new(2),
        height: Height::ZERO,
        header_hash: LedgerBlockId::new(Digest::ZERO),
        log_size: 0,
        log_root: LogHash::EMPTY_ROOT,
        state_root: Digest::ZERO,
        next: None,
    };
    let text = statement.note_text(&committee).expect("a good statement");
    let vote = |replica: usize, key: &SecretKey<Consensus>, note_signature| {
        let body = Checkpoint { statement, replica: id(replica), note_signature };
        Signed::sign(body, key, committee.context())
    };
    let in_certificate = |signed: &Signed<Checkpoint>| CheckpointVote {
        replica: signed.claimed().replica,
        signature: *signed.signature(),
        note_signature: signed.claimed().note_signature,
    };
    let honest = [0, 1].map(|replica| {
        let note = log_key(replica).sign_raw(text.as_bytes());
        in_certificate(&vote(replica, &consensus_key(replica), note))
    });
    for (r, torsion) in parameters() {
        let genuine = is_genuine(r, torsion);
        let note = tainted([8; 32], text.as_bytes(), r, torsion);
        let forged = vote(2, &secret(SEED), note);
        let votes = vec![honest[0], honest[1], in_certificate(&forged)];
        let expected = if genuine {
            Ok(())
        } else {
            Err(CertificateError::BadNoteSignature { replica: id(2) })
        };
        let certificate = CheckpointCertificate { statement, votes };
        assert_eq!(certificate.verify(&committee), expected, "r {r}, torsion {torsion}");

        let mut world = World::new(4);
        world.use_committee(&committee);
        world.input(1, Input::Message(ConsensusMessage::Checkpoint(forged)));
        let refused = [Rejection::BadNoteSignature { replica: id(2) }];
        let expected: &[Rejection] = if genuine { &[] } else { &refused };
        assert_eq!(world.nodes[1].rejections, expected, "r {r}, torsion {torsion}");
    }
}
