//! Paths of a container, an image or a volume, found by the descriptor of its root directory: neither a link in it nor whoever
//! changes one meanwhile leads out (openat2(2)).

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

/// A directory, to find other files below it.
pub const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// Opens what a path means to whoever has this root directory. The links that the kernel makes up in `/proc` lead nowhere.
///
/// # Errors
/// Those of open(2); `ELOOP` also for a link of `/proc`.
pub fn open_in_root(root: impl AsFd, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    patiently(|| openat2(root.as_fd(), path, how))
}

/// Whether a path leads out of the mount that its root directory is in.
pub(crate) fn is_in_another_mount(root: impl AsFd, path: &Path) -> bool {
    let within = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS | ResolveFlag::RESOLVE_NO_XDEV;
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(within);
    patiently(|| openat2(root.as_fd(), path, how)).err() == Some(Errno::EXDEV)
}

/// Tries again when a rename somewhere on the machine came in between.
pub(crate) fn patiently<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            done => return done,
        }
    }
}
