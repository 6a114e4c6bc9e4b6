//! The pid namespace of another container (`--pid container:X`), whose processes see each other. libcontainer would join it
//! before anything else, and whoever may trace processes there would have the host in reach while it works. So it builds
//! the container outside, with the other container's `/proc`, and the program is born there in the end.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{Mode, stat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};

use super::mount_fd::{copy_mount, move_mount};
use super::pid_namespace_fork::PidNamespaceFork;
use super::program::{Outcome, failed};
use crate::process_fd::PidFd;
use crate::{Error, Result, root};

/// The namespace, and what the shim is told by of who is born there.
#[derive(Debug, Clone)]
pub(super) struct JoinedProcesses {
    member: Rc<PidFd>,
    pub(super) fork_result: Rc<PidNamespaceFork>,
}

impl JoinedProcesses {
    pub(super) fn new(member: PidFd, fork_result: Rc<PidNamespaceFork>) -> Self {
        Self { member: Rc::new(member), fork_result }
    }

    /// Has what is forked from now on be born there.
    pub(super) fn join(&self) -> Outcome<()> {
        setns(&*self.member, CloneFlags::CLONE_NEWPID).map_err(failed("join the pid namespace"))
    }
}

/// Mounts what a process of a container sees as `/proc` on `place`, in the shim's mount namespace, for libcontainer to bind.
pub(super) fn mount_proc(member: &PidFd, pid: i32, place: PathBuf) -> Result<PathBuf> {
    let mount = root::in_mounts(member, take_proc)?;
    let action = || format!("mount the other container's /proc on {}", place.display());
    fs::create_dir(&place).map_err(Error::io(action()))?;
    let opened = root::open_directory(&place).map_err(Error::io(action()))?;
    move_mount(&mount, &opened).map_err(Error::io(action()))?;
    let shown = stat(&place.join("1/ns/pid")).map_err(Error::io(action()))?;
    let real = stat(Path::new(&format!("/proc/{pid}/ns/pid"))).map_err(Error::io(action()))?;
    if (shown.st_dev, shown.st_ino) == (real.st_dev, real.st_ino) { Ok(place) } else { Err(not_its_own()) }
}

/// Copies the mount, in the container's namespace. A container that may mount can have put something else there.
fn take_proc() -> Result<OwnedFd> {
    const ACTION: &str = "clone the mount of the other container's /proc";
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS)
        .mode(Mode::empty());
    let proc = openat2(AT_FDCWD, "/proc", how).map_err(Error::io(ACTION))?;
    if fstatfs(&proc).map_err(Error::io(ACTION))?.filesystem_type() != PROC_SUPER_MAGIC {
        return Err(not_its_own());
    }
    copy_mount(&proc, false).map_err(Error::io(ACTION))
}

fn not_its_own() -> Error {
    Error::NotSupported {
        what: "sharing the pid namespace of a container".to_owned(),
        reason: "what it has on /proc is no longer what was mounted there".to_owned(),
    }
}
