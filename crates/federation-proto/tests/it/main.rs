//! Integration tests of the wire vocabulary, through its public API only.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a fixture that cannot be made is a failed test"
)]

mod allocation;
mod codec;
mod conformance;
mod document;
mod domains;
mod draw;
mod envelopes;
mod evidence;
mod fields;
mod fixture;
mod governed;
mod handshake;
mod joining;
mod lists;
mod negotiation;
mod operations;
mod outside;
mod records;
mod roster;
mod sealed;
mod signing;
mod statement;
mod survey;
mod trace;
mod vectors;
mod wire;
mod wire_types;
