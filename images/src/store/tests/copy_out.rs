//! What volumes begin with.

use std::os::unix::fs::MetadataExt as _;

use super::*;

fn store() -> TestStore {
    assert!(rustix::process::geteuid().is_root(), "this test mounts an overlay: run it as root (scripts/test)");
    let store = TestStore::new();
    let lower = Tar::new().dir("data", 0o755).file("data/one", "1").file("data/gone", "x").symlink("out", "/etc");
    let owned = |header: &mut tar::Header| {
        header.set_uid(999);
        header.set_mode(0o2750);
    };
    let upper = Tar::new().member("data", tar::EntryType::Directory, owned, &[]).file("data/.wh.gone", "");
    let upper = upper.pax(&[("SCHILY.xattr.user.kept", b"yes")]).file("data/two", "2").symlink("data/up", "../../..");
    let image = store.load(&TestImage::new("volume:1", vec![lower.finish(), upper.finish()]));
    store.store().prepare("c", &image).expect("a snapshot");
    store
}

#[test]
fn a_volume_has_what_all_layers_have_there_and_its_looks() {
    let store = store();
    let volume = tempfile::tempdir().expect("a directory");
    store.store().copy_out("c", Path::new("/data"), volume.path()).expect("copied");
    let mut names: Vec<_> =
        fs::read_dir(volume.path()).expect("a directory").map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort_unstable();
    assert_eq!(names, ["one", "two", "up"]);
    assert_eq!(fs::read_link(volume.path().join("up")).expect("a link").as_os_str(), "../../..");
    let mut value = Vec::with_capacity(8);
    let file = volume.path().join("two");
    rustix::fs::getxattr(file, "user.kept", rustix::buffer::spare_capacity(&mut value)).expect("an attribute");
    assert_eq!(value, b"yes");
    let looks = volume.path().metadata().expect("a directory");
    assert_eq!((looks.uid(), looks.mode() & 0o7777), (999, 0o2750));
    assert_eq!(store.count("tmp"), 0);
}

#[test]
fn links_do_not_lead_out_of_the_image() {
    let store = store();
    let volume = tempfile::tempdir().expect("a directory");
    for directory in ["/out", "/data/up/etc", "/data/one", "/missing", "/../.."] {
        let copied = store.store().copy_out("c", Path::new(directory), volume.path());
        copied.unwrap_or_else(|error| panic!("{directory}: {error}"));
        let is_root = directory == "/../..";
        assert_eq!(
            fs::read_dir(volume.path()).expect("a directory").count(),
            if is_root { 2 } else { 0 },
            "{directory}"
        );
    }
}
