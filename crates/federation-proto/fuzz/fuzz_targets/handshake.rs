//! Programs of handshake operations.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| federation_proto_fuzz::handshake::check(input));
