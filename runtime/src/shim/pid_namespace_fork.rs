//! The last step into a pid namespace that others are in: they see a process as soon as it is there, and may trace it with
//! `CAP_SYS_PTRACE`. So what is born there has the program's own capabilities, filter, user, root and working directory
//! already, and nothing open but its streams and a pipe for what goes wrong.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd as _;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, setsid};

use super::program::{Found, Outcome, Program, failed};
use crate::control::Failure;
use crate::process_fd::PidFd;
use crate::{Error, Result};

/// How long it may take. Whoever may trace what is born can stop it for good.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where the process that enters tells the shim which one was born: a page that the two share, and that isn't passed on to
/// what is born. Whoever may trace that could say another process's pid in anything that it has.
#[derive(Debug)]
pub(super) struct PidNamespaceFork(NonNull<AtomicI32>);

const PAGE_BYTES: NonZeroUsize = NonZeroUsize::new(4096).expect("it isn't zero");

impl PidNamespaceFork {
    pub(super) fn new() -> Result<Self> {
        let (access, kind) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED);
        // SAFETY: the kernel chooses a place where nothing is.
        let page = unsafe { mmap_anonymous(None, PAGE_BYTES, access, kind) };
        Ok(Self(page.map_err(Error::io("make a page of shared memory"))?.cast()))
    }

    fn pid(&self) -> &AtomicI32 {
        // SAFETY: the page is there, zeroed and aligned, until this is dropped; other processes write to it by atomics too.
        unsafe { self.0.as_ref() }
    }

    /// Forks into the pid namespace that was joined; what is born there has become the program, or has reported why not,
    /// when this returns. To be called once, by a process that ends then.
    pub(super) fn fork(&self, program: &Program, found: &Found) -> Outcome<()> {
        // SAFETY: the page is ours; a child of this process, which doesn't use it, is made without it.
        unsafe { madvise(self.0.cast(), PAGE_BYTES.get(), MmapAdvise::MADV_DONTFORK) }
            .map_err(failed("keep a page from what is born"))?;
        die_with_shim()?;
        program.raise_limits()?;
        let confined = filter_allows_clone(program);
        if confined {
            program.confine()?;
        }
        self.pid().store(fork_beside(|| run(program, found, confined))?, Ordering::Release);
        Ok(())
    }

    /// The pid, once the process that was to give birth has ended; `None` when it did so without.
    pub(super) fn wait(&self, parent: Pid) -> Outcome<Option<i32>> {
        let action = || Error::io("wait for the process that enters the pid namespace");
        let process = PidFd::open(parent.as_raw()).map_err(action())?;
        if !process.wait_for(TIMEOUT).map_err(action())? {
            let seconds = TIMEOUT.as_secs();
            return Err(Failure::internal(format!(
                "something in the container kept the process from running its program for {seconds} s"
            )));
        }
        waitpid(parent, None).map_err(Error::io("wait for the process that enters the pid namespace"))?;
        Ok(Some(self.pid().load(Ordering::Acquire)).filter(|&pid| pid != 0))
    }
}

impl Drop for PidNamespaceFork {
    fn drop(&mut self) {
        // SAFETY: nobody uses the page any more; that it can't be unmapped has no consequence.
        unsafe { munmap(self.0.cast(), PAGE_BYTES.get()) }.ok();
    }
}

/// A shim that is killed has told nobody of the process, so nobody would look after it.
fn die_with_shim() -> Outcome<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(failed("tie the process to the shim"))
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
fn filter_allows_clone(program: &Program) -> bool {
    let mut calls = vec![(libc::SYS_clone, CLONE_ARGUMENTS), (libc::SYS_setsid, [0; 6])];
    if program.process.terminal.is_some() {
        calls.push((libc::SYS_ioctl, [0, libc::TIOCSCTTY, 0, 0, 0, 0]));
    }
    calls.extend(program.process.rlimits.first().map(|_| (libc::SYS_prlimit64, [0; 6])));
    calls.into_iter().all(|(number, arguments)| program.filter.lets_pass(number, arguments))
}

/// What is done in the pid namespace. Only a filter can forbid to be tied to the shim; its program comes first.
fn run(program: &Program, found: &Found, confined: bool) {
    die_with_shim().ok();
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

/// A child of the shim, as this process is: the shim becomes its monitor. This process waits until the other one executes
/// something or ends, which is the only word of it that nobody else can give.
const CLONE_FLAGS: u64 = (libc::CLONE_PARENT | libc::CLONE_VFORK | libc::SIGCHLD) as u64;

const CLONE_ARGUMENTS: [u64; 6] = [CLONE_FLAGS, 0, 0, 0, 0, 0];

/// Forks; the new process does this work and ends.
fn fork_beside(work: impl FnOnce()) -> Outcome<i32> {
    // SAFETY: as fork(2), but for the parent: no memory is shared (CLONE_VFORK does so only with CLONE_VM). There is one thread, so the child may do anything.
    let result = unsafe { libc::syscall(libc::SYS_clone, CLONE_FLAGS, 0, 0, 0, 0) };
    match Errno::result(result).map_err(failed("fork into the pid namespace"))? {
        0 => {
            work();
            // For who sees that it has ended, where a filter forbids to say why.
            end(126)
        }
        pid => i32::try_from(pid).map_err(failed("fork into the pid namespace")),
    }
}

/// Ends this process at once.
pub(super) fn end(code: i32) -> ! {
    // SAFETY: nothing of the shim is run, and what this process did is told already.
    unsafe { libc::_exit(code) }
}
