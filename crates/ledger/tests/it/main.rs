//! The ledger from outside: stores, durability, recovery, and what other programs make of our files.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a fixture that cannot be made is a failed test"
)]

mod auditor;
mod contract;
mod divergence;
mod durable;
mod faults;
mod fixture;
mod flaky;
mod history;
mod hostile;
mod memory;
mod migration;
mod openssl;
mod page;
mod records;
mod recovery;
mod retention;
mod stores;
mod transfer;
mod world;
