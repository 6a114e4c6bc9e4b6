//! A member of a tar, as it describes itself.

use super::Segment;

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// A file with content.
    File {
        /// Where the stored bytes belong, if not one after another from the beginning.
        segments: Option<Vec<Segment>>,
    },
    /// One more name of a file.
    HardLink,
    /// A symbolic link.
    SymbolicLink,
    /// A character device.
    CharacterDevice {
        /// Its driver's number.
        major: u32,
        /// Which of the driver's.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Its driver's number.
        major: u32,
        /// Which of the driver's.
        minor: u32,
    },
    /// A directory.
    Directory,
    /// A pipe with a name.
    Fifo,
}

/// One member of a tar, as it describes itself: nothing here has been checked against anything.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: MemberKind,
    /// The target of links.
    pub link: Vec<u8>,
    /// Permissions.
    pub mode: u32,
    /// Whose it is.
    pub uid: u64,
    /// And which group's.
    pub gid: u64,
    /// When its content last changed, since 1970.
    pub mtime_seconds: i64,
    /// And so much after that.
    pub mtime_nanoseconds: u32,
    /// The size of the file that it makes.
    pub size_bytes: u64,
    /// Extended attributes, names and values.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Member {
    /// Something empty, of root's and as old as can be.
    pub fn new(path: Vec<u8>, kind: MemberKind, mode: u32) -> Self {
        Self {
            path,
            kind,
            link: Vec::new(),
            mode,
            uid: 0,
            gid: 0,
            mtime_seconds: 0,
            mtime_nanoseconds: 0,
            size_bytes: 0,
            xattrs: Vec::new(),
        }
    }
}
