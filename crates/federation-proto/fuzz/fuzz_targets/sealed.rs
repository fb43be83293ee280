//! Any bytes as a sealed payload, and sealed payloads spoilt.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| federation_proto_fuzz::sealed::check(input));
