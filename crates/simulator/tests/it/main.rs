//! Whole federations, run small.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod attacks;
mod determinism;
mod faults;
mod privacy;
mod small;
mod views;
