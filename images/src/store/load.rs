//! Loads image archives.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::database;
use super::layers::{NewImage, NewLayer};
use super::{LoadedImage, Store, unpacking};
use crate::archive::{self, ArchivedImage, Blob, Spool};
use crate::digest::{ChainId, DiffId};
use crate::error::Error;
use crate::platform::Platform;
use crate::processors::Processors;
use crate::progress::{Progress, ProgressEvent, ProgressReader};
use crate::side_by_side::side_by_side;
use crate::unpack::{self, Limits, Unpacked};

/// Decompressing keeps a processor busy, writing a disk: more at once only take turns.
const UNPACKERS: usize = 2;

/// A layer that some image of an archive needs.
struct WantedLayer<'a> {
    chain_id: ChainId,
    diff_id: DiffId,
    parent: Option<ChainId>,
    blob: &'a Blob,
}

impl Store {
    /// Takes in an archive of images: docker-archive or oci-archive, plain or compressed. All of it or nothing.
    ///
    /// # Errors
    /// [`Error::Archive`] and [`Error::Layer`] when the archive is cut short, contradicts its digests, has no image
    /// for this machine or tries to leave its root.
    pub fn load(&self, archive: impl Read, progress: &dyn Progress) -> Result<Vec<LoadedImage>, Error> {
        self.load_for(archive, None, progress)
    }

    /// As [`Store::load`], but of images for another platform, and of those only.
    ///
    /// # Errors
    /// Also when there is none.
    pub fn load_for(
        &self,
        archive: impl Read,
        platform: Option<&Platform>,
        progress: &dyn Progress,
    ) -> Result<Vec<LoadedImage>, Error> {
        let spool = Spool::receive(archive, &self.tmp_dir(), self.limits.size_bytes, progress)?;
        let mut images = archive::read(&spool, platform.unwrap_or(&self.platform))?;
        if let Some(platform) = platform {
            archive::keep(&mut images, platform)?;
        }
        let wanted = wanted_layers(&images);
        let all = wanted.iter().map(|layer| layer.chain_id).collect();
        let (_lease, present) = self.lease(all)?;
        for layer in wanted.iter().filter(|layer| present.contains(&layer.chain_id)) {
            progress.report(ProgressEvent::AlreadyExists { layer: layer.diff_id });
        }
        let missing: Vec<_> = wanted.into_iter().filter(|layer| !present.contains(&layer.chain_id)).collect();
        let work = self.work_dir()?;
        let unpacked = unpack_all(&missing, work.path(), self.limits, &self.processors, progress)?;
        let layers = self.finish_layers(&missing, unpacked, work.path())?;
        let images: Vec<NewImage> = images.into_iter().map(new_image).collect();
        // Before everything is synchronised, or the disk writes what nobody needs any more.
        drop(spool);
        let replaced = self.publish(&layers, &images, Timestamp::now().as_millisecond())?;
        let loaded = images.into_iter().zip(replaced).map(|(image, replaced)| LoadedImage {
            id: image.id,
            references: image.references,
            replaced,
        });
        Ok(loaded.collect())
    }

    /// Gives implied directories their looks, lowest layer first: each may stand on the one before.
    fn finish_layers(
        &self,
        missing: &[WantedLayer<'_>],
        unpacked: Vec<Unpacked>,
        work_dir: &Path,
    ) -> Result<Vec<NewLayer>, Error> {
        let parents: HashMap<ChainId, Option<ChainId>> =
            missing.iter().map(|layer| (layer.chain_id, layer.parent)).collect();
        let mut layers = Vec::new();
        for (layer, unpacked) in missing.iter().zip(unpacked) {
            let dir = work_dir.join(layer.chain_id.0.hex());
            let lowers = self.lowers_of(layer.parent, &parents, work_dir)?;
            let implied: &BTreeSet<PathBuf> = &unpacked.implied;
            unpack::apply_lower_layers(&dir.join("diff"), implied, &lowers)
                .map_err(|source| Error::Layer { layer: layer.diff_id, source })?;
            layers.push(NewLayer {
                chain_id: layer.chain_id,
                diff_id: layer.diff_id,
                parent: layer.parent,
                size_bytes: unpacked.size_bytes,
                dir,
            });
        }
        Ok(layers)
    }

    /// The directories of a layer and all below it, top first; the upper ones may still be in the making.
    fn lowers_of(
        &self,
        mut top: Option<ChainId>,
        parents: &HashMap<ChainId, Option<ChainId>>,
        work_dir: &Path,
    ) -> Result<Vec<PathBuf>, Error> {
        let mut lowers = Vec::new();
        while let Some(layer) = top {
            let Some(parent) = parents.get(&layer) else {
                let present = database::layers_from(&self.inner().connection, &layer)
                    .map_err(Error::database("look for layers"))?;
                lowers.extend(present.iter().map(|row| self.layer_dir(&row.chain_id).join("diff")));
                break;
            };
            lowers.push(work_dir.join(layer.0.hex()).join("diff"));
            top = *parent;
        }
        Ok(lowers)
    }
}

fn new_image(image: ArchivedImage<'_>) -> NewImage {
    NewImage {
        id: image.id,
        top: ChainId::stack(&image.config.rootfs.diff_ids).last().copied(),
        document: image.document,
        references: image.references,
    }
}

/// All layers of all images, each once, lower ones before those on top of them.
fn wanted_layers<'a>(images: &[ArchivedImage<'a>]) -> Vec<WantedLayer<'a>> {
    let mut seen = HashSet::new();
    let mut wanted = Vec::new();
    for image in images {
        let diffs = &image.config.rootfs.diff_ids;
        let mut parent = None;
        for ((chain_id, diff_id), blob) in ChainId::stack(diffs).into_iter().zip(diffs).zip(&image.layers) {
            if seen.insert(chain_id) {
                wanted.push(WantedLayer { chain_id, diff_id: *diff_id, parent, blob });
            }
            parent = Some(chain_id);
        }
    }
    wanted
}

/// Unpacks layers side by side, each below `work_dir/<chain id>`.
fn unpack_all(
    layers: &[WantedLayer<'_>],
    work_dir: &Path,
    limits: Limits,
    processors: &Processors,
    progress: &dyn Progress,
) -> Result<Vec<Unpacked>, Error> {
    let given_up = CancellationToken::new();
    side_by_side(layers, UNPACKERS, &given_up, |_, layer| {
        unpack_layer(layer, work_dir, limits, processors, progress, &given_up)
    })
}

fn unpack_layer(
    layer: &WantedLayer<'_>,
    work_dir: &Path,
    limits: Limits,
    processors: &Processors,
    progress: &dyn Progress,
    given_up: &CancellationToken,
) -> Result<Unpacked, Error> {
    let Blob { path, digest, size_bytes } = layer.blob;
    let file = File::open(path).map_err(Error::file("open", path))?;
    let watched = ProgressReader::new(LayerFile { file, given_up }, |done_bytes| {
        progress.report(ProgressEvent::Unpacking { layer: layer.diff_id, done_bytes, total_bytes: *size_bytes });
    });
    let dir = work_dir.join(layer.chain_id.0.hex());
    let unpacked = unpacking::unpack(processors.reading(watched), *digest, &dir, layer.diff_id, limits)?;
    progress.report(ProgressEvent::Unpacked { layer: layer.diff_id, size_bytes: unpacked.size_bytes });
    Ok(unpacked)
}

/// A layer's blob; ends when another layer failed.
struct LayerFile<'a> {
    file: File,
    given_up: &'a CancellationToken,
}

impl Read for LayerFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.given_up.is_cancelled() {
            true => Err(io::Error::other("another layer failed")),
            false => self.file.read(buffer),
        }
    }
}
