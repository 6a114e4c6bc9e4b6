//! What was written above some layers, as a layer's tar: overlayfs marks what is gone in its own way, tars in another.

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat};

use crate::tarball::{Member, MemberKind, TarWriter};
use crate::tree::{Found, Keep, Tree, is_dir, is_file};

/// Overlayfs's marks.
const OPAQUE: &[u8] = b"trusted.overlay.opaque";
const REDIRECT: &[u8] = b"trusted.overlay.redirect";
/// A tar's.
const OPAQUE_MARKER: &str = ".wh..wh..opq";

/// Writes the tar of what is in `upper`, without the paths of which `skip` says so. `clamp` makes later times earlier.
pub(crate) fn write_layer<W: Write>(
    upper: &Path,
    skip: &dyn Fn(&Path) -> bool,
    clamp: &dyn Fn(i64) -> i64,
    output: W,
) -> io::Result<W> {
    let tree = Tree::open(upper)?;
    let mut writer = Writer { tree: &tree, tar: TarWriter::new(output), names: HashMap::new(), clamp };
    let wanted = |path: &Path| !path.as_os_str().is_empty() && !skip(path);
    let mut keep = |path: &Path, _| if wanted(path) { Keep::It } else { Keep::Below };
    for found in tree.walk(Path::new(""), &mut keep)? {
        writer.append(&found)?;
    }
    writer.tar.finish()
}

struct Writer<'a, W> {
    tree: &'a Tree,
    tar: TarWriter<W>,
    /// The first names of files that have several.
    names: HashMap<(u64, u64), Vec<u8>>,
    clamp: &'a dyn Fn(i64) -> i64,
}

impl<W: Write> Writer<'_, W> {
    fn append(&mut self, found: &Found) -> io::Result<()> {
        if is_whiteout(&found.stat) {
            let name = [b".wh.", found.path.file_name().unwrap_or_default().as_bytes()].concat();
            return self.mark(found, &name);
        }
        let mut path = found.path.as_os_str().as_bytes().to_vec();
        if is_dir(&found.stat) {
            path.push(b'/');
        }
        let Some(mut member) = self.tree.member(found, path)? else { return Ok(()) };
        member.mtime_seconds = (self.clamp)(member.mtime_seconds);
        if let Some(first) = self.first_name(found) {
            member.kind = MemberKind::HardLink;
            member.link = first;
            member.size_bytes = 0;
            member.xattrs.clear();
        }
        if !is_dir(&found.stat) {
            return match &member.kind {
                MemberKind::File { .. } => self.tar.append(&member, &mut self.tree.file(&found.path)?),
                _ => self.tar.append(&member, &mut io::empty()),
            };
        }
        if self.tree.xattr(&found.path, REDIRECT)?.is_some() {
            let path = found.path.display();
            return Err(io::Error::other(format!(
                "{path} was renamed by overlayfs's redirect_dir, which layers can't say"
            )));
        }
        self.tar.append(&member, &mut io::empty())?;
        match self.tree.xattr(&found.path, OPAQUE)?.as_deref() {
            Some(b"y") => {
                let inside = Found { relative: PathBuf::new(), path: found.path.join(OPAQUE_MARKER), stat: found.stat };
                self.mark(&inside, OPAQUE_MARKER.as_bytes())
            }
            _ => Ok(()),
        }
    }

    /// The name under which the same file was written before.
    fn first_name(&mut self, found: &Found) -> Option<Vec<u8>> {
        let stat = &found.stat;
        if is_dir(stat) || stat.st_nlink < 2 {
            return None;
        }
        let name = || found.path.as_os_str().as_bytes().to_vec();
        match self.names.entry((stat.st_dev, stat.st_ino)) {
            std::collections::hash_map::Entry::Occupied(first) => Some(first.get().clone()),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(name());
                None
            }
        }
    }

    /// An empty file whose name says all.
    fn mark(&mut self, found: &Found, name: &[u8]) -> io::Result<()> {
        let parent = found.path.parent().unwrap_or(Path::new(""));
        let path = parent.join(std::ffi::OsStr::from_bytes(name));
        let member = Member {
            path: path.as_os_str().as_bytes().to_vec(),
            kind: MemberKind::File { segments: None },
            link: Vec::new(),
            mode: 0,
            uid: 0,
            gid: 0,
            mtime_seconds: (self.clamp)(found.stat.st_mtime),
            mtime_nanoseconds: 0,
            size_bytes: 0,
            xattrs: Vec::new(),
        };
        self.tar.append(&member, &mut io::empty())
    }
}

fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Takes away what was only made to mount something on: files and directories that are as empty as they were made.
pub(crate) fn remove_mount_points(upper: &Path, made: &[PathBuf]) -> io::Result<()> {
    let tree = Tree::open(upper)?;
    // The deepest first: what is then empty was made for it.
    let mut made: Vec<&PathBuf> = made.iter().collect();
    made.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
    for path in made {
        let Some(stat) = tree.stat(path).ok().flatten() else { continue };
        let whole = upper.join(path);
        if is_dir(&stat) && tree.names(path)?.is_empty() {
            std::fs::remove_dir(whole)?;
        } else if is_file(&stat) && stat.st_size == 0 {
            std::fs::remove_file(whole)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::tarball::TarReader;

    fn written(upper: &Path) -> Vec<String> {
        let tar = write_layer(upper, &|path| path == Path::new("skipped"), &|time| time.min(7), Vec::new()).unwrap();
        let mut reader = TarReader::new(&tar[..]);
        let mut all = Vec::new();
        while let Some(member) = reader.next_member().unwrap() {
            assert_eq!(member.mtime_seconds, 7);
            let link = String::from_utf8_lossy(&member.link).into_owned();
            all.push(format!("{} {:o} {link}", String::from_utf8_lossy(&member.path), member.mode));
        }
        all
    }

    #[test]
    fn marks_links_and_modes_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let upper = dir.path();
        std::fs::create_dir_all(upper.join("opaque/in")).unwrap();
        std::fs::write(upper.join("file"), "x").unwrap();
        std::fs::write(upper.join("skipped"), "x").unwrap();
        std::fs::set_permissions(upper.join("file"), std::fs::Permissions::from_mode(0o4711)).unwrap();
        std::fs::hard_link(upper.join("file"), upper.join("hard")).unwrap();
        symlink("/nowhere", upper.join("link")).unwrap();
        let mode = rustix::fs::Mode::empty();
        rustix::fs::mknodat(rustix::fs::CWD, upper.join("gone"), FileType::CharacterDevice, mode, 0).unwrap();
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(upper.join("opaque"), "trusted.overlay.opaque", b"y", flags).unwrap();
        insta::assert_snapshot!(written(upper).join("\n"), @r"
        file 4711 
        .wh.gone 0 
        hard 4711 file
        link 777 /nowhere
        opaque/ 755 
        opaque/.wh..wh..opq 0 
        opaque/in/ 755
        ");
    }

    #[test]
    fn mount_points_go_when_nothing_is_in_them() {
        let dir = tempfile::tempdir().unwrap();
        let upper = dir.path();
        for path in ["run/secrets", "cache"] {
            std::fs::create_dir_all(upper.join(path)).unwrap();
        }
        for (path, content) in [("run/secrets/key", ""), ("hosts", ""), ("kept", "x"), ("cache/x", "")] {
            std::fs::write(upper.join(path), content).unwrap();
        }
        let made = ["run", "run/secrets", "run/secrets/key", "hosts", "kept", "cache", "missing/x"].map(PathBuf::from);
        remove_mount_points(upper, &made).unwrap();
        let left: Vec<_> = Tree::open(upper).unwrap().names(Path::new("")).unwrap();
        assert_eq!(left, ["cache", "kept"]);
    }
}
