//! Commands on images and their flags.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::list::{Filtering, ListShape, ObjectShape};
use super::prune;

pub(crate) const LIST_EXAMPLES: &str = "Examples:
  berth images
  berth images 'alpine:*'
  berth images --tree
  berth images --format '{{.Repository}}:{{.Tag}} {{.Size}}'

Filters: dangling, label, before, since, reference.

Fields of --format: Repository, Tag, Digest, ID, CreatedSince, CreatedAt, Size, Containers, SharedSize, UniqueSize.";
pub(crate) const REMOVE_EXAMPLES: &str = "Examples:
  berth rmi alpine:3.20
  berth rmi -f 3f57d9401f8d";
const LOAD_EXAMPLES: &str = "Examples:
  berth load -i alpine.tar
  curl -s URL | berth load

The archive is one of docker save, podman save, buildah or skopeo (docker-archive, oci-archive), plain or compressed with gzip, zstd, bzip2 or xz. For the tar of a root filesystem there is berth import.";
const SAVE_EXAMPLES: &str = "Examples:
  berth save -o alpine.tar alpine:3.20
  berth save alpine:3.20 base:1 | gzip > images.tar.gz

The archive is an OCI image layout with docker save's manifest.json, for load, podman, skopeo and others. A name without a tag stands for all tags of its repository.";
const IMPORT_EXAMPLES: &str = "Examples:
  berth import rootfs.tar base:1
  berth import https://example.com/rootfs.tar.gz base:1
  tar -c -C rootfs . | berth import -c 'CMD [\"/bin/sh\"]' -c 'EXPOSE 80' - base:1

The archive is a tar, plain or compressed with gzip, zstd, bzip2 or xz. Instructions of --change: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR.";
const TAG_EXAMPLES: &str = "Examples:
  berth tag alpine:3.20 registry.example.com/base:1";

pub(crate) const HISTORY_EXAMPLES: &str = "Examples:
  berth history alpine:3.20
  berth history --no-trunc --format '{{.CreatedBy}}' alpine:3.20

Fields of --format: ID, CreatedSince, CreatedAt, CreatedBy, Size, Comment.";
const INSPECT_EXAMPLES: &str = "Examples:
  berth image inspect alpine:3.20
  berth image inspect -f '{{json .Config.Cmd}}' alpine:3.20";

const PULL_EXAMPLES: &str = "Examples:
  berth pull alpine:3.20
  berth pull --platform linux/arm64 registry.example.com/team/app
  berth pull -a registry.example.com/team/app

A name without a registry's host is one of Docker Hub. Passwords are those of the docker client: ~/.docker/config.json and the credential helpers that it names.";

const PUSH_EXAMPLES: &str = "Examples:
  berth tag app registry.example.com/team/app:1
  berth push registry.example.com/team/app:1
  berth push -a registry.example.com/team/app

The image's name says which registry it goes to. Passwords are those that 'berth login' or 'docker login' keep.";

/// Commands that are the same at the top level and under `image`.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Download an image from a registry
    #[command(after_help = PULL_EXAMPLES)]
    Pull(PullFlags),
    /// Upload an image to a registry
    #[command(after_help = PUSH_EXAMPLES)]
    Push(PushFlags),
    /// Load images from an archive
    #[command(after_help = LOAD_EXAMPLES)]
    Load(LoadFlags),
    /// Write images into an archive
    #[command(after_help = SAVE_EXAMPLES)]
    Save(SaveFlags),
    /// Make an image of a filesystem in a tar archive
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(ImportFlags),
    /// Tag an image with another name
    #[command(after_help = TAG_EXAMPLES)]
    Tag(TagFlags),
    /// Show the history of an image
    #[command(after_help = HISTORY_EXAMPLES)]
    History(HistoryFlags),
}

/// Commands under `image`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Verb(Verb),
    /// Build an image from a Dockerfile
    #[command(after_help = super::build::EXAMPLES)]
    Build(Box<super::build::BuildFlags>),
    /// List images
    #[command(visible_alias = "list", after_help = LIST_EXAMPLES)]
    Ls(ListFlags),
    /// Remove images
    #[command(visible_alias = "remove", after_help = REMOVE_EXAMPLES)]
    Rm(RemoveFlags),
    /// Show images in detail
    #[command(after_help = INSPECT_EXAMPLES)]
    Inspect(InspectFlags),
    /// Remove unused images
    #[command(after_help = prune::IMAGE_EXAMPLES)]
    Prune(prune::ImageFlags),
}

/// Flags of `images`.
#[derive(Debug, Args)]
pub(crate) struct ListFlags {
    /// Also intermediate images
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Show digests
    #[arg(long)]
    pub(crate) digests: bool,
    /// Each image once, below all of its names, and whether a container uses it (U)
    #[arg(long)]
    pub(crate) tree: bool,
    #[command(flatten)]
    pub(crate) filtering: Filtering,
    #[command(flatten)]
    pub(crate) shape: ListShape,
    /// Only this repository, or this one image; '*' matches anything
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub(crate) reference: Option<String>,
}

/// Flags of `rmi`.
#[derive(Debug, Args)]
pub(crate) struct RemoveFlags {
    /// Also when a stopped container uses it, or it has more names
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Keep untagged parents; images of archives have none
    #[arg(long)]
    pub(crate) no_prune: bool,
    /// Refuse images that aren't for this platform: OS[/ARCH[/VARIANT]]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Vec<String>,
    /// Images, by name or id
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) images: Vec<String>,
}

/// Flags that `pull` and `push` share.
#[derive(Debug, Args)]
pub(crate) struct TransferFlags {
    /// Every tag of the repository
    #[arg(short, long)]
    pub(crate) all_tags: bool,
    /// Show no progress, only the image's whole name
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Flags of `pull`.
#[derive(Debug, Args)]
pub(crate) struct PullFlags {
    #[command(flatten)]
    pub(crate) transfer: TransferFlags,
    /// Download for this platform: OS[/ARCH[/VARIANT]]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    /// The image; its tag is 'latest' when absent
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    pub(crate) image: String,
}

/// Flags of `push`.
#[derive(Debug, Args)]
pub(crate) struct PushFlags {
    #[command(flatten)]
    pub(crate) transfer: TransferFlags,
    /// Refuse unless the image is for this platform: OS[/ARCH[/VARIANT]]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    /// The image; its tag is 'latest' when absent
    #[arg(value_name = "NAME[:TAG]")]
    pub(crate) image: String,
}

/// Flags of `load`.
#[derive(Debug, Args)]
pub(crate) struct LoadFlags {
    /// The archive; standard input when absent
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: Option<String>,
    /// Show no progress
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Only images for this platform, else those for this machine: OS[/ARCH[/VARIANT]]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
}

/// Flags of `save`.
#[derive(Debug, Args)]
pub(crate) struct SaveFlags {
    /// The file to write; standard output when absent
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Refuse images that aren't for this platform: OS[/ARCH[/VARIANT]]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    /// Images, by name or id
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) images: Vec<String>,
}

/// Flags of `import`.
#[derive(Debug, Args)]
pub(crate) struct ImportFlags {
    /// A Dockerfile instruction to apply, as in 'CMD ["/bin/sh"]'
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub(crate) change: Vec<String>,
    /// A note for the image's history
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) message: Option<String>,
    /// Platform of the image: OS[/ARCH[/VARIANT]]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    /// The archive: a file, a URL, or - for standard input
    #[arg(value_name = "FILE|URL|-")]
    pub(crate) source: String,
    /// Name of the new image
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub(crate) reference: Option<String>,
}

/// Arguments of `tag`.
#[derive(Debug, Args)]
pub(crate) struct TagFlags {
    /// The image
    #[arg(id = "image", value_name = "SOURCE_IMAGE[:TAG]")]
    pub(crate) source: String,
    /// Its further name
    #[arg(value_name = "TARGET_IMAGE[:TAG]")]
    pub(crate) target: String,
}

/// Flags of `history`.
#[derive(Debug, Args)]
pub(crate) struct HistoryFlags {
    /// Sizes and times for people; --human=false for exact ones
    #[arg(short = 'H', long, value_name = "bool", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", action = clap::ArgAction::Set, hide_possible_values = true)]
    pub(crate) human: bool,
    #[command(flatten)]
    pub(crate) shape: ListShape,
    /// Refuse unless the image is for this platform: OS[/ARCH[/VARIANT]]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    /// The image
    pub(crate) image: String,
}

/// Flags of `image inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectFlags {
    #[command(flatten)]
    pub(crate) shape: ObjectShape,
    /// Refuse images that aren't for this platform: OS[/ARCH[/VARIANT]]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    /// Images, by name or id
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) images: Vec<String>,
}
