//! What a caller and a shim say to each other over the socket that the shim is born with. Its end, in whichever way, is
//! the end of the caller, and undoes a start that isn't decided yet.

use std::io::{self, Read, Write};
use std::path::PathBuf;

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
pub(crate) fn receive<T: DeserializeOwned>(mut stream: impl Read) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) if byte == *b"\n" => break,
            Ok(_) if line.len() == LINE_BYTES => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "line too long"));
            }
            Ok(_) => line.extend(byte),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The other side died with something unread.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    protocol::decode(&line).map(Some).map_err(|error: DecodeError| io::Error::new(io::ErrorKind::InvalidData, error))
}
