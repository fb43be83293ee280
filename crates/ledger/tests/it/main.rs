//! What other programs make of our files: openssl, and an auditor that shares no code with us.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod auditor;
mod openssl;
mod page;
mod world;
