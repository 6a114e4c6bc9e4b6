//! Processes that end between any two steps of whatever changes the store: what is there afterwards is whole, nothing is left
//! over, and the next try works.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;

use super::*;
use crate::digest::Digest;
use crate::store::{Commit, ContainerUse};
use crate::unpack;

const ORDER: &str = "IMAGES_TEST_STEPS";
/// More than any operation has.
const FAR_TOO_MANY: usize = 200;

static STEPS_LEFT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Called between two steps; ends the process at the one that was ordered.
pub(in crate::store) fn count() {
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

/// What changes a store that has `one:1` and `two:2`, and a container `kept` of `one:1` that wrote something.
type Operation = fn(&Store) -> Result<(), Error>;

const OPERATIONS: [(&str, Operation); 6] = [
    ("load", |store| {
        let third = TestImage::new("three:3", vec![layer("etc/base", "base"), layer("three", "3"), layer("four", "4")]);
        store.load(&docker_archive([&third])[..], &Silent).map(drop)
    }),
    ("commit", |store| {
        let commit = Commit {
            image: store.get("one:1")?.id,
            reference: Some(crate::Reference::parse("made:1")?),
            config: Default::default(),
            changes: Vec::new(),
            author: String::new(),
            comment: String::new(),
            created_by: String::new(),
            created: Timestamp::UNIX_EPOCH,
        };
        store.commit("kept", &commit).map(drop)
    }),
    ("remove", |store| match store.remove("two:2", false, &[]) {
        Err(Error::NoSuchImage(_)) => Ok(()),
        removed => removed.map(drop),
    }),
    ("prune", |store| {
        let used = ContainerUse { container_id: "kept".into(), image: store.get("one:1")?.id, running: false };
        store.prune(&[used], |_| true).map(drop)
    }),
    ("prepare", |store| match store.prepare("new", &store.get("two:2")?.id) {
        Err(Error::SnapshotExists(_)) => Ok(()),
        prepared => prepared.map(drop),
    }),
    ("remove a container", |store| {
        match store.remove("one:1", true, &[]) {
            Err(Error::NoSuchImage(_)) => {}
            removed => drop(removed?),
        }
        store.remove_snapshot("kept")?.delete()
    }),
];

fn prepared(root: &Path) {
    let store = Store::open(root, &root.join("run")).expect("the store opens");
    let (one, two) = siblings();
    let loaded = store.load(&docker_archive([&one, &two])[..], &Silent).expect("loaded");
    let rootfs = store.prepare("kept", &loaded[0].id).expect("a snapshot");
    fs::write(rootfs.upper.join("written"), "by the container").expect("written");
}

/// Everything that the store says is there is, to the last byte, and nothing else is on disk.
fn assert_whole(store: &Store, root: &Path, what: &str) {
    let rows = database::all_layers(&store.inner().connection).expect("layers");
    let known: BTreeSet<_> = rows.iter().map(|row| store.layer_dir(&row.chain_id)).collect();
    let entries = |dir: &str| -> BTreeSet<_> {
        fs::read_dir(root.join(dir)).expect("a directory").map(|entry| entry.expect("an entry").path()).collect()
    };
    assert_eq!(entries("layers"), known, "{what}");
    assert_eq!(entries("tmp"), BTreeSet::new(), "{what}");
    let containers = store.snapshots().expect("a list");
    let kept: BTreeSet<_> = containers.iter().map(|id| store.snapshot_dir(id)).collect();
    assert_eq!(entries("snapshots"), kept, "{what}");
    for image in store.list().expect("a list") {
        for (chain_id, diff_id) in image.layers.iter().zip(&image.config.rootfs.diff_ids) {
            let mut tar = Vec::new();
            let mut made = unpack::tar_of(&store.layer_dir(chain_id)).expect("a recipe");
            made.read_to_end(&mut tar).expect("made again");
            assert_eq!(Digest::of(&tar), diff_id.0, "{what}: layer {chain_id} of {}", image.id);
        }
    }
    for id in containers {
        let rootfs = store.rootfs(&id).expect("a snapshot");
        assert!(rootfs.lowers.iter().all(|lower| lower.join("etc/base").exists() || lower.is_dir()), "{what}");
        assert!(id != "kept" || rootfs.upper.join("written").exists(), "{what}: what {id} wrote is gone");
    }
}

#[test]
fn load_may_end_anywhere() {
    wherever_it_ends("load_may_end_anywhere", 0);
}

#[test]
fn commit_may_end_anywhere() {
    wherever_it_ends("commit_may_end_anywhere", 1);
}

#[test]
fn remove_may_end_anywhere() {
    wherever_it_ends("remove_may_end_anywhere", 2);
}

#[test]
fn prune_may_end_anywhere() {
    wherever_it_ends("prune_may_end_anywhere", 3);
}

#[test]
fn prepare_may_end_anywhere() {
    wherever_it_ends("prepare_may_end_anywhere", 4);
}

#[test]
fn removing_a_container_may_end_anywhere() {
    wherever_it_ends("removing_a_container_may_end_anywhere", 5);
}

/// Has this test's program, as a child, do the operation, and end at one step after the other until it comes to its end.
fn wherever_it_ends(test: &str, number: usize) {
    let (name, operation) = OPERATIONS[number];
    if let Ok(order) = std::env::var(ORDER) {
        let (steps, root) = order.split_once(' ').expect("an order");
        let root = Path::new(root);
        let store = Store::open(root, &root.join("run")).expect("the store opens");
        STEPS_LEFT.store(steps.parse().expect("a number"), Ordering::SeqCst);
        return operation(&store).expect("it works unless it is ended");
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut steps = 0;
    loop {
        let root = dir.path().join(steps.to_string());
        prepared(&root);
        let status = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", &format!("store::tests::steps::{test}"), "--quiet"])
            .env(ORDER, format!("{steps} {}", root.display()))
            .stdout(Stdio::null())
            .status()
            .expect("started");
        let what = format!("{name}, ended after {steps} steps");
        let store = Store::open(&root, &root.join("run")).expect("it opens again");
        assert_whole(&store, &root, &what);
        operation(&store).unwrap_or_else(|error| panic!("{what}, tried again: {}", error.chain()));
        assert_whole(&store, &root, &format!("{what}, tried again"));
        if status.success() {
            break;
        }
        steps += 1;
        assert!(steps < FAR_TOO_MANY, "{name} never comes to its end");
    }
    assert!(steps > 1, "{name} has only {steps} steps");
}
