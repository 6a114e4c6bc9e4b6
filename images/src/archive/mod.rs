//! Image archives, as `docker save` and its relatives write them: a tar (maybe compressed) of documents and layers,
//! either with a `manifest.json` (docker-archive) or as an OCI image layout (oci-archive), or both.
//!
//! Members come in any order, the index often last, so that the archive is first taken into files of its own ([`spool`])
//! and then read as what it is ([`docker`], [`oci`]).

mod docker;
mod oci;
mod spool;
mod writer;

use std::collections::BTreeSet;

use crate::config::ImageConfig;
use crate::digest::{Digest, DigestError, ImageId};
use crate::error::ErrorKind;
use crate::platform::Platform;
use crate::reference::{Reference, ReferenceError};
use crate::tarball::TarError;

pub(crate) use spool::{Blob, Spool};
pub(crate) use writer::Writer;

/// Why an archive can't be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The tar itself is wrong.
    #[error("can't read the image archive")]
    Tar(#[source] TarError),
    /// The archive can't be kept while it is read.
    #[error("can't {doing} while taking in the image archive")]
    Spool {
        /// What was being tried.
        doing: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A member's name isn't text, or there are too many, or its document is too large.
    #[error("invalid image archive: member {name:?} {reason}")]
    Member {
        /// The member.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Larger than allowed.
    #[error("the image archive has more than {0} bytes")]
    TooLarge(u64),
    /// Neither `manifest.json` nor `index.json`.
    #[error(
        "this isn't an image archive: it has neither manifest.json nor an OCI index.json \
         (a tar of a root file system is for import, not for load)"
    )]
    NotAnArchive,
    /// Something that the archive's documents name isn't in it.
    #[error("invalid image archive: {0} is missing (is the archive cut short?)")]
    Missing(String),
    /// A document isn't what it should be.
    #[error("invalid image archive: {name} can't be understood")]
    Document {
        /// The member or blob.
        name: String,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// A digest that isn't one.
    #[error("invalid image archive")]
    Digest(#[from] DigestError),
    /// A member's content isn't what its name or descriptor promises.
    #[error("wrong digest: {name} is {found}, expected {expected}")]
    WrongDigest {
        /// The member.
        name: String,
        /// What was promised.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// Images and configurations that contradict each other.
    #[error("invalid image archive: {image} has {layers} layers, its configuration names {diff_ids}")]
    LayerCount {
        /// The image.
        image: ImageId,
        /// Layers in the manifest.
        layers: usize,
        /// Layers in the configuration.
        diff_ids: usize,
    },
    /// An index without an image for this machine.
    #[error("the archive has no image for {wanted}: it has {offered}")]
    NoPlatform {
        /// What was looked for.
        wanted: Platform,
        /// What there is.
        offered: String,
    },
    /// An index within an index within an index …
    #[error("invalid image archive: its indexes are nested too deeply")]
    TooDeep,
    /// A name in the archive isn't a reference.
    #[error("invalid image archive: {name:?} isn't a reference")]
    Name {
        /// The name.
        name: String,
        /// Why not.
        #[source]
        source: ReferenceError,
    },
    /// Nothing in it.
    #[error("the archive holds no image")]
    Empty,
}

impl ArchiveError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            ArchiveError::Spool { .. } => ErrorKind::Internal,
            ArchiveError::Tar(error) if !error.is_content() => ErrorKind::Internal,
            _ => ErrorKind::InvalidParameter,
        }
    }
}

/// An image of an archive, its documents checked, its layers not unpacked yet.
#[derive(Debug)]
pub(crate) struct ArchivedImage<'a> {
    pub(crate) id: ImageId,
    pub(crate) document: Vec<u8>,
    pub(crate) config: ImageConfig,
    pub(crate) references: Vec<Reference>,
    /// Lowest first, as many as the configuration names.
    pub(crate) layers: Vec<&'a Blob>,
}

/// The images of an archive that are for `platform`.
pub(crate) fn read<'a>(spool: &'a Spool, platform: &Platform) -> Result<Vec<ArchivedImage<'a>>, ArchiveError> {
    // Archives of newer Dockers are both; the older description names them the way that people did.
    let images = if spool.contains(docker::MANIFEST) {
        docker::read(spool)?
    } else if spool.contains(oci::INDEX) {
        oci::read(spool, platform)?
    } else {
        return Err(ArchiveError::NotAnArchive);
    };
    match images.is_empty() {
        true => Err(ArchiveError::Empty),
        false => Ok(images),
    }
}

/// Leaves those out that are for other platforms.
pub(crate) fn keep(images: &mut Vec<ArchivedImage<'_>>, platform: &Platform) -> Result<(), ArchiveError> {
    let offered: BTreeSet<String> = images.iter().map(|image| image.config.platform().to_string()).collect();
    images.retain(|image| image.config.platform().runs_on(platform));
    match images.is_empty() {
        true => {
            let offered = offered.into_iter().collect::<Vec<_>>().join(", ");
            Err(ArchiveError::NoPlatform { wanted: platform.clone(), offered })
        }
        false => Ok(()),
    }
}

impl<'a> ArchivedImage<'a> {
    fn new(
        document: Vec<u8>,
        document_name: &str,
        layers: Vec<&'a Blob>,
        references: Vec<Reference>,
    ) -> Result<Self, ArchiveError> {
        let id = ImageId(Digest::of(&document));
        let config: ImageConfig = parse(document_name, &document)?;
        if config.rootfs.diff_ids.len() != layers.len() {
            return Err(ArchiveError::LayerCount {
                image: id,
                layers: layers.len(),
                diff_ids: config.rootfs.diff_ids.len(),
            });
        }
        Ok(Self { id, document, config, references, layers })
    }
}

fn parse<'a, T: serde::Deserialize<'a>>(name: &str, document: &'a [u8]) -> Result<T, ArchiveError> {
    serde_json::from_slice(document).map_err(|source| ArchiveError::Document { name: name.to_owned(), source })
}

fn check_digest(name: &str, expected: Digest, found: Digest) -> Result<(), ArchiveError> {
    match expected == found {
        true => Ok(()),
        false => Err(ArchiveError::WrongDigest { name: name.to_owned(), expected, found }),
    }
}
