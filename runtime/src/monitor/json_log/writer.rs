//! How the monitor's loop writes the log: it waits for the disk, or leaves that to a thread.

use std::io;

use jiff::Timestamp;

use super::non_blocking::NonBlockingWriter;
use super::{JsonLog, Piece};
use crate::spec::Log;

/// What output is given to.
#[derive(Debug)]
pub(in crate::monitor) enum LogWriter {
    /// The process waits for the disk.
    Blocking(JsonLog),
    /// It doesn't, and what is said meanwhile may be lost.
    NonBlocking(NonBlockingWriter),
}

impl LogWriter {
    /// Opens the log that is asked for, if one is.
    pub(in crate::monitor) fn open(log: &Log) -> io::Result<Option<Self>> {
        let Some(file) = JsonLog::open(log)? else { return Ok(None) };
        match log {
            Log::JsonFile { buffer_bytes: Some(bytes), .. } => {
                let mut file = file;
                let write = move |lines: &[_]| file.write_lines(lines);
                Ok(Some(Self::NonBlocking(NonBlockingWriter::begin(*bytes, write)?)))
            }
            _ => Ok(Some(Self::Blocking(file))),
        }
    }

    /// Takes a line or piece.
    pub(in crate::monitor) fn add(&mut self, stream: &'static str, piece: Piece<'_>, at: Timestamp) -> io::Result<()> {
        match self {
            Self::Blocking(file) => file.add(stream, piece, at),
            Self::NonBlocking(non_blocking) => {
                non_blocking.add(stream, piece, at);
                Ok(())
            }
        }
    }

    /// Says that nothing more comes for now.
    pub(in crate::monitor) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Blocking(file) => file.flush(),
            Self::NonBlocking(_) => Ok(()),
        }
    }

    /// Waits until all is in the file.
    pub(in crate::monitor) fn finish(self) -> io::Result<()> {
        match self {
            Self::Blocking(mut file) => file.flush(),
            Self::NonBlocking(non_blocking) => non_blocking.finish(),
        }
    }
}
