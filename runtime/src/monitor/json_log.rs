//! The log in Docker's `json-file` format: one JSON object a line, with the text, the stream and the time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::spec::Log;

/// A line longer than this is logged in pieces, all but the last without a line feed.
const PIECE_BYTES: usize = 16 * 1024;

/// Cuts a stream into lines, and long lines into pieces.
#[derive(Debug, Default)]
pub(super) struct LineSplitter {
    begun: Vec<u8>,
}

impl LineSplitter {
    /// Takes more of the stream, and gives each line or piece that is complete now.
    pub(super) fn push(&mut self, mut data: &[u8], mut complete: impl FnMut(&[u8])) {
        while !data.is_empty() {
            let room = PIECE_BYTES - self.begun.len();
            let window = &data[..data.len().min(room)];
            let line_end = window.iter().position(|&byte| byte == b'\n').map(|position| position + 1);
            let (piece, rest) = data.split_at(line_end.unwrap_or(window.len()));
            self.begun.extend_from_slice(piece);
            if line_end.is_some() || self.begun.len() == PIECE_BYTES {
                complete(&self.begun);
                self.begun.clear();
            }
            data = rest;
        }
    }

    /// Gives what is left at the stream's end, which has no line feed.
    pub(super) fn finish(&mut self, complete: impl FnOnce(&[u8])) {
        if !self.begun.is_empty() {
            complete(&self.begun);
            self.begun.clear();
        }
    }
}

/// A log being written.
#[derive(Debug)]
pub(super) struct JsonLog {
    path: PathBuf,
    file: File,
    size_bytes: u64,
    max_size_bytes: Option<u64>,
    max_files: u32,
    /// Lines that are not in the file yet.
    waiting: Vec<u8>,
    /// The file may end in the middle of a line, which could not be written as a whole.
    torn: bool,
}

impl JsonLog {
    /// Opens the log that is asked for, if one is.
    pub(super) fn open(log: &Log) -> io::Result<Option<Self>> {
        let Log::JsonFile { path, max_size_bytes, max_files } = log else { return Ok(None) };
        let file = open(path)?;
        Ok(Some(Self {
            path: path.clone(),
            size_bytes: file.metadata()?.len(),
            file,
            max_size_bytes: *max_size_bytes,
            max_files: *max_files,
            waiting: Vec::new(),
            torn: false,
        }))
    }

    /// Adds a line or piece. It is in the file after the next [`JsonLog::flush`].
    pub(super) fn add(&mut self, stream: &str, text: &[u8], at: Timestamp) -> io::Result<()> {
        let begin = self.waiting.len();
        append_line(&mut self.waiting, stream, text, at);
        let added = (self.waiting.len() - begin) as u64;
        let full = self.max_size_bytes.is_some_and(|max| self.size_bytes > 0 && self.size_bytes + added > max);
        if full {
            let line = self.waiting.split_off(begin);
            self.flush()?;
            self.rotate()?;
            self.waiting = line;
        }
        self.size_bytes += added;
        Ok(())
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self) -> io::Result<()> {
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
        let numbered = |number: u32| {
            let mut path = self.path.as_os_str().to_owned();
            path.push(format!(".{number}"));
            PathBuf::from(path)
        };
        if self.max_files <= 1 {
            self.file.set_len(0)?;
        } else {
            for number in (1..self.max_files - 1).rev() {
                rename_if_there(&numbered(number), &numbered(number + 1))?;
            }
            rename_if_there(&self.path, &numbered(1))?;
            self.file = open(&self.path)?;
        }
        self.size_bytes = 0;
        Ok(())
    }
}

/// What a log has of some output that comes in pieces, and each record's text.
#[cfg(fuzzing)]
pub(crate) fn log_of(output: &[u8], size: usize) -> (Vec<u8>, Vec<String>) {
    let (mut splitter, mut file, mut texts) = (LineSplitter::default(), Vec::new(), Vec::new());
    let mut add = |piece: &[u8]| {
        append_line(&mut file, "stdout", piece, Timestamp::UNIX_EPOCH);
        texts.push(String::from_utf8_lossy(piece).into_owned());
    };
    output.chunks(size).for_each(|chunk| splitter.push(chunk, &mut add));
    splitter.finish(&mut add);
    (file, texts)
}

fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn append_line(line: &mut Vec<u8>, stream: &str, text: &[u8], at: Timestamp) {
    line.extend_from_slice(b"{\"log\":\"");
    escape_into(line, text);
    line.extend_from_slice(b"\",\"stream\":\"");
    line.extend_from_slice(stream.as_bytes());
    line.extend_from_slice(b"\",\"time\":\"");
    line.extend_from_slice(at.to_string().as_bytes());
    line.extend_from_slice(b"\"}\n");
}

/// Escapes as Docker does, which keeps `<`, `>` and `&` out of JSON that may end up in a web page. What isn't UTF-8
/// becomes U+FFFD.
fn escape_into(line: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => line.extend_from_slice(b"\\\""),
                '\\' => line.extend_from_slice(b"\\\\"),
                '\n' => line.extend_from_slice(b"\\n"),
                '\r' => line.extend_from_slice(b"\\r"),
                '\t' => line.extend_from_slice(b"\\t"),
                '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    line.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
                }
                _ => line.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            line.extend_from_slice(b"\\ufffd");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut splitter = LineSplitter::default();
        let mut pieces = Vec::new();
        for chunk in chunks {
            splitter.push(chunk, |piece| pieces.push(piece.to_vec()));
        }
        splitter.finish(|piece| pieces.push(piece.to_vec()));
        pieces
    }

    #[test]
    fn streams_are_cut_at_line_feeds_and_long_lines_at_16_kib() {
        assert_eq!(pieces(&[b"a\nb", b"c\n\nd"]), [&b"a\n"[..], b"bc\n", b"\n", b"d"]);
        let long = [&vec![b'x'; PIECE_BYTES + 1][..], b"\n"].concat();
        let lengths: Vec<_> = pieces(&[&long]).iter().map(Vec::len).collect();
        assert_eq!(lengths, [PIECE_BYTES, 2]);
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost_however_it_arrives(data: Vec<u8>, size in 1_usize..50) {
            let chunks: Vec<&[u8]> = data.chunks(size).collect();
            proptest::prop_assert_eq!(pieces(&chunks).concat(), data);
        }

        #[test]
        fn lines_are_json_that_says_what_was_said(text: String) {
            let mut line = Vec::new();
            append_line(&mut line, "stdout", text.as_bytes(), Timestamp::UNIX_EPOCH);
            let json: std::collections::BTreeMap<String, String> = serde_json::from_slice(&line)?;
            proptest::prop_assert_eq!(&json["log"], &text);
        }
    }

    #[test]
    fn lines_look_as_dockers() {
        let mut line = Vec::new();
        let at = "2026-01-02T03:04:05.000600700Z".parse().expect("a time");
        append_line(&mut line, "stderr", b"<\"\xff\x01\t\\>\r\n", at);
        assert_eq!(
            String::from_utf8_lossy(&line),
            concat!(
                r#"{"log":"\u003c\"\ufffd\u0001\t\\\u003e\r\n","stream":"stderr","time":"2026-01-02T03:04:05.0006007Z"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_line_that_could_not_be_written_spoils_no_other() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("c-json.log");
        let log = Log::JsonFile { path: path.clone(), max_size_bytes: None, max_files: 1 };
        let mut log = JsonLog::open(&log).expect("opens").expect("is wanted");
        let say = |log: &mut JsonLog, text: &[u8]| {
            log.add("stdout", text, Timestamp::UNIX_EPOCH).expect("waits");
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
        let log = Log::JsonFile { path: path.clone(), max_size_bytes: Some(150), max_files: 2 };
        let mut log = JsonLog::open(&log).expect("opens").expect("is wanted");
        for number in 0..5 {
            log.add("stdout", format!("line {number}\n").as_bytes(), Timestamp::UNIX_EPOCH).expect("added");
        }
        log.flush().expect("flushed");
        let read = |path: &Path| fs::read_to_string(path).expect("there");
        assert!(read(&path).contains("line 4") && !read(&path).contains("line 3"));
        assert!(read(&path.with_file_name("c-json.log.1")).contains("line 3"));
        assert!(!path.with_file_name("c-json.log.2").exists());
    }
}
