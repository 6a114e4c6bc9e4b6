//! Reads a log over its rotated files, oldest first, and goes on where the runtime's monitor goes on writing.
//!
//! The monitor writes `container.log`; when that is full it renames `.1` to `.2`, the file itself to `.1`, and begins
//! a new one. The reader keeps its file open and finds the next one by inode, so that it loses nothing to a rotation.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Entry, tail};

const READ: usize = 64 * 1024;

/// A position in a container's log.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    current: Option<File>,
    /// The beginning of a record whose end isn't written yet.
    unfinished: Vec<u8>,
}

impl LogReader {
    /// Opens a log at its beginning, or before its last `tail` lines. A log that isn't there yet is empty.
    pub fn open(path: &Path, tail: Option<usize>) -> io::Result<Self> {
        let mut reader = Self { path: path.to_owned(), current: None, unfinished: Vec::new() };
        reader.current = match tail {
            None => reader.oldest()?,
            Some(lines) => reader.seek_tail(lines)?,
        };
        Ok(reader)
    }

    /// Reads what is there, up to some tens of kilobytes; nothing means that all of it was read.
    pub fn next_batch(&mut self) -> io::Result<Vec<Entry>> {
        loop {
            let Some(file) = &mut self.current else {
                self.current = self.oldest()?;
                if self.current.is_none() {
                    return Ok(Vec::new());
                }
                continue;
            };
            if read_some(file, &mut self.unfinished)? > 0 {
                let entries = take_records(&mut self.unfinished);
                if !entries.is_empty() {
                    return Ok(entries);
                }
                continue;
            }
            let Some(next) = self.successor()? else { return Ok(Vec::new()) };
            // The monitor may have written between the end that was read and its rename; after the rename it can't.
            if let Some(file) = &mut self.current
                && read_some(file, &mut self.unfinished)? > 0
            {
                continue;
            }
            // A record is written at once: what is left was cut short by a crash and won't be finished.
            self.unfinished.clear();
            self.current = Some(next);
        }
    }

    /// The file that follows the one being read, if that one was rotated away.
    fn successor(&self) -> io::Result<Option<File>> {
        let Some(current) = &self.current else { return self.oldest() };
        let inode = current.metadata()?.ino();
        let mut newer: Option<File> = None;
        for index in 0.. {
            let Some(file) = open_if_there(&self.rotated(index))? else { break };
            if file.metadata()?.ino() == inode {
                return Ok(newer);
            }
            newer = Some(file);
        }
        // Rotated out of existence: the oldest that is left comes next.
        Ok(newer)
    }

    fn oldest(&self) -> io::Result<Option<File>> {
        let mut oldest = None;
        for index in 0.. {
            match open_if_there(&self.rotated(index))? {
                Some(file) => oldest = Some(file),
                None => break,
            }
        }
        Ok(oldest)
    }

    fn seek_tail(&self, lines: usize) -> io::Result<Option<File>> {
        let mut missing = lines;
        let mut begin = None;
        for index in 0.. {
            let Some(mut file) = open_if_there(&self.rotated(index))? else { break };
            let found = tail::find(&mut file, missing)?;
            file.seek(SeekFrom::Start(found.offset))?;
            begin = Some(file);
            missing -= found.lines;
            if missing == 0 {
                break;
            }
        }
        Ok(begin)
    }

    /// `container.log`, `container.log.1`, …
    fn rotated(&self, index: usize) -> PathBuf {
        if index == 0 {
            return self.path.clone();
        }
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{index}"));
        name.into()
    }
}

fn open_if_there(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_some(file: &mut File, into: &mut Vec<u8>) -> io::Result<usize> {
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
