//! The log in real files.
#![expect(clippy::disallowed_methods, reason = "these tests are about files")]

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use tempfile::TempDir;

use super::super::{
    Access, Disk as _, LogFile, LogPath, Place, Recovered, SafetyLog, SafetyLogError, read,
};
use super::{ID, all, write};

fn place() -> (TempDir, LogPath) {
    let directory = TempDir::new().expect("a directory");
    let path = LogPath::new(directory.path().join("votes.log"));
    (directory, path)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("entry").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    names
}

fn kind<T>(result: Result<T, SafetyLogError>) -> ErrorKind {
    match result.map(|_| ()) {
        Err(SafetyLogError::Io { cause, .. }) => cause.kind(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_log_survives_its_handle() {
    let (directory, place) = place();
    let mut log = SafetyLog::create(place.clone(), ID).expect("new");
    write(&mut log, b"one");
    let big = vec![2; 100_000];
    write(&mut log, &big);
    log.cut(|record| record != b"one").expect("cuts");
    let mark = write(&mut log, b"three");
    drop(log);
    assert_eq!(names(directory.path()), ["votes.log"]);
    let (log, Recovered { records, mark: found, torn_pages }) =
        SafetyLog::open(place.clone(), ID, Some(mark)).expect("opens");
    assert_eq!((found, torn_pages), (mark, 0));
    assert_eq!(all(&records), [big, b"three".to_vec()]);
    drop(log);
    fs::remove_file(directory.path().join("votes.log")).expect("removed");
    let lost = SafetyLog::open(place.clone(), ID, Some(mark)).map(|_| ());
    assert!(matches!(lost, Err(SafetyLogError::Lost { expected }) if expected == mark));
    assert!(matches!(read(&place, ID, None), Err(SafetyLogError::Missing)));
}

#[test]
fn one_writer_or_many_readers() {
    let (_directory, place) = place();
    let mut log = SafetyLog::create(place.clone(), ID).expect("new");
    let locked = |place: &LogPath| {
        let writer = SafetyLog::open(place.clone(), ID, None).map(|_| ());
        let reader = read(place, ID, None);
        matches!(writer, Err(SafetyLogError::Locked))
            && matches!(reader, Err(SafetyLogError::Locked))
    };
    assert!(locked(&place), "from its creation");
    let creator = SafetyLog::create(place.clone(), ID).map(|_| ());
    assert!(matches!(creator, Err(SafetyLogError::Locked)));
    log.cut(|_| true).expect("cuts");
    assert!(locked(&place), "the new file after a cut");
    drop(log);
    let reading = place.open(Access::Read).expect("opens").expect("there");
    assert!(read(&place, ID, None).is_ok());
    let writer = SafetyLog::open(place.clone(), ID, None).map(|_| ());
    assert!(matches!(writer, Err(SafetyLogError::Locked)));
    drop(reading);
    assert!(SafetyLog::open(place, ID, None).is_ok());
}

#[test]
fn two_creators_do_not_meet() {
    let (directory, place) = place();
    let draft = place.draft().expect("a draft");
    let second = SafetyLog::create(place.clone(), ID).map(|_| ());
    assert!(matches!(second, Err(SafetyLogError::Locked)));
    drop(draft);
    drop(SafetyLog::create(place.clone(), ID).expect("new"));
    assert!(matches!(SafetyLog::create(place, ID).map(|_| ()), Err(SafetyLogError::Exists)));
    assert_eq!(names(directory.path()), ["votes.log"], "a refusal leaves nothing");
}

#[test]
fn a_lock_on_a_replaced_file_is_none() {
    let (directory, place) = place();
    let path = directory.path().join("votes.log");
    let mut log = SafetyLog::create(place, ID).expect("new");
    // Opened before a cut, locked after the writer has gone.
    let late = fs::File::open(&path).expect("opens");
    log.cut(|_| true).expect("cuts");
    drop(log);
    let refused = LogFile::lock(late, &path, Access::Write).expect_err("replaced");
    assert_eq!(refused.kind(), ErrorKind::WouldBlock);
    let current = fs::File::open(&path).expect("opens");
    assert!(LogFile::lock(current, &path, Access::Write).is_ok());
}

#[test]
fn reading_leaves_every_byte_and_every_file() {
    let (directory, place) = place();
    let mut log = SafetyLog::create(place.clone(), ID).expect("new");
    write(&mut log, b"one");
    write(&mut log, &[2; 1000]);
    drop(log);
    let (path, draft) =
        (directory.path().join("votes.log"), directory.path().join("votes.log.new"));
    // A torn last group and a draft left behind: a writer would clean both.
    let mut bytes = fs::read(&path).expect("reads");
    bytes[3 * 512..4 * 512].fill(0);
    fs::write(&path, &bytes).expect("writes");
    fs::write(&draft, b"half a cut").expect("writes");
    let mut permissions = fs::metadata(&path).expect("there").permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions.clone()).expect("read-only");
    let found = read(&place, ID, None).expect("reads");
    assert_eq!((all(&found.records), found.torn_pages), (vec![b"one".to_vec()], 3));
    assert_eq!(fs::read(&path).expect("reads"), bytes);
    assert_eq!(fs::read(&draft).expect("reads"), b"half a cut");
    fs::remove_file(&path).expect("removed");
    fs::write(&path, &bytes).expect("writes");
    let (_log, again) = SafetyLog::open(place, ID, Some(found.mark)).expect("opens");
    assert_eq!(again, found);
    assert_eq!(names(directory.path()), ["votes.log"]);
    bytes[2 * 512..].fill(0);
    assert_eq!(fs::read(&path).expect("reads"), bytes);
}

#[test]
fn a_draft_left_behind_is_overwritten() {
    let (directory, place) = place();
    let draft = directory.path().join("votes.log.new");
    fs::write(&draft, vec![0xee; 200_000]).expect("writes");
    let mut log = SafetyLog::create(place.clone(), ID).expect("new");
    write(&mut log, b"one");
    fs::write(&draft, vec![0xee; 200_000]).expect("writes");
    let mark = log.cut(|_| true).expect("cuts");
    drop(log);
    fs::write(&draft, vec![0xee; 200_000]).expect("writes");
    assert_eq!(place.draft().expect("a draft").length().expect("known"), 0);
    let found = read(&place, ID, Some(mark)).expect("reads");
    assert_eq!(all(&found.records), [b"one".to_vec()]);
    assert_eq!(fs::metadata(directory.path().join("votes.log")).expect("there").len(), 65_536);
}

#[test]
fn places_that_are_no_place_are_refused() {
    let directory = TempDir::new().expect("a directory");
    let nowhere = LogPath::new(directory.path().join("absent").join("votes.log"));
    assert_eq!(kind(SafetyLog::create(nowhere.clone(), ID)), ErrorKind::NotFound);
    assert!(matches!(read(&nowhere, ID, None), Err(SafetyLogError::Missing)));
    let folder = directory.path().join("folder");
    fs::create_dir(&folder).expect("made");
    let folder = LogPath::new(folder);
    assert_eq!(kind(read(&folder, ID, None)), ErrorKind::InvalidInput);
    assert_eq!(kind(SafetyLog::create(folder.clone(), ID)), ErrorKind::InvalidInput);
    assert_eq!(kind(SafetyLog::open(folder, ID, None)), ErrorKind::IsADirectory);
    assert_eq!(names(directory.path()), ["folder"]);
}

#[test]
fn only_its_owner_can_read_a_log() {
    use std::os::unix::fs::PermissionsExt as _;

    let (directory, place) = place();
    let mut log = SafetyLog::create(place, ID).expect("new");
    log.cut(|_| true).expect("cuts");
    let mode =
        fs::metadata(directory.path().join("votes.log")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
