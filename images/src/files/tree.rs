//! A directory and what is below it, reached by paths that lead through no symbolic link. Something that vanishes, or
//! becomes something else, between two looks is as if it had never been there.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::buffer::spare_capacity;
use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::resolve;

const WITHIN: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
/// A Dockerfile or a list of patterns that is longer isn't one.
const TEXT_BYTES_MAX: u64 = 16 << 20;
/// Linux's own limit of an attribute, and of the list of their names.
const XATTR_BYTES_MAX: usize = 64 * 1024;

/// Something can't be read, or not to its end.
#[derive(Debug, thiserror::Error)]
#[error("can't read {}", shown(path))]
pub struct ReadError {
    /// Below the directory that is walked.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

fn shown(path: &Path) -> std::path::Display<'_> {
    let top = path.as_os_str().is_empty();
    if top { Path::new(".") } else { path }.display()
}

impl ReadError {
    /// Makes it of why what has this path can't be read.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { path, source }
    }
}

/// A directory to walk, or to look things up in.
#[derive(Debug)]
pub struct Tree(OwnedFd);

/// Something in it, as it was when it was opened: the descriptor stays with it wherever it goes.
pub struct Entry {
    fd: OwnedFd,
    /// What it is, as `stat(2)` has it.
    pub stat: Stat,
}

impl Tree {
    /// The tree whose top this descriptor is of.
    pub fn new(top: impl Into<OwnedFd>) -> Self {
        Self(top.into())
    }

    /// The tree below a directory.
    ///
    /// # Errors
    /// There is none, or it can't be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::new(File::open(path)?))
    }

    /// What has this path, which is relative; the empty path is the top.
    pub fn entry(&self, path: &Path) -> io::Result<Option<Entry>> {
        if path.as_os_str().is_empty() {
            return Entry::of(self.0.try_clone()?).map(Some);
        }
        loop {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat2(&self.0, path, flags, Mode::empty(), WITHIN) {
                Ok(fd) => return Entry::of(fd).map(Some),
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
                // A rename somewhere on the machine came in between.
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// A path from the top with every symbolic link in it followed, the last one too, as if the top were the root
    /// directory; what isn't there stays as it is.
    pub fn real(&self, path: &Path) -> io::Result<PathBuf> {
        resolve::follow(self.0.as_fd(), path)
    }

    /// Opens a file for reading.
    pub fn file(&self, path: &Path) -> io::Result<File> {
        self.entry(path)?.ok_or(Errno::NOENT)?.open_file()
    }

    /// A regular file, links followed; `None` if it isn't there.
    pub fn regular_file(&self, path: &Path) -> io::Result<Option<File>> {
        match self.entry(&self.real(path)?)? {
            Some(entry) if entry.kind() == FileType::RegularFile => entry.open_file().map(Some),
            _ => Ok(None),
        }
    }

    /// The text of a small file, links followed; `None` if it isn't there.
    pub fn text(&self, path: &Path) -> io::Result<Option<String>> {
        let text = self.bytes(path)?.map(String::from_utf8).transpose();
        text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// The same, whatever is in it.
    pub fn bytes(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.regular_file(path)? else { return Ok(None) };
        // An image may have one of any size, mostly holes.
        let mut bytes = Vec::new();
        file.take(TEXT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        match bytes.len() as u64 > TEXT_BYTES_MAX {
            true => Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 16 MiB, which no such file is")),
            false => Ok(Some(bytes)),
        }
    }

    /// Visits everything below `from`, a directory before what is in it, in the order of names. `visit` says whether to
    /// go into a directory.
    pub fn walk<E: From<ReadError>>(
        &self,
        from: &Path,
        mut visit: impl FnMut(&Path, &Entry) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut pending = vec![from.to_owned()];
        while let Some(path) = pending.pop() {
            let Some(entry) = self.entry(&path).map_err(ReadError::at(&path))? else { continue };
            let descend = path == from || visit(&path, &entry)?;
            if descend && entry.kind() == FileType::Directory {
                let names = entry.names().map_err(ReadError::at(&path))?;
                pending.extend(names.into_iter().rev().map(|name| path.join(name)));
            }
        }
        Ok(())
    }
}

/// The bytes of all files below a directory, hard links counted once; whatever is written there meanwhile, nothing behind a
/// link is counted. What isn't there has none.
pub fn size(directory: &Path) -> Result<u64, ReadError> {
    let tree = match Tree::open(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        opened => opened.map_err(ReadError::at(Path::new("")))?,
    };
    let (mut size_bytes, mut seen) = (0_u64, BTreeSet::new());
    tree.walk(Path::new(""), |_, entry| {
        let stat = &entry.stat;
        if entry.kind() == FileType::Directory {
            return Ok::<_, ReadError>(true);
        }
        if stat.st_nlink < 2 || seen.insert((stat.st_dev, stat.st_ino)) {
            size_bytes = size_bytes.saturating_add(u64::try_from(stat.st_size).unwrap_or_default());
        }
        Ok(false)
    })?;
    Ok(size_bytes)
}

impl AsFd for Entry {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Entry> for OwnedFd {
    fn from(entry: Entry) -> Self {
        entry.fd
    }
}

impl Entry {
    pub(crate) fn of(fd: OwnedFd) -> io::Result<Self> {
        let stat = rustix::fs::fstat(&fd)?;
        Ok(Self { fd, stat })
    }

    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    /// Whether it is overlayfs's mark for something that isn't there.
    pub fn is_whiteout(&self) -> bool {
        self.kind() == FileType::CharacterDevice && self.stat.st_rdev == 0
    }

    /// The names in a directory, sorted; none if it is something else or has been removed.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listed = match rustix::fs::openat(&self.fd, ".", flags, Mode::empty()) {
            Ok(listed) => listed,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Vec::new()),
            Err(errno) => return Err(errno.into()),
        };
        let mut names = Vec::new();
        for item in Dir::read_from(listed)? {
            let item = item?;
            let name = item.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Where a symbolic link leads.
    pub(crate) fn link_target(&self) -> io::Result<OsString> {
        let target = rustix::fs::readlinkat(&self.fd, "", Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()))
    }

    /// The same; `None` for what is no link.
    pub fn leads_to(&self) -> io::Result<Option<PathBuf>> {
        match self.kind() {
            FileType::Symlink => Ok(Some(self.link_target()?.into())),
            _ => Ok(None),
        }
    }

    /// Opens a file for reading. By its descriptor: whatever has its name by now isn't opened.
    pub fn open_file(&self) -> io::Result<File> {
        // A pipe must not keep anybody waiting.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(rustix::fs::open(self.by_descriptor(), flags, Mode::empty())?.into())
    }

    /// An extended attribute.
    pub(crate) fn xattr(&self, name: &OsStr) -> io::Result<Option<Vec<u8>>> {
        let mut value = Vec::with_capacity(XATTR_BYTES_MAX);
        match rustix::fs::getxattr(self.by_descriptor(), name, spare_capacity(&mut value)) {
            Ok(_) => Ok(Some(value)),
            Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The names of its extended attributes.
    pub(crate) fn xattr_names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::with_capacity(XATTR_BYTES_MAX);
        match rustix::fs::listxattr(self.by_descriptor(), spare_capacity(&mut names)) {
            Ok(_) => {}
            Err(Errno::NOTSUP) => return Ok(Vec::new()),
            Err(errno) => return Err(errno.into()),
        }
        let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.map(|name| OsStr::from_bytes(name).to_owned()).collect())
    }

    /// The kernel follows such a path to the very thing that the descriptor is of.
    fn by_descriptor(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.fd.as_fd().as_raw_fd()))
    }
}
