//! Witnesses that are shown honest logs, forks and nonsense; sidecars in one form.

use std::collections::{BTreeMap, BTreeSet};

use federation_proto::keys::{PublicKey, SecretKey};
use proptest::prelude::*;

use super::*;
use crate::checkpoint::QuorumError;
use crate::merkle::history::HistoryTree;

const ORIGIN: &str = "example.org/log";
const QUORUM: usize = 3;

struct Log {
    tree: HistoryTree,
    signers: Vec<NoteSigner<LogCheckpoint>>,
}

impl Log {
    /// A log whose leaves from `fork` on differ from those of a log without `fork`.
    fn new(size: u64, fork: u64) -> Self {
        let mut tree = HistoryTree::new();
        for leaf in 0..size {
            tree.append(&[leaf.to_le_bytes(), [u8::from(leaf >= fork); 8]].concat());
        }
        let signer = |owner| NoteSigner::new(ORIGIN, SecretKey::synthetic("witness", owner));
        Self { tree, signers: ["a", "b", "c", "d"].map(|owner| signer(owner).unwrap()).into() }
    }

    fn honest(size: u64) -> Self {
        Self::new(size, u64::MAX)
    }

    fn keys(&self) -> Vec<NoteKey<LogCheckpoint>> {
        self.signers.iter().map(|signer| signer.verifier().unwrap()).collect()
    }

    fn checkpoint(&self, size: u64) -> Checkpoint {
        Checkpoint::new(ORIGIN, size, self.tree.root_at(size).unwrap()).unwrap()
    }

    fn note(&self, size: u64, signers: usize) -> Note {
        let text = self.checkpoint(size).to_text();
        let lines = self.signers.iter().take(signers).map(|signer| signer.sign(&text).unwrap());
        Note::new(text.clone(), lines.collect()).unwrap()
    }

    fn verified(&self, size: u64) -> VerifiedCheckpoint {
        let note = self.note(size, QUORUM);
        VerifiedCheckpoint::verify(&note, ORIGIN, &self.keys(), QUORUM).unwrap()
    }

    fn proof(&self, old: u64, new: u64) -> Vec<LogHash> {
        if old == 0 { vec![] } else { self.tree.consistency_proof(old, new).unwrap() }
    }

    fn witness(&self, last: Option<u64>) -> Witness {
        let last = last.map(|size| self.checkpoint(size));
        Witness::new(ORIGIN, self.keys(), QUORUM, last).unwrap()
    }
}

fn cosigner(owner: &str) -> NoteSigner<Cosigner> {
    let name = format!("witness.example/{owner}");
    NoteSigner::new(&name, SecretKey::synthetic("witness", owner)).unwrap()
}

fn cosigner_key(owner: &str) -> NoteKey<Cosigner> {
    cosigner(owner).verifier().unwrap()
}

/// A refusal leaves the state as it was.
fn refusal(witness: &mut Witness, note: &Note, proof: &[LogHash]) -> WitnessError {
    let before = witness.last().cloned();
    let refused = witness.cosign(&cosigner("w"), note, proof, 7).unwrap_err();
    assert_eq!(witness.last().cloned(), before);
    refused
}

#[test]
fn a_growing_log_is_cosigned_step_by_step() {
    let log = Log::honest(9);
    let mut witness = log.witness(None);
    let mut last = 0;
    for size in [0, 0, 1, 1, 2, 5, 8, 9, 9] {
        let note = log.note(size, QUORUM);
        let proof = log.proof(last, size);
        let line = witness.cosign(&cosigner("w"), &note, &proof, 100 + size).unwrap();
        assert_eq!(witness.last(), Some(&log.checkpoint(size)));
        let sidecar = Sidecar::new(&log.checkpoint(size), vec![line]).unwrap();
        let keys = [cosigner_key("w")];
        let times = sidecar.verify(&log.verified(size), &keys, 1).unwrap();
        assert_eq!(times, BTreeMap::from([(keys[0].public(), 100 + size)]));
        last = size;
    }
}

#[test]
fn a_fork_is_refused_with_both_roots() {
    let (log, fork) = (Log::honest(9), Log::new(9, 4));
    let (last, found) = (log.checkpoint(6).root(), fork.checkpoint(6).root());
    let shown = refusal(&mut log.witness(Some(6)), &fork.note(6, QUORUM), &[]);
    assert_eq!(shown, WitnessError::Fork { size: 6, last, found });
    // At a larger size the fork's own proof does not start at the cosigned root.
    let found = fork.checkpoint(9).root();
    let shown = refusal(&mut log.witness(Some(6)), &fork.note(9, QUORUM), &fork.proof(6, 9));
    let WitnessError::NotExtended { last_size, last: old, size, found: new, cause } = shown else {
        panic!("{shown:?}");
    };
    assert_eq!((last_size, old, size, new), (6, last, 9, found));
    assert!(matches!(cause, ProofError::RootMismatch { .. }));
    // Where the log had not forked yet, the fork is an extension like any other.
    let mut witness = log.witness(Some(4));
    assert!(witness.cosign(&cosigner("w"), &fork.note(9, 3), &fork.proof(4, 9), 7).is_ok());
    let shown = refusal(&mut witness, &log.note(9, QUORUM), &[]);
    assert_eq!(shown, WitnessError::Fork { size: 9, last: found, found: log.checkpoint(9).root() });
}

#[test]
fn what_no_quorum_signed_and_what_shrinks_is_refused() {
    let log = Log::honest(9);
    let smaller = refusal(&mut log.witness(Some(6)), &log.note(5, QUORUM), &[]);
    assert_eq!(smaller, WitnessError::Smaller { last: 6, found: 5 });
    let quorum = QuorumError::TooFew { found: 2, needed: QUORUM };
    let unsigned = refusal(&mut log.witness(Some(6)), &log.note(9, 2), &log.proof(6, 9));
    assert_eq!(unsigned, WitnessError::Checkpoint(quorum.into()));
    let other = Checkpoint::new("example.org/other", 6, log.checkpoint(6).root()).unwrap();
    let refused = Witness::new(ORIGIN, log.keys(), QUORUM, Some(other));
    assert!(matches!(refused, Err(CheckpointError::OtherOrigin { .. })));
    let mut none = Witness::new(ORIGIN, log.keys(), 0, None).unwrap();
    let refused = refusal(&mut none, &log.note(1, QUORUM), &[]);
    assert_eq!(refused, WitnessError::Checkpoint(QuorumError::ZeroQuorum.into()));
    let mut witness = log.witness(None);
    let late = witness.cosign(&cosigner("w"), &log.note(1, QUORUM), &[], u64::MAX);
    assert!(matches!(late, Err(WitnessError::Note(NoteError::Timestamp { .. }))));
    assert_eq!(witness.last(), None);
}

#[test]
fn every_wrong_proof_is_refused() {
    let log = Log::honest(9);
    let length = |witness: &mut Witness, size, proof: &[LogHash]| {
        let refused = refusal(witness, &log.note(size, QUORUM), proof);
        let WitnessError::NotExtended { cause, .. } = refused else { panic!("{refused:?}") };
        assert!(matches!(cause, ProofError::PathLength { .. }), "{cause}");
    };
    let proof = log.proof(6, 9);
    length(&mut log.witness(Some(6)), 9, &[]);
    length(&mut log.witness(Some(6)), 9, &[&proof[..], &proof[..1]].concat());
    length(&mut log.witness(Some(6)), 6, &proof[..1]);
    length(&mut log.witness(None), 9, &proof[..1]);
    length(&mut log.witness(Some(0)), 9, &proof[..1]);
    for position in 0..proof.len() {
        let mut wrong = proof.clone();
        wrong[position] = LogHash::EMPTY_ROOT;
        let refused = refusal(&mut log.witness(Some(6)), &log.note(9, QUORUM), &wrong);
        assert!(matches!(refused, WitnessError::NotExtended { .. }));
    }
}

#[test]
fn a_sidecar_has_one_form() {
    let log = Log::honest(3);
    let checkpoint = log.checkpoint(3);
    let line = |owner: &str, time| cosigner(owner).cosign(&checkpoint, time).unwrap();
    let sidecar = Sidecar::new(&checkpoint, vec![line("b", 1), line("a", 2)]).unwrap();
    let text = sidecar.to_text();
    assert_eq!(Sidecar::parse(text.as_bytes()), Ok(sidecar.clone()));
    let names: Vec<_> = sidecar.lines().iter().map(NoteSignature::name).collect();
    assert_eq!(names, ["witness.example/a", "witness.example/b"]);
    let swapped = Note::new(checkpoint.to_text(), vec![line("b", 1), line("a", 2)]).unwrap();
    let refused = SidecarError::Order { line: 2, name: "witness.example/a".into() };
    assert_eq!(Sidecar::parse(swapped.to_text().as_bytes()), Err(refused));
    let with_log = log.note(3, 1);
    let refused = SidecarError::NoCosignature { line: 1, name: ORIGIN.into() };
    assert_eq!(Sidecar::parse(with_log.to_text().as_bytes()), Err(refused));
    let twice = Sidecar::new(&checkpoint, vec![line("a", 1), line("a", 2)]);
    assert!(matches!(twice, Err(SidecarError::Note(NoteError::DuplicateSignature { .. }))));
    let other = text.replacen("\n3\n", "\nthree\n", 1);
    assert!(matches!(Sidecar::parse(other.as_bytes()), Err(SidecarError::Checkpoint(_))));
    let none = Sidecar::new(&checkpoint, vec![]);
    assert_eq!(none, Err(NoteError::NoSignatureBlock.into()));
}

#[test]
fn a_sidecar_counts_distinct_witnesses_of_the_same_text() {
    let log = Log::honest(4);
    let checkpoint = log.checkpoint(4);
    let lines = ["a", "b", "stranger"].map(|owner| cosigner(owner).cosign(&checkpoint, 7).unwrap());
    let keys = ["a", "b", "absent"].map(cosigner_key);
    let sidecar = Sidecar::new(&checkpoint, lines.into()).unwrap();
    let times = sidecar.verify(&log.verified(4), &keys, 2).unwrap();
    let expected: BTreeSet<PublicKey<Cosigner>> = keys[..2].iter().map(NoteKey::public).collect();
    assert_eq!(times.into_keys().collect::<BTreeSet<_>>(), expected);
    let too_few = QuorumError::TooFew { found: 2, needed: 3 };
    assert_eq!(sidecar.verify(&log.verified(4), &keys, 3), Err(too_few.into()));
    assert_eq!(sidecar.verify(&log.verified(4), &keys, 0), Err(QuorumError::ZeroQuorum.into()));
    let (expected, found) = (log.checkpoint(3).to_text(), checkpoint.to_text());
    let refused = SidecarError::OtherCheckpoint { expected, found };
    assert_eq!(sidecar.verify(&log.verified(3), &keys, 2), Err(refused));
    // The line of another checkpoint, moved here.
    let moved = cosigner("a").cosign(&log.checkpoint(3), 7).unwrap();
    let good = cosigner("b").cosign(&checkpoint, 7).unwrap();
    let condemned = Sidecar::new(&checkpoint, vec![moved, good]).unwrap();
    let refused = condemned.verify(&log.verified(4), &keys, 1);
    assert!(matches!(refused, Err(SidecarError::Note(NoteError::BadSignature { .. }))));
}

#[test]
fn only_verified_lines_are_added() {
    let log = Log::honest(4);
    let checkpoint = log.checkpoint(4);
    let keys = ["a", "b"].map(cosigner_key);
    let line = |owner: &str, time| cosigner(owner).cosign(&checkpoint, time).unwrap();
    let mut sidecar = Sidecar::new(&checkpoint, vec![line("a", 5)]).unwrap();
    let before = sidecar.clone();
    let moved = cosigner("b").cosign(&log.checkpoint(3), 7).unwrap();
    let refused = sidecar.add(moved, &keys);
    assert!(matches!(refused, Err(SidecarError::Note(NoteError::BadSignature { .. }))));
    let refused = sidecar.add(line("stranger", 7), &keys);
    assert!(matches!(refused, Err(SidecarError::Note(NoteError::NoTrustedSignature { .. }))));
    sidecar.add(line("a", 4), &keys).unwrap();
    assert_eq!(sidecar, before);
    sidecar.add(line("a", 6), &keys).unwrap();
    assert_eq!(sidecar, Sidecar::new(&checkpoint, vec![line("a", 6)]).unwrap());
}

/// A line of one witness at one time can have many valid signatures, and a file from outside lines that are none.
#[test]
fn neither_another_nonce_nor_a_forged_line_keeps_a_cosignature_out() {
    let checkpoint = Log::honest(0).checkpoint(0);
    // Two signatures of the key with seed 7…7 over this checkpoint at time 7, made with the nonces 1 and 2.
    let nonces = [
        "1/KIHAAAAAAAAAAHWGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZma6AF/jYr/jHYcSrhu/YPSE2qIp4znwKiWOd\
         r5AHIG7Cw==",
        "1/KIHAAAAAAAAAAHyaP4aq5GXw5WUThkUQ85l1YfosnoXqIdwikjCfPNYCJbvYMsFe6oPxX7Ea+5TDZnAkkdcukrugcm\
         XqgfqS+ADQ==",
    ];
    let secret = SecretKey::from_seed([7; 32].into());
    let witness = NoteSigner::<Cosigner>::new("witness.example/nonce", secret).unwrap();
    let keys = [witness.verifier().unwrap()];
    let read = |line: &str| {
        let line = format!("\u{2014} witness.example/nonce {line}");
        Sidecar::parse(format!("{}\n{line}\n", checkpoint.to_text()).as_bytes()).unwrap()
    };
    let [one, two] = nonces.map(read);
    let with = |mut first: Sidecar, second: &Sidecar| {
        first.add(second.lines()[0].clone(), &keys).unwrap();
        first
    };
    assert_eq!(with(one.clone(), &two), with(two.clone(), &one));
    // A forged line of the latest time stands in the file already.
    let latest = [&[0x7f][..], &[0xff; 71]].concat();
    let forged = [&keys[0].id()[..], &latest].concat();
    let forged = read(&crate::base64::encode(&forged));
    let verified = Log::honest(0).verified(0);
    assert!(forged.verify(&verified, &keys, 1).is_err());
    let mended = with(forged, &one);
    assert_eq!(mended, one);
    assert_eq!(mended.verify(&verified, &keys, 1).map(|times| times.len()), Ok(1));
}

proptest! {
    #[test]
    fn the_order_of_arrival_leaves_no_trace(
        arrivals in prop::collection::vec((0_usize..4, 0_u64..3), 1..10).prop_shuffle(),
    ) {
        let checkpoint = Log::honest(1).checkpoint(1);
        let owners = ["a", "b", "c", "d"];
        let keys = owners.map(cosigner_key);
        let build = |arrivals: &[(usize, u64)]| {
            let line = |(owner, time): &(usize, u64)| {
                cosigner(owners[*owner]).cosign(&checkpoint, *time).unwrap()
            };
            let mut sidecar = Sidecar::new(&checkpoint, vec![line(&arrivals[0])]).unwrap();
            for arrival in &arrivals[1..] {
                sidecar.add(line(arrival), &keys).unwrap();
            }
            sidecar
        };
        let sidecar = build(&arrivals);
        prop_assert_eq!(Sidecar::parse(sidecar.to_text().as_bytes()), Ok(sidecar.clone()));
        let mut sorted = arrivals.clone();
        sorted.sort_unstable();
        prop_assert_eq!(build(&sorted), sidecar);
    }

    #[test]
    fn a_witness_cosigns_exactly_the_extensions(
        old in 0_u64..40, new in 0_u64..40, fork in 0_u64..40,
    ) {
        let (log, other) = (Log::honest(40), Log::new(40, fork));
        let proof = if old < new { other.proof(old, new) } else { vec![] };
        let mut witness = log.witness(Some(old));
        let cosigned = witness.cosign(&cosigner("w"), &other.note(new, QUORUM), &proof, 7);
        prop_assert_eq!(cosigned.is_ok(), old <= new && old <= fork, "{:?}", cosigned);
    }
}
