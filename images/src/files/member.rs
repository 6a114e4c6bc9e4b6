//! What a tar says about a file.

use std::io;
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{FileType, major, minor};

use super::Entry;
use crate::tarball::{Member, MemberKind};

impl Entry {
    /// Describes it under this path; `None` for a socket: it is of the program that listens on it, and tar has no word
    /// for it.
    pub fn member(&self, path: &[u8]) -> io::Result<Option<Member>> {
        let stat = &self.stat;
        let (major, minor) = (major(stat.st_rdev), minor(stat.st_rdev));
        let (kind, has_xattrs) = match self.kind() {
            FileType::RegularFile => (MemberKind::File { segments: None }, true),
            FileType::Directory => (MemberKind::Directory, true),
            FileType::Symlink => (MemberKind::SymbolicLink, false),
            FileType::Fifo => (MemberKind::Fifo, false),
            FileType::CharacterDevice => (MemberKind::CharacterDevice { major, minor }, false),
            FileType::BlockDevice => (MemberKind::BlockDevice { major, minor }, false),
            _ => return Ok(None),
        };
        let mut member = Member {
            uid: stat.st_uid.into(),
            gid: stat.st_gid.into(),
            mtime_seconds: stat.st_mtime,
            ..Member::new(path.to_vec(), kind, stat.st_mode & 0o7777)
        };
        match member.kind {
            MemberKind::File { .. } => member.size_bytes = u64::try_from(stat.st_size).unwrap_or_default(),
            MemberKind::SymbolicLink => member.link = self.link_target()?.into_encoded_bytes(),
            _ => {}
        }
        if has_xattrs {
            member.xattrs = self.portable_xattrs()?;
        }
        Ok(Some(member))
    }

    /// Those of its extended attributes that mean the same elsewhere, by name: file systems list them in any order.
    fn portable_xattrs(&self) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut names = self.xattr_names()?;
        names.retain(|name| is_portable(name.as_bytes()));
        names.sort_unstable();
        let mut xattrs = Vec::new();
        for name in names {
            xattrs.extend(self.xattr(&name)?.map(|value| (name.into_encoded_bytes(), value)));
        }
        Ok(xattrs)
    }
}

/// Other attributes are of the file system that a file lies on, or of the machine's policies.
fn is_portable(name: &[u8]) -> bool {
    name == b"security.capability" || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
}
