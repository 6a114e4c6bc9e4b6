//! How an exec enters its container: a process outside joins its namespaces, becomes all that the program is to be and has,
//! and only then gives birth to it in the container's pid namespace.
//!
//! Whoever is in that namespace sees a process as soon as it is in it, and may trace it with `CAP_SYS_PTRACE`. So what is
//! born there has the program's own capabilities, filter, user, root and working directory already, and nothing open but
//! its streams and a pipe for what goes wrong; until then there is nothing that the container could see.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Gid, Uid, dup2_stderr, dup2_stdin, dup2_stdout, fork, pipe2, setgroups, setresgid};
use nix::unistd::{setresuid, setsid};

use super::cgroup_mover::CgroupMover;
use super::descriptors;
use super::launch;
use super::program::{Found, Outcome, Program, failed, hide};
use super::streams::Theirs;
use super::terminal;
use crate::process_fd::PidFd;
use crate::user::ResolvedUser;
use crate::{Error, Result};

/// What an exec's process is made of.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) program: Program,
    pub(super) user: ResolvedUser,
    pub(super) oom_score_adj: Option<i16>,
    /// A process of the container.
    pub(super) container: PidFd,
    /// The namespaces of that process which are joined.
    pub(super) namespaces: CloneFlags,
    pub(super) streams: EntryStreams,
}

/// The side of its streams that the process is given.
#[derive(Debug)]
pub(super) enum EntryStreams {
    Pipes(Theirs),
    /// It makes a terminal in the container and sends the master side here.
    Terminal(OwnedFd),
}

impl Entry {
    /// Makes the process, which runs or has reported why not, and gives its pid; `None` when there is none.
    pub(super) fn start(self, mover: &CgroupMover) -> Result<Option<i32>> {
        let (born, birth) = pipe2(OFlag::O_CLOEXEC).map_err(Error::io("make a pipe"))?;
        // SAFETY: the shim has one thread, so the child may do anything that the parent may.
        match unsafe { fork() }.map_err(Error::io("fork"))? {
            ForkResult::Child => {
                if let Err(failure) = self.enter(birth.into()) {
                    self.program.tell(&failure);
                }
                end()
            }
            ForkResult::Parent { child } => {
                drop(birth);
                let scored = launch::set_oom_score(child.as_raw(), self.oom_score_adj);
                drop(self);
                // It waits for this, or for the end of who could say it.
                scored.inspect(|()| mover.tell(child))?;
                waitpid(child, None).map_err(Error::io("wait for the process that enters the container"))?;
                let mut pid = [0; size_of::<i32>()];
                Ok(File::from(born).read_exact(&mut pid).ok().map(|()| i32::from_ne_bytes(pid)))
            }
        }
    }

    fn enter(&self, mut birth: File) -> Outcome<()> {
        self.close_the_rest(&birth).map_err(failed("close what is the host's"))?;
        self.program.wait_for_cgroup()?;
        setns(&self.container, self.namespaces).map_err(failed("join the container's namespaces"))?;
        self.take_streams().map_err(failed("take the streams"))?;
        self.program.set_up_terminal()?;
        self.close_what_was_needed(&birth).map_err(failed("close what is the host's"))?;
        self.become_user().map_err(failed("become the user"))?;
        self.program.enter_working_directory(false)?;
        let found = self.program.find()?;
        self.program.raise_limits()?;
        let confined = self.filter_lets_be_born();
        if confined {
            self.program.confine()?;
        }
        let pid = give_birth(|| self.run(&found, confined))?;
        birth.write_all(&pid.to_ne_bytes()).map_err(failed("name the process"))
    }

    fn close_the_rest(&self, birth: &File) -> io::Result<()> {
        let mut kept =
            vec![birth.as_fd(), self.container.as_fd(), self.program.moved.as_fd(), self.program.report.as_fd()];
        match &self.streams {
            EntryStreams::Pipes(Theirs { stdin, stdout, stderr }) => {
                kept.extend([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()]);
            }
            EntryStreams::Terminal(socket) => kept.push(socket.as_fd()),
        }
        descriptors::close_all_but(&kept)
    }

    fn close_what_was_needed(&self, birth: &File) -> io::Result<()> {
        descriptors::close_all_but(&[birth.as_fd(), self.program.report.as_fd()])
    }

    fn take_streams(&self) -> io::Result<()> {
        match &self.streams {
            EntryStreams::Pipes(Theirs { stdin, stdout, stderr }) => {
                dup2_stdin(stdin)?;
                dup2_stdout(stdout)?;
                dup2_stderr(stderr)?;
            }
            EntryStreams::Terminal(socket) => {
                let slave = terminal::open_and_send(socket.as_fd())?;
                dup2_stdin(&slave)?;
                dup2_stdout(&slave)?;
                dup2_stderr(&slave)?;
            }
        }
        Ok(())
    }

    /// Takes the user's ids and keeps the capabilities until the end.
    fn become_user(&self) -> io::Result<()> {
        let groups: Vec<Gid> = self.user.additional_gids.iter().copied().map(Gid::from_raw).collect();
        let (uid, gid) = (Uid::from_raw(self.user.uid), Gid::from_raw(self.user.gid));
        prctl::set_keepcaps(true)?;
        setgroups(&groups)?;
        setresgid(gid, gid, gid)?;
        setresuid(uid, uid, uid)?;
        prctl::set_keepcaps(false)?;
        // The change of user took them out of effect, and may have made the process one that others can look into.
        let permitted = caps::read(None, caps::CapSet::Permitted).map_err(io::Error::other)?;
        caps::set(None, caps::CapSet::Effective, &permitted).map_err(io::Error::other)?;
        hide().map_err(|failure| io::Error::other(failure.message))
    }

    /// Whether the filter allows what is still to be done behind it. One that doesn't is for the program alone, and what is
    /// born puts itself behind it.
    fn filter_lets_be_born(&self) -> bool {
        let process = &self.program.process;
        let mut calls = vec![(libc::SYS_clone, CLONE_ARGUMENTS), (libc::SYS_setsid, [0; 6])];
        if process.terminal.is_some() {
            calls.push((libc::SYS_ioctl, [0, libc::TIOCSCTTY, 0, 0, 0, 0]));
        }
        calls.extend(process.rlimits.first().map(|_| (libc::SYS_prlimit64, [0; 6])));
        calls.into_iter().all(|(number, arguments)| self.program.filter.lets_pass(number, arguments))
    }

    /// The last steps, in the container's pid namespace.
    fn run(&self, found: &Found, confined: bool) {
        let prepared = begin_session(self.program.process.terminal.is_some())
            .and_then(|()| self.program.limit())
            .and_then(|()| if confined { Ok(()) } else { self.program.confine() });
        self.program.tell(&prepared.err().unwrap_or_else(|| found.execute()));
    }
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

/// A child of the shim, not of the process that entered: the shim becomes its monitor.
const CLONE_FLAGS: u64 = (libc::CLONE_PARENT | libc::SIGCHLD) as u64;

const CLONE_ARGUMENTS: [u64; 6] = [CLONE_FLAGS, 0, 0, 0, 0, 0];

/// Forks into the pid namespace that was joined; the child does this work and ends.
fn give_birth(work: impl FnOnce()) -> Outcome<i32> {
    // SAFETY: as fork(2), but for the parent: no memory is shared. There is one thread, so the child may do anything.
    let result = unsafe { libc::syscall(libc::SYS_clone, CLONE_FLAGS, 0, 0, 0, 0) };
    match Errno::result(result).map_err(failed("fork into the container"))? {
        0 => {
            work();
            end()
        }
        pid => i32::try_from(pid).map_err(failed("fork into the container")),
    }
}

/// Ends this process at once.
fn end() -> ! {
    // SAFETY: nothing of the shim is run, and what this process did is told already.
    unsafe { libc::_exit(0) }
}
