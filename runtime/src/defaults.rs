//! What Docker gives every container: hidden and read-only paths, the size of `/dev/shm`.

use std::path::Path;

/// Size of `/dev/shm` unless asked otherwise.
pub const SHM_SIZE_BYTES: u64 = 64 * 1024 * 1024;

/// Paths hidden from a container; none from a privileged one.
pub fn masked_paths(privileged: bool) -> Vec<String> {
    const MASKED: [&str; 11] = [
        "/proc/asound",
        "/proc/acpi",
        "/proc/interrupts",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/proc/sched_debug",
        "/proc/scsi",
        "/sys/firmware",
    ];
    // Power readings of a CPU tell what it works on (CVE-2020-8694).
    const POWER: &str = "/sys/devices/virtual/powercap";
    if privileged {
        return Vec::new();
    }
    MASKED.iter().chain([&POWER]).map(|&path| path.to_owned()).chain(thermal_throttle()).collect()
}

/// How often each processor was too hot, which tells of the work of others as well.
fn thermal_throttle() -> impl Iterator<Item = String> {
    let processors = std::fs::read_dir("/sys/devices/system/cpu").into_iter().flatten().flatten();
    let names = processors.filter_map(|entry| entry.file_name().into_string().ok());
    let numbers = names.filter_map(|name| name.strip_prefix("cpu")?.parse::<u32>().ok());
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    let paths = numbers.into_iter().map(|number| format!("/sys/devices/system/cpu/cpu{number}/thermal_throttle"));
    paths.filter(|path| Path::new(path).exists())
}

/// Paths that a container can't write to; none for a privileged one.
pub fn readonly_paths(privileged: bool) -> Vec<String> {
    const READONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];
    if privileged { Vec::new() } else { READONLY.iter().map(|&path| path.to_owned()).collect() }
}
