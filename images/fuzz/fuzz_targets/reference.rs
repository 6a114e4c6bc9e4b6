//! References as people type them: whatever is accepted is written and read again as the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| images::fuzzing::reference(text));
