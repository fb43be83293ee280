//! What is not one's own key file is refused before a byte of it is believed.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use federation_proto::keys::{Consensus, Identity, KeyFile, KeyFileError, KeyKind, SecretKey};
use key_store::{KeyStoreError, create, load, load_decryption, load_signing, store};

use crate::{Desk, line, set_mode};

/// The key file `key`, and its text.
fn with_key() -> (Desk, String) {
    let desk = Desk::new();
    let key = KeyFile::of_signing(&SecretKey::<Identity>::synthetic("key store", "a"));
    store(&desk.path("key"), &key).expect("stored");
    (desk, key.to_text().to_string())
}

#[track_caller]
fn refusal(desk: &Desk, name: &str) -> KeyStoreError {
    let error = load(&desk.path(name)).expect_err(name);
    let text = line(&error);
    assert!(text.contains(&desk.path(name).display().to_string()), "{text}");
    error
}

#[test]
fn a_key_that_others_may_touch_is_refused() {
    let (desk, _) = with_key();
    for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o777] {
        set_mode(&desk.path("key"), mode);
        let KeyStoreError::Refused { cause, .. } = refusal(&desk, "key") else {
            panic!("{mode:o}")
        };
        assert_eq!(cause, KeyFileError::Permissions { mode });
    }
    set_mode(&desk.path("key"), 0o640);
    let expected = format!(
        "{}: permissions 0640 let others at the key; only the owner may have any (chmod 600)",
        desk.path("key").display()
    );
    assert_eq!(line(&refusal(&desk, "key")), expected);
    for mode in [0o600, 0o400] {
        set_mode(&desk.path("key"), mode);
        assert!(load(&desk.path("key")).is_ok(), "{mode:o}");
    }
}

#[test]
fn a_key_of_another_role_is_refused() {
    let (desk, _) = with_key();
    let path = desk.path("key");
    let expected = |role| {
        let path = path.display();
        format!("{path}: a key of role identity where one of role {role} is wanted")
    };
    let error = load_signing::<Consensus>(&path).expect_err("another role");
    assert_eq!(line(&error), expected("consensus"));
    let error = load_decryption(&path).expect_err("another role");
    assert_eq!(line(&error), expected("encryption"));
    create(&desk.path("x25519"), KeyKind::Encryption).expect("created");
    assert!(load_decryption(&desk.path("x25519")).is_ok());
    assert!(load_signing::<Identity>(&path).is_ok());
}

#[test]
fn truncated_and_oversized_files_are_refused_without_showing_them() {
    let (desk, text) = with_key();
    let (_, secret) = text.split_once("secret ").expect("there");
    for length in [0, 1, 60, text.len() - 1] {
        fs::write(desk.path("key"), &text[..length]).expect("writable");
        let error = refusal(&desk, "key");
        let is_format =
            matches!(&error, KeyStoreError::Refused { cause: KeyFileError::Lines { .. }, .. });
        assert!(is_format, "{length}: {error}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(&secret[..8]), "{shown}");
    }
    for length in [257, 1 << 40] {
        let file = fs::OpenOptions::new().write(true).open(desk.path("key")).expect("there");
        file.set_len(length).expect("a sparse file");
        let KeyStoreError::Refused { cause, .. } = refusal(&desk, "key") else { panic!() };
        let length = usize::try_from(length).expect("64 bits");
        assert_eq!(cause, KeyFileError::TooLarge { length, limit: 256 });
    }
}

#[test]
fn what_is_no_regular_file_is_refused_and_never_waited_for() {
    let (desk, _) = with_key();
    fs::create_dir(desk.path("directory")).expect("a directory");
    let made = Command::new("mkfifo").arg(desk.path("pipe")).status().expect("mkfifo");
    assert!(made.success());
    let socket = UnixListener::bind(desk.path("socket")).expect("a socket");
    for name in ["directory", "pipe", "socket"] {
        let error = refusal(&desk, name);
        assert!(matches!(error, KeyStoreError::NotAFile { .. }), "{name}: {error}");
    }
    drop(socket);
    symlink("key", desk.path("link")).expect("a link");
    symlink("nowhere", desk.path("dangling")).expect("a link");
    for name in ["link", "dangling"] {
        let error = refusal(&desk, name);
        assert!(matches!(error, KeyStoreError::Link { .. }), "{name}: {error}");
    }
    let error = refusal(&desk, "nothing");
    assert!(matches!(error, KeyStoreError::Missing { .. }), "{error}");
    let expected = format!(
        "there is no key file {}; create it, or name another",
        desk.path("nothing").display()
    );
    assert_eq!(line(&error), expected);
    assert!(matches!(refusal(&desk, "key/below"), KeyStoreError::Read { .. }));
}

#[test]
fn a_key_of_another_user_is_refused() {
    let (desk, _) = with_key();
    // Only root can give a file away; for everybody else there is one that root owns.
    let given = std::os::unix::fs::chown(desk.path("key"), Some(4242), None).is_ok();
    let path = if given { desk.path("key") } else { "/etc/passwd".into() };
    let error = load(&path).expect_err("another user's");
    let KeyStoreError::Owner { owner, user, .. } = error else { panic!("{error}") };
    assert_eq!(owner, if given { 4242 } else { 0 });
    assert_ne!(user, owner);
    let text = line(&error);
    assert!(text.ends_with(&format!("this is user {user}; chown it to {user}")), "{text}");
}
