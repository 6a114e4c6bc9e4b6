//! Everything that can go wrong in the engine, and how each becomes Docker's `{"message": …}` with a status.

use std::io;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cnm::Kind;
use serde::Serialize;

/// The engine's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the engine couldn't do what was asked: a variant says what was being tried, its source says why it failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is at fault; the sentence is for the user, in Docker's words where Docker has words for it.
    #[error("{message}")]
    Refused {
        /// Decides the HTTP status.
        kind: Kind,
        /// One sentence that names the value, says what is wrong and what to do.
        message: String,
    },
    /// Only a node of a swarm can be asked it, and this is none: no fault, and with a status (503) that clients know.
    #[error("{0}")]
    NotInSwarm(&'static str),
    /// The `filters` of a request.
    #[error(transparent)]
    Filter(#[from] crate::filters::FilterError),
    /// A moment in a request (`since`, `until`).
    #[error(transparent)]
    Moment(#[from] crate::moment::InvalidMoment),
    /// The engine's database.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// A container's record in the database.
    #[error(transparent)]
    Record(#[from] crate::container::RecordError),
    /// A volume's record in the database.
    #[error(transparent)]
    VolumeRecord(#[from] crate::volume::VolumeRecordError),
    /// A plugin, on behalf of a volume.
    #[error("{doing}")]
    VolumePlugin {
        /// What was being tried.
        doing: String,
        /// What it said, or why it couldn't be asked.
        source: plugin::PluginError,
    },
    /// The image store.
    #[error(transparent)]
    Image(#[from] images::Error),
    /// An image that was to be built.
    #[error(transparent)]
    Build(#[from] build::Error),
    /// A container's files can't be packed.
    #[error(transparent)]
    Pack(#[from] images::files::PackError),
    /// Files can't be put into a container.
    #[error(transparent)]
    Extract(#[from] images::files::ExtractError),
    /// A container's processes.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// A further process can't be started in a container.
    #[error("OCI runtime exec failed: exec failed: unable to start container process")]
    ExecStart(#[source] runtime::Error),
    /// Networking.
    #[error(transparent)]
    Netd(#[from] netd_client::Error),
    /// netd was started, and ended before it answered.
    #[error("netd ended at once ({status}); see {}", log.display())]
    NetdEnded {
        /// How.
        status: std::process::ExitStatus,
        /// What it had to say.
        log: std::path::PathBuf,
    },
    /// A container can't be given its networking.
    #[error("failed to set up container networking")]
    Networking(#[source] netd_client::Error),
    /// A file or directory of ours.
    #[error("{doing}")]
    Io {
        /// What was being tried, with the path.
        doing: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// Work on another thread ended without an answer.
    #[error("{doing}: the task ended without an answer")]
    Interrupted {
        /// What was being tried.
        doing: &'static str,
    },
}

impl Error {
    /// A request that is wrong in itself (400).
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::refused(Kind::InvalidParameter, message)
    }

    /// The thing named doesn't exist (404).
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::refused(Kind::NotFound, message)
    }

    /// The state of things forbids it for now (409).
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::refused(Kind::Conflict, message)
    }

    /// Docker has it and berth doesn't yet (501).
    pub fn not_implemented(message: impl Into<String>) -> Self {
        Self::refused(Kind::NotImplemented, message)
    }

    /// A refusal of any kind.
    pub fn refused(kind: Kind, message: impl Into<String>) -> Self {
        Self::Refused { kind, message: message.into() }
    }

    /// For `map_err` on a file operation: says what was being tried.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// How a client should treat it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Refused { kind, .. } => *kind,
            Self::NotInSwarm(_) | Self::NetdEnded { .. } => Kind::Unavailable,
            Self::Filter(_) | Self::Moment(_) => Kind::InvalidParameter,
            Self::VolumePlugin { source: plugin::PluginError::NotFound { .. }, .. } => Kind::NotFound,
            Self::VolumePlugin { source: plugin::PluginError::Unsupported { .. }, .. } => Kind::NotImplemented,
            Self::VolumePlugin { .. } => Kind::Internal,
            Self::Image(error) => of_images(error.kind()),
            Self::Build(error) => of_images(error.kind()),
            Self::Extract(error) => of_images(error.kind()),
            Self::Runtime(error) | Self::ExecStart(error) => match error.kind() {
                runtime::Kind::InvalidParameter => Kind::InvalidParameter,
                runtime::Kind::NotFound => Kind::NotFound,
                runtime::Kind::Conflict => Kind::Conflict,
                runtime::Kind::NotSupported => Kind::NotImplemented,
                runtime::Kind::Internal => Kind::Internal,
            },
            Self::Netd(error) | Self::Networking(error) => error.kind(),
            Self::Store(_)
            | Self::Record(_)
            | Self::VolumeRecord(_)
            | Self::Pack(_)
            | Self::Io { .. }
            | Self::Interrupted { .. } => Kind::Internal,
        }
    }

    /// The sentence for the client: this error and its causes, outermost first.
    pub fn message(&self) -> String {
        chain(self)
    }
}

fn of_images(kind: images::ErrorKind) -> Kind {
    match kind {
        images::ErrorKind::NotFound => Kind::NotFound,
        images::ErrorKind::InvalidParameter => Kind::InvalidParameter,
        images::ErrorKind::Conflict => Kind::Conflict,
        images::ErrorKind::Internal => Kind::Internal,
    }
}

/// An error and its causes in one line, outermost first.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    message
}

/// Whether the administrator should know: something here is broken. What berth doesn't offer (501, a swarm) is the client's
/// error as much as a wrong request is.
fn is_fault(error: &Error) -> bool {
    let kind = error.kind();
    kind.http_status() >= 500 && kind != Kind::NotImplemented && !matches!(error, Error::NotInSwarm(_))
}

#[derive(Serialize)]
pub(crate) struct ErrorBody {
    pub(crate) message: String,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let message = self.message();
        if is_fault(&self) {
            tracing::error!(status = status.as_u16(), "{message}");
        } else {
            tracing::debug!(status = status.as_u16(), "{message}");
        }
        (status, Json(ErrorBody { message })).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_broken_here_is_a_fault() {
        for (kind, fault) in [
            (Kind::InvalidParameter, false),
            (Kind::NotFound, false),
            (Kind::Conflict, false),
            (Kind::NotImplemented, false),
            (Kind::Unavailable, true),
            (Kind::Internal, true),
        ] {
            assert_eq!(is_fault(&Error::refused(kind, "")), fault, "{kind:?}");
        }
        assert!(!is_fault(&Error::NotInSwarm("")));
    }
}
