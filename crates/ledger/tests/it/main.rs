//! The ledger from outside: stores, durability, recovery.
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made is a failed test")]

mod contract;
mod durable;
mod faults;
mod fixture;
mod history;
mod migration;
mod recovery;
mod retention;
mod stores;
mod transfer;
