//! Hostile key files: every second spelling, every foreign role, and nothing secret in what is said about it.

use super::*;
use crate::keys::Consensus;

const LINES: usize = 4;

fn identity() -> SecretKey<Identity> {
    SecretKey::synthetic("key files", "a")
}

fn text() -> String {
    KeyFile::of_signing(&identity()).to_text().to_string()
}

fn secret_hex() -> String {
    HEXLOWER.encode(&*identity().seed())
}

#[track_caller]
fn refusal(bytes: &[u8]) -> KeyFileError {
    match KeyFile::parse(bytes) {
        Ok(key) => panic!("{key:?} was taken"),
        Err(error) => {
            let shown = format!("{error} {error:?}");
            assert!(!error.to_string().contains('\n'), "{error}");
            // No run of eight characters of the secret, wherever the file had it.
            let secret = secret_hex();
            let leaked = secret
                .as_bytes()
                .windows(8)
                .find(|run| str::from_utf8(run).is_ok_and(|run| shown.contains(run)));
            assert_eq!(leaked, None, "{shown}");
            error
        }
    }
}

#[test]
fn the_form_is_as_documented() {
    let public = identity().public();
    let expected =
        format!("prism key 1\nrole identity\npublic {public}\nsecret {}\n", secret_hex());
    assert_eq!(text(), expected);
    let longest = KeyFile::from_seed(KeyKind::GovernanceNote, Zeroizing::new([7; 32])).to_text();
    assert_eq!(longest.len(), 177);
}

#[test]
fn every_kind_comes_back() {
    for kind in KeyKind::ALL {
        let written = KeyFile::from_seed(kind, Zeroizing::new([7; 32]));
        let read = KeyFile::parse(written.to_text().as_bytes()).expect("what was written");
        assert_eq!((read.kind(), read.public()), (kind, written.public()));
        assert_eq!(*read.to_text(), *written.to_text());
        assert_eq!(read.into_decryption().is_ok(), kind == KeyKind::Encryption);
    }
    let key = DecryptionKey::synthetic("key files", "a");
    let read = KeyFile::parse(KeyFile::of_decryption(&key).to_text().as_bytes());
    let read = read.and_then(KeyFile::into_decryption).expect("what was written");
    assert_eq!((read.public(), read.secret()), (key.public(), key.secret()));
    let read = KeyFile::parse(text().as_bytes()).and_then(KeyFile::into_signing::<Identity>);
    assert_eq!(read.expect("what was written").public(), identity().public());
}

#[test]
fn a_key_of_another_role_is_refused() {
    let wrong = |expected| KeyFileError::WrongRole { expected, found: KeyKind::Identity };
    let file = || KeyFile::parse(text().as_bytes()).expect("a good file");
    let refused = file().into_signing::<Consensus>().map(|_| ());
    assert_eq!(refused, Err(wrong(KeyKind::Consensus)));
    assert_eq!(file().into_decryption().map(|_| ()), Err(wrong(KeyKind::Encryption)));
}

#[test]
fn every_other_spelling_is_refused() {
    let good = text();
    let upper = |from: usize| {
        let (head, tail) = good.split_at(from);
        format!("{head}{}", tail.replacen(|c: char| c.is_ascii_lowercase(), "A", 1))
    };
    let line = |line| move |error: &KeyFileError| matches!(error, KeyFileError::Line { line: l, .. } if *l == line);
    let public_at = good.find("public ").expect("there") + 7;
    let secret_at = good.find("secret ").expect("there") + 7;
    let cases: [(String, usize); 12] = [
        (good.replace('\n', "\r\n"), 1),
        (good.replace("prism key 1", "prism key 2"), 1),
        (good.replace("prism", " prism"), 1),
        (format!("\u{feff}{good}"), 1),
        (good.replace("identity", "Identity"), 2),
        (good.replace("identity", "identity "), 2),
        (good.replace("role identity", "role  identity"), 2),
        (good.replace("role identity", "role captain"), 2),
        (upper(public_at), 3),
        (good.replace("public ", "public  "), 3),
        (upper(secret_at), 4),
        (good.replace("secret ", "secret\t"), 4),
    ];
    for (text, number) in cases {
        let error = refusal(text.as_bytes());
        assert!(line(number)(&error), "{text:?}: {error}");
    }
}

#[test]
fn missing_extra_and_exchanged_lines_are_refused() {
    let good = text();
    let lines: Vec<&str> = good.lines().collect();
    for missing in 0..LINES {
        let mut left = lines.clone();
        left.remove(missing);
        let error = refusal((left.join("\n") + "\n").as_bytes());
        assert_eq!(error, KeyFileError::Lines { feeds: 3 });
    }
    for a in 0..LINES {
        for b in a + 1..LINES {
            let mut other = lines.clone();
            other.swap(a, b);
            let error = refusal((other.join("\n") + "\n").as_bytes());
            assert!(matches!(error, KeyFileError::Line { line, .. } if line == a + 1), "{error}");
        }
    }
    for (text, feeds) in [
        (format!("{good}\n"), 5),
        (format!("{good} "), 4),
        (format!("{good}comment\n"), 5),
        (format!("\n{good}"), 5),
        (good.trim_end().to_owned(), 3),
        (String::new(), 0),
    ] {
        assert_eq!(refusal(text.as_bytes()), KeyFileError::Lines { feeds });
    }
}

#[test]
fn truncated_and_oversized_files_are_refused() {
    let good = text();
    for length in 0..good.len() {
        refusal(&good.as_bytes()[..length]);
    }
    let error = refusal(&[b'\n'; MAX_KEY_FILE + 1]);
    assert_eq!(error, KeyFileError::TooLarge { length: 257, limit: 256 });
}

#[test]
fn every_flipped_bit_is_refused() {
    let mut bytes = text().into_bytes();
    for position in 0..bytes.len() {
        for bit in 0..8 {
            bytes[position] ^= 1 << bit;
            refusal(&bytes);
            bytes[position] ^= 1 << bit;
        }
    }
}

#[test]
fn halves_that_do_not_belong_together_are_refused() {
    let public = identity().public().to_string();
    let other = SecretKey::<Identity>::synthetic("key files", "b").public().to_string();
    let error = refusal(text().replace(&public, &other).as_bytes());
    assert_eq!(error, KeyFileError::Mismatch { kind: KeyKind::Identity, public: other });
    // A secret is one number for all kinds, but its public halves differ.
    let other = DecryptionKey::synthetic("key files", "b").public().to_string();
    let as_encryption = text().replace("identity", "encryption").replace(&public, &other);
    let expected = KeyFileError::Mismatch { kind: KeyKind::Encryption, public: other };
    assert_eq!(refusal(as_encryption.as_bytes()), expected);
    let zero = "00".repeat(32);
    let as_encryption = text().replace("identity", "encryption").replace(&public, &zero);
    let cause = EncryptionKeyError::SmallOrder;
    let expected = KeyFileError::Encryption { public: zero, cause };
    assert_eq!(refusal(as_encryption.as_bytes()), expected);
    let one = format!("01{}", "00".repeat(31));
    let expected = KeyFileError::Signing { public: one.clone(), cause: KeyError::SmallOrder };
    assert_eq!(refusal(text().replace(&public, &one).as_bytes()), expected);
}

#[test]
fn a_key_file_never_prints_its_secret() {
    let shown = format!("{:?}", KeyFile::of_signing(&identity()));
    assert_eq!(shown, format!("KeyFile(identity {})", identity().public()));
}

#[test]
fn only_the_owner_may_have_a_permission() {
    for good in [0o600, 0o400, 0o700, 0o100_600, 0o4600] {
        assert_eq!(check_mode(good), Ok(()), "{good:o}");
    }
    for bit in 0..6 {
        let error = check_mode(0o100_600 | 1 << bit);
        assert_eq!(error, Err(KeyFileError::Permissions { mode: 0o600 | 1 << bit }));
    }
    let error = check_mode(0o100_644).expect_err("refused");
    let text = "permissions 0644 let others at the key; only the owner may have any (chmod 600)";
    assert_eq!(error.to_string(), text);
}
