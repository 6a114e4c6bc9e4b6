//! Connections to a monitor.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use crate::control::{receive, send};
use crate::directory::{Directory, File};
use crate::protocol::{Reply, Request, Streams};
use crate::runtime::Target;
use crate::spec::Id;
use crate::{Error, Exit, Result};

/// Sends a request and waits for the answer.
pub(crate) fn ask(stream: &UnixStream, target: Target<'_>, request: &Request) -> Result<Reply> {
    let (_, id) = target.name();
    send(stream, request).map_err(|error| broken(id, error.to_string()))?;
    answer(stream, id)
}

fn answer(stream: &UnixStream, id: &Id) -> Result<Reply> {
    match receive(stream) {
        Ok(Some(reply)) => Ok(reply),
        Ok(None) => Err(broken(id, "ended before it answered".to_owned())),
        Err(error) => Err(broken(id, error.to_string())),
    }
}

pub(crate) fn unexpected(target: Target<'_>, reply: &Reply) -> Error {
    unexpected_of(target.name().1, reply)
}

fn unexpected_of(id: &Id, reply: &Reply) -> Error {
    match reply {
        Reply::Refused { message } => broken(id, format!("refused: {message}")),
        other => broken(id, format!("answered {other:?}, which wasn't asked for")),
    }
}

fn broken(id: &Id, problem: String) -> Error {
    Error::Broken { process: "monitor", id: id.to_string(), problem }
}

/// A client that was connected before its process runs.
#[derive(Debug)]
pub struct Attachment {
    stream: UnixStream,
    id: Id,
}

impl Attachment {
    pub(crate) fn new(stream: UnixStream, target: Target<'_>, streams: Streams) -> Result<Self> {
        Self::begin(stream, target.name().1.clone(), streams)
    }

    pub(crate) fn begin(stream: UnixStream, id: Id, streams: Streams) -> Result<Self> {
        send(&stream, &Request::Attach(streams)).map_err(|error| broken(&id, error.to_string()))?;
        Ok(Self { stream, id })
    }

    /// Waits until the process runs; then the stream is as from [`crate::Runtime::attach`].
    pub fn into_stream(self) -> Result<UnixStream> {
        match answer(&self.stream, &self.id)? {
            Reply::Attached { .. } => Ok(self.stream),
            other => Err(unexpected_of(&self.id, &other)),
        }
    }
}

/// Becomes readable when a process has ended.
#[derive(Debug)]
pub struct Watch {
    stream: UnixStream,
    directory: Directory,
    id: Id,
}

impl Watch {
    pub(crate) fn new(stream: UnixStream, directory: Directory, target: Target<'_>) -> Result<Self> {
        let id = target.name().1.clone();
        // A monitor that is gone already can't read it; its process's end is in a file then.
        send(&stream, &Request::Watch).ok();
        Ok(Self { stream, directory, id })
    }

    /// For a process that nobody looks after any more.
    pub(crate) fn of_the_past(directory: Directory, target: Target<'_>) -> Result<Self> {
        let (stream, _) = UnixStream::pair().map_err(Error::io("make a pair of sockets"))?;
        Self::new(stream, directory, target)
    }

    /// For an event loop: readable when [`Watch::wait`] won't block.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Waits for the end of the process.
    ///
    /// # Errors
    /// [`crate::Error::Broken`] when its monitor died first: [`crate::Runtime::recover`] it.
    pub fn wait(self) -> Result<Exit> {
        // Without an answer, what counts is whether the end was recorded.
        if let Ok(Some(Reply::Exited(exit))) = receive(&self.stream) {
            return Ok(exit);
        }
        self.directory
            .read(File::Exit)?
            .ok_or_else(|| broken(&self.id, "died, and how the process ended isn't known".to_owned()))
    }
}
