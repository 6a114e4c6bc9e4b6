//! One request to the engine, from its parts to its reply.

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::{Method, StatusCode, header};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::stream::Lines;
use super::{API_VERSION, Engine, EngineError};

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A request that hasn't been sent yet.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    engine: &'a Engine,
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Option<(&'static str, Body)>,
}

/// A reply whose status is fine and whose body hasn't been read yet.
#[derive(Debug)]
pub(crate) struct Response {
    path: String,
    inner: hyper::Response<Incoming>,
}

impl<'a> Request<'a> {
    pub(super) fn new(engine: &'a Engine, method: Method, path: String) -> Self {
        Self { engine, method, path, query: Vec::new(), headers: Vec::new(), body: None }
    }

    /// Adds a parameter to the query.
    pub(crate) fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// Adds a parameter if there is a value.
    pub(crate) fn query_some(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Adds a header if there is a value.
    pub(crate) fn header_some(mut self, name: &'static str, value: Option<String>) -> Self {
        self.headers.extend(value.map(|value| (name, value)));
        self
    }

    /// Sends a value as JSON.
    pub(crate) fn json(mut self, value: &impl Serialize) -> Self {
        let json = serde_json::to_vec(value).expect("requests are made of strings, numbers and lists of them");
        let body = http_body_util::Full::new(Bytes::from(json)).map_err(|never| match never {});
        self.body = Some(("application/json", body.boxed_unsync()));
        self
    }

    /// Sends bytes as they come, such as an archive.
    pub(crate) fn stream(mut self, bytes: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static) -> Self {
        let body = StreamBody::new(bytes.map(|chunk| chunk.map(Frame::data)));
        self.body = Some(("application/x-tar", BodyExt::boxed_unsync(body)));
        self
    }

    /// Sends the request and reads the reply's head.
    ///
    /// # Errors
    /// The engine can't be reached or refuses.
    pub(crate) async fn send(self) -> Result<Response, EngineError> {
        let path = self.path.clone();
        let inner = self.exchange(false).await?;
        // What is meant to be done is so already: a container that runs is started, one that doesn't is stopped.
        if inner.status().is_success() || inner.status() == StatusCode::NOT_MODIFIED {
            return Ok(Response { path, inner });
        }
        let status = inner.status();
        Err(refusal(status, &inner.into_body().collect().await?.to_bytes()))
    }

    /// Sends the request and takes the connection over as a raw stream in both directions.
    ///
    /// # Errors
    /// The engine can't be reached, refuses, or doesn't give up the connection.
    pub(crate) async fn hijack(self) -> Result<TokioIo<hyper::upgrade::Upgraded>, EngineError> {
        let path = self.path.clone();
        let response = self.exchange(true).await?;
        match response.status() {
            StatusCode::SWITCHING_PROTOCOLS => Ok(TokioIo::new(hyper::upgrade::on(response).await?)),
            status if status.is_success() => Err(EngineError::NotUpgraded { path, status: status.as_u16() }),
            status => Err(refusal(status, &response.into_body().collect().await?.to_bytes())),
        }
    }

    async fn exchange(self, upgrade: bool) -> Result<hyper::Response<Incoming>, EngineError> {
        let stream = self.engine.dial().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the connection; what goes wrong on it, the request or its body says.
        tokio::spawn(connection.with_upgrades());
        Ok(sender.send_request(self.build(upgrade)?).await?)
    }

    fn build(self, upgrade: bool) -> Result<hyper::Request<Body>, EngineError> {
        let mut uri = format!("/{API_VERSION}{}", self.path);
        for (index, (name, value)) in self.query.iter().enumerate() {
            uri.push(if index == 0 { '?' } else { '&' });
            uri.push_str(&format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        }
        let mut builder = hyper::Request::builder()
            .method(self.method)
            .uri(uri)
            .header(header::HOST, "berth")
            .header(header::USER_AGENT, concat!("berth/", env!("CARGO_PKG_VERSION")));
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        if upgrade {
            builder = builder.header(header::CONNECTION, "Upgrade").header(header::UPGRADE, "tcp");
        }
        let empty = || http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
        let body = match self.body {
            Some((content_type, body)) => {
                builder = builder.header(header::CONTENT_TYPE, content_type);
                body
            }
            None => empty(),
        };
        builder.body(body).map_err(|source| EngineError::Request { path: self.path, source })
    }
}

impl Response {
    /// The text of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.inner.headers().get(name)?.to_str().ok()
    }

    /// Reads the reply as JSON.
    ///
    /// # Errors
    /// The connection breaks, or it isn't what was expected.
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T, EngineError> {
        let path = self.path.clone();
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|source| EngineError::Reply { path, source })
    }

    /// Reads the reply as it is.
    ///
    /// # Errors
    /// The connection breaks.
    pub(crate) async fn bytes(self) -> Result<Bytes, EngineError> {
        Ok(self.inner.into_body().collect().await?.to_bytes())
    }

    /// Waits for the end of the reply, whatever it says.
    ///
    /// # Errors
    /// The connection breaks.
    pub(crate) async fn done(self) -> Result<(), EngineError> {
        self.bytes().await.map(drop)
    }

    /// The reply's chunks as they come.
    pub(crate) fn chunks(self) -> impl Stream<Item = Result<Bytes, EngineError>> + Unpin {
        self.inner.into_body().into_data_stream().map(|chunk| chunk.map_err(EngineError::from))
    }

    /// The reply as JSON values, one after the other as they come.
    pub(crate) fn lines<T: DeserializeOwned>(self) -> Lines<T> {
        Lines::new(self.path, self.inner.into_body())
    }
}

/// What the engine says in a reply whose status isn't fine.
fn refusal(status: StatusCode, body: &[u8]) -> EngineError {
    #[derive(serde::Deserialize)]
    struct Refusal {
        message: String,
    }
    let message = match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => refusal.message,
        Err(_) if body.is_empty() => format!("status {status} without a reason"),
        Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
    };
    EngineError::Refused { status: status.as_u16(), message }
}
