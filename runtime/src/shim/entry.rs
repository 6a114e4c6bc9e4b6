//! How an exec enters its container: a process outside joins its namespaces, becomes all that the program is to be and has,
//! and only then forks it into the container's pid namespace (see [`super::pid_namespace_fork`]). Until then there is nothing
//! that the container could see.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::unistd::{ForkResult, Gid, Uid, dup2_stderr, dup2_stdin, dup2_stdout, fork, setgroups, setresgid, setresuid};

use super::cgroup_mover::CgroupMover;
use super::descriptors;
use super::launch;
use super::pid_namespace_fork::{PidNamespaceFork, end};
use super::program::{Outcome, Program, failed, hide};
use super::streams::Theirs;
use super::terminal;
use crate::Error;
use crate::process_fd::PidFd;
use crate::user::ResolvedUser;

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
    pub(super) fn start(self, mover: &CgroupMover) -> Outcome<Option<i32>> {
        let fork_result = PidNamespaceFork::new()?;
        // SAFETY: the shim has one thread, so the child may do anything that the parent may.
        match unsafe { fork() }.map_err(Error::io("fork"))? {
            ForkResult::Child => {
                if let Err(failure) = self.enter(&fork_result) {
                    self.program.tell(&failure);
                }
                end(0)
            }
            ForkResult::Parent { child } => {
                let scored = launch::set_oom_score(child.as_raw(), self.oom_score_adj);
                drop(self);
                // It waits for this, or for the end of who could say it.
                scored.inspect(|()| mover.tell(child))?;
                fork_result.wait(child)
            }
        }
    }

    fn enter(&self, fork_result: &PidNamespaceFork) -> Outcome<()> {
        self.close_the_rest().map_err(failed("close what is the host's"))?;
        self.program.wait_for_cgroup()?;
        setns(&self.container, self.namespaces).map_err(failed("join the container's namespaces"))?;
        self.take_streams().map_err(failed("take the streams"))?;
        self.program.set_up_terminal()?;
        descriptors::close_all_but(&[self.program.report.as_fd()]).map_err(failed("close what is the host's"))?;
        self.become_user().map_err(failed("become the user"))?;
        self.program.enter_working_directory()?;
        fork_result.fork(&self.program, &self.program.find()?)
    }

    fn close_the_rest(&self) -> io::Result<()> {
        let mut kept = vec![self.container.as_fd(), self.program.moved.as_fd(), self.program.report.as_fd()];
        match &self.streams {
            EntryStreams::Pipes(Theirs { stdin, stdout, stderr }) => {
                kept.extend([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()]);
            }
            EntryStreams::Terminal(socket) => kept.push(socket.as_fd()),
        }
        descriptors::close_all_but(&kept)
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
}
