//! What a process on its way into a container still has open: nothing by which one could get at the host. Whoever may
//! trace it there opens its descriptors by `/proc/PID/fd` (CVE-2016-9962), and its working directory may be one of them
//! (CVE-2024-21626).

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, RawFd};

use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat};

/// From this number on, descriptors are the shim's own; below it, libcontainer opens what it needs.
pub(super) const FIRST_OF_SHIM: RawFd = 50;

/// Standard input, output and errors.
const STANDARD: RawFd = 3;

/// Closes all but standard input, output, errors and these. For a process that was forked to work with these alone:
/// whatever else owns a descriptor in it must not be used any more.
pub(super) fn close_all_but(kept: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut kept: Vec<RawFd> = kept.iter().map(|fd| fd.as_raw_fd()).filter(|&fd| fd >= STANDARD).collect();
    kept.sort_unstable();
    let mut first = STANDARD;
    for number in kept {
        close_range(first, number - 1)?;
        first = number + 1;
    }
    close_range(first, RawFd::MAX)
}

/// Closes what a container's first process still has of the host when everything is mounted: the shim's own descriptors,
/// directories, files and namespaces. libcontainer's sockets stay, by which it tells the shim that it is ready and waits
/// for the start.
pub(super) fn close_all_of_host(report: impl AsFd) -> io::Result<()> {
    for number in STANDARD..FIRST_OF_SHIM {
        // SAFETY: only looks whether something is open there; nothing is done with it where there isn't.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        let is_socket = match fstat(descriptor) {
            Ok(status) => SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFSOCK,
            Err(Errno::EBADF) => continue,
            Err(error) => return Err(error.into()),
        };
        if !is_socket && report.as_fd().as_raw_fd() != number {
            close_range(number, number)?;
        }
    }
    close_range(FIRST_OF_SHIM, RawFd::MAX)
}

fn close_range(first: RawFd, last: RawFd) -> io::Result<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: no memory is involved. The callers' own callers see to it that no owner of these is used after this.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    Errno::result(result).map(drop).map_err(io::Error::from)
}
