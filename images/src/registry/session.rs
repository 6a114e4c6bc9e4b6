//! Requests to one registry host: TLS, authentication, and answers of bounded size that come in bounded time.
//!
//! The protocol's few requests are made here and not by a registry client's library: those that there are read documents
//! and refusals of any length into memory, which a daemon that runs as root can't do on a stranger's word.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use futures::{Stream, StreamExt as _};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Certificate, Client, Identity, Request, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::certificates::Certificates;
use super::endpoint::RegistryHost;
use super::{Credentials, RegistryError};
use crate::fetch::{CONNECT_TIMEOUT, silence};

/// Of a manifest, an index or a page of tags. Registries themselves take no larger manifests.
pub(super) const DOCUMENT_BYTES_MAX: usize = 4 << 20;
/// Of a refusal or a token.
pub(super) const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Who asks a registry, what for, and how long.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) credentials: Credentials,
    /// What a token must allow: `repository:library/busybox:pull`.
    pub(super) scopes: Vec<String>,
    /// Cancelled when nobody wants an answer any more.
    pub(super) called_off: CancellationToken,
}

/// One operation's conversation with one place.
pub(super) struct Session {
    pub(super) http: Client,
    place: RegistryHost,
    pub(super) access: Access,
    runtime: Handle,
    /// Without a byte for so long, a connection counts as cut.
    pub(super) patience: Duration,
    /// What was learnt from the last refusal, for all requests to come.
    authorization: Mutex<Option<HeaderValue>>,
    /// What a token server wants to hear from now on in place of a password.
    identity_token: Mutex<Option<String>>,
    certificates_dir: PathBuf,
}

impl Session {
    pub(super) fn new(
        place: RegistryHost,
        access: Access,
        certificates_dir: &Path,
        runtime: Handle,
        patience: Duration,
    ) -> Result<Self, RegistryError> {
        let failed = |source| RegistryError::Client { place: place.to_string(), source: Box::new(source) };
        let mut http = Client::builder()
            .user_agent(concat!("berth/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .danger_accept_invalid_certs(place.is_insecure);
        let certificates_dir = certificates_dir.join(&place.host);
        let Certificates { authorities, own } = Certificates::read(&certificates_dir)?;
        for authority in authorities {
            for certificate in Certificate::from_pem_bundle(&authority).map_err(failed)? {
                http = http.add_root_certificate(certificate);
            }
        }
        if let Some(own) = own {
            http = http.identity(Identity::from_pem(&own).map_err(failed)?);
        }
        let http = http.build().map_err(failed)?;
        let (authorization, identity_token) = (Mutex::default(), Mutex::default());
        Ok(Self { http, place, access, runtime, patience, authorization, identity_token, certificates_dir })
    }

    /// Waits for something that comes over the network, until it is called off. For threads that aren't the runtime's own.
    pub(super) fn wait<T>(&self, coming: impl Future<Output = Result<T, RegistryError>>) -> Result<T, RegistryError> {
        let coming = self.access.called_off.run_until_cancelled(coming);
        self.runtime.block_on(coming).unwrap_or(Err(RegistryError::CalledOff))
    }

    /// Sends a request, a second time with what the first refusal asks for.
    pub(super) async fn send(&self, make: impl Fn(&Client) -> RequestBuilder) -> Result<Response, RegistryError> {
        self.send_patiently(make, self.patience).await
    }

    /// The same, with another patience for the answer's beginning.
    pub(super) async fn send_patiently(
        &self,
        make: impl Fn(&Client) -> RequestBuilder,
        patience: Duration,
    ) -> Result<Response, RegistryError> {
        let response = self.send_once(make(&self.http), patience).await?;
        // A blob may be kept elsewhere: whoever that is, it gets to know nothing by asking who we are (CVE-2020-15157).
        if response.status() != StatusCode::UNAUTHORIZED || !self.is_here(response.url()) {
            return self.accepted(response).await;
        }
        // Tokens are short-lived: the one that we have may just have ended.
        let Some(authorization) = self.authorize(&response).await? else { return self.accepted(response).await };
        *self.authorization() = Some(authorization);
        let response = self.send_once(make(&self.http), patience).await?;
        self.accepted(response).await
    }

    async fn send_once(&self, request: RequestBuilder, patience: Duration) -> Result<Response, RegistryError> {
        let request = self.prepare(request)?;
        match timeout(patience, self.http.execute(request)).await {
            Ok(response) => response.map_err(|error| self.cut(error)),
            Err(_) => Err(self.silent(patience)),
        }
    }

    /// Has a request sent beside whatever makes its body. The answer may be a refusal.
    pub(super) fn execute(
        &self,
        request: RequestBuilder,
    ) -> Result<JoinHandle<reqwest::Result<Response>>, RegistryError> {
        let request = self.prepare(request)?;
        Ok(self.runtime.spawn(self.http.execute(request)))
    }

    /// Says in a request who we are known to be.
    fn prepare(&self, request: RequestBuilder) -> Result<Request, RegistryError> {
        let mut request = request.build().map_err(|error| self.cut(error))?;
        // An upload may be sent elsewhere, where our password is none of anybody's business.
        let is_here = self.is_here(request.url());
        if let Some(authorization) = self.authorization().clone().filter(|_| is_here) {
            request.headers_mut().insert(AUTHORIZATION, authorization);
        }
        Ok(request)
    }

    fn is_here(&self, url: &Url) -> bool {
        url.origin().ascii_serialization() == self.place.origin()
    }

    pub(super) async fn accepted(&self, response: Response) -> Result<Response, RegistryError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.read(response, ANSWER_BYTES_MAX).await.unwrap_or_default();
        Err(self.refused(status, &body))
    }

    /// What a token server has given out besides tokens, if it has.
    pub(super) fn identity_token(&self) -> Option<String> {
        self.identity_token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn keep_identity_token(&self, token: String) {
        *self.identity_token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
    }

    fn authorization(&self) -> MutexGuard<'_, Option<HeaderValue>> {
        self.authorization.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads an answer of at most so many bytes.
    pub(super) async fn read(&self, response: Response, bytes_max: usize) -> Result<BytesMut, RegistryError> {
        let mut body = BytesMut::new();
        let mut pieces = response.bytes_stream();
        while let Some(piece) = self.next(&mut pieces).await? {
            let piece = piece.map_err(|error| self.cut(error))?;
            if body.len() + piece.len() > bytes_max {
                return Err(self.wrong(&format!("more than {bytes_max} bytes where a short answer is expected")));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// The next piece of an answer.
    pub(super) async fn next<S: Stream + Unpin>(&self, pieces: &mut S) -> Result<Option<S::Item>, RegistryError> {
        timeout(self.patience, pieces.next()).await.map_err(|_| self.silent(self.patience))
    }

    pub(super) fn refused(&self, status: StatusCode, body: &[u8]) -> RegistryError {
        #[derive(Deserialize)]
        struct Refusal {
            errors: Vec<Reason>,
        }
        #[derive(Deserialize)]
        struct Reason {
            code: String,
            #[serde(default)]
            message: String,
        }
        let message = match serde_json::from_slice::<Refusal>(body) {
            Ok(Refusal { errors }) if !errors.is_empty() => {
                let words =
                    |Reason { code, message }: &Reason| format!("{}: {message}", code.to_lowercase().replace('_', " "));
                errors.iter().map(words).collect::<Vec<_>>().join("; ")
            }
            _ => match (String::from_utf8_lossy(body).trim(), status) {
                // The answer to HEAD has no words.
                ("", StatusCode::UNAUTHORIZED) => "unauthorized: authentication required".to_owned(),
                ("", StatusCode::FORBIDDEN) => "denied: requested access to the resource is denied".to_owned(),
                ("", _) => format!("status {}", status.as_u16()),
                (text, _) => format!("status {}: {text}", status.as_u16()),
            },
        };
        let message = reason::printable(&message);
        RegistryError::Refused { place: self.place.to_string(), status: status.as_u16(), message }
    }

    pub(super) fn cut(&self, error: reqwest::Error) -> RegistryError {
        use std::error::Error as _;
        let place = self.place.to_string();
        if error.is_redirect() {
            // It was there, and led nowhere, as it will again.
            let why = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            return RegistryError::Protocol { place, message: format!("{error}{why}") };
        }
        if error.is_connect() && is_about_a_certificate(&error) {
            let authority = self.certificates_dir.join("ca.crt");
            return RegistryError::Untrusted { place, authority, source: reason::last_cause(&error).into() };
        }
        let passing = !error.is_connect() && !error.is_builder();
        RegistryError::Connection { place, passing, source: reason::last_cause(&error).into() }
    }

    pub(super) fn silent(&self, patience: Duration) -> RegistryError {
        self.broken(io::ErrorKind::TimedOut, &silence(patience))
    }

    /// A connection that didn't come to its end.
    pub(super) fn broken(&self, kind: io::ErrorKind, message: &str) -> RegistryError {
        let source = Box::new(io::Error::new(kind, message));
        RegistryError::Connection { place: self.place.to_string(), passing: true, source }
    }

    pub(super) fn wrong(&self, message: &str) -> RegistryError {
        RegistryError::Protocol { place: self.place.to_string(), message: message.to_owned() }
    }

    pub(super) fn place(&self) -> &RegistryHost {
        &self.place
    }
}

fn is_about_a_certificate(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return true;
        }
        // An I/O error's source is its content's source, not its content.
        cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(content) => Some(content),
            None => error.source(),
        };
    }
    false
}
