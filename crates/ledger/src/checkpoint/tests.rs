//! Checkpoint texts and quorums.

use federation_proto::keys::SecretKey;

use super::*;
use crate::note::NoteSigner;

/// The text in the C2SP tlog-checkpoint specification.
const TEXT: &str = "example.com/behind-the-sofa\n20852163\n\
                    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
const ORIGIN: &str = "example.com/behind-the-sofa";

fn signer(name: &str, owner: &str) -> NoteSigner<LogCheckpoint> {
    NoteSigner::new(name, SecretKey::synthetic("checkpoint-tests", owner)).unwrap()
}

fn note(text: &str, signers: &[&NoteSigner<LogCheckpoint>]) -> Note {
    let lines = signers.iter().map(|signer| signer.sign(text).unwrap()).collect();
    Note::new(text.to_owned(), lines).unwrap()
}

#[test]
fn the_published_text_has_one_reading() {
    let checkpoint = Checkpoint::parse(TEXT).unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size()), (ORIGIN, 20_852_163));
    assert_eq!(checkpoint.to_text(), TEXT);
}

#[test]
fn malformed_texts_are_refused() {
    let size = |text: &str| Err(CheckpointError::Size { text: text.into() });
    for wrong in ["", "020852163", "+1", "-1", "1 ", "0x1", "18446744073709551616"] {
        assert_eq!(Checkpoint::parse(&TEXT.replace("20852163", wrong)), size(wrong));
    }
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    for wrong in ["", "CsUY", "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J="] {
        let refused = CheckpointError::Root { text: wrong.into() };
        assert_eq!(Checkpoint::parse(&TEXT.replace(root, wrong)), Err(refused));
    }
    let lines = |found| Err(CheckpointError::Lines { found });
    assert_eq!(Checkpoint::parse(&format!("{TEXT}extension\n")), lines(4));
    assert_eq!(Checkpoint::parse(TEXT.trim_end()), lines(2));
    assert_eq!(Checkpoint::parse(""), lines(0));
    for origin in ["", "two words", "a+b"] {
        let refused = CheckpointError::Origin { origin: origin.into() };
        assert_eq!(Checkpoint::parse(&TEXT.replace(ORIGIN, origin)), Err(refused));
    }
    let found = Checkpoint::parse(TEXT).unwrap().root();
    let refused = CheckpointError::EmptyRoot { found };
    assert_eq!(Checkpoint::parse(&TEXT.replace("20852163", "0")), Err(refused));
    assert!(Checkpoint::new(ORIGIN, 0, LogHash::EMPTY_ROOT).is_ok());
}

#[test]
fn a_quorum_counts_public_keys() {
    let signers = ["a", "b", "c"].map(|owner| signer(ORIGIN, owner));
    let keys: Vec<_> = signers.iter().map(|signer| signer.verifier().unwrap()).collect();
    let signed = note(TEXT, &[&signers[0], &signers[1]]);
    let verified = VerifiedCheckpoint::verify(&signed, ORIGIN, &keys, 2).unwrap();
    assert_eq!(verified.checkpoint().to_text(), TEXT);
    let expected = BTreeSet::from([keys[0].public(), keys[1].public()]);
    assert_eq!(verified.signers(), &expected);
    let too_few = QuorumError::TooFew { found: 2, needed: 3 };
    assert_eq!(verify_quorum(&signed, &keys, 3), Err(too_few));
    assert_eq!(verify_quorum(&signed, &keys, 0), Err(QuorumError::ZeroQuorum));
    // The same key listed twice, and under a second name, is still one key.
    let (again, alias) = (keys[0].clone(), signer("alias", "a"));
    let keys = [keys[0].clone(), again, alias.verifier().unwrap()];
    let signed = note(TEXT, &[&signers[0], &alias]);
    let too_few = QuorumError::TooFew { found: 1, needed: 2 };
    assert_eq!(verify_quorum(&signed, &keys, 2), Err(too_few));
}

#[test]
fn another_log_is_refused() {
    let own = signer(ORIGIN, "a");
    let keys = [own.verifier().unwrap()];
    let text = TEXT.replace(ORIGIN, "example.com/other");
    let (expected, found) = (ORIGIN.to_owned(), "example.com/other".to_owned());
    assert_eq!(
        VerifiedCheckpoint::verify(&note(&text, &[&own]), ORIGIN, &keys, 1),
        Err(CheckpointError::OtherOrigin { expected, found })
    );
    let (key, origin) = (ORIGIN.to_owned(), "example.com/other".to_owned());
    assert_eq!(
        VerifiedCheckpoint::verify(&note(&text, &[&own]), "example.com/other", &keys, 1),
        Err(CheckpointError::KeyOfOtherLog { key, origin })
    );
}
