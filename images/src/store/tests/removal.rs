//! Names, images and layers go when they should, and only then.

use super::*;
use crate::error::ErrorKind;
use crate::reference::Reference;
use crate::{ContainerUse, Removed};

fn user(container_id: &str, image: ImageId, running: bool) -> ContainerUse {
    ContainerUse { container_id: container_id.repeat(16), image, named: "one:1".to_owned(), running }
}

fn summary(removed: &[Removed]) -> String {
    let words: Vec<String> = removed
        .iter()
        .map(|item| match item {
            Removed::Untagged(name, _) => name.familiar(),
            Removed::Image(_) => "IMAGE".to_owned(),
            Removed::Layer(_) => "LAYER".to_owned(),
        })
        .collect();
    words.join(" ")
}

fn tag(store: &Store, image: &str, name: &str) {
    store.tag(image, &Reference::parse(name).expect("a reference")).expect("tagged");
}

#[test]
fn the_last_name_takes_the_image_and_its_own_layers() {
    let store = TestStore::new();
    let (one, two) = siblings();
    store.load(&one);
    store.load(&two);
    tag(&store, "one:1", "other");
    assert_eq!(summary(&store.remove("other", false, &[]).expect("untagged")), "other:latest");
    assert_eq!(summary(&store.remove("one:1", false, &[]).expect("removed")), "one:1 IMAGE LAYER");
    store.assert_layers(2);
    assert_eq!(summary(&store.remove("two:2", false, &[]).expect("removed")), "two:2 IMAGE LAYER LAYER");
    store.assert_layers(0);
    let error = store.remove("two:2", false, &[]).expect_err("gone");
    assert_eq!(error.to_string(), "No such image: two:2");
}

#[test]
fn an_id_takes_one_name_along_but_not_several() {
    let store = TestStore::new();
    let (one, two) = siblings();
    let id = store.load(&one).to_string();
    tag(&store, "one:1", "other");
    let error = store.remove(&id, false, &[]).expect_err("two repositories");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.to_string(),
        format!(
            "conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories",
            &id[7..19]
        )
    );
    assert_eq!(summary(&store.remove(&id, true, &[]).expect("forced")), "one:1 other:latest IMAGE LAYER LAYER");
    let id = store.load(&two).to_string();
    assert_eq!(summary(&store.remove(&id[..12], false, &[]).expect("removed")), "two:2 IMAGE LAYER LAYER");
}

#[test]
fn containers_keep_their_image() {
    let store = TestStore::new();
    let (one, _) = siblings();
    let id = store.load(&one);
    let short = id.short();
    let (running, stopped) = ([user("run1", id, true)], [user("stop", id, false)]);
    let refused = |name: &str, force: bool, uses: &[ContainerUse]| {
        let error = store.remove(name, force, uses).expect_err("in use");
        assert_eq!(error.kind(), ErrorKind::Conflict);
        error.to_string()
    };
    assert_eq!(
        refused("one:1", false, &stopped),
        format!(
            "conflict: unable to remove repository reference \"one:1\" (must force) - \
             container stopstopstop is using its referenced image {short}"
        )
    );
    assert_eq!(
        refused(&short, false, &stopped),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is being used by stopped container stopstopstop"
        )
    );
    for force in [false, true] {
        assert_eq!(
            refused(&short, force, &running),
            format!(
                "conflict: unable to delete {short} (cannot be forced) - \
                 image is being used by running container run1run1run1"
            )
        );
    }
    // One of two names may go.
    tag(&store, "one:1", "other");
    assert_eq!(summary(&store.remove("other", false, &running).expect("untagged")), "other:latest");
    // Forced while a container runs, the name goes and the image stays.
    assert_eq!(summary(&store.remove("one:1", true, &running).expect("untagged")), "one:1");
    assert_eq!(store.get(&short).expect("still there").references, []);
}

#[test]
fn a_snapshot_keeps_layers_without_an_image() {
    let mut store = TestStore::new();
    let (one, _) = siblings();
    let id = store.load(&one);
    let rootfs = store.prepare("c1", &id).expect("a snapshot");
    fs::write(rootfs.upper.join("written"), "by the container").expect("written");
    let removed = store.remove("one:1", true, &[user("c1", id, false)]).expect("forced");
    assert_eq!(summary(&removed), "one:1 IMAGE");
    store.reopen();
    store.assert_layers(2);
    let rootfs = store.rootfs("c1").expect("still there");
    assert_eq!(read(rootfs.lowers[0].join("one")), "1");
    assert_eq!(read(rootfs.upper.join("written")), "by the container");
    store.remove_snapshot("c1").and_then(Discarded::delete).expect("removed");
    store.remove_snapshot("c1").and_then(Discarded::delete).expect("removed twice");
    store.assert_layers(0);
    assert_eq!(store.count("snapshots"), 0);
}

#[test]
fn pruning_takes_what_is_selected_and_unused() {
    let store = TestStore::new();
    let (one, two) = siblings();
    let (one, two) = (store.load(&one), store.load(&two));
    store.remove("one:1", true, &[user("c", one, true)]).expect("untagged");
    let dangling = |image: &Image| image.references.is_empty();
    let kept = store.prune(&[user("c", one, true)], dangling).expect("pruned");
    assert_eq!(kept, Pruned::default());
    let pruned = store.prune(&[], dangling).expect("pruned");
    assert_eq!(summary(&pruned.removed), "IMAGE LAYER");
    assert_eq!(pruned.reclaimed_bytes, 1);
    assert_eq!(store.get("two:2").expect("kept").id, two);
    assert_eq!(summary(&store.prune(&[], |_| true).expect("pruned").removed), "two:2 IMAGE LAYER LAYER");
    store.assert_layers(0);
}

#[test]
fn pruning_leaves_the_names_that_containers_have() {
    let store = TestStore::new();
    let (one, two) = siblings();
    let (one, two) = (store.load(&one), store.load(&two));
    let name = |text: &str| Reference::parse(text).expect("a reference");
    for (image, new) in [("one:1", "one:also"), ("two:2", "moved:1"), ("two:2", "spare:1")] {
        store.tag(image, &name(new)).expect("tagged");
    }
    // The second is of the image that had that name before, the last names its image by id.
    let named = |image, named: &str| ContainerUse { named: named.into(), ..user("c", image, false) };
    let uses = [named(one, "docker.io/library/one:1"), named(one, "moved:1")];
    assert_eq!(summary(&store.prune(&uses, |_| true).expect("pruned").removed), "spare:1 two:2 one:also");
    assert_eq!(store.get("moved:1").expect("kept").id, two);
    let by_id = [named(one, &one.to_string())];
    assert_eq!(summary(&store.prune(&by_id, |_| true).expect("pruned").removed), "moved:1 IMAGE LAYER one:1");
    assert_eq!(store.get(&one.to_string()).expect("kept").references, []);
}

#[test]
fn a_leased_layer_isnt_collected() {
    let store = TestStore::new();
    let (one, _) = siblings();
    store.load(&one);
    let chains = store.get("one:1").expect("loaded").layers;
    let (lease, present) = store.lease(chains).expect("leased");
    assert_eq!(present.len(), 2);
    assert_eq!(summary(&store.remove("one:1", false, &[]).expect("removed")), "one:1 IMAGE");
    assert_eq!(store.count("layers"), 2);
    drop(lease);
    store.prune(&[], |_| true).expect("nothing to prune");
    store.load(&one);
    assert_eq!(summary(&store.remove("one:1", false, &[]).expect("removed")), "one:1 IMAGE LAYER LAYER");
    store.assert_layers(0);
}

#[test]
fn snapshots_are_refused_by_name() {
    let store = TestStore::new();
    let (one, _) = siblings();
    let id = store.load(&one);
    for wrong in ["", "..", ".", "a/b", "-a", "ä", "a\0"] {
        let error = store.prepare(wrong, &id).expect_err(wrong);
        assert_eq!(error.kind(), ErrorKind::InvalidParameter, "{wrong:?}");
    }
    store.prepare("c", &id).expect("a snapshot");
    assert_eq!(store.prepare("c", &id).expect_err("twice").kind(), ErrorKind::Conflict);
    assert_eq!(store.rootfs("d").expect_err("none").kind(), ErrorKind::NotFound);
    let nowhere = ImageId(crate::digest::Digest::of(b""));
    assert_eq!(store.prepare("d", &nowhere).expect_err("no image").kind(), ErrorKind::NotFound);
    assert_eq!(store.snapshots().expect("a list"), ["c"]);
    assert_eq!(store.count("snapshots"), 1);
}
