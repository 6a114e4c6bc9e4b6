//! What v1 and v2 have in common in their limits.

use crate::Result;
use crate::spec::{Resources, ThrottleDevice};

/// Writes a value to a controller's file in the container's cgroup.
pub(super) type Set<'a> = dyn Fn(&str, &str, String) -> Result<()> + 'a;

/// What of a device is throttled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Throttle {
    ReadBytes,
    WriteBytes,
    ReadOperations,
    WriteOperations,
}

/// The limits whose files have the same names and values in both.
pub(super) fn limit_cpuset_and_pids(resources: &Resources, set: &Set<'_>) -> Result<()> {
    if let Some(cpus) = &resources.cpuset_cpus {
        set("cpuset", "cpuset.cpus", cpus.clone())?;
    }
    if let Some(mems) = &resources.cpuset_mems {
        set("cpuset", "cpuset.mems", mems.clone())?;
    }
    match resources.pids_limit {
        Some(limit) if limit > 0 => set("pids", "pids.max", limit.to_string()),
        Some(_) => set("pids", "pids.max", "max".to_owned()),
        None => Ok(()),
    }
}

/// Every throttle of every device.
pub(super) fn throttles(resources: &Resources) -> impl Iterator<Item = (Throttle, &ThrottleDevice)> {
    let lists = [
        (Throttle::ReadBytes, &resources.blkio_read_bps),
        (Throttle::WriteBytes, &resources.blkio_write_bps),
        (Throttle::ReadOperations, &resources.blkio_read_iops),
        (Throttle::WriteOperations, &resources.blkio_write_iops),
    ];
    lists.into_iter().flat_map(|(throttle, devices)| devices.iter().map(move |device| (throttle, device)))
}
