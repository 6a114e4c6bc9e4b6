//! Limits and weights, with the bounds and the texts that Docker has for them.

use std::collections::BTreeSet;

use runtime::defaults::SHM_SIZE_BYTES;
use runtime::spec::{BlkioWeightDevice, Resources, ThrottleDevice};

use super::{Machine, devices};
use crate::error::{Error, Result};
use crate::wire::models::{HostConfig, ThrottleDevice as Rate};

/// The runtime itself needs some memory inside of the limit while a container starts.
const MEMORY_MIN_BYTES: i64 = 6 * 1024 * 1024;
const CPU_PERIOD_DEFAULT_MICROSECONDS: u64 = 100_000;
const NANO_CPUS: i64 = 1_000_000_000;

pub(crate) fn resources(host: &HostConfig, machine: &Machine<'_>, warnings: &mut Vec<String>) -> Result<Resources> {
    let memory = memory(host, warnings)?;
    let (quota, period) = cpu(host, machine.cpus)?;
    let shares = cpu_shares(host)?;
    Ok(Resources {
        memory_bytes: memory.limit,
        memory_reservation_bytes: memory.reservation,
        memory_and_swap_bytes: memory.with_swap,
        swappiness: memory.swappiness,
        oom_kill_disable: host.oom_kill_disable.unwrap_or_default(),
        // The kernel has no lower weight.
        cpu_shares: shares.map(|shares| shares.clamp(2, 262_144)),
        cpu_quota_microseconds: quota,
        cpu_period_microseconds: period,
        cpuset_cpus: cpuset(host.cpuset_cpus.as_deref(), CPUS, machine.cpus)?,
        cpuset_mems: cpuset(host.cpuset_mems.as_deref(), MEMORY_NODES, machine.memory_nodes)?,
        pids_limit: host.pids_limit.filter(|limit| *limit > 0),
        blkio_weight: blkio_weight(host.blkio_weight.map(usize::from))?,
        blkio_weight_devices: weight_devices(host, machine)?,
        blkio_read_bps: rates(&host.blkio_device_read_bps, machine)?,
        blkio_write_bps: rates(&host.blkio_device_write_bps, machine)?,
        blkio_read_iops: rates(&host.blkio_device_read_iops, machine)?,
        blkio_write_iops: rates(&host.blkio_device_write_iops, machine)?,
        device_rules: devices::rules(host)?,
    })
}

fn cpu_shares(host: &HostConfig) -> Result<Option<u64>> {
    match host.cpu_shares {
        Some(shares) if shares < 0 => {
            Err(Error::invalid(format!("invalid CPU shares ({shares}): value must be a positive integer")))
        }
        shares => Ok(positive(shares)),
    }
}

fn positive(number: Option<i64>) -> Option<u64> {
    number.and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0)
}

struct Memory {
    limit: Option<u64>,
    reservation: Option<u64>,
    with_swap: Option<i64>,
    swappiness: Option<u8>,
}

fn memory(host: &HostConfig, warnings: &mut Vec<String>) -> Result<Memory> {
    let value = |number: Option<i64>| number.unwrap_or_default();
    let (limit, reservation, with_swap) = (value(host.memory), value(host.memory_reservation), value(host.memory_swap));
    if limit < 0 || reservation < 0 || with_swap < -1 {
        return Err(Error::invalid(format!(
            "invalid memory limits: Memory {limit}, MemoryReservation {reservation} and MemorySwap {with_swap} \
             can't be negative (MemorySwap may be -1 for no limit)"
        )));
    }
    if limit != 0 && limit < MEMORY_MIN_BYTES {
        return Err(Error::invalid("Minimum memory limit allowed is 6MB"));
    }
    if limit > 0 && with_swap > 0 && with_swap < limit {
        return Err(Error::invalid("Minimum memoryswap limit should be larger than memory limit, see usage"));
    }
    if limit == 0 && with_swap > 0 {
        return Err(Error::invalid("You should always set the Memory limit when using Memoryswap limit, see usage"));
    }
    if reservation != 0 && reservation < MEMORY_MIN_BYTES {
        return Err(Error::invalid("Minimum memory reservation allowed is 6MB"));
    }
    if limit > 0 && reservation > limit {
        return Err(Error::invalid("Minimum memory limit can not be less than memory reservation limit, see usage"));
    }
    let swappiness = match value(host.memory_swappiness) {
        // Clients write -1 for the default.
        -1 => None,
        _ if host.memory_swappiness.is_none() => None,
        number => Some(u8::try_from(number).ok().filter(|number| *number <= 100).ok_or_else(|| {
            Error::invalid(format!("Invalid value: {number}, valid memory swappiness range is 0-100"))
        })?),
    };
    if host.oom_kill_disable.unwrap_or_default() && limit == 0 {
        warnings.push(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system \
             running out of resources."
                .to_owned(),
        );
    }
    // Docker gives a container with a memory limit as much swap again.
    let with_swap = match (limit, with_swap) {
        (0, 0) => None,
        (limit, 0) => Some(limit.saturating_mul(2)),
        (_, with_swap) => Some(with_swap),
    };
    Ok(Memory { limit: positive(host.memory), reservation: positive(host.memory_reservation), with_swap, swappiness })
}

/// Quota and period, from `--cpus` or from themselves.
fn cpu(host: &HostConfig, cpus: u32) -> Result<(Option<i64>, Option<u64>)> {
    let nano = host.nano_cpus.unwrap_or_default();
    let (quota, period) = (host.cpu_quota.unwrap_or_default(), host.cpu_period.unwrap_or_default());
    if nano != 0 && period != 0 {
        return Err(Error::invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set"));
    }
    if nano != 0 && quota != 0 {
        return Err(Error::invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set"));
    }
    if nano < 0 || nano > i64::from(cpus) * NANO_CPUS || (nano > 0 && nano < NANO_CPUS / 100) {
        return Err(Error::invalid(format!(
            "Range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
        )));
    }
    if nano > 0 {
        let quota = nano / (NANO_CPUS / 100_000);
        return Ok((Some(quota), Some(CPU_PERIOD_DEFAULT_MICROSECONDS)));
    }
    if period != 0 && !(1_000..=1_000_000).contains(&period) {
        return Err(Error::invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ));
    }
    if quota > 0 && quota < 1_000 {
        return Err(Error::invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)"));
    }
    Ok(((quota != 0).then_some(quota), positive(host.cpu_period)))
}

/// What sets of numbers are called: in the request, and in refusals.
type SetNames = (&'static str, &'static str);
const CPUS: SetNames = ("cpus", "CPUs");
const MEMORY_NODES: SetNames = ("mems", "memory nodes");

/// `0-2,7`, checked against how many there are.
fn cpuset(text: Option<&str>, (field, name): SetNames, available: u32) -> Result<Option<String>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let numbers = parse_set(text).ok_or_else(|| Error::invalid(format!("Invalid value {text} for cpuset {field}")))?;
    if numbers.last().is_some_and(|last| *last >= available) {
        let range = if available > 1 { format!("0-{}", available - 1) } else { "0".to_owned() };
        return Err(Error::invalid(format!(
            "Requested {name} are not available - requested {text}, available: {range}"
        )));
    }
    Ok(Some(text.to_owned()))
}

fn parse_set(text: &str) -> Option<BTreeSet<u32>> {
    // Digits alone: the text goes to the kernel as it is.
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    /// More than any kernel has: keeps `0-4294967295` from becoming a very large set.
    const MOST: u32 = 8192;
    let mut numbers = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (number(first)?, number(last)?);
        if first > last || last >= MOST {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

fn blkio_weight(weight: Option<usize>) -> Result<Option<u16>> {
    match weight.unwrap_or_default() {
        0 => Ok(None),
        weight => u16::try_from(weight)
            .ok()
            .filter(|weight| (10..=1000).contains(weight))
            .map(Some)
            .ok_or_else(|| Error::invalid("Range of blkio weight is from 10 to 1000")),
    }
}

fn weight_devices(host: &HostConfig, machine: &Machine<'_>) -> Result<Vec<BlkioWeightDevice>> {
    let wanted = host.blkio_weight_device.iter().flatten();
    wanted
        .map(|device| {
            let node = (machine.device)(device.path.as_deref().unwrap_or_default())?;
            let weight = blkio_weight(device.weight)?
                .ok_or_else(|| Error::invalid("Range of blkio weight is from 10 to 1000"))?;
            Ok(BlkioWeightDevice { major: node.major.into(), minor: node.minor.into(), weight })
        })
        .collect()
}

fn rates(wanted: &Option<Vec<Rate>>, machine: &Machine<'_>) -> Result<Vec<ThrottleDevice>> {
    let wanted = wanted.iter().flatten();
    wanted
        .map(|rate| {
            let path = rate.path.as_deref().unwrap_or_default();
            let node = (machine.device)(path)?;
            let rate = positive(rate.rate)
                .ok_or_else(|| Error::invalid(format!("invalid rate for device {path}: it must be above 0")))?;
            Ok(ThrottleDevice { major: node.major.into(), minor: node.minor.into(), rate })
        })
        .collect()
}

pub(super) fn shm_size(host: &HostConfig) -> Result<u64> {
    match host.shm_size.unwrap_or_default() {
        0 => Ok(SHM_SIZE_BYTES),
        size => u64::try_from(size).map_err(|_| Error::invalid("SHM size can not be less than 0")),
    }
}

pub(super) fn oom_score_adj(host: &HostConfig) -> Result<Option<i16>> {
    match host.oom_score_adj.unwrap_or_default() {
        0 => Ok(None),
        score => {
            i16::try_from(score).ok().filter(|score| (-1000..=1000).contains(score)).map(Some).ok_or_else(|| {
                Error::invalid(format!("Invalid value {score}, range for oom score adj is [-1000, 1000]"))
            })
        }
    }
}

/// The kernel's limit of a file's name.
const NAME_MAX_BYTES: usize = 255;
/// Leaves room for where the hierarchies are, and for the container's own part.
const CGROUP_PARENT_MAX_BYTES: usize = 3072;

pub(super) fn cgroup_parent(host: &HostConfig) -> Result<Option<String>> {
    let Some(parent) = host.cgroup_parent.as_deref().filter(|parent| !parent.is_empty()) else { return Ok(None) };
    let shown: String = parent.chars().take(64).collect();
    let refuse = |why: &str| Err(Error::invalid(format!("invalid cgroup parent {shown:?}: {why}")));
    let parts: Vec<&str> = parent.split('/').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() || parts.iter().any(|part| [".", ".."].contains(part)) {
        return refuse("give a path without . and .. parts, below the root");
    }
    if parent.contains(char::is_control) {
        return refuse("it has a character that no name of a cgroup may have");
    }
    let path = format!("/{}", parts.join("/"));
    if path.len() > CGROUP_PARENT_MAX_BYTES || parts.iter().any(|part| part.len() > NAME_MAX_BYTES) {
        return refuse(&format!("a part has at most {NAME_MAX_BYTES} bytes, and all {CGROUP_PARENT_MAX_BYTES}"));
    }
    Ok(Some(path))
}
