//! The stages of the test command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use governance::artifact::{ANCHOR, ArtifactSet, GOVERNANCE_LOG, MANIFEST, PLAN};

use super::StageError;
use crate::failure::FAILED;
use crate::load::load;
use crate::workspace;

/// One thing that must hold.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) run: fn() -> Result<(), StageError>,
}

/// All stages: what fails fast comes first.
pub(super) const STAGES: [Stage; 9] = [
    Stage { name: "fmt", about: "the code is formatted", run: fmt },
    Stage { name: "clippy", about: "no lint fires in any target", run: clippy },
    Stage {
        name: "laws",
        about: "layers, tidiness, bans, documents and the trace hold",
        run: laws,
    },
    Stage { name: "test", about: "every test of the workspace passes", run: test },
    Stage { name: "docs", about: "the documentation builds without a warning", run: docs },
    Stage {
        name: "simulate",
        about: "1, 2 and 4 threads give the bytes of the committed reference run",
        run: simulate,
    },
    Stage { name: "profiles", about: "debug and release give the same bytes", run: profiles },
    Stage { name: "compliance", about: "the reference run passes its audit", run: compliance },
    Stage {
        name: "tamper",
        about: "copies with one byte flipped are refused by name",
        run: tamper,
    },
];

fn fmt() -> Result<(), StageError> {
    check(cargo(&["fmt", "--all", "--check"]))
}

fn clippy() -> Result<(), StageError> {
    let chosen = ["--workspace", "--all-targets", "--all-features"];
    check(cargo(&[&["clippy"], &chosen[..], &["--", "-D", "warnings"]].concat()))
}

fn laws() -> Result<(), StageError> {
    let filters = ["layers::", "tidy::", "rfc_trace::", "clippy_bans::", "gates::", "readme::"];
    let mut command = cargo(&["test", "--package", "xtask", "--test", "it", "--"]);
    command.args(filters);
    check(command)
}

fn test() -> Result<(), StageError> {
    check(cargo(&["test", "--workspace", "--all-features"]))
}

fn docs() -> Result<(), StageError> {
    let mut command = cargo(&["doc", "--workspace", "--no-deps", "--all-features"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    check(command)
}

fn simulate() -> Result<(), StageError> {
    let committed = workspace::artifacts();
    for threads in ["1", "2", "4"] {
        let out = scratch(&format!("threads-{threads}"))?;
        let mut command = own(&["simulate", "--quiet", "--threads", threads, "--out"])?;
        command.arg(&out);
        check(command)?;
        compare(&out, &committed)?;
    }
    Ok(())
}

fn profiles() -> Result<(), StageError> {
    let (debug, release) = (scratch("debug")?, scratch("release")?);
    let arguments = ["simulate", "--quiet", "--epochs", "1", "--out"];
    let mut command = own(&arguments)?;
    command.arg(&release);
    check(command)?;
    let mut command = cargo(&["run", "--quiet", "--package", "xtask", "--"]);
    command.args(arguments).arg(&debug);
    check(command)?;
    compare(&release, &debug)
}

fn compliance() -> Result<(), StageError> {
    check(own(&["compliance", "--phase", "M5"])?)
}

fn tamper() -> Result<(), StageError> {
    let run = read(&workspace::artifacts())?;
    let block = run.keys().find(|path| path.ends_with(".blk"));
    let fixed = [MANIFEST, PLAN, ANCHOR, GOVERNANCE_LOG];
    for victim in fixed.into_iter().chain(block.map(String::as_str)) {
        let mut damaged = run.clone();
        let bytes = damaged.get_mut(victim).filter(|bytes| !bytes.is_empty());
        let bytes = bytes.ok_or_else(|| StageError::Empty(workspace::artifacts().join(victim)))?;
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 1;
        }
        let copy = scratch("tampered")?;
        write(&copy, &damaged)?;
        let mut command = own(&["compliance", "--phase", "M5", "--artifacts"])?;
        command.arg(&copy).stdin(Stdio::null());
        let what = shown(&command);
        let audited = command.output().map_err(|cause| StageError::Io { what, cause })?;
        let names_it = String::from_utf8_lossy(&audited.stdout).contains(victim);
        if audited.status.code() != Some(i32::from(FAILED)) || !names_it {
            let (path, status) = (victim.to_owned(), audited.status);
            return Err(StageError::NotRefused { path, status });
        }
        crate::output::note(&format!("refused: a byte flipped in {victim}"));
    }
    Ok(())
}

/// Cargo, as this process was started by it, so that the toolchain is the same.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root()).args(arguments);
    command
}

/// This program.
fn own(arguments: &[&str]) -> Result<Command, StageError> {
    let path = std::env::current_exe();
    let path = path.map_err(|cause| StageError::Io { what: "this program".to_owned(), cause })?;
    let mut command = Command::new(path);
    command.current_dir(workspace::root()).args(arguments);
    Ok(command)
}

/// Runs a command whose output is everybody's to read.
fn check(mut command: Command) -> Result<(), StageError> {
    let what = shown(&command);
    let status = command.status().map_err(|cause| StageError::Io { what: what.clone(), cause })?;
    if status.success() { Ok(()) } else { Err(StageError::Command { command: what, status }) }
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = [program].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// An absent directory below `target/`, for one run.
fn scratch(name: &str) -> Result<PathBuf, StageError> {
    let path = workspace::root().join("target/ci").join(name);
    match fs::remove_dir_all(&path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(StageError::Io { what: format!("cannot clear {}", path.display()), cause })
        }
        _ => Ok(path),
    }
}

fn read(directory: &Path) -> Result<ArtifactSet, StageError> {
    let set = load(directory)?;
    if let Some(problem) = set.problems.into_iter().next() {
        return Err(StageError::NotFiles {
            directory: directory.to_path_buf(),
            path: problem.path,
        });
    }
    if set.files.is_empty() {
        return Err(StageError::Empty(directory.to_path_buf()));
    }
    Ok(set.files)
}

/// Whether two runs have the same files with the same bytes.
fn compare(left: &Path, right: &Path) -> Result<(), StageError> {
    let (ours, theirs) = (read(left)?, read(right)?);
    let paths = ours.keys().chain(theirs.keys());
    match paths.min_by_key(|path| (ours.get(*path) == theirs.get(*path), (*path).clone())) {
        Some(path) if ours.get(path) != theirs.get(path) => Err(StageError::Differ {
            left: left.to_path_buf(),
            right: right.to_path_buf(),
            path: path.clone(),
        }),
        _ => Ok(()),
    }
}

fn write(directory: &Path, files: &ArtifactSet) -> Result<(), StageError> {
    for (path, bytes) in files {
        let target = directory.join(path);
        let made = target.parent().map_or(Ok(()), fs::create_dir_all);
        let written = made.and_then(|()| fs::write(&target, bytes));
        written.map_err(|cause| StageError::Io { what: target.display().to_string(), cause })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
        write(directory.path(), &files.collect()).expect("written");
        directory
    }

    #[test]
    fn runs_differ_by_a_byte_or_by_a_file() {
        let a = run(&[("mec/M5/genesis.json", "1"), ("mec/M5/policy.toml", "2")]);
        let same = run(&[("mec/M5/genesis.json", "1"), ("mec/M5/policy.toml", "2")]);
        compare(a.path(), same.path()).expect("the same");
        for (other, file) in [
            (
                run(&[("mec/M5/genesis.json", "1"), ("mec/M5/policy.toml", "3")]),
                "mec/M5/policy.toml",
            ),
            (run(&[("mec/M5/genesis.json", "1")]), "mec/M5/policy.toml"),
            (
                run(&[
                    ("mec/M5/genesis.json", "1"),
                    ("mec/M5/policy.toml", "2"),
                    ("merkle/meta_M5.merk", ""),
                ]),
                "merkle/meta_M5.merk",
            ),
        ] {
            let differs = compare(a.path(), other.path()).expect_err("another run");
            assert!(
                matches!(&differs, StageError::Differ { path, .. } if path == file),
                "{differs}"
            );
        }
        let empty = run(&[]);
        assert!(matches!(compare(a.path(), empty.path()), Err(StageError::Empty(_))));
    }
}
