//! Laws of the repository that no compiler checks: layers, tidiness, and the trace from the RFC to tests.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a law that cannot be read is a failed test"
)]

mod cli;
mod clippy_bans;
mod faults;
mod gates;
mod key;
mod layers;
mod ledger;
mod ledger_files;
mod ledger_witness;
mod readme;
mod rfc_trace;
mod soak;
mod tidy;
mod tree;
