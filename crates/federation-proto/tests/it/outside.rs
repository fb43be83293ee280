//! The few doors through which the tests reach outside: sources, approved files, variables, python.
//!
//! The crate itself has none. Everything that reads or writes stands here, so that the bans are lifted once.
#![expect(
    clippy::disallowed_methods,
    reason = "tests compare with committed files; the crate does not"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable that turns a comparison into an approval.
pub(crate) const APPROVE: &str = "PRISM_APPROVE_WIRE";

fn in_crate(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// An environment variable.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Whether the developer approves a change of the wire.
pub(crate) fn approving() -> bool {
    variable(APPROVE).is_some_and(|value| value == "1")
}

/// A file, by its path from the crate's directory; empty when it is not there.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(in_crate(path)).unwrap_or_default()
}

/// Compares a committed file with what it should be, or writes it when a change is being approved.
#[track_caller]
pub(crate) fn approve(path: &str, actual: &str, test: &str) {
    let committed = text(path);
    if committed == actual {
        return;
    }
    if approving() {
        write(&in_crate(path), actual);
        return;
    }
    let line = committed.lines().zip(actual.lines()).position(|(old, new)| old != new);
    let line = line.unwrap_or_else(|| committed.lines().count().min(actual.lines().count()));
    let shown = |text: &str| {
        let line: String = text.lines().nth(line).unwrap_or("(end)").chars().take(200).collect();
        line
    };
    panic!(
        "{path} is not what the code says, first in line {}:\n  committed: {}\n  the code:  {}\n\
         This is a change of the wire. Whoever wants it writes an ADR under docs/adr, and approves it with\n  \
         {APPROVE}=1 cargo test -p federation-proto --test it {test}",
        line + 1,
        shown(&committed),
        shown(actual),
    );
}

/// Writes a file anywhere; whoever reads it meanwhile sees the old one or the new one.
pub(crate) fn write(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, text).expect("the file can be written");
    std::fs::rename(&draft, path).expect("the file can be replaced");
}

/// The sources of the crate.
pub(crate) fn sources() -> Vec<String> {
    let mut folders = vec![in_crate("src")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the sources are there") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files.iter().map(|path| std::fs::read_to_string(path).expect("a source")).collect()
}

/// Runs `python3` with these arguments in the crate's directory: whether it succeeded, and what it said.
pub(crate) fn python(arguments: &[&str]) -> (bool, String) {
    let run = Command::new("python3").args(arguments).current_dir(in_crate("")).output();
    let output = run.expect("this test needs python3, the independent reader of the vectors");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}
