//! The directory that a layer becomes, and names within it. Every name is resolved by the kernel relative to the root's
//! file descriptor with `openat2(2)`: beneath it, and through no symbolic link.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::Refusal;
use super::attributes::set_opaque;

const WHITEOUT_PREFIX: &[u8] = b".wh.";
const WITHIN: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Why something can't be done at a name.
#[derive(Debug)]
pub(super) enum TreeError {
    Refused(Refusal),
    System(Errno),
}

impl From<Errno> for TreeError {
    fn from(errno: Errno) -> Self {
        TreeError::System(errno)
    }
}

impl From<Refusal> for TreeError {
    fn from(refusal: Refusal) -> Self {
        TreeError::Refused(refusal)
    }
}

/// A name below the root that has no `..`: a directory and a last component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) parent: PathBuf,
    pub(super) last: Vec<u8>,
}

impl Name {
    /// `None` is the root itself.
    pub(super) fn parse(raw: &[u8]) -> Result<Option<Self>, Refusal> {
        let name = Self::plain(raw)?;
        let is_reserved = |name: &OsStr| name.as_bytes().starts_with(WHITEOUT_PREFIX);
        match name.as_ref().is_some_and(|name| name.parent.iter().any(is_reserved)) {
            true => Err(Refusal::ReservedName),
            false => Ok(name),
        }
    }

    /// The same where no name is reserved.
    pub(super) fn plain(raw: &[u8]) -> Result<Option<Self>, Refusal> {
        let path = within(raw)?;
        let Some(last) = path.file_name() else { return Ok(None) };
        let parent = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Some(Self { parent, last: last.as_bytes().to_vec() }))
    }

    pub(super) fn path(&self) -> PathBuf {
        self.parent.join(OsStr::from_bytes(&self.last))
    }

    /// What a whiteout's name hides: what follows `.wh.`.
    pub(super) fn hidden(&self) -> Option<&[u8]> {
        self.last.strip_prefix(WHITEOUT_PREFIX)
    }
}

/// A name in a tar as a path below the root that it is unpacked to; empty for that itself. As Docker has it, names begin
/// there with a slash and without one, and `..` takes back what stands before it, if something does.
pub(crate) fn within(raw: &[u8]) -> Result<PathBuf, Refusal> {
    if raw.is_empty() || raw.contains(&0) {
        return Err(Refusal::NotAName);
    }
    let mut path = PathBuf::new();
    for component in raw.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." if path.pop() => {}
            b".." => return Err(Refusal::NameLeadsOut),
            component => path.push(OsStr::from_bytes(component)),
        }
    }
    Ok(path)
}

/// What was in the way of a new member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Displaced {
    Nothing,
    Whiteout,
    /// Something that has no content.
    Bare,
    /// Something that may have content; it is now among what was replaced, under this number.
    Kept(u64),
}

/// The directory of a layer.
pub(super) struct Tree {
    root: OwnedFd,
    /// Where replaced things go: moving is one step and follows nothing, deleting a tree is neither. What files held is
    /// needed to make the tar again.
    replaced: OwnedFd,
    replaced_count: u64,
    /// Members of one directory follow each other in most tars.
    cached: Option<(PathBuf, OwnedFd)>,
    implied: BTreeSet<PathBuf>,
}

impl Tree {
    pub(super) fn new(root: OwnedFd, replaced: OwnedFd) -> Self {
        Self { root, replaced, replaced_count: 0, cached: None, implied: BTreeSet::from([PathBuf::new()]) }
    }

    pub(super) fn into_implied(self) -> BTreeSet<PathBuf> {
        self.implied
    }

    /// The tar describes this directory itself.
    pub(super) fn not_implied(&mut self, directory: &Path) {
        self.implied.remove(directory);
    }

    /// The directory, made with those above it if it isn't there.
    pub(super) fn parent(&mut self, directory: &Path) -> Result<BorrowedFd<'_>, TreeError> {
        let is_cached = self.cached.as_ref().is_some_and(|(path, _)| path == directory);
        if !is_cached {
            let fd = match open_within(&self.root, directory, DIRECTORY) {
                Ok(fd) => fd,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => self.make_directories(directory)?,
                Err(errno) => return Err(errno.into()),
            };
            self.cached = Some((directory.to_owned(), fd));
        }
        let (_, fd) = self.cached.as_ref().expect("filled above");
        Ok(fd.as_fd())
    }

    /// Opens an existing directory for changing its attributes.
    pub(super) fn directory(&self, path: &Path) -> Result<OwnedFd, Errno> {
        open_within(&self.root, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC)
    }

    /// The directory that holds a hard link's target.
    pub(super) fn existing_parent(&self, name: &Name) -> Result<OwnedFd, Errno> {
        open_within(&self.root, &name.parent, DIRECTORY)
    }

    /// Takes away what has this name.
    pub(super) fn displace(&mut self, name: &Name) -> Result<Displaced, TreeError> {
        let parent = self.parent(&name.parent)?;
        match kind_of(parent, &name.last)? {
            None => Ok(Displaced::Nothing),
            Some(Kind::Directory | Kind::Other) => Ok(Displaced::Kept(self.discard(name)?)),
            Some(kind @ (Kind::Whiteout | Kind::SymbolicLink)) => {
                rustix::fs::unlinkat(parent, OsStr::from_bytes(&name.last), AtFlags::empty())?;
                Ok(if kind == Kind::Whiteout { Displaced::Whiteout } else { Displaced::Bare })
            }
        }
    }

    fn discard(&mut self, name: &Name) -> Result<u64, TreeError> {
        self.replaced_count += 1;
        let target = self.replaced_count.to_string();
        self.parent(&name.parent)?;
        let (_, parent) = self.cached.as_ref().expect("filled by parent()");
        rustix::fs::renameat(parent, OsStr::from_bytes(&name.last), &self.replaced, target)?;
        let gone = name.path();
        self.implied.retain(|path| !path.starts_with(&gone));
        // The cached directory may be the one that moved, or below it.
        self.cached = None;
        Ok(self.replaced_count)
    }

    /// Walks down from the root, making what isn't there.
    fn make_directories(&mut self, path: &Path) -> Result<OwnedFd, TreeError> {
        let mut at = rustix::fs::openat(&self.root, ".", DIRECTORY, Mode::empty())?;
        let mut walked = PathBuf::new();
        for component in path.iter() {
            walked.push(component);
            let mode = Mode::from_raw_mode(0o755);
            match kind_of(at.as_fd(), component.as_bytes())? {
                Some(Kind::Directory) => {}
                Some(Kind::SymbolicLink) => return Err(Refusal::ThroughSymbolicLink.into()),
                Some(Kind::Other) => return Err(Refusal::ThroughFile.into()),
                None => {
                    rustix::fs::mkdirat(&at, component, mode)?;
                    self.implied.insert(walked.clone());
                }
                // Hidden and made anew: nothing of the layers below shows through.
                Some(Kind::Whiteout) => {
                    rustix::fs::unlinkat(&at, component, AtFlags::empty())?;
                    rustix::fs::mkdirat(&at, component, mode)?;
                    set_opaque(open_within(&at, Path::new(component), OFlags::RDONLY | OFlags::CLOEXEC)?)?;
                }
            }
            at = open_within(&at, Path::new(component), DIRECTORY)?;
        }
        Ok(at)
    }
}

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    SymbolicLink,
    Whiteout,
    Other,
}

/// What has this name in a directory, `None` if nothing does.
pub(super) fn kind_of(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Kind>, Errno> {
    let stat = match rustix::fs::statat(directory, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::SymbolicLink,
        FileType::CharacterDevice if stat.st_rdev == 0 => Kind::Whiteout,
        _ => Kind::Other,
    }))
}

/// Hides what has this name in the layers below.
pub(super) fn make_whiteout(directory: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
    rustix::fs::mknodat(directory, name, FileType::CharacterDevice, Mode::empty(), 0)
}

/// Opens a path beneath a directory, through no symbolic link and no mount.
pub(super) fn open_within(root: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = match path.as_os_str().is_empty() {
        true => Path::new("."),
        false => path,
    };
    loop {
        match rustix::fs::openat2(root.as_fd(), path, flags, Mode::empty(), WITHIN) {
            // The kernel saw a rename somewhere on the machine while it resolved, and asks to try again.
            Err(Errno::AGAIN | Errno::INTR) => {}
            outcome => return outcome,
        }
    }
}
