//! Everything that can go wrong in netd: what was being tried, with the cause as the error's source.

use std::{io, path::PathBuf};

use cnm::Kind;

/// What failed. One sentence; causes are sources.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model refused.
    #[error(transparent)]
    Refused(#[from] cnm::Error),
    /// The configuration file can't be read or understood.
    #[error(transparent)]
    Configuration(#[from] settings::Error),
    /// A default pool isn't written as one.
    #[error("invalid default pool {pool:?}: CIDR/LENGTH is expected, as in 10.64.0.0/12/24")]
    DefaultPool {
        /// As written.
        pool: String,
    },
    /// The filter of the log isn't one.
    #[error("invalid log filter {filter:?}: levels and targets are expected, as in info or netd=debug,kernel=trace")]
    LogFilter {
        /// As written.
        filter: String,
    },
    /// A file or directory could not be prepared.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// A verb: create, lock, bind the socket.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Another netd is at work.
    #[error("another netd uses {}: stop it, or give this one a --root and a --run-dir of its own", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// Another netd manages the same network.
    #[error(
        "another netd ({holder}) manages this network namespace and holds {}: stop it, or start this one in another",
        path.display()
    )]
    NetworkInUse {
        /// What it wrote there: its process.
        holder: String,
        /// The claim.
        path: PathBuf,
    },
    /// A Unix socket's path has a limit.
    #[error("the socket path {} is too long: at most 107 bytes are possible, choose a shorter --run-dir", path.display())]
    SocketPathTooLong {
        /// The path.
        path: PathBuf,
    },
    /// A state file can't be used.
    #[error(transparent)]
    Store(#[from] sqlite::OpenError),
    /// What a state file holds can't be read.
    #[error("cannot read the state file {}: repair it, or move it away to start without it", path.display())]
    OpenStore {
        /// The file.
        path: PathBuf,
        /// SQLite's answer.
        #[source]
        source: rusqlite::Error,
    },
    /// A record in a state file makes no sense.
    #[error(
        "the record of {what} {id} in the state file {} can not be read and is set aside; it stays there for the netd that can",
        path.display()
    )]
    Record {
        /// The file.
        path: PathBuf,
        /// Its table.
        what: &'static str,
        /// Which.
        id: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A record in a state file makes no sense, and what netd writes next stands in its place.
    #[error("the record of {what} {id} in the state file {} can not be read and is replaced", path.display())]
    ReplacedRecord {
        /// The file.
        path: PathBuf,
        /// Its table.
        what: &'static str,
        /// Which.
        id: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A change could not be stored.
    #[error("cannot write the state file {}", path.display())]
    WriteStore {
        /// The file.
        path: PathBuf,
        /// SQLite's answer; shared by all changes of one transaction.
        #[source]
        source: std::sync::Arc<rusqlite::Error>,
    },
    /// The kernel could not be told.
    #[error("cannot {attempt}")]
    Apply {
        /// As in `set up sandbox web`.
        attempt: String,
        /// Which step failed, and why.
        #[source]
        source: Box<kernel::Failed>,
    },
    /// The kernel could not be asked, or the firewall not be set.
    #[error("cannot {attempt}")]
    Host {
        /// As in `observe the host's links`.
        attempt: &'static str,
        /// The kernel's answer.
        #[source]
        source: kernel::Error,
    },
    /// A host port can't be held.
    #[error("failed to bind host port {address}/{protocol}: {reason}")]
    BindPort {
        /// Address and port.
        address: std::net::SocketAddr,
        /// The transport protocol.
        protocol: cnm::firewall::Protocol,
        /// What the kernel says, in words of ports.
        reason: std::borrow::Cow<'static, str>,
        /// Kind of refusal.
        kind: Kind,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// netd is stopping.
    #[error("netd is shutting down")]
    ShuttingDown,
    /// A thread of netd panicked while it worked on a request.
    #[error("netd failed while it worked on this request: its log says more")]
    Panicked,
}

impl Error {
    /// How a caller should treat it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Refused(error) => error.kind,
            Self::BindPort { kind, .. } => *kind,
            Self::Apply { source, .. } => source.cause.kind(),
            Self::Host { source, .. } => source.kind(),
            Self::ShuttingDown => Kind::Unavailable,
            Self::Configuration(_) | Self::DefaultPool { .. } | Self::LogFilter { .. } => Kind::InvalidParameter,
            Self::File { .. }
            | Self::InUse { .. }
            | Self::NetworkInUse { .. }
            | Self::SocketPathTooLong { .. }
            | Self::Store(_)
            | Self::OpenStore { .. }
            | Self::Record { .. }
            | Self::ReplacedRecord { .. }
            | Self::WriteStore { .. }
            | Self::Panicked => Kind::Internal,
        }
    }

    /// The exit status that tells a supervisor why: 75 (`EX_TEMPFAIL` of sysexits.h) when another netd is in the place,
    /// which may be about to answer or to end; else 1.
    pub fn exit_status(&self) -> u8 {
        if matches!(self, Self::InUse { .. }) { 75 } else { 1 }
    }

    /// The sentence with its causes, outermost first, separated by `: `.
    pub fn chain(&self) -> String {
        chain(self)
    }

    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { doing, path: path.into(), source }
    }

    pub(crate) const fn host(attempt: &'static str) -> impl FnOnce(kernel::Error) -> Self {
        move |source| Self::Host { attempt, source }
    }
}

/// An error with its causes, outermost first, separated by `: `.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
