#![no_main]

#[path = "../harness.rs"]
#[allow(dead_code, reason = "each target uses one harness of the four")]
mod harness;

libfuzzer_sys::fuzz_target!(|data: &[u8]| harness::token(data));
