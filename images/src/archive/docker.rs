//! docker-archive: what `docker save`, `podman save` and `skopeo copy … docker-archive:` write.

use serde::Deserialize;

use super::{ArchiveError, ArchivedImage, Blob, Spool, check_digest, parse};
use crate::digest::Digest;
use crate::reference::Reference;

pub(super) const MANIFEST: &str = "manifest.json";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

pub(super) fn read(spool: &Spool) -> Result<Vec<ArchivedImage<'_>>, ArchiveError> {
    let document = spool.document(MANIFEST, spool.blob(MANIFEST)?)?;
    let items: Vec<Item> = parse(MANIFEST, &document)?;
    items.iter().map(|item| image(spool, item)).collect()
}

fn image<'a>(spool: &'a Spool, item: &Item) -> Result<ArchivedImage<'a>, ArchiveError> {
    let config = named_blob(spool, &item.config)?;
    let document = spool.document(&item.config, config)?;
    let layers = item.layers.iter().flatten();
    let layers = layers.map(|name| named_blob(spool, name)).collect::<Result<_, _>>()?;
    let references = item
        .repo_tags
        .iter()
        .flatten()
        .map(|name| match Reference::parse(name) {
            Ok(reference) => Ok(reference.or_latest()),
            Err(source) => Err(ArchiveError::Name { name: name.clone(), source }),
        })
        .collect::<Result<_, _>>()?;
    ArchivedImage::new(document, &item.config, layers, references)
}

/// A member that must be what its name says, where the name is a digest: `<hex>.json`, `blobs/sha256/<hex>`.
///
/// `<hex>/layer.tar` is an older Docker's own number, and `<hex>.tar` is the diff id, which unpacking checks.
fn named_blob<'a>(spool: &'a Spool, name: &str) -> Result<&'a Blob, ArchiveError> {
    let blob = spool.blob(name)?;
    let digits = name.strip_prefix("blobs/sha256/").or(name.strip_suffix(".json"));
    if let Some(expected) = digits.and_then(Digest::from_hex) {
        check_digest(name, expected, blob.digest)?;
    }
    Ok(blob)
}
