//! The replica from outside: inputs in, effects out, with oracles that never ask the replica.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod byzantine;
mod certificates;
mod checkpoints;
mod deciding;
mod executing;
mod federation;
mod flips;
mod limits;
mod model;
mod null_requests;
mod ordering;
mod persistence;
mod storm;
mod strict_signatures;
mod toy;
mod view_change;
mod waiting;
mod wire;
mod world;
