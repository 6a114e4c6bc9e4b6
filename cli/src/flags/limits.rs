//! Limits of memory, CPU and disks: flags that `run`, `update` and `build` share.

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

/// CPU time under the real-time scheduler.
#[derive(Debug, Default, Args)]
pub(crate) struct RealTimeFlags {
    /// Length of a period of the real-time scheduler
    #[arg(long, value_name = "MICROSECONDS")]
    pub(crate) cpu_rt_period: Option<i64>,
    /// Real-time CPU time in each such period
    #[arg(long, value_name = "MICROSECONDS")]
    pub(crate) cpu_rt_runtime: Option<i64>,
}

/// How much a container reads from disks and writes to them.
#[derive(Debug, Default, Args)]
pub(crate) struct BlkioFlags {
    /// Weight against others when a disk is busy: 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    pub(crate) blkio_weight: Option<u16>,
    /// The same for one device, as in /dev/sda:200
    #[arg(long, value_name = "DEVICE:WEIGHT")]
    pub(crate) blkio_weight_device: Vec<String>,
    /// Bytes a second to read from a device, as in /dev/sda:10mb
    #[arg(long, value_name = "DEVICE:BYTES")]
    pub(crate) device_read_bps: Vec<String>,
    /// Bytes a second to write to a device
    #[arg(long, value_name = "DEVICE:BYTES")]
    pub(crate) device_write_bps: Vec<String>,
    /// Operations a second that read from a device, as in /dev/sda:1000
    #[arg(long, value_name = "DEVICE:NUMBER")]
    pub(crate) device_read_iops: Vec<String>,
    /// Operations a second that write to a device
    #[arg(long, value_name = "DEVICE:NUMBER")]
    pub(crate) device_write_iops: Vec<String>,
}
