//! Spawns a shim and talks to it until its process runs.

use std::fs;
use std::net::Shutdown;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use serde::Serialize;

use crate::connection::Attachment;
use crate::control::{self, Outcome, Release, StartWarning};
use crate::directory::{Directory, File};
use crate::protocol::Streams;
use crate::runtime::{Programs, Target};
use crate::spec::{Id, Network};
use crate::{Error, Result, Started};

/// A shim at work.
#[derive(Debug)]
pub(crate) struct Launch {
    control: UnixStream,
    directory: Directory,
    what: &'static str,
    id: Id,
    /// What was spawned, which leaves the actual shim behind at once and only has to be collected.
    spawned: Child,
}

impl Launch {
    /// Makes the directory, and spawns the shim that works from it.
    pub(crate) fn begin<T: Serialize>(
        programs: &Programs,
        target: Target<'_>,
        directory: Directory,
        spec: &T,
        filter: &[u8],
    ) -> Result<Self> {
        let (what, id) = target.name();
        match directory.create() {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(Error::Conflict { what, id: id.to_string(), state: "there already" });
            }
            Err(error) => return Err(Error::io(format!("make {}", directory.path().display()))(error)),
        }
        Self::store(&directory, spec, filter)
            .and_then(|()| Self::spawn(programs, what, &directory))
            .map(|(spawned, control)| Self { control, directory: directory.clone(), what, id: id.clone(), spawned })
            // The first error is the one that matters.
            .inspect_err(|_| drop(directory.remove()))
    }

    fn store<T: Serialize>(directory: &Directory, spec: &T, filter: &[u8]) -> Result<()> {
        directory.write(File::Spec, spec)?;
        let path = directory.filter();
        fs::write(&path, filter).map_err(Error::io(format!("write {}", path.display())))
    }

    fn spawn(programs: &Programs, kind: &str, directory: &Directory) -> Result<(Child, UnixStream)> {
        let listener = directory.listen().map_err(Error::io("make the monitor's socket"))?;
        let (ours, theirs) = UnixStream::pair().map_err(Error::io("make a pair of sockets"))?;
        // As standard input and output, descriptors cross without anything to be run between fork and exec.
        let spawned = Command::new(programs.shim.path())
            .args([kind.as_ref(), directory.path().as_os_str(), programs.monitor.as_os_str()])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(OwnedFd::from(listener)))
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::io(format!("run a copy of {}", programs.shim.name())))?;
        Ok((spawned, ours))
    }

    fn attach(&self, streams: Streams) -> Result<Attachment> {
        match self.directory.connect() {
            Ok(stream) => Attachment::begin(stream, self.id.clone(), streams),
            // A shim that gave up took its socket away; why it did counts more than that the socket isn't there.
            Err(error) => match control::receive(&self.control) {
                Ok(Some(Outcome::Failed(failure))) => {
                    Err(Error::Start { message: failure.message, exit_code: failure.exit_code })
                }
                _ => Err(Error::io(format!("attach to {} {}", self.what, self.id))(error)),
            },
        }
    }

    fn release(&self, release: &Release) -> Result<Started> {
        let sent = control::send(&self.control, release);
        match sent.and_then(|()| control::receive(&self.control)) {
            Ok(Some(Outcome::Started(started))) => Ok(started),
            Ok(Some(Outcome::Failed(failure))) => {
                Err(Error::Start { message: failure.message, exit_code: failure.exit_code })
            }
            Ok(None) => Err(self.broken("died before the process ran".to_owned())),
            // What the shim said before it closed the connection counts more than that we couldn't speak.
            Err(error) => match control::receive(&self.control) {
                Ok(Some(Outcome::Failed(failure))) => {
                    Err(Error::Start { message: failure.message, exit_code: failure.exit_code })
                }
                _ => Err(self.broken(format!("can't be talked to: {error}"))),
            },
        }
    }

    fn abort(&self) -> Result<()> {
        // The shim sees the end of our side, and its own side ends with it.
        self.control.shutdown(Shutdown::Write).map_err(Error::io("tell the shim to stop"))?;
        match control::receive::<Outcome>(&self.control) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.broken(format!("can't be talked to: {error}"))),
        }
    }

    fn broken(&self, problem: String) -> Error {
        Error::Broken { process: "shim", id: self.id.to_string(), problem }
    }
}

impl Drop for Launch {
    fn drop(&mut self) {
        // It ends at once by itself.
        self.spawned.wait().ok();
    }
}

/// A container whose shim is at work. Dropping it without [`Starting::release`] undoes everything, and so does the death
/// of the caller.
#[derive(Debug)]
#[must_use = "dropping it undoes the start"]
pub struct Starting(Launch);

impl Starting {
    pub(crate) fn new(launch: Launch) -> Self {
        Self(launch)
    }

    /// Connects a client before the process runs, so that it misses nothing.
    pub fn attach(&self, streams: Streams) -> Result<Attachment> {
        self.0.attach(streams)
    }

    /// Lets the container run in this network, and waits until it does.
    ///
    /// # Errors
    /// [`crate::Error::Start`] when it doesn't; then nothing of it is left. [`crate::Error::Broken`] when the shim was
    /// killed: then [`crate::Runtime::delete`] removes what is left.
    pub fn release(self, network: &Network) -> Result<Started> {
        let network = match network {
            Network::Namespace(path) => Some(path.clone()),
            Network::Host => None,
        };
        self.0.release(&Release { network })
    }

    /// Undoes everything and waits until it is undone.
    pub fn abort(self) -> Result<()> {
        self.0.abort()
    }
}

/// An exec whose shim is at work; as [`Starting`].
#[derive(Debug)]
#[must_use = "dropping it undoes the start"]
pub struct ExecStarting(Launch);

impl ExecStarting {
    pub(crate) fn new(launch: Launch) -> Self {
        Self(launch)
    }

    /// Connects a client before the process runs, so that it misses nothing.
    pub fn attach(&self, streams: Streams) -> Result<Attachment> {
        self.0.attach(streams)
    }

    /// Lets the process run, and waits until it does. Its shim isn't done by then.
    ///
    /// # Errors
    /// [`crate::Error::Start`] when it doesn't; then nothing of it is left.
    pub fn release(self) -> Result<(Started, StartWarnings)> {
        let control = self.0.control.try_clone().map_err(Error::io("copy a socket"))?;
        let started = self.0.release(&Release { network: None })?;
        Ok((started, StartWarnings(control)))
    }
}

/// What a shim says of what it does once the process runs.
#[derive(Debug)]
pub struct StartWarnings(UnixStream);

impl StartWarnings {
    /// For an event loop: readable when [`StartWarnings::receive`] won't block.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Waits until the shim is done; gives what went wrong.
    pub fn receive(self) -> Option<String> {
        // One that was killed says nothing; its process's end tells of that.
        control::receive::<StartWarning>(&self.0).ok().flatten().map(|warning| warning.problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shims_warning_is_received_behind_the_start() {
        for problem in [None, Some("no way out".to_owned())] {
            let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
            let started = Started { pid: 7, at: jiff::Timestamp::UNIX_EPOCH };
            control::send(&theirs, &Outcome::Started(started)).expect("sent");
            if let Some(problem) = problem.clone() {
                control::send(&theirs, &StartWarning { problem }).expect("sent");
            }
            drop(theirs);
            assert_eq!(control::receive(&ours).expect("received"), Some(Outcome::Started(started)));
            assert_eq!(StartWarnings(ours).receive(), problem);
        }
    }
}
