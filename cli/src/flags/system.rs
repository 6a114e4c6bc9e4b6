//! Commands on the engine as a whole, and on objects of any kind, with their flags.

use clap::{Args, Subcommand};

use super::list::{Filtering, ObjectShape};
use super::prune;

pub(crate) const INSPECT_EXAMPLES: &str = "Examples:
  berth inspect web
  berth inspect -f '{{.NetworkSettings.IPAddress}}' web
  berth inspect -f '{{json .NetworkSettings.Networks}}' web
  berth inspect --type image -f '{{json .Config.Cmd}}' alpine";
pub(crate) const EVENTS_EXAMPLES: &str = "Examples:
  berth events
  berth events --since 1h --until 0s --filter type=container --filter event=die
  berth events --format '{{.Type}} {{.Action}} {{.Actor.ID}}'

Filters: type, event, container, image, network, volume, label, daemon, scope.";
pub(crate) const INFO_EXAMPLES: &str = "Examples:
  berth info
  berth info -f '{{.ServerVersion}} {{.Driver}}'";
pub(crate) const VERSION_EXAMPLES: &str = "Examples:
  berth version
  berth version -f '{{.Client.Version}} {{.Server.Version}}'";
pub(crate) const DF_EXAMPLES: &str = "Examples:
  berth system df
  berth system df -v
  berth system df --format '{{.Type}} {{.Size}}'

Fields of --format: Type, TotalCount, Active, Size, Reclaimable.";

pub(crate) const DIAL_EXAMPLES: &str = "Examples:
  berth system dial-stdio    what clients run on a server that they reach by SSH

For docker -H ssh://SERVER it must be called docker there: ln -s $(command -v berth) /usr/local/bin/docker";

/// Commands under `system`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show disk usage
    #[command(after_help = DF_EXAMPLES)]
    Df(DfFlags),
    /// Show what the engine knows about itself and this host
    #[command(after_help = INFO_EXAMPLES)]
    Info(InfoFlags),
    /// Stream events
    #[command(after_help = EVENTS_EXAMPLES)]
    Events(EventsFlags),
    /// Carry the engine's API over standard input and output, as clients want it that come by SSH
    #[command(after_help = DIAL_EXAMPLES)]
    DialStdio,
    /// Remove unused data: stopped containers, networks, images, the build cache
    #[command(after_help = prune::SYSTEM_EXAMPLES)]
    Prune(prune::SystemFlags),
}

/// Flags of `inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectFlags {
    #[command(flatten)]
    pub(crate) shape: ObjectShape,
    /// Also sizes of containers on disk
    #[arg(short, long)]
    pub(crate) size: bool,
    /// Only objects of this type: container, image, network or volume
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<String>,
    /// Objects, by name or id
    #[arg(value_name = "NAME|ID", required = true)]
    pub(crate) objects: Vec<String>,
}

/// Flags of `events`.
#[derive(Debug, Args)]
pub(crate) struct EventsFlags {
    #[command(flatten)]
    pub(crate) filtering: Filtering,
    /// 'json', or a Go template for each object
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// Also from this time on: RFC 3339, seconds since 1970, or a duration ago (10m)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Until this time, written alike, then end
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}

/// Flags of `info`.
#[derive(Debug, Args)]
pub(crate) struct InfoFlags {
    #[command(flatten)]
    pub(crate) shape: ObjectShape,
}

/// Flags of `version`.
#[derive(Debug, Args)]
pub(crate) struct VersionFlags {
    #[command(flatten)]
    pub(crate) shape: ObjectShape,
}

/// Flags of `system df`.
#[derive(Debug, Args)]
pub(crate) struct DfFlags {
    /// 'table', 'table TEMPLATE', 'json', or a Go template for each line
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// Show each object
    #[arg(short, long)]
    pub(crate) verbose: bool,
}
