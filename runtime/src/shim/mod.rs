//! `berth-shim`: builds one container, or runs one exec, and becomes its monitor.
//!
//! It has one thread, which makes forking and changing namespaces safe. Its caller hands it two sockets as standard
//! input and output: one to talk over (see `crate::control`), and the one on which the monitor will listen. When the
//! caller goes away before the start is decided, everything is undone.

mod cgroup_mover;
mod container;
mod descriptors;
mod diagnosis;
mod entry;
mod exec;
mod executor;
mod joined_processes;
pub(crate) mod late_mounts;
mod launch;
pub(crate) mod mount_fd;
pub(crate) mod mounts;
mod pid_namespace_fork;
mod program;
mod shared_memory;
pub(crate) mod streams;
mod terminal;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_dumpable;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, fork, setsid};

use self::cgroup_mover::CgroupMover;
use crate::cgroup::Cgroup;
use crate::control::{self, Failure, Outcome, Release, StartWarning};
use crate::directory::Directory;
use crate::monitor;
use crate::status::Started;
use crate::{Error, Result};

/// Why a start ends before its process runs.
#[derive(Debug)]
enum Stop {
    /// The caller is gone, or doesn't want it any more.
    Abandoned,
    /// It can't be done.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error.into())
    }
}

/// A process that runs, and what its monitor needs.
#[derive(Debug)]
struct Running {
    started: Started,
    streams: streams::Ours,
    monitor: monitor::Config,
    oom_events: Option<File>,
    /// What still moves the shim out of berthd's service.
    mover: Option<CgroupMover>,
}

/// Runs the program. `arguments` are what follows its name: `container` or `exec`, the directory, and the monitor's path.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    let [kind, directory, monitor] = arguments.as_slice() else {
        return ExitCode::FAILURE;
    };
    let directory = Directory::new(directory);
    let (control, listener) = match adopt_descriptors().and_then(|sockets| daemonise().map(|()| sockets)) {
        Ok(sockets) => sockets,
        Err(_) => return ExitCode::FAILURE,
    };
    let control = UnixStream::from(control);
    let result = match kind.to_str() {
        Some("container") => container::start(&directory, &control),
        Some("exec") => exec::start(&directory, &control),
        _ => return ExitCode::FAILURE,
    };
    let outcome = match result {
        Ok(running) => return hand_over(running, &control, listener, monitor),
        Err(Stop::Abandoned) => return ExitCode::FAILURE,
        Err(Stop::Failed(failure)) => Outcome::Failed(failure),
    };
    // A caller that is gone can't be told, and needn't.
    control::send(&control, &outcome).ok();
    ExitCode::FAILURE
}

/// Takes the two sockets out of standard input and output. Whatever else is open was left open by whoever started the
/// caller, who would wait for its end as long as the container runs.
fn adopt_descriptors() -> Result<(OwnedFd, OwnedFd)> {
    // SAFETY: nothing of this program owns a descriptor above standard error yet; no memory is involved.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    Errno::result(closed).map_err(Error::io("close what the caller left open"))?;
    let take = |fd: &dyn AsFd| {
        let taken = fcntl(fd.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(descriptors::FIRST_OF_SHIM))
            .map_err(Error::io("take a socket"))?;
        // SAFETY: the kernel just returned this descriptor, and nobody else knows it.
        Ok::<_, Error>(unsafe { std::os::fd::FromRawFd::from_raw_fd(taken) })
    };
    let sockets = (take(&std::io::stdin())?, take(&std::io::stdout())?);
    let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null").map_err(Error::io("open /dev/null"))?;
    dup2_stdin(&null)
        .and_then(|()| dup2_stdout(&null))
        .and_then(|()| dup2_stderr(&null))
        .map_err(Error::io("close stdio"))?;
    Ok(sockets)
}

/// Leaves the caller's session and becomes nobody's child: the caller needn't reap us.
fn daemonise() -> Result<()> {
    // SAFETY: there is one thread, so the child may do anything that the parent may.
    match unsafe { fork() }.map_err(Error::io("fork"))? {
        ForkResult::Parent { .. } => std::process::exit(0),
        ForkResult::Child => {
            setsid().map_err(Error::io("make a session"))?;
            umask(Mode::from_bits_truncate(0o022));
            join_new_keyring().map_err(Error::io("make a session keyring"))?;
            // Until they execute something, neither this process nor those on their way into the container can be looked
            // into from there.
            set_dumpable(false).map_err(Error::io("hide the process"))?;
            std::env::set_current_dir("/").map_err(Error::io("leave the caller's directory"))
        }
    }
}

/// Leaves the keyring of the session that berthd was started in, whose keys a container would have (keyrings(7)).
fn join_new_keyring() -> nix::Result<()> {
    // SAFETY: the null pointer stands for a new keyring without a name; no memory is involved.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<u8>()) };
    match Errno::result(result) {
        // Without keyrings there is nothing to leave, and who forbids berth the call forbids it its containers.
        Ok(_) | Err(Errno::ENOSYS | Errno::EPERM) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Waits for the caller's word.
fn wait_for_release(control: &UnixStream) -> std::result::Result<Release, Stop> {
    match control::receive(control) {
        Ok(Some(release)) => Ok(release),
        Ok(None) => Err(Stop::Abandoned),
        Err(error) => Err(Failure::internal(format!("the caller's message can't be read: {error}")).into()),
    }
}

/// Whether the caller has gone away. It says nothing more once it has released, so anything there is to read is the end.
fn is_abandoned(control: &UnixStream) -> bool {
    poll(&mut [PollFd::new(control.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) != Ok(0)
}

/// Ends the processes that were begun, wherever they are by now.
fn end_children(cgroup: Option<&Cgroup>) {
    let own = Pid::this();
    let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
    for child in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
        kill(Pid::from_raw(child), Signal::SIGKILL).ok();
    }
    if let Some(cgroup) = cgroup {
        // What is left is ended once more by whoever deletes the container.
        cgroup.kill().ok();
    }
    while waitpid(None, None).is_ok() {}
}

/// Tells the caller, and becomes the monitor.
fn hand_over(running: Running, control: &UnixStream, listener: OwnedFd, program: &OsStr) -> ExitCode {
    let Running { started, streams, monitor, oom_events, mover } = running;
    // A caller that is gone will learn it from the container's state.
    control::send(control, &Outcome::Started(started)).ok();
    if let Some(problem) = mover.and_then(CgroupMover::join) {
        control::send(control, &StartWarning { problem }).ok();
    }
    let (input, stdout, stderr) = match streams {
        streams::Ours::Terminal(terminal) => (Some(terminal), None, None),
        streams::Ours::Pipes { stdin, stdout, stderr } => (stdin, Some(stdout), Some(stderr)),
    };
    let passed = monitor::Descriptors { listener, input, stdout, stderr, oom_events: oom_events.map(OwnedFd::from) };
    // Only an error comes back. The container runs on, and whoever asks for it finds that nobody looks after it.
    match monitor::replace_process(program, &monitor, passed) {
        Ok(never) => match never {},
        Err(_) => ExitCode::FAILURE,
    }
}
