//! `GET /containers/{id}/stats`: one sample in Docker's words, the same for cgroup v1 and v2.

use std::collections::BTreeMap;

use serde::Serialize;

/// A sample, with the CPU counters of the one before it so that clients can tell a rate.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StatsView {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) os_type: &'static str,
    pub(crate) read: String,
    pub(crate) preread: String,
    pub(crate) pids_stats: PidsView,
    pub(crate) blkio_stats: BlkioView,
    pub(crate) num_procs: u32,
    /// Windows only; clients expect it.
    pub(crate) storage_stats: BTreeMap<String, u64>,
    pub(crate) cpu_stats: CpuView,
    pub(crate) precpu_stats: CpuView,
    pub(crate) memory_stats: MemoryView,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) networks: BTreeMap<String, InterfaceView>,
}

/// Processes and threads; empty for a container that doesn't run.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct PidsView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<u64>,
}

/// Block I/O; the lists that no kernel of today fills stay null.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct BlkioView {
    pub(crate) io_service_bytes_recursive: Option<Vec<BlkioEntry>>,
    pub(crate) io_serviced_recursive: Option<Vec<BlkioEntry>>,
    pub(crate) io_queue_recursive: Option<Vec<BlkioEntry>>,
    pub(crate) io_service_time_recursive: Option<Vec<BlkioEntry>>,
    pub(crate) io_wait_time_recursive: Option<Vec<BlkioEntry>>,
    pub(crate) io_merged_recursive: Option<Vec<BlkioEntry>>,
    pub(crate) io_time_recursive: Option<Vec<BlkioEntry>>,
    pub(crate) sectors_recursive: Option<Vec<BlkioEntry>>,
}

/// One counter of one device.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct BlkioEntry {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) op: &'static str,
    pub(crate) value: u64,
}

/// CPU time.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct CpuView {
    pub(crate) cpu_usage: CpuUsageView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) system_cpu_usage: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) online_cpus: Option<u32>,
    pub(crate) throttling_data: ThrottlingView,
}

/// Nanoseconds.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct CpuUsageView {
    pub(crate) total_usage: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) percpu_usage: Vec<u64>,
    pub(crate) usage_in_kernelmode: u64,
    pub(crate) usage_in_usermode: u64,
}

/// How often and how long a CPU quota held the container back.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct ThrottlingView {
    pub(crate) periods: u64,
    pub(crate) throttled_periods: u64,
    pub(crate) throttled_time: u64,
}

/// Memory; empty for a container that doesn't run.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct MemoryView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_usage: Option<u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) stats: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failcnt: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<u64>,
}

/// One network interface.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct InterfaceView {
    pub(crate) rx_bytes: u64,
    pub(crate) rx_packets: u64,
    pub(crate) rx_errors: u64,
    pub(crate) rx_dropped: u64,
    pub(crate) tx_bytes: u64,
    pub(crate) tx_packets: u64,
    pub(crate) tx_errors: u64,
    pub(crate) tx_dropped: u64,
}
