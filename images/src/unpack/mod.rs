//! A layer's tar becomes a directory that overlayfs can stand on.

use crate::error::ErrorKind;

/// How large a layer may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files, directories and everything else.
    pub entries: u64,
    /// All files' sizes together.
    pub size_bytes: u64,
}

/// Why a layer can't be unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {}

impl UnpackError {
    pub(crate) fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidParameter
    }
}
