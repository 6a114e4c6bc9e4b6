//! One connected client: its request, what waits to be sent to it, what it has sent for standard input.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;

use crate::protocol::{
    self, CLIENT_BUFFER_BYTES, CLIENT_STALL, FrameStream, LINE_BYTES, Reply, Request, Streams, frame_header,
};

/// What a client is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It hasn't said yet.
    Asking,
    /// It has streams.
    Attached(Streams),
    /// It waits for the end.
    Watching,
    /// It was answered, and goes once the answer is sent.
    Answered,
}

/// A connected client.
#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    pub(super) role: Role,
    /// The beginning of its request line.
    line: Vec<u8>,
    /// What waits to be sent.
    outgoing: Vec<u8>,
    /// How much of `outgoing` was sent.
    sent: usize,
    /// Since when it has taken nothing of what waits.
    stalled_since: Option<Instant>,
    /// What it sent for standard input that isn't passed on yet.
    pub(super) input: Vec<u8>,
    /// It sends no more.
    pub(super) input_ended: bool,
    /// It is gone.
    pub(super) gone: bool,
}

impl Client {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            role: Role::Asking,
            line: Vec::new(),
            outgoing: Vec::new(),
            sent: 0,
            stalled_since: None,
            input: Vec::new(),
            input_ended: false,
            gone: false,
        })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// What to wait for on its behalf.
    pub(super) fn interest(&self) -> PollFlags {
        let mut interest = PollFlags::empty();
        // While input waits, the client has to wait too.
        if !self.input_ended && self.input.is_empty() {
            interest |= PollFlags::POLLIN;
        }
        if self.has_waiting() {
            interest |= PollFlags::POLLOUT;
        }
        interest
    }

    /// Whether something waits to be sent.
    pub(super) fn has_waiting(&self) -> bool {
        self.sent < self.outgoing.len()
    }

    /// Whether so much waits that no more output should be read.
    pub(super) fn is_full(&self) -> bool {
        self.outgoing.len() - self.sent >= CLIENT_BUFFER_BYTES
    }

    /// How long it may still take nothing before it is cut off.
    pub(super) fn patience(&self, now: Instant) -> Option<Duration> {
        self.stalled_since.map(|since| CLIENT_STALL.saturating_sub(now.duration_since(since)))
    }

    /// Reads what it has sent: gives its request once that is complete; what follows becomes its input.
    pub(super) fn receive(&mut self) -> Option<Result<Request, String>> {
        let mut buffer = [0; 16 * 1024];
        let received = match self.stream.read(&mut buffer) {
            Ok(0) => {
                self.input_ended = true;
                self.gone |= self.role == Role::Asking;
                return None;
            }
            Ok(length) => &buffer[..length],
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return None,
            Err(_) => {
                self.gone = true;
                return None;
            }
        };
        match self.role {
            Role::Asking => self.receive_line(received),
            Role::Attached(Streams { stdin: true, .. }) => {
                self.input.extend_from_slice(received);
                None
            }
            Role::Attached(_) | Role::Watching | Role::Answered => None,
        }
    }

    fn receive_line(&mut self, received: &[u8]) -> Option<Result<Request, String>> {
        let Some(end) = received.iter().position(|&byte| byte == b'\n') else {
            self.line.extend_from_slice(received);
            self.gone |= self.line.len() > LINE_BYTES;
            return None;
        };
        self.line.extend_from_slice(&received[..end]);
        let request = protocol::decode(&std::mem::take(&mut self.line)).map_err(|error| error.to_string());
        if let Ok(Request::Attach(Streams { stdin: true, .. })) = request {
            self.input.extend_from_slice(&received[end + 1..]);
        }
        Some(request)
    }

    /// Answers its request.
    pub(super) fn reply(&mut self, reply: &Reply, role: Role) {
        self.role = role;
        self.outgoing.extend_from_slice(&protocol::encode(reply));
        self.send();
    }

    /// Sends it a piece of output, if it wants that stream.
    pub(super) fn output(&mut self, stream: FrameStream, data: &[u8], terminal: bool) {
        let Role::Attached(streams) = self.role else { return };
        let wanted = match stream {
            FrameStream::Stdout => streams.stdout,
            FrameStream::Stderr => streams.stderr,
            FrameStream::Monitor => true,
        };
        if !wanted {
            return;
        }
        if !terminal {
            let length = u32::try_from(data.len()).expect("what is read at a time is far below 4 GiB");
            self.outgoing.extend_from_slice(&frame_header(stream, length));
        }
        self.outgoing.extend_from_slice(data);
        self.send();
    }

    /// Sends as much of what waits as it takes.
    pub(super) fn send(&mut self) {
        while self.has_waiting() {
            match self.stream.write(&self.outgoing[self.sent..]) {
                Ok(length) => {
                    self.sent += length;
                    self.stalled_since = None;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.stalled_since.get_or_insert_with(Instant::now);
                    break;
                }
                Err(_) => {
                    self.gone = true;
                    break;
                }
            }
        }
        if !self.has_waiting() {
            self.outgoing.clear();
            self.outgoing.shrink_to(CLIENT_BUFFER_BYTES);
            self.sent = 0;
            self.gone |= self.role == Role::Answered;
        } else if self.sent > CLIENT_BUFFER_BYTES {
            self.outgoing.drain(..self.sent);
            self.sent = 0;
        }
    }
}
