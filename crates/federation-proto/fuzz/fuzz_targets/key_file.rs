//! Any bytes as a key file.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| federation_proto_fuzz::key_file::check(input));
