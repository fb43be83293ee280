//! Whole federations, run small.

mod determinism;
mod faults;
mod privacy;
mod small;
