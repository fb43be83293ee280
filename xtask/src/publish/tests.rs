//! What writing a run must never do, step by step.

use std::fs;
use std::path::{Path, PathBuf};

use governance::artifact::{ArtifactSet, MANIFEST, MANIFEST_SIGNATURE};

use super::{MARKER, Outcome, Publication, PublishError, layout};

/// A run of three files besides its manifest.
fn run(tag: &str) -> ArtifactSet {
    let own = format!("mec/M5/ledger/blobs/{tag}");
    let paths = ["META-GOVERNANCE-LOG.md", "merkle/meta_M5.merk", own.as_str()];
    let records: Vec<_> = paths.iter().map(|path| serde_json::json!({ "path": path })).collect();
    let manifest = serde_json::json!({ "tag": tag, "files": records });
    let mut files: ArtifactSet =
        paths.iter().map(|path| ((*path).to_owned(), tag.as_bytes().to_vec())).collect();
    files.insert(MANIFEST.to_owned(), manifest.to_string().into_bytes());
    files.insert(MANIFEST_SIGNATURE.to_owned(), tag.as_bytes().to_vec());
    files
}

fn publish(out: &Path, files: &ArtifactSet) -> Result<Outcome, PublishError> {
    Publication::reserve(out)?.publish(files)
}

/// Everything below a directory that is not a directory.
fn contents(root: &Path) -> ArtifactSet {
    let mut found = ArtifactSet::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).expect("readable") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root).expect("below").to_string_lossy().into_owned();
                found.insert(name, fs::read(&path).expect("readable"));
            }
        }
    }
    found
}

struct Place {
    _dir: tempfile::TempDir,
    out: PathBuf,
}

fn place() -> Place {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let out = dir.path().canonicalize().expect("real").join("deep/er/out");
    Place { _dir: dir, out }
}

fn staging(out: &Path) -> PathBuf {
    out.with_file_name("out.staging")
}

#[test]
fn a_run_replaces_another_and_leaves_nothing_of_it() {
    let Place { _dir, out } = place();
    assert_eq!(publish(&out, &run("a")).expect("new"), Outcome::Written { files: 5, removed: 0 });
    assert_eq!(contents(&out), run("a"));
    let replaced = publish(&out, &run("b")).expect("replaced");
    assert_eq!(replaced, Outcome::Written { files: 5, removed: 1 });
    assert_eq!(contents(&out), run("b"));
    assert!(!staging(&out).exists());
}

#[test]
fn identical_bytes_are_not_rewritten() {
    let Place { _dir, out } = place();
    publish(&out, &run("a")).expect("new");
    let modified =
        |path| fs::metadata(out.join(path)).and_then(|found| found.modified()).expect("known");
    let before = modified(MANIFEST);
    assert_eq!(publish(&out, &run("a")).expect("same"), Outcome::Unchanged);
    assert_eq!(modified(MANIFEST), before);
    fs::write(out.join("merkle/meta_M5.merk"), "damaged").expect("writable");
    let repaired = publish(&out, &run("a")).expect("repaired");
    assert_eq!(repaired, Outcome::Written { files: 1, removed: 0 });
    assert_eq!(modified(MANIFEST), before);
    assert_eq!(contents(&out), run("a"));
}

#[test]
fn foreign_files_stay() {
    let Place { _dir, out } = place();
    publish(&out, &run("0")).expect("a run's directory");
    let foreign = ["notes.txt", "mec/M4/plan.json", "mec/M5/mine.txt", "merkle/history/mine"];
    for path in foreign {
        let path = out.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(path, "mine").expect("writable");
    }
    publish(&out, &run("a")).expect("first");
    publish(&out, &run("b")).expect("second");
    let mut expected = run("b");
    expected.extend(foreign.map(|path| (path.to_owned(), b"mine".to_vec())));
    assert_eq!(contents(&out), expected);
}

#[test]
fn a_directory_of_other_things_is_no_place_for_a_run() {
    let Place { _dir, out } = place();
    fs::create_dir_all(&out).expect("a directory");
    publish(&out, &run("a")).expect("an empty directory will do");
    let Place { _dir, out } = place();
    fs::create_dir_all(&out).expect("a directory");
    fs::write(out.join("notes.txt"), "mine").expect("writable");
    let refused = publish(&out, &run("a")).expect_err("it could pass no audit");
    assert!(refused.to_string().contains("holds other things and no run"), "{refused}");
    assert_eq!(fs::read(out.join("notes.txt")).expect("untouched"), b"mine");
    assert_eq!(fs::read_dir(&out).expect("a directory").count(), 1);
}

#[test]
fn a_swap_cut_short_is_marked_and_repaired_by_either_run() {
    for next in ["a", "b", "c"] {
        let Place { _dir, out } = place();
        publish(&out, &run("a")).expect("the old run");
        // As a kill leaves it: the marker of b, a part of b's files, the manifest of a.
        let listed: String = run("b").keys().map(|path| format!("{path}\n")).collect();
        fs::write(out.join(MARKER), listed).expect("writable");
        fs::write(out.join("mec/M5/ledger/blobs/b"), "b").expect("writable");
        fs::write(out.join("META-GOVERNANCE-LOG.md"), "b").expect("writable");
        publish(&out, &run(next)).expect("repaired");
        assert_eq!(contents(&out), run(next), "repaired by {next}");
    }
}

#[test]
fn remains_of_a_killed_run_are_cleared_but_a_stranger_s_directory_is_not() {
    let Place { _dir, out } = place();
    fs::create_dir_all(staging(&out).join("run/mec")).expect("directories");
    fs::write(staging(&out).join("lock"), "").expect("writable");
    fs::write(staging(&out).join("run/mec/half"), "half").expect("writable");
    publish(&out, &run("a")).expect("cleared");
    assert_eq!(contents(&out), run("a"));

    fs::create_dir(staging(&out)).expect("a directory");
    fs::write(staging(&out).join("thesis.txt"), "mine").expect("writable");
    let refused = publish(&out, &run("b")).expect_err("not ours");
    assert!(matches!(refused, PublishError::ForeignStaging(_)), "{refused}");
    assert!(staging(&out).join("thesis.txt").exists());
    assert_eq!(contents(&out), run("a"));
}

#[test]
fn two_runs_do_not_write_to_one_place() {
    let Place { _dir, out } = place();
    let first = Publication::reserve(&out).expect("free");
    let refused = Publication::reserve(&out).expect_err("taken");
    assert!(matches!(refused, PublishError::Busy(_)), "{refused}");
    first.publish(&run("a")).expect("undisturbed");
    Publication::reserve(&out).expect("free again");
}

#[test]
fn an_abandoned_reservation_leaves_nothing() {
    let Place { _dir, out } = place();
    drop(Publication::reserve(&out).expect("free"));
    assert!(!staging(&out).exists() && !out.exists());
}

#[test]
fn places_that_cannot_hold_a_run_are_refused_untouched() {
    let Place { _dir, out } = place();
    let unsuitable = |out: &Path| {
        let refused = publish(out, &run("b")).expect_err("unsuitable");
        assert!(matches!(refused, PublishError::Unsuitable { .. }), "{refused}");
    };
    publish(&out, &run("a")).expect("new");
    unsuitable(&out.join("META-GOVERNANCE-LOG.md"));
    unsuitable(&out.join("META-GOVERNANCE-LOG.md/below"));
    unsuitable(Path::new("/"));
    fs::remove_dir_all(out.join("merkle")).expect("removable");
    fs::write(out.join("merkle"), "a file").expect("writable");
    let before = contents(&out);
    unsuitable(&out);
    assert_eq!(contents(&out), before);
}

#[cfg(unix)]
#[test]
fn links_are_not_written_through() {
    let Place { _dir, out } = place();
    publish(&out, &run("a")).expect("new");
    let elsewhere = out.with_file_name("elsewhere");
    fs::create_dir(&elsewhere).expect("a directory");
    fs::remove_dir_all(out.join("merkle")).expect("removable");
    std::os::unix::fs::symlink(&elsewhere, out.join("merkle")).expect("a link");
    let refused = publish(&out, &run("b")).expect_err("a link");
    assert!(matches!(refused, PublishError::Unsuitable { .. }), "{refused}");
    assert_eq!(fs::read_dir(&elsewhere).expect("readable").count(), 0);
}

#[test]
fn a_manifest_cannot_make_a_run_remove_what_is_outside_the_layout() {
    let Place { _dir, out } = place();
    publish(&out, &run("a")).expect("new");
    let victims = [out.with_file_name("victim"), out.join("victim"), out.join("mec/M5-notes")];
    for victim in &victims {
        fs::write(victim, "precious").expect("writable");
    }
    let paths = ["../victim", "mec/M5/../../../victim", "victim", "mec/M5-notes", "/etc/hostname"];
    let records: Vec<_> = paths.iter().map(|path| serde_json::json!({ "path": path })).collect();
    let manifest = serde_json::json!({ "files": records }).to_string();
    fs::write(out.join(MANIFEST), manifest).expect("writable");
    publish(&out, &run("b")).expect("written");
    assert!(victims.iter().all(|victim| victim.exists()));
}

#[test]
fn the_layout_knows_its_own_paths_only() {
    for path in run("a").keys() {
        assert!(layout::owns(path), "{path}");
    }
    for path in [
        "",
        "mec",
        "mec/M5",
        "mec/M5/",
        "mec/M5/../x",
        "./mec/M5/x",
        "/mec/M5/x",
        "x",
        "mec/M5//x",
        "META-GOVERNANCE-LOG.md/x",
        "mec/M50/x",
        "merkle",
    ] {
        assert!(!layout::owns(path), "{path:?}");
    }
}
