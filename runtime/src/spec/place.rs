//! Where in a container something may be mounted: `/proc` and `/sys` are what the kernel shows it, and what is hidden there
//! must stay so.

use std::path::Path;

use super::{Mount, MountKind};
use crate::cgroup::CONTAINER_ROOT;
use crate::{Error, Result};

/// Which part of a container's file system that the kernel makes a path is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelPlace {
    /// `/proc`, or something below it.
    Proc,
    /// A file of `/proc` that tells of the machine, and that others (lxcfs) may tell better. Nothing is decided by it.
    ProcFile,
    /// `/sys`, or something below it.
    Sys,
}

impl KernelPlace {
    /// Where a path in a container is, as it is written.
    pub fn of(path: &Path) -> Option<Self> {
        // As runc has them.
        const FILES: [&str; 11] = [
            "cpuinfo",
            "diskstats",
            "loadavg",
            "meminfo",
            "net/dev",
            "slabinfo",
            "stat",
            "swaps",
            "sys/crypto/fips_enabled",
            "sys/kernel/ns_last_pid",
            "uptime",
        ];
        match path.strip_prefix("/proc") {
            Ok(rest) if FILES.iter().any(|file| rest == Path::new(file)) => Some(Self::ProcFile),
            Ok(_) => Some(Self::Proc),
            Err(_) => path.starts_with("/sys").then_some(Self::Sys),
        }
    }
}

impl Mount {
    fn is_bind_of_sys(&self) -> bool {
        matches!(&self.kind, MountKind::Bind { source, .. } if source.starts_with("/sys"))
    }
}

/// Refuses mounts where nothing but the kernel's own files belong. What the host has in its `/sys` may be in the container's;
/// something else only where nothing is mounted within it, since whoever can change it would say where that goes.
///
/// # Errors
/// The first mount that is out of place.
pub fn check_places(mounts: &[Mount]) -> Result<()> {
    mounts.iter().try_for_each(|mount| match (KernelPlace::of(&mount.destination), &mount.kind) {
        (None, _) | (Some(KernelPlace::ProcFile), MountKind::Bind { .. }) => Ok(()),
        (Some(KernelPlace::Sys), MountKind::Bind { .. }) if mount.is_bind_of_sys() => Ok(()),
        (Some(KernelPlace::Sys), MountKind::Bind { .. }) => {
            let holds = |other: &Path| other.starts_with(&mount.destination);
            let others = mounts.iter().filter(|other| other.destination != mount.destination);
            match others.map(|other| &*other.destination).chain([Path::new(CONTAINER_ROOT)]).find(|other| holds(other))
            {
                None => Ok(()),
                Some(other) => Err(out_of_place(
                    &mount.destination,
                    &format!(
                        "only what is in /sys of the host can be there, because {} lies within it",
                        other.display()
                    ),
                )),
            }
        }
        (Some(_), _) => Err(refuse_place(&mount.destination)),
    })
}

/// Why there can be no volume, no memory and, in `/proc`, no bind at this path.
pub fn refuse_place(destination: &Path) -> Error {
    let directory = if destination.starts_with("/sys") { "/sys" } else { "/proc" };
    out_of_place(
        destination,
        &format!("what a container has in {directory} is the kernel's and can't be mounted over; choose another path"),
    )
}

fn out_of_place(destination: &Path, reason: &str) -> Error {
    Error::Invalid { what: "mount path", value: destination.display().to_string(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::BindPropagation;

    fn bind(source: &str, destination: &str) -> Mount {
        let kind =
            MountKind::Bind { source: source.into(), propagation: BindPropagation::Rprivate, non_recursive: false };
        Mount { destination: destination.into(), readonly: false, kind }
    }

    fn tmpfs(destination: &str) -> Mount {
        let kind = MountKind::Tmpfs { size_bytes: None, mode: None, options: Vec::new() };
        Mount { destination: destination.into(), readonly: false, kind }
    }

    #[test]
    fn proc_and_sys_are_the_kernel_s() {
        let refused = [
            vec![bind("/proc", "/proc")],
            vec![bind("/proc/keys", "/proc/keys")],
            vec![bind("/d", "/proc/sys/kernel")],
            vec![bind("/d", "/proc/net")],
            vec![tmpfs("/proc/uptime")],
            vec![tmpfs("/proc")],
            vec![tmpfs("/sys")],
            vec![tmpfs("/sys/firmware")],
            vec![bind("/d", "/sys")],
            vec![bind("/d", "/sys/fs")],
            vec![bind("/d", "/sys/fs/cgroup")],
            vec![bind("/d", "/sys/devices"), bind("/f", "/sys/devices/virtual")],
        ];
        for mounts in refused {
            let error = check_places(&mounts).expect_err("refused");
            let named =
                mounts.iter().any(|mount| error.to_string().contains(mount.destination.to_str().expect("text")));
            assert!(named && error.kind() == crate::Kind::InvalidParameter, "{mounts:?}: {error}");
        }
        let fine = [
            vec![bind("/proc", "/host/proc"), bind("/d", "/process"), tmpfs("/system")],
            vec![bind("/lxcfs/uptime", "/proc/uptime"), bind("/lxcfs/dev", "/proc/net/dev")],
            vec![bind("/sys", "/sys"), bind("/sys/fs/cgroup", "/sys/fs/cgroup")],
            vec![bind("/f", "/sys/class/dmi/id/product_uuid"), bind("/lxcfs/cpu", "/sys/devices/system/cpu")],
        ];
        for mounts in fine {
            check_places(&mounts).expect("fine");
        }
    }
}
