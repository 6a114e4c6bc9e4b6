//! Flags of `update`: what can be changed of containers that are there.

use clap::Args;

use super::container::Targets;

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
    /// Memory, as in 512m or 2g, at least 6m
    #[arg(short, long, value_name = "BYTES")]
    pub(crate) memory: Option<String>,
    /// Memory to fall back to when this host runs short, as in 256m
    #[arg(long, value_name = "BYTES")]
    pub(crate) memory_reservation: Option<String>,
    /// Memory and swap together, as in 1g; -1 for unlimited swap
    #[arg(long, value_name = "BYTES")]
    pub(crate) memory_swap: Option<String>,
    /// Number of CPUs, as in 1.5
    #[arg(long, value_name = "CPUS")]
    pub(crate) cpus: Option<String>,
    /// Weight against others when CPUs are short: 2 to 262144
    #[arg(short, long, value_name = "WEIGHT")]
    pub(crate) cpu_shares: Option<i64>,
    /// Length of a CPU accounting period
    #[arg(long, value_name = "MICROSECONDS")]
    pub(crate) cpu_period: Option<i64>,
    /// CPU time in each period
    #[arg(long, value_name = "MICROSECONDS")]
    pub(crate) cpu_quota: Option<i64>,
    /// CPUs to run on, as in 0-2,4
    #[arg(long, value_name = "CPUS")]
    pub(crate) cpuset_cpus: Option<String>,
    /// Memory nodes to use, as in 0,1
    #[arg(long, value_name = "NODES")]
    pub(crate) cpuset_mems: Option<String>,
    /// Weight of block I/O against others, 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    pub(crate) blkio_weight: Option<u16>,
    /// Number of processes; -1 for no limit
    #[arg(long, value_name = "NUMBER")]
    pub(crate) pids_limit: Option<i64>,
    #[command(flatten)]
    pub(crate) targets: Targets,
}
