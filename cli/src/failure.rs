//! Why a command has failed, and what that means for its exit status.

use crate::connect::{ConnectError, Daemon, explain};
use crate::engine::EngineError;
use crate::render::template::FormatError;
use crate::request::RequestError;

/// Why a command has failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Netd(netd_client::Error),
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The template for one object, as `inspect` takes it.
    #[error(transparent)]
    Template(FormatError),
    #[error(transparent)]
    Copy(#[from] crate::request::copy::CopyError),
    #[error("{0}")]
    Invalid(String),
    #[error("{doing}")]
    Io {
        doing: String,
        #[source]
        source: std::io::Error,
    },
    #[error("write output")]
    Output(#[source] std::io::Error),
    /// A step of a build ended with this status.
    #[error("{message}")]
    Step { message: String, status: u8 },
    #[error("watch for signals")]
    Signals(#[source] std::io::Error),
    /// A container that exists, and whose start was refused.
    #[error(transparent)]
    Start(EngineError),
    /// What failed was printed where it failed, for one of several targets.
    #[error("some of the targets failed")]
    Reported,
}

impl From<netd_client::Error> for Failure {
    fn from(error: netd_client::Error) -> Self {
        match error {
            netd_client::Error::Unreachable { path, source } => Self::Connect(explain(Daemon::Netd, &path, source)),
            error => Self::Netd(error),
        }
    }
}

impl Failure {
    /// The text with its causes, outermost first.
    pub(crate) fn text(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text += &format!(": {cause}");
            source = cause.source();
        }
        text
    }

    /// Whether it is a daemon that can't be reached, and not something about one target.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Engine(EngineError::Connect(_)) | Self::Start(EngineError::Connect(_)))
    }

    /// Exit status of commands that have none of their own. Docker's are 125 for a flag that can't be, and 64 (sysexits.h's
    /// "usage") for a template that doesn't parse, though not for that of a list.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Template(error) if error.is_syntax() => 64,
            Self::Request(error) if error.is_flag_syntax() => 125,
            Self::Step { status, .. } => *status,
            _ => 1,
        }
    }

    /// Exit status of `run`, whose own statuses must not look like the container's: 127 when the command isn't there,
    /// 126 when it can't be executed, 125 for everything else.
    pub(crate) fn run_status(&self) -> u8 {
        match self {
            Self::Start(EngineError::Refused { message, .. }) => start_status(message).unwrap_or(125),
            _ => 125,
        }
    }
}

/// What the engine's sentence says about a command that didn't start.
pub(crate) fn start_status(message: &str) -> Option<u8> {
    let said = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if said(&["executable file not found", "no such file or directory"]) {
        Some(127)
    } else if said(&["permission denied", "is a directory", "exec format error"]) {
        Some(126)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_fails_says_why_by_its_status() {
        for (message, status) in [
            ("exec: \"nope\": executable file not found in $PATH", 127),
            ("exec /nope: no such file or directory", 127),
            ("exec: \"/etc/passwd\": permission denied", 126),
            ("exec: \"/tmp\": is a directory", 126),
            ("port is already allocated", 125),
        ] {
            let refused = || EngineError::Refused { status: 400, message: message.to_owned() };
            assert_eq!(Failure::Start(refused()).run_status(), status, "{message}");
            assert_eq!(Failure::Engine(refused()).run_status(), 125, "{message}: not about the container's command");
        }
    }

    #[test]
    fn causes_are_said_once() {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        let failure = Failure::Request(RequestError::Read { path: "/nope".into(), source });
        assert_eq!(failure.text(), "open /nope: entity not found");
    }
}
