//! Owners, modes, times and extended attributes.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::Refusal;
use crate::tarball::Member;

const OPAQUE: &str = "trusted.overlay.opaque";
/// With these a layer could send overlayfs to other directories or hide more than it says. Layers in the wild have them, of
/// files that lay on an overlayfs when they were packed: it means nothing elsewhere, so they are left out.
const OVERLAY_PREFIXES: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

/// What a member says about itself, checked.
pub(crate) struct Attributes<'a> {
    uid: Uid,
    gid: Gid,
    mode: Mode,
    pub(crate) times: Timestamps,
    xattrs: &'a [(Vec<u8>, Vec<u8>)],
}

impl<'a> Attributes<'a> {
    pub(crate) fn of(member: &'a Member) -> Result<Self, Refusal> {
        let mtime = Timespec { tv_sec: member.mtime_seconds, tv_nsec: i64::from(member.mtime_nanoseconds) };
        Ok(Self {
            uid: Uid::from_raw(id(member.uid)?),
            gid: Gid::from_raw(id(member.gid)?),
            mode: Mode::from_raw_mode(member.mode),
            times: Timestamps { last_access: mtime, last_modification: mtime },
            xattrs: &member.xattrs,
        })
    }

    /// Makes somebody else the owner.
    pub(crate) fn give_to(&mut self, uid: u32, gid: u32) {
        (self.uid, self.gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    }

    /// Everything but the times: a directory's change again while it fills.
    ///
    /// The order matters: a new owner takes the setuid bits and `security.capability` away.
    pub(crate) fn set_on_fd(&self, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        rustix::fs::fchown(fd, Some(self.uid), Some(self.gid))?;
        rustix::fs::fchmod(fd, self.mode)?;
        self.set_xattrs(|name, value| rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()))
    }

    /// For what can't be opened: symbolic links and devices. By a descriptor of what is there now, through no link: where
    /// others write as well, a link to elsewhere may have taken its place (CVE-2021-41089).
    pub(crate) fn set_at(&self, parent: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
        let node = rustix::fs::openat(parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let is_link = FileType::from_raw_mode(rustix::fs::fstat(&node)?.st_mode) == FileType::Symlink;
        rustix::fs::chownat(&node, "", Some(self.uid), Some(self.gid), AtFlags::EMPTY_PATH)?;
        // Such a descriptor takes no other calls; the kernel follows this path to the very thing that it is of.
        let path = Path::new("/proc/self/fd").join(node.as_raw_fd().to_string());
        if !is_link {
            rustix::fs::chmod(&path, self.mode)?;
        }
        self.set_xattrs(|xattr, value| rustix::fs::setxattr(&path, xattr, value, XattrFlags::empty()))?;
        rustix::fs::utimensat(&node, "", &self.times, AtFlags::EMPTY_PATH)
    }

    fn set_xattrs(&self, set: impl Fn(&OsStr, &[u8]) -> Result<(), Errno>) -> Result<(), Errno> {
        for (name, value) in self.xattrs.iter().filter(|(name, _)| !belongs_to_overlayfs(name)) {
            match set(OsStr::from_bytes(name), value) {
                Ok(()) => {}
                Err(errno) if cannot_be_kept(name, errno) => {
                    let name = String::from_utf8_lossy(name);
                    tracing::debug!(%name, "an extended attribute can't be set here");
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

/// Nothing of the layers below shows through this directory.
pub(super) fn set_opaque(directory: OwnedFd) -> Result<(), Errno> {
    rustix::fs::fsetxattr(&directory, OPAQUE, b"y", XattrFlags::empty())
}

/// Makes one directory look like another: owner, mode and attributes, not overlayfs's own and not the times.
pub(crate) fn copy(model: impl AsFd, directory: impl AsFd) -> io::Result<()> {
    let (model, directory) = (model.as_fd(), directory.as_fd());
    let stat = rustix::fs::fstat(model)?;
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::fchown(directory, Some(uid), Some(gid))?;
    rustix::fs::fchmod(directory, Mode::from_raw_mode(stat.st_mode))?;
    let mut names = Vec::with_capacity(64 * 1024);
    match rustix::fs::flistxattr(model, rustix::buffer::spare_capacity(&mut names)) {
        Ok(_) => {}
        Err(Errno::NOTSUP) => return Ok(()),
        Err(errno) => return Err(errno.into()),
    }
    let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    for name in names.filter(|name| !belongs_to_overlayfs(name)) {
        let mut value = Vec::with_capacity(64 * 1024);
        let name = OsStr::from_bytes(name);
        rustix::fs::fgetxattr(model, name, rustix::buffer::spare_capacity(&mut value))?;
        rustix::fs::fsetxattr(directory.as_fd(), name, &value, XattrFlags::empty())?;
    }
    Ok(())
}

/// Whether a file is fine without the attribute, which this system can't have: Docker goes on as well. Archives made on a Mac
/// are full of names that Linux knows no attributes by (`com.apple.provenance`), and of values too large for it.
fn cannot_be_kept(name: &[u8], errno: Errno) -> bool {
    match errno {
        Errno::NOTSUP | Errno::RANGE | Errno::TOOBIG => true,
        // Links and devices can't have those of users.
        Errno::PERM => name.starts_with(b"user."),
        _ => false,
    }
}

fn belongs_to_overlayfs(name: &[u8]) -> bool {
    OVERLAY_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The largest number means "leave it" to the kernel.
fn id(number: u64) -> Result<u32, Refusal> {
    u32::try_from(number).ok().filter(|id| *id != u32::MAX).ok_or(Refusal::Owner(number))
}
