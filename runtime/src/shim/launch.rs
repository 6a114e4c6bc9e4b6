//! What starting a container and starting an exec have in common: running libcontainer and finding out how it went.

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use libcontainer::container::builder::ContainerBuilder;
use libcontainer::error::LibcontainerError;
use libcontainer::syscall::syscall::SyscallType;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use super::diagnosis::Diagnosis;
use super::streams::{self, Console, Ours, Theirs};
use crate::control::{self, Failure};
use crate::directory::Directory;
use crate::monitor::set_nonblocking;
use crate::seccomp::Filter;
use crate::spec::{Id, Process};
use crate::user::ResolvedUser;
use crate::{Error, Result};

/// A pipe for [`Failure`]s, from processes that can't say them otherwise.
#[derive(Debug)]
pub(super) struct Report {
    reader: File,
    writer: OwnedFd,
}

impl Report {
    pub(super) fn new() -> Result<Self> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).map_err(Error::io("make a pipe"))?;
        Ok(Self { reader: reader.into(), writer })
    }

    pub(super) fn writer(&self) -> &OwnedFd {
        &self.writer
    }

    /// A writer for a process that is yet to be made.
    pub(super) fn clone_writer(&self) -> Result<OwnedFd> {
        self.writer.try_clone().map_err(Error::io("copy a pipe's end"))
    }

    /// What was reported, once every other process that could is gone or runs its program.
    pub(super) fn read(self) -> Option<Failure> {
        drop(self.writer);
        // An unreadable report is none: the caller has a text of its own to fall back to.
        control::receive_from_pipe(self.reader).ok().flatten().map(Failure::visible)
    }

    /// What was reported so far. Whoever traces what is born may keep the pipe open, and write to it.
    pub(super) fn read_what_is_there(self) -> Option<Failure> {
        set_nonblocking(&self.reader).ok()?;
        self.read()
    }
}

/// The streams of a process that is yet to be made.
#[derive(Debug)]
pub(super) enum Streams {
    Terminal(Console),
    Pipes { ours: Ours, theirs: Theirs },
}

impl Streams {
    pub(super) fn prepare(directory: &Directory, process: &Process, user: &ResolvedUser) -> Result<Self> {
        match process.terminal {
            Some(_) => Console::listen(directory.path()).map(Self::Terminal),
            None => streams::pipes(process, user).map(|(ours, theirs)| Self::Pipes { ours, theirs }),
        }
    }

    /// Gives the process's side to libcontainer. The rest becomes our side once the process is made.
    pub(super) fn pass_to(self, builder: ContainerBuilder) -> (ContainerBuilder, PendingStreams) {
        match self {
            Self::Terminal(console) => {
                let builder = builder.with_console_socket(Some(console.path()));
                (builder, PendingStreams::Terminal(console))
            }
            Self::Pipes { ours, theirs: Theirs { stdin, stdout, stderr } } => {
                (builder.with_stdin(stdin).with_stdout(stdout).with_stderr(stderr), PendingStreams::Pipes(ours))
            }
        }
    }
}

/// Our side of the streams, which for a terminal is yet to come.
#[derive(Debug)]
pub(super) enum PendingStreams {
    Terminal(Console),
    Pipes(Ours),
    /// The master side of a terminal comes here.
    Sent(UnixStream),
}

impl PendingStreams {
    pub(super) fn finish(self) -> Result<Ours> {
        match self {
            Self::Terminal(console) => console.accept(),
            Self::Pipes(ours) => Ok(ours),
            Self::Sent(socket) => streams::receive_terminal(&socket),
        }
    }
}

/// A builder for the container with this id, whose state libcontainer keeps in `directory`.
pub(super) fn builder(id: &Id, directory: &Directory) -> std::result::Result<ContainerBuilder, Failure> {
    ContainerBuilder::new(id.to_string(), SyscallType::default())
        .with_root_path(directory.libcontainer())
        .map_err(|error| Failure::internal(control::describe(&error)))
}

/// The filter that the library has compiled for this process.
pub(super) fn filter(directory: &Directory) -> Result<Filter> {
    let path = directory.filter();
    let bytes = fs::read(&path).map_err(Error::io(format!("read {}", path.display())))?;
    Filter::from_bytes(&bytes).ok_or_else(|| Error::Stored { path, reason: "it is cut short".to_owned() })
}

/// Sets how readily the kernel ends a new process for want of memory. From outside: what is called `/proc` inside is what
/// the container says it is (CVE-2025-52881).
pub(super) fn set_oom_score(pid: i32, score: Option<i16>) -> Result<()> {
    let Some(score) = score else { return Ok(()) };
    fs::write(format!("/proc/{pid}/oom_score_adj"), score.to_string())
        .map_err(Error::io(format!("set the OOM score to {score}")))
}

/// What to say when libcontainer failed: what one of the processes reported, else its own words.
pub(super) fn failure_of(error: &LibcontainerError, report: Report, diagnosis: Diagnosis) -> Failure {
    report.read().unwrap_or_else(|| {
        let text = control::describe(error);
        Failure::internal(match diagnosis.cause() {
            Some(cause) if !text.contains(&cause) => format!("{text}: {cause}"),
            _ => text,
        })
    })
}

/// The environment of a process, with `HOME`, and with what a terminal needs.
pub(super) fn environment(process: &Process, user: &ResolvedUser) -> Vec<String> {
    // execve would pass two of a name on, and which one counts differs from program to program. An image may have very many.
    let mut names = HashSet::new();
    let mut env = Vec::new();
    for variable in process.env.iter().rev() {
        if names.insert(variable.split('=').next()) {
            env.push(variable.clone());
        }
    }
    env.reverse();
    // Nobody's home is nowhere.
    env.retain(|variable| variable != "HOME=");
    if !env.iter().any(|variable| variable.starts_with("HOME=")) {
        env.push(format!("HOME={}", user.home));
    }
    env
}
