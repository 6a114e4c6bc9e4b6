//! The client's side of a stream: its connection, taken over from HTTP, or the bodies of its request and our reply.

use std::pin::Pin;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt as _;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::{ReaderStream, StreamReader};

use crate::error::{Error, Result};
use crate::frame::{MULTIPLEXED_STREAM, RAW_STREAM};
use crate::version::ApiVersion;

/// What may wait between a process and a client that takes its output as a reply's body.
const REPLY_BUFFER_BYTES: usize = 64 * 1024;

/// A client that asked for a stream.
#[derive(Debug)]
pub(crate) struct Client {
    upgrade: Option<OnUpgrade>,
    protocol: Option<HeaderValue>,
    body: Body,
}

/// A client's stream, ready to be used.
pub(crate) struct ClientStream {
    /// What the client sends.
    pub(crate) input: Pin<Box<dyn AsyncRead + Send>>,
    /// What the client is sent.
    pub(crate) output: Pin<Box<dyn AsyncWrite + Send>>,
}

impl<S: Sync> FromRequest<S> for Client {
    type Rejection = Error;

    async fn from_request(request: Request, _state: &S) -> Result<Self> {
        let (mut parts, body) = request.into_parts();
        let protocol = asked_protocol(&parts.headers);
        let upgrade = parts.extensions.remove::<OnUpgrade>().filter(|_| protocol.is_some());
        Ok(Self { upgrade, protocol, body })
    }
}

/// The protocol that a client wants the connection to go over to (`tcp`, for Docker's clients).
fn asked_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let connection = headers.get(CONNECTION)?.to_str().ok()?;
    let wanted = connection.split(',').any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(UPGRADE).filter(|_| wanted).cloned()
}

impl Client {
    /// The request's body as a whole, for requests whose stream comes after it.
    pub(crate) async fn take_body(&mut self) -> Result<Bytes> {
        super::whole::read(std::mem::take(&mut self.body)).await
    }

    /// Replies that the stream follows, and has `session` use it from then on.
    pub(crate) fn stream<F>(
        self,
        content_type: &'static str,
        session: impl FnOnce(ClientStream) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let content_type = [(CONTENT_TYPE, HeaderValue::from_static(content_type))];
        match (self.upgrade, self.protocol) {
            (Some(upgrade), Some(protocol)) => {
                tokio::spawn(async move {
                    match upgrade.await {
                        Ok(connection) => {
                            let (input, output) = tokio::io::split(TokioIo::new(connection));
                            session(ClientStream { input: Box::pin(input), output: Box::pin(output) }).await;
                        }
                        Err(error) => tracing::debug!("a client left before its stream began: {error}"),
                    }
                });
                let switch = [(CONNECTION, HeaderValue::from_static("Upgrade")), (UPGRADE, protocol)];
                (StatusCode::SWITCHING_PROTOCOLS, content_type, switch).into_response()
            }
            _ => {
                let (output, reply) = tokio::io::duplex(REPLY_BUFFER_BYTES);
                let input = StreamReader::new(self.body.into_data_stream().map_err(std::io::Error::other));
                tokio::spawn(session(ClientStream { input: Box::pin(input), output: Box::pin(output) }));
                (content_type, Body::from_stream(ReaderStream::new(reply))).into_response()
            }
        }
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
    fn only_a_connection_that_is_to_be_upgraded_is_taken_over() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
        };
        let upgrade: HeaderMap = headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "tcp")]);
        assert_eq!(asked_protocol(&upgrade), Some(HeaderValue::from_static("tcp")));
        assert_eq!(asked_protocol(&headers(&[("upgrade", "tcp")])), None);
        assert_eq!(asked_protocol(&headers(&[("connection", "upgrade")])), None);
        assert_eq!(asked_protocol(&headers(&[])), None);
    }

    #[test]
    fn content_types() {
        let newest = ApiVersion::MAX;
        assert_eq!(content_type(true, newest), "application/vnd.docker.raw-stream");
        assert_eq!(content_type(false, newest), "application/vnd.docker.multiplexed-stream");
        assert_eq!(content_type(false, ApiVersion::new(1, 41)), "application/vnd.docker.raw-stream");
    }
}
