//! The client's side of a stream: its connection, taken over from HTTP.

use std::pin::Pin;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::connection::take_over;
use super::drained_body::PATIENCE;
use crate::error::{Error, Result};
use crate::frame::{MULTIPLEXED_STREAM, RAW_STREAM};
use crate::version::ApiVersion;

/// A client that asked for a stream.
#[derive(Debug)]
pub(crate) struct Client {
    /// It knows that the connection won't be HTTP any more.
    upgrades: bool,
    body: Body,
}

/// A client's stream, ready to be used.
pub(crate) struct ClientStream {
    /// What the client sends.
    pub(crate) input: Pin<Box<dyn AsyncRead + Send>>,
    /// What the client is sent.
    pub(crate) output: Pin<Box<dyn AsyncWrite + Send>>,
    /// Ready once nobody is there to be sent anything; that a client sends no more is none of it. Not to be asked again then.
    pub(crate) gone: BoxFuture<'static, ()>,
}

impl<S: Sync> FromRequest<S> for Client {
    type Rejection = Error;

    async fn from_request(request: Request, _state: &S) -> Result<Self> {
        let (parts, body) = request.into_parts();
        Ok(Self { upgrades: parts.headers.contains_key(UPGRADE), body })
    }
}

impl Client {
    /// The request's body as a whole, for requests whose stream comes after it.
    pub(crate) async fn take_body(&mut self) -> Result<Bytes> {
        super::json_body::read(std::mem::take(&mut self.body)).await
    }

    /// Replies that the stream follows, and has `session` use it from then on. As with Docker it does so both ways whether the
    /// client asked for an upgrade or not, and of whatever kind.
    pub(crate) fn stream<F>(
        self,
        content_type: &'static str,
        session: impl FnOnce(ClientStream) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = ClientStream> + Send + 'static,
    {
        let content_type = [(CONTENT_TYPE, HeaderValue::from_static(content_type))];
        let switch =
            [(CONNECTION, "Upgrade"), (UPGRADE, "tcp")].map(|(name, value)| (name, HeaderValue::from_static(value)));
        let mut reply = match self.upgrades {
            true => (StatusCode::SWITCHING_PROTOCOLS, content_type, switch).into_response(),
            false => (StatusCode::OK, content_type).into_response(),
        };
        take_over(&mut reply, session);
        reply
    }
}

impl ClientStream {
    /// Ends it. What the client still sends is thrown away as it comes: with something unread on it, the kernel breaks a
    /// connection instead of closing it, and the client might not see the last of what it was sent.
    pub(super) async fn finish(mut self) {
        // Nobody is left to tell if it fails.
        let _ = self.output.shutdown().await;
        let mut nowhere = tokio::io::sink();
        let _ = tokio::time::timeout(PATIENCE, tokio::io::copy(&mut self.input, &mut nowhere)).await;
    }
}

/// The content type of a process's output. Clients before API 1.42 know of one only, and tell by the container.
pub(crate) fn content_type(terminal: bool, version: ApiVersion) -> &'static str {
    if terminal || version < ApiVersion::new(1, 42) { RAW_STREAM } else { MULTIPLEXED_STREAM }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        let newest = ApiVersion::MAX;
        assert_eq!(content_type(true, newest), "application/vnd.docker.raw-stream");
        assert_eq!(content_type(false, newest), "application/vnd.docker.multiplexed-stream");
        assert_eq!(content_type(false, ApiVersion::new(1, 41)), "application/vnd.docker.raw-stream");
    }
}
