//! Names as a user gives them, within a root directory.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::Entry;

/// As many as the kernel follows.
const LINKS_MAX: usize = 40;

/// What something is, as `stat(2)` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// The last component of the path that it was asked for by.
    pub name: OsString,
    /// Of a file's content, or a link's target.
    pub size_bytes: u64,
    /// Kind and permissions.
    pub mode: u32,
    /// When its content last changed.
    pub modified: Timestamp,
    /// Where it ends up for a symbolic link, as a path from the root; as far as it gets for one that leads nowhere.
    pub link_target: Option<PathBuf>,
}

/// Looks at what has this path below `root`. A link at its end is followed only when more than a name is asked for: `/link/`
/// and `/link/.` are what it leads to.
pub fn stat(root: impl AsFd, path: &Path) -> io::Result<FileStat> {
    let root = root.as_fd();
    let entry = Entry::of(open(root, path, OFlags::PATH | no_follow(path))?)?;
    let stat = &entry.stat;
    let is_link = entry.kind() == FileType::Symlink;
    Ok(FileStat {
        name: base(path),
        size_bytes: u64::try_from(stat.st_size).unwrap_or_default(),
        mode: stat.st_mode,
        modified: Timestamp::new(stat.st_mtime, i32::try_from(stat.st_mtime_nsec).unwrap_or_default())
            .unwrap_or_default(),
        link_target: if is_link { Some(Path::new("/").join(follow(root, path)?)) } else { None },
    })
}

/// Makes a directory of root's with mode 0755, and those above it that aren't there. Links on the way are followed within the
/// root, also those that lead to what isn't there yet. Only for a root that nobody else changes meanwhile.
pub fn make_directory(root: impl AsFd, path: &Path) -> io::Result<()> {
    let root = root.as_fd();
    let mut reached = PathBuf::from("/");
    for name in components(&follow(root, path)?) {
        let above = open(root, &reached, OFlags::PATH | OFlags::DIRECTORY)?;
        reached.push(&name);
        match open(root, &reached, OFlags::PATH | OFlags::DIRECTORY) {
            Err(Errno::NOENT) => {
                rustix::fs::mkdirat(&above, &name, Mode::from(0o755))?;
                let made = open(root, &reached, OFlags::RDONLY | OFlags::DIRECTORY)?;
                // Whatever berthd's umask is.
                rustix::fs::fchmod(made, Mode::from(0o755))?;
            }
            outcome => drop(outcome?),
        }
    }
    Ok(())
}

/// The last component as Go's `filepath.Base` has it, by which archives are named: `.` and `/` for themselves.
pub(super) fn base(path: &Path) -> OsString {
    let bytes = path.as_os_str().as_bytes();
    let end = bytes.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let begin = bytes[..end].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    match &bytes[begin..end] {
        b"" => OsString::from("/"),
        name => std::ffi::OsStr::from_bytes(name).to_owned(),
    }
}

/// Whether only what the path ends in is meant, not what that leads to.
pub(super) fn no_follow(path: &Path) -> OFlags {
    let bytes = path.as_os_str().as_bytes();
    match bytes.ends_with(b"/") || bytes.ends_with(b"/.") || bytes == b"." {
        true => OFlags::DIRECTORY,
        false => OFlags::NOFOLLOW,
    }
}

/// Opens a path as the kernel would for a process whose root directory this is: neither `..` nor a link leads out of it.
pub(super) fn open(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let path = if path.as_os_str().is_empty() { Path::new("/") } else { path };
    loop {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), within) {
            // A rename somewhere on the machine came in between, and the kernel isn't sure.
            Err(Errno::AGAIN | Errno::INTR) => {}
            outcome => return outcome,
        }
    }
}

/// The path behind all links of a path, from the root. What is there by the time that somebody goes there may be another
/// thing: they go through no link, or resolve it anew.
pub(super) fn follow(root: BorrowedFd<'_>, path: &Path) -> io::Result<PathBuf> {
    follow_links(path, |reached| match open(root, reached, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(fd) => Entry::of(fd)?.leads_to(),
        // From here on nothing is there, so nothing is a link.
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno.into()),
    })
}

/// The path behind all links of a path, from a root in which `leads_to` knows what the link at a path leads to, and what is
/// none.
///
/// # Errors
/// Those of `leads_to`, and links without end.
pub fn follow_links(
    path: &Path,
    mut leads_to: impl FnMut(&Path) -> io::Result<Option<PathBuf>>,
) -> io::Result<PathBuf> {
    let mut pending: VecDeque<OsString> = components(path).collect();
    let mut reached = PathBuf::new();
    let mut links = 0;
    while let Some(name) = pending.pop_front() {
        if name == ".." {
            reached.pop();
            continue;
        }
        reached.push(&name);
        let Some(target) = leads_to(&reached)? else { continue };
        links += 1;
        if links > LINKS_MAX {
            return Err(Errno::LOOP.into());
        }
        reached.pop();
        if target.is_absolute() {
            reached = PathBuf::new();
        }
        let rest = std::mem::take(&mut pending);
        pending = components(&target).chain(rest).collect();
    }
    Ok(reached)
}

/// A path from the root, without `.` and `..`: what it says, not what links make of it.
pub fn plain(path: &str) -> PathBuf {
    let mut plain = PathBuf::new();
    for name in components(Path::new(path)) {
        match name == ".." {
            true => drop(plain.pop()),
            false => plain.push(name),
        }
    }
    plain
}

/// What climbs out stays at the root.
fn components(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}
