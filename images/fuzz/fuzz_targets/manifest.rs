//! Manifests, indexes and configurations as registries may send them.
#![no_main]

libfuzzer_sys::fuzz_target!(|document: &[u8]| images::fuzzing::manifest(document));
