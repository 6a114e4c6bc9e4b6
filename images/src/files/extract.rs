//! Extracts a tar into a directory of a root file system, by the rules of `docker cp`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatVfsMountFlags, StatxFlags, Timestamps};
use rustix::io::Errno;

use super::resolve;
use crate::compression::Decoder;
use crate::error::ErrorKind;
use crate::tarball::{Member, MemberKind, TarError, TarReader};
use crate::unpack::{Attributes, Refusal, within};

const COPY_BYTES: usize = 128 * 1024;
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);

/// Where a tar's members go, and what they may do there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extraction {
    /// The directory, as a path from the root; links in it are followed.
    pub directory: PathBuf,
    /// Refuse to put a file in a directory's place and the other way round.
    pub keep_kinds: bool,
    /// Who is to own everything, instead of whom the tar names.
    pub owner: Option<Ownership>,
}

/// A user and a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// Why a tar can't be extracted, or not to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// The directory to extract to can't be reached.
    #[error("can't open {}", path.display())]
    Directory {
        /// As it was given.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is a file.
    #[error("extraction point is not a directory")]
    NotADirectory,
    /// It is part of the root file system, which can't be written to.
    #[error("container rootfs is marked read-only")]
    ReadonlyRootfs,
    /// It is part of something that is mounted there, which can't be written to.
    #[error("mounted volume is marked read-only")]
    ReadonlyVolume,
    /// The tar itself is wrong.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A member isn't allowed.
    #[error("refusing {path:?}: {refusal}")]
    Refused {
        /// The member's name, as it stands in the tar.
        path: String,
        /// Why.
        refusal: Refusal,
    },
    /// A file would take a directory's place.
    #[error("cannot overwrite directory {existing:?} with non-directory {member:?}")]
    OverDirectory {
        /// What is there.
        existing: PathBuf,
        /// What would come.
        member: String,
    },
    /// A directory would take a file's place.
    #[error("cannot overwrite non-directory {existing:?} with directory {member:?}")]
    OverFile {
        /// What is there.
        existing: PathBuf,
        /// What would come.
        member: String,
    },
    /// A member can't be made.
    #[error("can't make {}", path.display())]
    Member {
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl ExtractError {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Directory { source, .. } => match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::NotFound,
                io::ErrorKind::InvalidFilename => ErrorKind::InvalidParameter,
                _ => ErrorKind::Internal,
            },
            Self::Tar(error) if !error.is_content() => ErrorKind::Internal,
            Self::Member { source, .. } => match source.kind() {
                // Somebody is using that place, or changes it right now.
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::ResourceBusy => {
                    ErrorKind::Conflict
                }
                io::ErrorKind::InvalidFilename => ErrorKind::InvalidParameter,
                _ => ErrorKind::Internal,
            },
            _ => ErrorKind::InvalidParameter,
        }
    }
}

/// Extracts a tar, which may be compressed, below a root directory. Whatever links there are, also while this goes on,
/// nothing outside of the root is touched.
pub fn extract(root: impl AsFd, tar: impl Read, extraction: &Extraction) -> Result<(), ExtractError> {
    let root = root.as_fd();
    check_destination(root, &extraction.directory)?;
    let mut tar = TarReader::new(Decoder::new(tar).map_err(TarError::Read)?);
    let mut extractor = Extractor { root, extraction, directory_times: BTreeMap::new(), buffer: vec![0; COPY_BYTES] };
    while let Some(member) = tar.next_member()? {
        extractor.take(&member, &mut tar)?;
    }
    tar.drain()?;
    extractor.set_directory_times();
    Ok(())
}

/// Finds out beforehand what would end the first member.
fn check_destination(root: BorrowedFd<'_>, path: &Path) -> Result<(), ExtractError> {
    let failed = |errno: Errno| ExtractError::Directory { path: path.to_owned(), source: errno.into() };
    let destination = match resolve::open(root, path, DIRECTORY) {
        Err(Errno::NOTDIR) => return Err(ExtractError::NotADirectory),
        opened => opened.map_err(failed)?,
    };
    if !rustix::fs::fstatvfs(&destination).map_err(failed)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(());
    }
    let mount = |directory: BorrowedFd<'_>| {
        let found = rustix::fs::statx(directory, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID);
        found.map(|found| found.stx_mnt_id).map_err(failed)
    };
    match mount(destination.as_fd())? == mount(root)? {
        true => Err(ExtractError::ReadonlyRootfs),
        false => Err(ExtractError::ReadonlyVolume),
    }
}

struct Extractor<'a> {
    root: BorrowedFd<'a>,
    extraction: &'a Extraction,
    /// A directory's own time changes while it fills, so that it is set at the end.
    directory_times: BTreeMap<PathBuf, Timestamps>,
    buffer: Vec<u8>,
}

/// Where a member goes.
struct MemberTarget<'a> {
    parent: OwnedFd,
    name: &'a OsStr,
    /// From the root, for errors.
    path: PathBuf,
}

impl Extractor<'_> {
    fn take<R: Read>(&mut self, member: &Member, tar: &mut TarReader<R>) -> Result<(), ExtractError> {
        let refused = |refusal| ExtractError::Refused { path: text(&member.path), refusal };
        let mut attributes = Attributes::of(member).map_err(refused)?;
        if let Some(Ownership { uid, gid }) = self.extraction.owner {
            attributes.give_to(uid, gid);
        }
        let relative = within(&member.path).map_err(refused)?;
        let Some(name) = relative.file_name() else {
            // The directory itself is somebody's already.
            return Ok(());
        };
        let path = self.extraction.directory.join(&relative);
        let failed = |error: io::Error| ExtractError::Member { path: path.clone(), source: error };
        let parent = self.parent(&relative).map_err(|errno| failed(errno.into()))?;
        let place = MemberTarget { parent, name, path: path.clone() };
        if self.clear(&place, member)? {
            // It is a directory and stays one.
            let directory = resolve::open(self.root, &path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW);
            let directory = directory.map_err(|errno| failed(errno.into()))?;
            attributes.set_on_fd(directory.as_fd()).map_err(|errno| failed(errno.into()))?;
            self.directory_times.insert(path, attributes.times.clone());
            return Ok(());
        }
        self.make(&place, member, &attributes, tar).map_err(|error| match error {
            MakeError::Tar(error) => ExtractError::Tar(error),
            MakeError::Refused(refusal) => refused(refusal),
            MakeError::System(error) => failed(error),
        })
    }

    /// The directory that a member goes to, made with those above it if it isn't there.
    fn parent(&self, relative: &Path) -> Result<OwnedFd, Errno> {
        let parent = self.extraction.directory.join(relative.parent().unwrap_or(Path::new("")));
        match resolve::open(self.root, &parent, DIRECTORY) {
            Err(Errno::NOENT) => {}
            opened => return opened,
        }
        let mut walked = self.extraction.directory.clone();
        let mut at = resolve::open(self.root, &walked, DIRECTORY)?;
        for name in relative.parent().into_iter().flatten() {
            match rustix::fs::mkdirat(&at, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            walked.push(name);
            at = resolve::open(self.root, &walked, DIRECTORY)?;
        }
        Ok(at)
    }

    /// Takes away what is in a member's way. Answers whether it is a directory where a directory comes.
    fn clear(&self, place: &MemberTarget<'_>, member: &Member) -> Result<bool, ExtractError> {
        let failed = |source: io::Error| ExtractError::Member { path: place.path.clone(), source };
        let stat = match rustix::fs::statat(&place.parent, place.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(false),
            Err(errno) => return Err(failed(errno.into())),
        };
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let (existing, name) = (place.path.clone(), text(&member.path));
        match (is_directory, member.kind == MemberKind::Directory, self.extraction.keep_kinds) {
            (true, true, _) => Ok(true),
            (true, false, true) => Err(ExtractError::OverDirectory { existing, member: name }),
            (false, true, true) => Err(ExtractError::OverFile { existing, member: name }),
            (true, false, false) => remove_tree(&place.parent, place.name).map(|()| false).map_err(failed),
            (false, ..) => {
                let removed = rustix::fs::unlinkat(&place.parent, place.name, AtFlags::empty());
                removed.map(|()| false).map_err(|errno| failed(errno.into()))
            }
        }
    }

    fn make<R: Read>(
        &mut self,
        place: &MemberTarget<'_>,
        member: &Member,
        attributes: &Attributes<'_>,
        tar: &mut TarReader<R>,
    ) -> Result<(), MakeError> {
        let (parent, name, owner_only) = (&place.parent, place.name, Mode::from_raw_mode(0o600));
        let device =
            |kind, major, minor| rustix::fs::mknodat(parent, name, kind, owner_only, rustix::fs::makedev(major, minor));
        match &member.kind {
            MemberKind::File { segments } => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = File::from(rustix::fs::openat(parent, name, flags, owner_only)?);
                self.fill(&file, member.size_bytes, segments.as_deref(), tar)?;
                attributes.set_on_fd(file.as_fd())?;
                return Ok(rustix::fs::futimens(&file, &attributes.times)?);
            }
            MemberKind::Directory => {
                rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700))?;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let directory = rustix::fs::openat(parent, name, flags, Mode::empty())?;
                attributes.set_on_fd(directory.as_fd())?;
                self.directory_times.insert(place.path.clone(), attributes.times.clone());
                return Ok(());
            }
            MemberKind::HardLink => return self.hard_link(place, &member.link),
            MemberKind::SymbolicLink if member.link.is_empty() || member.link.contains(&0) => {
                return Err(MakeError::Refused(Refusal::NotALinkTarget));
            }
            MemberKind::SymbolicLink => rustix::fs::symlinkat(OsStr::from_bytes(&member.link), parent, name)?,
            MemberKind::CharacterDevice { major, minor } => device(FileType::CharacterDevice, *major, *minor)?,
            MemberKind::BlockDevice { major, minor } => device(FileType::BlockDevice, *major, *minor)?,
            MemberKind::Fifo => device(FileType::Fifo, 0, 0)?,
        }
        Ok(attributes.set_at(parent.as_fd(), name)?)
    }

    fn fill<R: Read>(
        &mut self,
        file: &File,
        size_bytes: u64,
        segments: Option<&[crate::tarball::Segment]>,
        tar: &mut TarReader<R>,
    ) -> Result<(), MakeError> {
        let whole = [crate::tarball::Segment { offset_bytes: 0, length_bytes: size_bytes }];
        if segments.is_some() {
            file.set_len(size_bytes)?;
        }
        for segment in segments.unwrap_or(&whole) {
            let mut at = segment.offset_bytes;
            let end = at + segment.length_bytes;
            while at < end {
                let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(COPY_BYTES);
                let read = tar.read_data(&mut self.buffer[..wanted])?;
                file.write_all_at(&self.buffer[..read], at)?;
                at += read as u64;
            }
        }
        Ok(())
    }

    fn hard_link(&self, place: &MemberTarget<'_>, link: &[u8]) -> Result<(), MakeError> {
        let leads_out = || MakeError::Refused(Refusal::LinkLeadsOut(text(link)));
        let target = within(link).map_err(|_| leads_out())?;
        let name = target.file_name().ok_or_else(leads_out)?;
        let directory = self.extraction.directory.join(target.parent().unwrap_or(Path::new("")));
        let directory = resolve::open(self.root, &directory, DIRECTORY)?;
        Ok(rustix::fs::linkat(&directory, name, &place.parent, place.name, AtFlags::empty())?)
    }

    fn set_directory_times(&self) {
        for (path, times) in &self.directory_times {
            let directory = resolve::open(self.root, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW);
            // Whoever lives there may have put something else in its place.
            if let Err(errno) = directory.and_then(|directory| rustix::fs::futimens(directory, times)) {
                tracing::debug!(path = %path.display(), "the time of a directory can't be set: {errno}");
            }
        }
    }
}

/// Why a member can't be made.
enum MakeError {
    Tar(TarError),
    Refused(Refusal),
    System(io::Error),
}

impl From<TarError> for MakeError {
    fn from(error: TarError) -> Self {
        Self::Tar(error)
    }
}

impl From<io::Error> for MakeError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl From<Errno> for MakeError {
    fn from(errno: Errno) -> Self {
        Self::System(errno.into())
    }
}

/// Removes a directory and all below, through no link: the deepest first, each by its name in its own directory.
fn remove_tree(parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let tree = super::Tree::new(rustix::fs::openat(parent, name, flags, Mode::empty())?);
    let mut found = Vec::new();
    let walked = tree.walk(Path::new(""), |path, entry| {
        found.push((path.to_owned(), entry.kind() == FileType::Directory));
        Ok::<_, super::ReadError>(true)
    });
    walked.map_err(|error| error.source)?;
    for (path, is_directory) in found.iter().rev() {
        let Some(directory) = tree.entry(path.parent().unwrap_or(Path::new("")))? else { continue };
        let flags = if *is_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        rustix::fs::unlinkat(&directory, path.file_name().unwrap_or_default(), flags)?;
    }
    Ok(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
