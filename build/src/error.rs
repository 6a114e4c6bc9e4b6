//! Errors of a build.

use std::io;

use images::{ChangeError, ErrorKind, UnpackError, WordError};

use super::dockerfile::{DockerfileError, Location};

/// Why a build ends without an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The Dockerfile can't be understood: in words that tools look for.
    #[error("dockerfile parse error{}", on_line(.0))]
    Dockerfile(#[from] DockerfileError),
    /// The context has no file of this name.
    #[error("Cannot locate specified Dockerfile: {0}")]
    NoDockerfile(String),
    /// The context isn't a tar that can be unpacked.
    #[error("can't take in the build context")]
    Context(#[source] UnpackError),
    /// `.dockerignore` can't be understood.
    #[error(".dockerignore")]
    Ignore(#[source] dockerignore::PatternError),
    /// No stage of this name.
    #[error("failed to reach build target {0} in Dockerfile: there is no stage of this name or number")]
    NoTarget(String),
    /// A step failed.
    #[error("{place}: {instruction}")]
    Step {
        /// Where it stands.
        place: Location,
        /// As it is written.
        instruction: String,
        /// Why.
        #[source]
        source: Box<StepError>,
    },
    /// `SOURCE_DATE_EPOCH` isn't a time.
    #[error("SOURCE_DATE_EPOCH={0}: write a number of seconds since 1970")]
    SourceDateEpoch(String),
    /// The store, or a file of the context.
    #[error(transparent)]
    Store(#[from] images::Error),
    /// Nobody wants the image any more.
    #[error("the build was called off")]
    CalledOff,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// A variable or a quote.
    #[error(transparent)]
    Word(#[from] WordError),
    /// An instruction for the configuration.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// An instruction that an image brings by `ONBUILD`.
    #[error("a trigger of the image")]
    Trigger(#[source] DockerfileError),
    /// The command ended with another status than 0.
    #[error("The command '{command}' returned a non-zero code: {code}{}", last_output(.output))]
    Failed {
        /// What ran.
        command: String,
        /// Its exit status.
        code: u8,
        /// The last lines that it wrote.
        output: String,
    },
    /// The command couldn't be run.
    #[error("it can't be run")]
    Run(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An image isn't there and can't be had.
    #[error("can't get the image {0}")]
    Image(String, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The image is for another platform than asked for.
    #[error("image {image} is for {found}, not for {wanted}")]
    Platform {
        /// The image's name.
        image: String,
        /// What it is for.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// Something to copy isn't there.
    #[error("{0:?} isn't there: it isn't in {1}, or .dockerignore leaves it out")]
    NotThere(String, &'static str),
    /// A file of the context, a stage or an image.
    #[error("can't {doing}")]
    File {
        /// What was being tried, with the path.
        doing: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file can't be fetched.
    #[error("can't fetch {url}: {reason}")]
    Fetch {
        /// From where.
        url: String,
        /// Why not.
        reason: String,
    },
    /// An archive can't be unpacked.
    #[error("can't unpack {name}")]
    Archive {
        /// Which.
        name: String,
        /// Why not.
        #[source]
        source: UnpackError,
    },
    /// `--chown` names nobody.
    #[error(transparent)]
    Owner(#[from] users::Error),
    /// Arguments that can't be, once they are expanded.
    #[error("{0}")]
    Invalid(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] images::Error),
    /// Another stage failed, or nobody wants the image any more.
    #[error("the build was called off")]
    CalledOff,
}

fn last_output(output: &str) -> String {
    match output.trim_end() {
        "" => String::new(),
        output => format!("; it said last:\n{output}"),
    }
}

impl StepError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Run(_) | Self::File { .. } | Self::CalledOff => ErrorKind::Internal,
            _ => ErrorKind::InvalidParameter,
        }
    }

    pub(super) fn file(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::File { doing, source }
    }
}

fn on_line(error: &DockerfileError) -> String {
    match error.place.line {
        0 => String::new(),
        line => format!(" on line {line}"),
    }
}

impl Error {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Context(error) => error.kind(),
            Self::Step { source, .. } => source.kind(),
            Self::CalledOff => ErrorKind::Internal,
            _ => ErrorKind::InvalidParameter,
        }
    }

    /// The status that a step's command ended with, if that is why.
    pub fn exit_code(&self) -> Option<u8> {
        let Self::Step { source, .. } = self else { return None };
        match &**source {
            StepError::Failed { code, .. } => Some(*code),
            _ => None,
        }
    }
}
