//! Building images from Dockerfiles.
//!
//! | part | what it does |
//! |---|---|
//! | `dockerfile` | text → typed instructions in stages |
//! | `plan` | which stages are needed, in which order their steps are counted |
//! | `schedule` | a thread a stage; who needs another's result waits for it |
//! | `stage` | one stage: its configuration and layers, step by step |
//! | `config_step`, `run_step`, `copy_step` | what the instructions do |
//! | `mounts`, `mount_points` | what a step finds in its root besides, and the traces of that |
//! | `cache_from` | steps that images were built by elsewhere (`--cache-from`) |
//! | `key` | the cache key of a step: a digest of all that decides about its result |
//!
//! A step is known by what it stands on (configuration and topmost layer), what it says, and the contents that it takes in,
//! never by time stamps. Layers, images and what is known of steps are in an [`images::Store`]. What runs commands is the
//! caller's: see [`StepRunner`].
#![forbid(unsafe_code)]

mod cache_from;
mod config_step;
mod context;
mod copy_entries;
mod copy_layer;
mod copy_step;
mod dockerfile;
mod error;
mod fetch;
#[cfg(fuzzing)]
pub mod fuzzing;
mod key;
mod mode;
mod mount_points;
mod mounts;
mod owner;
mod plan;
mod run_step;
mod schedule;
mod stage;
#[cfg(test)]
mod tests;
mod tree_search;
mod variables;

use std::collections::BTreeMap;
use std::path::PathBuf;

use images::{Image, ImageId, Platform, Reference, Registries, Rootfs, Store};
use tokio_util::sync::CancellationToken;

pub use context::Context;
pub use dockerfile::{DockerfileError, Location, Problem};
pub use error::{Error, StepError};

/// What to build.
#[derive(Debug, Default)]
pub struct BuildRequest {
    /// The Dockerfile's path in the context; `Dockerfile` if empty.
    pub dockerfile: String,
    /// What messages call it, if not by its path.
    pub dockerfile_name: Option<String>,
    /// The image's names.
    pub tags: Vec<Reference>,
    /// The stage to build, by name or number; the last one without it.
    pub target: Option<String>,
    /// `--build-arg`
    pub build_args: BTreeMap<String, String>,
    /// Labels beyond those of the Dockerfile.
    pub labels: BTreeMap<String, String>,
    /// For another machine than this one.
    pub platform: Option<Platform>,
    /// Don't use the build cache.
    pub no_cache: bool,
    /// Ask registries for images that are here, too.
    pub pull: bool,
    /// Images here whose steps are build cache as well.
    pub cache_from: Vec<String>,
    /// By id, for `RUN --mount=type=secret`.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Cancelled when nobody wants the image any more, by the build itself too once it has failed: what its runner runs
    /// and what is pulled for it is to end then.
    pub called_off: CancellationToken,
}

/// What a build led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The image.
    pub id: ImageId,
    /// `--build-arg`s that no instruction asks for.
    pub unused_args: Vec<String>,
}

/// What a build needs of its caller.
pub struct BuildEnvironment<'a> {
    /// Runs commands.
    pub runner: &'a dyn StepRunner,
    /// Has the images that stages begin with.
    pub images: &'a dyn BaseImages,
    /// Hears how far it is.
    pub progress: &'a dyn BuildProgress,
    /// Fetches what `ADD` names by URL.
    pub registries: &'a Registries,
}

/// Runs the commands of `RUN`. Called from several threads at once.
pub trait StepRunner: Sync {
    /// Runs a command to its end and answers with its exit status. What it writes goes to `output` as it comes, with where it
    /// was written to.
    ///
    /// # Errors
    /// It can't be run at all, or the build was called off.
    fn run(&self, step: &RunStep, output: &mut StepOutput<'_>) -> Result<u8, Box<dyn std::error::Error + Send + Sync>>;

    /// Where its containers have something mounted beyond what a step asks for.
    fn mount_points(&self) -> &[&'static str];
}

/// Where a step's command writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepStream {
    /// File descriptor 1.
    Stdout,
    /// File descriptor 2.
    Stderr,
}

/// Takes what a step's command writes.
pub type StepOutput<'a> = dyn FnMut(StepStream, &[u8]) + 'a;

/// Where the images come from that stages begin with and files are copied from.
pub trait BaseImages: Sync {
    /// An image of this name, which is asked for at its registry if it isn't here or if `pull` says so. `stage` needs it.
    ///
    /// # Errors
    /// It can't be had.
    fn image(
        &self,
        stage: usize,
        reference: &str,
        platform: Option<&Platform>,
        pull: bool,
    ) -> Result<Image, Box<dyn std::error::Error + Send + Sync>>;
}

/// Hears how far a build is. Called from several threads at once.
pub trait BuildProgress: Sync {
    /// Something happened in a stage. Those that are needed are numbered from 0, as they stand in the Dockerfile; each
    /// comes to its end by [`BuildEvent::Over`].
    fn tell(&self, stage: usize, event: BuildEvent<'_>);
}

/// What happens in a build.
#[derive(Clone, Copy, Debug)]
pub enum BuildEvent<'a> {
    /// A step begins.
    Step {
        /// From 1.
        number: usize,
        /// Of so many.
        total: usize,
        /// As it is written.
        instruction: &'a str,
    },
    /// Its result was there before.
    Cached,
    /// An image brought instructions for the stages that begin with it.
    Triggers(usize),
    /// A step waits for a cache that another one uses.
    Waiting,
    /// A step's command wrote this.
    Output(StepStream, &'a [u8]),
    /// A step is over; this is what stands for its result.
    Done(&'a str),
    /// The stage is over, whatever came of it.
    Over,
}

/// One command in a container of its own.
#[derive(Clone, Debug)]
pub struct RunStep {
    /// Its root file system.
    pub rootfs: Rootfs,
    /// What names it, here and on disk.
    pub id: String,
    /// Program and arguments.
    pub args: Vec<String>,
    /// `NAME=value`
    pub env: Vec<String>,
    /// Absolute.
    pub working_dir: String,
    /// `user[:group]`; empty is root.
    pub user: String,
    /// What it reaches.
    pub network: StepNetwork,
    /// What is mounted for it.
    pub mounts: Vec<StepMount>,
}

/// What a step reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StepNetwork {
    /// What the build was asked for, or a network of the host's.
    #[default]
    Default,
    /// Nothing.
    None,
    /// All that the host reaches.
    Host,
}

/// Something that is mounted for one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepMount {
    /// Absolute, in the container.
    pub target: PathBuf,
    /// The step can't write to it.
    pub readonly: bool,
    /// What it is.
    pub kind: StepMountKind,
}

/// What is mounted for a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepMountKind {
    /// A file or directory of ours.
    Bind(PathBuf),
    /// Memory.
    Tmpfs {
        /// At most so much.
        size_bytes: Option<u64>,
    },
}

/// Builds an image of a Dockerfile, in `store`.
///
/// # Errors
/// Names the Dockerfile's line and instruction where that is at fault.
pub fn build(
    store: &Store,
    context: &Context,
    request: &BuildRequest,
    environment: &BuildEnvironment<'_>,
) -> Result<Built, Error> {
    schedule::build(store, context, request, environment)
}

/// Stands between two steps of what a build does to the store, besides those of the store itself: tests end the process at each
/// such place.
fn between_steps() {
    #[cfg(test)]
    images::testing::between_steps();
}
