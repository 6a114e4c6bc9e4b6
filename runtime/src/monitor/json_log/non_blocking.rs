//! `mode=non-blocking`: a thread writes the log, and what finds the buffer full is left out.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use jiff::Timestamp;

use super::Piece;

/// A line or piece that waits for the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) stream: &'static str,
    pub(super) text: Vec<u8>,
    pub(super) continues: bool,
    pub(super) at: Timestamp,
}

impl Line {
    /// What it takes of the buffer.
    fn bytes(&self) -> u64 {
        (size_of::<Self>() + self.text.len()) as u64
    }
}

/// The lines that wait, up to so many bytes.
#[derive(Debug)]
struct Buffer {
    lines: VecDeque<Line>,
    /// Of these, and of those being written.
    bytes: u64,
    max_bytes: u64,
    /// What became of the line that each stream is in the middle of.
    current_lines: Vec<(&'static str, LineOutcome)>,
    /// No more will come.
    ended: bool,
}

/// What became of a line so far.
#[derive(Debug, Clone, Copy, Default)]
struct LineOutcome {
    kept: bool,
    lost: bool,
}

impl Buffer {
    fn new(max_bytes: u64) -> Self {
        Self { lines: VecDeque::new(), bytes: 0, max_bytes, current_lines: Vec::new(), ended: false }
    }

    /// Takes a line if there is room, or if nothing waits at all. Of one that was begun and has no room any more the end is
    /// kept, so that the next one begins on a line of its own.
    fn add(&mut self, line: Line) {
        let outcome = self.outcome(line.stream);
        if !line.continues {
            *outcome = LineOutcome::default();
        }
        let before = *outcome;
        let has_room = self.bytes == 0 || self.bytes + line.bytes() <= self.max_bytes;
        let outcome = self.outcome(line.stream);
        if has_room && !before.lost {
            outcome.kept = true;
            self.push(line);
        } else {
            outcome.lost = true;
            if before.kept && line.text.ends_with(b"\n") {
                self.push(Line { text: b"\n".to_vec(), ..line });
            }
        }
    }

    fn outcome(&mut self, stream: &'static str) -> &mut LineOutcome {
        let index = self.current_lines.iter().position(|(known, _)| *known == stream).unwrap_or_else(|| {
            self.current_lines.push((stream, LineOutcome::default()));
            self.current_lines.len() - 1
        });
        &mut self.current_lines[index].1
    }

    fn push(&mut self, line: Line) {
        self.bytes += line.bytes();
        self.lines.push_back(line);
    }
}

/// The thread and what it has to write.
#[derive(Debug)]
pub(in crate::monitor) struct NonBlockingWriter {
    shared: Arc<Shared>,
    thread: JoinHandle<io::Result<()>>,
}

#[derive(Debug)]
struct Shared {
    buffer: Mutex<Buffer>,
    changed: Condvar,
}

impl NonBlockingWriter {
    /// Begins to write what will come.
    pub(super) fn begin(
        max_bytes: u64,
        write: impl FnMut(&[Line]) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared { buffer: Mutex::new(Buffer::new(max_bytes)), changed: Condvar::new() });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || of_thread.write_all(write))?;
        Ok(Self { shared, thread })
    }

    pub(super) fn add(&self, stream: &'static str, piece: Piece<'_>, at: Timestamp) {
        let line = Line { stream, text: piece.text.to_vec(), continues: piece.continues, at };
        self.shared.lock().add(line);
        self.shared.changed.notify_one();
    }

    /// Waits until all that was taken is written; the first thing that went wrong.
    pub(super) fn finish(self) -> io::Result<()> {
        self.shared.lock().ended = true;
        self.shared.changed.notify_one();
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the log's thread panicked")))
    }
}

impl Shared {
    /// Its holders don't panic half-way.
    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all(&self, mut write: impl FnMut(&[Line]) -> io::Result<()>) -> io::Result<()> {
        let mut all = Ok(());
        loop {
            let nothing = |buffer: &mut Buffer| buffer.lines.is_empty() && !buffer.ended;
            let waited = self.changed.wait_while(self.lock(), nothing).unwrap_or_else(PoisonError::into_inner);
            let lines = Vec::from({ waited }.lines.split_off(0));
            if lines.is_empty() {
                return all;
            }
            all = all.and(write(&lines));
            self.lock().bytes -= lines.iter().map(Line::bytes).sum::<u64>();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn line(stream: &'static str, text: &str) -> Line {
        let (continues, text) = text.strip_prefix('+').map_or((false, text), |text| (true, text));
        Line { stream, text: text.into(), continues, at: Timestamp::UNIX_EPOCH }
    }

    fn kept(max_bytes: u64, said: &[(&'static str, &str)]) -> String {
        let mut buffer = Buffer::new(max_bytes);
        said.iter().for_each(|(stream, text)| buffer.add(line(stream, text)));
        buffer.lines.iter().map(|line| String::from_utf8_lossy(&line.text)).collect()
    }

    #[test]
    fn what_finds_the_buffer_full_is_left_out_line_by_line() {
        let room = |lines: &[&str]| lines.iter().map(|text| line("stdout", text).bytes()).sum();
        let (out, err) = ("stdout", "stderr");
        for (max_bytes, said, expected) in [
            (room(&["a\n", "b\n"]), &[(out, "a\n"), (err, "b\n"), (out, "c\n")][..], "a\nb\n"),
            // What is larger than all of it has room when nothing waits.
            (1, &[(out, "a\n"), (out, "b\n")], "a\n"),
            (room(&["a\n", "b\n"]), &[(out, "a\n"), (out, "bbbb\n"), (out, "c\n")], "a\nc\n"),
            // The rest of a line that lost its beginning is nobody's, and one that lost its end has an end.
            (room(&["a\n", "c\n"]), &[(out, "a\n"), (out, "bbb"), (out, "+b\n"), (out, "c\n")], "a\nc\n"),
            (room(&["a", "b\n"]), &[(out, "a"), (err, "b\n"), (out, "+a"), (out, "+a\n"), (out, "c\n")], "ab\n\n"),
        ] {
            assert_eq!(kept(max_bytes, said), expected, "{said:?}");
        }
    }

    #[test]
    fn who_speaks_does_not_wait_for_the_disk() {
        let (at_work, begins) = mpsc::channel();
        let (go_on, permitted) = mpsc::channel();
        let (write, written) = mpsc::channel();
        let non_blocking = NonBlockingWriter::begin(2 * line("stdout", "a").bytes(), move |lines| {
            at_work.send(()).expect("somebody asks");
            permitted.recv().expect("somebody permits");
            lines.iter().for_each(|line| write.send(line.text.clone()).expect("somebody reads"));
            Err(io::Error::other("full"))
        });
        let non_blocking = non_blocking.expect("begins");
        let add = |text: &[u8]| non_blocking.add("stdout", Piece { text, continues: false }, Timestamp::UNIX_EPOCH);
        add(b"a");
        begins.recv().expect("at work");
        // The one being written takes its room until it is.
        [b"b", b"c", b"d"].iter().for_each(|text| add(*text));
        go_on.send(()).expect("waits");
        begins.recv().expect("at work");
        add(b"e");
        go_on.send(()).expect("waits");
        begins.recv().expect("at work");
        go_on.send(()).expect("waits");
        assert_eq!(non_blocking.finish().expect_err("told at the end").to_string(), "full");
        assert_eq!(written.iter().collect::<Vec<_>>(), [b"a", b"b", b"e"]);
    }
}
