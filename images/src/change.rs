//! The instructions of `--change`: a Dockerfile's, as far as they only alter the configuration.

use std::str::FromStr;

/// One instruction for an image's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change(());

/// Why an instruction isn't one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid change {0:?}")]
pub struct ChangeError(String);

impl FromStr for Change {
    type Err = ChangeError;

    fn from_str(_text: &str) -> Result<Self, ChangeError> {
        todo!("parsed in the next commit")
    }
}
