//! Caches that begin with something, which takes a while to copy.

use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::{fs, io, thread};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::store::{CacheRequest, CacheUse};

fn request(id: &str) -> CacheRequest {
    CacheRequest { id: id.to_owned(), how: CacheUse::Shared, owner: (0, 0), mode: 0o755 }
}

/// Holds a cache for a moment, and gives its place and what was in it.
fn hold(store: &Store, id: &str, content: &dyn Fn(usize, &Path) -> Option<io::Result<PathBuf>>) -> (PathBuf, Vec<u8>) {
    let never = CancellationToken::new();
    let held = store.acquire_caches(&[&request(id)], &never, || panic!("nobody keeps it"), content).expect("held");
    let place = held.paths().remove(0);
    let text = fs::read(place.join("begin")).unwrap_or_default();
    (place, text)
}

fn filled(work: &Path) -> io::Result<PathBuf> {
    let made = work.join("made");
    fs::create_dir(&made)?;
    fs::write(made.join("begin"), "all of it")?;
    Ok(made)
}

#[test]
fn others_do_not_wait_for_what_a_cache_begins_with() {
    let store = TestStore::new();
    let slow = |_: usize, work: &Path| {
        let (other, text) = hold(&store, "other", &|_, _| None);
        assert!(other.is_dir() && text.is_empty());
        Some(filled(work))
    };
    assert_eq!(hold(&store, "slow", &slow).1, b"all of it");
}

#[test]
fn of_several_who_begin_a_shared_cache_each_finds_all_of_it() {
    let store = TestStore::new();
    let both = Barrier::new(2);
    let content = |_: usize, work: &Path| {
        both.wait();
        Some(filled(work))
    };
    let held: Vec<_> = thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(|| hold(&store, "kept", &content)));
        threads.into_iter().map(|thread| thread.join().expect("held")).collect()
    });
    assert_eq!(held[0], held[1]);
    assert_eq!(held[0].1, b"all of it");
}
