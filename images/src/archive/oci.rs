//! oci-archive: a tar of an OCI image layout (`skopeo copy … oci-archive:`, `buildah push`, `podman save`).

use std::collections::HashMap;

use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};

use super::{ArchiveError, ArchivedImage, Spool, parse};
use crate::digest::Digest;
use crate::index::{self, NoPlatform};
use crate::platform::Platform;
use crate::reference::Reference;

pub(super) const INDEX: &str = "index.json";

/// The whole name, as containerd and newer Dockers write it.
pub(super) const FULL_NAME: &str = "io.containerd.image.name";
/// A tag according to the specification; a whole name or a repository from most tools.
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";

pub(super) fn read<'a>(spool: &'a Spool, platform: &Platform) -> Result<Vec<ArchivedImage<'a>>, ArchiveError> {
    let document = spool.document(INDEX, spool.blob(INDEX)?)?;
    let index: ImageIndex = parse(INDEX, &document)?;
    let mut images: Vec<ArchivedImage<'a>> = Vec::new();
    for (name, descriptors) in by_name(index.manifests()) {
        let references: Vec<Reference> = name.and_then(reference).into_iter().collect();
        for descriptor in choose(&descriptors, platform)? {
            let manifest = manifest(spool, descriptor, platform, 0)?;
            let image = image(spool, &manifest, references.clone())?;
            // The same image under several names.
            match images.iter_mut().find(|other| other.id == image.id) {
                Some(other) => other.references.extend(image.references),
                None => images.push(image),
            }
        }
    }
    Ok(images)
}

/// Descriptors grouped by the name that they bear, in the order of the index.
fn by_name(descriptors: &[Descriptor]) -> Vec<(Option<&str>, Vec<&Descriptor>)> {
    let mut groups: Vec<(Option<&str>, Vec<&Descriptor>)> = Vec::new();
    for descriptor in descriptors {
        let annotation = |key| annotations(descriptor)?.get(key).map(String::as_str);
        let name = annotation(FULL_NAME).or(annotation(REF_NAME));
        match groups.iter_mut().find(|(other, _)| *other == name) {
            Some((_, group)) => group.push(descriptor),
            None => groups.push((name, vec![descriptor])),
        }
    }
    groups
}

fn annotations(descriptor: &Descriptor) -> Option<&HashMap<String, String>> {
    descriptor.annotations().as_ref()
}

/// Of images that only differ in their platform, the one for this machine; of others, all.
fn choose<'d>(descriptors: &[&'d Descriptor], platform: &Platform) -> Result<Vec<&'d Descriptor>, ArchiveError> {
    index::choose(descriptors, platform)
        .map_err(|NoPlatform { offered }| ArchiveError::NoPlatform { wanted: platform.clone(), offered })
}

/// The manifest that a descriptor leads to, through indexes for several platforms.
fn manifest(
    spool: &Spool,
    descriptor: &Descriptor,
    platform: &Platform,
    depth: usize,
) -> Result<ImageManifest, ArchiveError> {
    let digest: Digest = descriptor.digest().to_string().parse()?;
    let name = digest.to_string();
    let document = spool.document(&name, spool.blob_by_digest(&digest)?)?;
    if !index::is_index(descriptor.media_type()) {
        return parse(&name, &document);
    }
    if depth == index::NESTING_MAX {
        return Err(ArchiveError::TooDeep);
    }
    let index: ImageIndex = parse(&name, &document)?;
    let descriptors: Vec<&Descriptor> = index.manifests().iter().collect();
    match choose(&descriptors, platform)?.first() {
        Some(chosen) => manifest(spool, chosen, platform, depth + 1),
        None => Err(ArchiveError::Empty),
    }
}

fn image<'a>(
    spool: &'a Spool,
    manifest: &ImageManifest,
    references: Vec<Reference>,
) -> Result<ArchivedImage<'a>, ArchiveError> {
    let blob = |descriptor: &Descriptor| {
        let digest: Digest = descriptor.digest().to_string().parse()?;
        spool.blob_by_digest(&digest)
    };
    let name = manifest.config().digest().to_string();
    let document = spool.document(&name, blob(manifest.config())?)?;
    let layers = manifest.layers().iter().map(blob).collect::<Result<_, _>>()?;
    ArchivedImage::new(document, &name, layers, references)
}

/// A name as people meant it: a bare word is a repository, as podman takes it too. The specification allows names that
/// are no references (`1.0+x`); they don't keep an image from being loaded, which then goes by its id.
fn reference(name: &str) -> Option<Reference> {
    match Reference::parse(name) {
        Ok(reference) => Some(reference.or_latest()),
        Err(error) => {
            tracing::warn!(name, %error, "an image's name in the archive isn't a reference");
            None
        }
    }
}
