//! The ledger from outside: stores, durability, recovery.

mod contract;
mod durable;
mod faults;
mod fixture;
mod history;
mod migration;
mod recovery;
mod retention;
mod stores;
