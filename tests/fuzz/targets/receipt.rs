//! Target `receipt` of `dancu::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dancu::fuzz::run("receipt", input));
