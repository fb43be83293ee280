//! The laws that the fuzz targets demand of any input. A broken law panics, which is what libFuzzer looks for.
//!
//! One module a target; the target itself only calls it.
#![forbid(unsafe_code)]

pub mod decode;
pub mod frames;
pub mod replay_window;
