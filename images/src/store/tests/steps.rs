//! Processes that end between any two steps of whatever changes the store: what is there afterwards is whole, nothing is left
//! over, and the next try works.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use jiff::Timestamp;

use super::registry::{Puller, Registry};
use super::*;
use crate::build::tests::{Builder, script};
use crate::digest::Digest;
use crate::store::{Commit, ContainerUse};
use crate::testing::gzip;
use crate::{BuildRequest, Reference, RunStep, StepOutput, unpack};

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

/// What changes a store that has `one:1` and `two:2`, and a container `kept` of `one:1` that wrote something; if something is
/// pruned, `made:1`, too. It may ask the registry with this address, which has `three:3`.
type Operation = fn(&Store, &str) -> Result<(), Error>;

const OPERATIONS: [(&str, Operation); 9] = [
    ("load", |store, _| store.load(&docker_archive([&third()])[..], &Silent).map(drop)),
    ("commit", |store, _| {
        let commit = Commit {
            image: store.get("one:1")?.id,
            reference: Some(Reference::parse("made:1")?),
            config: Default::default(),
            changes: Vec::new(),
            author: String::new(),
            comment: String::new(),
            created_by: String::new(),
            created: Timestamp::UNIX_EPOCH,
        };
        store.commit("kept", &commit).map(drop)
    }),
    ("remove", |store, _| match store.remove("two:2", false, &[]) {
        Err(Error::NoSuchImage(_)) => Ok(()),
        removed => removed.map(drop),
    }),
    ("prune", |store, _| {
        let used = ContainerUse {
            container_id: "kept".into(),
            image: store.get("one:1")?.id,
            named: "one:1".into(),
            running: false,
        };
        store.prune(&[used], |_| true).map(drop)
    }),
    ("prepare", |store, _| match store.prepare("new", &store.get("two:2")?.id) {
        Err(Error::SnapshotExists(_)) => Ok(()),
        prepared => prepared.map(drop),
    }),
    ("remove a container", |store, _| {
        match store.remove("one:1", true, &[]) {
            Err(Error::NoSuchImage(_)) => {}
            removed => drop(removed?),
        }
        store.remove_snapshot("kept")?.delete()
    }),
    ("pull", |store, registry| Puller::default().pull(store, &format!("{registry}/pulled:3")).map(drop)),
    ("build", |store, _| {
        build(store);
        Ok(())
    }),
    ("prune steps and caches", |store, _| {
        match store.remove("made:1", false, &[]) {
            Err(Error::NoSuchImage(_)) => {}
            removed => drop(removed?),
        }
        store.prune_steps(|_| true)?;
        store.prune_caches().map(drop)
    }),
];

fn third() -> TestImage {
    TestImage::new("three:3", vec![layer("etc/base", "base"), layer("three", "3"), layer("four", "4")])
}

/// Builds `made:1` of two stages.
fn build(store: &Store) {
    const DOCKERFILE: &str = "FROM one:1 AS tools\nRUN tool\nFROM one:1\nENV A=1\n\
        RUN --mount=type=cache,target=/cache,uid=5,mode=0711 first\nCOPY file /copied\nWORKDIR /new\n\
        COPY --from=tools /tool /\nRUN last\n";
    let request = BuildRequest {
        tags: vec![Reference::parse("made:1").expect("a name")],
        build_args: [("SOURCE_DATE_EPOCH".to_owned(), "0".to_owned())].into(),
        ..BuildRequest::default()
    };
    let context = Tar::new().file("Dockerfile", DOCKERFILE).file("file", "content");
    let writes = |step: &RunStep, _: &mut StepOutput<'_>| {
        between_steps();
        fs::write(step.rootfs.upper.join(script(step)), "written").expect("written");
        between_steps();
        0
    };
    Builder::new(store).build_context(context, &request, &writes, &|_| ()).expect("built");
}

fn prepared(root: &Path, name: &str) {
    let store = Store::open(root, &root.join("run")).expect("the store opens");
    let (one, two) = siblings();
    let loaded = store.load(&docker_archive([&one, &two])[..], &Silent).expect("loaded");
    let rootfs = store.prepare("kept", &loaded[0].id).expect("a snapshot");
    fs::write(rootfs.upper.join("written"), "by the container").expect("written");
    let written = File::options().write(true).open(rootfs.upper.join("written")).expect("a file");
    // Or what is made of it would be another image each time.
    written.set_modified(SystemTime::UNIX_EPOCH).expect("another time");
    if name.starts_with("prune") {
        build(&store);
    }
}

/// Everything that the store says is there is, to the last byte, and nothing else is on disk.
fn assert_whole(store: &Store, root: &Path, what: &str) {
    let rows = database::layers(&store.inner().connection).expect("layers");
    let known: BTreeSet<_> = rows.iter().map(|row| store.layer_dir(&row.chain_id)).collect();
    let entries = |dir: &str| -> BTreeSet<_> {
        fs::read_dir(root.join(dir)).expect("a directory").map(|entry| entry.expect("an entry").path()).collect()
    };
    assert_eq!(entries("layers"), known, "{what}");
    assert_eq!(entries("tmp"), BTreeSet::new(), "{what}");
    let containers = store.snapshots().expect("a list");
    let kept: BTreeSet<_> = containers.iter().map(|id| store.snapshot_dir(id)).collect();
    assert_eq!(entries("snapshots"), kept, "{what}");
    for cache in entries("caches") {
        let found = fs::metadata(&cache).expect("a cache");
        assert_eq!((found.uid(), found.mode() & 0o7777), (5, 0o711), "{what}: {}", cache.display());
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    assert!(!mounts.contains(&root.display().to_string()), "{what}: {mounts}");
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

#[test]
fn pull_may_end_anywhere() {
    wherever_it_ends("pull_may_end_anywhere", 6);
}

#[test]
fn build_may_end_anywhere() {
    wherever_it_ends("build_may_end_anywhere", 7);
}

#[test]
fn pruning_steps_may_end_anywhere() {
    wherever_it_ends("pruning_steps_may_end_anywhere", 8);
}

/// Has this test's program, as a child, do the operation, and end at one step after the other until it comes to its end.
fn wherever_it_ends(test: &str, number: usize) {
    let (name, operation) = OPERATIONS[number];
    if let Ok(order) = std::env::var(ORDER) {
        let [steps, registry, root] = order.split(' ').collect::<Vec<_>>().try_into().expect("an order");
        let root = Path::new(root);
        let store = Store::open(root, &root.join("run")).expect("the store opens");
        STEPS_LEFT.store(steps.parse().expect("a number"), Ordering::SeqCst);
        return operation(&store, registry).expect("it works unless it is ended");
    }
    let registry = (name == "pull").then(Registry::plain);
    if let Some(registry) = &registry {
        registry.put("pulled", [&third()], gzip);
    }
    let registry = registry.as_ref().map(|registry| registry.address.to_string()).unwrap_or_default();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut steps = 0;
    let mut outcome = None;
    loop {
        let root = dir.path().join(steps.to_string());
        prepared(&root, name);
        let status = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", &format!("store::tests::steps::{test}"), "--quiet"])
            .env(ORDER, format!("{steps} {registry} {}", root.display()))
            .stdout(Stdio::null())
            .status()
            .expect("started");
        let what = format!("{name}, ended after {steps} steps");
        let store = reopened(&root);
        assert_whole(&store, &root, &what);
        operation(&store, &registry).unwrap_or_else(|error| panic!("{what}, tried again: {}", error.chain()));
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
    assert!(database::layers(&store.inner().connection).expect("layers").is_empty(), "{what}");
}
