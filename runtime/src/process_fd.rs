//! Processes as file descriptors, which can't be mistaken for a later process with the same pid.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::directory::Directory;
use crate::{Error, Result, Started, lock};

/// A process; readable once it has ended.
#[derive(Debug)]
pub(crate) struct PidFd(OwnedFd);

impl PidFd {
    /// The process that has this pid now.
    pub(crate) fn open(pid: i32) -> io::Result<Self> {
        // SAFETY: no memory is involved.
        let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = RawFd::try_from(result).ok().filter(|&fd| fd >= 0).ok_or_else(io::Error::last_os_error)?;
        // SAFETY: the kernel just returned this descriptor, and nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&self) -> io::Result<()> {
        loop {
            match poll(&mut [PollFd::new(self.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until it has ended, or for this long; whether it has.
    pub(crate) fn wait_for(&self, longest: Duration) -> io::Result<bool> {
        let end = Instant::now() + longest;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            // Rounded up, so that the time has come when the wait ends.
            let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.as_fd(), PollFlags::POLLIN)], timeout) {
                Ok(0) if left.is_zero() => return Ok(false),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: i32) -> io::Result<()> {
        // SAFETY: the null pointer stands for "as kill(2) would fill it in"; no memory is involved.
        let result = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                signal,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The process of a container or exec with this directory, for as long as its monitor looks after it. Once it has ended,
/// its pid may be somebody else's; then its parent isn't the monitor.
pub(crate) fn of_monitor(directory: &Directory, started: Started) -> Result<Option<PidFd>> {
    let Ok(process) = PidFd::open(started.pid) else { return Ok(None) };
    let monitor = lock::holder(&directory.lock()).map_err(Error::io("find the monitor"))?;
    Ok((monitor.is_some() && parent_of(started.pid) == monitor).then_some(process))
}

/// Whether a process has begun to end: nobody can join its namespaces any more, though its pid is still its own.
pub(crate) fn is_ending(pid: i32) -> bool {
    // PF_EXITING of the kernel's include/linux/sched.h, which proc_pid_stat(5) shows as it is.
    const EXITING: u64 = 4;
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    // The program's name may have anything in it.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields.split_whitespace());
    let flags = fields.and_then(|mut fields| fields.nth(6)?.parse::<u64>().ok());
    flags.is_none_or(|flags| flags & EXITING != 0)
}

fn parent_of(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
}

/// Sends a signal to a process that was just seen in a cgroup; it may be gone by now.
pub(crate) fn send_signal(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: no memory is involved.
    let result = unsafe { libc::kill(pid, signal) };
    match Errno::result(result) {
        Ok(_) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(Error::io(format!("send signal {signal} to process {pid}"))(error)),
    }
}
