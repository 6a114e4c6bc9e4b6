//! Mounts as descriptors (Linux 5.2), which nix doesn't have yet: a mount that is nowhere, and its way to a place.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::fcntl::AT_FDCWD;
use nix::mount::MsFlags;

/// Copies the mount at `path`, with the directory there as its root; the copy is nowhere and ends with the descriptor.
pub(crate) fn open_tree(path: &Path) -> io::Result<OwnedFd> {
    clone_tree(AT_FDCWD, &CString::new(path.as_os_str().as_bytes())?, false)
}

/// The same of an open file or directory; `recursive` takes along what is mounted below it.
pub(crate) fn copy_mount(of: &OwnedFd, recursive: bool) -> io::Result<OwnedFd> {
    clone_tree(of.as_fd(), c"", recursive)
}

fn clone_tree(at: BorrowedFd<'_>, path: &CStr, recursive: bool) -> io::Result<OwnedFd> {
    let depth = if recursive { libc::AT_RECURSIVE } else { 0 };
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | (libc::AT_EMPTY_PATH | depth).cast_unsigned();
    // SAFETY: the path is a string that ends with a NUL and outlives the call, which keeps nothing of it.
    let descriptor = unsafe { libc::syscall(libc::SYS_open_tree, at.as_raw_fd(), path.as_ptr(), flags) };
    let descriptor = i32::try_from(descriptor).unwrap_or(-1);
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just returned this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// What a mount is to become; `false` leaves things as they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes {
    pub(crate) readonly: bool,
    /// How other mounts are told of what is mounted in it, and it of what is mounted in them.
    pub(crate) propagation: MsFlags,
    /// The same for everything that is mounted below.
    pub(crate) recursive: bool,
}

impl Attributes {
    pub(crate) fn set(self, mount: &OwnedFd) -> io::Result<()> {
        let attributes = libc::mount_attr {
            attr_set: if self.readonly { libc::MOUNT_ATTR_RDONLY } else { 0 },
            attr_clr: 0,
            propagation: self.propagation.bits(),
            userns_fd: 0,
        };
        let flags = libc::AT_EMPTY_PATH | if self.recursive { libc::AT_RECURSIVE } else { 0 };
        // SAFETY: the descriptor is open, the path ends with a NUL, and the kernel reads one structure of the size that it
        // is told; all of them outlive the call.
        let result = unsafe {
            libc::syscall(
                libc::SYS_mount_setattr,
                mount.as_raw_fd(),
                c"".as_ptr(),
                flags,
                &raw const attributes,
                size_of::<libc::mount_attr>(),
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// Puts a mount in its place.
pub(crate) fn move_mount(mount: &OwnedFd, place: &OwnedFd) -> io::Result<()> {
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH;
    // SAFETY: the descriptors are open, and both paths are strings that end with a NUL and outlive the call.
    let result = unsafe {
        libc::syscall(libc::SYS_move_mount, mount.as_raw_fd(), c"".as_ptr(), place.as_raw_fd(), c"".as_ptr(), flags)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
