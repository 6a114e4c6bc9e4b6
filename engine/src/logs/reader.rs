//! Reads a log over its rotated files, oldest first, and goes on where the runtime's monitor goes on writing.
//!
//! The monitor writes `container.log`; when that is full it renames `.1` to `.2`, the file itself to `.1`, and begins
//! a new one. The reader keeps its file open, whatever becomes of it, and finds the next one after it, so that it loses
//! nothing to a rotation.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::file::{Files, LogFile};
use super::tail::Tail;
use super::{Entry, PerStream};

const READ: usize = 64 * 1024;

/// A position in a container's log.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    current: Option<LogFile>,
    /// The beginning of a record whose end isn't written yet.
    unfinished: Vec<u8>,
    /// So many records are of lines before those that are wanted.
    skip: PerStream<usize>,
}

impl LogReader {
    /// Opens a log at its beginning, or before its last `tail` lines. A log that isn't there yet is empty.
    pub fn open(path: &Path, tail: Option<usize>) -> io::Result<Self> {
        let path = path.to_owned();
        let mut reader = Self { path, current: None, unfinished: Vec::new(), skip: PerStream::default() };
        match tail {
            None => reader.current = reader.oldest()?,
            Some(lines) => reader.seek_tail(lines)?,
        }
        Ok(reader)
    }

    /// Reads what is there, up to some tens of kilobytes; nothing means that all of it was read.
    pub fn next_batch(&mut self) -> io::Result<Vec<Entry>> {
        loop {
            let Some(current) = &mut self.current else {
                self.current = self.oldest()?;
                if self.current.is_none() {
                    return Ok(Vec::new());
                }
                continue;
            };
            if read_some(current.file(), &mut self.unfinished)? > 0 {
                let entries = self.take_wanted();
                if !entries.is_empty() {
                    return Ok(entries);
                }
                continue;
            }
            let Some(next) = self.successor()? else { return Ok(Vec::new()) };
            // The monitor may have written between the end that was read and its rename; after the rename it can't.
            if let Some(current) = &mut self.current
                && read_some(current.file(), &mut self.unfinished)? > 0
            {
                continue;
            }
            // A record is written at once: what is left was cut short by a crash and won't be finished.
            self.unfinished.clear();
            self.current = Some(next);
        }
    }

    fn take_wanted(&mut self) -> Vec<Entry> {
        let mut entries = take_records(&mut self.unfinished);
        entries.retain(|entry| {
            let skip = self.skip.of(entry.stream);
            let wanted = *skip == 0;
            *skip = skip.saturating_sub(1);
            wanted
        });
        entries
    }

    /// The file that follows the one being read, if that one was rotated away.
    fn successor(&mut self) -> io::Result<Option<LogFile>> {
        let Some(current) = &mut self.current else { return self.oldest() };
        let mut newer = None;
        for found in Files::of(&self.path) {
            let found = found?;
            if current.is(&found)? {
                break;
            }
            newer = Some(found);
        }
        // Rotated out of existence, it isn't met: the oldest that is left comes next.
        newer.map(super::file::Found::readable).transpose()
    }

    fn oldest(&self) -> io::Result<Option<LogFile>> {
        let oldest = Files::of(&self.path).try_fold(None, |_, found| found.map(Some))?;
        oldest.map(super::file::Found::readable).transpose()
    }

    fn seek_tail(&mut self, lines: usize) -> io::Result<()> {
        let mut tail = Tail::of(lines);
        for found in Files::of(&self.path) {
            let mut log = found?.readable()?;
            if let Some(offset) = tail.search(log.file())? {
                log.file().seek(SeekFrom::Start(offset))?;
                self.current = Some(log);
            }
            if tail.is_found() {
                break;
            }
        }
        self.skip = tail.skip();
        Ok(())
    }
}

fn read_some(file: &mut impl Read, into: &mut Vec<u8>) -> io::Result<usize> {
    into.reserve(READ);
    file.take(READ as u64).read_to_end(into)
}

/// Takes the complete records out of the buffer. One that can't be read is left out: a crash may have torn it.
pub(crate) fn take_records(buffer: &mut Vec<u8>) -> Vec<Entry> {
    let Some(last_end) = buffer.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
    let records = buffer[..last_end].split(|byte| *byte == b'\n').filter(|record| !record.is_empty());
    let entries = records
        .filter_map(|record| {
            Entry::parse(record).inspect_err(|error| tracing::warn!("{}", crate::error::chain(error))).ok()
        })
        .collect();
    buffer.drain(..=last_end);
    entries
}
