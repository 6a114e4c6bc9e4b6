//! Resource usage of containers.

use crate::engine::reply::{CpuStats, MemoryStats, Stats};

use super::format::{Columns, Row};
use super::{human, shown_id};

/// Fields of a container's use.
pub(crate) const COLUMNS: Columns = Columns {
    headings: &[
        ("Container", "CONTAINER"),
        ("ID", "CONTAINER ID"),
        ("Name", "NAME"),
        ("CPUPerc", "CPU %"),
        ("MemUsage", "MEM USAGE / LIMIT"),
        ("MemPerc", "MEM %"),
        ("NetIO", "NET I/O"),
        ("BlockIO", "BLOCK I/O"),
        ("PIDs", "PIDS"),
    ],
    table: "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}",
    quiet: "{{.ID}}",
};

/// A container's use as a line of a list; dashes before its first figures.
pub(crate) fn row(container: &str, stats: Option<&Stats>, whole: bool) -> Row {
    let Some(stats) = stats else {
        let unknown = || "--".to_owned();
        return Row::new([
            ("Container", container.to_owned()),
            ("ID", shown_id(container, whole)),
            ("Name", unknown()),
            ("CPUPerc", unknown()),
            ("MemUsage", "-- / --".to_owned()),
            ("MemPerc", unknown()),
            ("NetIO", unknown()),
            ("BlockIO", unknown()),
            ("PIDs", unknown()),
        ]);
    };
    let memory = used_memory(&stats.memory_stats);
    let limit = stats.memory_stats.limit;
    let received: u64 = stats.networks.values().map(|network| network.rx_bytes).sum();
    let sent: u64 = stats.networks.values().map(|network| network.tx_bytes).sum();
    Row::new([
        ("Container", container.to_owned()),
        ("ID", shown_id(&stats.id, whole)),
        ("Name", stats.name.strip_prefix('/').unwrap_or(&stats.name).to_owned()),
        ("CPUPerc", human::percent(cpu_percent(&stats.precpu_stats, &stats.cpu_stats))),
        ("MemUsage", format!("{} / {}", human::binary_size(memory), human::binary_size(limit))),
        ("MemPerc", human::percent(share(memory, limit) * 100.0)),
        ("NetIO", format!("{} / {}", human::size(signed(received)), human::size(signed(sent)))),
        ("BlockIO", format!("{} / {}", blocks(stats, "read"), blocks(stats, "write"))),
        ("PIDs", stats.pids_stats.current.to_string()),
    ])
}

/// Share of one CPU's time between two readings: 200 % are two CPUs.
fn cpu_percent(before: &CpuStats, now: &CpuStats) -> f64 {
    let used = now.cpu_usage.total_usage.saturating_sub(before.cpu_usage.total_usage);
    let passed = now.system_cpu_usage.saturating_sub(before.system_cpu_usage);
    share(used, passed) * f64::from(now.online_cpus.max(1)) * 100.0
}

/// What is in use without the page cache that the kernel would give up first; its name differs between cgroup versions.
fn used_memory(stats: &MemoryStats) -> u64 {
    let cache = stats.stats.get("total_inactive_file").or_else(|| stats.stats.get("inactive_file"));
    stats.usage.checked_sub(cache.copied().unwrap_or(0)).unwrap_or(stats.usage)
}

fn blocks(stats: &Stats, operation: &str) -> String {
    let entries = stats.blkio_stats.io_service_bytes_recursive.iter();
    let bytes: u64 = entries.filter(|entry| entry.op.eq_ignore_ascii_case(operation)).map(|entry| entry.value).sum();
    human::size(signed(bytes))
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::format::Format;

    #[test]
    fn a_line() {
        let stats: Stats = serde_json::from_value(serde_json::json!({
            "id": "0123456789abcdef", "name": "/web",
            "cpu_stats": {"cpu_usage": {"total_usage": 300_000}, "system_cpu_usage": 2_000_000, "online_cpus": 2},
            "precpu_stats": {"cpu_usage": {"total_usage": 100_000}, "system_cpu_usage": 1_000_000},
            "memory_stats": {"usage": 5_000_000, "limit": 1_073_741_824, "stats": {"total_inactive_file": 990_246}},
            "pids_stats": {"current": 3}, "networks": {"eth0": {"rx_bytes": 1200, "tx_bytes": 0}},
            "blkio_stats": {"io_service_bytes_recursive": [{"op": "Read", "value": 4096}, {"op": "write", "value": 1}]},
        }))
        .unwrap();
        let rows = [row("web", Some(&stats), false), row("db", None, false)];
        insta::assert_snapshot!(Format::parse(None, false, &COLUMNS).render(&COLUMNS, rows).unwrap(), @r"
        CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT   MEM %     NET I/O      BLOCK I/O    PIDS
        0123456789ab   web       40.00%    3.824MiB / 1GiB     0.37%     1.2kB / 0B   4.1kB / 1B   3
        db             --        --        -- / --             --        --           --           --
        ");
    }
}
