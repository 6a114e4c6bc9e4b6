//! The lock that says who looks after a container: held by the shim, kept through its becoming the monitor, and gone
//! with the process, however that ended.
//!
//! It is a POSIX record lock, because those are exactly so: a fork doesn't take them along, an exec does, and the kernel
//! tells who holds one. Closing any descriptor of the file gives the lock up, so its holder must open it once only.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::path::Path;

use nix::fcntl::{FcntlArg, fcntl};

/// The lowest number that the descriptor of a held lock gets.
const LOCK_DESCRIPTOR: i32 = 100;

const fn whole_file(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// A lock that is held until this is dropped, or, when the process becomes another program, until that ends.
#[derive(Debug)]
pub(crate) struct LockGuard(#[expect(dead_code, reason = "open descriptors are what holds the lock")] OwnedFd);

/// Takes the lock.
pub(crate) fn acquire(path: &Path) -> io::Result<LockGuard> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    // Not closed on exec, and out of the way of the descriptors that are passed on by number.
    let kept = fcntl(&file, FcntlArg::F_DUPFD(LOCK_DESCRIPTOR))?;
    // SAFETY: the kernel just returned this descriptor, and nobody else knows it.
    let kept = unsafe { OwnedFd::from_raw_fd(kept) };
    drop(file);
    fcntl(&kept, FcntlArg::F_SETLK(&whole_file(libc::F_WRLCK)))?;
    Ok(LockGuard(kept))
}

/// The process that holds the lock, if there is one.
pub(crate) fn holder(path: &Path) -> io::Result<Option<i32>> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut lock = whole_file(libc::F_WRLCK);
    fcntl(&file, FcntlArg::F_GETLK(&mut lock))?;
    Ok((lock.l_type != libc::F_UNLCK as libc::c_short).then_some(lock.l_pid))
}
