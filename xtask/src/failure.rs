//! Why a command ends badly, and the exit status that says so to a script.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use governance::trust::TrustError;
use meta_core::genome::SchemaError;
use simulator::SimulationError;
use simulator::scenario::ScenarioError;
use thiserror::Error;

use crate::bench::BenchError;
use crate::ci::CiError;
use crate::fuzz::FuzzError;
use crate::key::KeyError;
use crate::ledger::LedgerError;
use crate::load::LoadError;
use crate::mutants::MutantsError;
use crate::publish::PublishError;
use crate::soak::SoakError;

/// A run or a stage failed; of compliance, the artifacts do.
pub(crate) const FAILED: u8 = 1;
/// The command line or a file named on it is unusable.
pub(crate) const USAGE: u8 = 2;
/// The verifier's own inputs or this machine leave the question open.
pub(crate) const CANNOT_DECIDE: u8 = governance::audit::CANNOT_DECIDE;

/// What went wrong, in one line.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// No such scenario, or one that the arguments make impossible.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A scenario file is refused.
    #[error("{path}: {cause}")]
    ScenarioFile {
        /// The file.
        path: PathBuf,
        /// Why, with line and field.
        cause: ScenarioError,
    },
    /// A file named on the command line or in a scenario cannot be read.
    #[error("cannot read {path}: {reason}")]
    Input {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A well-formed scenario asks for what cannot be built.
    #[error("scenario {scenario}: {cause}")]
    Workloads {
        /// The scenario, as it was named.
        scenario: String,
        /// Why.
        cause: simulator::scenario::WorkloadsError,
    },
    /// There is nothing to audit.
    #[error("no run to audit: {path} {reason}; `cargo xtask simulate` makes one")]
    NoArtifacts {
        /// The path that was given.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The run stopped.
    #[error("the simulation failed: {0}")]
    Simulation(#[from] SimulationError),
    /// The run cannot be written.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The audit has nothing to rest on.
    #[error("cannot decide: {0}")]
    Trust(#[from] TrustError),
    /// The file with the root of trust is unreadable.
    #[error("cannot decide: root of trust {path}: {reason}")]
    TrustFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// This build's own genome schema is refused.
    #[error("cannot decide: {0}")]
    Schema(#[from] SchemaError),
    /// This machine does not show the artifacts.
    #[error("cannot decide: {0}")]
    Load(#[from] LoadError),
    /// The report could not be shown, so nobody knows the verdict.
    #[error("cannot decide: cannot write the report: {0}")]
    ReportOutput(io::Error),
    /// The result could not be shown.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    /// A key file is unusable or cannot be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A ledger does not hold what it should, or cannot be read or written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A fault was answered wrongly.
    #[error(transparent)]
    Soak(#[from] SoakError),
    /// A measurement failed.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// A fuzz target found something, or could not run.
    #[error(transparent)]
    Fuzz(#[from] FuzzError),
    /// A mutant of the consensus core survived, or could not be judged.
    #[error(transparent)]
    Mutants(#[from] MutantsError),
    /// A stage of the test command failed.
    #[error(transparent)]
    Ci(#[from] CiError),
    /// The worker threads cannot be started.
    #[error("cannot start {threads} threads: {cause}")]
    Threads {
        /// Threads asked for.
        threads: u16,
        /// Why.
        cause: rayon::ThreadPoolBuildError,
    },
    /// No handler for Ctrl-C.
    #[error("cannot handle Ctrl-C: {0}")]
    Interrupt(#[from] ctrlc::Error),
}

impl Failure {
    /// The exit status.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Scenario(_) | Self::ScenarioFile { .. } | Self::Input { .. } => USAGE,
            Self::Workloads { .. } | Self::Simulation(SimulationError::Workloads(_)) => USAGE,
            Self::Publish(PublishError::Unsuitable { .. } | PublishError::ForeignStaging(_)) => {
                USAGE
            }
            Self::Key(cause) => cause.exit_code(),
            Self::Ledger(cause) => cause.exit_code(),
            Self::Bench(cause) => cause.exit_code(),
            Self::Fuzz(cause) => cause.exit_code(),
            Self::Mutants(cause) => cause.exit_code(),
            Self::Ci(cause) => cause.exit_code(),
            Self::Trust(_)
            | Self::TrustFile { .. }
            | Self::Schema(_)
            | Self::Load(_)
            | Self::ReportOutput(_) => CANNOT_DECIDE,
            Self::NoArtifacts { .. }
            | Self::Simulation(_)
            | Self::Publish(_)
            | Self::Output(_)
            | Self::Soak(_)
            | Self::Threads { .. }
            | Self::Interrupt(_) => FAILED,
        })
    }
}
