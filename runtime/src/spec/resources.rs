//! Limits, weights and devices: what becomes files of a cgroup, v1 or v2.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Limits and weights; what is `None` stays at the kernel's default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Hard limit of memory.
    pub memory_bytes: Option<u64>,
    /// Soft limit of memory.
    pub memory_reservation_bytes: Option<u64>,
    /// Limit of memory and swap together, as Docker counts; -1 for no limit of swap.
    pub memory_and_swap_bytes: Option<i64>,
    /// 0 to 100 (cgroup v1 only).
    pub swappiness: Option<u8>,
    /// Never kill, let processes wait for memory instead (cgroup v1 only).
    pub oom_kill_disable: bool,
    /// Weight against others, 2 to 262144; 1024 is the default.
    pub cpu_shares: Option<u64>,
    /// CPU time in each period; `--cpus=1.5` is 150000 of 100000.
    pub cpu_quota_microseconds: Option<i64>,
    /// Length of a period.
    pub cpu_period_microseconds: Option<u64>,
    /// CPUs it may run on, such as `0-2,7`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes it may use.
    pub cpuset_mems: Option<String>,
    /// Most processes and threads at a time; `None` or -1 is no limit.
    pub pids_limit: Option<i64>,
    /// Weight of block I/O against others, 10 to 1000.
    pub blkio_weight: Option<u16>,
    /// The same for single devices.
    pub blkio_weight_devices: Vec<BlkioWeightDevice>,
    /// Bytes read from a device in a second.
    pub blkio_read_bps: Vec<ThrottleDevice>,
    /// Bytes written to a device in a second.
    pub blkio_write_bps: Vec<ThrottleDevice>,
    /// Reads from a device in a second.
    pub blkio_read_iops: Vec<ThrottleDevice>,
    /// Writes to a device in a second.
    pub blkio_write_iops: Vec<ThrottleDevice>,
    /// Device access beyond the default rules and the container's own devices, in order.
    pub device_rules: Vec<DeviceRule>,
}

/// Weight of one block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlkioWeightDevice {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
    /// 10 to 1000.
    pub weight: u16,
}

/// A rate of one block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThrottleDevice {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
    /// Bytes or operations in a second.
    pub rate: u64,
}

/// Block or character device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// `b`
    Block,
    /// `c`
    Character,
}

/// A device of the host that the container gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Path inside the container, below `/dev`.
    pub path: PathBuf,
    /// Block or character device.
    pub kind: DeviceKind,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permissions of the node.
    pub mode: u32,
    /// Owner of the node.
    pub uid: u32,
    /// Group of the node.
    pub gid: u32,
    /// What the cgroup allows: some of `rwm`.
    pub access: String,
}

/// A rule of device access, as `--device-cgroup-rule` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// Allow or deny.
    pub allow: bool,
    /// Both kinds without it.
    pub kind: Option<DeviceKind>,
    /// Any without it.
    pub major: Option<u32>,
    /// Any without it.
    pub minor: Option<u32>,
    /// Some of `rwm`.
    pub access: String,
}
