//! `berth-monitor`: looks after one running process, for as long as it runs.
//!
//! It is what the shim becomes (same pid, so that the process stays its child): it holds the process's streams, writes
//! the log, serves attached clients (see [`crate::protocol`]) and records the end. One thread waits for whatever comes
//! next; there is no async runtime, because each container has one of these.

mod client;
mod json_log;
mod output_log;
mod serve;

#[cfg(fuzzing)]
pub(crate) use json_log::log_of;

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{SigSet, Signal};
use serde::{Deserialize, Serialize};

use crate::spec::{Id, Log, Stdin};
use crate::status::Started;

/// What a monitor is to look after; passed as its argument, in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Config {
    /// The directory of the container or exec.
    pub(crate) directory: PathBuf,
    /// The process.
    pub(crate) started: Started,
    pub(crate) stdin: Stdin,
    pub(crate) terminal: bool,
    pub(crate) log: Log,
    pub(crate) leftover: Leftover,
}

/// What happens to processes that outlive the first one and hold its streams open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Leftover {
    /// They die with it, which ends a pid namespace.
    DieAlong,
    /// They are killed: a container that shares its pid namespace ends all the same.
    Kill {
        /// The cgroup's parent.
        cgroup_parent: PathBuf,
        /// The container.
        id: Id,
    },
    /// They are left alone, and what they still say isn't waited for.
    Ignore,
}

/// The descriptors that a monitor works with.
#[derive(Debug)]
pub(crate) struct Descriptors {
    /// Where clients connect.
    pub(crate) listener: OwnedFd,
    /// The terminal, or the writing end of standard input.
    pub(crate) input: Option<OwnedFd>,
    /// The reading end of standard output, unless there is a terminal.
    pub(crate) stdout: Option<OwnedFd>,
    /// The reading end of standard error, unless there is a terminal.
    pub(crate) stderr: Option<OwnedFd>,
    /// Counts processes killed for lack of memory.
    pub(crate) oom_events: Option<OwnedFd>,
}

/// Where the descriptors are passed on, in the order of [`Descriptors`].
const FIRST_DESCRIPTOR: RawFd = 3;

/// How many there are.
const DESCRIPTORS: usize = 5;

/// What never is.
pub(crate) enum Never {}

/// Becomes the monitor. Returns only when that fails.
pub(crate) fn replace_process(program: &OsStr, config: &Config, descriptors: Descriptors) -> io::Result<Never> {
    let Descriptors { listener, input, stdout, stderr, oom_events } = descriptors;
    // One that is absent is left closed. All are moved up first, so that none is overwritten while it is still needed.
    let mut moved = Vec::new();
    for descriptor in [Some(listener), input, stdout, stderr, oom_events] {
        let above = FIRST_DESCRIPTOR + RawFd::try_from(DESCRIPTORS).unwrap_or(RawFd::MAX);
        moved.push(descriptor.map(|descriptor| fcntl(&descriptor, FcntlArg::F_DUPFD_CLOEXEC(above))).transpose()?);
    }
    for (number, descriptor) in (FIRST_DESCRIPTOR..).zip(moved) {
        // SAFETY: these numbers are from here on what the monitor knows them by, and nothing of ours owns them: what the
        // shim had open below was opened before and isn't used any more. dup2 leaves the copy open across the exec.
        unsafe {
            match descriptor {
                Some(descriptor) => libc::dup2(descriptor, number),
                None => libc::close(number),
            };
        }
    }
    let json = serde_json::to_vec(config)?;
    let arguments = [CString::new("berth-monitor")?, CString::new(json)?];
    let program = CString::new(program.as_bytes())?;
    let env: [CString; 0] = [];
    match nix::unistd::execve(&program, &arguments, &env)? {}
}

/// Runs the program; the one argument is a `Config`.
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(config) = arguments.next().and_then(|argument| serde_json::from_slice(argument.as_bytes()).ok()) else {
        return ExitCode::FAILURE;
    };
    let Some(descriptors) = take_descriptors() else { return ExitCode::FAILURE };
    // Whoever tells all of berth's programs something (pkill -HUP berth) doesn't mean the container, which ends with its monitor.
    let ignored: SigSet = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT].into_iter().collect();
    if ignored.thread_block().is_err() {
        return ExitCode::FAILURE;
    }
    match serve::run(config, descriptors) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever asks finds the lock free and no exit recorded, and recovers the container.
        Err(_) => ExitCode::FAILURE,
    }
}

fn take_descriptors() -> Option<Descriptors> {
    let mut taken = (FIRST_DESCRIPTOR..).take(DESCRIPTORS).map(|number| {
        // SAFETY: only asks whether the descriptor is open.
        let open = unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } == 0;
        // SAFETY: it is open, it was passed to this program under this number, and nothing else in it takes it.
        open.then(|| unsafe { OwnedFd::from_raw_fd(number) })
    });
    let mut next = || taken.next().flatten();
    Some(Descriptors { listener: next()?, input: next(), stdout: next(), stderr: next(), oom_events: next() })
}

/// Makes reads and writes return at once when they would wait.
pub(crate) fn set_nonblocking(file: &File) -> io::Result<()> {
    // SAFETY: changes a flag of an open descriptor; no memory is involved.
    let result = unsafe {
        let flags = libc::fcntl(file.as_raw_fd(), libc::F_GETFL);
        libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
