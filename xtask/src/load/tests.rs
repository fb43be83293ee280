//! Trees that an author can make, and what loading makes of them.

use governance::artifact::GOVERNANCE_LOG;

use super::*;

fn tree(files: &[(&str, usize)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (path, length) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(path, vec![b'x'; *length]).expect("a file");
    }
    dir
}

fn list(dir: &tempfile::TempDir, paths: &[&str]) {
    let files: Vec<_> = paths.iter().map(|path| serde_json::json!({ "path": path })).collect();
    let text = serde_json::json!({ "files": files }).to_string();
    fs::create_dir_all(dir.path().join("mec/M5")).expect("directories");
    fs::write(dir.path().join(MANIFEST), text).expect("a manifest");
}

fn problems(loaded: &LoadedArtifacts) -> Vec<(&str, &LoadProblemKind)> {
    loaded.problems.iter().map(|problem| (problem.path.as_str(), &problem.kind)).collect()
}

fn files(loaded: &LoadedArtifacts) -> Vec<&str> {
    loaded.files.keys().map(String::as_str).collect()
}

#[test]
fn a_run_is_read_and_everything_beside_it_is_named() {
    let dir = tree(&[
        ("mec/M5/ledger/blocks/1.blk", 3),
        ("mec/M5/listed.json", 3),
        ("mec/M5/stray.json", 3),
        ("mec/M4/other.json", 3),
        ("META-GOVERNANCE-LOG.md", 2),
        ("merkle/meta_M5.merk", 1),
        ("stray\u{1b}[2J.txt", 9),
    ]);
    fs::create_dir_all(dir.path().join("mec/M5/empty/deeper")).expect("directories");
    list(&dir, &["mec/M5/listed.json", "mec/M5/absent.json"]);
    let loaded = load(dir.path()).expect("readable");
    let expected = [
        "META-GOVERNANCE-LOG.md",
        "mec/M5/ledger/blocks/1.blk",
        "mec/M5/listed.json",
        MANIFEST,
        "merkle/meta_M5.merk",
    ];
    assert_eq!(files(&loaded), expected);
    let expected =
        ["mec/M5/empty/deeper/", "mec/M5/stray.json", "mec/M4/other.json", "stray\\u{1b}[2J.txt"]
            .map(|path| (path, &LoadProblemKind::Foreign));
    assert_eq!(problems(&loaded), expected);
}

#[test]
fn a_missing_directory_reads_as_empty() {
    let loaded = load(Path::new("/dev/null/nothing")).expect("no host problem");
    assert!(loaded.files.is_empty() && loaded.problems.is_empty());
}

#[test]
fn limits_stop_the_reading() {
    let names = ["a", "b", "c", "d"].map(|name| format!("mec/M5/{name}"));
    let dir = tree(&[(&names[0], 5), (&names[1], 600), (&names[2], 4), (&names[3], 4)]);
    list(&dir, &names.each_ref().map(String::as_str));
    let manifest = fs::metadata(dir.path().join(MANIFEST)).expect("a manifest").len();
    let limits = Limits { file_bytes: 500, total_bytes: manifest + 10, ..LIMITS };
    let loaded = load_within(dir.path(), limits).expect("readable");
    assert_eq!(files(&loaded), [&names[0], &names[2], MANIFEST]);
    let expected = [
        (names[1].as_str(), &LoadProblemKind::TooLarge { length: 600 }),
        (names[3].as_str(), &LoadProblemKind::TooMany),
    ];
    assert_eq!(problems(&loaded), expected);
    let few = Limits { files: 4, ..LIMITS };
    let loaded = load_within(dir.path(), few).expect("readable");
    assert_eq!(files(&loaded), [&names[0], &names[1], MANIFEST]);
    assert_eq!(problems(&loaded), [("mec/M5", &LoadProblemKind::TooMany)]);
}

#[test]
fn files_that_no_manifest_vouches_for_are_not_worth_reading() {
    let blob = |name: char| format!("mec/M5/ledger/blobs/{name}");
    let dir = tree(&[(&blob('a'), 6), (&blob('b'), 6), (&blob('c'), 6), ("mec/M5/x", 1)]);
    let limits = Limits { unlisted_bytes: 12, ..LIMITS };
    let loaded = load_within(dir.path(), limits).expect("readable");
    assert_eq!(files(&loaded), [blob('a'), blob('b')]);
    let c = blob('c');
    let expected = [&c, "mec/M5/x"].map(|path| (path, &LoadProblemKind::Foreign));
    assert_eq!(problems(&loaded), expected);
    list(&dir, &[&c]);
    let loaded = load_within(dir.path(), limits).expect("readable");
    assert_eq!(files(&loaded), [&blob('a'), &blob('b'), &c, MANIFEST]);
}

#[test]
fn no_crowd_keeps_a_run_from_being_read() {
    let crowd: Vec<String> = (0..9).map(|index| format!("aa/{index}")).collect();
    let mut all: Vec<(&str, usize)> = crowd.iter().map(|path| (path.as_str(), 1)).collect();
    all.push((GOVERNANCE_LOG, 1));
    let dir = tree(&all);
    let loaded = load_within(dir.path(), Limits { files: 4, ..LIMITS }).expect("readable");
    assert_eq!(files(&loaded), [GOVERNANCE_LOG]);
    let last = problems(&loaded).last().map(|(path, kind)| ((*path).to_owned(), (*kind).clone()));
    assert_eq!(last, Some(("aa".to_owned(), LoadProblemKind::TooMany)));
    assert_eq!(loaded.problems.len(), 3);
}

#[test]
fn depth_is_bounded_and_the_marker_is_named() {
    let deep = format!("mec/M5/{}x", "d/".repeat(MAX_DEPTH + 1));
    let dir = tree(&[(deep.as_str(), 1), (MARKER, 0)]);
    let loaded = load(dir.path()).expect("readable");
    assert!(loaded.files.is_empty());
    let deepest = format!("mec/M5/{}d", "d/".repeat(MAX_DEPTH - 3));
    let expected =
        [(MARKER, &LoadProblemKind::Staging), (deepest.as_str(), &LoadProblemKind::Path)];
    assert_eq!(problems(&loaded), expected);
}

#[cfg(unix)]
#[test]
fn links_are_never_followed() {
    let dir = tree(&[("elsewhere/M5/manifest.json", 1)]);
    let link = |target: &str, at: &str| {
        std::os::unix::fs::symlink(dir.path().join(target), dir.path().join(at)).expect("a link");
    };
    link("elsewhere", "mec");
    link("elsewhere", "merkle");
    link("elsewhere/M5/manifest.json", "META-GOVERNANCE-LOG.md");
    let loaded = load(dir.path()).expect("readable");
    assert!(loaded.files.is_empty());
    let links = ["META-GOVERNANCE-LOG.md", "mec", "merkle"];
    let foreign = ("elsewhere/M5/manifest.json", &LoadProblemKind::Foreign);
    let links = links.map(|path| (path, &LoadProblemKind::Symlink));
    assert_eq!(problems(&loaded), [links[0], links[1], links[2], foreign]);
}

#[test]
fn what_an_author_can_cause_is_no_fault_of_this_machine() {
    assert!(is_the_authors(ErrorKind::PermissionDenied));
    assert!(is_the_authors(ErrorKind::NotFound));
    assert!(!is_the_authors(ErrorKind::OutOfMemory));
    assert!(!is_the_authors(ErrorKind::Other));
}
