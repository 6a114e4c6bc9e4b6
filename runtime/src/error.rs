//! What can go wrong with a container, and of which kind: the kind becomes an HTTP status at the engine's edge, the
//! exit code is what `run` ends with.

use std::io;
use std::path::PathBuf;

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// How a caller should treat an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request itself is wrong; sending it again can't help.
    InvalidParameter,
    /// There is no such container or exec.
    NotFound,
    /// Its state forbids the request for now.
    Conflict,
    /// This kernel can't do it.
    NotSupported,
    /// The machine or one of our own processes failed.
    Internal,
}

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value in a specification is unusable.
    #[error("invalid {what} {value:?}: {reason}")]
    Invalid {
        /// What kind of value it is, such as `user`.
        what: &'static str,
        /// The value as given.
        value: String,
        /// What is wrong with it and what would be right.
        reason: String,
    },
    /// No container or exec of that name has ever been started here, or it was deleted.
    #[error("no such {what}: {id}")]
    NotFound {
        /// `container` or `exec`.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// The state of the container or exec forbids the request.
    #[error("{what} {id} is {state}")]
    Conflict {
        /// `container` or `exec`.
        what: &'static str,
        /// Its id.
        id: String,
        /// The state it is in, such as `not running`.
        state: &'static str,
    },
    /// The container's first process could not be run; nothing of the container is left.
    #[error("{message}")]
    Start {
        /// What the user sees, such as `exec: "foo": executable file not found in $PATH`.
        message: String,
        /// 127 when the program doesn't exist, 126 when it can't be executed, else 125.
        exit_code: u8,
    },
    /// This kernel or machine lacks something that was asked for.
    #[error("{what} is not supported here: {reason}")]
    NotSupported {
        /// What was asked for, such as `cgroup controller memory`.
        what: String,
        /// What is missing.
        reason: String,
    },
    /// A shim or monitor ended, or answered nonsense.
    #[error("{process} of {id} {problem}")]
    Broken {
        /// `shim` or `monitor`.
        process: &'static str,
        /// The container's or exec's id.
        id: String,
        /// What happened to it.
        problem: String,
    },
    /// A stored file is damaged or comes from a newer release.
    #[error("{} can't be used: {reason}", path.display())]
    Stored {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An operating system call failed.
    #[error("could not {action}")]
    Io {
        /// What was being tried, with the names that matter.
        action: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// How a caller should treat it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Invalid { .. } => Kind::InvalidParameter,
            Self::Start { exit_code: 126 | 127, .. } => Kind::InvalidParameter,
            Self::NotFound { .. } => Kind::NotFound,
            Self::Conflict { .. } => Kind::Conflict,
            Self::NotSupported { .. } => Kind::NotSupported,
            Self::Start { .. } | Self::Broken { .. } | Self::Stored { .. } | Self::Io { .. } => Kind::Internal,
        }
    }

    /// The exit code that `run` ends with when this error kept the container from starting.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Start { exit_code, .. } => *exit_code,
            _ => 125,
        }
    }

    /// For `map_err`: says what was being tried.
    pub(crate) fn io<E: Into<io::Error>>(action: impl Into<String>) -> impl FnOnce(E) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source: source.into() }
    }
}
