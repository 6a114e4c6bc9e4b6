//! The changes of a container: its upper directory, compared with its lower layers.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use crate::files::{Entry, ReadError, Tree, is_opaque};
use crate::lowers::Lowers;

/// What the runtime makes in every container for something to be mounted on, and Docker makes in a layer of its own below:
/// an empty file or directory there is nobody's change.
const MOUNT_POINTS: [&str; 12] = [
    ".dockerenv",
    "dev",
    "dev/console",
    "dev/mqueue",
    "dev/pts",
    "dev/shm",
    "etc",
    "etc/hostname",
    "etc/hosts",
    "etc/resolv.conf",
    "proc",
    "sys",
];

/// How something differs from the image, in the numbers of Docker's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// `C`
    Modified = 0,
    /// `A`
    Added = 1,
    /// `D`
    Deleted = 2,
}

/// Something that differs from the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// From the root.
    pub path: PathBuf,
    /// How.
    pub kind: ChangeKind,
}

/// Compares an upper directory with the layers below, top first. A directory with something changed in it is changed.
pub(crate) fn changes(upper: &Path, lowers: &[PathBuf]) -> Result<Vec<FileChange>, ReadError> {
    let open = |path: &Path| Tree::open(path).map_err(ReadError::at(path));
    let upper = open(upper)?;
    let lowers = Lowers::open(lowers)?;
    let mount_points = mount_points(&upper, &lowers)?;
    let mut found = BTreeMap::new();
    upper.walk(Path::new(""), |path, entry| {
        if mount_points.contains(path) {
            return Ok(false);
        }
        let before = lowers.entry(path)?;
        let kind = match &before {
            None if entry.is_whiteout() => None,
            Some(_) if entry.is_whiteout() => Some(ChangeKind::Deleted),
            None => Some(ChangeKind::Added),
            Some(before) => {
                differs(entry, before, has_mount_point(&mount_points, path)).then_some(ChangeKind::Modified)
            }
        };
        found.extend(kind.map(|kind| (path.to_owned(), kind)));
        if let Some(before) = before
            && entry.kind() == FileType::Directory
            && is_opaque(entry).map_err(ReadError::at(path))?
        {
            found.extend(replaced(path, entry, &before, &lowers)?);
        }
        Ok::<_, ReadError>(true)
    })?;
    add_parents(&mut found);
    Ok(found.into_iter().map(|(path, kind)| FileChange { path: Path::new("/").join(path), kind }).collect())
}

/// Mount points that are in the upper directory for nothing else.
pub(crate) fn mount_points_of(upper: &Path, lowers: &[PathBuf]) -> Result<BTreeSet<PathBuf>, ReadError> {
    let open = |path: &Path| Tree::open(path).map_err(ReadError::at(path));
    mount_points(&open(upper)?, &Lowers::open(lowers)?)
}

fn mount_points(upper: &Tree, lowers: &Lowers) -> Result<BTreeSet<PathBuf>, ReadError> {
    let mut found = BTreeSet::new();
    // Those within others stand behind them, and have to be known first.
    for path in MOUNT_POINTS.iter().rev().map(Path::new) {
        let Some(entry) = upper.entry(path).map_err(ReadError::at(path))? else { continue };
        let is_bare = match entry.kind() {
            FileType::Directory => {
                let names = entry.names().map_err(ReadError::at(path))?;
                names.iter().all(|name| found.contains(&path.join(name)))
            }
            FileType::RegularFile => entry.stat.st_size == 0,
            _ => false,
        };
        if is_bare && lowers.entry(path)?.is_none() {
            found.insert(path.to_owned());
        }
    }
    Ok(found)
}

fn has_mount_point(mount_points: &BTreeSet<PathBuf>, directory: &Path) -> bool {
    mount_points.iter().any(|path| path.parent() == Some(directory))
}

/// A directory is copied up for what is changed below it; itself it may be as it was. Its time also changes when a mount
/// point is made in it.
fn differs(now: &Entry, before: &Entry, ignore_time: bool) -> bool {
    if now.kind() != FileType::Directory || before.kind() != FileType::Directory {
        return true;
    }
    let looks = |entry: &Entry| (entry.stat.st_mode, entry.stat.st_uid, entry.stat.st_gid);
    let time = |entry: &Entry| (entry.stat.st_mtime, entry.stat.st_mtime_nsec);
    looks(now) != looks(before) || (!ignore_time && time(now) != time(before))
}

/// A directory that was removed and made anew: what isn't in it any more.
fn replaced(
    path: &Path,
    now: &Entry,
    before: &Entry,
    lowers: &Lowers,
) -> Result<Vec<(PathBuf, ChangeKind)>, ReadError> {
    if before.kind() != FileType::Directory {
        return Ok(Vec::new());
    }
    let still: BTreeSet<OsString> = now.names().map_err(ReadError::at(path))?.into_iter().collect();
    let gone = lowers.names(path)?.into_iter().filter(|name| !still.contains(name));
    Ok(gone.map(|name| (path.join(name), ChangeKind::Deleted)).collect())
}

fn add_parents(found: &mut BTreeMap<PathBuf, ChangeKind>) {
    let parents: BTreeSet<PathBuf> =
        found.keys().flat_map(|path| path.ancestors().skip(1).map(Path::to_owned)).collect();
    for parent in parents.into_iter().filter(|parent| !parent.as_os_str().is_empty()) {
        found.entry(parent).or_insert(ChangeKind::Modified);
    }
}

#[cfg(test)]
mod tests;
