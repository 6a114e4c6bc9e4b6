//! Saves images as archives.

use std::io::Write;

use super::catalog::{self, Found};
use super::{Store, database};
use crate::archive::Writer;
use crate::digest::{ChainId, DiffId, ImageId};
use crate::error::Error;
use crate::platform::Platform;
use crate::reference::Reference;
use crate::unpack;

/// Images that are about to be written; their layers stay as long as this lives.
pub struct Saving<'a> {
    store: &'a Store,
    images: Vec<Chosen>,
    _lease: super::layers::Lease<'a>,
}

struct Chosen {
    id: ImageId,
    platform: Platform,
    document: Vec<u8>,
    references: Vec<Reference>,
    /// Lowest first.
    layers: Vec<(ChainId, DiffId)>,
}

impl Store {
    /// Chooses the images to save, by names and ids. A name without a tag is all tags of its repository, and an id no name.
    ///
    /// # Errors
    /// One of them isn't there.
    pub fn save(&self, names: &[String]) -> Result<Saving<'_>, Error> {
        let mut images: Vec<Chosen> = Vec::new();
        for name in names {
            for (id, reference) in self.meant_by(name)? {
                let known = match images.iter_mut().find(|image| image.id == id) {
                    Some(known) => known,
                    None => {
                        images.push(self.choose(id)?);
                        images.last_mut().expect("just pushed")
                    }
                };
                known.references.extend(reference.filter(|reference| !known.references.contains(reference)));
            }
        }
        let layers = images.iter().flat_map(|image| image.layers.iter().map(|(chain_id, _)| *chain_id)).collect();
        let (lease, _) = self.lease(layers)?;
        Ok(Saving { store: self, images, _lease: lease })
    }

    /// The images that a name or id means, each with the name to save it under.
    fn meant_by(&self, name: &str) -> Result<Vec<(ImageId, Option<Reference>)>, Error> {
        let inner = self.inner();
        if let Ok(repository) = Reference::parse(name)
            && repository.tag().is_none()
            && repository.digest().is_none()
        {
            let tags = database::tags_of(&inner.connection, &repository.name());
            let tags = tags.map_err(Error::database("look for an image"))?;
            if !tags.is_empty() {
                return Ok(tags.into_iter().map(|(reference, id)| (id, Some(reference))).collect());
            }
        }
        Ok(vec![match catalog::find(&inner.connection, name)? {
            Found::ByName(id, reference) => (id, Some(reference).filter(|reference| reference.digest().is_none())),
            Found::ById(id) => (id, None),
        }])
    }

    fn choose(&self, id: ImageId) -> Result<Chosen, Error> {
        let inner = self.inner();
        let image = catalog::image(&inner.connection, &id)?;
        let document = catalog::row(&inner.connection, &id)?.document;
        let platform = image.config.platform();
        let layers = image.layers.into_iter().zip(image.config.rootfs.diff_ids).collect();
        Ok(Chosen { id, platform, document, references: Vec::new(), layers })
    }
}

impl Saving<'_> {
    /// Sees to it that all images are for this platform. Here each has one.
    ///
    /// # Errors
    /// One of them isn't.
    pub fn require(&self, platform: &Platform) -> Result<(), Error> {
        match self.images.iter().find(|image| !image.platform.runs_on(platform)) {
            Some(other) => Err(Error::OtherPlatform {
                reference: other.references.first().map_or_else(|| other.id.to_string(), Reference::familiar),
                wanted: platform.to_string(),
                found: other.platform.to_string(),
            }),
            None => Ok(()),
        }
    }

    /// The images, each with the names that it is saved under.
    pub fn images(&self) -> impl Iterator<Item = (ImageId, &[Reference])> {
        self.images.iter().map(|image| (image.id, &*image.references))
    }

    /// Writes the archive.
    ///
    /// # Errors
    /// [`Error::Save`] when it can't be written, or a layer has been damaged.
    pub fn write(&self, output: impl Write) -> Result<(), Error> {
        let mut archive = Writer::new(output).map_err(Error::Save)?;
        for Chosen { id, document, references, layers, .. } in &self.images {
            let mut described = Vec::new();
            for (chain_id, diff_id) in layers {
                let tar = unpack::tar_of(&self.store.layer_dir(chain_id)).map_err(Error::Save)?;
                let size_bytes = tar.size_bytes();
                described.push(archive.layer(*diff_id, tar, size_bytes).map_err(Error::Save)?);
            }
            archive.image(*id, document, &described, references).map_err(Error::Save)?;
        }
        archive.finish().map_err(Error::Save)
    }
}
