//! A stream in the messages of a WebSocket (RFC 6455), as browsers take it: what a process says in binary messages, and
//! whatever comes in messages is what it reads.

use std::sync::OnceLock;

use axum::extract::FromRequestParts;
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures::{Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

use super::ClientStream;
use super::connection::take_over;
use super::drained_body::PATIENCE;
use crate::error::{Error, Result};

/// What is sent at once, and may wait between a process and its client.
const MESSAGE_BYTES: usize = 32 * 1024;

/// The most that a client may say in one message, however many fragments it is in.
const RECEIVED_MESSAGE_BYTES: usize = 16 << 20;

/// What may wait for a client that doesn't read; answers to its pings are left out beyond it.
const UNSENT_BYTES: usize = 1 << 20;

/// A client that asked for a WebSocket.
#[derive(Debug)]
pub(crate) struct WebSocket {
    accept: HeaderValue,
    /// The first of what the client says that it speaks on top of it; browsers hang up when none is taken.
    protocol: Option<HeaderValue>,
}

impl<S: Sync> FromRequestParts<S> for WebSocket {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        let value = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let upgrades = value(UPGRADE).is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"));
        let (Some(key), Some("13"), true) = (value(SEC_WEBSOCKET_KEY), value(SEC_WEBSOCKET_VERSION), upgrades) else {
            return Err(Error::invalid(
                "this path is for WebSockets: a request with \"Upgrade: websocket\", a Sec-WebSocket-Key and \
                 \"Sec-WebSocket-Version: 13\" is expected",
            ));
        };
        let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()))
            .map_err(|_| Error::invalid("the Sec-WebSocket-Key can't be answered"))?;
        let protocols = value(SEC_WEBSOCKET_PROTOCOL).and_then(|protocols| protocols.split(',').next());
        Ok(Self { accept, protocol: protocols.and_then(|protocol| HeaderValue::from_str(protocol.trim()).ok()) })
    }
}

impl WebSocket {
    /// Replies that messages follow, and has `session` use what is in them from then on.
    pub(crate) fn stream<F>(self, session: impl FnOnce(ClientStream) -> F + Send + 'static) -> Response
    where
        F: Future<Output = ClientStream> + Send + 'static,
    {
        let switch = [
            (CONNECTION, HeaderValue::from_static("Upgrade")),
            (UPGRADE, HeaderValue::from_static("websocket")),
            (SEC_WEBSOCKET_ACCEPT, self.accept),
        ];
        let mut reply = (StatusCode::SWITCHING_PROTOCOLS, switch).into_response();
        reply.headers_mut().extend(self.protocol.map(|protocol| (SEC_WEBSOCKET_PROTOCOL, protocol)));
        take_over(&mut reply, |stream| carry(stream, session));
        reply
    }
}

/// Carries a session's stream in messages, until the session is over.
async fn carry<F>(stream: ClientStream, session: impl FnOnce(ClientStream) -> F) -> ClientStream
where
    F: Future<Output = ClientStream>,
{
    let ClientStream { input, output, gone } = stream;
    let limits = WebSocketConfig::default()
        .max_message_size(Some(RECEIVED_MESSAGE_BYTES))
        .max_frame_size(Some(RECEIVED_MESSAGE_BYTES))
        .max_write_buffer_size(UNSENT_BYTES);
    let mut socket = WebSocketStream::from_raw_socket(tokio::io::join(input, output), Role::Server, Some(limits)).await;
    let refusal = OnceLock::new();
    let (ours, theirs) = tokio::io::duplex(MESSAGE_BYTES);
    let (from_process, to_process) = tokio::io::split(ours);
    let (input, output) = tokio::io::split(theirs);
    let (leaves, left) = oneshot::channel();
    let left = Box::pin(async move { drop(left.await) });
    let session = async {
        let mut stream = session(ClientStream { input: Box::pin(input), output: Box::pin(output), gone: left }).await;
        // Nobody is left to tell if it fails.
        let _ = stream.output.shutdown().await;
        Ok(())
    };
    let (sink, messages) = (&mut socket).split();
    tokio::select! {
        _ = async { tokio::try_join!(session, send(from_process, sink, &refusal)) } => {}
        () = receive(messages, to_process, leaves, &refusal) => {}
    }
    // It is closed when both sides have said so.
    let closed = async { while let Some(Ok(_)) = socket.next().await {} };
    let _ = tokio::time::timeout(PATIENCE, closed).await;
    let joined = socket.into_inner();
    let (input, output) = joined.into_inner();
    ClientStream { input, output, gone }
}

/// # Errors
/// When the client can't be sent anything.
async fn send(
    mut from_process: impl AsyncRead + Unpin,
    mut sink: impl Sink<Message, Error = tungstenite::Error> + Unpin,
    refusal: &OnceLock<CloseFrame>,
) -> tungstenite::Result<()> {
    let mut buffer = vec![0; MESSAGE_BYTES];
    while let Ok(length @ 1..) = from_process.read(&mut buffer).await {
        let piece = buffer.get(..length).unwrap_or_default().to_vec();
        sink.send(Message::binary(piece)).await?;
    }
    match refusal.get() {
        Some(refusal) => sink.send(Message::Close(Some(refusal.clone()))).await,
        None => sink.close().await,
    }
}

/// Ends never: the process still reads what the client says last, and then the session is told that it has left. Who closes a
/// WebSocket is sent nothing more.
async fn receive(
    mut messages: impl Stream<Item = tungstenite::Result<Message>> + Unpin,
    mut to_process: impl AsyncWrite + Unpin,
    leaves: oneshot::Sender<()>,
    refusal: &OnceLock<CloseFrame>,
) {
    while let Some(message) = messages.next().await {
        match message {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                if to_process.write_all(&message.into_data()).await.is_err() {
                    break;
                }
            }
            Ok(_) => {}
            Err(error) => {
                if let Some(refused) = refused(&error) {
                    refusal.get_or_init(|| refused);
                }
                break;
            }
        }
    }
    let _ = to_process.shutdown().await;
    drop(leaves);
    std::future::pending().await
}

/// How a client is told that what it sent can't be taken (RFC 6455, 7.4.1).
fn refused(error: &tungstenite::Error) -> Option<CloseFrame> {
    let code = match error {
        tungstenite::Error::Capacity(_) => CloseCode::Size,
        tungstenite::Error::Protocol(_) => CloseCode::Protocol,
        tungstenite::Error::Utf8(_) => CloseCode::Invalid,
        _ => return None,
    };
    Some(CloseFrame { code, reason: error.to_string().into() })
}
