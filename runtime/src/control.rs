//! The protocol between a caller and its shim, over the socket that the shim is started with. Its end, in whichever way, is
//! the end of the caller, and undoes a start that isn't decided yet.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use nix::sys::socket::{MsgFlags, recv};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::protocol::{self, DecodeError, LINE_BYTES};
use crate::status::Started;

/// From the caller: run now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Release {
    /// The network namespace to join; `None` is the host's, or for an exec its container's.
    pub(crate) network: Option<PathBuf>,
}

/// From the shim: what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub(crate) enum Outcome {
    /// It runs, and the monitor looks after it.
    Started(Started),
    /// It doesn't, and nothing of it is left.
    Failed(Failure),
}

/// From the shim, behind [`Outcome::Started`]: what went wrong since. It says nothing more, with or without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StartWarning {
    /// For the log.
    pub(crate) problem: String,
}

/// Why a process could not be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// For the user.
    pub(crate) message: String,
    /// What `run` ends with.
    pub(crate) exit_code: u8,
}

impl Failure {
    /// A failure of the machinery, not of the program that was asked for.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit_code: 125 }
    }
}

impl Failure {
    /// Without what a terminal would take for more than text: a hostile container may have written it.
    pub(crate) fn visible(self) -> Self {
        let escaped = |character: char| match character.is_control() {
            true => character.escape_default().to_string(),
            false => character.to_string(),
        };
        Self { message: self.message.chars().map(escaped).collect(), ..self }
    }
}

impl From<crate::Error> for Failure {
    fn from(error: crate::Error) -> Self {
        Self { exit_code: error.exit_code(), message: describe(&error) }
    }
}

/// An error with all its sources, in one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries repeat the source in their own text.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Sends one message.
pub(crate) fn send<T: Serialize>(mut stream: impl Write, message: &T) -> io::Result<()> {
    stream.write_all(&protocol::encode(message))
}

/// Receives one message, and not a byte more; `None` when the stream ends instead.
pub(crate) fn receive<T: DeserializeOwned>(stream: &UnixStream) -> io::Result<Option<T>> {
    receive_pieces(|buffer| {
        // What follows the line is for whoever gets the stream next, so it is only looked at.
        let seen = recv(stream.as_raw_fd(), buffer, MsgFlags::MSG_PEEK)?;
        let length = line_end(&buffer[..seen]).unwrap_or(seen);
        let mut stream = stream;
        stream.read_exact(&mut buffer[..length])?;
        Ok(length)
    })
}

/// Receives one message from a pipe that nobody else reads; `None` when it ends instead.
pub(crate) fn receive_from_pipe<T: DeserializeOwned>(mut pipe: impl Read) -> io::Result<Option<T>> {
    receive_pieces(|buffer| pipe.read(buffer))
}

fn receive_pieces<T: DeserializeOwned>(mut piece: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<Option<T>> {
    let (mut line, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let received = match piece(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(length) => &buffer[..length],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // The other side died with something unread.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(error),
        };
        let end = line_end(received);
        line.extend_from_slice(&received[..end.unwrap_or(received.len())]);
        if end.is_some() {
            break;
        }
        if line.len() > LINE_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "line too long"));
        }
    }
    protocol::decode(&line).map(Some).map_err(|error: DecodeError| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Where the first line ends, its line feed included.
fn line_end(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == b'\n').map(|place| place + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::encode;

    fn release(path: &str) -> Release {
        Release { network: Some(path.into()) }
    }

    #[test]
    fn what_follows_a_message_is_left_to_the_next_reader() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
        let mut bytes = encode(&release("/run/one"));
        bytes.extend(encode(&release("/run/two")));
        bytes.extend(b"output");
        theirs.write_all(&bytes).expect("sent");
        assert_eq!(receive(&ours).expect("received"), Some(release("/run/one")));
        assert_eq!(receive(&ours).expect("received"), Some(release("/run/two")));
        let mut rest = [0; 6];
        (&ours).read_exact(&mut rest).expect("still there");
        assert_eq!(&rest, b"output");
        drop(theirs);
        assert_eq!(receive::<Release>(&ours).expect("the end is no error"), None);
    }

    #[test]
    fn messages_come_in_pieces_and_are_bounded() {
        let long = release(&"x".repeat(10_000));
        let bytes = encode(&long);
        let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
        let sender = std::thread::spawn(move || bytes.chunks(777).try_for_each(|piece| theirs.write_all(piece)));
        assert_eq!(receive(&ours).expect("received"), Some(long));
        sender.join().expect("ends").expect("sent");

        let endless = vec![b'x'; LINE_BYTES + 4096];
        let error = receive_from_pipe::<Release>(endless.as_slice()).expect_err("refused");
        assert_eq!(error.to_string(), "line too long");
        assert_eq!(receive_from_pipe::<Release>(&b"half"[..]).expect("the end is no error"), None);
    }
}
