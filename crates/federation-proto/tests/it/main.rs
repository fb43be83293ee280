//! Integration tests of the wire vocabulary, through its public API only.
#![expect(clippy::expect_used, reason = "a fixture that cannot be made is a failed test")]

mod codec;
mod fixture;
mod handshake;
mod joining;
mod negotiation;
mod roster;
mod samples;
mod sealed;
mod signing;
mod statement;
mod wire;
