//! Limits of memory and CPU: flags that `run`, `update` and `build` share.

use clap::Args;

/// How much memory and CPU processes get.
#[derive(Debug, Default, Args)]
pub(crate) struct CgroupFlags {
    /// Memory, as in 512m or 2g, at least 6m
    #[arg(short, long, value_name = "BYTES")]
    pub(crate) memory: Option<String>,
    /// Memory and swap together, as in 1g; -1 for unlimited swap
    #[arg(long, value_name = "BYTES")]
    pub(crate) memory_swap: Option<String>,
    /// Weight against others when CPUs are short: 2 to 262144, 1024 when absent
    #[arg(short, long, value_name = "WEIGHT")]
    pub(crate) cpu_shares: Option<i64>,
    /// Length of a CPU accounting period; 100000 when absent
    #[arg(long, value_name = "MICROSECONDS")]
    pub(crate) cpu_period: Option<i64>,
    /// CPU time in each period, as in 50000 for half a CPU
    #[arg(long, value_name = "MICROSECONDS")]
    pub(crate) cpu_quota: Option<i64>,
    /// CPUs to run on, as in 0-2,4
    #[arg(long, value_name = "CPUS")]
    pub(crate) cpuset_cpus: Option<String>,
    /// Memory nodes to use, as in 0,1
    #[arg(long, value_name = "NODES")]
    pub(crate) cpuset_mems: Option<String>,
}

/// How much of the host a container gets.
#[derive(Debug, Default, Args)]
pub(crate) struct ContainerLimitFlags {
    #[command(flatten)]
    pub(crate) cgroup: CgroupFlags,
    /// Memory to fall back to when this host runs short, as in 256m
    #[arg(long, value_name = "BYTES")]
    pub(crate) memory_reservation: Option<String>,
    /// Number of CPUs, as in 1.5
    #[arg(long, value_name = "CPUS")]
    pub(crate) cpus: Option<String>,
    /// Number of processes; -1 for no limit
    #[arg(long, value_name = "NUMBER")]
    pub(crate) pids_limit: Option<i64>,
}
