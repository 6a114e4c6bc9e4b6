//! What the build cache takes, and what images do: each layer is counted once.

use std::io::Write as _;

use jiff::Timestamp;

use super::*;
use crate::digest::Digest;
use crate::store::{DoneStep, StepLayer, StepResult};

/// Makes a layer as a step does that leaves one file.
pub(super) fn make(store: &Store, below: ChainId, name: &str, content: &str) -> StepLayer {
    let tar = layer(name, content);
    let write = |mut output: std::io::PipeWriter| {
        output.write_all(&tar).expect("it is read");
        Ok(())
    };
    store.add_layer(Some(below), write).expect("made").0
}

pub(super) fn done(key: &str, layer: StepLayer) -> DoneStep {
    DoneStep {
        key: Digest::of(key.as_bytes()),
        instruction: format!("RUN {key}"),
        result: StepResult { layer: Some(layer), created: Timestamp::UNIX_EPOCH },
    }
}

/// The sizes of what is counted with the cache, in no particular order.
fn cache_sizes(store: &Store) -> Vec<u64> {
    let steps = store.cached_steps().expect("a list");
    let mut sizes: Vec<u64> = steps.iter().filter(|step| !step.is_shared).map(|step| step.size_bytes).collect();
    sizes.sort_unstable();
    sizes
}

#[test]
fn layers_of_a_build_that_failed_are_the_caches_alone() {
    let store = TestStore::new();
    let (one, _) = siblings();
    store.load(&one);
    let of_images = store.layers_size_bytes().expect("a sum");
    let top = *store.get("one:1").expect("there").layers.last().expect("a layer");
    let first = make(&store, top, "first", "123");
    let second = make(&store, first.chain_id, "second", "12345");
    // Two steps may lead to the same.
    let steps = [done("first", first), done("second", second), done("second again", second)];
    store.finish_build(&steps, true, None).expect("recorded");
    assert_eq!(store.layers_size_bytes().expect("a sum"), of_images);
    assert_eq!(cache_sizes(&store), [0, 3, 5]);
    // Without the image, the cache alone keeps its layers.
    store.remove("one:1", false, &[]).expect("removed");
    assert_eq!(store.layers_size_bytes().expect("a sum"), 0);
    let sum: u64 = cache_sizes(&store).iter().sum();
    assert_eq!(sum, 8 + of_images);
    let (keys, pruned) = store.prune_steps(|step| !step.is_shared).expect("pruned");
    assert_eq!((keys.len(), pruned.reclaimed_bytes), (3, 8 + of_images));
    store.assert_layers(0);
}

#[test]
fn layers_of_an_image_are_not_the_caches() {
    let store = TestStore::new();
    let (one, _) = siblings();
    store.load(&one);
    let layers = store.get("one:1").expect("there").layers;
    // A step that led to what the image has, below its top.
    let inner = StepLayer { chain_id: layers[0], diff_id: crate::digest::DiffId(layers[0].0) };
    store.finish_build(&[done("inner", inner)], false, None).expect("recorded");
    let steps = store.cached_steps().expect("a list");
    assert!(steps[0].is_shared && steps[0].size_bytes > 0);
}
