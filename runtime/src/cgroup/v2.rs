//! cgroup v2: one directory, with the controllers that its ancestors pass on.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::os::fd::AsFd;
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::devices::{self, AccessRule};
use super::limits::{self, Set, Throttle};
use super::{make_directory, missing_controller, write, write_unless_gone};
use crate::spec::Resources;
use crate::{Error, Result};

const CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

pub(super) fn create(root: &Path, path: &Path, resources: &Resources, devices: Option<&[AccessRule]>) -> Result<()> {
    let mut directory = root.to_owned();
    for part in path {
        pass_controllers_on(&directory)?;
        directory.push(part);
        make_directory(&directory)?;
    }
    limit(&directory, resources)?;
    match devices {
        Some(rules) => devices::attach_filter(&directory, rules),
        None => Ok(()),
    }
}

/// Lets the cgroups below a directory have those of our controllers that it has itself. One that the kernel refuses (`cpu`
/// while real-time processes are outside of the root, say) is missing only to the limit that needs it.
fn pass_controllers_on(directory: &Path) -> Result<()> {
    let file = directory.join("cgroup.subtree_control");
    let read = |path: &Path| fs::read_to_string(path).map_err(Error::io(format!("read {}", path.display())));
    let (available, passed_on) = (read(&directory.join("cgroup.controllers"))?, read(&file)?);
    let missing = CONTROLLERS.into_iter().filter(|name| {
        available.split_whitespace().any(|known| known == *name)
            && passed_on.split_whitespace().all(|known| known != *name)
    });
    for name in missing {
        match fs::write(&file, format!("+{name}")) {
            // Processes are in the directory itself, which the kernel wants below it.
            Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                return Err(Error::io(format!("pass the {name} controller on in {}", directory.display()))(error));
            }
            Err(error) => tracing::debug!("{} passes {name} not on: {error}", directory.display()),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Writes the limits that are given.
pub(super) fn limit(directory: &Path, resources: &Resources) -> Result<()> {
    let set = |controller: &str, file: &str, value: String| {
        let path = directory.join(file);
        if path.exists() { write(&path, &value) } else { Err(missing_controller(controller)) }
    };
    limit_memory(resources, &set)?;
    if let Some(shares) = resources.cpu_shares {
        set("cpu", "cpu.weight", weight_of_shares(shares).to_string())?;
    }
    if resources.cpu_quota_microseconds.is_some() || resources.cpu_period_microseconds.is_some() {
        let quota = match resources.cpu_quota_microseconds {
            Some(quota) if quota > 0 => quota.to_string(),
            _ => "max".to_owned(),
        };
        let period = resources.cpu_period_microseconds.unwrap_or(100_000);
        set("cpu", "cpu.max", format!("{quota} {period}"))?;
    }
    limits::limit_cpuset_and_pids(resources, &set)?;
    limit_io(resources, &set)
}

fn limit_memory(resources: &Resources, set: &Set<'_>) -> Result<()> {
    if let Some(bytes) = resources.memory_bytes {
        set("memory", "memory.max", bytes.to_string())?;
    }
    if let Some(sum) = resources.memory_and_swap_bytes {
        let swap = match u64::try_from(sum) {
            Ok(sum) => sum.saturating_sub(resources.memory_bytes.unwrap_or(0)).to_string(),
            Err(_) => "max".to_owned(),
        };
        match set("memory", "memory.swap.max", swap) {
            // A kernel without swap doesn't have the file, and nothing to limit.
            Err(Error::NotSupported { .. }) => {}
            result => result?,
        }
    }
    if let Some(bytes) = resources.memory_reservation_bytes {
        set("memory", "memory.low", bytes.to_string())?;
    }
    let v1_only = [("swappiness", resources.swappiness.is_some()), ("oom_kill_disable", resources.oom_kill_disable)];
    match v1_only.into_iter().find(|(_, asked)| *asked) {
        Some((what, _)) => Err(Error::NotSupported {
            what: what.to_owned(),
            reason: "cgroup v2 has no such setting; leave it out".to_owned(),
        }),
        None => Ok(()),
    }
}

fn limit_io(resources: &Resources, set: &Set<'_>) -> Result<()> {
    let weigh = |value: &dyn Fn(u64) -> String, weight: u16| {
        set("io", "io.bfq.weight", value(u64::from(weight)))
            .or_else(|_| set("io", "io.weight", value(weight_of_blkio(weight))))
    };
    if let Some(weight) = resources.blkio_weight {
        weigh(&|weight| weight.to_string(), weight)?;
    }
    for device in &resources.blkio_weight_devices {
        weigh(&|weight| format!("{}:{} {weight}", device.major, device.minor), device.weight)?;
    }
    limits::throttles(resources).try_for_each(|(throttle, device)| {
        let key = match throttle {
            Throttle::ReadBytes => "rbps",
            Throttle::WriteBytes => "wbps",
            Throttle::ReadOperations => "riops",
            Throttle::WriteOperations => "wiops",
        };
        set("io", "io.max", format!("{}:{} {key}={}", device.major, device.minor, device.rate))
    })
}

/// `cpu.shares` 2 … 262144 as `cpu.weight` 1 … 10000.
fn weight_of_shares(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9_999 / 262_142
}

/// `blkio.weight` 10 … 1000 as `io.weight` 1 … 10000.
fn weight_of_blkio(weight: u16) -> u64 {
    1 + (u64::from(weight.clamp(10, 1_000)) - 10) * 9_999 / 990
}

pub(super) fn freeze(directory: &Path, frozen: bool) -> Result<()> {
    let file = directory.join("cgroup.freeze");
    if !frozen {
        return write_unless_gone(&file, "0");
    }
    write(&file, "1")?;
    wait_until_frozen(directory)
}

fn wait_until_frozen(directory: &Path) -> Result<()> {
    let path = directory.join("cgroup.events");
    let action = || format!("read {}", path.display());
    let mut events = File::open(&path).map_err(Error::io(action()))?;
    loop {
        let mut text = String::new();
        std::io::Seek::rewind(&mut events).map_err(Error::io(action()))?;
        events.read_to_string(&mut text).map_err(Error::io(action()))?;
        if text.lines().any(|line| line == "frozen 1") {
            return Ok(());
        }
        let mut changed = [PollFd::new(events.as_fd(), PollFlags::POLLPRI)];
        poll(&mut changed, PollTimeout::NONE).map_err(Error::io(action()))?;
    }
}

pub(super) fn is_frozen(directory: &Path) -> bool {
    fs::read_to_string(directory.join("cgroup.freeze")).is_ok_and(|state| state.trim() == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_keep_their_ends() {
        assert_eq!([2, 1_024, 262_144].map(weight_of_shares), [1, 39, 10_000]);
        assert_eq!([10, 500, 1_000].map(weight_of_blkio), [1, 4_950, 10_000]);
    }
}
