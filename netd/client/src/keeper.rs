//! The client of `netd-keeper`, which holds descriptors by name while the daemons that use them are away.
//!
//! Blocking: a keeper answers at once. What is kept or taken counts as served until the [`Keeper`] is dropped.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use cnm::keeper::{MESSAGE_BYTES, Reply, Request};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt,
};
use serde::{Serialize, de::DeserializeOwned};

/// A keeper that is alive answers in microseconds.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// A connection to a keeper.
#[derive(Debug)]
pub struct Keeper(OwnedFd);

impl Keeper {
    /// Connects to the keeper behind a socket.
    ///
    /// # Errors
    /// `NotFound` or `ConnectionRefused` when there is none.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let socket = seqpacket()?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(ANSWERS_WITHIN))?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(ANSWERS_WITHIN))?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(Self(socket))
    }

    /// Has a descriptor held, in place of another of that name; see [`Request::Keep`].
    ///
    /// # Errors
    /// When the keeper went away, or refuses.
    pub fn keep(&self, name: &str, mark: &str, farewell: &str, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        let (name, mark, farewell) = (name.to_owned(), mark.to_owned(), farewell.to_owned());
        match self.ask(&Request::Keep { name, mark, farewell }, Some(descriptor))? {
            (Reply::Done, _) => Ok(()),
            (reply, _) => Err(unexpected(reply)),
        }
    }

    /// A descriptor of this name, with what was said of it when it came; the keeper holds it further on.
    ///
    /// # Errors
    /// When the keeper went away, or refuses.
    pub fn take(&self, name: &str) -> io::Result<Option<(OwnedFd, String)>> {
        match self.ask(&Request::Take { name: name.to_owned() }, None)? {
            (Reply::Here { mark }, Some(descriptor)) => Ok(Some((descriptor, mark))),
            (Reply::Nothing, _) => Ok(None),
            (reply, _) => Err(unexpected(reply)),
        }
    }

    /// Has a descriptor held that others reach by a path: the one that this answers with, for as long as the keeper lives.
    ///
    /// # Errors
    /// When the keeper went away, or refuses.
    pub fn hold(&self, name: &str, descriptor: BorrowedFd<'_>) -> io::Result<PathBuf> {
        match self.ask(&Request::Hold { name: name.to_owned() }, Some(descriptor))? {
            (Reply::Held { process, descriptor }, _) => Ok(path_to(process, descriptor)),
            (reply, _) => Err(unexpected(reply)),
        }
    }

    /// A descriptor that is held under this name, and the path to it.
    ///
    /// # Errors
    /// When the keeper went away, or refuses.
    pub fn find(&self, name: &str) -> io::Result<Option<(OwnedFd, PathBuf)>> {
        match self.ask(&Request::Find { name: name.to_owned() }, None)? {
            (Reply::Held { process, descriptor }, Some(found)) => Ok(Some((found, path_to(process, descriptor)))),
            (Reply::Nothing, _) => Ok(None),
            (reply, _) => Err(unexpected(reply)),
        }
    }

    /// Has the keeper release what it holds under this name, if anything.
    ///
    /// # Errors
    /// When the keeper went away, or refuses.
    pub fn release(&self, name: &str) -> io::Result<()> {
        match self.ask(&Request::Drop { name: name.to_owned() }, None)? {
            (Reply::Done | Reply::Nothing, _) => Ok(()),
            (reply, _) => Err(unexpected(reply)),
        }
    }

    /// Returns when the keeper is gone.
    pub fn wait_until_gone(&self) {
        // It says nothing unasked: readable means closed.
        let mut closed = [rustix::event::PollFd::new(&self.0, rustix::event::PollFlags::IN)];
        while rustix::event::poll(&mut closed, None) == Err(rustix::io::Errno::INTR) {}
    }

    fn ask(&self, request: &Request, descriptor: Option<BorrowedFd<'_>>) -> io::Result<(Reply, Option<OwnedFd>)> {
        send(self.0.as_fd(), request, descriptor)?;
        let reply = receive(self.0.as_fd())?;
        reply.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "netd-keeper went away"))
    }
}

/// A socket of the kind that keepers serve, not connected yet.
///
/// # Errors
/// When no further descriptor can be had.
pub fn seqpacket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// Sends one message, with a descriptor.
///
/// # Errors
/// When the other end is gone or doesn't read.
pub fn send(socket: BorrowedFd<'_>, message: &impl Serialize, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    if text.len() > MESSAGE_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the message is too long for netd-keeper"));
    }
    let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        rights.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(&text)], &mut rights, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives one message, with the descriptor that came along; none when the other end is closed.
///
/// # Errors
/// `InvalidData` when it isn't such a message.
pub fn receive<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> io::Result<Option<(T, Option<OwnedFd>)>> {
    let mut text = vec![0; MESSAGE_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let slices = &mut [IoSliceMut::new(&mut text)];
    let received = rustix::net::recvmsg(socket, slices, &mut rights, RecvFlags::CMSG_CLOEXEC)?;
    // Drained, also when the message is no good: descriptors that nobody took out stay open.
    let descriptors = rights.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let descriptor = descriptors.flatten().last();
    if received.bytes == 0 {
        return Ok(None);
    }
    if received.flags.contains(ReturnFlags::TRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the message is too long"));
    }
    let message = serde_json::from_slice(&text[..received.bytes]);
    let message = message.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(Some((message, descriptor)))
}

fn path_to(process: u32, descriptor: i32) -> PathBuf {
    PathBuf::from(format!("/proc/{process}/fd/{descriptor}"))
}

fn unexpected(reply: Reply) -> io::Error {
    match reply {
        Reply::Refused { message } => io::Error::other(message),
        reply => io::Error::new(io::ErrorKind::InvalidData, format!("netd-keeper answered {reply:?}")),
    }
}
