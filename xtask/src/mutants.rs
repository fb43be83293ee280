//! `mutants`: errors of implementations, put into a copy of the consensus core one at a time; a test must fail for each.
//!
//! Each mutant is a text and what stands in its place ([`list`]). The copy lies below `target/`, so nothing of it is
//! ever in the core. A mutant that does not compile, or whose text is not found exactly once, is an error: the list
//! describes the present code, or says so.

mod list;

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use thiserror::Error;

use crate::cli::MutantsArgs;
use crate::failure::{FAILED, Failure, USAGE};
use crate::output;
use crate::workspace;
use list::{MUTANTS, Mutant};

/// The crate that is changed, from the workspace root.
const CRATE: &str = "crates/consensus-pbft";
/// What its tests need of the workspace.
const SOURCES: [&str; 3] = ["crates/federation-proto", "crates/ledger", CRATE];
/// Not copied: what is built, and a workspace of its own.
const FOREIGN: [&str; 2] = ["target", "fuzz"];

/// Why mutants cannot be judged, or are not all killed.
#[derive(Debug, Error)]
pub(crate) enum MutantsError {
    /// No such mutant.
    #[error("no mutant {name:?}; there are: {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The list does not describe the code any more.
    #[error("mutant {name}: its text stands {found} times in {file}, once is wanted")]
    Text {
        /// Which.
        name: &'static str,
        /// Where it should stand.
        file: &'static str,
        /// How often it does.
        found: usize,
    },
    /// The changed code is none, so no test can judge it.
    #[error("mutant {name} does not compile: {said}")]
    NoCode {
        /// Which.
        name: &'static str,
        /// The compiler's first error.
        said: String,
    },
    /// Nothing ran under the filter, so nothing judged it.
    #[error("mutant {name}: no test is named {filter}")]
    NoTest {
        /// Which.
        name: &'static str,
        /// The filter.
        filter: &'static str,
    },
    /// Some live on.
    #[error("{count} survived: {names}")]
    Survived {
        /// How many.
        count: usize,
        /// Which.
        names: String,
    },
    /// A file cannot be read or written, or cargo not be started.
    #[error("{what}: {cause}")]
    Io {
        /// What was tried.
        what: String,
        /// Why.
        cause: io::Error,
    },
}

impl MutantsError {
    pub(crate) fn exit_code(&self) -> u8 {
        if matches!(self, Self::Unknown { .. }) { USAGE } else { FAILED }
    }
}

/// How the tests judged a mutant.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// These tests failed.
    Killed(Vec<String>),
    Survived,
    /// The compiler's first error.
    NoCode(String),
    NoTest,
}

pub(crate) fn run(args: &MutantsArgs) -> Result<ExitCode, Failure> {
    let say = |text: &str| output::write(text).map_err(Failure::Output);
    let chosen = choose(args.only.as_deref())?;
    let copy = workspace::root().join("target/mutants/workspace");
    let (mut rows, mut survivors) = (Vec::new(), Vec::new());
    for mutant in chosen {
        let start = Instant::now();
        let killers = match judge(mutant, &copy)? {
            Verdict::Killed(tests) => tests.join(", "),
            Verdict::Survived => {
                survivors.push(mutant.name);
                "SURVIVED".to_owned()
            }
            Verdict::NoCode(said) => {
                return Err(MutantsError::NoCode { name: mutant.name, said }.into());
            }
            Verdict::NoTest => {
                let (name, filter) = (mutant.name, mutant.filter);
                return Err(MutantsError::NoTest { name, filter }.into());
            }
        };
        let time = format!("{:.1} s", start.elapsed().as_secs_f64());
        say(&format!("{}: {killers} ({time})\n", mutant.name))?;
        rows.push(vec![mutant.name.to_owned(), killers, time]);
    }
    say(&output::table(&["mutant", "killed by", "time"], &rows, output::width()))?;
    if survivors.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let (count, names) = (survivors.len(), survivors.join(", "));
    Err(MutantsError::Survived { count, names }.into())
}

/// The mutant that was named, or all.
fn choose(only: Option<&str>) -> Result<Vec<&'static Mutant>, MutantsError> {
    let chosen: Vec<_> =
        MUTANTS.iter().filter(|mutant| only.is_none_or(|only| mutant.name == only)).collect();
    match only {
        Some(name) if chosen.is_empty() => {
            let known = MUTANTS.iter().map(|mutant| mutant.name).collect::<Vec<_>>().join(", ");
            Err(MutantsError::Unknown { name: name.to_owned(), known })
        }
        _ => Ok(chosen),
    }
}

/// Makes the copy with the error in it and lets the tests judge.
fn judge(mutant: &Mutant, copy: &Path) -> Result<Verdict, MutantsError> {
    let root = workspace::root();
    let present = read(&root.join(CRATE).join(mutant.file))?;
    let changed = mutant.change(&present)?;
    refresh(&root, copy)?;
    write(&copy.join(CRATE).join(mutant.file), &changed)?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(copy).stdin(Stdio::null());
    // Its own: by their names alone cargo cannot tell the copy's crates from ours, and would test one for the other.
    command.env("CARGO_TARGET_DIR", root.join("target/mutants/target"));
    // Most mutants break several tests; a trace of each call would hide which.
    command.env("RUST_BACKTRACE", "0").env("CARGO_TERM_COLOR", "never");
    command.args(["test", "--offline", "--package", "consensus-pbft", "--test", "it", "--"]);
    command.arg(mutant.filter);
    let what = || format!("cannot start cargo in {}", copy.display());
    let ended = command.output().map_err(|cause| MutantsError::Io { what: what(), cause })?;
    let said = String::from_utf8_lossy(&ended.stdout);
    let noted = String::from_utf8_lossy(&ended.stderr);
    Ok(verdict(ended.status.success(), &said, &noted))
}

/// What a run of the tests says of the code.
fn verdict(passed: bool, said: &str, noted: &str) -> Verdict {
    let results = || said.lines().filter(|line| line.starts_with("test result: "));
    if results().next().is_none() {
        let error = noted.lines().find(|line| line.starts_with("error"));
        return Verdict::NoCode(error.unwrap_or("no test ran").to_owned());
    }
    if passed {
        let none = results().all(|line| line.contains(" 0 passed; 0 failed;"));
        return if none { Verdict::NoTest } else { Verdict::Survived };
    }
    let failed = said.lines().filter_map(|line| {
        let test = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
        Some(test.to_owned())
    });
    Verdict::Killed(failed.collect())
}

/// Brings the copy to the present sources. Files that are the same stay untouched, so that cargo builds little again.
fn refresh(root: &Path, copy: &Path) -> Result<(), MutantsError> {
    let manifest = read(&root.join("Cargo.toml"))?;
    let members = SOURCES.map(|path| format!("{path:?}")).join(", ");
    let members = format!("members = [{members}]");
    write(
        &copy.join("Cargo.toml"),
        &manifest.replace(r#"members = ["crates/*", "xtask"]"#, &members),
    )?;
    // The versions are those of the workspace; what only its other crates need is dropped from the lock.
    if !copy.join("Cargo.lock").exists() {
        write(&copy.join("Cargo.lock"), &read(&root.join("Cargo.lock"))?)?;
    }
    for source in SOURCES {
        mirror(&root.join(source), &copy.join(source))?;
    }
    Ok(())
}

fn mirror(from: &Path, to: &Path) -> Result<(), MutantsError> {
    let failed = |path: &Path| {
        let what = path.display().to_string();
        move |cause| MutantsError::Io { what, cause }
    };
    for entry in fs::read_dir(from).map_err(failed(from))? {
        let path = entry.map_err(failed(from))?.path();
        let Some(name) = path.file_name().filter(|name| !FOREIGN.iter().any(|own| name == own))
        else {
            continue;
        };
        let target = to.join(name);
        if path.is_dir() {
            mirror(&path, &target)?;
        } else {
            let bytes = fs::read(&path).map_err(failed(&path))?;
            if fs::read(&target).ok().as_deref() != Some(&bytes) {
                fs::create_dir_all(to).map_err(failed(to))?;
                fs::write(&target, bytes).map_err(failed(&target))?;
            }
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, MutantsError> {
    let what = || format!("cannot read {}", path.display());
    fs::read_to_string(path).map_err(|cause| MutantsError::Io { what: what(), cause })
}

fn write(path: &Path, text: &str) -> Result<(), MutantsError> {
    if fs::read_to_string(path).ok().as_deref() == Some(text) {
        return Ok(());
    }
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    let what = || format!("cannot write {}", path.display());
    made.and_then(|()| fs::write(path, text))
        .map_err(|cause| MutantsError::Io { what: what(), cause })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_mutant_changes_the_present_code_and_has_a_name_of_its_own() {
        let mut names = BTreeSet::new();
        for mutant in &MUTANTS {
            let path = workspace::root().join(CRATE).join(mutant.file);
            let present = read(&path).expect("a source file");
            let changed = mutant.change(&present).unwrap_or_else(|error| panic!("{error}"));
            assert_ne!(changed, present, "{}", mutant.name);
            assert!(names.insert(mutant.name), "{} stands twice", mutant.name);
        }
    }

    #[test]
    fn a_text_that_is_gone_or_stands_twice_is_an_error() {
        let mutant = Mutant { name: "m", file: "src/lib.rs", old: "ab", new: "c", filter: "t" };
        assert_eq!(mutant.change("xaby").expect("once"), "xcy");
        for (text, times) in [("x", 0), ("abab", 2)] {
            let error = mutant.change(text).expect_err("not once");
            assert!(matches!(error, MutantsError::Text { found, .. } if found == times), "{error}");
        }
    }

    #[test]
    fn only_a_failed_test_kills() {
        let result = |passed: u8, failed: u8| {
            format!("test result: x. {passed} passed; {failed} failed; 0 ignored")
        };
        let failed = format!("test a::b ... ok\ntest a::c ... FAILED\n{}", result(1, 1));
        assert_eq!(verdict(false, &failed, ""), Verdict::Killed(vec!["a::c".to_owned()]));
        assert_eq!(verdict(true, &result(2, 0), ""), Verdict::Survived);
        assert_eq!(verdict(true, &result(0, 0), ""), Verdict::NoTest);
        let broken = verdict(false, "", "warning: x\nerror[E0308]: mismatched types\n");
        assert_eq!(broken, Verdict::NoCode("error[E0308]: mismatched types".to_owned()));
    }

    #[test]
    fn mutants_are_chosen_by_name() {
        assert_eq!(choose(None).expect("all").len(), MUTANTS.len());
        let name = MUTANTS[0].name;
        assert_eq!(choose(Some(name)).expect("known").len(), 1);
        let unknown = choose(Some("none")).expect_err("unknown");
        assert!(unknown.to_string().starts_with("no mutant \"none\"; there are: "), "{unknown}");
        assert_eq!(unknown.exit_code(), USAGE);
    }
}
