//! The document that names an image's configuration and layers.

use bytes::Bytes;
use oci_spec::image::ImageManifest;
use serde::Serialize;

use crate::compression::Compression;
use crate::digest::{Digest, ImageId};

const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

/// A manifest as it is at a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) media_type: String,
    pub(crate) document: Bytes,
}

/// A layer's blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LayerBlob {
    pub(crate) digest: Digest,
    pub(crate) size_bytes: u64,
    pub(crate) compression: Compression,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    media_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: &'static str,
    size: u64,
    digest: Digest,
}

impl Manifest {
    /// A manifest of these. It is one of Docker's, which every registry takes and which no reader of configurations takes
    /// for less than they are, unless a layer is compressed in a way that only OCI has a name for.
    pub(crate) fn new(id: ImageId, document: &[u8], layers: &[LayerBlob]) -> Self {
        let is_oci = layers.iter().any(|layer| layer.compression == Compression::Zstd);
        let layer_type = |compression| match (is_oci, compression) {
            (false, Compression::None) => "application/vnd.docker.image.rootfs.diff.tar",
            (false, _) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            (true, Compression::None) => "application/vnd.oci.image.layer.v1.tar",
            (true, Compression::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
            (true, Compression::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
        };
        let config_type = match is_oci {
            true => "application/vnd.oci.image.config.v1+json",
            false => "application/vnd.docker.container.image.v1+json",
        };
        let media_type = if is_oci { OCI } else { DOCKER };
        let describe = |layer: &LayerBlob| Descriptor {
            media_type: layer_type(layer.compression),
            size: layer.size_bytes,
            digest: layer.digest,
        };
        let manifest = Document {
            schema_version: 2,
            media_type,
            config: Descriptor { media_type: config_type, size: document.len() as u64, digest: id.0 },
            layers: layers.iter().map(describe).collect(),
        };
        let document = serde_json::to_vec(&manifest).expect("strings and numbers have JSON forms");
        Self { media_type: media_type.to_owned(), document: document.into() }
    }

    /// A manifest as a registry sent it.
    pub(crate) fn received(manifest: &ImageManifest, document: Bytes) -> Self {
        let media_type = manifest.media_type().as_ref().map_or(OCI.to_owned(), ToString::to_string);
        Self { media_type, document }
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.document)
    }

    /// The layers that it names, lowest first; nothing if it can't be understood.
    pub(crate) fn layers(&self) -> Option<Vec<Digest>> {
        let manifest: ImageManifest = serde_json::from_slice(&self.document).ok()?;
        manifest.layers().iter().map(|layer| layer.digest().to_string().parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_form_unless_only_oci_has_a_word_for_it() {
        let layer =
            |text: &str, compression| LayerBlob { digest: Digest::of(text.as_bytes()), size_bytes: 7, compression };
        let types = |layers: &[LayerBlob]| {
            let manifest = Manifest::new(ImageId(Digest::of(b"{}")), b"{}", layers);
            let document: serde_json::Value = serde_json::from_slice(&manifest.document).expect("JSON");
            assert_eq!(document["mediaType"], manifest.media_type.as_str());
            assert_eq!(document["config"]["size"], 2);
            assert_eq!(manifest.layers().expect("layers").len(), layers.len());
            let of = |value: &serde_json::Value| value["mediaType"].as_str().expect("a type").to_owned();
            document["layers"].as_array().expect("a list").iter().map(of).collect::<Vec<_>>()
        };
        let (plain, gzip, zstd) =
            (layer("a", Compression::None), layer("b", Compression::Gzip), layer("c", Compression::Zstd));
        assert_eq!(
            types(&[plain, gzip]),
            ["application/vnd.docker.image.rootfs.diff.tar", "application/vnd.docker.image.rootfs.diff.tar.gzip"]
        );
        let oci =
            ["", "+gzip", "+zstd"].map(|compression| format!("application/vnd.oci.image.layer.v1.tar{compression}"));
        assert_eq!(types(&[plain, gzip, zstd]), oci);
    }
}
