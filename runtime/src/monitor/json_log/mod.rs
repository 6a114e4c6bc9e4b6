//! The log in Docker's `json-file` format: one JSON object a line, with the text, the stream and the time.

mod non_blocking;
mod record;
mod rotation;
mod splitter;
mod writer;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;

use jiff::Timestamp;

use crate::spec::Log;
use non_blocking::Line;
use rotation::Compressing;
pub(super) use splitter::{LineSplitter, Piece};
pub(super) use writer::LogWriter;

/// A log being written.
#[derive(Debug)]
pub(in crate::monitor) struct JsonLog {
    path: PathBuf,
    file: File,
    size_bytes: u64,
    max_size_bytes: Option<u64>,
    max_files: u32,
    /// What its records say of the container, as JSON.
    attributes: Vec<u8>,
    /// Whether older files are compressed.
    compress: bool,
    compressing: Option<Compressing>,
    /// Lines that are not in the file yet.
    waiting: Vec<u8>,
    /// The file may end in the middle of a line, which could not be written as a whole.
    torn: bool,
}

impl JsonLog {
    /// Opens the log that is asked for, if one is.
    fn open(log: &Log) -> io::Result<Option<Self>> {
        let Log::JsonFile { path, max_size_bytes, max_files, compress, attributes, .. } = log else { return Ok(None) };
        let file = rotation::open(path)?;
        let size_bytes = file.metadata()?.len();
        Ok(Some(Self {
            path: path.clone(),
            size_bytes,
            torn: rotation::is_torn(&file, size_bytes)?,
            file,
            max_size_bytes: *max_size_bytes,
            max_files: *max_files,
            attributes: record::attributes(attributes),
            compress: *compress,
            compressing: None,
            waiting: Vec::new(),
        }))
    }

    /// Adds a line or piece. It is in the file after the next [`JsonLog::flush`].
    fn add(&mut self, stream: &str, piece: Piece<'_>, at: Timestamp) -> io::Result<()> {
        let begin = self.waiting.len();
        record::append(&mut self.waiting, stream, piece, &self.attributes, at);
        let added = (self.waiting.len() - begin) as u64;
        let mut done = Ok(());
        if self.is_too_large_with(added) {
            let line = self.waiting.split_off(begin);
            done = self.flush();
            // Not all of it may have had room on the disk, and somebody may have emptied the file.
            self.size_bytes = self.file.metadata().map_or(self.size_bytes, |file| file.len());
            if self.is_too_large_with(added) {
                // Also when the disk is full: that may make room.
                let rotated = self.rotate();
                done = done.and(rotated);
            }
            self.waiting = line;
        }
        self.size_bytes += added;
        done
    }

    fn is_too_large_with(&self, added: u64) -> bool {
        self.max_size_bytes.is_some_and(|max| self.size_bytes > 0 && self.size_bytes + added > max)
    }

    /// Writes lines, all that can be written; the first thing that went wrong.
    fn write_lines(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut done = Ok(());
        for Line { stream, text, continues, at } in lines {
            done = done.and(self.add(stream, Piece { text, continues: *continues }, *at));
        }
        done.and(self.flush())
    }

    /// Writes what waits.
    fn flush(&mut self) -> io::Result<()> {
        if self.torn && !self.waiting.is_empty() {
            // Readers pass over an empty line.
            self.waiting.insert(0, b'\n');
        }
        let written = self.file.write_all(&self.waiting);
        self.torn = written.is_err() || (self.torn && self.waiting.is_empty());
        // What could not be written isn't tried again: the disk is full, and the process goes on.
        self.waiting.clear();
        self.waiting.shrink_to(64 * 1024);
        written
    }

    fn rotate(&mut self) -> io::Result<()> {
        // A file that could not be compressed stays as it is until the next time.
        let compressed = self.compressing.take().map_or(Ok(()), Compressing::wait);
        rotation::rotate(&self.path, self.max_files)?;
        self.file = rotation::open(&self.path)?;
        self.size_bytes = 0;
        self.torn = false;
        if self.compress {
            self.compressing = Some(Compressing::begin(self.path.clone(), self.max_files)?);
        }
        compressed
    }
}

/// What a log has of some output that comes in pieces, and each record's text.
#[cfg(fuzzing)]
pub(crate) fn log_of(output: &[u8], size: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (mut splitter, mut file, mut texts) = (LineSplitter::default(), Vec::new(), Vec::new());
    let mut add = |piece: Piece<'_>| {
        record::append(&mut file, "stdout", piece, b"", Timestamp::UNIX_EPOCH);
        texts.push(piece.text.to_vec());
    };
    output.chunks(size).for_each(|chunk| splitter.push(chunk, &mut add));
    splitter.finish(&mut add);
    (file, texts)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    use super::*;

    fn log(path: &Path, max_size_bytes: Option<u64>, max_files: u32, compress: bool) -> JsonLog {
        let path = path.to_owned();
        let attributes = BTreeMap::new();
        let log = Log::JsonFile { path, max_size_bytes, max_files, compress, attributes, buffer_bytes: None };
        JsonLog::open(&log).expect("opens").expect("is wanted")
    }

    fn add(log: &mut JsonLog, text: &[u8]) {
        log.add("stdout", Piece { text, continues: false }, Timestamp::UNIX_EPOCH).expect("added");
    }

    #[test]
    fn a_line_that_could_not_be_written_spoils_no_other() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("c-json.log");
        let mut log = log(&path, None, 1, false);
        let say = |log: &mut JsonLog, text: &[u8]| {
            add(log, text);
            log.flush()
        };
        let file = std::mem::replace(&mut log.file, File::options().write(true).open("/dev/full").expect("there"));
        say(&mut log, b"lost\n").expect_err("the disk is full");
        log.flush().expect("there is nothing to write");
        log.file = file;
        fs::write(&path, "{\"log\":\"lo").expect("the half that had room");
        say(&mut log, b"kept\n").expect("written");
        say(&mut log, b"too\n").expect("written");
        let text = fs::read_to_string(&path).expect("there");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() == 3 && lines[1].starts_with("{\"log\":\"kept"), "{text}");
        assert!(lines[2].starts_with("{\"log\":\"too"), "{text}");
    }

    #[test]
    fn files_are_rotated_before_they_grow_too_large() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("c-json.log");
        let mut log = log(&path, Some(150), 2, false);
        for number in 0..5 {
            add(&mut log, format!("line {number}\n").as_bytes());
        }
        log.flush().expect("flushed");
        let read = |path: &Path| fs::read_to_string(path).expect("there");
        assert!(read(&path).contains("line 4") && !read(&path).contains("line 3"));
        assert!(read(&path.with_file_name("c-json.log.1")).contains("line 3"));
        assert!(!path.with_file_name("c-json.log.2").exists());
    }

    #[test]
    fn who_reads_a_file_that_is_rotated_away_has_all_of_it() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("c-json.log");
        let mut log = log(&path, Some(150), 1, false);
        let mut readers = Vec::new();
        for number in 0..5 {
            add(&mut log, format!("line {number}\n").as_bytes());
            log.flush().expect("flushed");
            readers.push(File::open(&path).expect("there"));
        }
        for (number, reader) in readers.into_iter().enumerate() {
            let text = io::read_to_string(reader).expect("read");
            assert!(text.contains(&format!("line {number}")) && text.lines().count() <= 2, "{number}: {text}");
        }
        assert_eq!(fs::read_dir(directory.path()).expect("there").count(), 1);
    }

    #[test]
    fn older_files_are_compressed() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("c-json.log");
        let older = |suffix: &str| path.with_file_name(format!("c-json.log.{suffix}"));
        let mut log = log(&path, Some(150), 4, true);
        // Of a monitor that ended before it came to it.
        fs::write(older("1"), "plain\n").expect("written");
        for number in 0..3 {
            add(&mut log, [&[b'x'; 100], format!("line {number}\n").as_bytes()].concat().as_slice());
        }
        log.flush().expect("flushed");
        log.compressing.take().expect("at work").wait().expect("done");
        let read = |suffix| io::read_to_string(flate2::read::GzDecoder::new(File::open(older(suffix))?));
        assert!(read("1.gz").expect("there").contains("line 1"));
        assert!(read("2.gz").expect("there").contains("line 0"));
        assert_eq!(read("3.gz").expect("there"), "plain\n");
        assert_eq!(fs::read_dir(directory.path()).expect("there").count(), 4);

        add(&mut log, &[b'y'; 100]);
        drop(log);
        let plain_or_not = [older("1"), older("1.gz")].iter().filter(|path| path.exists()).count();
        assert_eq!(plain_or_not, 1, "a compression that is given up leaves the file as it was");
        assert_eq!(fs::read_dir(directory.path()).expect("there").count(), 4);
    }

    #[test]
    fn a_run_begins_with_a_line_of_its_own() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("c-json.log");
        for (left, before) in [(&b""[..], 0), (b"{}\n", 1), (b"{\"log\":\"hal", 1), (b"{}\n\0\0\0", 2)] {
            fs::write(&path, left).expect("written");
            let mut log = log(&path, None, 1, false);
            add(&mut log, b"said\n");
            log.flush().expect("flushed");
            let text = fs::read_to_string(&path).expect("there");
            let lines: Vec<&str> = text.lines().collect();
            assert!(lines.len() == before + 1 && lines[before].starts_with("{\"log\":\"said"), "{text:?}");
        }
    }

    #[test]
    fn a_file_that_is_emptied_by_hand_has_its_room_again() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("c-json.log");
        let mut log = log(&path, Some(150), 2, false);
        for _ in 0..5 {
            add(&mut log, b"a line\n");
            log.flush().expect("flushed");
            File::options().write(true).truncate(true).open(&path).expect("emptied");
        }
        assert_eq!(fs::read_dir(directory.path()).expect("there").count(), 1);
    }

    #[test]
    fn a_full_disk_is_given_room_by_a_rotation() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("c-json.log");
        fs::write(path.with_file_name("c-json.log.1"), "oldest").expect("written");
        fs::write(&path, [b'x'; 150]).expect("written");
        let mut log = log(&path, Some(150), 2, false);
        log.waiting.extend_from_slice(b"lost\n");
        log.file = File::open(&path).expect("there");
        let line = Piece { text: b"kept\n", continues: false };
        log.add("stdout", line, Timestamp::UNIX_EPOCH).expect_err("what waited had no room");
        log.flush().expect("there is room now");
        assert!(fs::read_to_string(&path).expect("there").starts_with("{\"log\":\"kept"));
        assert!(fs::read(path.with_file_name("c-json.log.1")).expect("there").starts_with(b"xxx"));
    }

    #[test]
    fn what_may_be_kept_is_not_counted_through() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("c-json.log");
        let mut log = log(&path, Some(150), u32::MAX, true);
        for number in 0..4 {
            add(&mut log, [&[b'x'; 100], format!("line {number}\n").as_bytes()].concat().as_slice());
        }
        drop(log);
        assert_eq!(fs::read_dir(directory.path()).expect("there").count(), 4);
    }

    #[test]
    fn what_is_no_file_is_refused_and_nobody_waits_for_it() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("c-json.log");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("made");
        let refused = rotation::open(&path).expect_err("no file").to_string();
        assert_eq!(refused, format!("{} is no regular file", path.display()));
        fs::remove_file(&path).expect("removed");
        fs::create_dir(&path).expect("made");
        rotation::open(&path).expect_err("no file");
    }
}
