//! The replica from outside: inputs in, effects out, with oracles that never ask the replica.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod authority;
mod byzantine;
mod byzzfuzz;
mod certificates;
mod checkpoints;
mod deciding;
mod executing;
mod federation;
mod flips;
mod forensics;
mod limits;
mod liveness;
mod model;
mod null_requests;
mod ordering;
mod persistence;
mod pipelining;
mod reconfiguration;
mod reconfiguration_storm;
mod replies;
mod seeds;
mod sim;
mod storm;
mod strict_signatures;
mod terms;
mod toy;
mod twins;
mod two_decisions;
mod two_ways;
mod view_change;
mod waiting;
mod wire;
mod world;
