//! How this machine's cgroups are mounted.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::{Error, Result};

/// The v1 controllers that a container is put under. Others (`perf_event`, `net_cls`, …) limit nothing that we offer,
/// and each hierarchy costs a move.
const CONTROLLERS: [&str; 8] = ["cpu", "cpuacct", "cpuset", "devices", "memory", "pids", "blkio", "freezer"];

/// What `/proc/self/mountinfo` says of cgroups. Read once by each process: the table is long where much is mounted, and
/// cgroups stay where they are.
pub(super) fn mount_table() -> Result<&'static str> {
    static CGROUPS: OnceLock<String> = OnceLock::new();
    if let Some(known) = CGROUPS.get() {
        return Ok(known);
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(Error::io("read /proc/self/mountinfo"))?;
    let cgroups: String = mounts.split_inclusive('\n').filter(|line| line.contains(" - cgroup")).collect();
    // Where there are none, somebody may still mount them.
    if cgroups.is_empty() { Ok("") } else { Ok(CGROUPS.get_or_init(|| cgroups)) }
}

/// How cgroups are mounted. Hybrid is v1 here: its v2 tree has no controllers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Hierarchies with at least one controller of interest.
    V1(Vec<Hierarchy>),
    /// The one tree.
    V2(PathBuf),
}

/// A v1 hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// Where its root is.
    pub(crate) mount: PathBuf,
    /// Which controllers of interest it has.
    pub(crate) controllers: Vec<&'static str>,
}

impl Layout {
    /// Reads it from this process's mounts.
    pub(crate) fn detect() -> Result<Self> {
        Self::parse(mount_table()?).ok_or_else(|| Error::NotSupported {
            what: "running containers".to_owned(),
            reason: "neither cgroup v2 nor any v1 hierarchy is mounted; mount them on /sys/fs/cgroup".to_owned(),
        })
    }

    fn parse(mountinfo: &str) -> Option<Self> {
        let mut hierarchies: Vec<Hierarchy> = Vec::new();
        let mut unified = None;
        for line in mountinfo.lines() {
            let Some((before, after)) = line.split_once(" - ") else { continue };
            let mut before = before.split(' ').skip(3);
            let (Some("/"), Some(mount)) = (before.next(), before.next()) else { continue };
            let mut after = after.split(' ');
            match (after.next(), after.nth(1)) {
                (Some("cgroup2"), _) => {
                    unified.get_or_insert_with(|| PathBuf::from(mount));
                }
                (Some("cgroup"), Some(options)) => {
                    let controllers: Vec<_> = CONTROLLERS
                        .into_iter()
                        .filter(|name| options.split(',').any(|option| option == *name))
                        .collect();
                    let known = hierarchies.iter().any(|other| other.controllers == controllers);
                    if !controllers.is_empty() && !known {
                        hierarchies.push(Hierarchy { mount: mount.into(), controllers });
                    }
                }
                _ => {}
            }
        }
        if hierarchies.is_empty() { unified.map(Self::V2) } else { Some(Self::V1(hierarchies)) }
    }
}

/// Root of the hierarchy with a controller.
pub(crate) fn with_controller<'a>(hierarchies: &'a [Hierarchy], name: &str) -> Option<&'a Path> {
    hierarchies
        .iter()
        .find(|hierarchy| hierarchy.controllers.contains(&name))
        .map(|hierarchy| hierarchy.mount.as_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_of_today_are_told_apart() {
        let v2 = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(Layout::parse(v2), Some(Layout::V2("/sys/fs/cgroup".into())));

        let hybrid = "\
            25 24 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            26 25 0:23 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw\n\
            27 25 0:24 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
            28 25 0:25 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
            29 25 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            31 25 0:27 / /elsewhere rw - cgroup cgroup rw,memory\n\
            32 25 0:27 /docker/x /bound rw - cgroup cgroup rw,pids\n";
        let hierarchy = |mount: &str, controllers: &[&'static str]| Hierarchy {
            mount: mount.into(),
            controllers: controllers.to_vec(),
        };
        assert_eq!(
            Layout::parse(hybrid),
            Some(Layout::V1(vec![
                hierarchy("/sys/fs/cgroup/cpu,cpuacct", &["cpu", "cpuacct"]),
                hierarchy("/sys/fs/cgroup/memory", &["memory"]),
            ]))
        );
        assert_eq!(Layout::parse("25 24 0:22 / / rw - ext4 /dev/vda rw\n"), None);
    }
}
