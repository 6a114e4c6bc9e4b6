//! The log of a process's output. What fails of it doesn't concern the process, which goes on without: the first error is told
//! with its end.

use std::io;

use jiff::Timestamp;

use super::json_log::{LogWriter, Piece};
use crate::protocol::FrameStream;
use crate::spec::Log;

#[derive(Debug)]
pub(super) struct OutputLog {
    writer: Option<LogWriter>,
    first_error: Option<String>,
}

impl OutputLog {
    /// The log that is asked for, if one is.
    pub(super) fn open(log: &Log) -> Self {
        let (writer, first_error) = match LogWriter::open(log) {
            Ok(writer) => (writer, None),
            Err(error) => (None, Some(format!("could not open the log: {error}"))),
        };
        Self { writer, first_error }
    }

    pub(super) fn add(&mut self, stream: FrameStream, piece: Piece<'_>) {
        let stream = if stream == FrameStream::Stderr { "stderr" } else { "stdout" };
        let added = self.writer.as_mut().map(|writer| writer.add(stream, piece, Timestamp::now()));
        self.note(added);
    }

    pub(super) fn flush(&mut self) {
        let flushed = self.writer.as_mut().map(LogWriter::flush);
        self.note(flushed);
    }

    /// Nothing is added any more.
    pub(super) fn finish(&mut self) {
        let finished = self.writer.take().map(LogWriter::finish);
        self.note(finished);
    }

    pub(super) fn take_error(&mut self) -> Option<String> {
        self.first_error.take()
    }

    fn note(&mut self, result: Option<io::Result<()>>) {
        if let Some(Err(error)) = result {
            self.first_error.get_or_insert_with(|| format!("could not write the log: {error}"));
        }
    }
}
