//! Where copied files come to stand.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

const TIMES: Times = Times { now_seconds: 0, context_seconds: None };

/// A directory of files (`a/b`), directories (`a/`) and symbolic links (`a -> b`).
fn tree(names: &[&str]) -> (tempfile::TempDir, Tree) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for name in names {
        let (path, target) = name.split_once(" -> ").map_or((*name, None), |(path, target)| (path, Some(target)));
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        match target {
            Some(target) => symlink(target, path).expect("made"),
            None if name.ends_with('/') => fs::create_dir_all(path).expect("made"),
            None => fs::write(path, "").expect("written"),
        }
    }
    let tree = Tree::open(dir.path()).expect("there");
    (dir, tree)
}

struct Case {
    /// What the image has.
    image: &'static [&'static str],
    /// What is copied, one after the other.
    sources: &'static [&'static [&'static str]],
    destination: &'static str,
    is_link: bool,
}

impl Case {
    fn new(image: &'static [&'static str], source: &'static [&'static [&'static str]]) -> Self {
        Self { image, sources: source, destination: "/", is_link: false }
    }

    fn to(self, destination: &'static str) -> Self {
        Self { destination, ..self }
    }

    fn link(self) -> Self {
        Self { is_link: true, ..self }
    }

    fn layer(&self) -> Layer {
        let destination = Destination { text: self.destination.into(), working_dir: "/".into(), is_link: self.is_link };
        Layer { owner: None, mode: None, kept: Preserve::Nothing, unpack: None, parents: false, destination, top: None }
    }

    /// The layer's members, each source brought as a directory or as an archive.
    fn members(&self, as_archive: bool) -> Result<String, String> {
        let (_image, root) = tree(self.image);
        let sources: Vec<_> = self.sources.iter().map(|names| tree(names)).collect();
        let layer = self.layer();
        let members = || {
            let mut entries = Entries::new(&layer, &root, TIMES)?;
            let place = entries.place(1)?;
            for (_, source) in &sources {
                match as_archive {
                    true => entries.add_archive(source, &place.path)?,
                    false => entries.add_tree(source, &whole(source), &place)?,
                }
            }
            entries.with_parents()
        };
        let members = members().map_err(|error: StepError| error.to_string())?;
        let shown = |(path, entry): (&PathBuf, &Entry<'_>)| match entry.member.kind {
            MemberKind::Directory => format!("{}/", path.display()),
            MemberKind::SymbolicLink => {
                format!("{} -> {}", path.display(), String::from_utf8_lossy(&entry.member.link))
            }
            _ => path.display().to_string(),
        };
        Ok(members.iter().map(shown).collect::<Vec<_>>().join(" "))
    }
}

fn whole(tree: &Tree) -> Piece {
    let entries = find(tree, Path::new(""), &mut |_, _| WalkDecision::It).expect("read");
    let nowhere = PathBuf::new();
    Piece::Tree { name: "source".into(), is_dir: true, parent: nowhere.clone(), real: nowhere, entries }
}

#[test]
fn directories_are_filled_through_links_and_never_outside() {
    let merged: &[&str] = &["usr/lib/", "lib -> usr/lib"];
    let lib: &[&[&str]] = &[&["lib/a"]];
    let table = [
        (Case::new(merged, lib), "usr/lib/ usr/lib/a"),
        (Case::new(&["usr/lib/", "lib -> /usr/lib"], lib), "usr/lib/ usr/lib/a"),
        (Case::new(&["usr/lib/", "lib -> x", "x -> ../usr/./lib"], lib), "usr/lib/ usr/lib/a"),
        (Case::new(merged, &[&["a"]]).to("/lib/new"), "usr/lib/new/ usr/lib/new/a"),
        (Case::new(merged, &[&["a"]]).to("/lib"), "usr/lib/a"),
        (
            Case::new(merged, &[&["lib/sub/a", "usr/lib/sub/b"]]),
            "usr/ usr/lib/ usr/lib/sub/ usr/lib/sub/a usr/lib/sub/b",
        ),
        // A link that leads nowhere yet, and those that lead out of the root: they end within it.
        (Case::new(&["lib -> usr/lib"], lib), "usr/ usr/lib/ usr/lib/a"),
        (Case::new(&["lib -> ../../../../../../tmp"], lib), "tmp/ tmp/a"),
        (Case::new(&["lib -> /tmp", "tmp -> ../../../etc"], lib), "etc/ etc/a"),
        (Case::new(&["srv/lib -> ../../..", "etc/"], &[&["etc/a"]]).to("/srv/lib"), "etc/ etc/a"),
        // What is copied takes a link's place if it is no directory.
        (Case::new(merged, &[&["lib"]]), "lib"),
        (Case::new(merged, &[&["lib -> usr/lib64"]]), "lib -> usr/lib64"),
        // The links that are copied count as well, those of another source too.
        (
            Case::new(&[], &[&["lib -> usr/lib", "usr/lib/a"], &["lib/b"]]),
            "lib -> usr/lib usr/ usr/lib/ usr/lib/a usr/lib/b",
        ),
        (Case::new(&["lib/"], &[&["lib/a"], &["lib -> /usr"], &["lib/b"]]), "lib -> /usr usr/ usr/b"),
        // With --link nobody looks at the image.
        (Case::new(merged, lib).link(), "lib/ lib/a"),
        (Case::new(merged, &[&["a"]]).to("/lib/new").link(), "lib/ lib/new/ lib/new/a"),
    ];
    for (case, expected) in table {
        for as_archive in [false, true] {
            let members = case.members(as_archive);
            assert_eq!(members.as_deref(), Ok(expected), "{:?} {:?} {as_archive}", case.image, case.sources);
        }
    }
}

#[test]
fn a_directory_takes_no_file_s_place() {
    let source: &[&[&str]] = &[&["lib/a"]];
    let table = [
        (Case::new(&["file"], source).to("/file"), "cannot copy to non-directory: /file"),
        (Case::new(&["file"], source).to("/file/below"), "cannot copy to non-directory: /file"),
        (Case::new(&["file", "link -> file"], source).to("/link"), "cannot copy to non-directory: /file"),
        (Case::new(&["lib"], source), "cannot copy to non-directory: /lib"),
        (Case::new(&["etc/lib -> ../file", "file"], source).to("/etc"), "cannot copy to non-directory: /file"),
        (Case::new(&[], &[&["lib"], &["lib/a"]]), "cannot copy to non-directory: /lib"),
        (Case::new(&["lib -> lib"], source), "can't look at /lib of the stage"),
    ];
    for (case, expected) in table {
        for as_archive in [false, true] {
            let refused = case.members(as_archive).expect_err(expected);
            assert_eq!(refused, expected, "{:?} {:?}", case.image, case.sources);
        }
    }
    let case = Case::new(&["file"], source).to("/file").link();
    assert_eq!(case.members(false).as_deref(), Ok("file/ file/lib/ file/lib/a"), "nobody looks");

    let (_image, root) = tree(&["file", "link -> file", "dir/"]);
    let layer = Case::new(&[], &[]).layer();
    let mut entries = Entries::new(&layer, &root, TIMES).expect("no owner");
    for path in ["/file", "/link"] {
        let refused = entries.add_directory(Path::new(path)).expect_err(path).to_string();
        assert_eq!(refused, format!("Cannot mkdir: {path} is not a directory"));
    }
    assert!(!entries.add_directory(Path::new("/dir")).expect("it is there"));
}

#[test]
fn marks_of_layers_are_no_files() {
    let hide = |dir: &tempfile::TempDir, name: &str| {
        let parent = File::open(dir.path()).expect("there");
        rustix::fs::mknodat(parent, name, FileType::CharacterDevice, 0.into(), 0).expect("made");
    };
    let (image, root) = tree(&[]);
    hide(&image, "lib");
    let (dir, source) = tree(&["lib/a"]);
    hide(&dir, "lib/gone");
    let layer = Case::new(&[], &[]).layer();
    let mut entries = Entries::new(&layer, &root, TIMES).expect("no owner");
    entries.add_archive(&source, Path::new("")).expect("nothing is in the way");
    let all = entries.with_parents().expect("read");
    assert_eq!(all.keys().collect::<Vec<_>>(), [Path::new("lib"), Path::new("lib/a")]);
}
