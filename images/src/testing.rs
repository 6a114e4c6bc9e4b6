//! For tests, ours and those of who stands on us (by the feature `testing`, which no program has): tars with any content that
//! bytes can say, image archives made of them, and processes that end between any two steps.

mod ends;

use std::io::Read as _;
use std::path::Path;

use serde_json::json;
use tar::{EntryType, Header};

use crate::digest::{ChainId, DiffId, Digest};
use crate::unpack;

pub use ends::{Operation, between_steps, wherever_it_ends};

/// A tar in the making. Unlike the `tar` crate's builder it writes whatever it is told.
#[derive(Clone, Default)]
pub struct Tar(Vec<u8>);

impl Tar {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A directory with these permissions.
    pub fn dir(self, path: &str, mode: u32) -> Self {
        self.member(path, EntryType::Directory, |header| header.set_mode(mode), &[])
    }

    /// A file of root's.
    pub fn file(self, path: &str, content: &str) -> Self {
        self.member(path, EntryType::Regular, |_| (), content.as_bytes())
    }

    /// A symbolic link.
    pub fn symlink(self, path: &str, target: &str) -> Self {
        let target = target.to_owned();
        self.member(path, EntryType::Symlink, |header| set_link(header, &target), &[])
    }

    /// One more name of a file.
    pub fn hard_link(self, path: &str, target: &str) -> Self {
        let target = target.to_owned();
        self.member(path, EntryType::Link, |header| set_link(header, &target), &[])
    }

    /// A device, of whichever kind.
    pub fn device(self, path: &str, kind: EntryType, major: u32, minor: u32) -> Self {
        let set = |header: &mut Header| {
            header.set_device_major(major).expect("a ustar header");
            header.set_device_minor(minor).expect("a ustar header");
        };
        self.member(path, kind, set, &[])
    }

    /// PAX records for the member that follows.
    pub fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut content = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + rest.to_string().len();
            if length.to_string().len() > rest.to_string().len() {
                length += 1;
            }
            content.extend_from_slice(format!("{length} {key}=").as_bytes());
            content.extend_from_slice(value);
            content.push(b'\n');
        }
        self.member("pax", EntryType::XHeader, |_| (), &content)
    }

    /// Any member; `set` can change the header before its checksum is made.
    pub fn member(mut self, path: &str, kind: EntryType, set: impl FnOnce(&mut Header), content: &[u8]) -> Self {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.set_size(content.len() as u64);
        set(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// Bytes as they are.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// With the end that a tar has.
    pub fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    /// As it is, without an end.
    pub fn unfinished(self) -> Vec<u8> {
        self.0
    }
}

fn set_link(header: &mut Header, target: &str) {
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
}

/// An image for an archive.
#[derive(Clone)]
pub struct TestImage {
    /// What it is called.
    pub names: Vec<&'static str>,
    /// Uncompressed tars, lowest first.
    pub layers: Vec<Vec<u8>>,
    /// As Go names it.
    pub architecture: &'static str,
}

impl TestImage {
    /// An image for amd64.
    pub fn new(name: &'static str, layers: Vec<Vec<u8>>) -> Self {
        Self { names: vec![name], layers, architecture: "amd64" }
    }

    /// Its configuration document.
    pub fn config(&self) -> Vec<u8> {
        let diff_ids: Vec<DiffId> = self.layers.iter().map(|layer| DiffId(Digest::of(layer))).collect();
        let steps = self.layers.iter().enumerate();
        let history: Vec<_> = steps.map(|(at, _)| json!({"created_by": format!("step {at}")})).collect();
        let document = json!({
            "architecture": self.architecture,
            "os": "linux",
            "config": {"Cmd": ["/bin/sh"], "Env": null},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": history,
        });
        serde_json::to_vec(&document).expect("plain JSON")
    }
}

/// A docker-archive with `manifest.json` at the end, where it is inconvenient.
pub fn docker_archive<'a>(images: impl IntoIterator<Item = &'a TestImage>) -> Vec<u8> {
    let mut tar = Tar::new();
    let mut items = Vec::new();
    for image in images {
        let config = image.config();
        let config_name = format!("{}.json", Digest::of(&config).hex());
        let mut layers = Vec::new();
        for layer in &image.layers {
            let name = format!("{}.tar", Digest::of(layer).hex());
            tar = tar.member(&name, EntryType::Regular, |_| (), layer);
            layers.push(name);
        }
        tar = tar.member(&config_name, EntryType::Regular, |_| (), &config);
        items.push(json!({"Config": config_name, "RepoTags": image.names, "Layers": layers}));
    }
    tar.file("manifest.json", &json!(items).to_string()).finish()
}

/// An oci-archive whose layers are compressed as `compress` does.
pub fn oci_archive<'a>(
    images: impl IntoIterator<Item = &'a TestImage>,
    compress: impl Fn(&[u8]) -> Vec<u8>,
) -> Vec<u8> {
    let mut tar = Tar::new().file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    let mut add = |content: &[u8], media_type: &str| {
        let digest = Digest::of(content);
        let name = format!("blobs/sha256/{}", digest.hex());
        let builder = std::mem::take(&mut tar);
        tar = builder.member(&name, EntryType::Regular, |_| (), content);
        json!({"mediaType": media_type, "digest": digest, "size": content.len()})
    };
    let mut manifests = Vec::new();
    for image in images {
        let layers: Vec<_> = image
            .layers
            .iter()
            .map(|layer| add(&compress(layer), "application/vnd.oci.image.layer.v1.tar+gzip"))
            .collect();
        let config = add(&image.config(), "application/vnd.oci.image.config.v1+json");
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        let manifest = manifest.to_string();
        let mut descriptor = add(manifest.as_bytes(), "application/vnd.oci.image.manifest.v1+json");
        descriptor["platform"] = json!({"os": "linux", "architecture": image.architecture});
        descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": image.names[0]});
        manifests.push(descriptor);
    }
    let index = json!({"schemaVersion": 2, "manifests": manifests});
    tar.file("index.json", &index.to_string()).finish()
}

/// Compressed with gzip.
pub fn gzip(content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).expect("writing memory");
    encoder.finish().expect("writing memory")
}

/// Compressed with zstd.
pub fn zstd(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 1).expect("writing memory")
}

/// The tar of a layer with one file.
pub fn layer(path: &str, content: &str) -> Vec<u8> {
    Tar::new().file(path, content).finish()
}

/// Two images on one lower layer.
pub fn siblings() -> (TestImage, TestImage) {
    let base = layer("etc/base", "base");
    (
        TestImage::new("one:1", vec![base.clone(), layer("one", "1")]),
        TestImage::new("two:2", vec![base, layer("two", "2")]),
    )
}

/// The tar of a layer in the store below `root`, made again.
pub fn layer_tar(root: &Path, layer: &ChainId) -> Vec<u8> {
    let mut tar = Vec::new();
    let dir = root.join("layers").join(layer.0.hex());
    unpack::tar_of(&dir).and_then(|mut made| made.read_to_end(&mut tar)).expect("a layer and its tar-split data");
    tar
}
