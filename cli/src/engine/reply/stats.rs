//! Resource usage of a container.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::or_default;

/// A line of `GET /containers/{id}/stats`.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct Stats {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) cpu_stats: CpuStats,
    pub(crate) precpu_stats: CpuStats,
    pub(crate) memory_stats: MemoryStats,
    pub(crate) pids_stats: PidsStats,
    #[serde(deserialize_with = "or_default")]
    pub(crate) networks: BTreeMap<String, NetworkStats>,
    pub(crate) blkio_stats: BlockStats,
}

/// Part of [`Stats`].
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct CpuStats {
    pub(crate) cpu_usage: CpuUsage,
    pub(crate) system_cpu_usage: u64,
    pub(crate) online_cpus: u32,
}

/// Part of [`CpuStats`]; nanoseconds.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct CpuUsage {
    pub(crate) total_usage: u64,
}

/// Part of [`Stats`]; bytes.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct MemoryStats {
    pub(crate) usage: u64,
    pub(crate) limit: u64,
    #[serde(deserialize_with = "or_default")]
    pub(crate) stats: BTreeMap<String, u64>,
}

/// Part of [`Stats`].
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct PidsStats {
    pub(crate) current: u64,
}

/// Part of [`Stats`], of one interface.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct NetworkStats {
    pub(crate) rx_bytes: u64,
    pub(crate) tx_bytes: u64,
}

/// Part of [`Stats`].
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct BlockStats {
    #[serde(deserialize_with = "or_default")]
    pub(crate) io_service_bytes_recursive: Vec<BlockEntry>,
}

/// Part of [`BlockStats`].
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct BlockEntry {
    pub(crate) op: String,
    pub(crate) value: u64,
}
