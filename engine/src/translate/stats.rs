//! Resource usage of a container, as Docker's API has it.

use jiff::Timestamp;
use runtime::stats::{BlkioStats, CpuStats, InterfaceStats, MemoryStats, Stats};

use crate::wire::stats::{
    BlkioEntry, BlkioView, CpuUsageView, CpuView, InterfaceView, MemoryView, PidsView, StatsView, ThrottlingView,
};

/// What Go prints for a time that isn't set.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// A sample and when it was taken.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) at: Timestamp,
    pub(crate) stats: Stats,
}

/// The sample `now` of a container, after the sample `before`. Without a sample the container doesn't run.
pub(crate) fn view(id: &str, name: &str, now: Option<&Sample>, before: Option<&Sample>) -> StatsView {
    let time = |sample: Option<&Sample>| sample.map_or(NEVER.to_owned(), |sample| sample.at.to_string());
    let stats = now.map(|sample| &sample.stats);
    StatsView {
        name: format!("/{name}"),
        id: id.to_owned(),
        os_type: "linux",
        read: time(now),
        preread: time(before),
        pids_stats: stats.map_or_else(PidsView::default, |stats| PidsView {
            current: Some(stats.pids.current),
            limit: stats.pids.limit,
        }),
        blkio_stats: stats.map_or_else(BlkioView::default, |stats| blkio(&stats.blkio)),
        num_procs: 0,
        storage_stats: Default::default(),
        cpu_stats: stats.map_or_else(CpuView::default, |stats| cpu(&stats.cpu)),
        precpu_stats: before.map_or_else(CpuView::default, |sample| cpu(&sample.stats.cpu)),
        memory_stats: stats.map_or_else(MemoryView::default, |stats| memory(&stats.memory)),
        networks: stats
            .map(|stats| stats.networks.iter().map(|(name, counters)| (name.clone(), interface(counters))).collect())
            .unwrap_or_default(),
    }
}

fn cpu(stats: &CpuStats) -> CpuView {
    CpuView {
        cpu_usage: CpuUsageView {
            total_usage: stats.total_nanoseconds,
            percpu_usage: stats.per_cpu_nanoseconds.clone(),
            usage_in_kernelmode: stats.system_nanoseconds,
            usage_in_usermode: stats.user_nanoseconds,
        },
        system_cpu_usage: Some(stats.host_nanoseconds),
        online_cpus: Some(stats.online_cpus),
        throttling_data: ThrottlingView {
            periods: stats.periods,
            throttled_periods: stats.throttled_periods,
            throttled_time: stats.throttled_nanoseconds,
        },
    }
}

fn memory(stats: &MemoryStats) -> MemoryView {
    MemoryView {
        usage: Some(stats.usage_bytes),
        max_usage: (stats.max_usage_bytes > 0).then_some(stats.max_usage_bytes),
        stats: stats.counters.clone(),
        failcnt: (stats.failures > 0).then_some(stats.failures),
        limit: Some(stats.limit_bytes),
    }
}

fn blkio(devices: &[BlkioStats]) -> BlkioView {
    let entries = |counters: fn(&BlkioStats) -> [(&'static str, u64); 2]| {
        let of_device = |device: &BlkioStats| {
            let (major, minor) = (device.major, device.minor);
            counters(device).map(|(op, value)| BlkioEntry { major, minor, op, value })
        };
        devices.iter().flat_map(of_device).collect()
    };
    BlkioView {
        io_service_bytes_recursive: Some(entries(|device| {
            [("read", device.read_bytes), ("write", device.write_bytes)]
        })),
        io_serviced_recursive: Some(entries(|device| {
            [("read", device.read_operations), ("write", device.write_operations)]
        })),
        ..BlkioView::default()
    }
}

fn interface(counters: &InterfaceStats) -> InterfaceView {
    InterfaceView {
        rx_bytes: counters.rx_bytes,
        rx_packets: counters.rx_packets,
        rx_errors: counters.rx_errors,
        rx_dropped: counters.rx_dropped,
        tx_bytes: counters.tx_bytes,
        tx_packets: counters.tx_packets,
        tx_errors: counters.tx_errors,
        tx_dropped: counters.tx_dropped,
    }
}

#[cfg(test)]
mod tests {
    use runtime::stats::PidsStats;

    use super::*;

    fn sample(seconds: u64) -> Sample {
        Sample {
            at: Timestamp::from_second(1_763_719_200 + i64::try_from(seconds).expect("small")).expect("a time"),
            stats: Stats {
                cpu: CpuStats { total_nanoseconds: seconds * 100, online_cpus: 2, ..CpuStats::default() },
                memory: MemoryStats {
                    usage_bytes: 4096,
                    limit_bytes: 65536,
                    counters: [("inactive_file".to_owned(), 12)].into(),
                    ..MemoryStats::default()
                },
                pids: PidsStats { current: 3, limit: None },
                blkio: vec![BlkioStats { major: 8, read_bytes: 7, write_operations: 9, ..BlkioStats::default() }],
                networks: [("eth0".to_owned(), InterfaceStats { rx_bytes: 5, ..InterfaceStats::default() })].into(),
            },
        }
    }

    #[test]
    fn a_sample_is_shown_as_docker_shows_it() {
        let view = view("c0ffee", "till", Some(&sample(2)), Some(&sample(1)));
        let text = serde_json::to_string(&view).expect("plain values");
        assert_eq!(
            text,
            concat!(
                r#"{"name":"/till","id":"c0ffee","os_type":"linux","read":"2025-11-21T10:00:02Z","preread":"2025-11-21T10:00:01Z","#,
                r#""pids_stats":{"current":3},"#,
                r#""blkio_stats":{"io_service_bytes_recursive":[{"major":8,"minor":0,"op":"read","value":7},"#,
                r#"{"major":8,"minor":0,"op":"write","value":0}],"#,
                r#""io_serviced_recursive":[{"major":8,"minor":0,"op":"read","value":0},"#,
                r#"{"major":8,"minor":0,"op":"write","value":9}],"io_queue_recursive":null,"#,
                r#""io_service_time_recursive":null,"io_wait_time_recursive":null,"io_merged_recursive":null,"#,
                r#""io_time_recursive":null,"sectors_recursive":null},"num_procs":0,"storage_stats":{},"#,
                r#""cpu_stats":{"cpu_usage":{"total_usage":200,"usage_in_kernelmode":0,"usage_in_usermode":0},"#,
                r#""system_cpu_usage":0,"online_cpus":2,"#,
                r#""throttling_data":{"periods":0,"throttled_periods":0,"throttled_time":0}},"#,
                r#""precpu_stats":{"cpu_usage":{"total_usage":100,"usage_in_kernelmode":0,"usage_in_usermode":0},"#,
                r#""system_cpu_usage":0,"online_cpus":2,"#,
                r#""throttling_data":{"periods":0,"throttled_periods":0,"throttled_time":0}},"#,
                r#""memory_stats":{"usage":4096,"stats":{"inactive_file":12},"limit":65536},"#,
                r#""networks":{"eth0":{"rx_bytes":5,"rx_packets":0,"rx_errors":0,"rx_dropped":0,"#,
                r#""tx_bytes":0,"tx_packets":0,"tx_errors":0,"tx_dropped":0}}}"#,
            )
        );
    }

    #[test]
    fn a_container_that_does_not_run_uses_nothing() {
        let view = view("c0ffee", "till", None, None);
        let text = serde_json::to_string(&view).expect("plain values");
        assert!(text.contains(r#""read":"0001-01-01T00:00:00Z""#), "{text}");
        assert!(text.contains(r#""pids_stats":{}"#) && text.contains(r#""memory_stats":{}"#), "{text}");
    }
}
