//! Image archives, as `docker save` and its relatives write them.

use crate::error::ErrorKind;

/// Why an archive can't be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {}

impl ArchiveError {
    pub(crate) fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidParameter
    }
}
