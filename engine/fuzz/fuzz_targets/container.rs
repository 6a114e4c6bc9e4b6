//! What a hostile container can send us: output, its log, its lists of users, counters, what `ps` says of it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| engine::fuzzing::container(bytes));
