//! HTTP/1.1 over a Unix socket, with connections kept for the next request.

use std::{
    error::Error as StdError,
    io,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use cnm::api::{BEGIN_BY_HEADER, ErrorReply, TRACE_HEADER};
use futures::future::{Either, select};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use hyper_util::{client::legacy, rt::TokioExecutor};
use hyperlocal::UnixConnector;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, TraceId,
    deadline::{BEGUN_WITHIN, Deadline, LOOKED_INTO_AFTER},
};

/// What tells whether netd answers at all.
pub(crate) const HANDSHAKE: &str = "/v1/version";

/// RFC 3986 section 2.3: what never needs encoding.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const BEGIN_BY: HeaderName = HeaderName::from_static(BEGIN_BY_HEADER);

/// A value as one segment of a path, whatever the user typed.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

#[derive(Debug, Clone)]
pub(crate) struct Transport {
    socket: Arc<Path>,
    http: legacy::Client<UnixConnector, Full<Bytes>>,
}

impl Transport {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket: socket.into(), http: legacy::Client::builder(TokioExecutor::new()).build(UnixConnector) }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Sends a JSON body and decodes the reply's.
    pub(crate) async fn send_json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        trace: Option<&TraceId>,
        body: &impl Serialize,
        deadline: Deadline,
    ) -> Result<T, Error> {
        let call = Call { method, path };
        let body = serde_json::to_vec(body).map_err(|source| call.not_understood(source))?;
        let answered = async { decode(&call, self.exchange(&call, trace, Bytes::from(body)).await?).await };
        self.in_time(&call, deadline, answered).await
    }

    /// Sends an empty body and decodes the reply's.
    pub(crate) async fn fetch<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        trace: Option<&TraceId>,
    ) -> Result<T, Error> {
        let call = Call { method, path };
        let answered = async { decode(&call, self.exchange(&call, trace, Bytes::new()).await?).await };
        self.in_time(&call, Deadline::Read, answered).await
    }

    /// Sends an empty body for the sake of what it does.
    pub(crate) async fn discard(
        &self,
        method: Method,
        path: &str,
        trace: Option<&TraceId>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let call = Call { method, path };
        let answered = async { collect(&call, self.exchange(&call, trace, Bytes::new()).await?).await.map(drop) };
        self.in_time(&call, deadline, answered).await
    }

    /// Sends an empty body and hands over the reply's, which has no end.
    pub(crate) async fn open(&self, method: Method, path: &str, trace: Option<&TraceId>) -> Result<Incoming, Error> {
        let call = Call { method, path };
        let begun = async { Ok(self.exchange(&call, trace, Bytes::new()).await?.into_body()) };
        self.in_time(&call, Deadline::Read, begun).await
    }

    /// Gives a call up when its deadline has passed, and earlier when nobody answers at all. By then netd doesn't begin it any
    /// more: what is asked for next can't be overtaken by it.
    async fn in_time<T>(
        &self,
        call: &Call<'_>,
        deadline: Deadline,
        answered: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let given_up = tokio::time::timeout(deadline.after(), self.stands_still());
        match select(pin!(answered), pin!(given_up)).await {
            Either::Left((answer, _)) => answer,
            Either::Right((Ok(after), _)) => {
                Err(Error::StandsStill { path: self.socket.to_path_buf(), request: call.name(), after })
            }
            Either::Right((Err(_), _)) => Err(Error::TooSlow { request: call.name(), after: deadline.after() }),
        }
    }

    /// Comes when netd doesn't answer a handshake either, with how long it was waited for. That there is none any more is heard
    /// by the call itself.
    async fn stands_still(&self) -> Duration {
        let since = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(LOOKED_INTO_AFTER).await;
            let call = Call { method: Method::GET, path: HANDSHAKE };
            let answered = self.exchange(&call, None, Bytes::new());
            if tokio::time::timeout(BEGUN_WITHIN - LOOKED_INTO_AFTER, answered).await.is_err() {
                return since.elapsed();
            }
        }
    }

    async fn exchange(
        &self,
        call: &Call<'_>,
        trace: Option<&TraceId>,
        body: Bytes,
    ) -> Result<Response<Incoming>, Error> {
        let begin_by = (jiff::Timestamp::now() + BEGUN_WITHIN).to_string();
        let reply = loop {
            match self.http.request(self.request(call, trace, &begin_by, body.clone())).await {
                Ok(reply) => break reply,
                // A kept connection whose netd has ended: nothing of the request arrived, and the pool has one such
                // connection less. New connections fail in another way.
                Err(error) if !error.is_connect() && is_broken_pipe(&error) => {}
                Err(error) => return Err(self.broken(call, error)),
            }
        };
        if reply.status().is_success() {
            return Ok(reply);
        }
        let body = collect(call, reply).await?;
        let refusal: ErrorReply = serde_json::from_slice(&body).map_err(|source| call.not_understood(source))?;
        Err(Error::Refused { kind: refusal.kind, message: refusal.message })
    }

    fn request(&self, call: &Call<'_>, trace: Option<&TraceId>, begin_by: &str, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = hyperlocal::Uri::new(&self.socket, call.path).into();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.headers_mut().extend(HeaderValue::from_str(begin_by).ok().map(|by| (BEGIN_BY, by)));
        if let Some(trace) = trace {
            request.headers_mut().insert(TRACE_HEADER, trace.to_header());
        }
        request
    }

    fn broken(&self, call: &Call<'_>, error: legacy::Error) -> Error {
        if error.is_connect() {
            Error::Unreachable { path: self.socket.to_path_buf(), source: root_cause(error) }
        } else {
            call.interrupted(error)
        }
    }
}

/// What was asked, for errors to name.
struct Call<'a> {
    method: Method,
    path: &'a str,
}

impl Call<'_> {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn interrupted(&self, source: impl StdError + Send + Sync + 'static) -> Error {
        Error::Interrupted { request: self.name(), source: Box::new(source) }
    }

    fn not_understood(&self, source: impl StdError + Send + Sync + 'static) -> Error {
        Error::Protocol { request: self.name(), source: Box::new(source) }
    }
}

async fn collect(call: &Call<'_>, reply: Response<Incoming>) -> Result<Bytes, Error> {
    let body = reply.into_body().collect().await.map_err(|source| call.interrupted(source))?;
    Ok(body.to_bytes())
}

async fn decode<T: DeserializeOwned>(call: &Call<'_>, reply: Response<Incoming>) -> Result<T, Error> {
    let body = collect(call, reply).await?;
    serde_json::from_slice(&body).map_err(|source| call.not_understood(source))
}

/// The operating system's error at the end of hyper's chain: it tells an absent daemon from a closed door.
fn root_cause(error: legacy::Error) -> io::Error {
    os_error(&error).map_or_else(|| io::Error::other(error), io::Error::from_raw_os_error)
}

/// Writing to a Unix socket whose other end is closed fails before anything is written.
fn is_broken_pipe(error: &legacy::Error) -> bool {
    os_error(error).is_some_and(|errno| io::Error::from_raw_os_error(errno).kind() == io::ErrorKind::BrokenPipe)
}

fn os_error(error: &legacy::Error) -> Option<i32> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(errno) = current.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return Some(errno);
        }
        cause = current.source();
    }
    None
}
