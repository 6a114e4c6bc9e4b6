//! Errors of registries.

use std::io;
use std::path::PathBuf;

use crate::digest::{Digest, DigestError};
use crate::error::ErrorKind;
use crate::platform::Platform;

/// Why an image can't be had from a registry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// There is no such image, or nobody is told that there is.
    #[error("manifest for {reference} not found: manifest unknown: manifest unknown")]
    NotFound {
        /// The image as people write it.
        reference: String,
    },
    /// Only some may have it.
    #[error(
        "pull access denied for {repository}, repository does not exist or may require 'docker login': \
         denied: requested access to the resource is denied"
    )]
    Denied {
        /// The repository as people write it.
        repository: String,
    },
    /// It wants a password, and there is none. In Docker's words.
    #[error("no basic auth credentials")]
    NoCredentials,
    /// It doesn't know whoever logs in. In Docker's words.
    #[error("Get {url:?}: unauthorized: incorrect username or password")]
    LoginRefused {
        /// Where it was asked.
        url: String,
    },
    /// Nobody who is trusted here vouches for it.
    #[error(
        "{place} has a certificate that can't be trusted: put its authority's into {}, or make it an insecure registry",
        authority.display()
    )]
    Untrusted {
        /// Which registry.
        place: String,
        /// Where its authority's certificate would be found.
        authority: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A push isn't allowed. In the registry's words, as Docker says it.
    #[error("{message}")]
    PushDenied {
        /// What it says.
        message: String,
    },
    /// The registry says no.
    #[error("{place} refuses: {message}")]
    Refused {
        /// Which registry.
        place: String,
        /// The HTTP status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// It can't be reached, or the connection was cut.
    #[error("can't talk to {place}")]
    Connection {
        /// Which registry.
        place: String,
        /// Whether it may pass: nobody being there won't, for this pull.
        passing: bool,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It says what no registry should.
    #[error("{place} doesn't answer as a registry should: {message}")]
    Protocol {
        /// Which registry.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// Its client can't be made: a certificate, mostly.
    #[error("can't prepare to talk to {place}")]
    Client {
        /// Which registry.
        place: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Certificates of one's own.
    #[error("can't read {}", path.display())]
    Certificates {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Half of what we would show of ourselves.
    #[error(
        "{} is there without {}: a client's certificate (NAME.cert) and its key (NAME.key) go together, \
         an authority's certificate ends in .crt", path.display(), partner.display()
    )]
    LonelyCertificate {
        /// The one.
        path: PathBuf,
        /// The other.
        partner: PathBuf,
    },
    /// Content isn't what its digest promises.
    #[error("wrong digest: what came is {found}, expected {expected}")]
    WrongDigest {
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// A blob has another length than its descriptor promises.
    #[error("blob {blob} has more than the {expected_bytes} bytes that its manifest names")]
    TooLong {
        /// The blob.
        blob: Digest,
        /// What was promised.
        expected_bytes: u64,
    },
    /// A digest that isn't one.
    #[error("invalid manifest")]
    Digest(#[from] DigestError),
    /// A document isn't what it should be.
    #[error("the {what} of {reference} can't be understood")]
    Document {
        /// Which of its documents.
        what: &'static str,
        /// The image.
        reference: String,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// A document of a kind that berth has no use for.
    #[error("{reference} is {kind}, which can't be run: only images can be pulled")]
    Kind {
        /// The image.
        reference: String,
        /// What it is instead.
        kind: String,
    },
    /// An index within an index within an index …
    #[error("the indexes of {reference} are nested too deeply")]
    TooDeep {
        /// The image.
        reference: String,
    },
    /// The documents contradict each other.
    #[error("invalid image {reference}: it has {layers} layers, its configuration names {diff_ids}")]
    LayerCount {
        /// The image.
        reference: String,
        /// Layers in the manifest.
        layers: usize,
        /// Layers in the configuration.
        diff_ids: usize,
    },
    /// Whoever asked doesn't want to know any more.
    #[error("it was called off")]
    CalledOff,
    /// No image for the machine.
    #[error("no matching manifest for {wanted} in the manifest list entries: {reference} is for {offered}")]
    NoPlatform {
        /// The image.
        reference: String,
        /// What was looked for.
        wanted: Platform,
        /// What there is.
        offered: String,
    },
}

impl RegistryError {
    /// Whether the next try may end otherwise.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Connection { passing, .. } => *passing,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }

    /// Whether another place may have what this one hasn't.
    pub(super) fn is_of_this_place(&self) -> bool {
        matches!(
            self,
            Self::Connection { .. }
                | Self::Refused { .. }
                | Self::NoCredentials
                | Self::LoginRefused { .. }
                | Self::Untrusted { .. }
                | Self::Protocol { .. }
                | Self::Client { .. }
        )
    }

    /// Whether this is the one to tell of two places: a registry that says no has said more than one that falls silent, and
    /// that more than one that isn't there.
    pub(super) fn says_more_than(&self, before: &Self) -> bool {
        match self {
            Self::Connection { passing, .. } => *passing && matches!(before, Self::Connection { passing: false, .. }),
            _ => true,
        }
    }

    /// Whether the place is there and has said something.
    pub(super) fn is_an_answer(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::NoCredentials | Self::LoginRefused { .. })
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } | Self::Denied { .. } | Self::NoPlatform { .. } => ErrorKind::NotFound,
            _ => ErrorKind::Internal,
        }
    }
}
