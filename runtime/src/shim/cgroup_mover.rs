//! A process beside the shim that puts the new process in its cgroup while libcontainer builds the container: a first
//! move takes the kernel some 10 ms, and none of them is spent waiting this way.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, mkfifo, pipe2};

use crate::cgroup::{Cgroup, DaemonCgroups};
use crate::control::{self, Failure};
use crate::directory::Directory;
use crate::{Error, Result};

/// Said when the new process is in the cgroup: one byte.
const MOVED: &str = "+";

/// Who is moved first: a move takes the kernel long when there was none just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// The shim, while there is no new process yet.
    Shim,
    /// The new process, which waits for it.
    Process,
}

/// The process, seen from the shim.
#[derive(Debug)]
pub(super) struct CgroupMover {
    pid: Pid,
    /// Its being open keeps the mover waiting for a pid.
    told: File,
    /// Whoever opens the FIFO to write would else wait for a mover that has failed.
    _reader: File,
    /// Where the new process's pid is to be written.
    fifo: PathBuf,
    /// Has a byte once the new process is in the cgroup, and then why the shim couldn't be moved, if it couldn't.
    pub(super) moved: Rc<OwnedFd>,
}

impl CgroupMover {
    /// Starts it. To be called while the shim is still in the host's mount namespace.
    pub(super) fn spawn(cgroup: &Cgroup, directory: &Directory, report: &OwnedFd, first: First) -> Result<Self> {
        let fifo = directory.path().join("pid");
        let (pid_reader, told) = open_fifo(&fifo).map_err(Error::io(format!("make the FIFO {}", fifo.display())))?;
        let shim = Pid::this();
        let (moved, moved_writer) = pipe2(OFlag::O_CLOEXEC).map_err(Error::io("make a pipe"))?;
        // SAFETY: the shim has one thread, so the child may do anything that the parent may.
        match unsafe { fork() }.map_err(Error::io("start the cgroup mover"))? {
            ForkResult::Parent { child } => {
                Ok(Self { pid: child, told, _reader: pid_reader, fifo, moved: Rc::new(moved) })
            }
            ForkResult::Child => {
                drop((told, moved));
                if let Err(error) = serve(cgroup, shim, pid_reader, moved_writer.into(), first) {
                    // Nobody else can be told when the shim is gone.
                    report.try_clone().ok().map(|pipe| control::send(File::from(pipe), &Failure::from(error)));
                }
                // SAFETY: ends the process at once, without running what belongs to the shim.
                unsafe { libc::_exit(0) }
            }
        }
    }

    /// A path by which libcontainer can write the pid, as soon as there is one.
    pub(super) fn pid_file(&self) -> &Path {
        &self.fifo
    }

    /// Names the new process. A mover that has failed has said so, and the process will learn that it wasn't moved.
    pub(super) fn tell(&self, process: Pid) {
        (&self.told).write_all(process.to_string().as_bytes()).ok();
    }

    /// Waits until it has ended; it does so by itself, at the latest when nobody can tell it a pid any more. Gives what went
    /// wrong since the new process was moved.
    pub(super) fn join(self) -> Option<String> {
        drop(self.told);
        waitpid(self.pid, None).ok();
        // Nobody else can write to it any more.
        problem_in(File::from(self.moved.try_clone().ok()?))
    }
}

/// Both ends of a FIFO that is made for them; libcontainer writes to a path, so a pipe won't do.
fn open_fifo(path: &Path) -> io::Result<(File, File)> {
    mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?;
    // Opening for reading would wait for a writer.
    let reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let writer = OpenOptions::new().write(true).open(path)?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok((reader, writer))
}

fn serve(cgroup: &Cgroup, shim: Pid, mut pid: File, mut moved: File, first: First) -> Result<()> {
    let daemon_cgroups = DaemonCgroups::from_own_service(cgroup.parent())?;
    cgroup.warm_up()?;
    // Whoever stops berthd's service means neither the containers nor those who look after them.
    let move_shim = || daemon_cgroups.move_in(shim.as_raw());
    if first == First::Shim {
        move_shim()?;
    }
    let mut text = [0; 16];
    let length = pid.read(&mut text).map_err(Error::io("read the new process's pid"))?;
    let text = String::from_utf8_lossy(&text[..length]);
    if text.is_empty() {
        // The shim gave up, or was killed.
        return Ok(());
    }
    let pid = text.parse().map_err(|_| Error::Broken {
        process: "shim",
        id: text.to_string(),
        problem: "named no pid".to_owned(),
    })?;
    if cgroup.is_v1() {
        // Its own cgroup is in other hierarchies, and it may have been forked before the shim was moved.
        daemon_cgroups.move_in(pid)?;
    }
    cgroup.add(pid)?;
    say_moved(&mut moved, || if first == First::Process { move_shim() } else { Ok(()) })
        .map_err(Error::io("tell the new process"))
}

/// Lets the new process run. What goes wrong with the rest is no reason any more not to start it, and said behind that.
fn say_moved(moved: &mut impl io::Write, rest: impl FnOnce() -> Result<()>) -> io::Result<()> {
    moved.write_all(MOVED.as_bytes())?;
    rest().or_else(|error| moved.write_all(control::describe(&error).as_bytes()))
}

/// What went wrong, out of what was said to its end. The new process takes its byte of it, unless it ended before.
fn problem_in(mut moved: impl io::Read) -> Option<String> {
    let mut said = String::new();
    moved.read_to_string(&mut said).ok()?;
    let problem = said.strip_prefix(MOVED).unwrap_or(&said);
    (!problem.is_empty()).then(|| problem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_wrong_once_the_process_runs_is_said_behind_that_it_may() {
        let said = |rest: Result<()>| {
            let mut said = Vec::new();
            say_moved(&mut said, || rest).expect("written");
            assert_eq!(said.first(), Some(&b'+'), "the new process waits for a byte");
            // With that byte still there, and without it.
            assert_eq!(problem_in(&said[..]), problem_in(&said[1..]));
            problem_in(&said[..])
        };
        assert_eq!(said(Ok(())), None);
        let error = Error::io("move process 7 to cgroup /x")(io::Error::from_raw_os_error(libc::EAGAIN));
        let problem = "could not move process 7 to cgroup /x: Resource temporarily unavailable (os error 11)";
        assert_eq!(said(Err(error)).as_deref(), Some(problem));
    }
}
