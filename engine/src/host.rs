//! What the engine tells about the machine that it runs on.

use std::fs;
use std::path::Path;

/// Facts of this machine, as far as they can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// Its name.
    pub(crate) name: String,
    /// `6.1.0-18-amd64`
    pub(crate) kernel_version: String,
    /// `Debian GNU/Linux 12 (bookworm)`
    pub(crate) operating_system: String,
    /// `12`
    pub(crate) os_version: String,
    /// How many CPUs programs can run on.
    pub(crate) cpus: usize,
    /// All of its memory.
    pub(crate) memory_bytes: u64,
    /// Only the unified cgroup hierarchy is there.
    pub(crate) unified_cgroups: bool,
    /// Packets are forwarded between its interfaces.
    pub(crate) ipv4_forwarding: bool,
}

impl Host {
    /// Reads them. What can't be read is unknown, which is no reason not to tell the rest.
    pub(crate) fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let os_release = text("/etc/os-release");
        Self {
            name: text("/proc/sys/kernel/hostname").trim().to_owned(),
            kernel_version: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            operating_system: variable(&os_release, "PRETTY_NAME").unwrap_or("Linux").to_owned(),
            os_version: variable(&os_release, "VERSION_ID").unwrap_or_default().to_owned(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory_bytes(&text("/proc/meminfo")),
            unified_cgroups: Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
            ipv4_forwarding: text("/proc/sys/net/ipv4/ip_forward").trim() == "1",
        }
    }
}

/// A variable of os-release(5), without its quotes.
fn variable<'a>(os_release: &'a str, name: &str) -> Option<&'a str> {
    let value = os_release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches(['"', '\'']))
}

/// `MemTotal` of proc_meminfo(5), which counts in KiB.
fn memory_bytes(meminfo: &str) -> u64 {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_their_manuals_say() {
        let os_release = "NAME=\"Debian GNU/Linux\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID='12'\n";
        assert_eq!(variable(os_release, "PRETTY_NAME"), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(variable(os_release, "VERSION_ID"), Some("12"));
        assert_eq!(variable(os_release, "VERSION"), None);
        assert_eq!(memory_bytes("MemTotal:       24 kB\nMemFree: 1 kB\n"), 24576);
        assert_eq!(memory_bytes(""), 0);
    }
}
