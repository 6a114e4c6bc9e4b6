//! cgroup v1: a directory in each hierarchy.

use std::fs;
use std::path::Path;

use super::devices::AccessRule;
use super::layout::{Hierarchy, with_controller};
use super::limits::{self, Set, Throttle};
use super::{make_directory, missing_controller, write, write_unless_gone};
use crate::spec::Resources;
use crate::{Error, Result};

pub(super) fn create(
    hierarchies: &[Hierarchy],
    path: &Path,
    resources: &Resources,
    devices: Option<&[AccessRule]>,
) -> Result<()> {
    for hierarchy in hierarchies {
        let mut directory = hierarchy.mount.clone();
        for part in path {
            directory.push(part);
            make_directory(&directory)?;
            if hierarchy.controllers.contains(&"cpuset") {
                inherit_cpuset(&directory)?;
            }
        }
    }
    limit(hierarchies, path, resources)?;
    if let (Some(rules), Some(root)) = (devices, with_controller(hierarchies, "devices")) {
        let directory = root.join(path);
        write(&directory.join("devices.deny"), "a")?;
        for rule in rules {
            let file = if rule.allow { "devices.allow" } else { "devices.deny" };
            write(&directory.join(file), &rule.to_string())?;
        }
    }
    Ok(())
}

/// A new cpuset has neither CPUs nor memory nodes, and no process can be moved into it before it has. It may be new and
/// somebody else's: containers that start at once make what is above them together.
fn inherit_cpuset(directory: &Path) -> Result<()> {
    let Some(parent) = directory.parent() else { return Ok(()) };
    let read = |path: &Path| fs::read_to_string(path).map_err(Error::io(format!("read {}", path.display())));
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let path = directory.join(file);
        if read(&path)?.trim().is_empty() {
            write(&path, read(&parent.join(file))?.trim())?;
        }
    }
    Ok(())
}

/// Writes the limits that are given.
pub(super) fn limit(hierarchies: &[Hierarchy], path: &Path, resources: &Resources) -> Result<()> {
    let set = |controller: &str, file: &str, value: String| {
        let root = with_controller(hierarchies, controller).ok_or_else(|| missing_controller(controller))?;
        write(&root.join(path).join(file), &value)
    };
    limit_memory(resources, &set)?;
    if let Some(shares) = resources.cpu_shares {
        set("cpu", "cpu.shares", shares.to_string())?;
    }
    if let Some(period) = resources.cpu_period_microseconds {
        set("cpu", "cpu.cfs_period_us", period.to_string())?;
    }
    if let Some(quota) = resources.cpu_quota_microseconds {
        set("cpu", "cpu.cfs_quota_us", quota.to_string())?;
    }
    limits::limit_cpuset_and_pids(resources, &set)?;
    limit_blkio(resources, &set)
}

fn limit_memory(resources: &Resources, set: &Set<'_>) -> Result<()> {
    if let Some(bytes) = resources.memory_bytes {
        let limit = || set("memory", "memory.limit_in_bytes", bytes.to_string());
        // Memory and swap together may never be below memory alone: when the limit grows past the old sum, the sum has
        // to be raised first.
        match (limit(), resources.memory_and_swap_bytes) {
            (Err(_), Some(sum)) => {
                set("memory", "memory.memsw.limit_in_bytes", sum.to_string())?;
                limit()?;
            }
            (result, _) => result?,
        }
    }
    if let Some(sum) = resources.memory_and_swap_bytes {
        match set("memory", "memory.memsw.limit_in_bytes", sum.to_string()) {
            // Kernels without swap accounting don't have the file; Docker warns and goes on, as the limit of memory holds.
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => {}
            result => result?,
        }
    }
    if let Some(bytes) = resources.memory_reservation_bytes {
        set("memory", "memory.soft_limit_in_bytes", bytes.to_string())?;
    }
    if let Some(swappiness) = resources.swappiness {
        set("memory", "memory.swappiness", swappiness.to_string())?;
    }
    if resources.oom_kill_disable {
        set("memory", "memory.oom_control", "1".to_owned())?;
    }
    Ok(())
}

fn limit_blkio(resources: &Resources, set: &Set<'_>) -> Result<()> {
    // The weight is the scheduler's: BFQ has its own file, the other name went with CFQ in Linux 5.0.
    let weigh = |value: String, file: &str| {
        set("blkio", &format!("blkio.bfq.{file}"), value.clone())
            .or_else(|_| set("blkio", &format!("blkio.{file}"), value))
    };
    if let Some(weight) = resources.blkio_weight {
        weigh(weight.to_string(), "weight")?;
    }
    for device in &resources.blkio_weight_devices {
        weigh(format!("{}:{} {}", device.major, device.minor, device.weight), "weight_device")?;
    }
    limits::throttles(resources).try_for_each(|(throttle, device)| {
        let file = match throttle {
            Throttle::ReadBytes => "blkio.throttle.read_bps_device",
            Throttle::WriteBytes => "blkio.throttle.write_bps_device",
            Throttle::ReadOperations => "blkio.throttle.read_iops_device",
            Throttle::WriteOperations => "blkio.throttle.write_iops_device",
        };
        set("blkio", file, format!("{}:{} {}", device.major, device.minor, device.rate))
    })
}

/// After so many looks at a cgroup that isn't frozen yet, its processes go on for a moment.
const ATTEMPTS_TO_FREEZE: u32 = 50;

pub(super) fn freeze(hierarchies: &[Hierarchy], path: &Path, frozen: bool) -> Result<()> {
    let root = match with_controller(hierarchies, "freezer") {
        Some(root) => root,
        // Nothing is frozen on a host that can't freeze.
        None if !frozen => return Ok(()),
        None => return Err(missing_controller("freezer")),
    };
    let file = root.join(path).join("freezer.state");
    if !frozen {
        return write_unless_gone(&file, "THAWED");
    }
    write(&file, "FROZEN")?;
    // FREEZING becomes FROZEN while somebody looks at it, once every process has come to a stop. The kernel has no event
    // for it; a process in uninterruptible sleep may take its time, and a fork while freezing wants the write again. A
    // parent that waits for its child in vfork never stops while that is stopped: both go on now and then.
    for attempt in 1_u32.. {
        if is_frozen(hierarchies, path) {
            break;
        }
        if attempt.is_multiple_of(ATTEMPTS_TO_FREEZE) {
            write(&file, "THAWED")?;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
        write(&file, "FROZEN")?;
    }
    Ok(())
}

pub(super) fn is_frozen(hierarchies: &[Hierarchy], path: &Path) -> bool {
    with_controller(hierarchies, "freezer")
        .and_then(|root| fs::read_to_string(root.join(path).join("freezer.state")).ok())
        .is_some_and(|state| state.trim() == "FROZEN")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_to_be_thawed_where_nothing_can_be_frozen() {
        freeze(&[], Path::new("c"), false).expect("it isn't frozen");
        freeze(&[], Path::new("c"), true).expect_err("it can't be");
    }

    #[test]
    fn a_cpuset_that_somebody_has_only_just_made_is_filled() {
        let root = tempfile::tempdir().expect("a directory");
        for directory in ["", "parent", "parent/child"] {
            let directory = root.path().join(directory);
            fs::create_dir_all(&directory).expect("made");
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let value = if directory == root.path() { "0-1\n" } else { "\n" };
                fs::write(directory.join(file), value).expect("written");
            }
        }
        fs::write(root.path().join("parent/cpuset.mems"), "0\n").expect("written");
        let hierarchy = Hierarchy { mount: root.path().to_owned(), controllers: vec!["cpuset"] };
        create(&[hierarchy], Path::new("parent/child"), &Resources::default(), None).expect("made");
        let read = |file: &str| fs::read_to_string(root.path().join(file)).expect(file).trim().to_owned();
        assert_eq!((read("parent/cpuset.cpus"), read("parent/cpuset.mems")), ("0-1".to_owned(), "0".to_owned()));
        assert_eq!(
            (read("parent/child/cpuset.cpus"), read("parent/child/cpuset.mems")),
            ("0-1".to_owned(), "0".to_owned())
        );
    }
}
