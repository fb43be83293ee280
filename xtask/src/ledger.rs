//! `ledger`: a ledger is shown, proved, verified and carried about.
//!
//! ```text
//! artifacts ─▶ run    ─▶ MemoryStore ─┐
//! store file ─▶ RedbStore, read-only ─┴▶ source ─▶ DurableLedger ─▶ show, prove, verify, tiles, cosign
//! genesis, root of trust ─▶ ground ───────▶ who must have signed
//! ```
//!
//! What decides anything is in the `ledger` crate; here are the files and the words.

mod anchor;
mod carry;
mod cosign;
mod error;
mod facts;
mod ground;
mod proof;
mod prove;
mod run;
mod show;
mod source;
mod tiles;
mod verify;

use std::process::ExitCode;

use crate::cli::{LedgerArgs, LedgerCommand};
use crate::failure::Failure;

pub(crate) use error::LedgerError;

pub(crate) fn run(args: &LedgerArgs) -> Result<ExitCode, Failure> {
    match &args.command {
        LedgerCommand::Show(args) => show::run(args)?,
        LedgerCommand::Prove(args) => prove::run(args)?,
        LedgerCommand::Verify(args) => verify::run(args)?,
        LedgerCommand::Anchor(args) => anchor::run(args)?,
        LedgerCommand::Cosign(args) => cosign::run(args)?,
        LedgerCommand::Import(args) => carry::import(args)?,
        LedgerCommand::Export(args) => carry::export(args)?,
        LedgerCommand::Migrate(args) => carry::migrate(args)?,
        LedgerCommand::Tiles(args) => tiles::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}
