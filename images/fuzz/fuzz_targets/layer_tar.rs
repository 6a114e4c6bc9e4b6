//! Layers as strangers pack them: nothing leaves the layer's directory, and what is accepted can be packed again.
#![no_main]

libfuzzer_sys::fuzz_target!(|tar: &[u8]| images::fuzzing::layer_tar(tar));
