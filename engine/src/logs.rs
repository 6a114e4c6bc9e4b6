//! Reading a container's json-file log: what `docker logs` asks for, and each line as it goes to the client.

mod entry;
mod file;
mod follow;
mod reader;
mod records;
mod tail;

use std::collections::BTreeMap;

use bytes::{BufMut, BytesMut};
use jiff::Timestamp;

pub use entry::Entry;
pub use follow::{Follow, stream};
pub use reader::LogReader;
#[cfg(fuzzing)]
pub(crate) use {records::Records, tail::Tail};

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
    /// What the log says of the container in front of each line, and a blank where it says nothing.
    pub details: bool,
    /// In frames, as it is without a terminal.
    pub multiplexed: bool,
}

impl Rendering {
    /// Appends a line, or a piece of one: what stands in front of lines doesn't stand within them.
    pub fn put(self, into: &mut BytesMut, entry: &Entry) {
        let mut line = BytesMut::with_capacity(entry.text.len() + 32);
        if self.timestamps && !entry.continues {
            line.put_slice(format!("{:.9} ", entry.at).as_bytes());
        }
        if self.details && !entry.continues {
            line.put_slice(rendered(&entry.attributes).as_bytes());
            line.put_u8(b' ');
        }
        line.put_slice(&entry.text);
        if self.multiplexed {
            put_frame(into, entry.stream, &line);
        } else {
            into.put_slice(&line);
        }
    }
}

/// Attributes as Docker writes them, escaped as in a URL's query by Go, which has its own mind of `*` and `~`.
fn rendered(attributes: &BTreeMap<String, String>) -> String {
    let escaped = |text: &str| {
        let escaped: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        escaped.replace('*', "%2A").replace("%7E", "~")
    };
    let each = attributes.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    each.collect::<Vec<_>>().join(",")
}

/// One of something for each of the two streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PerStream<T> {
    pub(crate) stdout: T,
    pub(crate) stderr: T,
}

impl<T> PerStream<T> {
    /// This stream's.
    pub(crate) fn of(&mut self, stream: OutputStream) -> &mut T {
        match stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        }
    }
}

#[cfg(test)]
mod tests;
