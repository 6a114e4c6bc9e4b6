//! Reads a cgroup's counters, v1 or v2, into one shape.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::layout::{Hierarchy, with_controller};
use crate::stats::{BlkioStats, CpuStats, MemoryStats, PidsStats, Stats};
use crate::{Error, Result};

/// Clock ticks of `/proc/stat` and `cpuacct.stat` are hundredths of a second on every Linux that we run on.
const TICK_NANOSECONDS: u64 = 10_000_000;

pub(super) fn read_v1(hierarchies: &[Hierarchy], path: &Path) -> Result<Stats> {
    let text = |controller: &str, file: &str| {
        with_controller(hierarchies, controller)
            .and_then(|root| fs::read_to_string(root.join(path).join(file)).ok())
            .unwrap_or_default()
    };
    of_v1(text)
}

fn of_v1(text: impl Fn(&str, &str) -> String) -> Result<Stats> {
    let host = HostCpu::read()?;
    let ticks = pairs(&text("cpuacct", "cpuacct.stat"));
    let throttling = pairs(&text("cpu", "cpu.stat"));
    let cpu = CpuStats {
        total_nanoseconds: number(&text("cpuacct", "cpuacct.usage")),
        system_nanoseconds: get(&ticks, "system").saturating_mul(TICK_NANOSECONDS),
        user_nanoseconds: get(&ticks, "user").saturating_mul(TICK_NANOSECONDS),
        per_cpu_nanoseconds: text("cpuacct", "cpuacct.usage_percpu").split_whitespace().map(number).collect(),
        host_nanoseconds: host.nanoseconds,
        online_cpus: host.online_cpus,
        periods: get(&throttling, "nr_periods"),
        throttled_periods: get(&throttling, "nr_throttled"),
        throttled_nanoseconds: get(&throttling, "throttled_time"),
    };
    let memory = MemoryStats {
        usage_bytes: number(&text("memory", "memory.usage_in_bytes")),
        max_usage_bytes: number(&text("memory", "memory.max_usage_in_bytes")),
        limit_bytes: limit_or_all(number(&text("memory", "memory.limit_in_bytes")))?,
        failures: number(&text("memory", "memory.failcnt")),
        counters: pairs(&text("memory", "memory.stat")),
    };
    let pids = PidsStats {
        current: number(&text("pids", "pids.current")),
        limit: text("pids", "pids.max").trim().parse().ok(),
    };
    let blkio = blkio_v1(
        &text("blkio", "blkio.throttle.io_service_bytes_recursive"),
        &text("blkio", "blkio.throttle.io_serviced_recursive"),
    );
    Ok(Stats { cpu, memory, pids, blkio, networks: BTreeMap::new() })
}

pub(super) fn read_v2(directory: &Path) -> Result<Stats> {
    of_v2(|file| fs::read_to_string(directory.join(file)).unwrap_or_default())
}

/// Whatever is in all files.
#[cfg(fuzzing)]
pub(crate) fn of_any(text: &str) {
    HostCpu::parse(text);
    for stats in [of_v1(|_, _| text.to_owned()), of_v2(|_| text.to_owned())] {
        stats.expect("the machine's own files are there");
    }
}

fn of_v2(text: impl Fn(&str) -> String) -> Result<Stats> {
    let host = HostCpu::read()?;
    let usage = pairs(&text("cpu.stat"));
    let microseconds = |name: &str| get(&usage, name).saturating_mul(1_000);
    let cpu = CpuStats {
        total_nanoseconds: microseconds("usage_usec"),
        system_nanoseconds: microseconds("system_usec"),
        user_nanoseconds: microseconds("user_usec"),
        per_cpu_nanoseconds: Vec::new(),
        host_nanoseconds: host.nanoseconds,
        online_cpus: host.online_cpus,
        periods: get(&usage, "nr_periods"),
        throttled_periods: get(&usage, "nr_throttled"),
        throttled_nanoseconds: microseconds("throttled_usec"),
    };
    let memory = MemoryStats {
        usage_bytes: number(&text("memory.current")),
        max_usage_bytes: number(&text("memory.peak")),
        // "max" is no number.
        limit_bytes: limit_or_all(text("memory.max").trim().parse().unwrap_or(u64::MAX))?,
        failures: get(&pairs(&text("memory.events")), "max"),
        counters: pairs(&text("memory.stat")),
    };
    let pids = PidsStats { current: number(&text("pids.current")), limit: text("pids.max").trim().parse().ok() };
    Ok(Stats { cpu, memory, pids, blkio: blkio_v2(&text("io.stat")), networks: BTreeMap::new() })
}

/// CPU time of the whole machine.
struct HostCpu {
    nanoseconds: u64,
    online_cpus: u32,
}

impl HostCpu {
    fn read() -> Result<Self> {
        let text = fs::read_to_string("/proc/stat").map_err(Error::io("read /proc/stat"))?;
        Ok(Self::parse(&text))
    }

    fn parse(stat: &str) -> Self {
        let mut lines = stat.lines().filter(|line| line.starts_with("cpu"));
        // Guest time, the ninth and tenth number, is counted in user time already.
        let ticks = lines.next().unwrap_or_default().split_whitespace().skip(1).take(8).map(number);
        let ticks = ticks.fold(0, u64::saturating_add);
        let online_cpus = u32::try_from(lines.count()).unwrap_or(u32::MAX);
        Self { nanoseconds: ticks.saturating_mul(TICK_NANOSECONDS), online_cpus }
    }
}

/// "No limit" is a number near the largest one on v1; what can be used then is the machine's memory.
fn limit_or_all(limit: u64) -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo").map_err(Error::io("read /proc/meminfo"))?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.strip_suffix(" kB")).map_or(0, number);
    Ok(limit.min(total.saturating_mul(1024)))
}

fn blkio_v1(bytes: &str, operations: &str) -> Vec<BlkioStats> {
    let mut devices: BTreeMap<(u64, u64), BlkioStats> = BTreeMap::new();
    for (text, is_bytes) in [(bytes, true), (operations, false)] {
        for line in text.lines() {
            let mut fields = line.split_whitespace();
            let (Some(device), Some(kind), Some(value)) = (fields.next(), fields.next(), fields.next()) else {
                continue;
            };
            let Some((major, minor)) = device.split_once(':') else { continue };
            let (major, minor) = (number(major), number(minor));
            let entry =
                devices.entry((major, minor)).or_insert_with(|| BlkioStats { major, minor, ..BlkioStats::default() });
            match (kind, is_bytes) {
                ("Read", true) => entry.read_bytes = number(value),
                ("Write", true) => entry.write_bytes = number(value),
                ("Read", false) => entry.read_operations = number(value),
                ("Write", false) => entry.write_operations = number(value),
                _ => {}
            }
        }
    }
    devices.into_values().collect()
}

fn blkio_v2(io_stat: &str) -> Vec<BlkioStats> {
    let device = |line: &str| {
        let mut fields = line.split_whitespace();
        let (major, minor) = fields.next()?.split_once(':')?;
        let values: BTreeMap<String, u64> = fields
            .filter_map(|field| field.split_once('='))
            .map(|(name, value)| (name.to_owned(), number(value)))
            .collect();
        Some(BlkioStats {
            major: number(major),
            minor: number(minor),
            read_bytes: get(&values, "rbytes"),
            write_bytes: get(&values, "wbytes"),
            read_operations: get(&values, "rios"),
            write_operations: get(&values, "wios"),
        })
    };
    io_stat.lines().filter_map(device).collect()
}

/// Lines of `name number`.
fn pairs(text: &str) -> BTreeMap<String, u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?)))
        .collect()
}

fn get(values: &BTreeMap<String, u64>, name: &str) -> u64 {
    values.get(name).copied().unwrap_or(0)
}

/// A counter; a kernel that doesn't have it counts as zero.
fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_s_cpu_time_leaves_guests_out() {
        let host = HostCpu::parse("cpu  1 2 3 4 5 6 7 8 100 100\ncpu0 1 2 3\ncpu1 1 2 3\nintr 9\n");
        assert_eq!((host.nanoseconds, host.online_cpus), (36 * TICK_NANOSECONDS, 2));
    }

    #[test]
    fn both_block_io_formats_say_the_same() {
        let v1 =
            blkio_v1("8:0 Read 4096\n8:0 Write 512\n8:0 Sync 4608\nTotal 4608\n", "8:0 Read 1\n8:0 Write 2\nTotal 3\n");
        let v2 = blkio_v2("8:0 rbytes=4096 wbytes=512 rios=1 wios=2 dbytes=0 dios=0\n");
        assert_eq!(v1, v2);
        assert_eq!((v2[0].read_bytes, v2[0].write_operations), (4096, 2));
    }
}
