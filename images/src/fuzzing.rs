//! What the fuzz targets check, beyond that nothing panics. Compiled for them only.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use crate::config::ImageConfig;
use crate::platform::Platform;
use crate::reference::Reference;
use crate::registry::{self, Manifest, Named};
use crate::unpack::{self, Limits};

const HEADER_BYTES: usize = 512;

/// What is accepted is written and read again as the same, in full and as people write it.
pub fn reference(text: &str) {
    let Ok(reference) = Reference::parse(text) else { return };
    for written in [reference.to_string(), reference.familiar()] {
        assert_eq!(Reference::parse(&written).ok().as_ref(), Some(&reference), "{text:?} became {written:?}");
    }
}

/// What a registry sends leads to an image or a refusal; a configuration that is accepted is read again as it was written.
pub fn manifest(bytes: &[u8]) {
    let reference = Reference::parse("registry.example/app:1").expect("a reference");
    if let Ok(Named::Image(manifest)) = registry::read(bytes, &reference, &Platform::host()) {
        let layers: Result<Vec<_>, _> =
            manifest.layers().iter().map(|layer| registry::layer_blob(&reference, layer)).collect();
        let received = Manifest::received(&manifest, bytes.to_vec().into());
        assert!(layers.is_err() || received.layers().is_some_and(|known| known.len() == manifest.layers().len()));
    }
    if let Ok(config) = serde_json::from_slice::<ImageConfig>(bytes) {
        let written = serde_json::to_vec(&config).expect("what was read can be written");
        let again: ImageConfig = serde_json::from_slice(&written).expect("what was written can be read");
        assert_eq!(serde_json::to_vec(&again).expect("written again"), written);
    }
}

/// Nothing leaves the layer's directory; a tar that is accepted can be made again, byte for byte.
pub fn layer_tar(bytes: &[u8]) {
    let tar = with_right_checksums(bytes);
    // Not the disk: a fuzzer's files are many.
    let work = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
    let (layer, outside) = (work.path().join("layer"), work.path().join("outside"));
    for dir in [&layer, &outside] {
        fs::create_dir(dir).expect("made");
    }
    fs::write(outside.join("file"), "as it was").expect("written");
    let limits = Limits { entries: 100, size_bytes: 1 << 20 };
    if unpack::unpack(tar.as_slice(), &layer, limits).is_ok() {
        let mut again = Vec::new();
        unpack::tar_of(&layer).and_then(|mut made| made.read_to_end(&mut again)).expect("made again");
        assert!(again == tar, "the tar that is made again differs");
    }
    assert_eq!(names(work.path()), ["layer", "outside"]);
    assert_eq!(names(&outside), ["file"]);
    assert_eq!(fs::read(outside.join("file")).expect("there"), b"as it was");
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A changed byte would end at the header's checksum, and never come to what is behind it.
fn with_right_checksums(bytes: &[u8]) -> Vec<u8> {
    const MAGIC: std::ops::Range<usize> = 257..262;
    const CHECKSUM: std::ops::Range<usize> = 148..156;
    let mut tar = bytes.to_vec();
    for header in tar.chunks_exact_mut(HEADER_BYTES).filter(|header| &header[MAGIC] == b"ustar") {
        header[CHECKSUM].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    tar
}
