//! A client of the Docker Engine API over a Unix socket.
//!
//! It is ours and not a client library's because `inspect` shows the engine's own JSON, of which typed models drop what
//! they don't know; a terminal's bytes must come through undivided; and a command lives for milliseconds: no pool, no
//! ping, one connection a request.

pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod stream;

use std::path::PathBuf;

pub(crate) use request::{Request, Response};

use tokio::net::UnixStream;

use crate::connect::{ConnectError, Daemon, explain};

/// In the path of every request: the newest that berthd of the same release serves.
pub(crate) const API_VERSION: &str = "v1.52";

/// The engine behind a socket. Nothing is sent before the first request.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    socket: PathBuf,
}

/// Why the engine didn't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("Error response from daemon: {message}")]
    Refused { status: u16, message: String },
    #[error("the connection to the engine broke")]
    Transport(#[from] hyper::Error),
    #[error("form a request for {path}")]
    Request {
        path: String,
        #[source]
        source: hyper::http::Error,
    },
    #[error("understand the engine's reply to {path}")]
    Reply {
        path: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the engine answered {path} with status {status} instead of giving up the connection to the stream")]
    NotUpgraded { path: String, status: u16 },
    #[error("invalid {what}: the name is empty")]
    EmptyName { what: &'static str },
}

impl EngineError {
    /// Whether what was asked for isn't there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}

impl Engine {
    /// The engine at `socket`.
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// A connection to it, on which nothing has been said.
    ///
    /// # Errors
    /// It can't be reached.
    pub(crate) async fn dial(&self) -> Result<UnixStream, ConnectError> {
        UnixStream::connect(&self.socket).await.map_err(|error| explain(Daemon::Berthd, &self.socket, error))
    }

    /// A request to read something.
    pub(crate) fn get(&self, path: impl Into<String>) -> Request<'_> {
        Request::new(self, hyper::Method::GET, path.into())
    }

    /// A request to do something.
    pub(crate) fn post(&self, path: impl Into<String>) -> Request<'_> {
        Request::new(self, hyper::Method::POST, path.into())
    }

    /// A request to put something in its place.
    pub(crate) fn put(&self, path: impl Into<String>) -> Request<'_> {
        Request::new(self, hyper::Method::PUT, path.into())
    }

    /// A request for the headers of a reply only.
    pub(crate) fn head(&self, path: impl Into<String>) -> Request<'_> {
        Request::new(self, hyper::Method::HEAD, path.into())
    }

    /// A request to remove something.
    pub(crate) fn delete(&self, path: impl Into<String>) -> Request<'_> {
        Request::new(self, hyper::Method::DELETE, path.into())
    }
}

/// `/containers/NAME` and what follows, with the name made safe for a path.
///
/// # Errors
/// The name is empty: the path would mean something else.
pub(crate) fn container(name: &str, rest: &str) -> Result<String, EngineError> {
    Ok(format!("/containers/{}{rest}", segment(name, "container name or ID")?))
}

/// `/images/NAME` and what follows; the slashes of an image's name stay.
///
/// # Errors
/// The name is empty.
pub(crate) fn image(name: &str, rest: &str) -> Result<String, EngineError> {
    let parts = name.split('/').map(|part| segment(part, "image name or ID")).collect::<Result<Vec<_>, _>>()?;
    Ok(format!("/images/{}{rest}", parts.join("/")))
}

/// `/networks/NAME` and what follows.
///
/// # Errors
/// The name is empty.
pub(crate) fn network(name: &str, rest: &str) -> Result<String, EngineError> {
    Ok(format!("/networks/{}{rest}", segment(name, "network name or ID")?))
}

/// `/volumes/NAME`.
///
/// # Errors
/// The name is empty.
pub(crate) fn volume(name: &str) -> Result<String, EngineError> {
    Ok(format!("/volumes/{}", segment(name, "volume name")?))
}

fn segment(name: &str, what: &'static str) -> Result<String, EngineError> {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: AsciiSet =
        NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b':').remove(b'@');
    // `..` would climb in the path.
    if name.is_empty() || name == "." || name == ".." {
        return Err(EngineError::EmptyName { what });
    }
    Ok(utf8_percent_encode(name, &KEPT).to_string())
}
