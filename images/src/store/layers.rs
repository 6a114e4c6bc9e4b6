//! Layers on disk: which are there, who counts on them, how new ones appear and unused ones go.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::database::{self, Durability, LayerRow};
use super::{Discarded, Store, Wait, before_waiting, between_steps};
use crate::digest::{ChainId, DiffId, ImageId};
use crate::error::Error;
use crate::reference::Reference;

/// A layer that has been unpacked and isn't published yet.
pub(super) struct NewLayer {
    pub(super) chain_id: ChainId,
    pub(super) diff_id: DiffId,
    pub(super) parent: Option<ChainId>,
    pub(super) size_bytes: u64,
    /// Holds `diff`.
    pub(super) dir: PathBuf,
}

/// An image that can be published with its layers.
pub struct NewImage {
    /// The digest of its document.
    pub id: ImageId,
    /// Its configuration.
    pub document: Vec<u8>,
    /// Its topmost layer, if it has any.
    pub top: Option<ChainId>,
    /// The names that it is to have.
    pub references: Vec<Reference>,
}

/// Keeps layers from being collected as long as it lives.
pub struct Lease<'a> {
    store: &'a Store,
    layers: Vec<ChainId>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut inner = self.store.inner();
        for layer in &self.layers {
            if let Some(holders) = inner.leases.get_mut(layer) {
                *holders -= 1;
                if *holders == 0 {
                    inner.leases.remove(layer);
                }
            }
        }
    }
}

impl Store {
    pub(super) fn layer_dir(&self, chain_id: &ChainId) -> PathBuf {
        self.root_dir.join("layers").join(chain_id.0.hex())
    }

    pub(super) fn link(&self, layer: &LayerRow) -> PathBuf {
        self.links_dir.join(layer.number.to_string())
    }

    /// Leases layers, whether they are there or not. Also answers which of them are there.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn lease(&self, layers: Vec<ChainId>) -> Result<(Lease<'_>, HashSet<ChainId>), Error> {
        let mut guard = self.inner();
        let inner = &mut *guard;
        let mut present = HashSet::new();
        for layer in &layers {
            let row = database::layer(&inner.connection, layer).map_err(Error::database("look for a layer"))?;
            present.extend(row.map(|row| row.chain_id));
        }
        for layer in &layers {
            *inner.leases.entry(*layer).or_default() += 1;
        }
        drop(guard);
        Ok((Lease { store: self, layers }, present))
    }

    /// Makes layers and images exist: the directories first, on the disk, then all their records and names in one
    /// transaction. Lower layers stand before those on top of them. Answers, per image, who had its names before.
    pub(super) fn publish(
        &self,
        layers: &[NewLayer],
        images: &[NewImage],
        loaded_at_milliseconds: i64,
    ) -> Result<Vec<Vec<(Reference, ImageId)>>, Error> {
        between_steps();
        let mut placing = None;
        let mut placed = Vec::new();
        if !layers.is_empty() {
            self.synchronise()?;
            between_steps();
            placing = Some(self.placing());
            for layer in layers {
                placed.extend(self.place(layer)?.then_some(layer));
            }
            before_waiting(Wait::Layers);
            let dir = self.root_dir.join("layers");
            File::open(&dir).and_then(|dir| dir.sync_all()).map_err(Error::file("synchronise", dir))?;
        }
        let failed = || Error::database("record images");
        let replaced = self.inner().change(&self.log, "record images", |connection, _| {
            placed.iter().try_for_each(|layer| self.record(connection, layer))?;
            let mut replaced = Vec::new();
            for image in images {
                let row = database::ImageRow { id: image.id, document: image.document.clone(), loaded_at_milliseconds };
                database::insert_image(connection, &row, image.top.as_ref()).map_err(failed())?;
                let mut before = Vec::new();
                for reference in &image.references {
                    let other = database::set_name(connection, reference, &image.id).map_err(failed())?;
                    before.extend(other.map(|other| (reference.clone(), other)));
                }
                replaced.push(before);
            }
            Ok(replaced)
        })?;
        drop(placing);
        self.synchronise_log()?;
        between_steps();
        Ok(replaced)
    }

    /// Moves a layer to its place; `false` if somebody else brought the same one meanwhile: theirs is in use, ours goes.
    /// It is the caller's to hold `placing` until the layer is on record.
    pub(super) fn place(&self, layer: &NewLayer) -> Result<bool, Error> {
        let known = database::layer(&self.inner().connection, &layer.chain_id);
        if known.map_err(Error::database("look for a layer"))?.is_some() {
            return Ok(false);
        }
        let target = self.layer_dir(&layer.chain_id);
        // Left by a commit that failed.
        self.discard(&target)?.delete()?;
        fs::rename(&layer.dir, &target).map_err(Error::file("move a layer to", &target))?;
        between_steps();
        Ok(true)
    }

    /// Records a layer that is in its place.
    pub(super) fn record(&self, connection: &Connection, layer: &NewLayer) -> Result<(), Error> {
        let NewLayer { chain_id, diff_id, parent, size_bytes, .. } = layer;
        let row = database::insert_layer(connection, chain_id, diff_id, parent.as_ref(), *size_bytes)
            .map_err(Error::database("record a layer"))?;
        self.make_link(&row)
    }

    /// Brings what was written to disk: a power cut must not lose the files of an image that has a name.
    pub(super) fn synchronise(&self) -> Result<(), Error> {
        before_waiting(Wait::Files);
        let dir = self.tmp_dir();
        File::open(&dir).and_then(|dir| Ok(rustix::fs::syncfs(dir)?)).map_err(Error::file("synchronise", dir))
    }

    /// Forgets all layers that nothing needs any more, the topmost first. Their directories are the caller's to
    /// discard once the transaction is committed.
    pub(super) fn forget_unused(
        connection: &Connection,
        leases: &HashMap<ChainId, usize>,
    ) -> Result<Vec<LayerRow>, Error> {
        let mut forgotten = Vec::new();
        loop {
            let unused = Self::unused(connection, leases)?;
            if unused.is_empty() {
                return Ok(forgotten);
            }
            for layer in unused {
                database::delete_layer(connection, layer.number).map_err(Error::database("collect layers"))?;
                forgotten.push(layer);
            }
        }
    }

    /// The layers that nothing needs any more and nothing is on top of.
    pub(super) fn unused(connection: &Connection, leases: &HashMap<ChainId, usize>) -> Result<Vec<LayerRow>, Error> {
        let mut unused = database::unused_layers(connection).map_err(Error::database("collect layers"))?;
        unused.retain(|layer| !leases.contains_key(&layer.chain_id));
        Ok(unused)
    }

    /// Takes layers away: `decide` deletes their records, and what else there is to delete, and says which they are. Once
    /// that is on the disk, or the records could come back alone, their directories go out of sight. Deleting what this
    /// answers can take its time.
    pub(super) fn take_layers<T>(
        &self,
        doing: &'static str,
        decide: impl FnOnce(&Connection, &HashMap<ChainId, usize>) -> Result<(T, Vec<LayerRow>), Error>,
    ) -> Result<(T, Vec<LayerRow>, Discarded), Error> {
        // Or a load could publish the same layer again in between.
        let _placing = self.placing();
        let (decided, layers) = self.change(doing, Durability::PowerCut, decide)?;
        let discarded = self.discard_layers(&layers)?;
        Ok((decided, layers, discarded))
    }

    fn discard_layers(&self, layers: &[LayerRow]) -> Result<Discarded, Error> {
        let mut discarded = Discarded::default();
        for layer in layers {
            between_steps();
            let link = self.link(layer);
            match fs::remove_file(&link) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::file("delete", link)(error));
                }
                _ => discarded.extend([self.discard(&self.layer_dir(&layer.chain_id))?]),
            }
        }
        Ok(discarded)
    }

    /// Brings directories and records together after whatever ended the process before this one.
    pub(super) fn sweep(&self) -> Result<(), Error> {
        // A container may have made files immutable (ioctl_iflags(2)): they are in nobody's way but the disk's.
        let delete = |left: &Path| {
            if let Err(error) = remove(left) {
                tracing::error!("what belongs to nothing stays: {error}");
            }
        };
        list(&self.tmp_dir())?.iter().for_each(|left| delete(left));
        let (layers, snapshots) = self.change("sweep", Durability::PowerCut, |connection, leases| {
            Self::forget_unused(connection, leases)?;
            let failed = || Error::database("sweep");
            let layers = database::layers(connection).map_err(failed())?;
            Ok((layers, database::snapshots(connection).map_err(failed())?))
        })?;
        let known: HashSet<PathBuf> = layers
            .iter()
            .map(|layer| self.layer_dir(&layer.chain_id))
            .chain(snapshots.iter().map(|id| self.snapshot_dir(id)))
            .collect();
        for dir in ["layers", "snapshots"] {
            for path in list(&self.root_dir.join(dir))? {
                if !known.contains(&path) {
                    delete(&path);
                }
            }
        }
        for link in list(&self.links_dir)? {
            remove(&link)?;
        }
        for layer in &layers {
            self.make_link(layer)?;
        }
        self.make_link_to(&self.empty_link(), &self.root_dir.join("empty"))
    }

    /// The link to the lower directory of images without layers.
    pub(super) fn empty_link(&self) -> PathBuf {
        self.links_dir.join("0")
    }

    fn make_link(&self, layer: &LayerRow) -> Result<(), Error> {
        self.make_link_to(&self.link(layer), &self.layer_dir(&layer.chain_id).join("diff"))
    }

    fn make_link_to(&self, link: &Path, target: &Path) -> Result<(), Error> {
        match fs::remove_file(link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("replace", link)(error)),
            _ => symlink(target, link).map_err(Error::file("make", link)),
        }
    }
}

pub(super) fn list(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(Error::file("list", dir))
}

/// Deletes whatever is there.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    let is_dir = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    let removed = match is_dir {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    removed.map_err(Error::file("delete", path))
}
