//! The image store.

use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::change::Change;
use crate::config::ImageConfig;
use crate::digest::{ChainId, Digest, ImageId};
use crate::error::Error;
use crate::platform::Platform;
use crate::progress::Progress;
use crate::reference::Reference;
use crate::unpack::Limits;

/// Images, their layers, and the snapshots of containers, in one directory that one process has open at a time.
pub struct Store {}

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

/// What `import` makes of a root file system.
#[derive(Clone, Debug)]
pub struct Import {
    /// The image's name.
    pub reference: Option<Reference>,
    /// Instructions for its configuration, applied in order.
    pub changes: Vec<Change>,
    /// What the history says (`Imported from -`).
    pub message: String,
    /// What it runs on.
    pub platform: Platform,
    /// Written into the image: the same file system imported at the same time has the same id.
    pub created: Timestamp,
}

/// A container that has an image in use. The caller tells, the store doesn't know of containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerUse {
    /// The container's full id.
    pub container_id: String,
    /// Its image.
    pub image: ImageId,
    /// Whether it runs (or is paused).
    pub running: bool,
}

/// What a removal took away, in the order in which `docker rmi` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A name.
    Untagged(Reference),
    /// An image.
    Image(ImageId),
    /// A layer that nothing else needed.
    Layer(ChainId),
}

/// What [`Store::prune`] took away.
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

impl Store {
    /// Opens the store below `root_dir`, making it if there is none, and sweeps away what interrupted operations left.
    ///
    /// `run_dir` is for what needn't outlive a boot.
    pub fn open(_root_dir: &Path, _run_dir: &Path) -> Result<Self, Error> {
        todo!("filled in in the next commits")
    }

    /// The same store with other limits for what a layer may become.
    #[must_use]
    pub fn with_limits(self, _limits: Limits) -> Self {
        todo!("filled in in the next commits")
    }

    /// Takes in an archive of images: docker-archive or oci-archive, plain or compressed. All of it or nothing.
    pub fn load(&self, _archive: impl Read, _progress: &dyn Progress) -> Result<Vec<LoadedImage>, Error> {
        todo!("filled in in the next commits")
    }

    /// Makes an image of one layer from the tar of a root file system.
    pub fn import(&self, _rootfs: impl Read, _import: &Import, _progress: &dyn Progress) -> Result<ImageId, Error> {
        todo!("filled in in the next commits")
    }

    /// All images, the newest first.
    pub fn list(&self) -> Result<Vec<Image>, Error> {
        todo!("filled in in the next commits")
    }

    /// The image that `name` means: a reference, an id with or without `sha256:`, or the beginning of one.
    pub fn get(&self, _name: &str) -> Result<Image, Error> {
        todo!("filled in in the next commits")
    }

    /// The image's configuration document, byte for byte.
    pub fn document(&self, _image: &ImageId) -> Result<Vec<u8>, Error> {
        todo!("filled in in the next commits")
    }

    /// Gives an image one more name (`latest` if it has no tag). Answers the image that had the name before.
    pub fn tag(&self, _name: &str, _new_name: &Reference) -> Result<Option<ImageId>, Error> {
        todo!("filled in in the next commits")
    }

    /// Takes a name away and, with the last one or by id, the image. Refuses as Docker does while containers use it.
    pub fn remove(&self, _name: &str, _force: bool, _uses: &[ContainerUse]) -> Result<Vec<Removed>, Error> {
        todo!("filled in in the next commits")
    }

    /// Removes every image that no container uses and that `select` agrees to.
    pub fn prune(&self, _uses: &[ContainerUse], _select: impl FnMut(&Image) -> bool) -> Result<Pruned, Error> {
        todo!("filled in in the next commits")
    }

    /// How an image came to be, newest step first.
    pub fn history(&self, _name: &str) -> Result<Vec<HistoryItem>, Error> {
        todo!("filled in in the next commits")
    }

    /// Makes the directories of a new container. Its layers are kept until [`Store::remove_snapshot`], also when the
    /// image is removed.
    pub fn prepare(&self, _container_id: &str, _image: &ImageId) -> Result<Rootfs, Error> {
        todo!("filled in in the next commits")
    }

    /// The directories of a container that [`Store::prepare`] made.
    pub fn rootfs(&self, _container_id: &str) -> Result<Rootfs, Error> {
        todo!("filled in in the next commits")
    }

    /// The ids of all containers that have a snapshot, so that those of nobody can be found.
    pub fn snapshots(&self) -> Result<Vec<String>, Error> {
        todo!("filled in in the next commits")
    }

    /// Removes what a container wrote. Removing what isn't there is fine.
    pub fn remove_snapshot(&self, _container_id: &str) -> Result<(), Error> {
        todo!("filled in in the next commits")
    }
}

impl Image {
    /// The digest references, as `RepoDigests` lists them.
    pub fn digests(&self) -> impl Iterator<Item = (&Reference, Digest)> {
        self.references.iter().filter_map(|reference| Some((reference, reference.digest()?)))
    }

    /// The tags, as `RepoTags` lists them.
    pub fn tags(&self) -> impl Iterator<Item = &Reference> {
        self.references.iter().filter(|reference| reference.digest().is_none())
    }
}
