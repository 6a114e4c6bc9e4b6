//! From a reference to an image's documents: the manifest for a platform, the configuration, and where its layers are.

use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use oci_spec::image::{Descriptor, ImageManifest};
use tokio_util::sync::CancellationToken;

use super::blob::BlobReader;
use super::endpoint::{Document, Endpoint};
use super::manifest::{self, LayerBlob, Manifest, Named, parse};
use super::{Credentials, Registries, RegistryError, first_answer};
use crate::compression::Compression;
use crate::config::{DOCUMENT_BYTES_MAX, ImageConfig};
use crate::digest::{Digest, ImageId};
use crate::index;
use crate::platform::Platform;
use crate::reference::Reference;

/// What Docker and OCI call an image's configuration; other artifacts have manifests too.
const CONFIG_TYPES: [&str; 2] =
    ["application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json"];

/// An image at a registry: its documents, checked.
pub(crate) struct RemoteImage {
    pub(crate) id: ImageId,
    /// What the reference names: a manifest, or an index for several platforms.
    pub(crate) digest: Digest,
    pub(crate) document: Vec<u8>,
    pub(crate) config: ImageConfig,
    /// The platform's own, also where the reference names an index.
    pub(crate) manifest: Manifest,
    /// Lowest first, as many as the configuration names.
    pub(crate) layers: Vec<RemoteLayer>,
}

/// A layer at a registry.
pub(crate) struct RemoteLayer {
    endpoint: Arc<Endpoint>,
    pub(crate) blob: Digest,
    pub(crate) size_bytes: u64,
    pub(crate) compression: Compression,
}

impl RemoteLayer {
    pub(crate) fn blob(&self) -> LayerBlob {
        LayerBlob { digest: self.blob, size_bytes: self.size_bytes, compression: self.compression }
    }

    /// Reads it from its beginning, compressed as it is.
    pub(crate) fn open(&self) -> BlobReader {
        BlobReader::new(self.endpoint.clone(), self.blob, self.size_bytes)
    }
}

impl Registries {
    /// The tags of a reference's repository.
    ///
    /// # Errors
    /// The registry doesn't know the repository, or can't be talked to.
    pub fn tags(
        &self,
        reference: &Reference,
        credentials: &Credentials,
        called_off: &CancellationToken,
    ) -> Result<Vec<String>, RegistryError> {
        let answer = first_answer(self.endpoints(reference, credentials, called_off), |endpoint| endpoint.tags());
        answer.map_err(|error| in_words_of_the_image(error, reference))
    }

    /// Finds the image that a reference means on a platform.
    pub(crate) fn find(
        &self,
        reference: &Reference,
        platform: &Platform,
        credentials: &Credentials,
        called_off: &CancellationToken,
    ) -> Result<RemoteImage, RegistryError> {
        let endpoints = self.endpoints(reference, credentials, called_off);
        first_answer(endpoints, |endpoint| find_at(endpoint, reference, platform))
            .map_err(|error| in_words_of_the_image(error, reference))
    }
}

/// What the registry said of a document, said of the image.
fn in_words_of_the_image(error: RegistryError, reference: &Reference) -> RegistryError {
    match error {
        // Docker Hub says "unauthorized" of what doesn't exist, so as not to tell.
        RegistryError::Refused { status: 401 | 403, .. } | RegistryError::NoCredentials => {
            RegistryError::Denied { repository: reference.familiar_name() }
        }
        RegistryError::Refused { status: 404, .. } => RegistryError::NotFound { reference: reference.familiar() },
        other => other,
    }
}

fn find_at(endpoint: &Arc<Endpoint>, reference: &Reference, platform: &Platform) -> Result<RemoteImage, RegistryError> {
    let named = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => endpoint.manifest_of_digest(digest)?,
        (None, tag) => endpoint.manifest_of_tag(tag.unwrap_or("latest"))?,
    };
    let digest = named.digest;
    let (manifest, bytes) = choose_manifest(endpoint, reference, platform, named)?;
    let (id, document, config) = config(endpoint, reference, manifest.config())?;
    let built_for = config.platform();
    // Older tools leave it out.
    if !config.architecture.is_empty() && !built_for.runs_on(platform) {
        let (wanted, offered) = (platform.clone(), built_for.to_string());
        return Err(RegistryError::NoPlatform { reference: reference.familiar(), wanted, offered });
    }
    let layers = manifest.layers().iter().map(|layer| {
        let LayerBlob { digest, size_bytes, compression } = manifest::layer_blob(reference, layer)?;
        Ok(RemoteLayer { endpoint: endpoint.clone(), blob: digest, size_bytes, compression })
    });
    let layers = layers.collect::<Result<Vec<_>, RegistryError>>()?;
    if layers.len() != config.rootfs.diff_ids.len() {
        return Err(RegistryError::LayerCount {
            reference: reference.familiar(),
            layers: layers.len(),
            diff_ids: config.rootfs.diff_ids.len(),
        });
    }
    let manifest = Manifest::received(&manifest, bytes);
    Ok(RemoteImage { id, digest, document, config, manifest, layers })
}

/// Follows indexes to the manifest for the platform.
fn choose_manifest(
    endpoint: &Endpoint,
    reference: &Reference,
    platform: &Platform,
    mut document: Document,
) -> Result<(ImageManifest, Bytes), RegistryError> {
    for _ in 0..=index::NESTING_MAX {
        match manifest::read(&document.bytes, reference, platform)? {
            Named::Image(manifest) => return Ok((*manifest, document.bytes)),
            Named::Elsewhere(digest) => document = endpoint.manifest_of_digest(digest)?,
        }
    }
    Err(RegistryError::TooDeep { reference: reference.familiar() })
}

fn config(
    endpoint: &Arc<Endpoint>,
    reference: &Reference,
    descriptor: &Descriptor,
) -> Result<(ImageId, Vec<u8>, ImageConfig), RegistryError> {
    let media_type = descriptor.media_type().to_string();
    if !CONFIG_TYPES.contains(&media_type.as_str()) {
        let kind = format!("an artifact of type {media_type:?}");
        return Err(RegistryError::Kind { reference: reference.familiar(), kind });
    }
    let digest: Digest = descriptor.digest().to_string().parse()?;
    let size_bytes = descriptor.size();
    if size_bytes > DOCUMENT_BYTES_MAX {
        return Err(RegistryError::TooLong { blob: digest, expected_bytes: DOCUMENT_BYTES_MAX });
    }
    let mut reader = BlobReader::new(endpoint.clone(), digest, size_bytes);
    let mut document = Vec::new();
    if let Err(error) = reader.read_to_end(&mut document) {
        return Err(reader.take_failure().unwrap_or_else(|| RegistryError::Connection {
            place: endpoint.place().to_string(),
            passing: false,
            source: Box::new(error),
        }));
    }
    let config: ImageConfig = parse("configuration", reference, &document)?;
    Ok((ImageId(digest), document, config))
}
