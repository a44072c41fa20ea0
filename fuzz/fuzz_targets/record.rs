//! See `src/fuzzing.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| destination_chartmogul::fuzzing::record(input));
