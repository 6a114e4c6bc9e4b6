//! The protocol between a monitor and its clients, without input or output of its own.
//!
//! A client connects to the monitor's Unix socket and sends one request: a JSON object with `"v": 1` on one line. The
//! monitor answers with one line, and then:
//!
//! | request | answer | what follows |
//! |---|---|---|
//! | `attach` | `attached` | output: raw bytes for a terminal, else frames (below). What the client sends is standard input; closing its sending side ends that |
//! | `resize` | `resized` | nothing |
//! | `watch` | `exited`, once the process has ended and its output is in the log | nothing |
//!
//! A request that can't be served is answered by `refused`. Requests may be sent before the process runs (the socket is
//! there before), so that no output is missed; the answer comes when it does. The end of the stream after `attached`
//! means that the process has ended and all its output was sent.
//!
//! A frame is Docker's: a byte for the stream (1 output, 2 errors, 3 a message of the monitor's own), three zeroes, the
//! length as a big-endian 32-bit number, then the bytes. The engine passes it on unchanged.
//!
//! A client that doesn't read holds the process up once [`CLIENT_BUFFER_BYTES`] wait for it, as with Docker, but for at
//! most [`CLIENT_STALL`]: then it is cut off. Nothing is ever left out of the log.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::spec::TerminalSize;
use crate::status::Exit;

/// The version of the protocol that is spoken here.
pub const VERSION: u32 = 1;

/// The longest request or answer line.
pub const LINE_BYTES: usize = 64 * 1024;

/// What may wait for one slow client before its process is held up.
pub const CLIENT_BUFFER_BYTES: usize = 256 * 1024;

/// How long a client may hold its process up.
pub const CLIENT_STALL: Duration = Duration::from_secs(60);

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "op")]
pub enum Request {
    /// Pass streams through.
    Attach(Streams),
    /// Change the size of the terminal.
    Resize(TerminalSize),
    /// Say when the process has ended.
    Watch,
}

/// Which streams a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Streams {
    /// What the client sends goes to the process.
    pub stdin: bool,
    /// Send its output.
    pub stdout: bool,
    /// Send its errors; a terminal has none apart.
    pub stderr: bool,
}

/// What the monitor answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Reply {
    /// The streams follow.
    Attached {
        /// Raw bytes follow, not frames.
        terminal: bool,
    },
    /// The terminal has the new size.
    Resized,
    /// The process has ended.
    Exited(Exit),
    /// It can't be done.
    Refused {
        /// Why.
        message: String,
    },
}

/// A line that isn't one of this protocol.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or not what was expected.
    #[error("not a message of the monitor's protocol")]
    Malformed(#[source] serde_json::Error),
    /// From another release.
    #[error("protocol version {found} is not understood, only {VERSION} is")]
    Version {
        /// The version it names.
        found: u32,
    },
}

#[derive(Serialize)]
struct Outgoing<'a, T> {
    v: u32,
    #[serde(flatten)]
    message: &'a T,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

/// A request or reply as a line, its line feed included.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(&Outgoing { v: VERSION, message })
        .expect("messages consist of strings, numbers and booleans, which JSON has");
    line.push(b'\n');
    line
}

/// The request or reply in a line.
///
/// # Errors
/// When it isn't one, or is from a version that isn't understood here.
pub fn decode<T: for<'de> Deserialize<'de>>(line: &[u8]) -> Result<T, DecodeError> {
    let Version { v } = serde_json::from_slice(line).map_err(DecodeError::Malformed)?;
    if v != VERSION {
        return Err(DecodeError::Version { found: v });
    }
    serde_json::from_slice(line).map_err(DecodeError::Malformed)
}

/// Which stream a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameStream {
    /// Standard output.
    Stdout = 1,
    /// Standard error.
    Stderr = 2,
    /// The monitor itself.
    Monitor = 3,
}

/// The eight bytes in front of a frame's content.
pub fn frame_header(stream: FrameStream, length: u32) -> [u8; 8] {
    let [a, b, c, d] = length.to_be_bytes();
    [stream as u8, 0, 0, 0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_stable() {
        let attach = Request::Attach(Streams { stdin: true, stdout: true, stderr: false });
        insta::assert_snapshot!(
            String::from_utf8_lossy(&encode(&attach)),
            @r#"{"v":1,"op":"attach","stdin":true,"stdout":true,"stderr":false}"#
        );
        let resize = Request::Resize(TerminalSize { columns: 80, rows: 24 });
        insta::assert_snapshot!(
            String::from_utf8_lossy(&encode(&resize)),
            @r#"{"v":1,"op":"resize","columns":80,"rows":24}"#
        );
        let exited = Reply::Exited(Exit {
            code: 137,
            signal: Some(9),
            oom_killed: true,
            at: jiff::Timestamp::UNIX_EPOCH,
            error: None,
        });
        insta::assert_snapshot!(
            String::from_utf8_lossy(&encode(&exited)),
            @r#"{"v":1,"answer":"exited","code":137,"signal":9,"oom_killed":true,"at":"1970-01-01T00:00:00Z","error":null}"#
        );
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for request in [
            Request::Attach(Streams::default()),
            Request::Resize(TerminalSize { columns: u16::MAX, rows: 0 }),
            Request::Watch,
        ] {
            assert_eq!(decode::<Request>(&encode(&request)).expect("decodes"), request);
        }
    }

    #[test]
    fn other_versions_and_nonsense_are_refused() {
        assert!(matches!(decode::<Request>(br#"{"v":2,"op":"dance"}"#), Err(DecodeError::Version { found: 2 })));
        for nonsense in [&b""[..], b"GET / HTTP/1.1", br#"{"op":"watch"}"#, br#"{"v":1,"op":"dance"}"#] {
            assert!(matches!(decode::<Request>(nonsense), Err(DecodeError::Malformed(_))));
        }
    }

    #[test]
    fn frames_begin_as_dockers() {
        assert_eq!(frame_header(FrameStream::Stderr, 0x0102_0304), [2, 0, 0, 0, 1, 2, 3, 4]);
    }
}
