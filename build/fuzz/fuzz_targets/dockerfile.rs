//! Dockerfiles of any kind: a refusal names a line that is there.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| build::fuzzing::dockerfile(text));
