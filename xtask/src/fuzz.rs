//! `fuzz`: every fuzz target in turn, for a while, from a corpus of real encodings.
//!
//! The targets are a workspace of their own (`crates/federation-proto/fuzz`), which needs nightly and cargo-fuzz.
//! Neither is needed for anything else, so they are looked for here and not taken for granted.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use thiserror::Error;

use crate::cli::FuzzArgs;
use crate::failure::{FAILED, Failure, USAGE};
use crate::output;
use crate::workspace;

/// Where the targets lie, from the workspace root.
const FUZZ: &str = "crates/federation-proto/fuzz";

/// Why fuzzing stops.
#[derive(Debug, Error)]
pub(crate) enum FuzzError {
    /// No nightly toolchain, or no rustup that would know one.
    #[error(
        "fuzzing needs the nightly toolchain, which is not here: rustup toolchain install nightly"
    )]
    NoNightly,
    /// No cargo-fuzz.
    #[error("fuzzing needs cargo-fuzz, which is not here: cargo install cargo-fuzz")]
    NoCargoFuzz,
    /// No such target.
    #[error("no fuzz target {name:?}; there are: {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A target found something, or could not be built.
    #[error("`{command}` ended with {status}; a finding lies in {FUZZ}/artifacts")]
    Target {
        /// What ran.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// The targets cannot be listed, or the seeds not be made.
    #[error("`{command}` ended with {status}: {said}")]
    Prepare {
        /// What ran.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// Its last words.
        said: String,
    },
    /// A program cannot be started.
    #[error("cannot start `{command}`: {cause}")]
    Start {
        /// Which.
        command: String,
        /// Why.
        cause: io::Error,
    },
}

impl FuzzError {
    pub(crate) fn exit_code(&self) -> u8 {
        if matches!(self, Self::Unknown { .. }) { USAGE } else { FAILED }
    }
}

pub(crate) fn run(args: &FuzzArgs) -> Result<ExitCode, Failure> {
    let say = |text: &str| output::write(text).map_err(Failure::Output);
    let fuzz = workspace::root().join(FUZZ);
    look_for_tools()?;
    let known = captured(nightly(&["fuzz", "list", "--fuzz-dir"]).arg(&fuzz))?;
    let known: Vec<&str> = known.split_whitespace().collect();
    let chosen = choose(&known, args.target.as_deref())?;
    captured(&mut seeds(&fuzz))?;
    for target in &chosen {
        say(&format!("── {target}: {} s\n", args.seconds))?;
        let mut command = nightly(&["fuzz", "run", "--fuzz-dir"]);
        command.arg(&fuzz).args([target, "--"]).arg(format!("-max_total_time={}", args.seconds));
        check(&mut command)?;
    }
    say(&format!("Nothing found in {}\n", chosen.join(", ")))?;
    Ok(ExitCode::SUCCESS)
}

fn look_for_tools() -> Result<(), FuzzError> {
    let works = |words: &[&str]| {
        let mut command = nightly(words);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !works(&["--version"]) {
        return Err(FuzzError::NoNightly);
    }
    if !works(&["fuzz", "--version"]) {
        return Err(FuzzError::NoCargoFuzz);
    }
    Ok(())
}

/// The target that was named, or all.
fn choose<'t>(known: &[&'t str], named: Option<&str>) -> Result<Vec<&'t str>, FuzzError> {
    let Some(name) = named else { return Ok(known.to_vec()) };
    let found: Vec<&str> = known.iter().copied().filter(|target| *target == name).collect();
    if found.is_empty() {
        let (name, known) = (name.to_owned(), known.join(", "));
        return Err(FuzzError::Unknown { name, known });
    }
    Ok(found)
}

/// Cargo of the nightly toolchain. `$CARGO` is one toolchain's own cargo; only rustup's understands `+nightly`.
fn nightly(words: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(workspace::root()).arg("+nightly").args(words);
    command
}

/// Writes the seed corpus.
fn seeds(fuzz: &Path) -> Command {
    let mut command = nightly(&["run", "--quiet", "--locked", "--example", "seeds"]);
    command.arg("--manifest-path").arg(fuzz.join("Cargo.toml"));
    command.arg("--").arg(fuzz.join("corpus"));
    command
}

/// Runs a command whose output is everybody's to read.
fn check(command: &mut Command) -> Result<(), FuzzError> {
    let shown = shown(command);
    let status =
        command.status().map_err(|cause| FuzzError::Start { command: shown.clone(), cause });
    let status = status?;
    if status.success() { Ok(()) } else { Err(FuzzError::Target { command: shown, status }) }
}

/// Runs a command for what it writes to standard output.
fn captured(command: &mut Command) -> Result<String, FuzzError> {
    let shown = shown(command);
    let ended = command.stdin(Stdio::null()).output();
    let ended = ended.map_err(|cause| FuzzError::Start { command: shown.clone(), cause })?;
    if ended.status.success() {
        return Ok(String::from_utf8_lossy(&ended.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&ended.stderr);
    let said = stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
    Err(FuzzError::Prepare { command: shown, status: ended.status, said: said.to_owned() })
}

/// The command as a person would type it at the workspace root.
fn shown(command: &Command) -> String {
    let root = workspace::root();
    let words = command.get_args().map(|word| {
        let path = PathBuf::from(word);
        path.strip_prefix(&root).unwrap_or(&path).display().to_string()
    });
    std::iter::once("cargo".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_chosen_by_name() {
        let known = ["decode", "frames"];
        assert_eq!(choose(&known, None).expect("all"), known);
        assert_eq!(choose(&known, Some("frames")).expect("known"), ["frames"]);
        let unknown = choose(&known, Some("fr")).expect_err("unknown");
        assert_eq!(unknown.to_string(), "no fuzz target \"fr\"; there are: decode, frames");
        assert_eq!(unknown.exit_code(), USAGE);
    }

    #[test]
    fn commands_are_shown_as_they_are_typed() {
        let command = seeds(&workspace::root().join(FUZZ));
        let expected = "cargo +nightly run --quiet --locked --example seeds --manifest-path \
            crates/federation-proto/fuzz/Cargo.toml -- crates/federation-proto/fuzz/corpus";
        assert_eq!(shown(&command), expected);
    }
}
