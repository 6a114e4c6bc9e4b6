//! The `prune` commands and their flags.

use clap::Args;

pub(crate) const IMAGE_EXAMPLES: &str = "Examples:
  berth image prune                        images without a name
  berth image prune -a -f                  all unused ones
  berth image prune -a --filter until=24h --filter label!=keep

Filters: until, label, label!.";
pub(crate) const CONTAINER_EXAMPLES: &str = "Examples:
  berth container prune
  berth container prune -f --filter until=1h

Filters: until, label, label!.";
pub(crate) const VOLUME_EXAMPLES: &str = "Examples:
  berth volume prune         unused anonymous ones
  berth volume prune -af --filter label!=keep

Filters: label, label!.";
pub(crate) const BUILDER_EXAMPLES: &str = "Examples:
  berth builder prune         steps that no image or container needs
  berth builder prune -af --filter until=24h

Filters: until.";
pub(crate) const NETWORK_EXAMPLES: &str = "Examples:
  berth net prune
  berth net prune -f --filter until=24h --filter label!=keep

Filters: until, label, label!.";
pub(crate) const SYSTEM_EXAMPLES: &str = "Examples:
  berth system prune
  berth system prune -a -f --volumes
  berth system prune --filter label=test

Filters: until, label, label!.";

/// Flags of every command that removes what nothing needs.
#[derive(Debug, Args)]
pub(crate) struct PruneFlags {
    /// Don't ask
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Only what matches: KEY=VALUE, as listed below
    #[arg(long, value_name = "FILTER")]
    pub(crate) filter: Vec<String>,
}

/// Flags of `image prune`.
#[derive(Debug, Args)]
pub(crate) struct ImageFlags {
    /// Also images that have names
    #[arg(short, long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) prune: PruneFlags,
}

/// Flags of `volume prune`.
#[derive(Debug, Args)]
pub(crate) struct VolumeFlags {
    /// Also volumes that have names
    #[arg(short, long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) prune: PruneFlags,
}

/// Flags of `builder prune`.
#[derive(Debug, Args)]
pub(crate) struct BuilderFlags {
    /// Also build cache that images and containers use
    #[arg(short, long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) prune: PruneFlags,
}

/// Flags of `system prune`.
#[derive(Debug, Args)]
pub(crate) struct SystemFlags {
    /// Also images that have names
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Also volumes without a name
    #[arg(long)]
    pub(crate) volumes: bool,
    #[command(flatten)]
    pub(crate) prune: PruneFlags,
}
