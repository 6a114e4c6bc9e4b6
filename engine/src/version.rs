//! The versions of the Docker Engine API: which are understood, how a path names one, and what a client is told of it.

use std::fmt;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::{Error, Result};

/// berth's release, as clients see it.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// A version of the Docker Engine API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    /// Always 1 so far.
    pub major: u16,
    /// 24 to 52.
    pub minor: u16,
}

impl ApiVersion {
    /// The oldest that is understood.
    pub const MIN: Self = Self::new(1, 24);
    /// The newest that is understood, and what a path without a version means.
    pub const MAX: Self = Self::new(1, 52);

    /// Version `major.minor`.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Refuses a version that isn't understood, in Docker's words.
    fn supported(self) -> Result<Self> {
        if self < Self::MIN {
            return Err(Error::invalid(format!(
                "client version {self} is too old. Minimum supported API version is {}, please upgrade your client to a newer version",
                Self::MIN
            )));
        }
        if self > Self::MAX {
            return Err(Error::invalid(format!(
                "client version {self} is too new. Maximum supported API version is {}",
                Self::MAX
            )));
        }
        Ok(self)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What isn't `DIGITS.DIGITS`.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAVersion;

impl FromStr for ApiVersion {
    type Err = NotAVersion;

    fn from_str(text: &str) -> std::result::Result<Self, NotAVersion> {
        let number = |digits: &str| match digits {
            "" => Err(NotAVersion),
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().map_err(|_| NotAVersion),
            _ => Err(NotAVersion),
        };
        let (major, minor) = text.split_once('.').ok_or(NotAVersion)?;
        Ok(Self::new(number(major)?, number(minor)?))
    }
}

/// Splits `/v1.47/containers/json` into its version and `/containers/json`; a path without a version has none.
fn split_path(path: &str) -> (Option<ApiVersion>, &str) {
    let versioned = path.strip_prefix("/v").and_then(|rest| {
        let end = rest.find('/').unwrap_or(rest.len());
        Some((rest[..end].parse().ok()?, &rest[end..]))
    });
    match versioned {
        Some((version, "")) => (Some(version), "/"),
        Some((version, rest)) => (Some(version), rest),
        None => (None, path),
    }
}

/// Middleware around the whole router: takes the version off the path, hands it on, and names ours in every reply.
pub(crate) async fn negotiate(mut request: Request, next: Next) -> Response {
    let mut response = match strip_version(&mut request) {
        Ok(version) => {
            request.extensions_mut().insert(version);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert("Api-Version", HeaderValue::from_static("1.52"));
    headers.insert("Docker-Experimental", HeaderValue::from_static("false"));
    headers.insert("Ostype", HeaderValue::from_static("linux"));
    headers.insert("Server", HeaderValue::from_static(concat!("berth/", env!("CARGO_PKG_VERSION"), " (linux)")));
    response
}

fn strip_version(request: &mut Request) -> Result<ApiVersion> {
    let (version, path) = split_path(request.uri().path());
    let Some(version) = version else { return Ok(ApiVersion::MAX) };
    let version = version.supported()?;
    let path_and_query = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query =
        Some(path_and_query.parse().map_err(|_| Error::invalid(format!("invalid request path {path:?}")))?);
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Error::invalid("invalid request path"))?;
    Ok(version)
}

impl<S: Sync> FromRequestParts<S> for ApiVersion {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> std::result::Result<Self, Self::Rejection> {
        Ok(parts.extensions.get().copied().unwrap_or(Self::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let check = |path: &str, version: Option<(u16, u16)>, rest: &str| {
            assert_eq!(split_path(path), (version.map(|(a, b)| ApiVersion::new(a, b)), rest), "{path}");
        };
        check("/v1.47/containers/json", Some((1, 47)), "/containers/json");
        check("/v1.24/_ping", Some((1, 24)), "/_ping");
        check("/v1.24", Some((1, 24)), "/");
        check("/_ping", None, "/_ping");
        check("/volumes", None, "/volumes");
        check("/v1/containers/json", None, "/v1/containers/json");
        check("/v1.x/containers/json", None, "/v1.x/containers/json");
        check("/v+1.24/x", None, "/v+1.24/x");
        check("/v99999999.1/x", None, "/v99999999.1/x");
    }

    #[test]
    fn range() {
        let message = |minor| ApiVersion::new(1, minor).supported().map_err(|e| e.message());
        assert!(message(24).is_ok() && message(52).is_ok());
        assert_eq!(
            message(23).unwrap_err(),
            "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"
        );
        assert_eq!(message(53).unwrap_err(), "client version 1.53 is too new. Maximum supported API version is 1.52");
    }

    #[test]
    fn the_header_names_the_newest() {
        assert_eq!(ApiVersion::MAX.to_string(), "1.52");
    }
}
