//! The store: one directory with a database that decides what exists in it.

mod caches;
mod catalog;
mod commit;
mod copy_out;
mod database;
mod discarded;
mod files;
mod import;
mod layers;
mod load;
mod make_layer;
mod origin;
mod pull;
mod push;
mod remove;
mod save;
mod snapshot;
mod steps;
mod types;
mod unpack_lock;
mod unpacking;

use std::collections::{HashMap, HashSet};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use rustix::fs::FlockOperation;
use sqlite::Log;
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::digest::ChainId;
use crate::error::Error;
use crate::platform::Platform;
use crate::processors::Processors;
use crate::unpack::Limits;

use caches::CachesInUse;
pub use caches::{CacheDirectory, CacheGuard, CacheRequest, CacheUse};
use database::Durability;
pub use discarded::Discarded;
pub use layers::{Lease, NewImage};
pub use pull::PullRequest;
pub use push::PushRequest;
pub use save::Saving;
pub use steps::{BuiltImage, CachedStep, DoneStep, StepLayer, StepResult};
pub use types::{
    Commit, ContainerUse, HistoryItem, Image, Import, LoadedImage, Pruned, Pulled, Pushed, Removed, Rootfs,
};

/// Images, their layers, and the snapshots of containers, in one directory that one process has open at a time.
pub struct Store {
    root_dir: PathBuf,
    links_dir: PathBuf,
    limits: Limits,
    platform: Platform,
    inner: Mutex<Inner>,
    log: Log,
    /// Held by who changes which layers are on disk, also while waiting for it. Who only reads, or makes or removes a
    /// snapshot, doesn't need it. Taken before `inner`.
    placing: Mutex<()>,
    /// A layer that was being unpacked no longer is, one way or the other.
    unpack_ended: Notify,
    processors: Processors,
    caches: Mutex<CachesInUse>,
    /// A cache that was in use no longer is.
    cache_left: Notify,
    /// Locked as long as the store is open; the kernel unlocks it when the process ends, however it ends.
    _lock: File,
}

/// What one operation at a time may touch. A container's start needs it too: it is never held while waiting for the disk.
struct Inner {
    connection: Connection,
    /// Layers that an operation in progress counts on. They aren't collected meanwhile.
    leases: HashMap<ChainId, usize>,
    /// Layers that a pull is unpacking.
    unpacking: HashSet<ChainId>,
}

impl Inner {
    /// Changes records, all or none, and stays in the lock: for who has more to do in it.
    fn change<T>(
        &mut self,
        log: &Log,
        doing: &'static str,
        change: impl FnOnce(&Connection, &HashMap<ChainId, usize>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let transaction = database::begin(&mut self.connection).map_err(Error::database(doing))?;
        let changed = change(&transaction, &self.leases)?;
        between_steps();
        transaction.commit().map_err(Error::database(doing))?;
        between_steps();
        // It is done, whatever becomes of the log.
        if let Err(error) = log.committed(&self.connection) {
            tracing::warn!("the log of the images' database can't be measured: {error}");
        }
        Ok(changed)
    }
}

impl Store {
    /// Opens the store below `root_dir`, making it if there is none, and sweeps away what interrupted operations left.
    ///
    /// `run_dir` is for what needn't outlive a boot. The shorter its path, the more layers fit into a mount.
    ///
    /// # Errors
    /// Another process has it open; its database is damaged, newer, foreign or gone while there are layers.
    pub fn open(root_dir: &Path, run_dir: &Path) -> Result<Self, Error> {
        for dir in ["layers", "snapshots", "caches", "tmp", "empty"] {
            make_dir(&root_dir.join(dir))?;
        }
        // The root directory of containers whose image has no layer.
        let empty = root_dir.join("empty");
        fs::set_permissions(&empty, Permissions::from_mode(0o755)).map_err(Error::file("set the mode of", empty))?;
        let lock = lock(root_dir)?;
        let database = root_dir.join("images.db");
        if !exists(&database)? {
            refuse_orphans(root_dir)?;
        }
        let connection = database::open(&database)?;
        let log = Log::of(&connection, &database)?;
        let store = Self {
            root_dir: root_dir.to_owned(),
            links_dir: run_dir.join("l"),
            limits: Limits::default(),
            platform: Platform::host(),
            inner: Mutex::new(Inner { connection, leases: HashMap::new(), unpacking: HashSet::new() }),
            log,
            placing: Mutex::default(),
            unpack_ended: Notify::new(),
            processors: Processors::default(),
            caches: Mutex::default(),
            cache_left: Notify::new(),
            _lock: lock,
        };
        make_dir(&store.links_dir)?;
        remove_if_there(&store.secrets_dir())?;
        make_dir(&store.secrets_dir())?;
        store.sweep()?;
        Ok(store)
    }

    /// The same store with other limits for what a layer may become.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere left no half transaction: those roll back when they are dropped.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn placing(&self) -> MutexGuard<'_, ()> {
        self.placing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes records, all or none. To survive a power cut, it waits for the disk, and keeps nobody from anything
    /// meanwhile.
    fn change<T>(
        &self,
        doing: &'static str,
        durability: Durability,
        change: impl FnOnce(&Connection, &HashMap<ChainId, usize>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let changed = self.inner().change(&self.log, doing, change)?;
        if durability == Durability::PowerCut {
            self.synchronise_log()?;
            between_steps();
        }
        Ok(changed)
    }

    /// Waits until all that is committed now survives a power cut.
    fn synchronise_log(&self) -> Result<(), Error> {
        before_waiting(Wait::Log);
        self.log.synchronise().map_err(Error::file("synchronise", self.log.path()))
    }

    fn tmp_dir(&self) -> PathBuf {
        self.root_dir.join("tmp")
    }

    /// A directory for work in progress; it goes when it is dropped, or else when the store is opened.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn work_dir(&self) -> Result<TempDir, Error> {
        let tmp = self.tmp_dir();
        tempfile::Builder::new().prefix("work-").tempdir_in(&tmp).map_err(Error::file("make a directory in", tmp))
    }

    fn secrets_dir(&self) -> PathBuf {
        self.links_dir.with_file_name("secrets")
    }

    /// A directory for what should be on no disk; it goes when it is dropped, or else when the store is opened.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn secret_dir(&self) -> Result<TempDir, Error> {
        let dir = self.secrets_dir();
        tempfile::tempdir_in(&dir).map_err(Error::file("make a directory in", dir))
    }
}

/// Stands between two steps of whatever changes the store: tests end the process at each such place.
fn between_steps() {
    #[cfg(any(test, feature = "testing"))]
    crate::testing::between_steps();
}

/// What somebody waits for until it is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// The files of new layers.
    Files,
    /// Where they were moved to.
    Layers,
    /// What was committed.
    Log,
}

/// Stands before each wait for the disk: tests see there who else waits, and what has been done by then.
fn before_waiting(_for: Wait) {
    #[cfg(test)]
    tests::disk::waiting(_for);
}

fn make_dir(path: &Path) -> Result<(), Error> {
    // Layers hold setuid programs: nobody but root may reach them outside of a container.
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::file("make directory", path))
}

fn remove_if_there(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file("delete", path)(error)),
        _ => Ok(()),
    }
}

fn exists(path: &Path) -> Result<bool, Error> {
    path.try_exists().map_err(Error::file("look for", path))
}

fn lock(root_dir: &Path) -> Result<File, Error> {
    let path = root_dir.join("lock");
    let file = File::create(&path).map_err(Error::file("make", &path))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::InUse { root_dir: root_dir.to_owned() }),
        Err(errno) => Err(Error::file("lock", path)(errno.into())),
    }
}

/// Without the database everything would be swept away as garbage, what containers wrote too.
fn refuse_orphans(root_dir: &Path) -> Result<(), Error> {
    for dir in ["layers", "snapshots"] {
        let path = root_dir.join(dir);
        let mut entries = fs::read_dir(&path).map_err(Error::file("list", &path))?;
        if entries.next().is_some() {
            return Err(Error::DatabaseGone { root_dir: root_dir.to_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
