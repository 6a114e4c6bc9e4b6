//! Requests to one place: TLS, who one is there, and answers of bounded size.
//!
//! The protocol's few requests are made here and not by a registry client's library: those that there are read documents
//! and refusals of any length into memory, which a daemon that runs as root can't do on a stranger's word.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use futures::StreamExt as _;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, RANGE, WWW_AUTHENTICATE};
use reqwest::{Certificate, Client, Response, StatusCode};
use serde::Deserialize;

use super::endpoint::Place;
use super::{Credentials, RegistryError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Without a byte for so long, a connection counts as cut.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Of a manifest, an index or a page of tags. Registries themselves take no larger manifests.
pub(super) const DOCUMENT_BYTES_MAX: usize = 4 << 20;
/// Of a refusal or a token.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// One pull's conversation with one place about one repository.
pub(super) struct Session {
    http: Client,
    place: Place,
    /// `library/busybox`
    path: String,
    credentials: Credentials,
    /// What was learnt from the last refusal, for all requests to come.
    authorization: Mutex<Option<HeaderValue>>,
}

impl Session {
    pub(super) fn new(
        place: Place,
        path: String,
        credentials: Credentials,
        certificates_dir: &Path,
    ) -> Result<Self, RegistryError> {
        let failed = |source| RegistryError::Client { place: place.to_string(), source: Box::new(source) };
        let mut http = Client::builder()
            .user_agent(concat!("berth/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .danger_accept_invalid_certs(place.is_insecure);
        for certificate in certificates(&certificates_dir.join(&place.host))? {
            for certificate in Certificate::from_pem_bundle(&certificate).map_err(failed)? {
                http = http.add_root_certificate(certificate);
            }
        }
        let http = http.build().map_err(failed)?;
        Ok(Self { http, place, path, credentials, authorization: Mutex::default() })
    }

    /// Gets what the repository has at `path`, from a byte on.
    pub(super) async fn get(&self, path: &str, accept: &str, from_byte: u64) -> Result<Response, RegistryError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(accept).map_err(|_| self.wrong("a header that can't be sent"))?);
        if from_byte > 0 {
            let range = format!("bytes={from_byte}-").parse();
            headers.insert(RANGE, range.map_err(|_| self.wrong("a range that can't be asked for"))?);
        }
        let response = self.send(path, headers.clone()).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return self.accepted(response).await;
        }
        // Tokens are short-lived: the one that we have may just have ended.
        let Some(authorization) = self.authorize(&response).await? else { return self.accepted(response).await };
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(authorization);
        let response = self.send(path, headers).await?;
        self.accepted(response).await
    }

    async fn send(&self, path: &str, headers: HeaderMap) -> Result<Response, RegistryError> {
        let authorization = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut request = self.http.get(format!("{}/v2/{}/{path}", self.place, self.path)).headers(headers);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.send().await.map_err(|error| self.cut(error))
    }

    async fn accepted(&self, response: Response) -> Result<Response, RegistryError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.read(response, ANSWER_BYTES_MAX).await.unwrap_or_default();
        Err(self.refused(status, &body))
    }

    /// What to say who one is with, by what the refusal asks for; nothing if there is nothing to say.
    async fn authorize(&self, refusal: &Response) -> Result<Option<HeaderValue>, RegistryError> {
        let asked = refusal.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        for header in asked {
            let Ok(challenges) = http_auth::parse_challenges(header) else { continue };
            for challenge in challenges {
                let parameter = |name: &str| {
                    let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.to_unescaped())
                };
                if challenge.scheme.eq_ignore_ascii_case("bearer")
                    && let Some(realm) = parameter("realm")
                {
                    let token = self.token(&realm, parameter("service")).await?;
                    return self.secret(format!("Bearer {token}")).map(Some);
                }
                if challenge.scheme.eq_ignore_ascii_case("basic") {
                    return self.basic();
                }
            }
        }
        Ok(None)
    }

    fn basic(&self) -> Result<Option<HeaderValue>, RegistryError> {
        use base64::Engine as _;
        let Credentials::Password { username, password } = &self.credentials else { return Ok(None) };
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
        self.secret(format!("Basic {pair}")).map(Some)
    }

    fn secret(&self, text: String) -> Result<HeaderValue, RegistryError> {
        let mut value = HeaderValue::try_from(text).map_err(|_| self.wrong("a token that can't be sent"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Gets a token for pulling from the repository (Docker Registry v2 authentication via central service).
    async fn token(&self, realm: &str, service: Option<String>) -> Result<String, RegistryError> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Answer {
            token: String,
            access_token: String,
        }
        let scope = format!("repository:{}:pull", self.path);
        let mut request = match &self.credentials {
            Credentials::Token(token) => return Ok(token.clone()),
            // OAuth2, which is what such tokens are for.
            Credentials::IdentityToken(token) => {
                let service = service.as_deref().unwrap_or_default();
                let form = form_urlencoded::Serializer::new(String::new())
                    .extend_pairs([("grant_type", "refresh_token"), ("refresh_token", token), ("service", service)])
                    .extend_pairs([("scope", scope.as_str()), ("client_id", "berth")])
                    .finish();
                let form_type = "application/x-www-form-urlencoded";
                self.http.post(realm).header(reqwest::header::CONTENT_TYPE, form_type).body(form)
            }
            Credentials::Anonymous | Credentials::Password { .. } => {
                let mut query = form_urlencoded::Serializer::new(String::new());
                query.append_pair("scope", &scope);
                if let Some(service) = &service {
                    query.append_pair("service", service);
                }
                let separator = if realm.contains('?') { '&' } else { '?' };
                self.http.get(format!("{realm}{separator}{}", query.finish()))
            }
        };
        if let Some(basic) = self.basic()? {
            request = request.header(AUTHORIZATION, basic);
        }
        let response = request.send().await.map_err(|error| self.cut(error))?;
        let status = response.status();
        let body = self.read(response, ANSWER_BYTES_MAX).await?;
        if !status.is_success() {
            return Err(self.refused(status, &body));
        }
        let answer: Answer =
            serde_json::from_slice(&body).map_err(|_| self.wrong("a token that can't be understood"))?;
        let token = if answer.token.is_empty() { answer.access_token } else { answer.token };
        if token.is_empty() { Err(self.wrong("no token")) } else { Ok(token) }
    }

    /// Reads an answer of at most so many bytes.
    pub(super) async fn read(&self, response: Response, bytes_max: usize) -> Result<BytesMut, RegistryError> {
        let mut body = BytesMut::new();
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| self.cut(error))?;
            if body.len() + piece.len() > bytes_max {
                return Err(self.wrong(&format!("more than {bytes_max} bytes where a short answer is expected")));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> RegistryError {
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
            _ => match String::from_utf8_lossy(body).trim() {
                "" => format!("status {}", status.as_u16()),
                text => format!("status {}: {}", status.as_u16(), text.chars().take(200).collect::<String>()),
            },
        };
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
        let passing = !error.is_connect() && !error.is_builder();
        RegistryError::Connection { place, passing, source: Box::new(error) }
    }

    pub(super) fn wrong(&self, message: &str) -> RegistryError {
        RegistryError::Protocol { place: self.place.to_string(), message: message.to_owned() }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }
}

/// The certificates in a directory; none when it isn't there.
fn certificates(dir: &Path) -> Result<Vec<Vec<u8>>, RegistryError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| RegistryError::Certificates { path, source }
    };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(dir)(error)),
    };
    let mut certificates = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed(dir))?.path();
        if path.extension().is_some_and(|extension| extension == "crt") {
            certificates.push(fs::read(&path).map_err(failed(&path))?);
        }
    }
    Ok(certificates)
}
