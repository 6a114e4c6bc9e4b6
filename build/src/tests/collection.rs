//! What a build uses stays, whatever is removed and pruned meanwhile.

use images::NoProgress;
use images::testing::{TestImage, docker_archive};

use super::*;

/// A store with an image `base:1` of two layers.
fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(&dir.path().join("root"), &dir.path().join("run")).expect("the store opens");
    let layers = ["one", "two"].map(|name| Tar::new().file(name, name).finish());
    store.load(&docker_archive([&TestImage::new("base:1", layers.into())])[..], &NoProgress).expect("loaded");
    (dir, store)
}

/// Takes away all that nobody uses.
fn collect(store: &Store) {
    match store.remove("base:1", true, &[]) {
        Err(images::Error::NoSuchImage(_)) => {}
        removed => drop(removed.expect("removed")),
    }
    store.prune(&[], |_| true).expect("pruned");
    store.prune_steps(|_| true).expect("pruned");
    store.prune_caches().expect("pruned");
}

fn tagged(name: &str) -> BuildRequest {
    BuildRequest { tags: vec![Reference::parse(name).expect("a name")], ..BuildRequest::default() }
}

fn assert_whole(store: &Store, name: &str, layers: usize) {
    let image = store.get(name).expect("built");
    assert_eq!(image.layers.len(), layers);
    let saved = store.save(&[name.to_owned()]).and_then(|saving| saving.write(std::io::sink()));
    saved.expect("every layer can be made again");
}

#[test]
fn between_any_two_things_that_it_tells() {
    let (_dir, store) = store();
    // The stages one after the other, or the image would be gone before the second begins.
    let text = "FROM base:1 AS tools\nRUN tool\nFROM tools\nENV A=1\nRUN --mount=type=cache,target=/cache first\n\
                COPY Dockerfile /copied\nWORKDIR /new\nCOPY --from=tools /tool /\nRUN last\n";
    let command = |step: &RunStep, _: &mut StepOutput<'_>| {
        collect(&store);
        for mount in &step.mounts {
            let StepMountKind::Bind(path) = &mount.kind else { continue };
            assert!(path.exists(), "{} is in use", path.display());
        }
        std::fs::write(step.rootfs.upper.join(script(step)), "written").expect("written");
        for (lower, name) in step.rootfs.lowers.iter().rev().zip(["one", "two"]) {
            assert!(lower.join(name).exists(), "{} is in use", lower.display());
        }
        0
    };
    let collects = |event: BuildEvent<'_>| {
        // The image that a stage begins with has to be there until it does.
        if !matches!(event, BuildEvent::Step { instruction, .. } if instruction.starts_with("FROM")) {
            collect(&store);
        }
    };
    Builder::new(&store).build_told(text, &tagged("made:1"), &command, &collects).expect("built");
    assert_whole(&store, "made:1", 2 + 6);
    collect(&store);
    assert_eq!(store.layer_sizes().expect("layers").len(), 0);
}

#[test]
fn an_image_that_is_only_named_anew_stays_what_it_is() {
    let (_dir, store) = store();
    let id = store.get("base:1").expect("loaded").id;
    let collects = |event: BuildEvent<'_>| {
        if matches!(event, BuildEvent::Done(_)) {
            collect(&store);
        }
    };
    let never = |_: &RunStep, _: &mut StepOutput<'_>| panic!("nothing runs");
    let built = Builder::new(&store).build_told("FROM base:1\n", &tagged("new:1"), &never, &collects).expect("built");
    assert_eq!(built.id, id);
    assert_whole(&store, "new:1", 2);
}
