//! Makes what each member of a tar describes.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timestamps};
use rustix::io::Errno;

use super::attributes::{Attributes, set_opaque};
use super::tree::{Displaced, Kind, Name, Tree, TreeError, kind_of, make_whiteout};
use super::{Limits, REPLACED, Refusal, UnpackError, Unpacked};
use crate::tar_split::Recorder;
use crate::tarball::{Member, MemberKind, Segment, TarReader};

const COPY_BYTES: usize = 128 * 1024;
const OPAQUE_MARKER: &[u8] = b".wh..wh..opq";
/// What stands behind a whiteout's own prefix in AUFS's names.
const AUFS_PREFIX: &[u8] = b".wh.";

/// What names mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// Some hide what is below.
    Layer,
    /// What they say.
    Plain,
}

/// A layer in the making.
pub(super) struct Unpacker {
    rules: Rules,
    tree: Tree,
    limits: Limits,
    entries: u64,
    size_bytes: u64,
    /// A directory's own time changes while it fills, so that it is set at the end.
    directory_times: Vec<(PathBuf, Timestamps)>,
    buffer: Vec<u8>,
    /// What the member being made replaced, for the tar-split data.
    replaced: Option<(PathBuf, u64)>,
}

impl Unpacker {
    pub(super) fn new(dir: &Path, limits: Limits, rules: Rules) -> Result<Self, UnpackError> {
        let make = |name: &str, mode: u32| {
            let path = dir.join(name);
            fs::DirBuilder::new()
                .mode(0o700)
                .create(&path)
                .and_then(|()| File::open(&path))
                .and_then(|opened| {
                    // Not through mkdir(2), where the process's umask would have a say.
                    rustix::fs::fchmod(&opened, Mode::from_raw_mode(mode))?;
                    Ok(OwnedFd::from(opened))
                })
                .map_err(|source| UnpackError::Directory { doing: "make", path, source })
        };
        Ok(Self {
            rules,
            tree: Tree::new(make("diff", 0o755)?, make(REPLACED, 0o700)?),
            limits,
            entries: 0,
            size_bytes: 0,
            directory_times: Vec::new(),
            buffer: vec![0; COPY_BYTES],
            replaced: None,
        })
    }

    /// Makes one member; reads its content from the tar.
    pub(super) fn take<R: Read>(
        &mut self,
        member: &Member,
        tar: &mut TarReader<Recorder<R>>,
    ) -> Result<(), UnpackError> {
        self.make_member(member, tar)?;
        self.tell_replaced(tar)
    }

    fn tell_replaced<R: Read>(&mut self, tar: &mut TarReader<Recorder<R>>) -> Result<(), UnpackError> {
        let Some((path, number)) = self.replaced.take() else { return Ok(()) };
        tar.get_mut().replaced(&path, number).map_err(UnpackError::TarSplit)
    }

    fn make_member<R: Read>(&mut self, member: &Member, tar: &mut TarReader<Recorder<R>>) -> Result<(), UnpackError> {
        self.count(member)?;
        let refused = |error| refused_or_failed(error, member);
        let attributes = Attributes::of(member).map_err(|refusal| refused(refusal.into()))?;
        let Some(name) = self.name(&member.path).map_err(|refusal| refused(refusal.into()))? else {
            return self.root(member, &attributes).map_err(refused);
        };
        if let Some(hidden) = name.hidden().filter(|_| self.rules == Rules::Layer) {
            return self.hide(&name, hidden).map_err(refused);
        }
        match &member.kind {
            MemberKind::File { segments } => {
                let file = self.file(&name).map_err(refused)?;
                // Before its own content is written down under the same name.
                self.tell_replaced(tar)?;
                self.fill(&file, &name.path(), member, segments.as_deref(), tar)?;
                attributes
                    .set_on_fd(file.as_fd())
                    .and_then(|()| rustix::fs::futimens(&file, &attributes.times))
                    .map_err(|errno| refused(errno.into()))
            }
            MemberKind::Directory => self.directory(&name, &attributes).map_err(refused),
            MemberKind::HardLink => self.hard_link(&name, &member.link).map_err(refused),
            _ => self.node(&name, member, &attributes).map_err(refused),
        }
    }

    fn name(&self, raw: &[u8]) -> Result<Option<Name>, Refusal> {
        match self.rules {
            Rules::Layer => Name::parse(raw),
            Rules::Plain => Name::plain(raw),
        }
    }

    pub(super) fn finish(self) -> Result<Unpacked, UnpackError> {
        for (path, times) in &self.directory_times {
            let failed = |errno: Errno| UnpackError::Member {
                doing: "set the time of",
                path: path.display().to_string(),
                source: errno.into(),
            };
            match self.tree.directory(path) {
                Ok(fd) => rustix::fs::futimens(&fd, times).map_err(failed)?,
                // A later member took its place.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        Ok(Unpacked { size_bytes: self.size_bytes, implied: self.tree.into_implied() })
    }

    fn count(&mut self, member: &Member) -> Result<(), UnpackError> {
        self.entries += 1;
        self.size_bytes = self.size_bytes.saturating_add(member.size_bytes);
        if self.entries > self.limits.entries {
            return Err(UnpackError::TooManyEntries(self.limits.entries));
        }
        if self.size_bytes > self.limits.size_bytes {
            return Err(UnpackError::TooLarge(self.limits.size_bytes));
        }
        Ok(())
    }

    fn root(&mut self, member: &Member, attributes: &Attributes<'_>) -> Result<(), TreeError> {
        if member.kind != MemberKind::Directory {
            return Err(Refusal::RootReplaced.into());
        }
        let root = self.tree.directory(Path::new(""))?;
        attributes.set_on_fd(root.as_fd())?;
        self.tree.not_implied(Path::new(""));
        self.directory_times.push((PathBuf::new(), attributes.times.clone()));
        Ok(())
    }

    /// Whiteouts: only what is in layers below is hidden, wherever in the tar they stand.
    fn hide(&mut self, name: &Name, hidden: &[u8]) -> Result<(), TreeError> {
        if name.last == OPAQUE_MARKER {
            self.tree.parent(&name.parent)?;
            return Ok(set_opaque(self.tree.directory(&name.parent)?)?);
        }
        if hidden.starts_with(AUFS_PREFIX) {
            // AUFS kept its own books under such names; nothing of them belongs to the image.
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(Refusal::Whiteout.into());
        }
        let target = Name { parent: name.parent.clone(), last: hidden.to_vec() };
        let parent = self.tree.parent(&name.parent)?;
        match kind_of(parent, hidden)? {
            None => Ok(make_whiteout(parent, OsStr::from_bytes(hidden))?),
            Some(Kind::Directory) => Ok(set_opaque(self.tree.directory(&target.path())?)?),
            // It hides what is below by being there.
            Some(_) => Ok(()),
        }
    }

    fn file(&mut self, name: &Name) -> Result<File, TreeError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.make(name, |parent, last| rustix::fs::openat(parent, last, flags, Mode::from_raw_mode(0o600)))
            .map(|(_, fd)| File::from(fd))
    }

    fn fill<R: Read>(
        &mut self,
        file: &File,
        path: &Path,
        member: &Member,
        segments: Option<&[Segment]>,
        tar: &mut TarReader<Recorder<R>>,
    ) -> Result<(), UnpackError> {
        let failed = |source: io::Error| failed("write", member, source);
        let whole = [Segment { offset_bytes: 0, length_bytes: member.size_bytes }];
        if segments.is_some() {
            file.set_len(member.size_bytes).map_err(failed)?;
        }
        for segment in segments.unwrap_or(&whole) {
            let mut at = segment.offset_bytes;
            let end = at + segment.length_bytes;
            tar.get_mut().begin_content();
            while at < end {
                let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(COPY_BYTES);
                let read = tar.read_data(&mut self.buffer[..wanted])?;
                file.write_all_at(&self.buffer[..read], at).map_err(failed)?;
                at += read as u64;
            }
            tar.get_mut()
                .end_content(path, segment.offset_bytes, segment.length_bytes)
                .map_err(UnpackError::TarSplit)?;
        }
        Ok(())
    }

    fn directory(&mut self, name: &Name, attributes: &Attributes<'_>) -> Result<(), TreeError> {
        let path = name.path();
        let parent = self.tree.parent(&name.parent)?;
        let mut displaced = Displaced::Nothing;
        if kind_of(parent, &name.last)? != Some(Kind::Directory) {
            let mode = Mode::from_raw_mode(0o700);
            (displaced, ()) = self.make(name, |parent, last| rustix::fs::mkdirat(parent, last, mode))?;
        }
        let fd = self.tree.directory(&path)?;
        attributes.set_on_fd(fd.as_fd())?;
        if displaced != Displaced::Nothing {
            // What was hidden, by a mark or by something else of that name, and is made anew: nothing of the layers below
            // shows through.
            set_opaque(fd)?;
        }
        self.tree.not_implied(&path);
        self.directory_times.push((path, attributes.times.clone()));
        Ok(())
    }

    fn hard_link(&mut self, name: &Name, link: &[u8]) -> Result<(), TreeError> {
        let text = || String::from_utf8_lossy(link).into_owned();
        let target = match self.name(link) {
            Ok(Some(target)) => target,
            Ok(None) => return Err(Refusal::LinkToDirectory(text()).into()),
            Err(_) => return Err(Refusal::LinkLeadsOut(text()).into()),
        };
        let source = match self.tree.existing_parent(&target) {
            Ok(source) => source,
            Err(Errno::LOOP) => return Err(Refusal::LinkLeadsOut(text()).into()),
            Err(Errno::NOENT | Errno::NOTDIR) => {
                return Err(Refusal::LinkTargetMissing(text()).into());
            }
            Err(errno) => return Err(errno.into()),
        };
        match kind_of(source.as_fd(), &target.last)? {
            None | Some(Kind::Whiteout) => return Err(Refusal::LinkTargetMissing(text()).into()),
            Some(Kind::Directory) => return Err(Refusal::LinkToDirectory(text()).into()),
            Some(_) => {}
        }
        if target == *name {
            return Ok(());
        }
        self.make(name, |parent, last| {
            let from = OsStr::from_bytes(&target.last);
            rustix::fs::linkat(&source, from, parent, last, AtFlags::empty())
        })?;
        Ok(())
    }

    /// Symbolic links, devices and pipes.
    fn node(&mut self, name: &Name, member: &Member, attributes: &Attributes<'_>) -> Result<(), TreeError> {
        let mode = Mode::from_raw_mode(0o600);
        let is_link = member.kind == MemberKind::SymbolicLink;
        if is_link && (member.link.is_empty() || member.link.contains(&0)) {
            return Err(Refusal::NotALinkTarget.into());
        }
        self.make(name, |parent, last| match member.kind {
            MemberKind::SymbolicLink => rustix::fs::symlinkat(OsStr::from_bytes(&member.link), parent, last),
            MemberKind::CharacterDevice { major, minor } => {
                let device = rustix::fs::makedev(major, minor);
                rustix::fs::mknodat(parent, last, FileType::CharacterDevice, mode, device)
            }
            MemberKind::BlockDevice { major, minor } => {
                let device = rustix::fs::makedev(major, minor);
                rustix::fs::mknodat(parent, last, FileType::BlockDevice, mode, device)
            }
            _ => rustix::fs::mknodat(parent, last, FileType::Fifo, mode, 0),
        })?;
        let parent = self.tree.parent(&name.parent)?;
        Ok(attributes.set_at(parent, OsStr::from_bytes(&name.last))?)
    }

    /// Makes something under a name; a later member takes an earlier one's place.
    fn make<T>(
        &mut self,
        name: &Name,
        make: impl Fn(std::os::fd::BorrowedFd<'_>, &OsStr) -> Result<T, Errno>,
    ) -> Result<(Displaced, T), TreeError> {
        let last = OsStr::from_bytes(&name.last);
        match make(self.tree.parent(&name.parent)?, last) {
            Err(Errno::EXIST) => {
                let displaced = self.tree.displace(name)?;
                if let Displaced::Kept(number) = displaced {
                    self.replaced = Some((name.path(), number));
                }
                Ok((displaced, make(self.tree.parent(&name.parent)?, last)?))
            }
            outcome => Ok((Displaced::Nothing, outcome?)),
        }
    }
}

fn refused_or_failed(error: TreeError, member: &Member) -> UnpackError {
    match error {
        TreeError::Refused(refusal) => {
            UnpackError::Refused { path: String::from_utf8_lossy(&member.path).into_owned(), refusal }
        }
        TreeError::System(errno) => failed("make", member, errno.into()),
    }
}

fn failed(doing: &'static str, member: &Member, source: io::Error) -> UnpackError {
    UnpackError::Member { doing, path: String::from_utf8_lossy(&member.path).into_owned(), source }
}
