//! Why flags can't be made into a request.

use std::path::PathBuf;

/// A wrong flag or a wrong combination of flags. The texts are Docker's where people and scripts know them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("invalid argument \"{value}\" for \"{flag}\" flag: {reason}")]
    Flag { flag: &'static str, value: String, reason: String },
    #[error("{0}")]
    Ports(String),
    #[error("{0}")]
    Volume(String),
    #[error("conflicting options: {0}")]
    Conflict(String),
    #[error("{flag}: invalid {namespace} mode '{value}': use {allowed}")]
    Mode { flag: &'static str, namespace: &'static str, value: String, allowed: &'static str },
    #[error("{0}")]
    Invalid(String),
    #[error("open {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("read {path}: line {line}: {reason}")]
    Line { path: PathBuf, line: usize, reason: String },
}

impl RequestError {
    /// Whether it is about how one flag is written: such errors show the command's usage.
    pub(crate) fn is_flag_syntax(&self) -> bool {
        matches!(self, Self::Flag { .. })
    }
}

/// Names the flag and the value in an error that says what is wrong with the value.
pub(crate) fn flag(flag: &'static str, value: &str, reason: impl std::fmt::Display) -> RequestError {
    RequestError::Flag { flag, value: value.to_owned(), reason: reason.to_string() }
}

/// The same for what only the daemon knows to Docker's client: no question of how a flag is written.
pub(crate) fn refused(flag: &'static str, value: &str, reason: impl std::fmt::Display) -> RequestError {
    RequestError::Invalid(format!("invalid argument \"{value}\" for \"{flag}\" flag: {reason}"))
}
