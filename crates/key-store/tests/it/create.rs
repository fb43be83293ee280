//! A key appears whole, readable by its owner only, and never over something else.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use federation_proto::keys::{Identity, KeyFile, KeyKind, SecretKey};
use key_store::{KeyStoreError, create, load, load_signing, store};

use crate::{Desk, line};

#[test]
fn a_created_key_is_its_owners_alone_and_comes_back() {
    let desk = Desk::new();
    let mut publics = BTreeSet::new();
    for kind in KeyKind::ALL {
        let path = desk.path(kind.name());
        let created = create(&path, kind).expect("created");
        let found = fs::metadata(&path).expect("there");
        assert_eq!((found.mode() & 0o7777, found.nlink()), (0o600, 1));
        let loaded = load(&path).expect("what was created");
        assert_eq!((loaded.kind(), loaded.public()), (kind, created.public()));
        publics.insert(*created.public());
    }
    assert_eq!(publics.len(), KeyKind::ALL.len(), "a key was drawn twice");
    let mut names: Vec<&str> = KeyKind::ALL.map(KeyKind::name).into();
    names.sort_unstable();
    assert_eq!(desk.names(), names);
}

#[test]
fn a_known_key_is_stored_like_a_new_one() {
    let desk = Desk::new();
    let key = SecretKey::<Identity>::synthetic("key store", "a");
    store(&desk.path("a"), &KeyFile::of_signing(&key)).expect("stored");
    let loaded = load_signing::<Identity>(&desk.path("a")).expect("loaded");
    assert_eq!(loaded.public(), key.public());
}

#[test]
fn whatever_has_the_name_stays() {
    let desk = Desk::new();
    fs::write(desk.path("file"), "mine").expect("writable");
    fs::create_dir(desk.path("directory")).expect("a directory");
    symlink("file", desk.path("link")).expect("a link");
    symlink("nowhere", desk.path("dangling")).expect("a link");
    create(&desk.path("key"), KeyKind::Identity).expect("created");
    let key = fs::read(desk.path("key")).expect("readable");
    let before = desk.names();
    for name in ["file", "directory", "link", "dangling", "key"] {
        let path = desk.path(name);
        let error = create(&path, KeyKind::Identity).expect_err(name);
        let expected =
            format!("{} exists and a key is never overwritten; name another file", path.display());
        assert_eq!(line(&error), expected);
    }
    assert_eq!(desk.names(), before);
    assert_eq!(fs::read(desk.path("file")).expect("readable"), b"mine");
    assert_eq!(fs::read(desk.path("key")).expect("readable"), key);
    assert!(!desk.path("nowhere").exists());
}

#[test]
fn of_many_at_once_one_wins_and_its_key_is_the_file() {
    let desk = Desk::new();
    let path = desk.path("key");
    let made: Vec<KeyFile> = std::thread::scope(|scope| {
        let one = || create(&path, KeyKind::Identity);
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("no panic").ok()).collect()
    });
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].public(), load(&path).expect("a key").public());
    assert_eq!(desk.names(), ["key"]);
}

#[test]
fn places_that_cannot_be_written_are_named() {
    let desk = Desk::new();
    fs::write(desk.path("file"), "mine").expect("writable");
    for (name, part) in [("no/key", "No such file"), ("file/key", "Not a directory")] {
        let path = desk.path(name);
        let error = create(&path, KeyKind::Identity).expect_err(name);
        assert!(matches!(&error, KeyStoreError::Write { path: named, .. } if *named == path));
        let text = line(&error);
        assert!(text.contains(part) && text.ends_with("; no key was created"), "{text}");
    }
    for name in ["/", "..", ""] {
        let error = create(Path::new(name), KeyKind::Identity).expect_err("no name");
        assert!(matches!(error, KeyStoreError::NoName { .. }), "{error}");
        line(&error);
    }
    assert_eq!(desk.names(), ["file"]);
}

#[test]
fn a_name_that_steers_a_terminal_is_shown_escaped() {
    let desk = Desk::new();
    let path = desk.path("a\u{1b}[2J\nb");
    create(&path, KeyKind::Identity).expect("created");
    let error = create(&path, KeyKind::Identity).expect_err("exists");
    assert!(line(&error).contains(r"a\u{1b}[2J\nb exists"), "{error}");
}
