//! A directory that files are copied from or to: the context, or the root of a stage or an image.
//!
//! Nothing in it is believed: the kernel resolves every name beneath its root, and symbolic links lead around in it only.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::tarball::{Member, MemberKind};

/// Linux's own limit.
const LINKS_MAX: usize = 40;
const XATTR_BYTES: usize = 64 * 1024;

/// A directory with what is below it.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
}

/// Something that was found below a path.
pub(crate) struct Found {
    /// From the path where the search began; empty for that itself.
    pub(crate) relative: PathBuf,
    /// From the root.
    pub(crate) path: PathBuf,
    pub(crate) stat: Stat,
}

impl Tree {
    pub(crate) fn new(root: impl Into<OwnedFd>) -> Self {
        Self { root: root.into() }
    }

    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::new(File::open(path)?))
    }

    /// A path from the root with every symbolic link in it resolved, the last one too; what isn't there stays as it is.
    pub(crate) fn real(&self, path: &Path) -> io::Result<PathBuf> {
        let mut real = PathBuf::new();
        let mut rest: Vec<OsString> = components(path);
        rest.reverse();
        let mut links = 0;
        while let Some(component) = rest.pop() {
            if component == ".." {
                real.pop();
                continue;
            }
            let next = real.join(&component);
            match self.stat(&next) {
                Ok(Some(stat)) if is_link(&stat) => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(Errno::LOOP.into());
                    }
                    let target = PathBuf::from(OsString::from_vec(self.link(&next)?));
                    if target.is_absolute() {
                        real = PathBuf::new();
                    }
                    rest.extend(components(&target).into_iter().rev());
                }
                Ok(_) => real = next,
                // Below a file is nothing; whoever opens it says so.
                Err(error) if error.raw_os_error() == Some(Errno::NOTDIR.raw_os_error()) => real = next,
                Err(error) => return Err(error),
            }
        }
        Ok(real)
    }

    /// What has this path, which must go through no symbolic link; `None` if nothing does.
    pub(crate) fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        let stat = self.open_at(path, OFlags::PATH | OFlags::NOFOLLOW).and_then(rustix::fs::fstat);
        match stat {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    pub(crate) fn is_dir(&self, path: &Path) -> io::Result<bool> {
        match self.stat(path) {
            Ok(stat) => Ok(stat.is_some_and(|stat| is_dir(&stat))),
            Err(error) if error.raw_os_error() == Some(Errno::NOTDIR.raw_os_error()) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Opens a file for reading.
    pub(crate) fn file(&self, path: &Path) -> io::Result<File> {
        // A pipe must not keep anybody waiting.
        Ok(self.open_at(path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK)?.into())
    }

    /// The content of a small file, its links followed; `None` if it isn't there.
    pub(crate) fn text(&self, path: &Path) -> io::Result<Option<String>> {
        let real = self.real(path)?;
        match self.stat(&real)? {
            Some(stat) if is_file(&stat) => io::read_to_string(self.file(&real)?).map(Some),
            _ => Ok(None),
        }
    }

    /// The target of a symbolic link.
    pub(crate) fn link(&self, path: &Path) -> io::Result<Vec<u8>> {
        let link = self.open_at(path, OFlags::PATH | OFlags::NOFOLLOW)?;
        Ok(rustix::fs::readlinkat(link, "", Vec::new())?.into_bytes())
    }

    /// The names in a directory, in order.
    pub(crate) fn names(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let directory = self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(directory)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What is at `start` and below it, directories before what is in them; nothing below what `keep` doesn't want.
    pub(crate) fn walk(&self, start: &Path, keep: &mut dyn FnMut(&Path, bool) -> Keep) -> io::Result<Vec<Found>> {
        let mut all = Vec::new();
        let mut waiting = vec![PathBuf::new()];
        while let Some(relative) = waiting.pop() {
            let path = join(start, &relative);
            let Some(stat) = self.stat(&path)? else { continue };
            let kept = keep(&relative, is_dir(&stat));
            if is_dir(&stat) && kept != Keep::Nothing {
                let names = self.names(&path)?;
                waiting.extend(names.into_iter().rev().map(|name| join(&relative, Path::new(&name))));
            }
            if kept == Keep::It {
                all.push(Found { relative, path, stat });
            }
        }
        Ok(all)
    }

    /// What a tar says about something that was found; `None` for sockets, which tars don't have.
    pub(crate) fn member(&self, found: &Found, path: Vec<u8>) -> io::Result<Option<Member>> {
        let stat = &found.stat;
        let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => MemberKind::File { segments: None },
            FileType::Directory => MemberKind::Directory,
            FileType::Symlink => MemberKind::SymbolicLink,
            FileType::Fifo => MemberKind::Fifo,
            FileType::CharacterDevice => MemberKind::CharacterDevice { major, minor },
            FileType::BlockDevice => MemberKind::BlockDevice { major, minor },
            _ => return Ok(None),
        };
        Ok(Some(Member {
            path,
            link: if kind == MemberKind::SymbolicLink { self.link(&found.path)? } else { Vec::new() },
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid.into(),
            gid: stat.st_gid.into(),
            mtime_seconds: stat.st_mtime,
            mtime_nanoseconds: 0,
            size_bytes: if is_file(stat) { u64::try_from(stat.st_size).unwrap_or(0) } else { 0 },
            xattrs: if is_file(stat) || is_dir(stat) { self.xattrs(&found.path)? } else { Vec::new() },
            kind,
        }))
    }

    /// Extended attributes that belong to a file, in order; not those of the system that it lies on.
    fn xattrs(&self, path: &Path) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let file = self.file(path)?;
        let mut names = Vec::with_capacity(XATTR_BYTES);
        match rustix::fs::flistxattr(&file, rustix::buffer::spare_capacity(&mut names)) {
            Ok(_) => {}
            Err(Errno::NOTSUP) => return Ok(Vec::new()),
            Err(errno) => return Err(errno.into()),
        }
        let mut all = BTreeMap::new();
        let names = names.split(|byte| *byte == 0);
        for name in names.filter(|name| name.starts_with(b"user.") || *name == b"security.capability") {
            let mut value = Vec::with_capacity(XATTR_BYTES);
            rustix::fs::fgetxattr(&file, OsStr::from_bytes(name), rustix::buffer::spare_capacity(&mut value))?;
            if !name.starts_with(b"user.overlay.") {
                all.insert(name.to_vec(), value);
            }
        }
        Ok(all.into_iter().collect())
    }

    /// One extended attribute of a directory, if it has it.
    pub(crate) fn xattr(&self, path: &Path, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let directory = self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut value = Vec::with_capacity(XATTR_BYTES);
        match rustix::fs::fgetxattr(&directory, OsStr::from_bytes(name), rustix::buffer::spare_capacity(&mut value)) {
            Ok(_) => Ok(Some(value)),
            Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    fn open_at(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        rustix::fs::openat2(self.root.as_fd(), path, flags | OFlags::CLOEXEC, Mode::empty(), within)
    }
}

/// Whether something that was found is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    It,
    /// Not itself, but perhaps something below it.
    Below,
    Nothing,
}

/// The components of a path from the root; what climbs out stays at the root.
fn components(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    });
    names.collect()
}

/// A path from the root, without `.` and `..`: what it says, not what links make of it.
pub(crate) fn plain(path: &str) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in components(Path::new(path)) {
        match component == ".." {
            true => drop(plain.pop()),
            false => plain.push(component),
        }
    }
    plain
}

fn join(base: &Path, relative: &Path) -> PathBuf {
    if relative.as_os_str().is_empty() { base.to_owned() } else { base.join(relative) }
}

pub(crate) fn is_dir(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

pub(crate) fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

pub(crate) fn is_link(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
}
