//! `build`, `builder` and their flags.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::limits::CgroupFlags;
use super::prune;

pub(crate) const EXAMPLES: &str = "Examples:
  berth build -t app:1 .
  berth build -t app -f docker/Dockerfile --target test --build-arg VERSION=2 .
  berth build --secret id=token,src=token.txt --iidfile id .
  git archive main | berth build -t app -

The context is a directory, or - for a tar or a Dockerfile on standard input. What .dockerignore names isn't sent. With SOURCE_DATE_EPOCH in the environment, no time in the image is later, so that the same context gives the same image again.";

/// Commands under `builder`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Remove the build cache
    #[command(after_help = prune::BUILDER_EXAMPLES)]
    Prune(prune::BuilderFlags),
    /// Build an image from a Dockerfile
    #[command(after_help = EXAMPLES)]
    Build(Box<BuildFlags>),
}

/// Flags of `build`.
#[derive(Debug, Args)]
pub(crate) struct BuildFlags {
    /// Name of the image; can be given again
    #[arg(short, long, value_name = "NAME[:TAG]")]
    pub(crate) tag: Vec<String>,
    /// The Dockerfile; PATH/Dockerfile when absent, - for standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<String>,
    /// The stage to build
    #[arg(long, value_name = "STAGE")]
    pub(crate) target: Option<String>,
    /// Value of an ARG; of a name alone, the environment's
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) build_arg: Vec<String>,
    /// Label of the image
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) label: Vec<String>,
    /// Don't use the build cache
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Ask registries for images that are here, too
    #[arg(long)]
    pub(crate) pull: bool,
    /// Image whose steps are build cache as well
    #[arg(long, value_name = "IMAGE")]
    pub(crate) cache_from: Vec<String>,
    /// Network of RUN: default, none, host or the name of one
    #[arg(long, value_name = "NETWORK")]
    pub(crate) network: Option<String>,
    /// Line of /etc/hosts for RUN
    #[arg(long, value_name = "NAME:IP")]
    pub(crate) add_host: Vec<String>,
    /// File or variable for RUN --mount=type=secret: id=NAME[,src=FILE|,env=VARIABLE]
    #[arg(long, value_name = "SECRET")]
    pub(crate) secret: Vec<String>,
    /// Platform of the image: OS/ARCH[/VARIANT]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    /// How progress is shown: auto, tty, plain or quiet
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(crate) progress: String,
    /// Print the image's id and nothing else
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Write the image's id to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) iidfile: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) limits: CgroupFlags,
    /// Size of RUN's /dev/shm
    #[arg(long, value_name = "BYTES")]
    pub(crate) shm_size: Option<String>,
    /// Cgroup that RUN's is made in
    #[arg(long, value_name = "CGROUP")]
    pub(crate) cgroup_parent: Option<String>,
    /// Resource limit of RUN
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    pub(crate) ulimit: Vec<String>,
    /// Security option of RUN
    #[arg(long, value_name = "OPTION")]
    pub(crate) security_opt: Vec<String>,
    /// A directory, or - for standard input
    #[arg(value_name = "PATH|-")]
    pub(crate) context: String,
}
