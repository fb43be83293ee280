//! Command line of the workspace: `simulate`, `compliance`, `ledger`, `key`, `bench`, `soak`, `fuzz`,
//! `mutants` and `ci`.
//!
//! ```text
//! cli ─▶ simulate   ─▶ simulator::FederationSimulator ─▶ publish   (stage, sync, swap)
//!     ─▶ compliance ─▶ load (read-only, bounded)      ─▶ governance::audit
//!     ─▶ ledger     ─▶ load, or a store ─▶ ledger::DurableLedger (show, prove, verify, carry about)
//!     ─▶ key        ─▶ key_store                      (create, show, rotate)
//!     ─▶ bench      ─▶ one table, one JSON object a line
//!     ─▶ soak       ─▶ ledger::faults, seed after seed
//!     ─▶ fuzz       ─▶ the fuzz targets in turn, with nightly
//!     ─▶ mutants    ─▶ errors in a copy of the consensus core, which its tests must find
//!     ─▶ ci         ─▶ the stages of the test command
//! ```
//!
//! Thin by design: what decides anything lives in the libraries. Here are the disk, the terminal, the wall
//! clock and the exit status.
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

mod bench;
mod ci;
mod cli;
mod compliance;
mod failure;
mod files;
mod fuzz;
mod interrupt;
mod key;
mod ledger;
mod load;
mod mutants;
mod output;
mod publish;
mod simulate;
mod soak;
mod trust;
mod usage;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};
use failure::{Failure, USAGE};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(stop) if usage::is_help(&stop) => {
            // Whoever closed the pipe has seen enough of it.
            let _ = stop.print();
            return if stop.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
        Err(stop) => {
            output::note(&usage::message(&stop, &arguments));
            return ExitCode::from(USAGE);
        }
    };
    run(&cli.command).unwrap_or_else(|failure| {
        output::note(&format!("error: {}", one_line(&failure.to_string())));
        failure.exit_code()
    })
}

fn run(command: &Command) -> Result<ExitCode, Failure> {
    interrupt::install()?;
    match command {
        Command::Simulate(args) => simulate::run(args),
        Command::Compliance(args) => compliance::run(args),
        Command::Ledger(args) => ledger::run(args),
        Command::Key(args) => key::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Soak(args) => soak::run(args),
        Command::Fuzz(args) => fuzz::run(args),
        Command::Mutants(args) => mutants::run(args),
        Command::Ci(args) => ci::run(args),
    }
}

/// Causes come from parsers and the system; a message stays on its line whatever they say.
fn one_line(text: &str) -> String {
    text.split(['\n', '\r'])
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}
