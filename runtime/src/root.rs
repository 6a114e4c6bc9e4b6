//! A container's file system as a descriptor, for whoever copies files into and out of it: that of the processes while
//! there are any, else one that is mounted for the purpose, in a mount namespace that nobody is in.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::Mode;

use crate::in_root::{DIRECTORY, is_in_another_mount};
use crate::mounting;
use crate::shim::mount_fd::open_tree;
use crate::shim::mounts::{HostMounts, mount_rootfs};
use crate::spec::{Mount, MountKind, Rootfs, UserSpec};
use crate::{Error, Result, user};

/// What is to be seen of a container's file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The root file system and everything that is mounted in it.
    Mounts,
    /// The root file system alone: what it has where something is mounted.
    RootfsOnly,
}

/// A container's root directory. Names have to be resolved below it with `openat2(2)` and `RESOLVE_IN_ROOT`: the container
/// may change what they lead to at any moment.
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
    /// When nothing holds a mount namespace any more, what is mounted below the root falls off it.
    _namespace: OwnedFd,
}

impl Root {
    /// The user and group that a program would be run as, in numbers.
    ///
    /// # Errors
    /// The container knows no such user or group.
    pub fn resolve_user(&self, user: &UserSpec) -> Result<(u32, u32)> {
        let resolved = user::resolve_at(self, user)?;
        Ok((resolved.uid, resolved.gid))
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// The root that processes see in a mount namespace.
pub(crate) fn in_namespace(namespace: OwnedFd, scope: Scope) -> Result<Root> {
    in_mounts(&namespace, || {
        let root = Path::new("/");
        let directory = match scope {
            Scope::Mounts => open_directory(root),
            Scope::RootfsOnly => open_tree(root),
        };
        directory.map_err(Error::io("open the container's root directory"))
    })
    .map(|directory| Root { directory, _namespace: namespace })
}

/// Where the users of a process's container are: in the root file system of its mount namespace, not in what is mounted over
/// the files of users there. A process that has changed its root directory changes nothing about it.
pub(crate) fn rootfs_of(process: impl AsFd) -> Result<OwnedFd> {
    in_mounts(process, || {
        let root = open_directory(Path::new("/")).map_err(Error::io("open the container's root directory"))?;
        // A mount of its own is one that the kernel has to take apart again, which takes it milliseconds.
        match [users::PASSWD, users::GROUP].into_iter().any(|path| is_in_another_mount(&root, Path::new(path))) {
            true => open_tree(Path::new("/")).map_err(Error::io("open the container's root file system")),
            false => Ok(root),
        }
    })
}

/// The mount namespace of a process.
pub(crate) fn mounts_of(pid: i32) -> Result<OwnedFd> {
    let path = format!("/proc/{pid}/ns/mnt");
    Ok(File::open(&path).map_err(Error::io(format!("open {path}")))?.into())
}

/// Does something in a mount namespace, or in that of a process.
pub(crate) fn in_mounts<T: Send>(whose: impl AsFd, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    const ACTION: &str = "enter the mount namespace of a container";
    let whose = whose.as_fd();
    on_own_thread(|| {
        // A thread that shares its root and working directory can't change them.
        unshare(CloneFlags::CLONE_FS).map_err(Error::io(ACTION))?;
        setns(whose, CloneFlags::CLONE_NEWNS).map_err(Error::io(ACTION))?;
        work()
    })
}

/// Mounts a root file system on `place`, in a namespace of its own, with all but what is only there while the container
/// runs. `links` is a directory that may be made meanwhile.
pub(crate) fn mounted(rootfs: &Rootfs, mounts: &[Mount], place: &Path, links: &Path) -> Result<Root> {
    on_own_thread(|| {
        HostMounts::leave()?;
        let namespace = File::open("/proc/thread-self/ns/mnt").map_err(Error::io("open a mount namespace"))?;
        // What is copied into a container is wanted by somebody who was told that it is there.
        mount_rootfs(&Rootfs { volatile: false, ..rootfs.clone() }, place, links)?;
        let open = || open_directory(place).map_err(Error::io(format!("open {}", place.display())));
        let directory = open()?;
        // What is in memory is gone with the container's processes.
        for mount in mounts.iter().filter(|mount| matches!(mount.kind, MountKind::Bind { .. })) {
            mounting::attach(&directory, mount)?;
        }
        if rootfs.readonly {
            make_readonly(place).map_err(Error::io("make the root file system read-only"))?;
        }
        Ok(Root { directory, _namespace: namespace.into() })
    })
}

/// Namespaces belong to threads: this one ends with what it has seen.
fn on_own_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

pub(crate) fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(nix::fcntl::open(path, DIRECTORY, Mode::empty())?)
}

fn make_readonly(place: &Path) -> io::Result<()> {
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    Ok(mount(None::<&str>, place, None::<&str>, flags, None::<&str>)?)
}
