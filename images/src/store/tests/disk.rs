//! Who waits for the disk, with what done by then, and that nobody waits for those who do.

use std::cell::RefCell;
use std::io::{PipeWriter, Write as _};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::digest::Digest;
use crate::reference::Reference;
use crate::store::{Commit, DoneStep, StepResult};

/// Far more than what waits for no disk takes on the busiest machine.
const FOREVER: Duration = Duration::from_secs(60);

type Told = Box<dyn Fn(Wait)>;

thread_local! {
    static WAITING: RefCell<Option<Told>> = const { RefCell::new(None) };
}

/// Called by who is about to wait for the disk.
pub(in crate::store) fn waiting(wait: Wait) {
    WAITING.with_borrow(|told| {
        if let Some(told) = told {
            told(wait);
        }
    });
}

/// Does something with a disk that takes its time: each wait lasts until others have looked up an image, and made, found
/// and removed a container, and `then` has looked at the store. Answers what was waited for.
fn on_a_slow_disk<T: Send>(
    store: &Store,
    operation: impl FnOnce() -> Result<T, Error> + Send,
    mut then: impl FnMut(Wait),
) -> (T, Vec<Wait>) {
    let mut waits = Vec::new();
    let done = thread::scope(|scope| {
        let (begun, begins) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let operating = scope.spawn(move || {
            let told = move |wait| {
                begun.send(wait).expect("the test hears it");
                // A test that has failed meanwhile tells nothing.
                let _ = ended.recv();
            };
            WAITING.set(Some(Box::new(told)));
            let outcome = operation();
            WAITING.set(None);
            outcome
        });
        for wait in begins {
            let (works, worked) = mpsc::channel();
            scope.spawn(move || {
                use_another_image(store);
                let _ = works.send(());
            });
            worked.recv_timeout(FOREVER).unwrap_or_else(|error| panic!("{wait:?} keeps others: {error}"));
            then(wait);
            waits.push(wait);
            end.send(()).expect("it waits");
        }
        operating.join().expect("no panic")
    });
    (done.unwrap_or_else(|error| panic!("{}", error.chain())), waits)
}

/// What a container's start asks of the store, and its end.
fn use_another_image(store: &Store) {
    let id = store.resolve("other:1").expect("it can be looked up").expect("there");
    assert_eq!(store.get("other:1").expect("it can be looked up").id, id);
    store.prepare("passing", &id).expect("a snapshot");
    store.rootfs("passing").expect("there");
    store.remove_snapshot("passing").and_then(Discarded::delete).expect("removed");
}

fn store_with_another_image() -> TestStore {
    let store = TestStore::new();
    store.load(&TestImage::new("other:1", vec![layer("other", "other")]));
    store
}

fn records(store: &Store) -> usize {
    database::layers(&store.inner().connection).expect("layers").len()
}

#[test]
fn while_an_image_is_loaded_others_wait_for_nothing() {
    let store = store_with_another_image();
    let (one, _) = siblings();
    let archive = docker_archive([&one]);
    let load = || store.store().load(&archive[..], &NoProgress);
    let (_, waits) = on_a_slow_disk(&store, load, |wait| {
        let (dirs, records) = (store.count("layers"), records(&store));
        // A record must not be on the disk before what it speaks of is.
        match wait {
            Wait::Files => assert_eq!((dirs, records), (1, 1)),
            Wait::Layers => assert_eq!((dirs, records), (3, 1)),
            Wait::Log => assert_eq!((dirs, records), (3, 3)),
        }
        assert_eq!(store.resolve("one:1").expect("it can be looked up").is_some(), wait == Wait::Log);
    });
    assert_eq!(waits, [Wait::Files, Wait::Layers, Wait::Log]);
    store.assert_layers(3);
}

#[test]
fn while_images_are_named_and_removed_others_wait_for_nothing() {
    let store = store_with_another_image();
    let (one, _) = siblings();
    let id = store.load(&one);
    let name = Reference::parse("named").expect("a name");
    let (_, waits) = on_a_slow_disk(&store, || store.store().tag("one:1", &name), |_| ());
    assert_eq!(waits, [Wait::Log]);
    let remove = || store.store().remove(&id.to_string(), true, &[]);
    // The records must not come back alone.
    let still_there = |_| assert_eq!((store.count("layers"), records(&store)), (3, 1));
    let (_, waits) = on_a_slow_disk(&store, remove, still_there);
    assert_eq!(waits, [Wait::Log]);
    store.assert_layers(1);
}

#[test]
fn while_a_container_is_committed_and_removed_others_wait_for_nothing() {
    let store = store_with_another_image();
    let (one, _) = siblings();
    let id = store.load(&one);
    let rootfs = store.prepare("kept", &id).expect("a snapshot");
    fs::write(rootfs.upper.join("written"), "by the container").expect("written");
    let commit = Commit {
        image: id,
        reference: None,
        config: Default::default(),
        changes: Vec::new(),
        author: String::new(),
        comment: String::new(),
        created_by: String::new(),
        created: Timestamp::UNIX_EPOCH,
    };
    let (made, waits) = on_a_slow_disk(&store, || store.store().commit("kept", &commit), |_| ());
    assert_eq!(waits, [Wait::Files, Wait::Layers, Wait::Log]);
    for image in [made, id] {
        store.remove(&image.to_string(), true, &[]).expect("removed");
    }
    store.assert_layers(3);
    // The container has the last of its image's layers.
    let remove = || store.store().remove_snapshot("kept");
    let still_there = |_| assert_eq!((store.count("layers"), records(&store)), (3, 1));
    let (discarded, waits) = on_a_slow_disk(&store, remove, still_there);
    assert_eq!(waits, [Wait::Log]);
    discarded.delete().expect("deleted");
    store.assert_layers(1);
    // Of an image that stays, it waits for nothing, also while others bring layers that no image has yet.
    let id = store.resolve("other:1").expect("it can be looked up").expect("there");
    let tar = layer("made", "by a step");
    let write = |mut output: PipeWriter| {
        output.write_all(&tar).expect("it is read");
        Ok(())
    };
    let (_, lease) = store.add_layer(None, write).expect("a layer");
    let start = || store.store().prepare("started", &id).and_then(|_| store.store().remove_snapshot("started"));
    let (discarded, waits) = on_a_slow_disk(&store, start, |_| ());
    assert_eq!(waits, []);
    discarded.delete().expect("deleted");
    drop(lease);
}

#[test]
fn while_builds_end_and_are_pruned_others_wait_for_nothing() {
    let store = store_with_another_image();
    let tar = layer("made", "by a step");
    let write = |mut output: PipeWriter| {
        output.write_all(&tar).expect("it is read");
        Ok(())
    };
    let ((made, lease), waits) = on_a_slow_disk(&store, || store.store().add_layer(None, write), |_| ());
    assert_eq!(waits, [], "steps are brought to the disk all together");
    let result = StepResult { layer: Some(made), created: Timestamp::UNIX_EPOCH };
    let steps = [DoneStep { key: Digest::of(b"step"), instruction: "RUN step".into(), result }];
    let (_, waits) = on_a_slow_disk(&store, || store.store().finish_build(&steps, true, None), |_| ());
    assert_eq!(waits, [Wait::Files]);
    drop(lease);
    let still_there = |_| assert_eq!((store.count("layers"), records(&store)), (2, 1));
    let (_, waits) = on_a_slow_disk(&store, || store.store().prune_steps(|_| true), still_there);
    assert_eq!(waits, [Wait::Log]);
    store.assert_layers(1);
}

/// SQLite synchronises nothing of its own accord where a container's start could wait for it, and its log is bounded all
/// the same.
#[test]
fn the_log_is_taken_over_beside_those_who_write_to_it() {
    let mut store = store_with_another_image();
    let id = store.get("other:1").expect("there").id;
    let number = |name: &str| -> i64 {
        let inner = store.inner();
        inner.connection.pragma_query_value(None, name, |row| row.get(0)).expect("a number")
    };
    assert_eq!((number("synchronous"), number("wal_autocheckpoint")), (1, 0));
    let pages = || sqlite::pages(&store.inner().connection).expect("a number");
    let mut longest = pages();
    let begun_anew = (0..20_000).position(|at| {
        store.prepare(&at.to_string(), &id).expect("a snapshot");
        let pages = pages();
        let is_shorter = pages < longest;
        longest = longest.max(pages);
        is_shorter
    });
    let last = begun_anew.expect("it begins anew");
    store.reopen();
    assert_eq!(store.snapshots().expect("a list").len(), last + 1);
    assert!(store.rootfs(&last.to_string()).is_ok());
}
