//! Types of the store's interface.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::config::{ContainerConfig, ImageConfig};
use crate::digest::{ChainId, Digest, ImageId};
use crate::platform::Platform;
use crate::reference::Reference;

/// An image.
#[derive(Clone, Debug)]
pub struct Image {
    /// The digest of its configuration document.
    pub id: ImageId,
    /// Its names: tags, and digests under which it was pulled.
    pub references: Vec<Reference>,
    /// The configuration document, parsed.
    pub config: ImageConfig,
    /// The layers, lowest first.
    pub layers: Vec<ChainId>,
    /// The size of all its layers' files.
    pub size_bytes: u64,
    /// When it came to this store.
    pub loaded_at: Timestamp,
}

/// An image that was in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedImage {
    /// Its id.
    pub id: ImageId,
    /// The names that it has now because of the archive.
    pub references: Vec<Reference>,
    /// Names that another image had before, and that image.
    pub replaced: Vec<(Reference, ImageId)>,
}

/// An image that came from a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// Its id.
    pub id: ImageId,
    /// What its name stands for at the registry: a manifest, or an index for several platforms.
    pub digest: Digest,
    /// Whether the name stood for the same before.
    pub was_there: bool,
}

/// What an image that was pushed is at its registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Its manifest's digest.
    pub digest: Digest,
    /// The manifest's size.
    pub size_bytes: u64,
}

/// What `import` makes of a root file system.
#[derive(Clone, Debug)]
pub struct Import {
    /// The image's name.
    pub reference: Option<Reference>,
    /// Instructions for its configuration as they are written, applied in order: see [`Change`](crate::Change).
    pub changes: Vec<String>,
    /// What the history says (`Imported from -`).
    pub message: String,
    /// What it runs on.
    pub platform: Platform,
    /// Written into the image: the same file system imported at the same time has the same id.
    pub created: Timestamp,
}

/// What `commit` makes of a container.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The container's image.
    pub image: ImageId,
    /// The new image's name.
    pub reference: Option<Reference>,
    /// What the container was started with.
    pub config: ContainerConfig,
    /// Instructions for its configuration as they are written, applied in order: see [`Change`](crate::Change).
    pub changes: Vec<String>,
    /// Who made it.
    pub author: String,
    /// What was said.
    pub comment: String,
    /// The command that made the changes, for the history.
    pub created_by: String,
    /// When.
    pub created: Timestamp,
}

/// A container that has an image in use. The caller tells, the store doesn't know of containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerUse {
    /// The container's full id.
    pub container_id: String,
    /// Its image.
    pub image: ImageId,
    /// What it calls the image: a name, or an id.
    pub named: String,
    /// Whether it runs (or is paused).
    pub running: bool,
}

/// What a removal took away, in the order in which `docker rmi` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A name, and the image that had it.
    Untagged(Reference, ImageId),
    /// An image.
    Image(ImageId),
    /// A layer that nothing else needed.
    Layer(ChainId),
}

/// What [`crate::Store::prune`] took away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Everything that went.
    pub removed: Vec<Removed>,
    /// The size of the layers' files.
    pub reclaimed_bytes: u64,
}

/// A step of an image's history as `docker history` shows it, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryItem {
    /// The newest step's is the image's own; the others' aren't known.
    pub id: Option<ImageId>,
    /// When it ran.
    pub created: Option<Timestamp>,
    /// The instruction.
    pub created_by: String,
    /// What was said.
    pub comment: String,
    /// The size of the layer that it made.
    pub size_bytes: u64,
    /// The image's names (newest step only).
    pub references: Vec<Reference>,
}

/// The directories of a container's overlay. Mounting them is the caller's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rootfs {
    /// The layers, top first, as overlayfs wants them. At least one. All are short links in one directory, so that a
    /// mount with very many of them can name them relative to it.
    pub lowers: Vec<PathBuf>,
    /// What the container writes.
    pub upper: PathBuf,
    /// For overlayfs itself.
    pub work: PathBuf,
}

impl Image {
    /// The digest references, as `RepoDigests` lists them.
    pub fn digests(&self) -> impl Iterator<Item = &Reference> {
        self.references.iter().filter(|reference| reference.digest().is_some())
    }

    /// The tags, as `RepoTags` lists them.
    pub fn tags(&self) -> impl Iterator<Item = &Reference> {
        self.references.iter().filter(|reference| reference.digest().is_none())
    }
}
