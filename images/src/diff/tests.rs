//! Upper directories as overlayfs leaves them, made by overlayfs.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

/// Two layers: the lower has `/base/{a,b}`, `/gone/x`, `/file`; the upper hides `/gone` and replaces `/base/b`.
struct Layers {
    _dir: tempfile::TempDir,
    upper: PathBuf,
    lowers: Vec<PathBuf>,
}

impl Layers {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let [upper, top, bottom] = ["upper", "top", "bottom"].map(|name| dir.path().join(name));
        for made in [&upper, &top.join("base"), &bottom.join("base"), &bottom.join("gone")] {
            fs::create_dir_all(made).expect("made");
        }
        for path in [
            bottom.join("base/a"),
            bottom.join("base/b"),
            bottom.join("gone/x"),
            bottom.join("file"),
            top.join("base/b"),
        ] {
            fs::write(path, "").expect("written");
        }
        let layers = Self { _dir: dir, upper, lowers: vec![top, bottom] };
        layers.hide(&layers.lowers[0].join("gone"));
        layers
    }

    fn hide(&self, path: &Path) {
        let parent = fs::File::open(path.parent().expect("a parent")).expect("there");
        let name = path.file_name().expect("a name");
        rustix::fs::mknodat(parent, name, FileType::CharacterDevice, 0.into(), 0).expect("made");
    }

    /// As overlayfs copies a directory up: the same in all but what is in it.
    fn copy_up(&self, path: &str) {
        let made = self.upper.join(path);
        fs::create_dir(&made).expect("made");
        self.settle(path);
    }

    fn settle(&self, path: &str) {
        let model = self.lowers.iter().map(|lower| lower.join(path)).find(|path| path.exists()).expect("a lower one");
        let looks = fs::metadata(model).expect("there");
        let made = fs::File::open(self.upper.join(path)).expect("there");
        made.set_permissions(looks.permissions()).expect("set");
        made.set_modified(looks.modified().expect("a time")).expect("set");
    }

    fn opaque(&self, path: &str) {
        rustix::fs::setxattr(self.upper.join(path), "trusted.overlay.opaque", b"y", rustix::fs::XattrFlags::empty())
            .expect("set (as root)");
    }

    #[track_caller]
    fn assert(&self, expected: &str) {
        let found = changes(&self.upper, &self.lowers).expect("compared");
        let line = |change: &FileChange| {
            let kind = ["C", "A", "D"][change.kind as usize];
            format!("{kind} {}", change.path.display())
        };
        assert_eq!(found.iter().map(line).collect::<Vec<_>>().join(", "), expected);
    }
}

#[test]
fn nothing_changed() {
    let layers = Layers::new();
    layers.assert("");
    layers.copy_up("base");
    layers.assert("");
}

#[test]
fn added_changed_and_deleted() {
    let layers = Layers::new();
    layers.copy_up("base");
    fs::write(layers.upper.join("base/new"), "").expect("written");
    fs::write(layers.upper.join("base/a"), "").expect("written");
    layers.hide(&layers.upper.join("base/b"));
    layers.hide(&layers.upper.join("never"));
    symlink("x", layers.upper.join("link")).expect("made");
    layers.assert("C /base, C /base/a, D /base/b, A /base/new, A /link");
}

#[test]
fn what_a_layer_hides_isn_t_there_to_be_changed() {
    let layers = Layers::new();
    fs::create_dir(layers.upper.join("gone")).expect("made");
    fs::write(layers.upper.join("gone/x"), "").expect("written");
    layers.assert("A /gone, A /gone/x");
}

#[test]
fn a_directory_made_anew_lacks_what_was_in_it() {
    let layers = Layers::new();
    layers.copy_up("base");
    layers.opaque("base");
    fs::write(layers.upper.join("base/b"), "").expect("written");
    layers.assert("C /base, D /base/a, C /base/b");
}

#[test]
fn what_a_lower_layer_made_anew_lacks_what_was_further_down() {
    let layers = Layers::new();
    let [top, bottom] = [&layers.lowers[0], &layers.lowers[1]];
    for path in [&bottom.join("base/sub"), &top.join("base/sub"), &layers.upper.join("base/sub")] {
        fs::create_dir_all(path).expect("made");
    }
    fs::write(bottom.join("base/sub/gone"), "").expect("written");
    fs::write(top.join("base/sub/x"), "").expect("written");
    let opaque = |path: PathBuf| {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(path, "trusted.overlay.opaque", b"y", flags).expect("set");
    };
    opaque(top.join("base"));
    opaque(layers.upper.join("base/sub"));
    layers.assert("C /base, C /base/sub, D /base/sub/x");
}

#[test]
fn a_directory_s_own_looks_count() {
    let layers = Layers::new();
    layers.copy_up("base");
    fs::set_permissions(layers.upper.join("base"), fs::Permissions::from_mode(0o700)).expect("set");
    layers.assert("C /base");
    let layers = Layers::new();
    fs::write(layers.upper.join("base"), "").expect("written");
    layers.assert("C /base");
}

#[test]
fn what_mounts_need_is_nobody_s_change() {
    let layers = Layers::new();
    for directory in ["dev/pts", "proc", "sys", "etc"] {
        fs::create_dir_all(layers.upper.join(directory)).expect("made");
    }
    for file in ["etc/hosts", "etc/resolv.conf", "dev/console"] {
        fs::write(layers.upper.join(file), "").expect("written");
    }
    layers.assert("");
    fs::write(layers.upper.join("etc/hosts"), "written by hand").expect("written");
    fs::write(layers.upper.join("dev/mine"), "").expect("written");
    layers.assert("A /dev, A /dev/mine, A /etc, A /etc/hosts");
}
