//! Facts about the machine, for `info`.

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
    /// What is mounted where.
    mount_table: String,
    /// How many files this process has open.
    pub(crate) open_files: usize,
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
            mount_table: text("/proc/self/mountinfo"),
            open_files: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
        }
    }

    /// The kind of file system that an absolute path is on.
    pub(crate) fn file_system(&self, path: &Path) -> Option<&str> {
        file_system(&self.mount_table, path)
    }
}

/// The file system of the mount that is nearest to a path, by mountinfo of proc(5); of two on each other the later one counts.
fn file_system<'a>(mount_table: &'a str, path: &Path) -> Option<&'a str> {
    let mounts = mount_table.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let place = mount.split(' ').nth(4)?;
        path.starts_with(place).then_some((place.len(), file_system.split(' ').next()?))
    });
    mounts.max_by_key(|(length, _)| *length).map(|(_, name)| name)
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
        let mounts = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                      30 22 0:5 / /var rw - xfs /dev/sdb rw\n31 22 0:6 / /var/lib/be rw - tmpfs none rw\n";
        assert_eq!(file_system(mounts, Path::new("/var/lib/berth")), Some("xfs"));
        assert_eq!(file_system(mounts, Path::new("/srv")), Some("ext4"));
        assert_eq!(file_system("", Path::new("/srv")), None);
    }
}
