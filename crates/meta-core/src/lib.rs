//! Evolving a shared genome: local cycles, alignment, exact robust aggregation.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod aggregation;
pub mod alignment;
pub mod delta;
#[cfg(test)]
mod fixture;
pub mod genome;
pub mod meta;
pub mod meta_state;
pub mod optimizer;
pub mod rng;
mod rounding;
pub mod workload;
