//! What can go wrong between a caller and netd.

use std::{io, path::PathBuf, time::Duration};

use cnm::Kind;

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// netd understood the request and said no.
    #[error("{message}")]
    Refused {
        /// How to treat it.
        kind: Kind,
        /// netd's sentence for the user.
        message: String,
    },
    /// Nobody could be asked. [`Error::is_not_running`] tells the common case apart.
    #[error("cannot reach netd at {}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What connecting to it said.
        #[source]
        source: io::Error,
    },
    /// The connection broke before the reply was complete: netd may or may not have done what it was asked.
    #[error("netd went away before it had answered {request}")]
    Interrupted {
        /// Method and path.
        request: String,
        /// What the connection said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// netd is there and doesn't answer, not even who it is: it is stopped, or hangs. It won't begin what it was asked.
    #[error(
        "netd at {} does not answer: {request} was given up after {} s; see whether netd is stopped, and its log",
        path.display(), after.as_secs()
    )]
    StandsStill {
        /// The socket.
        path: PathBuf,
        /// Method and path.
        request: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// netd is at work and wasn't done in time. It may still do what it was asked.
    #[error("netd was not done with {request} within {} s: it may still do it, its log says more", after.as_secs())]
    TooSlow {
        /// Method and path.
        request: String,
        /// The deadline.
        after: Duration,
    },
    /// The answer isn't one that this API has.
    #[error("netd answered {request} in a way that this program does not understand")]
    Protocol {
        /// Method and path.
        request: String,
        /// What is wrong with the answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// netd speaks another version of the API.
    #[error("netd speaks version {theirs} of its API and this program version {ours}: upgrade the older of them")]
    UnknownVersion {
        /// netd's.
        theirs: u32,
        /// Ours.
        ours: u32,
    },
}

impl Error {
    /// How a caller should treat it, as for netd's own errors.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Refused { kind, .. } => *kind,
            Self::Unreachable { .. } | Self::Interrupted { .. } | Self::StandsStill { .. } | Self::TooSlow { .. } => {
                Kind::Unavailable
            }
            Self::Protocol { .. } | Self::UnknownVersion { .. } => Kind::Internal,
        }
    }

    /// Whether netd was given up on: what it was asked may come about without anybody having been told.
    pub const fn is_given_up(&self) -> bool {
        matches!(self, Self::StandsStill { .. } | Self::TooSlow { .. })
    }

    /// Whether no netd listens on the socket: it has to be started. (A listener that closes at this moment resets.)
    pub fn is_not_running(&self) -> bool {
        use io::ErrorKind::{ConnectionRefused, ConnectionReset, NotFound};
        matches!(self, Self::Unreachable { source, .. }
            if matches!(source.kind(), NotFound | ConnectionRefused | ConnectionReset))
    }
}
