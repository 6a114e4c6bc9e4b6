//! Reads a log over its rotated files, oldest first, and goes on where the runtime's monitor goes on writing.
//!
//! The monitor writes `container.log`; when that is full it renames `.1` to `.2`, the file itself to `.1`, and begins
//! a new one. The reader keeps its file open, whatever becomes of it, and finds the next one after it, so that it loses
//! nothing to a rotation.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::file::{Files, Found, LogFile};
use super::records::Records;
use super::tail::Tail;
use super::{Entry, PerStream};

const READ: usize = 64 * 1024;

/// A position in a container's log.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    current: Option<LogFile>,
    records: Records,
    buffer: Vec<u8>,
    /// So many records are of lines before those that are wanted.
    skip: PerStream<usize>,
}

impl LogReader {
    /// Opens a log at its beginning, or before its last `tail` lines. A log that isn't there yet is empty. A search for the
    /// tail fails when it is given up.
    pub fn open(path: &Path, tail: Option<usize>, given_up: &CancellationToken) -> io::Result<Self> {
        let mut reader = Self {
            path: path.to_owned(),
            current: None,
            records: Records::default(),
            buffer: Vec::new(),
            skip: PerStream::default(),
        };
        match tail {
            None => reader.current = reader.oldest()?,
            Some(lines) => reader.seek_tail(lines, given_up)?,
        }
        Ok(reader)
    }

    /// Reads some tens of kilobytes, whether or not there is anything wanted in them: who reads a file that has none can
    /// stop. Nothing means that all of it was read.
    pub fn next_batch(&mut self) -> io::Result<Option<Vec<Entry>>> {
        loop {
            let Some(current) = &mut self.current else {
                self.current = self.oldest()?;
                if self.current.is_none() {
                    return Ok(None);
                }
                continue;
            };
            if read_some(current.file(), &mut self.buffer)? {
                return Ok(Some(self.take_wanted()));
            }
            if current.is_cut_off()? {
                // Somebody emptied it: what is written next stands at its beginning.
                current.file().rewind()?;
                self.records.give_up_begun();
                self.skip = PerStream::default();
                continue;
            }
            let Some(next) = self.successor()? else { return Ok(None) };
            // The monitor may have written between the end that was read and its rename; after the rename it can't.
            if let Some(current) = &mut self.current
                && read_some(current.file(), &mut self.buffer)?
            {
                return Ok(Some(self.take_wanted()));
            }
            // A record is written at once: what is left was cut short by a crash and won't be finished.
            self.records.give_up_begun();
            self.current = Some(next);
        }
    }

    fn take_wanted(&mut self) -> Vec<Entry> {
        let mut entries = self.records.push(&self.buffer);
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
        newer.map(Found::readable).transpose()
    }

    fn oldest(&self) -> io::Result<Option<LogFile>> {
        let oldest = Files::of(&self.path).try_fold(None, |_, found| found.map(Some))?;
        oldest.map(Found::readable).transpose()
    }

    fn seek_tail(&mut self, lines: usize, given_up: &CancellationToken) -> io::Result<()> {
        let mut tail = Tail::of(lines);
        for found in Files::of(&self.path) {
            let mut log = found?.readable()?;
            if let Some(offset) = tail.search(&mut CancellableFile { file: log.file(), given_up })? {
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

/// Whether there was anything.
fn read_some(file: &mut impl Read, into: &mut Vec<u8>) -> io::Result<bool> {
    into.clear();
    Ok(file.take(READ as u64).read_to_end(into)? > 0)
}

/// A file that can be read for as long as somebody wants it: a search through all of a large one takes its time.
struct CancellableFile<'a> {
    file: &'a mut File,
    given_up: &'a CancellationToken,
}

impl Read for CancellableFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given_up.is_cancelled() {
            return Err(io::Error::other("nobody wants it any more"));
        }
        self.file.read(buffer)
    }
}

impl Seek for CancellableFile<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
