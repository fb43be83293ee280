//! Any bytes as any canonical type.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| federation_proto_fuzz::decode::check(input));
