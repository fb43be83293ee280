//! Notes against published vectors, an independent implementation and hostile input.

use federation_proto::keys::{KeyError, LogCheckpoint, SecretKey};
use proptest::prelude::*;
use signed_note::{Note as OracleNote, StandardVerifier, VerifierList};

use super::*;

/// Key, text and note of the documentation of golang.org/x/mod/sumdb/note.
const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const SEED: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
const LINE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2\
                    pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

type Key = NoteKey<LogCheckpoint>;
type Signer = NoteSigner<LogCheckpoint>;

fn signer(name: &str, owner: &str) -> Signer {
    NoteSigner::new(name, SecretKey::synthetic("note-tests", owner)).unwrap()
}

fn vector_signer() -> Signer {
    let blob = base64::decode(SEED).unwrap();
    let seed: [u8; 32] = blob[1..].try_into().unwrap();
    NoteSigner::new("PeterNeumann", SecretKey::from_seed(seed.into())).unwrap()
}

fn signed(text: &str, signers: &[&Signer]) -> Note {
    let lines = signers.iter().map(|signer| signer.sign(text).unwrap()).collect();
    Note::new(text.to_owned(), lines).unwrap()
}

fn line(name: &str, blob: &[u8]) -> String {
    format!("\u{2014} {name} {}\n", base64::encode(blob))
}

#[test]
fn the_published_note_is_made_and_verified() {
    let expected = format!("{TEXT}\n{LINE}");
    let note = signed(TEXT, &[&vector_signer()]);
    assert_eq!(note.to_text(), expected);
    assert_eq!(Note::parse(expected.as_bytes()), Ok(note.clone()));
    let key: Key = VKEY.parse().unwrap();
    assert_eq!(key.to_string(), VKEY);
    assert_eq!(note.verified_by(std::slice::from_ref(&key)), Ok(BTreeSet::from([key.public()])));
}

#[test]
fn a_carried_signature_becomes_the_same_line() {
    let signer = vector_signer();
    let key = signer.verifier().unwrap();
    let line = signer.sign(TEXT).unwrap();
    let bytes: &[u8; 64] = line.bytes().try_into().unwrap();
    assert_eq!(key.line(&federation_proto::Signature::from_bytes(bytes)), line);
}

#[test]
fn malformed_notes_are_refused() {
    let parse = |note: &str| Note::parse(note.as_bytes());
    let malformed = |line| Err(NoteError::SignatureLine { line });
    assert_eq!(parse(""), Err(NoteError::NoSignatureBlock));
    assert_eq!(parse(TEXT), Err(NoteError::NoSignatureBlock));
    assert_eq!(parse(&format!("{TEXT}{LINE}")), Err(NoteError::NoSignatureBlock));
    let unterminated = format!("{TEXT}\n{}", LINE.trim_end());
    assert_eq!(parse(&unterminated), Err(NoteError::NoSignatureBlock));
    assert_eq!(parse(&format!("{TEXT}\n{LINE}\n")), Err(NoteError::NoSignatureBlock));
    assert_eq!(parse(&format!("{TEXT}\n{LINE}x\n")), malformed(2));
    assert_eq!(parse(&format!("{TEXT}\n{}", LINE.replace('\u{2014}', "-"))), malformed(1));
    // Padding is part of the one canonical form, and so are zero bits after the last byte.
    assert_eq!(parse(&format!("{TEXT}\n{}", LINE.replace("AM=", "AM"))), malformed(1));
    assert_eq!(parse(&format!("{TEXT}\n{}", LINE.replace("AM=", "AN="))), malformed(1));
    assert_eq!(parse(&format!("{TEXT}\n{}", line("name", &[1, 2, 3, 4]))), malformed(1));
    let plus = format!("{TEXT}\n{}", LINE.replace("PeterNeumann", "Peter+Neumann"));
    assert_eq!(parse(&plus), Err(NoteError::KeyName { name: "Peter+Neumann".into() }));
    let carriage = format!("a\rb\n\n{LINE}");
    assert_eq!(parse(&carriage), Err(NoteError::ControlCharacter { code: 13, position: 1 }));
    let c1 = format!("\u{9b}31m\n\n{LINE}");
    assert_eq!(parse(&c1), Err(NoteError::ControlCharacter { code: 0x9b, position: 0 }));
    assert_eq!(Note::parse(b"a\xff\n"), Err(NoteError::NotUtf8 { valid_up_to: 1 }));
    let length = MAX_NOTE_BYTES + 1;
    let refused = NoteError::TooLarge { length, limit: MAX_NOTE_BYTES };
    assert_eq!(Note::parse(&vec![b'a'; length]), Err(refused));
}

#[test]
fn the_last_empty_line_separates() {
    let note = signed("a\n\nb\n\n", &[&signer("x", "1")]);
    assert_eq!(note.text(), "a\n\nb\n\n");
    assert_eq!(Note::parse(note.to_text().as_bytes()), Ok(note));
}

#[test]
fn signature_lines_are_limited_and_distinct() {
    let lines = |count: usize| -> String {
        let blob = |i: usize| line("k", &[&(i as u32).to_be_bytes()[..], &[1]].concat());
        (0..count).map(blob).collect()
    };
    assert!(Note::parse(format!("a\n\n{}", lines(MAX_SIGNATURES)).as_bytes()).is_ok());
    let (found, limit) = (MAX_SIGNATURES + 1, MAX_SIGNATURES);
    assert_eq!(
        Note::parse(format!("a\n\n{}", lines(found)).as_bytes()),
        Err(NoteError::TooManySignatures { found, limit })
    );
    let (name, id) = ("PeterNeumann".to_owned(), "c74f20a3".to_owned());
    assert_eq!(
        Note::parse(format!("{TEXT}\n{LINE}{LINE}").as_bytes()),
        Err(NoteError::DuplicateSignature { name, id })
    );
}

#[test]
fn only_known_keys_count_and_a_bad_line_of_one_condemns() {
    let (a, b) = (signer("log", "a"), signer("log", "b"));
    let (key_a, key_b) = (a.verifier().unwrap(), b.verifier().unwrap());
    let note = signed("text\n", &[&a, &b]);
    let both = BTreeSet::from([key_a.public(), key_b.public()]);
    assert_eq!(note.verified_by(&[key_a.clone(), key_b.clone()]), Ok(both));
    assert_eq!(
        note.verified_by(std::slice::from_ref(&key_a)),
        Ok(BTreeSet::from([key_a.public()]))
    );
    let stranger = signer("log", "c").verifier().unwrap();
    let refused = Err(NoteError::NoTrustedSignature { signatures: 2, keys: 1 });
    assert_eq!(note.verified_by(&[stranger]), refused);
    let moved = Note::new("other\n".into(), note.signatures().to_vec()).unwrap();
    let (name, id) = ("log".to_owned(), key::hex_id(key_a.id()));
    let refused = Err(NoteError::BadSignature { name: name.clone(), id: id.clone() });
    assert_eq!(moved.verified_by(std::slice::from_ref(&key_a)), refused);
    let short = line("log", &[&key_a.id()[..], &[0; 63]].concat());
    let short = Note::parse(format!("text\n\n{short}").as_bytes()).unwrap();
    assert_eq!(short.verified_by(&[key_a]), refused);
}

#[test]
fn one_public_key_under_two_names_counts_once() {
    let (first, second) = (signer("first", "a"), signer("second", "a"));
    let note = signed("text\n", &[&first, &second]);
    let keys = [first.verifier().unwrap(), second.verifier().unwrap()];
    assert_eq!(note.verified_by(&keys).unwrap().len(), 1);
}

#[test]
fn keys_with_colliding_ids_cannot_be_told_apart() {
    // Two keys of one name whose 32-bit ids collide, found among 74,014 in two seconds.
    let (first, second) = (signer("log", "68490"), signer("log", "74014"));
    let keys = [first.verifier().unwrap(), second.verifier().unwrap()];
    assert_eq!(keys[0].id(), keys[1].id());
    assert_ne!(keys[0].public(), keys[1].public());
    let note = signed("text\n", &[&first]);
    let (name, id) = ("log".to_owned(), key::hex_id(keys[0].id()));
    assert_eq!(note.verified_by(&keys), Err(NoteError::AmbiguousKeys { name, id }));
}

#[test]
fn verifier_keys_have_one_text() {
    let parse = |text: &str| text.parse::<Key>().map(|key| key.to_string());
    assert_eq!(parse("PeterNeumann+c74f20a3"), Err(NoteKeyError::Malformed));
    assert!(parse(&VKEY.replace("c74f20a3", "C74F20A3")).is_err());
    let wrong = parse(&VKEY.replace("c74f20a3", "c74f20a4"));
    let (claimed, computed) = ("c74f20a4".to_owned(), "c74f20a3".to_owned());
    assert_eq!(wrong, Err(NoteKeyError::Id { name: "PeterNeumann".into(), claimed, computed }));
    let cosigner = VKEY.replace("+ARpc", "+BBpc");
    let (name, expected, found) = ("PeterNeumann".to_owned(), 1, 4);
    assert_eq!(parse(&cosigner), Err(NoteKeyError::Type { name, expected, found }));
    assert_eq!(parse(&VKEY.replace("10TW", "10T=")), Err(NoteKeyError::Malformed));
    let identity = [&[1, 1][..], &[0; 31]].concat();
    let small = format!("x+00000000+{}", base64::encode(&identity));
    let cause = KeyError::SmallOrder;
    assert_eq!(parse(&small), Err(NoteKeyError::Key { name: "x".into(), cause }));
    for name in ["", "a b", "a+b", "a\u{2003}b", "a\nb", "a\u{7f}"] {
        let refused = NoteSigner::<LogCheckpoint>::new(name, SecretKey::synthetic("x", "y"));
        assert_eq!(refused.err(), Some(NoteKeyError::Name { name: name.into() }));
    }
}

#[test]
fn nothing_unprintable_is_signed() {
    let signer = signer("x", "1");
    assert_eq!(signer.sign("no newline"), Err(NoteError::TextNotTerminated));
    let refused = NoteError::ControlCharacter { code: 0, position: 1 };
    assert_eq!(signer.sign("a\0\n"), Err(refused));
    assert_eq!(Note::new("a\n".into(), vec![]), Err(NoteError::NoSignatureBlock));
}

proptest! {
    #[test]
    fn signed_note_accepts_what_we_sign(text in "(?s)[ -~\nä—]{0,200}\n", owners in 1_usize..5) {
        let signers: Vec<_> = (0..owners).map(|i| signer("log.example/x", &i.to_string())).collect();
        let note = signed(&text, &signers.iter().collect::<Vec<_>>());
        let rendered = note.to_text();
        prop_assert_eq!(Note::parse(rendered.as_bytes()), Ok(note));
        let oracle = OracleNote::from_bytes(rendered.as_bytes()).unwrap();
        prop_assert_eq!(oracle.text(), text.as_bytes());
        let verifiers = signers.iter().map(|signer| {
            let vkey = signer.verifier().unwrap().to_string();
            Box::new(StandardVerifier::new(&vkey).unwrap()) as Box<dyn signed_note::Verifier>
        });
        let (verified, rest) = oracle.verify(&VerifierList::new(verifiers.collect())).unwrap();
        prop_assert_eq!((verified.len(), rest.len()), (owners, 0));
    }

    #[test]
    fn what_we_accept_signed_note_accepts(
        position in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = format!("{TEXT}\n{LINE}").into_bytes();
        let position = position.index(bytes.len());
        let original = bytes[position];
        bytes[position] = byte;
        if let Ok(note) = Note::parse(&bytes) {
            prop_assert!(OracleNote::from_bytes(&bytes).is_ok());
            prop_assert_eq!(note.to_text().into_bytes(), bytes);
            let key: Key = VKEY.parse().unwrap();
            prop_assert_eq!(note.verified_by(&[key]).is_ok(), byte == original);
        }
    }
}
