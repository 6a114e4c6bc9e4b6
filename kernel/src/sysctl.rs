//! Sysctls, as files below `/proc/sys`. Those of networking belong to the namespace of the thread that opens the file.
//!
//! The kernel finds `net/ipv4` of a namespace among those of all namespaces that were looked into by the same mount of proc:
//! they have one name, and are compared one by one (`proc_sys_compare`). With 500 sandboxes each start would pay 2 ms for
//! that, so that the mount is one of our own, which nobody sees, and another one after some dozens of sandboxes.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen},
};

/// How many files are opened by one mount. A mount takes 0.1 ms.
const FILES_PER_MOUNT: usize = 256;

/// The mount in use, and how many files were opened by it.
static MOUNT: Mutex<Option<(Arc<OwnedFd>, usize)>> = Mutex::new(None);

/// Where proc is; none where no mount of our own can be had.
fn proc() -> Option<Arc<OwnedFd>> {
    let mut current = MOUNT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((mount, files)) = current.as_mut()
        && *files < FILES_PER_MOUNT
    {
        *files += 1;
        return Some(Arc::clone(mount));
    }
    let mount = Arc::new(mounted().ok()?);
    *current = Some((Arc::clone(&mount), 1));
    Some(mount)
}

fn mounted() -> rustix::io::Result<OwnedFd> {
    let proc = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&proc)?;
    let attributes =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&proc, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Opens the file of a sysctl; keys that would lead elsewhere are refused.
fn open(key: &str, access: OFlags) -> io::Result<File> {
    if key.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it isn't a path below /proc/sys"));
    }
    let flags = access | OFlags::CLOEXEC;
    let file = match proc() {
        Some(proc) => openat(&*proc, format!("sys/{key}"), flags, Mode::empty())?,
        None => openat(CWD, format!("/proc/sys/{key}"), flags, Mode::empty())?,
    };
    Ok(file.into())
}

/// Sets a sysctl of the calling thread's namespace.
pub(crate) fn write(key: &str, value: &str) -> io::Result<()> {
    let written = open(key, OFlags::WRONLY).and_then(|mut file| file.write_all(value.as_bytes()));
    match written {
        Err(error) if error.kind() == io::ErrorKind::NotFound && value == "1" && is_without_ipv6(key)? => Ok(()),
        written => written,
    }
}

/// Reads a sysctl of the calling thread's namespace; none if this kernel has no such thing.
pub(crate) fn read(key: &str) -> io::Result<Option<String>> {
    let mut value = String::new();
    let read = open(key, OFlags::RDONLY).and_then(|mut file| file.read_to_string(&mut value));
    match read {
        Ok(_) => Ok(Some(value.trim_end().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(is_without_ipv6(key)?.then(|| "1".to_owned())),
        Err(error) => Err(error),
    }
}

/// Whether a sysctl asks if IPv6 is disabled, and the kernel has none: it is as good as disabled everywhere.
fn is_without_ipv6(key: &str) -> io::Result<bool> {
    Ok(key.ends_with("/disable_ipv6") && !std::fs::exists("/proc/sys/net/ipv6")?)
}

/// Whether a sysctl is there and not 0.
pub(crate) fn is_on(key: &str) -> io::Result<bool> {
    Ok(read(key)?.is_some_and(|value| value != "0"))
}
