//! What a tar may do, and what it may not.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use proptest::prelude::*;
use tar::EntryType;
use tempfile::TempDir;

use super::*;
use crate::testing::Tar;

/// A layer's directory with something outside that nobody may touch.
struct Place {
    dir: TempDir,
}

const OUTSIDE: &str = "untouched";

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("layer")).expect("made");
        fs::write(dir.path().join("outside"), OUTSIDE).expect("written");
        Self { dir }
    }

    fn unpack(&self, tar: &[u8]) -> Result<Unpacked, UnpackError> {
        let outcome = unpack(tar, &self.dir.path().join("layer"), Limits::default());
        outcome.map(|(unpacked, _)| unpacked)
    }

    fn tar_again(&self) -> Vec<u8> {
        let mut tar = Vec::new();
        tar_of(&self.dir.path().join("layer")).and_then(|mut reader| reader.read_to_end(&mut tar)).expect("a tar");
        tar
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("layer/diff").join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect(name)
    }

    fn metadata(&self, name: &str) -> fs::Metadata {
        fs::symlink_metadata(self.path(name)).expect(name)
    }

    fn is_whiteout(&self, name: &str) -> bool {
        let metadata = self.metadata(name);
        metadata.file_type().is_char_device() && metadata.rdev() == 0
    }

    fn xattr(&self, name: &str, attribute: &str) -> Option<Vec<u8>> {
        let mut value = Vec::with_capacity(4096);
        let buffer = rustix::buffer::spare_capacity(&mut value);
        rustix::fs::lgetxattr(self.path(name), attribute, buffer).ok()?;
        Some(value)
    }

    fn is_opaque(&self, name: &str) -> bool {
        self.xattr(name, "trusted.overlay.opaque") == Some(b"y".to_vec())
    }

    /// Nothing outside of the layer's directory has appeared or changed.
    fn assert_contained(&self) {
        let names: BTreeSet<_> = fs::read_dir(self.dir.path())
            .expect("a directory")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(names, BTreeSet::from(["layer".into(), "outside".into()]));
        let outside = self.dir.path().join("outside");
        assert_eq!(fs::read_to_string(&outside).expect("still there"), OUTSIDE);
        let metadata = fs::metadata(&outside).expect("still there");
        assert_eq!((metadata.nlink(), metadata.mode() & 0o7000), (1, 0));
    }
}

#[test]
fn a_malicious_tar_is_refused_and_touches_nothing() {
    let tar = Tar::new;
    let up = "../../outside";
    let table: Vec<(&str, Tar, &str)> = vec![
        ("parent name", tar().file("../outside", "x"), "its name leads out of the root by '..'"),
        ("parent name deep", tar().file("a/b/../../../../outside", "x"), "its name leads out of the root by '..'"),
        ("just the parent", tar().dir("..", 0o777), "its name leads out of the root by '..'"),
        ("parent of the host's root", tar().file("/../outside", "x"), "its name leads out of the root by '..'"),
        (
            "PAX name with dots",
            tar().pax(&[("path", b"x/../../outside")]).file("a", "x"),
            "its name leads out of the root by '..'",
        ),
        ("PAX name with NUL", tar().pax(&[("path", b"a\0b")]).file("a", "x"), "its name isn't a file name"),
        (
            "GNU long name",
            tar().member("././@LongLink", EntryType::GNULongName, |_| (), b"../outside\0").file("a", "x"),
            "its name leads out of the root by '..'",
        ),
        ("empty symbolic link", tar().symlink("a", ""), "its link target isn't a path"),
        (
            "write through an absolute link",
            tar().symlink("a", "/tmp").file("a/outside", "x"),
            "its name leads through a symbolic link",
        ),
        (
            "write through a link that climbs",
            tar().symlink("a", "../..").file("a/outside", "x"),
            "its name leads through a symbolic link",
        ),
        (
            "write through a relative link",
            tar().dir("b", 0o755).symlink("a", "b").file("a/f", "x"),
            "its name leads through a symbolic link",
        ),
        (
            "write through a link to the root",
            tar().symlink("a", "/").file("a/etc/f", "x"),
            "its name leads through a symbolic link",
        ),
        (
            "directory through a link",
            tar().symlink("a", "/tmp").dir("a/b/c", 0o777),
            "its name leads through a symbolic link",
        ),
        (
            "whiteout through a link",
            tar().symlink("a", "/tmp").file("a/.wh.x", ""),
            "its name leads through a symbolic link",
        ),
        (
            "opaque marker through a link",
            tar().symlink("a", "/tmp").file("a/.wh..wh..opq", ""),
            "its name leads through a symbolic link",
        ),
        (
            "a link to a link to the outside",
            tar().symlink("a", "/").symlink("b", "a").file("b/x", ""),
            "its name leads through a symbolic link",
        ),
        (
            "write through a file",
            tar().file("a", "x").file("a/b", "x"),
            "its name leads through something that isn't a directory",
        ),
        ("hard link up", tar().hard_link("a", up), "it links to \"../../outside\", which leads out of the layer"),
        (
            "absolute hard link",
            tar().hard_link("a", "/etc/passwd"),
            "it links to \"/etc/passwd\", which isn't in this layer",
        ),
        (
            "absolute hard link up",
            tar().hard_link("a", "/../outside"),
            "it links to \"/../outside\", which leads out of the layer",
        ),
        (
            "hard link through a link that climbs",
            tar().symlink("b", "../..").hard_link("a", "b/outside"),
            "it links to \"b/outside\", which leads out of the layer",
        ),
        (
            "hard link through a link",
            tar().symlink("b", "/etc").hard_link("a", "b/passwd"),
            "it links to \"b/passwd\", which leads out of the layer",
        ),
        ("hard link to nothing", tar().hard_link("a", "b"), "it links to \"b\", which isn't in this layer"),
        (
            "hard link to a directory",
            tar().dir("b", 0o755).hard_link("a", "b"),
            "it links to \"b\", which is a directory",
        ),
        ("hard link to the root", tar().hard_link("a", "."), "it links to \".\", which is a directory"),
        (
            "hard link to a whiteout",
            tar().file(".wh.b", "").hard_link("a", "b"),
            "it links to \"b\", which isn't in this layer",
        ),
        ("whiteout of the parent", tar().file(".wh...", ""), "it isn't the name of something to hide"),
        ("whiteout of the directory", tar().file("a/.wh..", ""), "it isn't the name of something to hide"),
        ("whiteout of nothing", tar().file("a/.wh.", ""), "it isn't the name of something to hide"),
        ("directory with a whiteout's name", tar().file(".wh.a/b", ""), "'.wh.' is reserved for whiteouts"),
        ("the root as a file", tar().file("./", "x"), "the layer's root must be a directory"),
        ("the root as a link", tar().symlink(".", "/"), "the layer's root must be a directory"),
        (
            "too large a user",
            tar().pax(&[("uid", b"4294967296")]).file("a", ""),
            "its owner 4294967296 isn't a user or group number",
        ),
        (
            "the user that means nobody",
            tar().pax(&[("gid", b"4294967295")]).file("a", ""),
            "its owner 4294967295 isn't a user or group number",
        ),
    ];
    for (what, tar, expected) in table {
        let place = Place::new();
        match place.unpack(&tar.finish()).expect_err(what) {
            UnpackError::Refused { refusal, .. } => assert_eq!(refusal.to_string(), expected, "{what}"),
            other => panic!("{what}: {other}"),
        }
        place.assert_contained();
    }
}

/// Of an overlayfs, of a Mac, too long or too large for Linux, and without a value: the attribute is dropped, the file kept.
#[test]
fn attributes_that_cannot_be_kept_are_dropped_and_nothing_else() {
    let place = Place::new();
    let large = vec![b'x'; 70_000];
    let long = format!("SCHILY.xattr.user.{}", "n".repeat(300));
    let records: &[(&str, &[u8])] = &[
        ("SCHILY.xattr.user.kept", b"yes"),
        ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
        ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ("SCHILY.xattr.trusted.overlay.metacopy", b""),
        ("SCHILY.xattr.user.overlay.origin", b"x"),
        ("SCHILY.xattr.com.apple.provenance", b"\x01\x02\0"),
        ("SCHILY.xattr.com.apple.ResourceFork", &large),
        ("SCHILY.xattr.user.large", &large),
        (&long, b"x"),
        ("SCHILY.xattr.", b"x"),
        ("SCHILY.xattr.security.capability", b""),
        ("LIBARCHIVE.xattr.com.apple.provenance", b"AQI="),
        ("path", b""),
        ("uid", b""),
        ("mtime", b""),
    ];
    let tar = Tar::new().pax(records).dir("directory", 0o755).pax(records).file("file", "x");
    let tar = tar.pax(records).symlink("link", "file").pax(records).device("null", EntryType::Char, 1, 3);
    place.unpack(&tar.finish()).expect("a tar of the wild");
    for name in ["directory", "file"] {
        let mut names = Vec::with_capacity(4096);
        rustix::fs::listxattr(place.path(name), rustix::buffer::spare_capacity(&mut names)).expect("listed");
        assert_eq!(String::from_utf8_lossy(&names), "user.kept\0", "{name}");
        assert_eq!(place.xattr(name, "user.kept").as_deref(), Some(&b"yes"[..]));
    }
    assert_eq!(place.read("file"), "x");
    assert_eq!(fs::read_link(place.path("link")).expect("a link").as_os_str(), "file");
    assert_eq!(place.metadata("null").rdev(), rustix::fs::makedev(1, 3));
}

#[test]
fn everything_a_layer_can_hold_arrives() {
    let place = Place::new();
    let capability: &[u8] = &[1, 0, 0, 2, 0, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let owned = |mode, uid: u64, gid: u64| {
        move |header: &mut tar::Header| {
            header.set_mode(mode);
            header.set_uid(uid);
            header.set_gid(gid);
        }
    };
    let long = "d".repeat(120) + "/" + &"f".repeat(200);
    let tar = Tar::new()
        .dir("./", 0o711)
        .member("./setuid", EntryType::Regular, owned(0o4755, 1000, 1001), b"#!")
        .member("sticky/", EntryType::Directory, owned(0o1777, 5, 6), &[])
        .file("sticky/inside", "later than its directory")
        .symlink("absolute", "/etc/mtab")
        .symlink("sticky/relative", "../setuid")
        .hard_link("second", "setuid")
        .hard_link("linked-link", "absolute")
        .device("null", EntryType::Char, 1, 3)
        .device("disk", EntryType::Block, 8, 1)
        .member("pipe", EntryType::Fifo, owned(0o620, 0, 0), &[])
        .pax(&[
            ("SCHILY.xattr.security.capability", capability),
            ("SCHILY.xattr.user.note", b"line\nfeed = \0"),
            ("mtime", b"1234567890.5"),
            ("uid", b"3000000000"),
        ])
        .file("capable", "x")
        .pax(&[("mtime", b"-1.25"), ("path", "n\u{e4}me".as_bytes())])
        .file("x", "")
        .member("././@LongLink", EntryType::GNULongName, |_| (), format!("{long}\0").as_bytes())
        .file("short", "long")
        .file("empty", "")
        .finish();
    let unpacked = place.unpack(&tar).expect("a good tar");
    assert_eq!(unpacked.size_bytes, 2 + 24 + 1 + 4);
    assert_eq!(unpacked.implied, BTreeSet::from(["d".repeat(120).into()]));
    let looks = |name: &str| {
        let metadata = place.metadata(name);
        (metadata.mode() & 0o7777, metadata.uid(), metadata.gid())
    };
    assert_eq!(looks("setuid"), (0o4755, 1000, 1001));
    assert_eq!(looks("sticky"), (0o1777, 5, 6));
    assert_eq!(looks("."), (0o711, 0, 0));
    assert_eq!(looks("pipe"), (0o620, 0, 0));
    assert!(place.metadata("pipe").file_type().is_fifo());
    assert_eq!(place.metadata("sticky").mtime(), 1_000_000_000, "set after it was filled");
    assert_eq!(place.metadata(".").mtime(), 1_000_000_000);
    assert_eq!(place.metadata("absolute").mtime(), 1_000_000_000);
    assert_eq!(place.metadata("setuid").ino(), place.metadata("second").ino());
    assert_eq!(place.metadata("absolute").ino(), place.metadata("linked-link").ino());
    assert_eq!(fs::read_link(place.path("sticky/relative")).expect("a link").as_os_str().as_bytes(), b"../setuid");
    assert_eq!(place.metadata("null").rdev(), rustix::fs::makedev(1, 3));
    assert_eq!(place.metadata("disk").rdev(), rustix::fs::makedev(8, 1));
    assert_eq!(place.xattr("capable", "security.capability").as_deref(), Some(capability));
    assert_eq!(place.xattr("capable", "user.note").as_deref(), Some(&b"line\nfeed = \0"[..]));
    assert_eq!(looks("capable"), (0o644, 3_000_000_000, 0));
    assert_eq!(
        (place.metadata("capable").mtime(), place.metadata("capable").mtime_nsec()),
        (1_234_567_890, 500_000_000)
    );
    assert_eq!((place.metadata("n\u{e4}me").mtime(), place.metadata("n\u{e4}me").mtime_nsec()), (-2, 750_000_000));
    assert_eq!(place.read(&long), "long");
    assert_eq!(place.metadata("empty").len(), 0);
}

#[test]
fn names_and_links_that_seem_to_lead_out_stay_within() {
    let place = Place::new();
    let outside = place.dir.path().join("outside").display().to_string();
    let tar = Tar::new()
        .dir("/", 0o711)
        .file("/etc/slash", "1")
        .file("//etc//./more", "2")
        .file("etc/none/../back", "3")
        .hard_link("hard", "/etc/slash")
        .pax(&[("path", outside.as_bytes())])
        .file("a", "4")
        .symlink("climbing", "../../../../outside")
        .symlink("etc/climbing", "../../outside")
        .symlink("absolute", &outside)
        // It takes the link's own place, and not that of what the link leads to.
        .file("absolute", "5")
        .file("/gone/.wh.x", "")
        .finish();
    place.unpack(&tar).expect("a good tar");
    for (name, content) in [("etc/slash", "1"), ("etc/more", "2"), ("etc/back", "3"), ("hard", "1"), ("absolute", "5")]
    {
        assert_eq!(place.read(name), content, "{name}");
    }
    assert_eq!(place.read(outside.strip_prefix('/').expect("absolute")), "4");
    assert_eq!(place.metadata(".").mode() & 0o7777, 0o711);
    let target = |name: &str| fs::read_link(place.path(name)).expect("a link");
    assert_eq!(target("climbing"), Path::new("../../../../outside"));
    assert_eq!(target("etc/climbing"), Path::new("../../outside"));
    assert!(!place.path("etc/none").exists() && place.is_whiteout("gone/x"));
    assert_eq!(place.tar_again(), tar);
    place.assert_contained();
}

/// The layers below have links where a layer only implies directories: their targets lend it nothing.
#[test]
fn a_layer_takes_no_looks_from_behind_a_link() {
    let (place, below) = (Place::new(), Place::new());
    fs::set_permissions(below.dir.path(), fs::Permissions::from_mode(0o711)).expect("set");
    below.unpack(&Tar::new().symlink("up", "../..").symlink("out", "/tmp").finish()).expect("a good tar");
    let unpacked = place.unpack(&Tar::new().file("up/x", "").file("out/x", "").finish()).expect("a good tar");
    apply_lower_layers(&place.path(""), &unpacked.implied, &[below.path("")]).expect("nothing to take");
    for name in ["up", "out"] {
        assert_eq!(place.metadata(name).mode() & 0o7777, 0o755, "{name}");
    }
}

#[test]
fn whiteouts_hide_what_is_below_and_nothing_of_their_own_layer() {
    let place = Place::new();
    let tar = Tar::new()
        .file(".wh.gone", "")
        .file("dir/.wh.gone", "")
        .file("dir/.wh..wh..opq", "")
        // In the same layer, in either order.
        .file("new-file", "new")
        .file(".wh.new-file", "")
        .file(".wh.replaced", "")
        .file("replaced", "new")
        .file(".wh.replaced-dir", "")
        .file("replaced-dir/f", "new")
        .dir("replaced-dir2", 0o700)
        .file(".wh.replaced-dir2", "")
        .file(".wh.replaced-dir3", "")
        .dir("replaced-dir3/", 0o711)
        // What AUFS left in old images.
        .file(".wh..wh.aufs", "")
        .dir(".wh..wh.plnk", 0o700)
        .finish();
    place.unpack(&tar).expect("a good tar");
    assert!(place.is_whiteout("gone") && place.is_whiteout("dir/gone"));
    assert!(place.is_opaque("dir"));
    assert_eq!((place.read("new-file"), place.read("replaced")), ("new".into(), "new".into()));
    assert_eq!(place.read("replaced-dir/f"), "new");
    for dir in ["replaced-dir", "replaced-dir2", "replaced-dir3"] {
        assert!(place.is_opaque(dir), "{dir}");
    }
    let names = fs::read_dir(place.path(".")).expect("a directory").map(|entry| entry.expect("an entry").file_name());
    assert!(!names.into_iter().any(|name| name.as_bytes().starts_with(b".wh.")));
}

#[test]
fn a_later_member_takes_the_place_of_an_earlier_one() {
    let place = Place::new();
    let tar = Tar::new()
        .file("a", "1")
        .file("a", "2")
        .dir("b", 0o755)
        .file("b/c", "old")
        .file("b", "a file now")
        .file("d", "a directory soon")
        .file("e/f", "kept")
        .dir("e", 0o700)
        .dir("g/h", 0o755)
        .symlink("g", "/etc")
        .dir("g", 0o755)
        .file("g/h/i", "new")
        .hard_link("a", "a")
        .symlink("l", "/tmp")
        .file("l", "a file, not what the link led to")
        .finish();
    let tar = [&tar[..tar.len() - 1024], &Tar::new().hard_link("d", "a").finish()].concat();
    place.unpack(&tar).expect("a good tar");
    assert_eq!(place.read("a"), "2");
    assert_eq!(place.read("d"), "2");
    assert_eq!(place.read("b"), "a file now");
    assert_eq!(place.read("e/f"), "kept");
    assert_eq!(place.metadata("e").mode() & 0o7777, 0o700);
    assert_eq!(place.read("g/h/i"), "new");
    assert!(place.read("l").starts_with("a file"));
    place.assert_contained();
}

#[test]
fn bombs_end_with_a_clear_error() {
    let place = Place::new();
    let limits = Limits { entries: 3, size_bytes: 10 };
    let unpack = |tar: Vec<u8>| {
        let dir = tempfile::tempdir_in(place.dir.path()).expect("made");
        unpack(&tar[..], dir.path(), limits).map(|_| ()).expect_err("too much").to_string()
    };
    let many = (0..4).fold(Tar::new(), |tar, at| tar.file(&at.to_string(), "")).finish();
    assert_eq!(unpack(many), "it has more than 3 entries");
    assert_eq!(unpack(Tar::new().file("a", "12345").file("b", "123456").finish()), "its files have more than 10 bytes");
    // A hole counts as well: it says how large it is before anything is written.
    let sparse =
        Tar::new().pax(&[("GNU.sparse.size", b"1099511627776"), ("GNU.sparse.map", b"0,0")]).file("hole", "").finish();
    assert_eq!(unpack(sparse), "its files have more than 10 bytes");
    let extensions =
        Tar::new().member("x", EntryType::XHeader, |header| header.set_size(1 << 40), &[]).file("a", "").finish();
    assert_eq!(unpack(extensions), "invalid tar header at byte 0: names and attributes of more than 8 MiB");
}

#[test]
fn the_tar_can_be_made_again_whatever_was_replaced() {
    let tar = Tar::new()
        .file("a", "first")
        .hard_link("link", "a")
        .file("a", "second, longer")
        .dir("d", 0o755)
        .file("d/x", "in the directory")
        .file("d/y/z", &"deep".repeat(50_000))
        .file("d", "the directory is a file now")
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"s"),
            ("GNU.sparse.realsize", b"1000"),
        ])
        .member("sparse", EntryType::Regular, |_| (), &[&b"1\n500\n3\n"[..], &[0; 504], b"abc"].concat())
        .symlink("a", "d")
        .file("a", "third")
        .finish();
    let tar = [&tar[..], &[0; 4096], b"behind the end"].concat();
    let place = Place::new();
    place.unpack(&tar).expect("a good tar");
    assert_eq!(place.read("a"), "third");
    assert_eq!(place.tar_again(), tar);
}

/// Members that are likely to meet each other.
fn member() -> impl Strategy<Value = (u8, String, String)> {
    let name =
        prop::sample::select(vec!["a", "b", "c", ".wh.a", ".wh..wh..opq", "..", ".", "", "/", ".wh...", "\u{e4}"]);
    let path = || prop::collection::vec(name.clone(), 1..4).prop_map(|parts| parts.join("/"));
    (0..8u8, path(), path())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_combination_of_members_leaves_the_layer(members in prop::collection::vec(member(), 1..12)) {
        let place = Place::new();
        let tar = members.iter().fold(Tar::new(), |tar, (kind, path, target)| match kind {
            0 | 1 => tar.file(path, "content"),
            2 => tar.dir(path, 0o755),
            3 => tar.symlink(path, target),
            4 => tar.symlink(path, "/"),
            5 => tar.symlink(path, place.dir.path().to_str().expect("UTF-8")),
            6 => tar.hard_link(path, target),
            _ => tar.hard_link(path, "../../outside"),
        });
        let tar = tar.finish();
        if place.unpack(&tar).is_ok() {
            assert_eq!(place.tar_again(), tar);
        }
        place.assert_contained();
    }

    #[test]
    fn flipped_bytes_never_panic_or_leave_the_layer(flips in prop::collection::vec((0..4096usize, any::<u8>()), 1..6)) {
        let place = Place::new();
        let tar = Tar::new().dir("a", 0o755).pax(&[("mtime", b"1.5")]).file("a/b", "x").symlink("c", "a").finish();
        let mut tar = tar;
        for (at, byte) in flips {
            let at = at % tar.len();
            tar[at] = byte;
        }
        let _ = place.unpack(&tar);
        place.assert_contained();
    }
}

#[test]
fn a_name_is_bytes_and_the_last_padding_may_be_missing() {
    let mut header = tar::Header::new_ustar();
    header.set_size(2);
    header.set_mode(0o644);
    header.as_old_mut().name[..3].copy_from_slice(b"a\xff\xfe");
    header.set_cksum();
    let tar = [header.as_bytes().as_slice(), b"hi"].concat();
    let place = Place::new();
    place.unpack(&tar).expect("unpacks");
    let name = std::ffi::OsStr::from_bytes(b"a\xff\xfe");
    assert_eq!(fs::read(place.dir.path().join("layer/diff").join(name)).expect("there"), b"hi");
    assert!(place.tar_again() == tar);
}
