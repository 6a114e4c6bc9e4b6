//! Notifications of the kernel: a thread that listens on a netlink socket until its watch is dropped.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    thread,
};

use netlink_sys::Socket;
use nix::{
    errno::Errno,
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::pipe2,
};

/// What a listener hears.
pub(crate) enum Notice<'a> {
    /// A datagram of messages.
    Datagram(&'a [u8]),
    /// Notifications came faster than they were read: anything may have happened.
    Lost,
}

/// Listens to multicast groups of a netlink protocol, in the calling thread's network namespace, for as long as the
/// answer lives and `hear` says that it wants more.
pub(crate) fn listen(
    name: &str,
    protocol: isize,
    groups: &[u32],
    hear: impl FnMut(Notice<'_>) -> bool + Send + 'static,
) -> io::Result<OwnedFd> {
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    groups.iter().try_for_each(|group| socket.add_membership(*group))?;
    let (stopped, stop) = pipe2(OFlag::O_CLOEXEC)?;
    thread::Builder::new().name(name.to_owned()).spawn(move || run(&socket, &stopped, hear))?;
    Ok(stop)
}

fn run(socket: &Socket, stopped: &OwnedFd, mut hear: impl FnMut(Notice<'_>) -> bool) {
    let mut buffer = Vec::with_capacity(64 * 1024);
    while wait(socket, stopped) {
        buffer.clear();
        let going_on = match socket.recv(&mut buffer, libc::MSG_DONTWAIT) {
            Ok(_) => hear(Notice::Datagram(&buffer)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
            Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => hear(Notice::Lost),
            Err(_) => false,
        };
        if !going_on {
            return;
        }
    }
}

/// Waits for a notification; false when the watch was dropped.
fn wait(socket: &Socket, stopped: &OwnedFd) -> bool {
    loop {
        let mut ready =
            [PollFd::new(socket.as_fd(), PollFlags::POLLIN), PollFd::new(stopped.as_fd(), PollFlags::empty())];
        match poll(&mut ready, PollTimeout::NONE) {
            Err(Errno::EINTR) => {}
            Err(_) => return false,
            Ok(_) => return ready[1].revents().is_none_or(|events| events.is_empty()),
        }
    }
}
