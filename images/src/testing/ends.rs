//! Processes that end between any two steps of whatever changes the store: what is there afterwards is whole, nothing is left
//! over, and the next try works.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use super::{docker_archive, layer_tar, siblings};
use crate::digest::{Digest, ImageId};
use crate::error::Error;
use crate::progress::NoProgress;
use crate::reference::Reference;
use crate::store::{Discarded, Store};

const ORDER: &str = "IMAGES_TEST_STEPS";
/// More than any operation has.
const FAR_TOO_MANY: usize = 200;

static STEPS_LEFT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Stands between two steps; ends the process at the one that was ordered.
pub fn between_steps() {
    let left = STEPS_LEFT.load(Ordering::SeqCst);
    if left == usize::MAX {
        return;
    }
    if left == 0 {
        let me = rustix::process::getpid();
        rustix::process::kill_process(me, rustix::process::Signal::KILL).expect("SIGKILL arrives");
    }
    STEPS_LEFT.store(left - 1, Ordering::SeqCst);
}

/// What changes a store that has `one:1` and `two:2` of [`siblings`], and a container `kept` of `one:1` that wrote something.
/// It may make a container `new`; those of other names are of a build's steps. Caches are to be of user 5, with mode 0711.
pub struct Operation<'a> {
    /// For messages.
    pub name: &'a str,
    /// Puts into the store what it has to have besides.
    pub before: &'a dyn Fn(&Store),
    /// A text without spaces that all processes are told; it is asked for once.
    pub told: &'a dyn Fn() -> String,
    /// Does it, told that text. What was done before in part, or whole, is fine.
    pub work: &'a dyn Fn(&Store, &str) -> Result<(), Error>,
}

/// Has this test's program, as a child, do the operation, and end at one step after the other until it comes to its end.
/// `test` is the calling test's full name.
pub fn wherever_it_ends(test: &str, operation: &Operation<'_>) {
    let Operation { name, before, told, work } = operation;
    if let Ok(order) = std::env::var(ORDER) {
        let [steps, told, root] = order.split(' ').collect::<Vec<_>>().try_into().expect("an order");
        let root = Path::new(root);
        let store = Store::open(root, &root.join("run")).expect("the store opens");
        STEPS_LEFT.store(steps.parse().expect("a number"), Ordering::SeqCst);
        return work(&store, told).expect("it works unless it is ended");
    }
    let told = told();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut steps = 0;
    let mut outcome = None;
    loop {
        let root = dir.path().join(steps.to_string());
        prepare(&root, before);
        let status = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", test, "--quiet"])
            .env(ORDER, format!("{steps} {told} {}", root.display()))
            .stdout(Stdio::null())
            .status()
            .expect("started");
        let what = format!("{name}, ended after {steps} steps");
        let store = reopened(&root);
        assert_whole(&store, &root, &what);
        work(&store, &told).unwrap_or_else(|error| panic!("{what}, tried again: {}", error.chain()));
        assert_whole(&store, &root, &format!("{what}, tried again"));
        assert_eq!(*outcome.get_or_insert(images(&store)), images(&store), "{what}, tried again");
        assert_empties(&store, &root, &what);
        if status.success() {
            break;
        }
        steps += 1;
        assert!(steps < FAR_TOO_MANY, "{name} never comes to its end");
    }
    assert!(steps > 1, "{name} has only {steps} steps");
}

fn prepare(root: &Path, before: &dyn Fn(&Store)) {
    let store = Store::open(root, &root.join("run")).expect("the store opens");
    let (one, two) = siblings();
    let loaded = store.load(&docker_archive([&one, &two])[..], &NoProgress).expect("loaded");
    let rootfs = store.prepare("kept", &loaded[0].id).expect("a snapshot");
    fs::write(rootfs.upper.join("written"), "by the container").expect("written");
    let written = File::options().write(true).open(rootfs.upper.join("written")).expect("a file");
    // Or what is made of it would be another image each time.
    written.set_modified(SystemTime::UNIX_EPOCH).expect("another time");
    before(&store);
}

/// Everything that the store says is there is, to the last byte, and nothing else is on disk.
fn assert_whole(store: &Store, root: &Path, what: &str) {
    let entries = |dir: &str| -> BTreeSet<_> {
        fs::read_dir(root.join(dir)).expect("a directory").map(|entry| entry.expect("an entry").path()).collect()
    };
    let layers = store.layer_sizes().expect("layers");
    let known: BTreeSet<_> = layers.keys().map(|layer| root.join("layers").join(layer.0.hex())).collect();
    assert_eq!(entries("layers"), known, "{what}");
    assert_eq!(entries("tmp"), BTreeSet::new(), "{what}");
    let containers = store.snapshots().expect("a list");
    let kept: BTreeSet<_> = containers.iter().map(|id| root.join("snapshots").join(id)).collect();
    assert_eq!(entries("snapshots"), kept, "{what}");
    for cache in entries("caches") {
        let found = fs::metadata(&cache).expect("a cache");
        assert_eq!((found.uid(), found.mode() & 0o7777), (5, 0o711), "{what}: {}", cache.display());
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    assert!(!mounts.contains(&root.display().to_string()), "{what}: {mounts}");
    for image in store.list().expect("a list") {
        for (chain_id, diff_id) in image.layers.iter().zip(&image.config.rootfs.diff_ids) {
            let tar = layer_tar(root, chain_id);
            assert_eq!(Digest::of(&tar), diff_id.0, "{what}: layer {chain_id} of {}", image.id);
        }
    }
    for id in containers {
        let rootfs = store.rootfs(&id).expect("a snapshot");
        assert!(rootfs.lowers.iter().all(|lower| lower.join("etc/base").exists() || lower.is_dir()), "{what}");
        assert!(id != "kept" || rootfs.upper.join("written").exists(), "{what}: what {id} wrote is gone");
    }
}

/// The store of a process that has ended, without what only that one knew of: a build's steps have containers, too.
fn reopened(root: &Path) -> Store {
    let store = Store::open(root, &root.join("run")).expect("it opens again");
    let of_steps = store.snapshots().expect("a list").into_iter().filter(|id| id != "kept" && id != "new");
    for id in of_steps {
        store.remove_snapshot(&id).and_then(Discarded::delete).expect("removed");
    }
    store
}

fn images(store: &Store) -> Vec<(ImageId, Vec<Reference>)> {
    store.list().expect("a list").into_iter().map(|image| (image.id, image.references)).collect()
}

/// Nothing is left once all that has a name is gone.
fn assert_empties(store: &Store, root: &Path, what: &str) {
    for id in store.snapshots().expect("a list") {
        store.remove_snapshot(&id).and_then(Discarded::delete).expect("removed");
    }
    for (id, _) in images(store) {
        store.remove(&id.to_string(), true, &[]).expect("removed");
    }
    store.prune_steps(|_| true).expect("pruned");
    store.prune_caches().expect("pruned");
    for dir in ["layers", "snapshots", "caches", "tmp"] {
        assert_eq!(fs::read_dir(root.join(dir)).expect("a directory").count(), 0, "{what}: {dir}");
    }
    assert!(store.layer_sizes().expect("layers").is_empty(), "{what}");
}
