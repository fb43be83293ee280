//! `ci`: the test command. Stages in order, each with its time, until the first that fails.

mod stages;

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::cli::CiArgs;
use crate::failure::{FAILED, Failure, USAGE};
use crate::load::LoadError;
use crate::output;
use stages::{STAGES, Stage};

/// Why the test command stops.
#[derive(Debug, Error)]
pub(crate) enum CiError {
    /// No such stage.
    #[error("no stage {name:?}; there are: {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A stage failed.
    #[error("stage {stage} failed after {}: {cause}", seconds(*.time))]
    Stage {
        /// Which.
        stage: &'static str,
        /// When.
        time: Duration,
        /// Why.
        cause: StageError,
    },
}

/// Why a stage fails.
#[derive(Debug, Error)]
pub(crate) enum StageError {
    /// A program says so.
    #[error("`{command}` ended with {status}")]
    Command {
        /// What ran.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// A program cannot be started, or a file not be read or written.
    #[error("{what}: {cause}")]
    Io {
        /// What was tried.
        what: String,
        /// Why.
        cause: io::Error,
    },
    /// A run cannot be read back.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A run's directory has something in it that is no file.
    #[error("{} has more than files in it: {path}", .directory.display())]
    NotFiles {
        /// The directory.
        directory: PathBuf,
        /// What.
        path: String,
    },
    /// Two runs differ that must not.
    #[error("{} and {} differ in {path}", .left.display(), .right.display())]
    Differ {
        /// One run.
        left: PathBuf,
        /// The other.
        right: PathBuf,
        /// First file that differs, or that only one has.
        path: String,
    },
    /// A run has no files.
    #[error("{} holds no run", .0.display())]
    Empty(PathBuf),
    /// A damaged copy was not refused, or not for what was damaged.
    #[error("a copy with a byte flipped in {path} was not refused by that name ({status})")]
    NotRefused {
        /// The damaged file.
        path: String,
        /// How the audit ended.
        status: std::process::ExitStatus,
    },
}

impl CiError {
    pub(crate) fn exit_code(&self) -> u8 {
        if matches!(self, Self::Unknown { .. }) { USAGE } else { FAILED }
    }
}

pub(crate) fn run(args: &CiArgs) -> Result<ExitCode, Failure> {
    let say = |text: &str| output::write(text).map_err(Failure::Output);
    if args.list {
        let lines = STAGES.iter().map(|stage| format!("{:<12} {}\n", stage.name, stage.about));
        say(&lines.collect::<String>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = choose(&args.only)?;
    let begin = Instant::now();
    let mut summary = String::new();
    for stage in chosen {
        say(&format!("── {}: {}\n", stage.name, stage.about))?;
        let start = Instant::now();
        let result = (stage.run)();
        let time = start.elapsed();
        if let Err(cause) = result {
            return Err(CiError::Stage { stage: stage.name, time, cause }.into());
        }
        say(&format!("── {} passed in {}\n", stage.name, seconds(time)))?;
        let _ = writeln!(summary, "{:<12} {:>9}", stage.name, seconds(time));
    }
    say(&format!(
        "\n{summary}{:<12} {:>9}\nAll stages passed\n",
        "total",
        seconds(begin.elapsed())
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// The stages asked for, in the order they always run.
fn choose(only: &[String]) -> Result<Vec<&'static Stage>, CiError> {
    let unknown = only.iter().find(|name| STAGES.iter().all(|stage| stage.name != **name));
    if let Some(name) = unknown {
        let known = STAGES.iter().map(|stage| stage.name).collect::<Vec<_>>().join(", ");
        return Err(CiError::Unknown { name: name.clone(), known });
    }
    let wanted = |stage: &&Stage| only.is_empty() || only.iter().any(|name| name == stage.name);
    Ok(STAGES.iter().filter(wanted).collect())
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_chosen_by_name_in_their_own_order() {
        let names = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
            choose(&only).map(|stages| stages.iter().map(|stage| stage.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["docs", "fmt"]).expect("known"), ["fmt", "docs"]);
        assert_eq!(names(&[]).expect("all").len(), STAGES.len());
        let unknown = names(&["fmt", "polish"]).expect_err("unknown");
        assert!(unknown.to_string().contains("\"polish\"; there are: fmt, clippy"), "{unknown}");
        assert_eq!(unknown.exit_code(), USAGE);
    }
}
