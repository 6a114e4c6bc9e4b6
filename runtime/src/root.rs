//! A container's file system as a descriptor, for whoever copies files into and out of it: that of the processes while
//! there are any, else one that is mounted for the purpose, in a mount namespace that nobody is in.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::{Mode, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, fchownat};

use crate::shim::mount_fd::open_tree;
use crate::shim::mounts::{HostMounts, mount_rootfs};
use crate::spec::{Mount, MountKind, Rootfs, UserSpec};
use crate::{Error, Result, user};

pub(crate) const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

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

/// The root that this process sees.
pub(crate) fn of_process(pid: i32, scope: Scope) -> Result<Root> {
    let path = format!("/proc/{pid}/ns/mnt");
    let namespace = OwnedFd::from(File::open(&path).map_err(Error::io(format!("open {path}")))?);
    in_mounts_of(&namespace, || {
        let root = Path::new("/");
        let directory = match scope {
            Scope::Mounts => open_directory(root),
            Scope::RootfsOnly => open_tree(root),
        };
        directory.map_err(Error::io("open the container's root directory"))
    })
    .map(|directory| Root { directory, _namespace: namespace })
}

/// Does something in a mount namespace, or that of a process.
pub(crate) fn in_mounts_of<T: Send>(whose: impl AsFd + Sync, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
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
        mount_rootfs(rootfs, place, links)?;
        let open = || open_directory(place).map_err(Error::io(format!("open {}", place.display())));
        let directory = open()?;
        for mount in mounts {
            let failed = || Error::io(format!("mount {} for the container", mount.destination.display()));
            attach(&directory, mount).map_err(failed())?;
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

fn attach(root: &OwnedFd, asked: &Mount) -> io::Result<()> {
    let MountKind::Bind { source, non_recursive, .. } = &asked.kind else {
        // What is in memory is gone with the container's processes.
        return Ok(());
    };
    let target = place_for(root, &asked.destination, fs::metadata(source)?.is_dir())?;
    let target = format!("/proc/self/fd/{}", target.as_raw_fd());
    let recursive = if *non_recursive { MsFlags::empty() } else { MsFlags::MS_REC };
    mount(Some(source), target.as_str(), None::<&str>, MsFlags::MS_BIND | recursive, None::<&str>)?;
    if asked.readonly {
        // The descriptor is of what is below the mount by now.
        let mounted = open_in_root(root, &asked.destination, OFlag::O_PATH)?;
        make_readonly(Path::new(&format!("/proc/self/fd/{}", mounted.as_raw_fd())))?;
    }
    Ok(())
}

fn make_readonly(place: &Path) -> io::Result<()> {
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    Ok(mount(None::<&str>, place, None::<&str>, flags, None::<&str>)?)
}

/// Where something is to be mounted or a process is to work; made if it isn't there, for root.
pub(crate) fn place_for(root: &OwnedFd, destination: &Path, is_directory: bool) -> io::Result<OwnedFd> {
    match open_in_root(root, destination, OFlag::O_PATH) {
        Err(Errno::ENOENT) => {}
        found => return Ok(found?),
    }
    let mut walked = PathBuf::from("/");
    let mut components = destination.components().skip(1).peekable();
    while let Some(component) = components.next() {
        let parent = open_in_root(root, &walked, DIRECTORY)?;
        walked.push(component);
        let name = Path::new(&component);
        if fstatat(&parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) != Err(Errno::ENOENT) {
            continue;
        }
        if components.peek().is_some() || is_directory {
            mkdirat(&parent, name, Mode::from_bits_truncate(0o755))?;
            fchownat(&parent, name, Some(Uid::from_raw(0)), Some(Gid::from_raw(0)), AtFlags::AT_SYMLINK_NOFOLLOW)?;
        } else {
            let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
            openat(&parent, name, flags, Mode::from_bits_truncate(0o644))?;
        }
    }
    Ok(open_in_root(root, destination, OFlag::O_PATH)?)
}

pub(crate) fn open_in_root(root: &OwnedFd, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    loop {
        match openat2(root, path, how) {
            // A rename somewhere on the machine came in between.
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            opened => return opened,
        }
    }
}
