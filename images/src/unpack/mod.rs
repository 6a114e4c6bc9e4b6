//! Unpacks a layer's tar into a directory that overlayfs takes as a lower layer.
//!
//! Nothing in a tar is believed: every name is resolved by the kernel below the layer's directory, without following a
//! symbolic link ([`tree`]); what would leave it is refused, and with it the whole layer. A link itself leads where it
//! likes, also above the root: whoever looks into a layer or a root follows it by [`crate::files`], which never leaves it.

mod attributes;
mod lower_layers;
mod member;
mod tree;

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use crate::error::ErrorKind;
use crate::tar_split::{self, Recorder};
use crate::tarball::{TarError, TarReader};

pub(crate) use attributes::{Attributes, copy as copy_looks};
pub(crate) use lower_layers::apply_lower_layers;
use member::{Rules, Unpacker};
pub(crate) use tree::within;

/// Where what a later member replaced is kept.
const REPLACED: &str = "replaced";

/// How large a layer may become: a few bytes of compressed zeros can ask for a whole disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files, directories and everything else.
    pub entries: u64,
    /// All files' sizes together, holes counted.
    pub size_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 4_000_000, size_bytes: 256 << 30 }
    }
}

/// Why a layer can't be unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
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
    /// More members than are allowed.
    #[error("it has more than {0} entries")]
    TooManyEntries(u64),
    /// Larger than allowed.
    #[error("its files have more than {0} bytes")]
    TooLarge(u64),
    /// The uncompressed tar isn't what it should be.
    #[error("its content has digest {found}, expected {expected}")]
    WrongDigest {
        /// What was promised.
        expected: crate::digest::Digest,
        /// What came.
        found: crate::digest::Digest,
    },
    /// A member can't be made.
    #[error("can't {doing} {path:?}")]
    Member {
        /// What was being tried.
        doing: &'static str,
        /// With which member.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// What the tar-split data are written to.
    #[error("can't write down how to make the layer's tar again")]
    TarSplit(#[source] io::Error),
    /// The layer's own directory.
    #[error("can't {doing} {}", path.display())]
    Directory {
        /// What was being tried.
        doing: &'static str,
        /// With which directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Why a member of a tar isn't allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// `../x`
    #[error("its name leads out of the root by '..'")]
    NameLeadsOut,
    /// An empty name or one with a NUL.
    #[error("its name isn't a file name")]
    NotAName,
    /// A directory on the way is a symbolic link.
    #[error("its name leads through a symbolic link")]
    ThroughSymbolicLink,
    /// A directory on the way is a file.
    #[error("its name leads through something that isn't a directory")]
    ThroughFile,
    /// An empty link or one with a NUL.
    #[error("its link target isn't a path")]
    NotALinkTarget,
    /// A hard link to something outside.
    #[error("it links to {0:?}, which leads out of the layer")]
    LinkLeadsOut(String),
    /// A hard link to nothing.
    #[error("it links to {0:?}, which isn't in this layer")]
    LinkTargetMissing(String),
    /// A hard link to a directory.
    #[error("it links to {0:?}, which is a directory")]
    LinkToDirectory(String),
    /// The layer's root isn't a directory.
    #[error("the layer's root must be a directory")]
    RootReplaced,
    /// `.wh...` and the like.
    #[error("it isn't the name of something to hide")]
    Whiteout,
    /// `.wh.` within a path.
    #[error("'.wh.' is reserved for whiteouts")]
    ReservedName,
    /// A user or group number of more than 32 bits.
    #[error("its owner {0} isn't a user or group number")]
    Owner(u64),
}

impl UnpackError {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            UnpackError::Tar(error) if !error.is_content() => ErrorKind::Internal,
            UnpackError::Member { source, .. } => match source.raw_os_error() {
                // The tar's names and attributes are too long, not the machine too small.
                Some(code) if code == rustix::io::Errno::NAMETOOLONG.raw_os_error() => ErrorKind::InvalidParameter,
                _ => ErrorKind::Internal,
            },
            UnpackError::Directory { .. } | UnpackError::TarSplit(_) => ErrorKind::Internal,
            _ => ErrorKind::InvalidParameter,
        }
    }
}

/// A layer on disk that isn't finished: see [`apply_lower_layers`].
#[derive(Debug)]
pub(crate) struct Unpacked {
    pub(crate) size_bytes: u64,
    /// Directories that the tar only implies by what is in them.
    pub(crate) implied: BTreeSet<PathBuf>,
}

/// Unpacks an uncompressed tar below `dir/diff`, which it makes. How to make the tar again it writes to `dir/recipe`, and what
/// that takes besides stays in `dir/replaced`. Reads the stream to its end; hands the reader back.
pub(crate) fn unpack<R: Read>(tar: R, dir: &Path, limits: Limits) -> Result<(Unpacked, R), UnpackError> {
    let writer = tar_split::Writer::create(&dir.join("recipe")).map_err(UnpackError::TarSplit)?;
    let mut tar = TarReader::new(Recorder::new(tar, writer));
    let mut unpacker = Unpacker::new(dir, limits, Rules::Layer)?;
    while let Some(member) = tar.next_member()? {
        unpacker.take(&member, &mut tar)?;
    }
    let unpacked = unpacker.finish()?;
    let reader = tar.drain()?.finish().map_err(UnpackError::TarSplit)?;
    remove_if_empty(&dir.join(REPLACED))?;
    Ok((unpacked, reader))
}

/// Unpacks an uncompressed tar that isn't a layer below `dir/diff`, which it makes: names mean what they say.
pub(crate) fn unpack_plain<R: Read>(tar: R, dir: &Path, limits: Limits) -> Result<(), UnpackError> {
    let writer = tar_split::Writer::create(&dir.join("recipe")).map_err(UnpackError::TarSplit)?;
    let mut tar = TarReader::new(Recorder::new(tar, writer));
    let mut unpacker = Unpacker::new(dir, limits, Rules::Plain)?;
    while let Some(member) = tar.next_member()? {
        unpacker.take(&member, &mut tar)?;
    }
    unpacker.finish()?;
    tar.drain()?;
    Ok(())
}

/// The tar of a layer that was unpacked in `dir`.
pub(crate) fn tar_of(dir: &Path) -> io::Result<tar_split::Tar> {
    tar_split::Tar::open(&dir.join("recipe"), &dir.join("diff"), &dir.join(REPLACED))
}

fn remove_if_empty(dir: &Path) -> Result<(), UnpackError> {
    match std::fs::remove_dir(dir) {
        Err(source) if source.kind() != io::ErrorKind::DirectoryNotEmpty => {
            Err(UnpackError::Directory { doing: "delete", path: dir.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Makes `dir` look like `model`: owner, mode and attributes.
pub(crate) fn copy_appearance(model: &Path, dir: &Path) -> Result<(), UnpackError> {
    let open = |path: &Path| {
        std::fs::File::open(path).map_err(|source| UnpackError::Directory {
            doing: "open",
            path: path.to_owned(),
            source,
        })
    };
    attributes::copy(open(model)?.as_fd(), open(dir)?.as_fd()).map_err(|source| UnpackError::Directory {
        doing: "copy the owner and mode to",
        path: dir.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
