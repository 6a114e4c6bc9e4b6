//! The last step into a pid namespace that others are in: they see a process as soon as it is there, and may trace it with
//! `CAP_SYS_PTRACE`. So what is born there has the program's own capabilities, filter, user, root and working directory
//! already, and nothing open but its streams and a pipe for what goes wrong.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, pipe2, setsid};

use super::program::{Found, Outcome, Program, failed};
use crate::{Error, Result};

/// Where the pid of what is born comes from.
#[derive(Debug)]
pub(super) struct Born(File);

/// Where the pid of what is born goes.
#[derive(Debug)]
pub(super) struct Birth(File);

/// Both ends.
pub(super) fn announcement() -> Result<(Born, Birth)> {
    let (born, birth): (OwnedFd, OwnedFd) = pipe2(OFlag::O_CLOEXEC).map_err(Error::io("make a pipe"))?;
    Ok((Born(born.into()), Birth(birth.into())))
}

impl Born {
    /// The pid, once the process that was to give birth has ended; `None` when it did so without.
    pub(super) fn wait(mut self, parent: Pid) -> Result<Option<i32>> {
        waitpid(parent, None).map_err(Error::io("wait for the process that enters the pid namespace"))?;
        let mut pid = [0; size_of::<i32>()];
        Ok(self.0.read_exact(&mut pid).ok().map(|()| i32::from_ne_bytes(pid)))
    }
}

impl AsFd for Birth {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Birth {
    /// Forks into the pid namespace that was joined; what is born there becomes the program, or reports why not.
    pub(super) fn give(&self, program: &Program, found: &Found) -> Outcome<()> {
        program.raise_limits()?;
        let confined = filter_lets_be_born(program);
        if confined {
            program.confine()?;
        }
        let pid = fork_beside(|| run(program, found, confined))?;
        (&self.0).write_all(&pid.to_ne_bytes()).map_err(failed("name the process"))
    }
}

/// Lets go of the terminal, which one session can have. Its leader is told by a signal that it has lost it.
pub(super) fn leave_terminal() -> Outcome<()> {
    // SAFETY: sets the disposition to what the kernel does by itself; no handler of ours is involved.
    unsafe { signal(Signal::SIGHUP, SigHandler::SigIgn) }.map_err(failed("ignore SIGHUP"))?;
    // SAFETY: no memory is involved.
    let result = unsafe { libc::ioctl(io::stdin().as_raw_fd(), libc::TIOCNOTTY) };
    Errno::result(result).map_err(failed("let go of the terminal"))?;
    // SAFETY: as above.
    unsafe { signal(Signal::SIGHUP, SigHandler::SigDfl) }.map_err(failed("reset SIGHUP")).map(drop)
}

/// Whether the filter allows what is still to be done behind it. One that doesn't is for the program alone, and what is born
/// puts itself behind it.
fn filter_lets_be_born(program: &Program) -> bool {
    let mut calls = vec![(libc::SYS_clone, CLONE_ARGUMENTS), (libc::SYS_setsid, [0; 6])];
    if program.process.terminal.is_some() {
        calls.push((libc::SYS_ioctl, [0, libc::TIOCSCTTY, 0, 0, 0, 0]));
    }
    calls.extend(program.process.rlimits.first().map(|_| (libc::SYS_prlimit64, [0; 6])));
    calls.into_iter().all(|(number, arguments)| program.filter.lets_pass(number, arguments))
}

/// What is done in the pid namespace.
fn run(program: &Program, found: &Found, confined: bool) {
    let prepared = begin_session(program.process.terminal.is_some())
        .and_then(|()| program.limit())
        .and_then(|()| if confined { Ok(()) } else { program.confine() });
    program.tell(&prepared.err().unwrap_or_else(|| found.execute()));
}

fn begin_session(with_terminal: bool) -> Outcome<()> {
    setsid().map_err(failed("make a session"))?;
    if with_terminal {
        // SAFETY: no memory is involved.
        let result = unsafe { libc::ioctl(io::stdin().as_raw_fd(), libc::TIOCSCTTY, 0) };
        Errno::result(result).map_err(failed("make the terminal the session's"))?;
    }
    Ok(())
}

/// A child of the shim, as this process is: the shim becomes its monitor.
const CLONE_FLAGS: u64 = (libc::CLONE_PARENT | libc::SIGCHLD) as u64;

const CLONE_ARGUMENTS: [u64; 6] = [CLONE_FLAGS, 0, 0, 0, 0, 0];

/// Forks; the new process does this work and ends.
fn fork_beside(work: impl FnOnce()) -> Outcome<i32> {
    // SAFETY: as fork(2), but for the parent: no memory is shared. There is one thread, so the child may do anything.
    let result = unsafe { libc::syscall(libc::SYS_clone, CLONE_FLAGS, 0, 0, 0, 0) };
    match Errno::result(result).map_err(failed("fork into the pid namespace"))? {
        0 => {
            work();
            end()
        }
        pid => i32::try_from(pid).map_err(failed("fork into the pid namespace")),
    }
}

/// Ends this process at once.
pub(super) fn end() -> ! {
    // SAFETY: nothing of the shim is run, and what this process did is told already.
    unsafe { libc::_exit(0) }
}
