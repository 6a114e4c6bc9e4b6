//! The library's interface.

use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use crate::protocol::Streams;
use crate::spec::{Id, Network, TerminalSize};
use crate::stats::Stats;
use crate::{ContainerSpec, ExecSpec, Exit, Result, Started, Status};

/// Where our programs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// `berth-shim`
    pub shim: PathBuf,
    /// `berth-monitor`
    pub monitor: PathBuf,
}

impl Binaries {
    /// Beside the running program, which is where they are installed.
    ///
    /// # Errors
    /// When one of them isn't there.
    pub fn beside_current_program() -> Result<Self> {
        todo!()
    }
}

/// A container's first process, or an exec in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// The container's first process.
    Container(&'a Id),
    /// An exec.
    Exec {
        /// The container that it is in.
        container: &'a Id,
        /// The exec.
        exec: &'a Id,
    },
}

/// All containers whose state is below one directory. Cheap to clone; holds no state of its own, so that any number of
/// threads and processes can use one directory.
#[derive(Debug, Clone)]
pub struct Runtime {
    run_dir: PathBuf,
    binaries: Binaries,
}

impl Runtime {
    /// Containers below `run_dir`, which is made if it isn't there and should be on a filesystem that a reboot empties.
    pub fn new(run_dir: impl Into<PathBuf>, binaries: Binaries) -> Result<Self> {
        Ok(Self { run_dir: run_dir.into(), binaries })
    }

    /// Begins to build a container: its shim is spawned and mounts the root filesystem while the caller gets the
    /// network namespace. Returns at once.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] when a container of this id exists already, even if it ended: [`Runtime::delete`] it first.
    pub fn start(&self, spec: &ContainerSpec) -> Result<Starting> {
        let _ = (spec, &self.run_dir, &self.binaries);
        todo!()
    }

    /// Begins a further process in a running container.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] when the container doesn't run or the id is taken, [`crate::Kind::NotFound`] when there is no such container.
    pub fn exec(&self, container: &Id, spec: &ExecSpec) -> Result<ExecStarting> {
        let _ = (container, spec);
        todo!()
    }

    /// Passes the streams of a running process through. See [`crate::protocol`] for what the stream then carries.
    pub fn attach(&self, target: Target<'_>, streams: Streams) -> Result<UnixStream> {
        let _ = (target, streams);
        todo!()
    }

    /// Tells when the process ends.
    pub fn watch(&self, target: Target<'_>) -> Result<Watch> {
        let _ = target;
        todo!()
    }

    /// Changes the size of a process's terminal.
    pub fn resize(&self, target: Target<'_>, size: TerminalSize) -> Result<()> {
        let _ = (target, size);
        todo!()
    }

    /// Sends a signal to a process, or to every process of a container.
    pub fn signal(&self, target: Target<'_>, signal: i32, all: bool) -> Result<()> {
        let _ = (target, signal, all);
        todo!()
    }

    /// Freezes every process of a container.
    pub fn pause(&self, container: &Id) -> Result<()> {
        let _ = container;
        todo!()
    }

    /// Undoes [`Runtime::pause`].
    pub fn resume(&self, container: &Id) -> Result<()> {
        let _ = container;
        todo!()
    }

    /// Where a process is in its life; exact whoever was restarted meanwhile.
    pub fn status(&self, target: Target<'_>) -> Result<Status> {
        let _ = target;
        todo!()
    }

    /// Every container that there is a directory of.
    pub fn list(&self) -> Result<Vec<Id>> {
        todo!()
    }

    /// The execs of a container.
    pub fn list_execs(&self, container: &Id) -> Result<Vec<Id>> {
        let _ = container;
        todo!()
    }

    /// The pids of a container's processes as the host sees them.
    pub fn pids(&self, container: &Id) -> Result<Vec<i32>> {
        let _ = container;
        todo!()
    }

    /// What a container uses.
    pub fn stats(&self, container: &Id) -> Result<Stats> {
        let _ = container;
        todo!()
    }

    /// Ends what is left of a container or exec whose shim or monitor died, and records how it ended (code 137, with an
    /// error text). Changes nothing when it wasn't [`Status::Orphaned`].
    pub fn recover(&self, target: Target<'_>) -> Result<Status> {
        let _ = target;
        todo!()
    }

    /// Ends a container if it still runs, and removes its cgroup, its sockets and its directory, or an exec's. Does
    /// nothing when there is nothing; what another call left half done is completed. Layers, `upper`, `work` and the
    /// log are the caller's.
    pub fn delete(&self, target: Target<'_>) -> Result<()> {
        let _ = target;
        todo!()
    }
}

/// A container whose shim is at work. Dropping it without [`Starting::release`] undoes everything, and so does the death
/// of the caller.
#[derive(Debug)]
#[must_use = "dropping it undoes the start"]
pub struct Starting {
    control: UnixStream,
}

impl Starting {
    /// Connects a client before the process runs, so that it misses nothing.
    pub fn attach(&self, streams: Streams) -> Result<Attachment> {
        let _ = (streams, &self.control);
        todo!()
    }

    /// Lets the container run in this network, and waits until it does.
    ///
    /// # Errors
    /// [`crate::Error::Start`] when it doesn't; then nothing of it is left.
    pub fn release(self, network: &Network) -> Result<Started> {
        let _ = network;
        todo!()
    }

    /// Undoes everything and waits until it is undone.
    pub fn abort(self) -> Result<()> {
        todo!()
    }
}

/// An exec whose shim is at work; as [`Starting`].
#[derive(Debug)]
#[must_use = "dropping it undoes the start"]
pub struct ExecStarting {
    control: UnixStream,
}

impl ExecStarting {
    /// Connects a client before the process runs, so that it misses nothing.
    pub fn attach(&self, streams: Streams) -> Result<Attachment> {
        let _ = (streams, &self.control);
        todo!()
    }

    /// Lets the process run, and waits until it does.
    ///
    /// # Errors
    /// [`crate::Error::Start`] when it doesn't; then nothing of it is left.
    pub fn release(self) -> Result<Started> {
        todo!()
    }
}

/// A client that was connected before its process runs.
#[derive(Debug)]
pub struct Attachment {
    stream: UnixStream,
}

impl Attachment {
    /// Waits until the process runs; then the stream is as from [`Runtime::attach`]. Before that only what the client
    /// sends may be written to it.
    pub fn into_stream(self) -> Result<UnixStream> {
        let _ = &self.stream;
        todo!()
    }
}

/// Becomes readable when a process has ended.
#[derive(Debug)]
pub struct Watch {
    stream: UnixStream,
}

impl Watch {
    /// For an event loop: readable when [`Watch::wait`] won't block.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        let _ = &self.stream;
        todo!()
    }

    /// Waits for the end of the process.
    ///
    /// # Errors
    /// [`crate::Error::Broken`] when its monitor died first: [`Runtime::recover`] it.
    pub fn wait(self) -> Result<Exit> {
        todo!()
    }
}
