//! The laws that the fuzz targets demand of any input. A broken law panics, which is what libFuzzer looks for.
//!
//! One module a target; the target itself only calls it.
#![forbid(unsafe_code)]

pub mod decode;
pub mod frames;
pub mod handshake;
pub mod key_file;
pub mod replay_window;
pub mod sealed;
