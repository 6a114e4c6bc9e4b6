//! Processes that end between any two steps of whatever changes the store: what is there afterwards is whole, nothing is left
//! over, and the next try works.

use std::cell::OnceCell;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::cached::{done, make};
use super::registry::{Puller, Registry};
use super::*;
use crate::Reference;
use crate::digest::Digest;
use crate::store::{BuiltImage, CacheRequest, CacheUse, Commit, ContainerUse, NewImage};
use crate::testing::{self, Operation, gzip};

/// What changes a store that has `one:1` and `two:2`, and a container `kept` of `one:1` that wrote something; if something is
/// pruned, `made:1`, too. It may ask the registry with this address, which has `three:3`.
type Work = fn(&Store, &str) -> Result<(), Error>;

const OPERATIONS: [(&str, Work); 8] = [
    ("load", |store, _| store.load(&docker_archive([&third()])[..], &NoProgress).map(drop)),
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

/// What a build leaves: `made:1` of two steps on `one:1`, a step that these only took something from, and a cache.
fn built(store: &Store) {
    let image = store.get("one:1").expect("there");
    let base = *image.layers.last().expect("a layer");
    let tool = make(store, base, "tool", "written");
    let first = make(store, base, "first", "written");
    let last = make(store, first.chain_id, "last", "written");
    let steps = [done("tool", tool), done("first", first), done("last", last)];
    let mut config = image.config;
    config.rootfs.diff_ids.extend([first.diff_id, last.diff_id]);
    let document = serde_json::to_vec(&config).expect("plain JSON");
    let image = NewImage {
        id: ImageId(Digest::of(&document)),
        document,
        top: Some(last.chain_id),
        references: vec![Reference::parse("made:1").expect("a name")],
    };
    let of_image = steps[1..].iter().map(|step| step.key).collect();
    store.finish_build(&steps, true, Some(BuiltImage { image, steps: of_image })).expect("recorded");
    let wish = CacheRequest { id: "/cache".to_owned(), how: CacheUse::Shared, owner: (5, 5), mode: 0o711 };
    let never = CancellationToken::new();
    store.acquire_caches(&[&wish], &never, || panic!("nobody keeps it"), &|_, _| None).expect("made");
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
fn pruning_steps_may_end_anywhere() {
    wherever_it_ends("pruning_steps_may_end_anywhere", 7);
}

fn wherever_it_ends(test: &str, number: usize) {
    let (name, work) = OPERATIONS[number];
    let before = |store: &Store| {
        if name.starts_with("prune") {
            built(store);
        }
    };
    let registry = OnceCell::new();
    let start = || {
        let registry = Registry::plain();
        registry.put("pulled", [&third()], gzip);
        registry
    };
    let told = || match name {
        "pull" => registry.get_or_init(start).address.to_string(),
        _ => String::new(),
    };
    let operation = Operation { name, before: &before, told: &told, work: &work };
    testing::wherever_it_ends(&format!("store::tests::steps::{test}"), &operation);
}
