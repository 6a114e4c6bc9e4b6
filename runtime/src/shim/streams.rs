//! The streams of a new process: pipes, or a terminal that libcontainer makes inside the container and hands over.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::cmsg_space;
use nix::fcntl::OFlag;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::unistd::{Gid, Uid, fchown, pipe2};

use crate::spec::{Process, Stdin, TerminalSize};
use crate::user::ResolvedUser;
use crate::{Error, Result};

/// Our side of a process's streams.
#[derive(Debug)]
pub(super) enum Ours {
    /// The master side.
    Terminal(OwnedFd),
    /// Ends of pipes.
    Pipes { stdin: Option<OwnedFd>, stdout: OwnedFd, stderr: OwnedFd },
}

/// A process's own side.
#[derive(Debug)]
pub(super) struct Theirs {
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// Pipes for a process. They are the user's own, so that it can open `/dev/stdout` anew.
pub(super) fn pipes(process: &Process, user: &ResolvedUser) -> Result<(Ours, Theirs)> {
    let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(Error::io("make a pipe"));
    let (stdin, ours_stdin) = match process.stdin {
        Stdin::Closed => (File::open("/dev/null").map_err(Error::io("open /dev/null"))?.into(), None),
        Stdin::Open | Stdin::Once => {
            let (theirs, ours) = pipe()?;
            (theirs, Some(ours))
        }
    };
    let ((stdout, their_stdout), (stderr, their_stderr)) = (pipe()?, pipe()?);
    let owner = (Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)));
    let own = |fd: &OwnedFd| fchown(fd, owner.0, owner.1).map_err(Error::io("give a pipe to the container's user"));
    own(&their_stdout)?;
    own(&their_stderr)?;
    if ours_stdin.is_some() {
        own(&stdin)?;
    }
    let theirs = Theirs { stdin, stdout: their_stdout, stderr: their_stderr };
    Ok((Ours::Pipes { stdin: ours_stdin, stdout, stderr }, theirs))
}

/// Where libcontainer sends the master side of the terminal that it makes.
#[derive(Debug)]
pub(super) struct Console {
    listener: UnixListener,
    path: PathBuf,
}

impl Console {
    /// Begins to listen in a directory whose path may be long.
    pub(super) fn listen(directory: &Path) -> Result<Self> {
        let action = || "make the socket for the terminal".to_owned();
        let path = directory.join("console.sock");
        let before = std::env::current_dir().map_err(Error::io(action()))?;
        std::env::set_current_dir(directory).map_err(Error::io(action()))?;
        let listener = UnixListener::bind("console.sock").map_err(Error::io(action()));
        std::env::set_current_dir(before).map_err(Error::io(action()))?;
        Ok(Self { listener: listener?, path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Receives the terminal, which was sent by the time that the process is made.
    pub(super) fn accept(self) -> Result<Ours> {
        let action = || "receive the container's terminal".to_owned();
        let (stream, _) = self.listener.accept().map_err(Error::io(action()))?;
        let terminal = receive_terminal(&stream)?;
        std::fs::remove_file(&self.path).map_err(Error::io(action()))?;
        Ok(terminal)
    }
}

/// Receives the master side of a terminal, which was sent already.
pub(super) fn receive_terminal(socket: &UnixStream) -> Result<Ours> {
    let master = receive_descriptor(socket.as_raw_fd()).map_err(Error::io("receive the container's terminal"))?;
    Ok(Ours::Terminal(master))
}

fn receive_descriptor(socket: RawFd) -> io::Result<OwnedFd> {
    let mut name = [0; 256];
    let mut parts = [IoSliceMut::new(&mut name)];
    let mut space = cmsg_space!(RawFd);
    let message = recvmsg::<()>(socket, &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    message
        .cmsgs()?
        .find_map(|control| match control {
            // SAFETY: the kernel just made this descriptor for us, and nobody else knows it.
            ControlMessageOwned::ScmRights(fds) => fds.first().map(|&fd| unsafe { OwnedFd::from_raw_fd(fd) }),
            _ => None,
        })
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no descriptor came"))
}

/// Changes the size of a terminal; its foreground processes get SIGWINCH.
pub(crate) fn set_terminal_size(terminal: impl AsFd, size: TerminalSize) -> io::Result<()> {
    let size = libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel reads one winsize, which outlives the call.
    let result = unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
