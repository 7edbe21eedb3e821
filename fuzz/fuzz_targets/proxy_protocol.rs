#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flashgate_fuzz::proxy_protocol(bytes));
