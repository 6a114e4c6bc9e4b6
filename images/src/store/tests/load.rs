//! Archives of all kinds, good and bad.

use std::sync::Mutex;

use super::*;
use crate::error::ErrorKind;
use crate::progress::ProgressEvent;
use crate::testing::{gzip, oci_archive, zstd};

fn load(store: &Store, archive: &[u8]) -> Result<Vec<LoadedImage>, Error> {
    store.load(archive, &NoProgress)
}

#[test]
fn archives_of_every_kind_make_the_same_image() {
    let (image, _) = siblings();
    let docker = docker_archive([&image]);
    let kinds = [
        ("docker", docker.clone()),
        ("docker in gzip", gzip(&docker)),
        ("docker in zstd", zstd(&docker)),
        ("oci", oci_archive([&image], <[u8]>::to_vec)),
        ("oci with gzip layers", oci_archive([&image], gzip)),
        ("oci with zstd layers in gzip", gzip(&oci_archive([&image], zstd))),
    ];
    for (kind, archive) in kinds {
        let store = TestStore::new();
        let loaded = load(&store, &archive).expect(kind);
        assert_eq!(loaded.len(), 1, "{kind}");
        assert_eq!(loaded[0].references[0].familiar(), "one:1", "{kind}");
        let image = store.get("one:1").expect(kind);
        assert_eq!(image.id, loaded[0].id, "{kind}");
        assert_eq!(image.size_bytes, 5, "{kind}");
        assert_eq!(image.config.config.cmd, Some(vec!["/bin/sh".to_owned()]), "{kind}");
        let rootfs = store.prepare("c", &image.id).expect(kind);
        assert_eq!(rootfs.lowers.len(), 2, "{kind}");
        assert_eq!(read(rootfs.lowers[0].join("one")), "1", "{kind}");
        assert_eq!(read(rootfs.lowers[1].join("etc/base")), "base", "{kind}");
        store.assert_layers(2);
    }
}

#[test]
fn layers_are_shared_and_reported() {
    let store = TestStore::new();
    let (one, two) = siblings();
    store.load(&one);
    let events = Mutex::new(Vec::new());
    let archive = docker_archive([&two]);
    let listen = |event: ProgressEvent| events.lock().expect("no panic").push(event);
    store.store().load(&archive[..], &listen).expect("a good archive");
    let events = events.into_inner().expect("no panic");
    let existing = events.iter().filter(|e| matches!(e, ProgressEvent::AlreadyExists { .. })).count();
    let unpacked = events.iter().filter(|e| matches!(e, ProgressEvent::Unpacked { .. })).count();
    assert_eq!((existing, unpacked), (1, 1));
    store.assert_layers(3);
}

#[test]
fn several_images_come_in_one_archive_and_names_move() {
    let store = TestStore::new();
    let (one, two) = siblings();
    let loaded = load(&store, &docker_archive([&one, &two])).expect("a good archive");
    assert_eq!(loaded.len(), 2);
    store.assert_layers(3);
    let renamed = TestImage { names: vec!["one:1"], ..two };
    let loaded = load(&store, &docker_archive([&renamed])).expect("a good archive");
    let before = &loaded[0].replaced;
    assert_eq!(before.len(), 1);
    assert_eq!(before[0].1, ImageId(crate::digest::Digest::of(&one.config())));
    assert_eq!(store.get(&before[0].1.to_string()).expect("by id").references, []);
    let (tags, id) = (store.get("one:1").expect("by name").references, loaded[0].id);
    assert_eq!(tags.len(), 2);
    assert_eq!(store.get("two:2").expect("by name").id, id);
}

#[test]
fn an_index_gives_the_image_for_this_machine() {
    let host = Platform::host();
    let foreign = if host.architecture == "amd64" { "arm64" } else { "amd64" };
    let image = |architecture| {
        let content = format!("for {architecture}");
        TestImage { architecture, ..TestImage::new("many:1", vec![layer("f", &content)]) }
    };
    let ours = TestImage { architecture: if foreign == "arm64" { "amd64" } else { "arm64" }, ..image("amd64") };
    let store = TestStore::new();
    let loaded = load(&store, &oci_archive([&image(foreign), &ours], gzip)).expect("a good archive");
    assert_eq!(loaded.len(), 1);
    assert_eq!(store.get("many:1").expect("loaded").config.architecture, ours.architecture);
    let other = TestImage { architecture: "s390x", ..image("s390x") };
    let error = load(&store, &oci_archive([&image("riscv64"), &other], gzip)).expect_err("nothing for us");
    assert!(error.to_string().ends_with("it has linux/riscv64, linux/s390x"), "{error}");
}

#[test]
fn an_archive_cut_anywhere_changes_nothing() {
    let store = TestStore::new();
    let (one, two) = siblings();
    let archives = [
        docker_archive([&one, &two]),
        gzip(&docker_archive([&one])),
        oci_archive([&one], gzip),
        zstd(&oci_archive([&two], zstd)),
    ];
    for archive in archives {
        // The padding at a tar's end is no loss.
        let content = archive.iter().rposition(|byte| *byte != 0).expect("not empty") + 1;
        for cut in (0..content).step_by((content / 60).max(1)) {
            let error = load(&store, &archive[..cut]).expect_err("cut short");
            let said = error.chain();
            assert_eq!(error.kind(), ErrorKind::InvalidParameter, "{cut}: {said}");
            // Between two members a tar can end, and its first bytes can be anything's.
            let told = ["cut short", "isn't an image archive", "isn't a tar archive"];
            assert!(told.iter().any(|part| said.contains(part)), "{cut}: {said}");
        }
    }
    assert!(store.list().expect("a list").is_empty());
    store.assert_layers(0);
    store.load(&one);
}

#[test]
fn wrong_digests_are_refused_by_name() {
    let store = TestStore::new();
    let (image, _) = siblings();
    let flip = |archive: &[u8], needle: &[u8]| {
        let at = archive.windows(needle.len()).position(|window| window == needle).expect("there");
        let mut archive = archive.to_vec();
        archive[at] ^= 1;
        archive
    };
    let cases = [
        ("a layer's content", flip(&docker_archive([&image]), b"base"), "can't unpack layer sha256:"),
        ("the configuration", flip(&docker_archive([&image]), b"step 0"), "wrong digest: "),
        ("an OCI layer", flip(&oci_archive([&image], <[u8]>::to_vec), b"base"), "wrong digest: blobs/sha256/"),
        ("an OCI manifest", flip(&oci_archive([&image], gzip), b"schemaVersion"), "wrong digest: blobs/sha256/"),
    ];
    for (what, archive, expected) in cases {
        let error = load(&store, &archive).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::InvalidParameter, "{what}: {}", error.chain());
        assert!(error.chain().starts_with(expected), "{what}: {}", error.chain());
    }
    store.assert_layers(0);
}

#[test]
fn what_is_no_image_archive_is_refused() {
    let store = TestStore::new();
    let manifest = |text: &str| Tar::new().file("manifest.json", text).finish();
    let missing_layer = {
        let config = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
        let manifest = r#"[{"Config":"c","Layers":["nowhere"]}]"#;
        Tar::new().file("c", config).file("manifest.json", manifest).finish()
    };
    let two_for_none = {
        let config = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
        let manifest = r#"[{"Config":"c","Layers":["c"]}]"#;
        Tar::new().file("c", config).file("manifest.json", manifest).finish()
    };
    let cases = [
        ("nothing", Vec::new(), "this isn't an image archive"),
        ("a root file system", layer("etc/passwd", ""), "this isn't an image archive"),
        ("text", b"hello, world".repeat(100), "can't read the image archive: it isn't a tar archive"),
        (
            "lz4",
            b"\x04\x22\x4d\x18....".to_vec(),
            "can't read the image archive: the archive can't be read: lz4 compression",
        ),
        ("JSON that isn't", manifest("[{"), "invalid image archive: manifest.json can't be understood"),
        ("no image", manifest("[]"), "the archive holds no image"),
        ("no configuration", manifest(r#"[{"Config":"x"}]"#), "invalid image archive: x is missing"),
        ("no layer", missing_layer, "invalid image archive: nowhere is missing"),
        ("layers that don't match", two_for_none, "invalid image archive: sha256:"),
        (
            "a name that isn't one",
            Tar::new()
                .file("c", r#"{"architecture":"a","os":"l","rootfs":{"type":"layers"}}"#)
                .file("manifest.json", r#"[{"Config":"c","RepoTags":["Not:A:Name"]}]"#)
                .finish(),
            "invalid image archive: \"Not:A:Name\" isn't a reference",
        ),
        (
            "a device",
            Tar::new().device("manifest.json", tar::EntryType::Char, 1, 3).finish(),
            "invalid image archive: member \"manifest.json\" is neither",
        ),
        (
            "a link in a circle",
            Tar::new().symlink("manifest.json", "a").symlink("a", "manifest.json").finish(),
            "this isn't an image archive",
        ),
    ];
    for (what, archive, expected) in cases {
        let error = load(&store, &archive).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::InvalidParameter, "{what}");
        assert!(error.chain().starts_with(expected), "{what}: {}", error.chain());
    }
    store.assert_layers(0);
}

#[test]
fn an_archive_that_grows_beyond_the_limit_is_refused() {
    let mut store = TestStore::new();
    let limits = Limits { size_bytes: 1 << 20, ..Limits::default() };
    store.store = store.store.take().map(|store| store.with_limits(limits));
    let bomb = gzip(&Tar::new().file("manifest.json", &"0".repeat(2 << 20)).finish());
    let error = load(&store, &bomb).expect_err("too large");
    assert_eq!(error.to_string(), "the image archive has more than 1048576 bytes");
    store.assert_layers(0);
}

#[test]
fn links_within_an_archive_lead_to_layers() {
    let (image, _) = siblings();
    let config = image.config();
    let manifest = r#"[{"Config":"c.json","RepoTags":null,"Layers":["a/layer.tar","b/layer.tar"]}]"#;
    let archive = Tar::new()
        .member("a/layer.tar", tar::EntryType::Regular, |_| (), &image.layers[0])
        .member("x.tar", tar::EntryType::Regular, |_| (), &image.layers[1])
        .symlink("b/layer.tar", "../x.tar")
        .member("./c.json", tar::EntryType::Regular, |_| (), &config)
        .file("manifest.json", manifest)
        .finish();
    let store = TestStore::new();
    let loaded = load(&store, &archive).expect("a good archive");
    assert_eq!(loaded[0].references, []);
    store.assert_layers(2);
}

#[test]
fn a_bad_layer_takes_the_good_ones_with_it() {
    let store = TestStore::new();
    let bad = Tar::new().file("../escape", "").finish();
    let image = TestImage::new("bad:1", vec![layer("good", "good"), bad, layer("too", "good")]);
    let error = load(&store, &docker_archive([&image])).expect_err("it climbs out");
    assert_eq!(error.kind(), ErrorKind::InvalidParameter);
    assert!(
        error.chain().ends_with(r#"refusing "../escape": its name leads out of the root by '..'"#),
        "{}",
        error.chain()
    );
    store.assert_layers(0);
}

#[test]
fn implied_directories_look_as_they_do_below() {
    let store = TestStore::new();
    let owned = |header: &mut tar::Header| {
        header.set_mode(0o1777);
        header.set_uid(7);
        header.set_gid(8);
    };
    let base = Tar::new().member("tmp/", tar::EntryType::Directory, owned, &[]).dir("./", 0o711).finish();
    let upper = layer("tmp/new/file", "");
    let image = TestImage::new("implied:1", vec![base, layer("other", ""), upper]);
    let rootfs = store.prepare("c", &store.load(&image)).expect("a snapshot");
    let looks = |path: &str| {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(rootfs.lowers[0].join(path)).expect("there");
        (metadata.mode() & 0o7777, metadata.uid(), metadata.gid())
    };
    assert_eq!(looks("tmp"), (0o1777, 7, 8));
    assert_eq!(looks("tmp/new"), (0o755, 0, 0));
    assert_eq!(looks("."), (0o711, 0, 0));
    let upper = fs::metadata(&rootfs.upper).expect("there");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&upper) & 0o7777, 0o711);
}

#[test]
fn the_same_archive_twice_at_once_is_one_image() {
    let store = TestStore::new();
    let (one, two) = siblings();
    let archive = docker_archive([&one, &two]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| load(&store, &archive).expect("a good archive"));
        }
    });
    assert_eq!(store.list().expect("a list").len(), 2);
    store.assert_layers(3);
}

#[test]
fn a_member_that_comes_twice_takes_no_other_s_place() {
    let store = TestStore::new();
    let (one, two) = siblings();
    // The layer below both is in there once for each.
    store.store().load(&docker_archive([&one, &two])[..], &NoProgress).expect("a good archive");
    let image = store.get("two:2").expect("there");
    let read = |layer: usize, path: &str| read(store.layer_dir(&image.layers[layer]).join("diff").join(path));
    assert_eq!((read(0, "etc/base"), read(1, "two")), ("base".into(), "2".into()));
}
