//! Errors of the store, and their kinds.

use std::io;
use std::path::PathBuf;

use crate::archive::ArchiveError;
use crate::change::ChangeError;
use crate::digest::{DiffId, ImageId};
use crate::fetch::FetchError;
use crate::files::{ExtractError, PackError, ReadError};
use crate::reference::ReferenceError;
use crate::registry::RegistryError;
use crate::unpack::UnpackError;

/// What an operation on the store failed at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No image has this name or id. Holds the name as Docker shows it: short, with its tag.
    #[error("No such image: {0}")]
    NoSuchImage(String),
    /// Several images' ids begin so.
    #[error("image id prefix {0:?} matches more than one image: give more digits")]
    AmbiguousId(String),
    /// A name isn't a reference.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// An instruction for an image's configuration.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// A tag was asked for with a digest in its name.
    #[error("refusing to create a tag with a digest reference: {0}")]
    TagWithDigest(String),
    /// An image can't be deleted as things are.
    #[error("conflict: unable to delete {} ({}) - {obstacle}", image.short(), obstacle.remedy())]
    Delete {
        /// Which.
        image: ImageId,
        /// Why not.
        obstacle: DeleteObstacle,
    },
    /// The last name of an image in use can't be taken away.
    #[error(
        "conflict: unable to remove repository reference {reference:?} (must force) - \
         container {container} is using its referenced image {}", image.short()
    )]
    Untag {
        /// The name as it was given.
        reference: String,
        /// The container's short id.
        container: String,
        /// The image.
        image: ImageId,
    },
    /// The archive can't be loaded.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A layer of the archive can't be unpacked.
    #[error("can't unpack layer {layer}")]
    Layer {
        /// Which.
        layer: DiffId,
        /// Why.
        #[source]
        source: UnpackError,
    },
    /// The registry hasn't got it, or can't be talked to.
    #[error(transparent)]
    Registry(RegistryError),
    /// No image has the name that is to be pushed.
    #[error("tag does not exist: {0}")]
    TagMissing(String),
    /// All tags of a repository are to be pushed, and there are none.
    #[error("An image does not exist locally with the tag: {0}")]
    NoTags(String),
    /// A digest is to be pushed.
    #[error("cannot push a digest reference: {0}")]
    PushDigest(String),
    /// The image isn't for the platform that was asked for.
    #[error(
        "image with reference {reference} was found but its platform ({found}) does not match the specified platform ({wanted})"
    )]
    OtherPlatform {
        /// The image.
        reference: String,
        /// What was asked for.
        wanted: String,
        /// What it is for.
        found: String,
    },
    /// A layer can't be made into a tar again.
    #[error("can't read layer {layer} to push it")]
    Push {
        /// Which.
        layer: DiffId,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nobody wants it any more.
    #[error("it was called off")]
    CalledOff,
    /// A file can't be fetched.
    #[error("can't fetch {url}")]
    Fetch {
        /// From where.
        url: String,
        /// Why not.
        source: FetchError,
    },
    /// What a container or a step of a build wrote can't become a layer.
    #[error("can't make a layer of what was written")]
    MakeLayer(#[source] UnpackError),
    /// What is to become a layer can't be read, or not be passed on.
    #[error("can't pack what was written")]
    Pack(#[source] PackError),
    /// What the image has in a directory can't be copied out of it.
    #[error("can't copy what the image has in {}", directory.display())]
    CopyOut {
        /// Which.
        directory: PathBuf,
        /// Why not.
        #[source]
        source: ExtractError,
    },
    /// The root file system to import can't be unpacked.
    #[error("can't unpack the root file system")]
    Import(#[source] UnpackError),
    /// What a container changed can't be found out.
    #[error("can't compare the container with its image")]
    Changes(#[source] ReadError),
    /// An archive can't be written.
    #[error("can't write the image archive")]
    Save(#[source] io::Error),
    /// A container's root directory can't be made to look like its image's.
    #[error("can't prepare the container's root directory")]
    Snapshot(#[source] UnpackError),
    /// A container has its root file system already.
    #[error("container {0} has a snapshot already")]
    SnapshotExists(String),
    /// A container has none.
    #[error("No such snapshot: {0}")]
    NoSuchSnapshot(String),
    /// A container's id would be a path.
    #[error("invalid container id {0:?}: only letters, digits, '_', '.' and '-' are allowed")]
    ContainerId(String),
    /// Another process has the store open.
    #[error("the image store {} is in use by another process", root_dir.display())]
    InUse {
        /// Where.
        root_dir: PathBuf,
    },
    /// The database file can't be used.
    #[error(transparent)]
    Unusable(#[from] sqlite::OpenError),
    /// There are layers and no database that knows them.
    #[error(
        "{} holds layers or snapshots but no images.db: restore it, or move the whole directory away",
        root_dir.display()
    )]
    DatabaseGone {
        /// Where.
        root_dir: PathBuf,
    },
    /// A document of ours can't be written.
    #[error("can't write the image's configuration")]
    Encode(#[source] serde_json::Error),
    /// What the database holds about an image doesn't make sense.
    #[error("the record of image {0} is damaged: remove the image and load it again")]
    DamagedImage(ImageId),
    /// A database operation.
    #[error("can't {doing} (image database)")]
    Database {
        /// What was being tried.
        doing: &'static str,
        /// Why not.
        #[source]
        source: rusqlite::Error,
    },
    /// A file operation.
    #[error("can't {doing} {}", path.display())]
    File {
        /// What was being tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Why an image can't be deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeleteObstacle {
    /// A container of it runs. Holds the container's short id.
    #[error("image is being used by running container {0}")]
    RunningContainer(String),
    /// A container of it exists. Holds the container's short id.
    #[error("image is being used by stopped container {0}")]
    StoppedContainer(String),
    /// An id was given, and the image has names in several repositories.
    #[error("image is referenced in multiple repositories")]
    SeveralRepositories,
}

impl DeleteObstacle {
    /// Whether `force` overcomes it.
    pub fn is_soft(&self) -> bool {
        !matches!(self, DeleteObstacle::RunningContainer(_))
    }

    fn remedy(&self) -> &'static str {
        match self.is_soft() {
            true => "must be forced",
            false => "cannot be forced",
        }
    }
}

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// It isn't there (HTTP 404).
    NotFound,
    /// The request is wrong (HTTP 400).
    InvalidParameter,
    /// It can't be done as things are (HTTP 409).
    Conflict,
    /// The machine is at fault (HTTP 500).
    Internal,
}

impl Error {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::NoSuchImage(_) | Error::NoSuchSnapshot(_) | Error::TagMissing(_) | Error::NoTags(_) => {
                ErrorKind::NotFound
            }
            Error::Delete { .. } | Error::Untag { .. } | Error::SnapshotExists(_) => ErrorKind::Conflict,
            Error::AmbiguousId(_)
            | Error::Reference(_)
            | Error::Change(_)
            | Error::TagWithDigest(_)
            | Error::PushDigest(_)
            | Error::OtherPlatform { .. }
            | Error::ContainerId(_) => ErrorKind::InvalidParameter,
            Error::Archive(error) => error.kind(),
            Error::Fetch { source, .. } => source.kind(),
            Error::Registry(error) => error.kind(),
            Error::Layer { source, .. } | Error::Import(source) | Error::MakeLayer(source) => source.kind(),
            Error::Pack(error) => error.kind(),
            Error::Snapshot(_)
            | Error::Changes(_)
            | Error::CopyOut { .. }
            | Error::Save(_)
            | Error::Push { .. }
            | Error::CalledOff
            | Error::InUse { .. }
            | Error::Unusable(_)
            | Error::DatabaseGone { .. }
            | Error::Encode(_)
            | Error::DamagedImage(_)
            | Error::Database { .. }
            | Error::File { .. } => ErrorKind::Internal,
        }
    }

    /// The error and its causes in one sentence, as an API's client should read it.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    /// For `map_err` on a file operation: says what was being tried, with what.
    pub fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Error::File { doing, path, source }
    }

    pub(crate) fn database(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Error::Database { doing, source }
    }
}

impl From<RegistryError> for Error {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::CalledOff => Error::CalledOff,
            error => Error::Registry(error),
        }
    }
}
