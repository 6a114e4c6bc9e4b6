//! Archives made by the tools that people use: skopeo, buildah, podman.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use crate::Image;

/// Whether all these tools are there; says so when not.
fn have(tools: &[&str]) -> bool {
    let is_missing = |tool: &&&str| {
        let found = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        found.is_err()
    };
    match tools.iter().find(is_missing) {
        Some(tool) => {
            // Not println!: the test harness keeps what a passing test prints to itself.
            let install = tools.join(" ");
            writeln!(std::io::stderr(), "skipped: {tool} is missing (apt-get install {install})").expect("stderr");
            false
        }
        None => true,
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("it was found before");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {errors}", arguments.join(" "));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// An image with what tools tend to handle differently.
fn image() -> TestImage {
    let base = Tar::new()
        .dir("etc/", 0o755)
        .file("etc/gone", "base")
        .file("etc/kept", "base")
        .symlink("link", "etc/kept")
        .hard_link("hard", "etc/kept")
        .finish();
    let top = Tar::new().dir("etc/", 0o755).file("etc/.wh.gone", "").file("new", "top").finish();
    TestImage::new("quay.io/test/image:v1", vec![base, top])
}

fn assert_same(store: &Store, archive: &Path, name: &str, expected: &TestImage) -> Image {
    let archive = File::open(archive).expect("the tool wrote it");
    let loaded = store.load(archive, &NoProgress).expect("a good archive");
    let image = store.get(name).expect("loaded under this name");
    assert_eq!(image.id, loaded[0].id);
    let diff_ids: Vec<_> = expected.layers.iter().map(|layer| crate::digest::Digest::of(layer)).collect();
    let found: Vec<_> = image.config.rootfs.diff_ids.iter().map(|id| id.0).collect();
    assert_eq!(found, diff_ids);
    image
}

#[test]
fn skopeo_archives_of_both_kinds_load() {
    if !have(&["skopeo"]) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let expected = image();
    let source = dir.path().join("source.tar");
    fs::write(&source, docker_archive([&expected])).expect("written");
    let copy = |from: &str, to: &str| run("skopeo", &["copy", "--quiet", "--insecure-policy", from, to]);
    let (docker, oci) = (dir.path().join("docker.tar"), dir.path().join("oci.tar"));
    let from = format!("docker-archive:{}", text(&source));
    copy(&from, &format!("docker-archive:{}:quay.io/test/image:v2", text(&docker)));
    copy(&from, &format!("oci-archive:{}:quay.io/test/image:v3", text(&oci)));
    let store = TestStore::new();
    assert_same(&store, &source, "quay.io/test/image:v1", &expected);
    assert_same(&store, &docker, "quay.io/test/image:v2", &expected);
    assert_same(&store, &oci, "quay.io/test/image:v3", &expected);
    store.assert_layers(2);
}

#[test]
fn podman_saves_in_both_formats_load() {
    if !have(&["podman"]) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let expected = image();
    let source = dir.path().join("source.tar");
    fs::write(&source, docker_archive([&expected])).expect("written");
    let (root, runroot) = (dir.path().join("root"), dir.path().join("runroot"));
    let podman = |arguments: &[&str]| {
        let own = ["--root", text(&root), "--runroot", text(&runroot), "--storage-driver", "vfs", "--runtime", "runc"];
        run("podman", &[&own, arguments].concat())
    };
    podman(&["load", "--quiet", "--input", text(&source)]);
    let store = TestStore::new();
    for format in ["docker-archive", "oci-archive"] {
        let archive = dir.path().join(format);
        podman(&["save", "--quiet", "--format", format, "--output", text(&archive), "quay.io/test/image:v1"]);
        let archive = File::open(archive).expect("podman wrote it");
        store.store().load(archive, &NoProgress).expect("a good archive");
        let image = store.get("quay.io/test/image:v1").expect("loaded under its name");
        let rootfs = store.prepare(format, &image.id).expect("a snapshot");
        assert_eq!(read(rootfs.lowers[0].join("new")), "top");
        assert_eq!(read(rootfs.lowers[1].join("hard")), "base");
    }
}

#[test]
fn what_buildah_builds_and_pushes_loads() {
    if !have(&["buildah"]) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (root, runroot) = (dir.path().join("root"), dir.path().join("runroot"));
    let buildah = |arguments: &[&str]| {
        let own = ["--root", text(&root), "--runroot", text(&runroot), "--storage-driver", "vfs"];
        run("buildah", &[&own, arguments].concat())
    };
    let content = dir.path().join("content");
    fs::create_dir_all(content.join("www")).expect("made");
    fs::write(content.join("www/index.html"), "hello").expect("written");
    let container = buildah(&["from", "scratch"]);
    buildah(&["copy", &container, text(&content), "/srv"]);
    buildah(&["config", "--cmd", "httpd -f", "--port", "80", "--env", "A=b", &container]);
    buildah(&["commit", "--quiet", &container, "quay.io/test/built:1"]);
    let store = TestStore::new();
    for kind in ["oci-archive", "docker-archive"] {
        let archive = dir.path().join(kind);
        let target = format!("{kind}:{}:quay.io/test/built:1", text(&archive));
        buildah(&["push", "--quiet", "quay.io/test/built:1", &target]);
        let archive = File::open(archive).expect("buildah wrote it");
        store.store().load(archive, &NoProgress).expect("a good archive");
        let image = store.get("quay.io/test/built:1").expect("loaded under its name");
        assert_eq!(image.config.config.cmd.as_deref(), Some(&["httpd".to_owned(), "-f".to_owned()][..]));
        assert!(image.config.config.exposed_ports.keys().any(|port| port.starts_with("80")));
        let rootfs = store.prepare(kind, &image.id).expect("a snapshot");
        assert_eq!(read(rootfs.lowers[0].join("srv/www/index.html")), "hello");
    }
}

#[test]
fn tars_of_gnu_tar_unpack() {
    if !have(&["tar"]) {
        return;
    }
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let content = dir.path().join("content");
    let long = "long-".repeat(40);
    fs::create_dir_all(content.join(&long)).expect("made");
    fs::write(content.join(&long).join("f"), "deep").expect("written");
    let sparse = File::create(content.join("sparse")).expect("made");
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"end", 64 << 20).expect("written");
    for format in ["gnu", "posix"] {
        let tar = dir.path().join(format);
        let format = format!("--format={format}");
        run("tar", &["-c", "--sparse", &format, "-f", text(&tar), "-C", text(&content), "."]);
        let packed = fs::metadata(&tar).expect("tar wrote it").len();
        assert!(packed < 1 << 20, "{format}: the hole was written out");
        let store = TestStore::new();
        let import = Import {
            reference: None,
            changes: Vec::new(),
            message: String::new(),
            platform: Platform::host(),
            created: jiff::Timestamp::UNIX_EPOCH,
        };
        let id = store.import(File::open(&tar).expect("there"), &import, &NoProgress).expect("imported");
        let rootfs = store.prepare("c", &id).expect("a snapshot");
        assert_eq!(read(rootfs.lowers[0].join(&long).join("f")), "deep");
        let metadata = fs::metadata(rootfs.lowers[0].join("sparse")).expect("there");
        assert_eq!(metadata.len(), (64 << 20) + 3, "{format}");
        assert!(metadata.blocks() < 1000, "{format}: the hole takes {} blocks", metadata.blocks());
        let content = fs::read(rootfs.lowers[0].join("sparse")).expect("there");
        assert_eq!(&content[64 << 20..], b"end", "{format}");
    }
}
