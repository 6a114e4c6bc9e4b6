//! A terminal for an exec, made in its container.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use rustix::fs::{Mode, OFlags, ResolveFlags, fstatfs, open, openat2};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};

/// `DEVPTS_SUPER_MAGIC` of `linux/magic.h`.
const DEVPTS: i64 = 0x1cd1;

/// Makes a terminal, sends its master side over this socket, and gives the other. To be called in the container's mount
/// namespace; what it has put in the place of its terminals is not taken for one (CVE-2025-52565).
pub(super) fn open_and_send(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let root = open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::IN_ROOT;
    let master = openat2(&root, "dev/pts/ptmx", flags, Mode::empty(), resolve)?;
    if fstatfs(&master)?.f_type != DEVPTS {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "/dev/pts in the container has no terminals"));
    }
    unlockpt(&master)?;
    // By the master itself: the name could lead elsewhere.
    let slave = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    let descriptors = [master.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&descriptors)];
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(b"t")], &rights, MsgFlags::empty(), None)?;
    Ok(slave)
}
