//! Commands on volumes and their flags.

use clap::{Args, Subcommand};

use super::list::{Filtering, ObjectShape};
use super::prune;

const CREATE_EXAMPLES: &str = "Examples:
  berth volume create data
  berth volume create -o type=tmpfs -o device=tmpfs -o o=size=64m cache
  berth volume create -o type=none -o o=bind -o device=/srv/www www
  berth volume create -o type=nfs -o o=addr=10.0.0.5 -o device=:/home home

Options of the driver local are those of mount(8): type, device and o. It is mounted while containers use the volume.";
pub(crate) const LIST_EXAMPLES: &str = "Examples:
  berth volume ls
  berth volume ls -q --filter dangling=true
  berth volume ls --format '{{.Name}} {{.Mountpoint}}'

Filters: dangling, driver, label, name.

Fields of --format: Driver, Name, Scope, Mountpoint, Labels, and .Label \"NAME\".";
const INSPECT_EXAMPLES: &str = "Examples:
  berth volume inspect data
  berth volume inspect -f '{{.Mountpoint}}' data";
const REMOVE_EXAMPLES: &str = "Examples:
  berth volume rm data logs
  berth volume rm -f maybe   no error when it isn't there";

/// Commands under `volume`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a volume
    #[command(after_help = CREATE_EXAMPLES)]
    Create(CreateFlags),
    /// List volumes
    #[command(visible_alias = "list", after_help = LIST_EXAMPLES)]
    Ls(ListFlags),
    /// Show volumes in detail
    #[command(after_help = INSPECT_EXAMPLES)]
    Inspect(InspectFlags),
    /// Remove volumes
    #[command(visible_alias = "remove", after_help = REMOVE_EXAMPLES)]
    Rm(RemoveFlags),
    /// Remove unused volumes
    #[command(after_help = prune::VOLUME_EXAMPLES)]
    Prune(prune::VolumeFlags),
}

/// Flags of `volume create`.
#[derive(Debug, Args)]
pub(crate) struct CreateFlags {
    /// Driver: local, or a plugin
    #[arg(short, long, value_name = "DRIVER", default_value = "local")]
    pub(crate) driver: String,
    /// Option of the driver
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) opt: Vec<String>,
    /// Set a label
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) label: Vec<String>,
    /// Name of the volume; drawn when absent
    #[arg(value_name = "VOLUME")]
    pub(crate) name: Option<String>,
}

/// Flags of `volume ls`.
#[derive(Debug, Args)]
pub(crate) struct ListFlags {
    #[command(flatten)]
    pub(crate) filtering: Filtering,
    /// 'table', 'table TEMPLATE', 'json', or a Go template for each line
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// Only names
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Flags of `volume inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectFlags {
    #[command(flatten)]
    pub(crate) shape: ObjectShape,
    /// Volumes, by name
    #[arg(value_name = "VOLUME", required = true)]
    pub(crate) volumes: Vec<String>,
}

/// Flags of `volume rm`.
#[derive(Debug, Args)]
pub(crate) struct RemoveFlags {
    /// No error for a volume that isn't there
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Volumes, by name
    #[arg(value_name = "VOLUME", required = true)]
    pub(crate) volumes: Vec<String>,
}
