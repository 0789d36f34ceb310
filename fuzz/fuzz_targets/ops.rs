#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| slipring_fuzz::ops(bytes));
