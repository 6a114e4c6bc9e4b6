//! Reading a container's json-file log: what `docker logs` asks for, and each line as it goes to the client.

mod entry;
mod follow;
mod reader;
mod tail;

use bytes::{BufMut, BytesMut};
use jiff::Timestamp;

pub use entry::Entry;
pub use follow::{Follow, stream};
pub use reader::LogReader;
#[cfg(fuzzing)]
pub(crate) use {reader::take_records, tail::find};

use crate::frame::{OutputStream, put_frame};

/// Which lines are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Lines written to standard output.
    pub stdout: bool,
    /// Lines written to standard error.
    pub stderr: bool,
    /// Begin with as many of the last lines; all of them when absent.
    pub tail: Option<usize>,
    /// Nothing older.
    pub since: Option<Timestamp>,
    /// Nothing newer.
    pub until: Option<Timestamp>,
}

impl Selection {
    /// Whether a line is wanted, the count of `tail` aside.
    fn takes(&self, entry: &Entry) -> bool {
        let stream = match entry.stream {
            OutputStream::Stdout => self.stdout,
            OutputStream::Stderr => self.stderr,
        };
        stream && self.since.is_none_or(|since| entry.at >= since) && !self.is_past(entry.at)
    }

    /// Whether nothing wanted can come at this time or after it.
    fn is_past(&self, at: Timestamp) -> bool {
        self.until.is_some_and(|until| at > until)
    }
}

/// How a line is written to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rendering {
    /// The time in front of each line.
    pub timestamps: bool,
    /// The driver's attributes in front of each line; json-file writes none, which leaves Docker's blank.
    pub details: bool,
    /// In frames, as it is without a terminal.
    pub multiplexed: bool,
}

impl Rendering {
    /// Appends a line.
    pub fn put(self, into: &mut BytesMut, entry: &Entry) {
        let mut line = BytesMut::with_capacity(entry.text.len() + 32);
        if self.timestamps {
            line.put_slice(format!("{:.9} ", entry.at).as_bytes());
        }
        if self.details {
            line.put_u8(b' ');
        }
        line.put_slice(entry.text.as_bytes());
        if self.multiplexed {
            put_frame(into, entry.stream, &line);
        } else {
            into.put_slice(&line);
        }
    }
}

#[cfg(test)]
mod tests;
