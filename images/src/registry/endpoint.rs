//! One place that answers for a repository, and how it is asked.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use backon::{BlockingRetryable as _, ExponentialBuilder};
use bytes::Bytes;
use futures::StreamExt as _;
use oci_client::client::{BlobResponse, Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use tokio::runtime::Handle;

use super::{Credentials, RegistryError};
use crate::digest::Digest;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Without a byte for so long, a connection counts as cut.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const TRIES: usize = 5;
const TAGS_A_PAGE: usize = 1000;

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
pub(super) struct Place {
    pub(super) scheme: Scheme,
    /// `host[:port]`
    pub(super) host: String,
    /// Nobody need vouch for its certificate.
    pub(super) is_insecure: bool,
    pub(super) is_mirror: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.host)
    }
}

/// A client for one place.
pub(super) fn client(place: &Place, certificates_dir: &Path) -> Result<Client, RegistryError> {
    let protocol = match place.scheme {
        Scheme::Http => ClientProtocol::Http,
        Scheme::Https => ClientProtocol::Https,
    };
    let proxy = |names: [&str; 2]| names.iter().find_map(|name| std::env::var(name).ok());
    let config = ClientConfig {
        protocol,
        accept_invalid_certificates: place.is_insecure,
        extra_root_certificates: certificates(&certificates_dir.join(&place.host))?,
        platform_resolver: None,
        read_timeout: Some(READ_TIMEOUT),
        connect_timeout: Some(CONNECT_TIMEOUT),
        user_agent: concat!("berth/", env!("CARGO_PKG_VERSION")),
        https_proxy: proxy(["HTTPS_PROXY", "https_proxy"]),
        http_proxy: proxy(["HTTP_PROXY", "http_proxy"]),
        no_proxy: proxy(["NO_PROXY", "no_proxy"]),
        ..ClientConfig::default()
    };
    Client::try_from(config)
        .map_err(|source| RegistryError::Client { place: place.to_string(), source: Box::new(source) })
}

/// The certificates in a directory; none when it isn't there.
fn certificates(dir: &Path) -> Result<Vec<Certificate>, RegistryError> {
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
            let data = fs::read(&path).map_err(failed(&path))?;
            certificates.push(Certificate { encoding: CertificateEncoding::Pem, data });
        }
    }
    Ok(certificates)
}

/// A manifest or an index as it was sent.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) bytes: Bytes,
    pub(super) digest: Digest,
}

/// The bytes of a blob as they arrive.
pub(super) type Pieces = futures::stream::BoxStream<'static, io::Result<Bytes>>;

/// A repository at one place.
pub(super) struct Endpoint {
    pub(super) client: Result<Client, Arc<RegistryError>>,
    pub(super) credentials: Credentials,
    /// `library/busybox`
    pub(super) path: String,
    pub(super) runtime: Handle,
    pub(super) place: Place,
}

impl Endpoint {
    /// The manifest or index of a tag.
    pub(super) fn manifest_of_tag(&self, tag: &str) -> Result<Document, RegistryError> {
        self.manifest(&Reference::with_tag(self.place.host.clone(), self.path.clone(), tag.to_owned()))
    }

    /// The manifest or index with a digest.
    pub(super) fn manifest_of_digest(&self, digest: Digest) -> Result<Document, RegistryError> {
        let document = self.manifest(&self.by_digest(digest))?;
        match document.digest == digest {
            true => Ok(document),
            false => Err(RegistryError::WrongDigest { expected: digest, found: document.digest }),
        }
    }

    fn manifest(&self, reference: &Reference) -> Result<Document, RegistryError> {
        let (client, auth) = (self.client()?, self.auth());
        let ask = || {
            let answer = self.runtime.block_on(client.pull_manifest_raw(reference, &auth, &MANIFESTS));
            answer.map_err(|error| self.explain(error))
        };
        let (bytes, _) = ask.retry(delays()).when(RegistryError::is_passing).call()?;
        Ok(Document { digest: Digest::of(&bytes), bytes })
    }

    /// Every tag of the repository.
    pub(super) fn tags(&self) -> Result<Vec<String>, RegistryError> {
        let (client, auth) = (self.client()?, self.auth());
        let reference = Reference::with_tag(self.place.host.clone(), self.path.clone(), String::new());
        let mut tags: Vec<String> = Vec::new();
        loop {
            let last = tags.last().map(String::as_str);
            let ask = || {
                let page = self.runtime.block_on(client.list_tags(&reference, &auth, Some(TAGS_A_PAGE), last));
                page.map_err(|error| self.explain(error))
            };
            let page = ask.retry(delays()).when(RegistryError::is_passing).call()?.tags;
            // Some registries answer with the same page again.
            if page.last().is_none_or(|newest| tags.last() == Some(newest)) {
                return Ok(tags);
            }
            let is_last = page.len() < TAGS_A_PAGE;
            tags.extend(page);
            if is_last {
                return Ok(tags);
            }
        }
    }

    /// A blob's bytes from `offset` on.
    pub(super) fn open_blob(&self, digest: Digest, offset: u64) -> Result<Pieces, RegistryError> {
        let (client, reference, digest) = (self.client()?, self.by_digest(digest), digest.to_string());
        let open = async {
            client.store_auth_if_needed(reference.resolve_registry(), &self.auth()).await;
            client.pull_blob_stream_partial(&reference, digest.as_str(), offset, None).await
        };
        let response = self.runtime.block_on(open).map_err(|error| self.explain(error))?;
        Ok(match response {
            BlobResponse::Partial(stream) => stream.stream,
            // It knows no ranges.
            BlobResponse::Full(stream) => skip(stream.stream, offset),
        })
    }

    fn by_digest(&self, digest: Digest) -> Reference {
        Reference::with_digest(self.place.host.clone(), self.path.clone(), digest.to_string())
    }

    fn client(&self) -> Result<&Client, RegistryError> {
        self.client.as_ref().map_err(|error| RegistryError::Shared(error.clone()))
    }

    fn auth(&self) -> RegistryAuth {
        match &self.credentials {
            Credentials::Anonymous => RegistryAuth::Anonymous,
            Credentials::Password { username, password } => RegistryAuth::Basic(username.clone(), password.clone()),
            Credentials::Token(token) => RegistryAuth::Bearer(token.clone()),
        }
    }

    fn explain(&self, error: oci_client::errors::OciDistributionError) -> RegistryError {
        RegistryError::from_client(&self.place.to_string(), error)
    }
}

/// How long to wait between tries: 0.25 s, 0.5 s, … with some chance in it, so that many clients don't come at once.
pub(super) fn delays() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(8))
        .with_max_times(TRIES - 1)
        .with_jitter()
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
