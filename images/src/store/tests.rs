//! The store from outside: archives in, images, names and snapshots out.

mod cached;
mod caches;
mod catalog;
mod commit;
mod copy_out;
mod crash;
pub(super) mod disk;
mod load;
mod overlay;
mod pull;
mod push;
mod real_tools;
mod registry;
mod removal;
mod save;
mod steps;

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::digest::ImageId;
use crate::progress::NoProgress;
use crate::testing::{Tar, TestImage, docker_archive, layer, siblings};

struct TestStore {
    dir: TempDir,
    store: Option<Store>,
}

impl TestStore {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut store = Self { dir, store: None };
        store.reopen();
        store
    }

    /// As after the end of one process and the start of the next.
    fn reopen(&mut self) {
        self.store = None;
        self.store = Some(self.open().expect("the store opens"));
    }

    fn close(&mut self) {
        self.store = None;
    }

    fn open(&self) -> Result<Store, Error> {
        Store::open(&self.root(), &self.dir.path().join("run"))
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn load(&self, image: &TestImage) -> ImageId {
        let archive = docker_archive([image]);
        let loaded = self.store().load(&archive[..], &NoProgress).expect("a good archive");
        loaded[0].id
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("open")
    }

    /// How many entries a directory of the store has.
    fn count(&self, dir: &str) -> usize {
        let entries = fs::read_dir(self.root().join(dir)).expect("a directory");
        entries.count()
    }

    /// Nothing is there but what the database knows, and nothing is in progress.
    fn assert_layers(&self, expected: usize) {
        let inner = self.store().inner();
        let rows = database::layers(&inner.connection).expect("layers");
        assert_eq!(rows.len(), expected, "layers on record");
        assert_eq!(self.count("layers"), expected, "layers on disk");
        assert_eq!(self.count("tmp"), 0, "work in progress");
        let links = fs::read_dir(&self.store().links_dir).expect("links").count();
        assert_eq!(links, expected + 1, "short links");
        assert!(inner.leases.is_empty(), "leases");
    }
}

impl std::ops::Deref for TestStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        self.store()
    }
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).expect("a file")
}
