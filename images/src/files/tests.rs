//! Files out of directories and into them, with whatever may be in the way.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use rustix::fs::XattrFlags;
use tempfile::TempDir;

use super::*;
use crate::error::ErrorKind;
use crate::testing::Tar;

/// A root with an `outside` beside it.
fn place() -> (TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("etc")).expect("made");
    fs::create_dir_all(root.join("tmp/sub")).expect("made");
    fs::create_dir(dir.path().join("outside")).expect("made");
    fs::write(dir.path().join("outside/secret"), "secret").expect("written");
    fs::write(root.join("etc/passwd"), "inside").expect("written");
    (dir, root)
}

fn open(path: &Path) -> File {
    File::open(path).expect("there")
}

/// The names and contents of a tar, in its order.
fn members(tar: &[u8]) -> Vec<(String, String)> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().expect("a tar");
    entries
        .map(|entry| {
            let mut entry = entry.expect("a member");
            let mut content = String::new();
            entry.read_to_string(&mut content).expect("text");
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let link = entry.link_name_bytes().map(|link| format!(" -> {}", String::from_utf8_lossy(&link)));
            (name + &link.unwrap_or_default(), content)
        })
        .collect()
}

fn names(tar: &[u8]) -> Vec<String> {
    members(tar).into_iter().map(|(name, _)| name).collect()
}

fn packed(root: &Path, path: &str) -> Vec<u8> {
    let mut tar = Vec::new();
    pack_path(open(root), Path::new(path), &mut tar).expect("packed");
    tar
}

fn put(root: &Path, directory: &str, tar: &Tar) -> Result<(), ExtractError> {
    put_with(root, tar, &Extraction { directory: directory.into(), keep_kinds: true, owner: None })
}

fn put_with(root: &Path, tar: &Tar, extraction: &Extraction) -> Result<(), ExtractError> {
    extract(open(root), &tar.clone().finish()[..], extraction)
}

#[test]
fn archives_are_named_by_what_was_asked_for() {
    let (_dir, root) = place();
    fs::write(root.join("tmp/sub/file"), "x").expect("written");
    symlink("/tmp/sub", root.join("link")).expect("made");
    let table = [
        ("/tmp", vec!["tmp/", "tmp/sub/", "tmp/sub/file"]),
        ("/tmp/", vec!["tmp/", "tmp/sub/", "tmp/sub/file"]),
        ("/tmp/.", vec!["./", "./sub/", "./sub/file"]),
        ("/tmp/sub/file", vec!["file"]),
        ("/link", vec!["link -> /tmp/sub"]),
        ("/link/", vec!["link/", "link/file"]),
        ("/link/.", vec!["./", "./file"]),
        ("/tmp/../../../link/file", vec!["file"]),
    ];
    for (path, expected) in table {
        assert_eq!(names(&packed(&root, path)), expected, "{path}");
    }
    assert_eq!(names(&packed(&root, "/"))[..3], ["/", "/etc/", "/etc/passwd"]);
    let mut whole = Vec::new();
    pack_root(open(&root), &mut whole).expect("packed");
    assert_eq!(names(&whole)[..2], ["etc/", "etc/passwd"]);
}

#[test]
fn everything_comes_out_and_in_as_it_was() {
    let (_dir, root) = place();
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(200));
    fs::create_dir(root.join("tmp").join("d".repeat(120))).expect("made");
    fs::write(root.join("tmp").join(&long), "long").expect("written");
    fs::set_permissions(root.join("tmp").join(&long), fs::Permissions::from_mode(0o4711)).expect("set");
    fs::hard_link(root.join("tmp").join(&long), root.join("tmp/hard")).expect("made");
    symlink("t".repeat(300), root.join("tmp/soft")).expect("made");
    let fifo = rustix::fs::mknodat(open(&root), "tmp/fifo", rustix::fs::FileType::Fifo, 0o600.into(), 0);
    fifo.expect("made");
    let _socket = std::os::unix::net::UnixListener::bind(root.join("tmp/socket")).expect("bound");
    rustix::fs::setxattr(root.join("tmp/hard"), "user.mark", b"\n\0", XattrFlags::empty()).expect("set");
    let tar = packed(&root, "/tmp");
    extract(open(&root), &tar[..], &Extraction { directory: "/etc".into(), keep_kinds: true, owner: None })
        .expect("extracted");
    let out = root.join("etc/tmp");
    assert_eq!(fs::read_to_string(out.join(&long)).expect("there"), "long");
    let (file, hard) = (fs::metadata(out.join(&long)).expect("there"), fs::metadata(out.join("hard")).expect("there"));
    assert_eq!((file.mode() & 0o7777, file.ino(), file.nlink()), (0o4711, hard.ino(), 2));
    assert_eq!(fs::read_link(out.join("soft")).expect("a link").as_os_str().len(), 300);
    assert!(fs::metadata(out.join("fifo")).expect("there").file_type().is_fifo());
    assert!(!out.join("socket").exists());
    let mut mark = [0; 2];
    rustix::fs::getxattr(out.join("hard"), "user.mark", &mut mark).expect("set");
    assert_eq!(&mark, b"\n\0");
    assert_eq!(fs::metadata(&out).expect("there").mtime(), fs::metadata(root.join("tmp")).expect("there").mtime());
}

#[test]
fn no_link_leads_out() {
    let (dir, root) = place();
    let outside = dir.path().join("outside");
    symlink(&outside, root.join("absolute")).expect("made");
    symlink("../outside", root.join("climbing")).expect("made");
    symlink(&outside, root.join("tmp/absolute")).expect("made");
    for path in
        ["/absolute/secret", "/climbing/secret", "/climbing/.", "/../outside/secret", "/tmp/../../outside/secret"]
    {
        pack_path(open(&root), Path::new(path), &mut Vec::new()).expect_err(path);
        stat(open(&root), Path::new(path)).expect_err(path);
    }
    assert_eq!(names(&packed(&root, "/tmp"))[1], format!("tmp/absolute -> {}", outside.display()));
    let evil = Tar::new().file("x", "y");
    for directory in ["/absolute", "/climbing", "/tmp/absolute", "/../outside"] {
        assert_eq!(put(&root, directory, &evil).expect_err(directory).kind(), ErrorKind::NotFound, "{directory}");
    }
    let refused = [
        Tar::new().file("../outside/x", "y"),
        Tar::new().file("a/../../../outside/x", "y"),
        Tar::new().hard_link("x", "../../outside/secret"),
        Tar::new().hard_link("x", "/../outside/secret"),
        Tar::new().symlink("x", ""),
    ];
    for tar in &refused {
        let error = put(&root, "/tmp", tar).expect_err("refused");
        assert!(matches!(error, ExtractError::Refused { .. }), "{error}");
    }
    // Through a link that the archive itself brings: it leads to what has that name within the root, which isn't there.
    let by_link = Tar::new().symlink("here", &outside.to_string_lossy()).file("here/x", "y");
    put(&root, "/tmp", &by_link).expect_err("there is nothing behind the link");
    let climbing =
        Tar::new().symlink("up", "../../../outside").symlink("up/../up2", "../../..").file("up2/climbed", "y");
    put(&root, "/tmp", &climbing).expect("a link is text, and climbs no higher than the root");
    assert_eq!(fs::read_to_string(root.join("climbed")).expect("there"), "y");
    put(&root, "/tmp", &Tar::new().file("up/x", "y")).expect_err("there is nothing behind the link");
    let absolute = Tar::new().symlink("link", "/etc").file("link/new", "y").file("/slash", "z").file("x/../back", "");
    put(&root, "/tmp", &absolute.hard_link("/hard", "/slash")).expect("links within the root are followed");
    assert_eq!(fs::read_to_string(root.join("tmp/hard")).expect("there"), "z");
    assert!(root.join("tmp/back").exists() && !root.join("tmp/x").exists());
    assert_eq!(fs::read_to_string(root.join("etc/new")).expect("there"), "y");
    assert_eq!(fs::read_to_string(root.join("tmp/slash")).expect("there"), "z");
    assert_eq!(fs::read_dir(&outside).expect("there").count(), 1);
}

#[test]
fn what_takes_whose_place() {
    let (_dir, root) = place();
    symlink("passwd", root.join("etc/link")).expect("made");
    put(&root, "/etc", &Tar::new().file("passwd", "new").file("link", "a file now").dir("tmp", 0o711))
        .expect("replaced");
    assert_eq!(fs::read_to_string(root.join("etc/passwd")).expect("there"), "new");
    assert!(fs::symlink_metadata(root.join("etc/link")).expect("there").is_file());
    fs::write(root.join("tmp/sub/kept"), "").expect("written");
    put(&root, "/", &Tar::new().dir("tmp", 0o1770).file("tmp/sub/two/three", "3")).expect("merged");
    assert_eq!(fs::metadata(root.join("tmp")).expect("there").mode() & 0o7777, 0o1770);
    assert!(root.join("tmp/sub/kept").exists() && root.join("tmp/sub/two/three").exists());
    let over_directory = put(&root, "/", &Tar::new().file("tmp", "")).expect_err("refused");
    assert_eq!(over_directory.to_string(), "cannot overwrite directory \"/tmp\" with non-directory \"tmp\"");
    let over_file = put(&root, "/etc", &Tar::new().dir("passwd", 0o755)).expect_err("refused");
    assert_eq!(over_file.to_string(), "cannot overwrite non-directory \"/etc/passwd\" with directory \"passwd\"");
    let careless = Extraction { directory: "/".into(), keep_kinds: false, owner: Some(Ownership { uid: 7, gid: 8 }) };
    put_with(&root, &Tar::new().file("tmp", "a file"), &careless).expect("replaced");
    let now = fs::metadata(root.join("tmp")).expect("there");
    assert_eq!((now.is_file(), now.uid(), now.gid()), (true, 7, 8));
    let to_file = put(&root, "/etc/passwd", &Tar::new().file("x", "")).expect_err("refused");
    assert_eq!(to_file.to_string(), "extraction point is not a directory");
}

#[test]
fn what_something_is() {
    let (_dir, root) = place();
    symlink("/tmp/../etc/./passwd", root.join("file")).expect("made");
    symlink("sub/../../nowhere/./x", root.join("tmp/broken")).expect("made");
    symlink("loop", root.join("loop")).expect("made");
    let look = |path: &str| stat(open(&root), Path::new(path)).expect(path);
    let passwd = look("/etc/passwd");
    assert_eq!((passwd.name.as_bytes(), passwd.size_bytes, passwd.mode & 0o170000), (&b"passwd"[..], 6, 0o100000));
    assert_eq!((look("/").name.as_bytes(), look("/etc/.").name.as_bytes()), (&b"/"[..], &b"."[..]));
    assert_eq!(look("/file").link_target.as_deref(), Some(Path::new("/etc/passwd")));
    assert_eq!(look("/tmp/broken").link_target.as_deref(), Some(Path::new("/nowhere/x")));
    assert_eq!(passwd.link_target, None);
    stat(open(&root), Path::new("/loop")).expect_err("it never ends");
    stat(open(&root), Path::new("/etc/passwd/")).expect_err("it isn't a directory");
}

#[test]
fn an_upper_directory_becomes_a_layer() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let upper = dir.path();
    fs::create_dir_all(upper.join("opaque/in")).expect("made");
    for name in ["file", "hidden"] {
        fs::write(upper.join(name), "x").expect("written");
    }
    fs::set_permissions(upper.join("file"), fs::Permissions::from_mode(0o4711)).expect("set");
    fs::hard_link(upper.join("file"), upper.join("hard")).expect("made");
    symlink("/nowhere", upper.join("link")).expect("made");
    fs::hard_link(upper.join("link"), upper.join("link2")).expect("made");
    let device = rustix::fs::FileType::CharacterDevice;
    rustix::fs::mknodat(rustix::fs::CWD, upper.join("gone"), device, 0.into(), 0).expect("made");
    let mark = |name: &str, value: &[u8]| {
        rustix::fs::setxattr(upper.join("opaque"), name, value, XattrFlags::empty()).expect("set");
    };
    mark("trusted.overlay.opaque", b"y");
    mark("user.zebra", b"2");
    mark("user.ape", b"1");
    let hidden = ["hidden".into()].into();
    let packed = |latest_seconds| {
        let mut tar = Vec::new();
        pack_layer(upper, &hidden, latest_seconds, &mut tar).map(|members| (members, tar))
    };
    let (members, tar) = packed(Some(7)).expect("packed");
    let (mut reader, mut all) = (crate::tarball::TarReader::new(&tar[..]), Vec::new());
    while let Some(member) = reader.next_member().expect("a tar") {
        assert!(member.mtime_seconds <= 7);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let xattrs: Vec<String> = member.xattrs.iter().map(|(name, _)| text(name)).collect();
        let link = text(&member.link);
        all.push(format!("{} {:o} {link}{}", text(&member.path), member.mode, xattrs.join(",")));
    }
    assert_eq!(members, all.len() as u64);
    insta::assert_snapshot!(all.join("\n"), @r"
    file 4711 
    .wh.gone 600 
    hard 4711 file
    link 777 /nowhere
    link2 777 link
    opaque/ 755 user.ape,user.zebra
    opaque/.wh..wh..opq 600 
    opaque/in/ 755 
    ");
    mark("trusted.overlay.redirect", b"/other");
    let refused = packed(None).expect_err("refused").to_string();
    assert_eq!(refused, "opaque was renamed by overlayfs's redirect_dir, which layers can't say");
}

#[test]
fn links_lead_around_in_a_tree_only() {
    let (dir, root) = place();
    symlink("/tmp/../etc", root.join("link")).expect("made");
    symlink("../../../outside", root.join("tmp/climbing")).expect("made");
    let tree = Tree::open(&root).expect("there");
    let table = [
        ("/link/passwd", "etc/passwd"),
        ("link/../tmp/./sub", "tmp/sub"),
        ("/tmp/climbing/secret", "outside/secret"),
        ("/etc/passwd/below", "etc/passwd/below"),
        ("/../..", ""),
    ];
    for (path, expected) in table {
        assert_eq!(tree.real(Path::new(path)).expect(path), Path::new(expected), "{path}");
    }
    assert_eq!(plain("/tmp/../link/./x/"), Path::new("link/x"));
    let text = |path: &str| tree.text(Path::new(path)).expect(path);
    assert_eq!(text("/link/passwd").as_deref(), Some("inside"));
    for path in ["tmp/climbing/secret", "etc/passwd/below", "etc", "missing"] {
        assert_eq!(text(path), None, "{path}");
    }
    // Through a link goes only who resolves it first.
    for path in ["etc/passwd/below", "link/passwd"] {
        assert!(tree.entry(Path::new(path)).expect("looked at").is_none(), "{path}");
    }
    let fifo = rustix::fs::mknodat(open(dir.path()), "root/fifo", rustix::fs::FileType::Fifo, 0o600.into(), 0);
    fifo.expect("made");
    tree.file(Path::new("fifo")).expect("opened without a writer");
}

#[test]
fn hard_links_count_once_and_what_is_behind_links_not() {
    let (dir, root) = place();
    fs::write(root.join("tmp/one"), [0; 100]).expect("written");
    fs::hard_link(root.join("tmp/one"), root.join("tmp/sub/two")).expect("made");
    symlink("/", root.join("tmp/sub/x")).expect("made");
    assert_eq!(size(&root.join("tmp")).expect("walked"), 100 + 1);
    assert_eq!(size(&dir.path().join("absent")).expect("nothing"), 0);
}

#[test]
fn directories_are_made_within_the_root() {
    let (dir, root) = place();
    symlink("/tmp", root.join("link")).expect("made");
    symlink("/nowhere", root.join("dangling")).expect("made");
    let fd = open(&root);
    for (path, there) in [
        ("/srv/app", "srv/app"),
        ("/link/new", "tmp/new"),
        ("/dangling/x", "nowhere/x"),
        ("/../../top", "top"),
        ("/", ""),
    ] {
        make_directory(&fd, Path::new(path)).expect(path);
        assert!(root.join(there).is_dir(), "{path}");
        make_directory(&fd, Path::new(path)).expect("there already");
    }
    assert!(!dir.path().join("top").exists());
    assert_eq!(fs::metadata(root.join("srv")).expect("made").permissions().mode() & 0o7777, 0o755);
    for path in ["/etc/passwd/x", "/etc/passwd"] {
        make_directory(&fd, Path::new(path)).expect_err(path);
    }
}
