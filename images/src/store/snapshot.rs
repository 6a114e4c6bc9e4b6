//! Snapshots: the directories that containers write to.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::database::{self, Durability, LayerRow};
use super::{Discarded, Rootfs, Store};
use crate::digest::{ChainId, ImageId};
use crate::error::Error;
use crate::unpack;

impl Store {
    /// Makes the directories of a new container. Its layers are kept until [`Store::remove_snapshot`], also when the
    /// image is removed. Waits for no disk: a power cut may take the newest snapshots, record and directories.
    pub fn prepare(&self, container_id: &str, image: &ImageId) -> Result<Rootfs, Error> {
        self.prepare_snapshot(container_id, |connection| {
            let failed = || Error::database("record a snapshot");
            if database::image(connection, image).map_err(failed())?.is_none() {
                return Err(Error::NoSuchImage(image.to_string()));
            }
            database::insert_snapshot(connection, container_id, image).map_err(failed())
        })
    }

    /// The same on top of a layer, or of nothing.
    ///
    /// # Errors
    /// There is one of this name already.
    pub fn prepare_on(&self, container_id: &str, top: Option<ChainId>) -> Result<Rootfs, Error> {
        self.prepare_snapshot(container_id, |connection| {
            database::insert_snapshot_on(connection, container_id, top.as_ref())
                .map_err(Error::database("record a snapshot"))
        })
    }

    /// `insert` answers `false` if there is a record already.
    fn prepare_snapshot(
        &self,
        container_id: &str,
        insert: impl FnOnce(&Connection) -> Result<bool, Error>,
    ) -> Result<Rootfs, Error> {
        check_id(container_id)?;
        self.change("record a snapshot", Durability::ProcessEnd, |connection, _| {
            if !insert(connection)? {
                return Err(Error::SnapshotExists(container_id.to_owned()));
            }
            let layers = database::snapshot_layers(connection, container_id);
            let layers = layers.map_err(Error::database("record a snapshot"))?.unwrap_or_default();
            // Left by a commit that failed.
            self.discard(&self.snapshot_dir(container_id))?.delete()?;
            self.directories(container_id, &layers)
        })
    }

    /// The directories of a container that [`Store::prepare`] made.
    pub fn rootfs(&self, container_id: &str) -> Result<Rootfs, Error> {
        let inner = self.inner();
        let layers = database::snapshot_layers(&inner.connection, container_id)
            .map_err(Error::database("read a snapshot"))?
            .ok_or_else(|| Error::NoSuchSnapshot(container_id.to_owned()))?;
        // A power cut may have taken the directories, which nothing synchronises; the record stayed.
        self.directories(container_id, &layers)
    }

    /// The ids of all containers that have a snapshot, so that those of nobody can be found.
    pub fn snapshots(&self) -> Result<Vec<String>, Error> {
        database::snapshots(&self.inner().connection).map_err(Error::database("list snapshots"))
    }

    /// Removes what a container wrote. Removing what isn't there is fine. What is left to do is to delete the files. Waits
    /// for the disk only if layers go with it, those of an image that has been removed.
    pub fn remove_snapshot(&self, container_id: &str) -> Result<Discarded, Error> {
        let failed = || Error::database("remove a snapshot");
        let mut inner = self.inner();
        let (was_there, leaves_layers) = inner.change(&self.log, "remove a snapshot", |connection, leases| {
            let was_there = database::delete_snapshot(connection, container_id).map_err(failed())?;
            // What others are bringing is unused as well, and stays.
            Ok((was_there, !Self::unused(connection, leases)?.is_empty()))
        })?;
        if !was_there {
            return Ok(Discarded::default());
        }
        // Still in the lock, or somebody could make another of the same name in between.
        let mut discarded = self.discard(&self.snapshot_dir(container_id))?;
        drop(inner);
        if leaves_layers {
            let forget = |connection: &Connection, leases: &_| Ok(((), Self::forget_unused(connection, leases)?));
            let ((), _, layers) = self.take_layers("remove the layers of a container", forget)?;
            discarded.extend([layers]);
        }
        Ok(discarded)
    }

    pub(super) fn snapshot_dir(&self, container_id: &str) -> PathBuf {
        self.root_dir.join("snapshots").join(container_id)
    }

    fn directories(&self, container_id: &str, layers: &[LayerRow]) -> Result<Rootfs, Error> {
        let dir = self.snapshot_dir(container_id);
        let (upper, work) = (dir.join("upper"), dir.join("work"));
        make(&dir)?;
        make(&work)?;
        if make(&upper)? {
            let top = match layers.first() {
                Some(layer) => self.layer_dir(&layer.chain_id).join("diff"),
                None => self.root_dir.join("empty"),
            };
            // The upper directory is the one whose owner and mode the container sees on its root.
            unpack::copy_appearance(&top, &upper).map_err(Error::Snapshot)?;
        }
        let mut lowers: Vec<PathBuf> = layers.iter().map(|layer| self.link(layer)).collect();
        if lowers.is_empty() {
            lowers.push(self.empty_link());
        }
        Ok(Rootfs { lowers, upper, work })
    }
}

/// Makes a directory; `false` if it is there.
fn make(path: &Path) -> Result<bool, Error> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(Error::file("make directory", path)(error)),
    }
}

fn check_id(container_id: &str) -> Result<(), Error> {
    let is_word = |b: u8| b.is_ascii_alphanumeric();
    let right = container_id.bytes().next().is_some_and(is_word)
        && container_id.bytes().all(|b| is_word(b) || matches!(b, b'_' | b'.' | b'-'));
    match right {
        true => Ok(()),
        false => Err(Error::ContainerId(container_id.to_owned())),
    }
}
