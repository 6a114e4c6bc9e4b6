//! Resource usage of a container, the same for cgroup v1 and v2.

use std::collections::BTreeMap;
use std::fs;

/// Counters of one container at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// CPU time.
    pub cpu: CpuStats,
    /// Memory.
    pub memory: MemoryStats,
    /// Processes and threads.
    pub pids: PidsStats,
    /// Block I/O, one entry per device.
    pub blkio: Vec<BlkioStats>,
    /// Network interfaces by name, without `lo`. Empty in the host's network namespace.
    pub networks: BTreeMap<String, InterfaceStats>,
}

/// CPU time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CpuStats {
    /// All of it.
    pub total_nanoseconds: u64,
    /// In the kernel.
    pub system_nanoseconds: u64,
    /// In programs.
    pub user_nanoseconds: u64,
    /// By CPU (cgroup v1 only).
    pub per_cpu_nanoseconds: Vec<u64>,
    /// Of the whole machine, all CPUs together, busy and idle.
    pub host_nanoseconds: u64,
    /// CPUs online.
    pub online_cpus: u32,
    /// Quota periods that have passed.
    pub periods: u64,
    /// Those in which it was held back.
    pub throttled_periods: u64,
    /// How long it was held back.
    pub throttled_nanoseconds: u64,
}

/// Memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryStats {
    /// In use, page cache included.
    pub usage_bytes: u64,
    /// Most ever in use (cgroup v1, and v2 since Linux 5.19).
    pub max_usage_bytes: u64,
    /// The limit that holds: the container's, or the machine's memory.
    pub limit_bytes: u64,
    /// How often the limit was hit.
    pub failures: u64,
    /// `memory.stat` as the kernel names it (`cache`, `rss`, … on v1; `anon`, `file`, … on v2).
    pub counters: BTreeMap<String, u64>,
}

/// Processes and threads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PidsStats {
    /// There are now.
    pub current: u64,
    /// There may be; `None` is no limit.
    pub limit: Option<u64>,
}

/// Block I/O of one device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlkioStats {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub write_bytes: u64,
    /// Reads.
    pub read_operations: u64,
    /// Writes.
    pub write_operations: u64,
}

/// Counters of one network interface, as the container sees them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InterfaceStats {
    /// Bytes received.
    pub rx_bytes: u64,
    /// Packets received.
    pub rx_packets: u64,
    /// Receive errors.
    pub rx_errors: u64,
    /// Packets received and dropped.
    pub rx_dropped: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Send errors.
    pub tx_errors: u64,
    /// Packets to be sent and dropped.
    pub tx_dropped: u64,
}

/// The interfaces in the network namespace of a process; none when that is our own, where they aren't the container's.
pub(crate) fn interfaces_of(pid: i32) -> BTreeMap<String, InterfaceStats> {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
    if namespace(&pid.to_string()) == namespace("self") {
        return BTreeMap::new();
    }
    // A process that has ended meanwhile has none.
    fs::read_to_string(format!("/proc/{pid}/net/dev")).map(|text| parse_interfaces(&text)).unwrap_or_default()
}

pub(crate) fn parse_interfaces(text: &str) -> BTreeMap<String, InterfaceStats> {
    let interface = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let numbers: Vec<u64> = numbers.split_whitespace().map(|number| number.parse().unwrap_or(0)).collect();
        let [rx_bytes, rx_packets, rx_errors, rx_dropped, _, _, _, _, tx_bytes, tx_packets, tx_errors, tx_dropped, ..] =
            numbers[..]
        else {
            return None;
        };
        let stats =
            InterfaceStats { rx_bytes, rx_packets, rx_errors, rx_dropped, tx_bytes, tx_packets, tx_errors, tx_dropped };
        Some((name.trim().to_owned(), stats)).filter(|(name, _)| name != "lo")
    };
    text.lines().filter_map(interface).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_read_without_the_loopback() {
        let text = "Inter-|   Receive |  Transmit\n face |bytes packets\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  \
                    eth0: 10 2 3 4 0 0 0 0 50 6 7 8 0 0 0 0\n";
        let interfaces = parse_interfaces(text);
        let eth0 = interfaces["eth0"];
        assert_eq!((interfaces.len(), eth0.rx_dropped, eth0.tx_bytes, eth0.tx_dropped), (1, 4, 50, 8));
    }
}
