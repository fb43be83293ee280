//! Integration tests of the ledger, through its public API only.

mod memory;
