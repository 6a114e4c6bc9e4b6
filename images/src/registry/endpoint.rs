//! One registry host that answers for a repository, and how it is asked.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use bytes::Bytes;
use futures::StreamExt as _;
use reqwest::header::{ACCEPT, CONTENT_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use serde::Deserialize;

use super::RegistryError;
use super::session::{DOCUMENT_BYTES_MAX, Session};
use crate::digest::Digest;

const TRIES: usize = 5;
const TAGS_A_PAGE: usize = 1000;
/// More than anybody could pull: a registry that always has another page would fill the memory.
const TAGS_MAX: usize = 100_000;

/// Documents that describe images, in the order of preference.
const MANIFESTS: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scheme {
    Http,
    Https,
}

/// Where a registry or a mirror is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RegistryHost {
    pub(super) scheme: Scheme,
    /// `host[:port]`
    pub(super) host: String,
    /// Nobody need vouch for its certificate.
    pub(super) is_insecure: bool,
    pub(super) is_mirror: bool,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)
    }
}

impl RegistryHost {
    /// As browsers compare them: without the port if it is the scheme's own.
    pub(super) fn origin(&self) -> String {
        let url = reqwest::Url::parse(&self.to_string());
        url.map_or_else(|_| self.to_string(), |url| url.origin().ascii_serialization())
    }
}

/// A manifest or an index as it was sent.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) bytes: Bytes,
    pub(super) digest: Digest,
}

/// The bytes of a blob as they arrive.
pub(super) type Pieces = futures::stream::BoxStream<'static, reqwest::Result<Bytes>>;

/// A repository at one place.
pub(crate) struct Endpoint {
    session: Session,
    /// Where requests about the repository go: `https://registry-1.docker.io/v2/library/busybox`.
    url: String,
}

impl Endpoint {
    /// A repository with a path such as `library/busybox`.
    pub(super) fn new(session: Session, path: &str) -> Self {
        let url = format!("{}/v2/{path}", session.place());
        Self { session, url }
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Waits before the next try.
    pub(crate) fn pause(&self, delay: Duration) -> Result<(), RegistryError> {
        self.session.wait(async {
            tokio::time::sleep(delay).await;
            Ok(())
        })
    }

    /// Whether somebody is there and lets us in.
    pub(super) fn greet(&self) -> Result<(), RegistryError> {
        let url = format!("{}/v2/", self.place());
        self.persistently(|| self.session.send(|http| http.get(&url))).map(drop)
    }

    pub(super) fn place(&self) -> &RegistryHost {
        self.session.place()
    }

    /// The manifest or index of a tag.
    pub(super) fn manifest_of_tag(&self, tag: &str) -> Result<Document, RegistryError> {
        let bytes = self.document(&format!("manifests/{tag}"), &MANIFESTS)?;
        Ok(Document { digest: Digest::of(&bytes), bytes })
    }

    /// The manifest or index with a digest.
    pub(super) fn manifest_of_digest(&self, digest: Digest) -> Result<Document, RegistryError> {
        let bytes = self.document(&format!("manifests/{digest}"), &MANIFESTS)?;
        let found = Digest::of(&bytes);
        match found == digest {
            true => Ok(Document { digest, bytes }),
            false => Err(RegistryError::WrongDigest { expected: digest, found }),
        }
    }

    fn document(&self, path: &str, types: &[&str]) -> Result<Bytes, RegistryError> {
        let accept = types.join(", ");
        let ask = || async {
            let request = |http: &reqwest::Client| http.get(format!("{}/{path}", self.url)).header(ACCEPT, &accept);
            let response = self.session.send(request).await?;
            self.session.read(response, DOCUMENT_BYTES_MAX).await
        };
        Ok(self.persistently(ask)?.freeze())
    }

    /// The answer to something that is asked until there is one, or it is clear that there won't be.
    pub(super) fn persistently<T, F>(&self, ask: impl FnMut() -> F) -> Result<T, RegistryError>
    where
        F: Future<Output = Result<T, RegistryError>>,
    {
        self.session.wait(async { ask.retry(delays()).when(RegistryError::is_passing).await })
    }

    /// Every tag of the repository.
    pub(super) fn tags(&self) -> Result<Vec<String>, RegistryError> {
        #[derive(Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let mut tags: Vec<String> = Vec::new();
        loop {
            let after = tags.last().map(|tag| format!("&last={tag}")).unwrap_or_default();
            let page = self.document(&format!("tags/list?n={TAGS_A_PAGE}{after}"), &["application/json"])?;
            let page: Page = serde_json::from_slice(&page)
                .map_err(|_| self.session.wrong("a list of tags that can't be understood"))?;
            let page = page.tags.unwrap_or_default();
            // Some registries answer with the same page again.
            let is_last = page.len() < TAGS_A_PAGE || page.last() == tags.last();
            tags.extend(page);
            if tags.len() > TAGS_MAX {
                return Err(self.session.wrong(&format!("more than {TAGS_MAX} tags of one repository")));
            }
            if is_last {
                return Ok(tags);
            }
        }
    }

    /// A blob's bytes from `offset` on.
    pub(super) fn open_blob(&self, digest: Digest, offset: u64) -> Result<Pieces, RegistryError> {
        let whole = |http: &reqwest::Client| http.get(format!("{}/blobs/{digest}", self.url)).header(ACCEPT, "*/*");
        if offset == 0 {
            return Ok(self.session.wait(self.session.send(whole))?.bytes_stream().boxed());
        }
        let rest = |http: &reqwest::Client| whole(http).header(RANGE, format!("bytes={offset}-"));
        let mut response = self.session.wait(self.session.send(rest))?;
        if response.status() == StatusCode::PARTIAL_CONTENT {
            if first_byte(&response) == Some(offset) {
                return Ok(response.bytes_stream().boxed());
            }
            // It has ranges of its own choice: only the whole is sure to be what it says.
            response = self.session.wait(self.session.send(whole))?;
        }
        Ok(skip(response.bytes_stream().boxed(), offset))
    }
}

/// How long to wait between tries: 0.25 s, 0.5 s, … with some chance in it, so that many clients don't come at once.
pub(crate) fn delays() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(8))
        .with_max_times(TRIES - 1)
        .with_jitter()
}

/// Where a part of a blob begins, as its `Content-Range: bytes 25-999/1000` says.
fn first_byte(response: &Response) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (first, _) = range.trim().strip_prefix("bytes")?.split_once('-')?;
    first.trim().parse().ok()
}

fn skip(stream: Pieces, mut bytes: u64) -> Pieces {
    let rest = stream.map(move |piece| {
        let mut piece = piece?;
        let skipped = piece.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
        bytes -= skipped as u64;
        Ok(piece.split_off(skipped))
    });
    rest.boxed()
}
