//! Any operations on a replay window.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| federation_proto_fuzz::replay_window::check(input));
