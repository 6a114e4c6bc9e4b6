//! Snapshots as overlayfs sees them, in a mount namespace of the test's own.

use std::process::Command;

use super::*;
use crate::Rootfs;

/// Runs a shell script inside the mounted root file system of a snapshot; answers what it prints.
fn inside(rootfs: &Rootfs, script: &str) -> String {
    // Relative to the directory of the links, as a caller with very many layers would do it.
    let links = rootfs.lowers[0].parent().expect("links stand in a directory");
    let names: Vec<&str> = rootfs
        .lowers
        .iter()
        .map(|lower| lower.strip_prefix(links).expect("one directory").to_str().expect("digits"))
        .collect();
    let options =
        format!("lowerdir={},upperdir={},workdir={}", names.join(":"), rootfs.upper.display(), rootfs.work.display());
    let script = format!(
        "set -eu; mkdir -p \"$TARGET\"; mount -t overlay overlay -o \"$OPTIONS\" \"$TARGET\"; cd \"$TARGET\"; {script}"
    );
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &script])
        .env("OPTIONS", options)
        .env("TARGET", rootfs.upper.with_file_name("merged"))
        .current_dir(links)
        .output()
        .expect("unshare of util-linux");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn whiteouts_and_opaque_directories_hide_in_a_mount() {
    let store = TestStore::new();
    let base = Tar::new()
        .file("gone", "")
        .file("stays", "base")
        .file("changed", "base")
        .file("dir/gone", "")
        .file("dir/stays", "")
        .file("opaque/gone", "")
        .file("remade/gone", "")
        .file("became-file/gone", "")
        .finish();
    let middle = Tar::new()
        .file(".wh.gone", "")
        .file("dir/.wh.gone", "")
        .file("opaque/.wh..wh..opq", "")
        .file("opaque/new", "")
        .file(".wh.remade", "")
        .file("remade/new", "")
        .file("became-file", "")
        .file("changed", "middle")
        .finish();
    let top = Tar::new().file("changed", "top").file(".wh.became-file", "").finish();
    let image = TestImage::new("overlay:1", vec![base, middle, top]);
    let rootfs = store.prepare("c", &store.load(&image)).expect("a snapshot");
    let tree = inside(&rootfs, "find . -mindepth 1 | sort; cat changed; echo; echo written > stays");
    let expected = "./changed\n./dir\n./dir/stays\n./opaque\n./opaque/new\n./remade\n./remade/new\n./stays\ntop\n";
    assert_eq!(tree, expected);
    assert_eq!(read(rootfs.upper.join("stays")), "written\n");
    assert_eq!(inside(&rootfs, "cat stays; rm stays"), "written\n");
    assert_eq!(inside(&rootfs, "ls"), "changed\ndir\nopaque\nremade\n");
}

#[test]
fn many_layers_can_be_mounted() {
    let store = TestStore::new();
    let layers = (0..128).map(|at| layer(&format!("file-{at}"), "")).collect();
    let rootfs = store.prepare("c", &store.load(&TestImage::new("deep:1", layers))).expect("a snapshot");
    assert_eq!(rootfs.lowers.len(), 128);
    assert_eq!(inside(&rootfs, "ls | wc -l").trim(), "128");
    // As berth keeps them, they fit into a page of mount options without being relative.
    let absolute = rootfs.lowers.iter().map(|lower| {
        let link = lower.file_name().expect("a link").len();
        "/run/berth/l/:".len() + link
    });
    assert!(absolute.sum::<usize>() < 3 * 1024);
}

#[test]
fn an_image_without_layers_can_be_mounted() {
    let store = TestStore::new();
    let rootfs = store.prepare("c", &store.load(&TestImage::new("scratch:1", Vec::new()))).expect("a snapshot");
    assert_eq!(inside(&rootfs, "ls; stat -c %a ."), "755\n");
}

/// Nor do its looks show through: what is implied below a directory that was made anew is as new as that.
#[test]
fn what_a_layer_hides_stays_gone_whatever_is_named_below_it() {
    let store = TestStore::new();
    let base = Tar::new()
        .dir("hidden", 0o700)
        .file("hidden/gone", "")
        .dir("hidden/sub", 0o700)
        .file("hidden/sub/gone", "")
        .dir("hidden/deep", 0o700)
        .file("hidden/deep/er/gone", "")
        .file("replaced/gone", "")
        .file("linked/gone", "")
        .dir("kept", 0o711)
        .file("kept/x", "")
        .finish();
    let middle = Tar::new()
        .file(".wh.hidden", "")
        .file("hidden/sub/new", "")
        .file(".wh.replaced", "")
        .file("replaced", "a file first")
        .dir("replaced", 0o755)
        .symlink("linked", "elsewhere")
        .dir("linked", 0o755)
        .finish();
    let top = Tar::new().file("hidden/deep/top", "").file("hidden/sub/top", "").file("kept/y", "").finish();
    let list = |rootfs: &Rootfs| inside(rootfs, "find . -mindepth 1 -printf '%P %m\\n' | sort");
    let image = TestImage::new("overlay:1", vec![base.clone(), middle.clone(), top]);
    let rootfs = store.prepare("c", &store.load(&image)).expect("a snapshot");
    let expected = "hidden 755\nhidden/deep 755\nhidden/deep/top 644\nhidden/sub 755\nhidden/sub/new 644\n\
                    hidden/sub/top 644\nkept 711\nkept/x 644\nkept/y 644\nlinked 755\nreplaced 755\n";
    assert_eq!(list(&rootfs), expected);

    let all = Tar::new().file("kept/new", "").file(".wh..wh..opq", "").file("own", "").finish();
    let image = TestImage::new("overlay:2", vec![base, middle, all]);
    let rootfs = store.prepare("d", &store.load(&image)).expect("a snapshot");
    assert_eq!(list(&rootfs), "kept 755\nkept/new 644\nown 644\n");
}
