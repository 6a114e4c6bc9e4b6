//! Images: references, content, unpacked layers, and the root file systems that containers stand on.
//!
//! [`Store`] is the door. It takes archives in ([`Store::load`], [`Store::import`]), answers what is there
//! ([`Store::list`], [`Store::get`], [`Store::history`]), names and removes it ([`Store::tag`], [`Store::remove`],
//! [`Store::prune`]), and prepares the directories of a container's overlay ([`Store::prepare`]), which others mount. Only
//! what reads layers as one tree ([`files::view`], [`Store::copy_out`]) mounts them itself: a read-only overlay in the mount
//! namespace of a thread that ends at once, which nobody else sees.
//!
//! Whoever builds images makes layers of files ([`files`], [`tarball`]) or of what a command wrote ([`Store::prepare_on`],
//! [`Store::add_layer`]), has them kept while it works on them ([`Store::lease`]), and records which step led to which
//! ([`steps`]).
//!
//! All calls block. They can be made from any number of threads at once; what takes long (unpacking, waiting for the disk)
//! happens outside of the store's lock.
//!
//! On disk, below the root directory:
//!
//! | path | what |
//! |---|---|
//! | `images.db` | names, images with their configuration documents, layers, snapshots |
//! | `layers/<chain id>/diff` | an unpacked layer, ready to be a lower directory of overlayfs |
//! | `layers/<chain id>/{recipe,replaced}` | what else it takes to make the layer's tar again, byte for byte |
//! | `snapshots/<container id>/{upper,work}` | what a container writes |
//! | `caches/<digest of its id>` | what steps of builds keep for the next ones |
//! | `tmp/` | work in progress; emptied when the store is opened |
//!
//! The database decides what exists: a directory that it doesn't know is left over from an interrupted operation and
//! goes when the store is opened. A layer is on disk, synchronised, before an image that needs it has a name.
//!
//! Below the run directory, `l/<number>` are short links to layers: the option string of a mount is one page at most.
#![forbid(unsafe_code)]

mod archive;
mod change;
mod compression;
mod config;
mod diff;
mod digest;
mod error;
mod fetch;
pub mod files;
#[cfg(fuzzing)]
pub mod fuzzing;
mod index;
mod lowers;
mod piped;
mod platform;
mod processors;
mod progress;
mod reference;
mod registry;
mod side_by_side;
mod store;
mod tar_split;
pub mod tarball;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod unpack;
pub mod words;

/// What builds leave in the store: layers that no image has yet, which step led to which, and what steps keep for the next
/// ones.
pub mod steps {
    pub use crate::store::{
        BuiltImage, CacheGuard, CacheRequest, CacheUse, DoneStep, Lease, NewImage, StepLayer, StepResult,
    };
}

pub use archive::ArchiveError;
pub use change::{Change, ChangeError, apply_changes, check_changes};
pub use compression::decompressed;
pub use config::{ContainerConfig, DEFAULT_PATH, Empty, Healthcheck, HistoryEntry, ImageConfig, RootFs};
pub use diff::{ChangeKind, FileChange};
pub use digest::{ChainId, DiffId, Digest, DigestError, ImageId};
pub use error::{DeleteObstacle, Error, ErrorKind};
pub use fetch::{FetchError, FetchProgress};
pub use platform::{Platform, PlatformError};
pub use progress::{NoProgress, Progress, ProgressEvent, PullProgress, PullStep, PushProgress, PushStep};
pub use reference::{Reference, ReferenceError};
pub use registry::{
    ConfigError, Credentials, FoundRepository, Insecure, Mirror, Registries, RegistryConfig, RegistryError, SearchTerm,
    Server,
};
pub use store::{
    CacheDirectory, CachedStep, Commit, ContainerUse, Discarded, HistoryItem, Image, Import, LoadedImage, Pruned,
    PullRequest, Pulled, PushRequest, Pushed, Removed, Rootfs, Saving, Store,
};
pub use tarball::TarError;
pub use unpack::{Limits, Refusal, UnpackError};
pub use words::WordError;
