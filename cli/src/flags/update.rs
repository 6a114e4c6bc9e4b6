//! Flags of `update`: what can be changed of containers that are there.

use clap::Args;

use super::container::Targets;
use super::limits::{ContainerLimitFlags, RealTimeFlags};

pub(super) const EXAMPLES: &str = "Examples:
  berth update --restart unless-stopped web
  berth update -m 512m --cpus 1.5 web db

Limits of a running container change at once.";

/// Flags of `update`.
#[derive(Debug, Args)]
pub(crate) struct UpdateFlags {
    /// Restart when it ends: no, on-failure[:TIMES], always or unless-stopped
    #[arg(long, value_name = "POLICY")]
    pub(crate) restart: Option<String>,
    #[command(flatten)]
    pub(crate) limits: ContainerLimitFlags,
    /// Weight of block I/O against others, 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    pub(crate) blkio_weight: Option<u16>,
    #[command(flatten)]
    pub(crate) real_time: RealTimeFlags,
    #[command(flatten)]
    pub(crate) targets: Targets,
}
