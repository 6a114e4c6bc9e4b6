//! The files of a log: the one that is written to, and older ones, which may be compressed.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::records::RECORD_BYTES_MAX;

/// A file of a log.
#[derive(Debug)]
pub(super) struct LogFile {
    /// Uncompressed.
    file: File,
    identity: Identity,
}

/// What a file is known by after it was renamed or compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identity {
    /// That it has this inode, for as long as it is open.
    Inode(u64),
    /// That it was compressed, and has another inode now.
    Compressed,
}

/// A file that was found, at its beginning; it may have to be uncompressed before it is read.
#[derive(Debug)]
pub(super) struct Found(LogFile);

impl Found {
    /// Ready to be read at its beginning.
    pub(super) fn readable(self) -> io::Result<LogFile> {
        let Self(LogFile { file, identity }) = self;
        if identity != Identity::Compressed {
            return Ok(LogFile { file, identity });
        }
        // Not in memory: a file is as large as the container's owner lets it be.
        let mut plain = tempfile::tempfile()?;
        io::copy(&mut MultiGzDecoder::new(file), &mut plain)?;
        plain.rewind()?;
        Ok(LogFile { file: plain, identity })
    }

    fn first_record(&self) -> io::Result<Vec<u8>> {
        let mut file = self.0.file.try_clone()?;
        file.rewind()?;
        let record = match self.0.identity {
            Identity::Inode(_) => first_line(&mut BufReader::new(&file)),
            Identity::Compressed => first_line(&mut BufReader::new(MultiGzDecoder::new(&file))),
        };
        file.rewind()?;
        record
    }
}

impl LogFile {
    /// To be read and moved in.
    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Whether it ends before the place up to which it was read.
    pub(super) fn is_cut_off(&mut self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() < self.file.stream_position()?)
    }

    /// Whether this is what was found. While a file is open no other one has its inode; once it is compressed, its first
    /// record tells, of which the time is part.
    pub(super) fn is(&mut self, found: &Found) -> io::Result<bool> {
        if let (Identity::Inode(this), Identity::Inode(other)) = (self.identity, found.0.identity) {
            return Ok(this == other);
        }
        let position = self.file.stream_position()?;
        self.file.rewind()?;
        let first = first_line(&mut BufReader::new(&self.file));
        self.file.seek(SeekFrom::Start(position))?;
        let first = first?;
        Ok(!first.is_empty() && first == found.first_record()?)
    }
}

/// What a file begins with, which is enough of its first record to tell it from others.
fn first_line(file: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    file.take(RECORD_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
    Ok(line)
}

/// All files of a log, the youngest first.
#[derive(Debug)]
pub(super) struct Files<'a> {
    path: &'a Path,
    next: usize,
    before: Option<u64>,
}

impl<'a> Files<'a> {
    pub(super) fn of(path: &'a Path) -> Self {
        Self { path, next: 0, before: None }
    }

    fn find(&mut self) -> io::Result<Option<Found>> {
        // While files are renamed, one number is nobody's.
        for number in [self.next, self.next + 1] {
            let Some(found) = open(&numbered(self.path, number, ""))?.or(open_compressed(self.path, number)?) else {
                continue;
            };
            self.next = number + 1;
            return Ok(Some(found));
        }
        Ok(None)
    }
}

impl Iterator for Files<'_> {
    type Item = io::Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let found = match self.find().transpose()? {
                Ok(found) => found,
                Err(error) => return Some(Err(error)),
            };
            // It was renamed since, and is the one that was there just now.
            let inode = match found.0.file.metadata() {
                Ok(metadata) => metadata.ino(),
                Err(error) => return Some(Err(error)),
            };
            if self.before.replace(inode) != Some(inode) {
                return Some(Ok(found));
            }
        }
    }
}

fn open(path: &Path) -> io::Result<Option<Found>> {
    // What isn't a file must not make us wait for whoever writes to it.
    match OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path) {
        Ok(file) => {
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                return Err(io::Error::other(format!("{} is no regular file", path.display())));
            }
            let identity = Identity::Inode(metadata.ino());
            Ok(Some(Found(LogFile { file, identity })))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn open_compressed(path: &Path, number: usize) -> io::Result<Option<Found>> {
    if number == 0 {
        return Ok(None);
    }
    Ok(open(&numbered(path, number, ".gz"))?.map(|Found(log)| Found(LogFile { identity: Identity::Compressed, ..log })))
}

/// `container.log`, `container.log.1`, …
fn numbered(path: &Path, number: usize, suffix: &str) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.to_owned().into_os_string();
    name.push(format!(".{number}{suffix}"));
    name.into()
}
