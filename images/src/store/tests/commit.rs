//! What a container changed becomes a layer like any other.

use jiff::Timestamp;

use super::*;
use crate::digest::Digest;
use crate::store::Commit;
use crate::unpack;

fn commit(image: ImageId, name: &str) -> Commit {
    Commit {
        image,
        reference: Some(crate::Reference::parse(name).expect("a reference")),
        config: Default::default(),
        changes: vec!["ENV A=b".to_owned()],
        author: "somebody".into(),
        comment: "said".into(),
        created_by: "sh -c true".into(),
        created: Timestamp::UNIX_EPOCH,
    }
}

#[test]
fn a_layer_on_top_that_can_be_saved() {
    let store = TestStore::new();
    let (one, _) = siblings();
    let image = store.load(&one);
    let rootfs = store.prepare("c", &image).expect("a snapshot");
    fs::create_dir(rootfs.upper.join("etc")).expect("made");
    fs::write(rootfs.upper.join("etc/new"), "new").expect("written");
    let (up, outside) = ("../../..", rootfs.upper.parent().expect("a directory").display().to_string());
    for (link, target) in [("climbing", up), ("absolute", outside.as_str())] {
        std::os::unix::fs::symlink(target, rootfs.upper.join(link)).expect("made");
    }
    let before = store.get(&image.to_string()).expect("there");
    let id = store.commit("c", &commit(image, "made:1")).expect("committed");
    assert_eq!(store.commit("c", &commit(image, "made:1")).expect("again"), id, "the same makes the same");
    let made = store.get("made:1").expect("there");
    assert_eq!(
        (made.id, made.layers.len(), &made.layers[..before.layers.len()]),
        (id, before.layers.len() + 1, &before.layers[..])
    );
    assert_eq!((made.config.author.as_str(), made.config.config.env.as_slice()), ("somebody", &["A=b".to_owned()][..]));
    assert_eq!((made.config.parent, before.config.parent), (Some(image), None));
    let old = r#"{"parent":"0123","rootfs":{"diff_ids":[]}}"#;
    assert_eq!(serde_json::from_str::<crate::ImageConfig>(old).expect("a document").parent, None);
    let top = store.layer_dir(made.layers.last().expect("a layer"));
    assert_eq!(read(top.join("diff/etc/new")), "new");
    assert_eq!(fs::read_link(top.join("diff/climbing")).expect("a link").as_os_str(), up);
    assert_eq!(fs::read_link(top.join("diff/absolute")).expect("a link").as_os_str(), outside.as_str());
    let mut tar = Vec::new();
    std::io::Read::read_to_end(&mut unpack::tar_of(&top).expect("tar-split data"), &mut tar).expect("made again");
    assert_eq!(Some(&crate::DiffId(Digest::of(&tar))), made.config.rootfs.diff_ids.last());
    // With its container and the image below gone, it still has all its layers.
    store.remove_snapshot("c").expect("removed").delete().expect("deleted");
    store.remove(&image.to_string(), true, &[]).expect("removed");
    store.assert_layers(made.layers.len());
}

#[test]
fn nothing_changed_makes_no_layer() {
    let store = TestStore::new();
    let (one, _) = siblings();
    let image = store.load(&one);
    store.prepare("c", &image).expect("a snapshot");
    let before = store.get(&image.to_string()).expect("there");
    let id = store.commit("c", &commit(image, "made")).expect("committed");
    let made = store.get("made:latest").expect("there");
    assert_eq!((made.id, made.layers.len()), (id, before.layers.len()));
    assert!(made.config.history.last().expect("a step").empty_layer);
}

#[test]
fn refusals_leave_nothing() {
    let store = TestStore::new();
    let (one, _) = siblings();
    let image = store.load(&one);
    let rootfs = store.prepare("c", &image).expect("a snapshot");
    let renamed = rootfs.upper.join("renamed");
    fs::create_dir(&renamed).expect("made");
    let no_flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&renamed, "trusted.overlay.redirect", b"/etc", no_flags).expect("set");
    let error = store.commit("c", &commit(image, "made")).expect_err("refused");
    assert!(error.chain().contains("renamed was renamed by"), "{}", error.chain());
    fs::remove_dir(&renamed).expect("removed");
    // As a layer it would delete the image's file.
    fs::create_dir_all(rootfs.upper.join("etc")).expect("made");
    fs::write(rootfs.upper.join("etc/.wh.base"), "").expect("written");
    let error = store.commit("c", &commit(image, "made")).expect_err("refused");
    assert_eq!(error.kind(), crate::error::ErrorKind::Conflict);
    assert!(error.chain().contains("/etc/.wh.base can't be in an image"), "{}", error.chain());
    assert!(matches!(store.commit("d", &commit(image, "made")), Err(Error::NoSuchSnapshot(_))));
    assert_eq!((store.count("tmp"), store.list().expect("a list").len()), (0, 1));
}
