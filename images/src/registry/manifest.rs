//! The documents that lead to an image's configuration and layers: read as a registry sends them, and written for one.

use bytes::Bytes;
use oci_spec::image::{ImageIndex, ImageManifest, MediaType};
use serde::{Deserialize, Serialize};

use super::RegistryError;
use crate::compression::Compression;
use crate::digest::{Digest, ImageId};
use crate::index::{self, NoPlatform};
use crate::platform::Platform;
use crate::reference::Reference;

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

/// What a document from a registry leads to.
pub(crate) enum Named {
    Image(Box<ImageManifest>),
    /// It is an index, and this is the document for the platform.
    Elsewhere(Digest),
}

/// The members by which documents of different kinds are told apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    media_type: Option<MediaType>,
    schema_version: Option<u32>,
    manifests: Option<serde::de::IgnoredAny>,
}

/// Reads a manifest or an index.
pub(crate) fn read(document: &[u8], reference: &Reference, platform: &Platform) -> Result<Named, RegistryError> {
    let kind: Kind = parse("manifest", reference, document)?;
    if kind.schema_version == Some(1) {
        let kind = "a manifest of Docker's schema 1, long out of use".to_owned();
        return Err(RegistryError::Kind { reference: reference.familiar(), kind });
    }
    let is_index = kind.media_type.as_ref().map_or(kind.manifests.is_some(), index::is_index);
    if !is_index {
        return parse("manifest", reference, document).map(Box::new).map(Named::Image);
    }
    let index: ImageIndex = parse("index", reference, document)?;
    let descriptors: Vec<&oci_spec::image::Descriptor> = index.manifests().iter().collect();
    let no_platform =
        |offered| RegistryError::NoPlatform { reference: reference.familiar(), wanted: platform.clone(), offered };
    let chosen = index::choose(&descriptors, platform).map_err(|NoPlatform { offered }| no_platform(offered))?;
    let chosen = chosen.first().ok_or_else(|| no_platform("none".to_owned()))?;
    Ok(Named::Elsewhere(chosen.digest().to_string().parse()?))
}

/// The blob of a layer that a manifest names.
pub(crate) fn layer_blob(
    reference: &Reference,
    descriptor: &oci_spec::image::Descriptor,
) -> Result<LayerBlob, RegistryError> {
    if descriptor.urls().as_ref().is_some_and(|urls| !urls.is_empty()) {
        let kind = "an image with layers that are kept elsewhere".to_owned();
        return Err(RegistryError::Kind { reference: reference.familiar(), kind });
    }
    Ok(LayerBlob {
        digest: descriptor.digest().to_string().parse()?,
        size_bytes: descriptor.size(),
        compression: Compression::of_media_type(descriptor.media_type().as_ref()),
    })
}

/// One of an image's documents.
pub(super) fn parse<'a, T: Deserialize<'a>>(
    what: &'static str,
    reference: &Reference,
    document: &'a [u8],
) -> Result<T, RegistryError> {
    serde_json::from_slice(document).map_err(|source| RegistryError::Document {
        what,
        reference: reference.familiar(),
        source,
    })
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
