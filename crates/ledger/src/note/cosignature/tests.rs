//! Cosignatures against published lines of public witnesses, an independent note reader and hostile
//! lines.

use std::collections::BTreeSet;

use federation_proto::keys::{LogCheckpoint, SecretKey, VerifyingKey};
use signed_note::{Note as OracleNote, Verifier, VerifierList};

use super::*;
use crate::base64;
use crate::checkpoint::{QuorumError, verify_quorum};
use crate::note::{NoteKeyError, key::hex_id};

/// The example of the C2SP tlog-cosignature specification, which publishes no key for it.
const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\n\
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
    \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcy\
    v2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
    \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX\
    3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

/// A checkpoint of the public CT log arche2025h1 (staging) with the lines of five witnesses, and
/// the published keys of the log and of two of them. The first line has another type (RFC 6962).
const ARCHE: &str = "arche2025h1.staging.ct.transparency.dev\n1432088532\n\
    U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n\n\
    \u{2014} arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGR\
    EPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=\n\
    \u{2014} arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzb\
    C3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=\n\
    \u{2014} transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzw\
    Z2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==\n\
    \u{2014} witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iE\
    cxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==\n\
    \u{2014} remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX\
    9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==\n\
    \u{2014} witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+A\
    JmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==\n";
const ARCHE_LOG: &str = "arche2025h1.staging.ct.transparency.dev+ba2f06c0+\
    AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f";
const WITNESSES: [&str; 3] = [
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
    "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
];
/// 2026-05-23, the time in all five cosignatures.
const ARCHE_TIME: u64 = 0x6a12_2120;

type Key = NoteKey<Cosigner>;

fn signer(name: &str, owner: &str) -> NoteSigner<Cosigner> {
    NoteSigner::new(name, SecretKey::synthetic("cosignature-tests", owner)).unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint::parse(Note::parse(EXAMPLE.as_bytes()).unwrap().text()).unwrap()
}

fn cosigned(lines: Vec<NoteSignature>) -> Note {
    Note::new(checkpoint().to_text(), lines).unwrap()
}

#[test]
fn the_published_line_has_the_published_time() {
    let note = Note::parse(EXAMPLE.as_bytes()).unwrap();
    let [log, witness] = note.signatures() else { panic!("two lines") };
    assert_eq!(Cosignature::of_line(log), None);
    let cosignature = Cosignature::of_line(witness).unwrap();
    assert_eq!(cosignature.timestamp(), 1_679_315_147);
    let message = String::from_utf8(cosignature.message(note.text())).unwrap();
    // The signed message as the specification prints it.
    let expected = "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n\
                    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    assert_eq!(message, expected);
}

#[test]
fn a_public_checkpoint_is_verified_under_the_published_keys() {
    let note = Note::parse(ARCHE.as_bytes()).unwrap();
    assert_eq!(note.to_text(), ARCHE);
    let log: NoteKey<LogCheckpoint> = ARCHE_LOG.parse().unwrap();
    assert_eq!(note.verified_by(std::slice::from_ref(&log)), Ok(BTreeSet::from([log.public()])));
    let keys: Vec<Key> = WITNESSES.iter().map(|key| key.parse().unwrap()).collect();
    for (key, text) in keys.iter().zip(WITNESSES) {
        assert_eq!(key.to_string(), text);
    }
    let times: BTreeMap<_, _> = keys.iter().map(|key| (key.public(), ARCHE_TIME)).collect();
    assert_eq!(note.cosigned_by(&keys), Ok(times));
    assert_eq!(verify_quorum(&note, &keys, 3).unwrap().len(), 3);
    let larger = ARCHE.replace("1432088532", "1432088533");
    let refused = Note::parse(larger.as_bytes()).unwrap().cosigned_by(&keys[..1]);
    let (name, id) = ("remora.n621.de".to_owned(), "da77ade7".to_owned());
    assert_eq!(refused, Err(NoteError::BadSignature { name, id }));
}

#[test]
fn distinct_public_keys_count_once_with_their_latest_time() {
    let (first, alias, second) = (signer("w1", "a"), signer("w1-alias", "a"), signer("w2", "b"));
    let keys = [&first, &alias, &second].map(|signer| signer.verifier().unwrap());
    let line = |signer: &NoteSigner<Cosigner>, time| signer.cosign(&checkpoint(), time).unwrap();
    let note = cosigned(vec![line(&first, 7), line(&alias, 5)]);
    assert_eq!(note.cosigned_by(&keys), Ok(BTreeMap::from([(keys[0].public(), 7)])));
    let too_few = QuorumError::TooFew { found: 1, needed: 2 };
    assert_eq!(verify_quorum(&note, &keys, 2), Err(too_few));
    let note = cosigned(vec![line(&first, 7), line(&second, MAX_TIMESTAMP)]);
    assert_eq!(verify_quorum(&note, &keys, 2).unwrap().len(), 2);
}

#[test]
fn a_bad_line_of_a_trusted_witness_condemns() {
    let (good, bad) = (signer("w1", "a"), signer("w2", "b"));
    let keys = [good.verifier().unwrap(), bad.verifier().unwrap()];
    let line = good.cosign(&checkpoint(), 7).unwrap();
    let refused = NoteError::BadSignature { name: "w2".into(), id: hex_id(keys[1].id()) };
    let mut moved = bad.cosign(&checkpoint(), 7).unwrap();
    // Another time than the signed one, a missing and a surplus byte, a signed time that is beyond
    // the format.
    moved.bytes[7] ^= 1;
    let mut beyond = moved.clone();
    let late = MAX_TIMESTAMP + 1;
    let signature = bad.secret.sign_raw(&message(late, &checkpoint().to_text()));
    beyond.bytes = [&late.to_be_bytes()[..], &signature.to_bytes()].concat();
    let (mut short, mut long) = (moved.clone(), moved.clone());
    short.bytes.pop();
    long.bytes.push(0);
    for wrong in [moved, beyond, short, long] {
        let note = cosigned(vec![line.clone(), wrong]);
        assert_eq!(note.cosigned_by(&keys), Err(refused.clone()));
        assert_eq!(note.cosigned_by(&keys[..1]).unwrap().len(), 1);
    }
    let (found, limit) = (MAX_TIMESTAMP + 1, MAX_TIMESTAMP);
    assert_eq!(good.cosign(&checkpoint(), found), Err(NoteError::Timestamp { found, limit }));
}

#[test]
fn a_cosignature_and_a_signature_of_one_key_never_stand_for_each_other() {
    let seed = [7; 32];
    let witness = NoteSigner::<Cosigner>::new("w", SecretKey::from_seed(seed.into())).unwrap();
    let log = NoteSigner::<LogCheckpoint>::new("w", SecretKey::from_seed(seed.into())).unwrap();
    let (as_witness, as_log) = (witness.verifier().unwrap(), log.verifier().unwrap());
    assert_eq!(as_witness.public().as_bytes(), as_log.public().as_bytes());
    assert_ne!(as_witness.id(), as_log.id());
    let text = as_witness.to_string();
    let (expected, found) = (1, 4);
    let refused = NoteKeyError::Type { name: "w".into(), expected, found };
    assert_eq!(text.parse::<NoteKey<LogCheckpoint>>().err(), Some(refused));
    assert!(text.parse::<Key>().is_ok());
    // The signature of a text that reads like a cosigned message, under the id of the witness.
    let mut line =
        log.sign(&format!("cosignature/v1\ntime 7\n{}", checkpoint().to_text())).unwrap();
    line.id = as_witness.id();
    assert!(cosigned(vec![line]).cosigned_by(&[as_witness]).is_err());
}

/// What the specification says of a cosignature, for the independent reader.
struct Oracle(String, u32, VerifyingKey<Cosigner>);

impl Verifier for Oracle {
    fn name(&self) -> &str {
        &self.0
    }
    fn key_id(&self) -> u32 {
        self.1
    }
    fn verify(&self, text: &[u8], line: &[u8]) -> bool {
        let time = u64::from_be_bytes(line[..8].try_into().unwrap());
        let message = [format!("cosignature/v1\ntime {time}\n").as_bytes(), text].concat();
        self.2.verify_raw(&message, &Signature::from_bytes(line[8..].try_into().unwrap()))
    }
}

#[test]
fn signed_note_reads_what_we_cosign() {
    let signers = ["a", "b", "c"].map(|owner| signer(&format!("witness.example/{owner}"), owner));
    let lines = signers.iter().map(|signer| signer.cosign(&checkpoint(), 1_679_315_147).unwrap());
    let oracle = OracleNote::from_bytes(cosigned(lines.collect()).to_text().as_bytes()).unwrap();
    let verifiers = signers.iter().map(|signer| {
        let key = signer.verifier().unwrap();
        let blob = [&[4][..], key.public().as_bytes()].concat();
        let id = signed_note::key_id(key.name(), &blob);
        assert_eq!(id, u32::from_be_bytes(key.id()));
        assert!(key.to_string().ends_with(&base64::encode(&blob)));
        let public = key.public().check().unwrap();
        Box::new(Oracle(key.name().to_owned(), id, public)) as Box<dyn Verifier>
    });
    let (verified, rest) = oracle.verify(&VerifierList::new(verifiers.collect())).unwrap();
    assert_eq!((verified.len(), rest.len()), (3, 0));
}
