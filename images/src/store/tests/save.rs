//! Archives that we write, read again by us and by others.

use std::process::Command;

use super::*;
use crate::digest::Digest;
use crate::testing::{Tar, TestImage, gzip, oci_archive};

fn image(names: Vec<&'static str>) -> TestImage {
    let base =
        Tar::new().dir("etc/", 0o755).file("etc/a", "base").file("etc/b", "first").file("etc/b", "second").finish();
    let top = Tar::new().file("etc/.wh.a", "").hard_link("x", "etc/b").file("etc/b", "top").finish();
    TestImage { names, ..TestImage::new("", vec![base, Tar::new().file("f", "f").hard_link("x", "f").finish(), top]) }
}

fn saved(store: &Store, names: &[&str]) -> Vec<u8> {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut archive = Vec::new();
    store.save(&names).and_then(|saving| saving.write(&mut archive)).expect("saved");
    archive
}

fn loadable(mut image: TestImage) -> TestImage {
    // Its target is in another layer, which no tar may say.
    image.layers[2] = Tar::new().file("etc/.wh.a", "").file("etc/b", "top").finish();
    image
}

#[test]
fn what_is_saved_is_what_was_loaded() {
    let store = TestStore::new();
    let (one, other) = (loadable(image(vec!["x:1", "x:2"])), loadable(image(vec!["y:1"])));
    let other = TestImage { layers: other.layers[..1].to_vec(), ..other };
    store.store().load(&oci_archive([&one], gzip)[..], &NoProgress).expect("loaded");
    store.load(&one);
    store.load(&other);
    let archive = saved(store.store(), &["x", "y:1"]);
    assert_eq!(archive, saved(store.store(), &["x", "y:1"]), "the same images, the same bytes");
    let again = TestStore::new();
    let mut loaded = again.store().load(&archive[..], &NoProgress).expect("loaded again");
    loaded.sort_by_key(|image| image.references.len());
    assert_eq!(
        loaded.iter().map(|image| image.id.0).collect::<Vec<_>>(),
        [&other, &one].map(|i| Digest::of(&i.config()))
    );
    assert_eq!(loaded[1].references.iter().map(crate::Reference::familiar).collect::<Vec<_>>(), ["x:1", "x:2"]);
    assert_eq!(saved(again.store(), &["x", "y:1"]), archive);
    let by_id = loaded[0].id.to_string();
    let nameless = TestStore::new();
    let loaded = nameless.store().load(&saved(store.store(), &[&by_id])[..], &NoProgress).expect("loaded by id");
    assert!(loaded[0].references.is_empty());
    let error = store.store().save(&["z".to_owned()]).err().expect("nothing of that name");
    assert_eq!(error.to_string(), "No such image: z:latest");
}

#[test]
fn others_take_it() {
    let store = TestStore::new();
    let image = loadable(image(vec!["x:1"]));
    store.load(&image);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let archive = dir.path().join("saved.tar");
    fs::write(&archive, saved(store.store(), &["x:1"])).expect("written");
    for source in ["docker-archive", "oci-archive"] {
        let output = Command::new("skopeo")
            .args(["inspect", "--config", "--raw", &format!("{source}:{}", archive.display())])
            .output()
            .expect("skopeo (Debian's skopeo)");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout.trim_ascii(), image.config(), "{source}");
        let copy = dir.path().join(format!("{source}.copy"));
        let status = Command::new("skopeo")
            .args(["copy", "--quiet", "--insecure-policy", &format!("{source}:{}", archive.display())])
            .arg(format!("oci-archive:{}", copy.display()))
            .status();
        assert!(status.expect("skopeo").success(), "its layers are what they say");
        let again = TestStore::new();
        let loaded = again.store().load(File::open(&copy).expect("copied"), &NoProgress).expect("loaded again");
        // Between formats skopeo writes the configuration anew; the layers stay what they are.
        let copied = again.store().get(&loaded[0].id.to_string()).expect("loaded");
        let diff_ids: Vec<_> = image.layers.iter().map(|layer| Digest::of(layer)).collect();
        assert_eq!(copied.config.rootfs.diff_ids.iter().map(|id| id.0).collect::<Vec<_>>(), diff_ids);
    }
}

#[test]
fn a_damaged_layer_is_noticed() {
    let store = TestStore::new();
    let id = store.load(&loadable(image(vec!["x:1"])));
    let layer = store.store().get(&id.to_string()).expect("loaded").layers[0];
    fs::write(store.root().join("layers").join(layer.0.hex()).join("diff/etc/a"), "BASE").expect("damaged");
    let error =
        store.store().save(&["x".to_owned()]).and_then(|saving| saving.write(std::io::sink())).expect_err("damaged");
    assert!(error.chain().contains("is damaged"), "{}", error.chain());
}
