//! Searches a tree for what is to be copied, hashed or deleted. It is opened again for that: there may be more than a process
//! may have open.

use std::io;
use std::path::{Path, PathBuf};

use images::files::{Entry, ReadError, Tree};
use rustix::fs::{FileType, Stat};

/// Something that was found below a path.
pub(super) struct FoundFile {
    /// From the path where the search began; empty for that itself.
    pub(super) relative: PathBuf,
    /// From the root.
    pub(super) path: PathBuf,
    pub(super) stat: Stat,
}

/// Whether something that was found is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WalkDecision {
    It,
    /// Not itself, but perhaps something below it.
    Below,
    Nothing,
}

impl FoundFile {
    pub(super) fn is_dir(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::Directory
    }

    pub(super) fn is_file(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::RegularFile
    }
}

/// What is at `start` and below it, directories before what is in them; nothing below what `decide` doesn't want. It is told
/// paths from `start`, and whether they are directories.
pub(super) fn find(
    tree: &Tree,
    start: &Path,
    decide: &mut dyn FnMut(&Path, bool) -> WalkDecision,
) -> io::Result<Vec<FoundFile>> {
    let mut all = Vec::new();
    let mut look = |path: &Path, entry: &Entry| {
        // The mark of a lower layer that nothing stands below: what it hides isn't there, and elsewhere it would hide more.
        if entry.is_whiteout() {
            return false;
        }
        let relative = path.strip_prefix(start).unwrap_or(path).to_owned();
        let found = FoundFile { relative, path: path.to_owned(), stat: entry.stat };
        let decision = decide(&found.relative, found.is_dir());
        if decision == WalkDecision::It {
            all.push(found);
        }
        decision != WalkDecision::Nothing
    };
    if let Some(top) = tree.entry(start)?
        && look(start, &top)
    {
        tree.walk(start, |path, entry| Ok::<_, ReadError>(look(path, entry))).map_err(io::Error::other)?;
    }
    Ok(all)
}
