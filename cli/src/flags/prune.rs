//! Commands that remove what nothing needs, and their flags.

use clap::Args;

pub(crate) const IMAGE_EXAMPLES: &str = "Examples:
  berth image prune                        images without a name
  berth image prune -a -f                  all that no container has
  berth image prune -a --filter until=24h --filter label!=keep

Filters: until, label, label!.";
pub(crate) const CONTAINER_EXAMPLES: &str = "Examples:
  berth container prune
  berth container prune -f --filter until=1h

Filters: until, label, label!.";
pub(crate) const SYSTEM_EXAMPLES: &str = "Examples:
  berth system prune
  berth system prune -a -f --volumes
  berth system prune --filter label=test

Filters: until, label, label!.";

/// Flags of `container prune`.
#[derive(Debug, Args)]
pub(crate) struct ContainerFlags {
    /// Don't ask
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Only what was made before a time (until=), or has or hasn't a label
    #[arg(long, value_name = "FILTER")]
    pub(crate) filter: Vec<String>,
}

/// Flags of `image prune`.
#[derive(Debug, Args)]
pub(crate) struct ImageFlags {
    /// Also images that have names
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Don't ask
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Only what was made before a time (until=), or has or hasn't a label
    #[arg(long, value_name = "FILTER")]
    pub(crate) filter: Vec<String>,
}

/// Flags of `system prune`.
#[derive(Debug, Args)]
pub(crate) struct SystemFlags {
    /// Also images that have names
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Don't ask
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Also volumes without a name
    #[arg(long)]
    pub(crate) volumes: bool,
    /// Only what was made before a time (until=), or has or hasn't a label
    #[arg(long, value_name = "FILTER")]
    pub(crate) filter: Vec<String>,
}
