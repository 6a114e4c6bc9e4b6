//! `/dev/shm` of the host or of another container, for a container that shares its IPC namespace.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OpenHow, ResolveFlag, openat2};
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};

use super::mount_fd::copy_mount;
use crate::control::Failure;
use crate::directory::{self, Directory};
use crate::in_root::DIRECTORY;
use crate::mounting;
use crate::root::{in_mounts, mounts_of};
use crate::spec::{Id, IpcNamespace};
use crate::{ContainerSpec, Error, Result};

/// Where it is in every container.
pub(super) const PLACE: &str = "/dev/shm";

/// The host's.
pub(super) fn of_host() -> Result<OwnedFd> {
    copy_mount(&mounting::open_source(Path::new(PLACE))?, true)
        .map_err(Error::io("clone the mount of the host's /dev/shm"))
}

/// That of a running container, whose directory and first process these are.
pub(super) fn of_container(other: &Id, directory: &Directory, pid: i32) -> std::result::Result<OwnedFd, Failure> {
    let spec = directory.read::<ContainerSpec>(directory::File::Spec)?;
    let spec = spec.ok_or_else(|| Failure::internal(format!("the specification of container {other} is gone")))?;
    let ipc = spec.namespaces.ipc;
    if !ipc.is_shareable(spec.mounts.iter().map(|mount| &*mount.destination)) {
        return Err(Failure::internal(format!(
            "container {other}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)"
        )));
    }
    if ipc == IpcNamespace::Host {
        return Ok(of_host()?);
    }
    let namespace = mounts_of(pid)?;
    Ok(in_mounts(&namespace, take)?)
}

/// Copies the mount, in the container's namespace. A container that may mount can have put something else there.
fn take() -> Result<OwnedFd> {
    const ACTION: &str = "clone the mount of the other container's /dev/shm";
    let action = || Error::io(ACTION);
    let how = OpenHow::new().flags(DIRECTORY);
    let memory = openat2(AT_FDCWD, PLACE, how.resolve(ResolveFlag::RESOLVE_NO_SYMLINKS)).map_err(action())?;
    let is_memory = fstatfs(&memory).map_err(action())?.filesystem_type() == TMPFS_MAGIC;
    // Above the root of a mount there is another one.
    let is_mounted = openat2(&memory, "..", how.resolve(ResolveFlag::RESOLVE_NO_XDEV)).err() == Some(Errno::EXDEV);
    if !is_memory || !is_mounted {
        return Err(Error::NotSupported {
            what: "sharing the IPC namespace of a container".to_owned(),
            reason: format!("what it has on {PLACE} is no longer the memory that was mounted there"),
        });
    }
    copy_mount(&memory, false).map_err(Error::io(ACTION))
}
