//! Logs on disk, read whole, by their tail, over rotations, and followed.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use futures::{FutureExt, StreamExt, TryStreamExt};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;

const EVERYTHING: Selection = Selection { stdout: true, stderr: true, tail: None, since: None, until: None };
const PLAIN: Rendering = Rendering { timestamps: false, details: false, multiplexed: false };

struct Log {
    directory: TempDir,
    seconds: u32,
}

impl Log {
    fn new() -> Self {
        Self { directory: TempDir::new().expect("a temporary directory"), seconds: 0 }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("container.log")
    }

    /// Writes a record as the runtime's monitor does; each is a second younger than the one before.
    fn write(&mut self, stream: &str, text: &str) {
        let record = format!(
            "{{\"log\":\"{text}\\n\",\"stream\":\"{stream}\",\"time\":\"2020-11-21T10:00:{:02}.123456789Z\"}}\n",
            self.seconds
        );
        self.seconds += 1;
        let mut file = OpenOptions::new().append(true).create(true).open(self.path()).expect("the log opens");
        file.write_all(record.as_bytes()).expect("the log takes a record");
    }

    fn write_piece(&mut self, stream: &str, text: &str, continues: bool) {
        let record = serde_json::json!({
            "log": text, "stream": stream, "attrs": { "b*": "~ ü", "a": "1" }, "continues": continues,
            "time": format!("2020-11-21T10:00:{:02}.123456789Z", self.seconds),
        });
        self.seconds += 1;
        let mut file = OpenOptions::new().append(true).create(true).open(self.path()).expect("the log opens");
        writeln!(file, "{record}").expect("the log takes a record");
    }

    fn numbered(&self, index: u32) -> PathBuf {
        self.directory.path().join(format!("container.log.{index}"))
    }

    /// As the monitor does with an older file, a while after it was rotated.
    fn compress(&self, index: u32) {
        let mut plain = fs::File::open(self.numbered(index)).expect("there");
        let compressed = self.directory.path().join(format!("container.log.{index}.gz"));
        let file = fs::File::create(compressed).expect("made");
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        std::io::copy(&mut plain, &mut encoder).expect("compressed");
        encoder.finish().expect("compressed");
        fs::remove_file(self.numbered(index)).expect("removed");
    }

    fn rotate(&self) {
        let numbered = |index: u32| self.numbered(index);
        if self.directory.path().join("container.log.1.gz").exists() {
            let renamed = self.directory.path().join("container.log.2.gz");
            fs::rename(self.directory.path().join("container.log.1.gz"), renamed).expect("renamed");
        }
        if numbered(1).exists() {
            fs::rename(numbered(1), numbered(2)).expect("renamed");
        }
        fs::rename(self.path(), numbered(1)).expect("renamed");
    }

    async fn read(&self, selection: Selection, rendering: Rendering) -> String {
        let follow: Follow<std::future::Ready<()>> = Follow::No;
        let stream = stream(&self.path(), selection, rendering, follow).await.expect("the log is read");
        collect(stream).await
    }
}

async fn collect(stream: impl Stream<Item = std::io::Result<bytes::Bytes>>) -> String {
    let pieces: Vec<bytes::Bytes> = stream.try_collect().await.expect("the log is read");
    String::from_utf8(pieces.concat()).expect("text")
}

use futures::Stream;

fn at(second: u32) -> Option<Timestamp> {
    Some(format!("2020-11-21T10:00:{second:02}.5Z").parse().expect("a timestamp"))
}

#[tokio::test]
async fn selections_are_what_clients_ask_for() {
    let mut log = Log::new();
    for (stream, text) in [("stdout", "a"), ("stderr", "b"), ("stdout", "c"), ("stdout", "d")] {
        log.write(stream, text);
    }
    let cases = [
        (EVERYTHING, "a\nb\nc\nd\n"),
        (Selection { stderr: false, ..EVERYTHING }, "a\nc\nd\n"),
        (Selection { stdout: false, ..EVERYTHING }, "b\n"),
        (Selection { tail: Some(2), ..EVERYTHING }, "c\nd\n"),
        (Selection { tail: Some(0), ..EVERYTHING }, ""),
        (Selection { tail: Some(99), ..EVERYTHING }, "a\nb\nc\nd\n"),
        // Docker counts the last lines before it looks at their stream.
        (Selection { tail: Some(2), stdout: false, ..EVERYTHING }, ""),
        (Selection { since: at(1), ..EVERYTHING }, "c\nd\n"),
        (Selection { until: at(1), ..EVERYTHING }, "a\nb\n"),
        (Selection { since: at(0), until: at(2), ..EVERYTHING }, "b\nc\n"),
    ];
    for (selection, expected) in cases {
        assert_eq!(log.read(selection.clone(), PLAIN).await, expected, "{selection:?}");
    }
}

#[tokio::test]
async fn lines_are_rendered_as_asked() {
    let mut log = Log::new();
    log.write("stderr", "b");
    let timestamps = Rendering { timestamps: true, ..PLAIN };
    let framed = Rendering { multiplexed: true, ..PLAIN };
    assert_eq!(log.read(EVERYTHING, timestamps).await, "2020-11-21T10:00:00.123456789Z b\n");
    assert_eq!(log.read(EVERYTHING, Rendering { details: true, ..PLAIN }).await, " b\n");
    assert_eq!(log.read(EVERYTHING, framed).await, "\u{2}\0\0\0\0\0\0\u{2}b\n");
}

#[tokio::test]
async fn rotated_files_are_read_oldest_first() {
    let mut log = Log::new();
    for text in ["a", "b", "c"] {
        log.write("stdout", text);
        log.write("stdout", &text.to_uppercase());
        if text != "c" {
            log.rotate();
        }
    }
    assert_eq!(log.read(EVERYTHING, PLAIN).await, "a\nA\nb\nB\nc\nC\n");
    assert_eq!(log.read(Selection { tail: Some(3), ..EVERYTHING }, PLAIN).await, "B\nc\nC\n");
    assert_eq!(log.read(Selection { tail: Some(6), ..EVERYTHING }, PLAIN).await, "a\nA\nb\nB\nc\nC\n");
}

#[tokio::test]
async fn a_log_that_is_not_there_is_empty() {
    assert_eq!(Log::new().read(EVERYTHING, PLAIN).await, "");
}

#[tokio::test]
async fn torn_records_are_left_out() {
    let mut log = Log::new();
    log.write("stdout", "a");
    append(&log.path(), "{\"log\":\"torn\n");
    log.write("stdout", "b");
    append(&log.path(), "{\"log\":\"unfinished");
    assert_eq!(log.read(EVERYTHING, PLAIN).await, "a\nb\n");
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).open(path).expect("the log opens");
    file.write_all(text.as_bytes()).expect("the log takes bytes");
}

#[tokio::test]
async fn following_loses_nothing_to_rotation_and_ends_with_the_container() {
    let mut log = Log::new();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let follow = Follow::UntilEnd(Box::pin(ended.map(|_| ())));
    let mut stream = Box::pin(stream(&log.path(), EVERYTHING, PLAIN, follow).await.expect("the log is followed"));

    log.write("stdout", "first");
    assert_eq!(stream.next().await.expect("a piece").expect("read"), "first\n");
    log.write("stdout", "second");
    log.rotate();
    log.write("stdout", "third");
    log.rotate();
    log.write("stdout", "fourth");
    end.send(()).expect("the stream is still following");
    assert_eq!(collect(stream).await, "second\nthird\nfourth\n");
}

#[tokio::test]
async fn following_ends_at_until() {
    let mut log = Log::new();
    log.write("stdout", "a");
    let selection = Selection { until: at(0), ..EVERYTHING };
    let never = Follow::UntilEnd(Box::pin(std::future::pending::<()>()));
    assert_eq!(collect(stream(&log.path(), selection, PLAIN, never).await.expect("the log is followed")).await, "a\n");
}

#[tokio::test]
async fn pieces_of_a_line_are_a_line() {
    let mut log = Log::new();
    log.write_piece("stdout", "a\n", false);
    log.write_piece("stdout", "b", false);
    log.write_piece("stderr", "c\n", false);
    log.write_piece("stdout", "d\n", true);
    let timestamps = Rendering { timestamps: true, ..PLAIN };
    let stdout = Selection { stderr: false, ..EVERYTHING };
    let stamp = |second| format!("2020-11-21T10:00:0{second}.123456789Z ");
    let expected = format!("{}a\n{}bd\n", stamp(0), stamp(1));
    assert_eq!(log.read(stdout.clone(), timestamps).await, expected);
    assert_eq!(log.read(Selection { tail: Some(1), ..stdout.clone() }, PLAIN).await, "bd\n");
    assert_eq!(log.read(Selection { tail: Some(1), ..EVERYTHING }, PLAIN).await, "bd\n");
    // A line is as old as its beginning.
    assert_eq!(log.read(Selection { since: at(2), ..stdout }, PLAIN).await, "");
    let details = Rendering { details: true, ..PLAIN };
    let expected = "a=1,b%2A=~+%C3%BC b";
    assert_eq!(log.read(Selection { tail: Some(1), ..EVERYTHING }, details).await, format!("{expected}d\n"));
}

#[tokio::test]
async fn bytes_come_back_as_they_were_written() {
    let log = Log::new();
    let record = r#"{"log":"\ufffd\n","stream":"stdout","bytes":"/wo=","time":"2020-11-21T10:00:00Z"}"#;
    fs::write(log.path(), format!("{record}\n")).expect("written");
    let follow: Follow<std::future::Ready<()>> = Follow::No;
    let stream = stream(&log.path(), EVERYTHING, PLAIN, follow).await.expect("the log is read");
    let pieces: Vec<bytes::Bytes> = stream.try_collect().await.expect("the log is read");
    assert_eq!(pieces.concat(), b"\xff\n");
}

#[tokio::test]
async fn compressed_files_are_read_like_others() {
    let mut log = Log::new();
    for text in ["a", "b", "c"] {
        log.write("stdout", text);
        log.write("stdout", &text.to_uppercase());
        if text != "c" {
            log.rotate();
            log.compress(1);
        }
    }
    assert_eq!(log.read(EVERYTHING, PLAIN).await, "a\nA\nb\nB\nc\nC\n");
    assert_eq!(log.read(Selection { tail: Some(3), ..EVERYTHING }, PLAIN).await, "B\nc\nC\n");
    assert_eq!(log.read(Selection { tail: Some(5), ..EVERYTHING }, PLAIN).await, "A\nb\nB\nc\nC\n");
}

#[tokio::test]
async fn following_loses_nothing_to_a_compression_and_repeats_nothing() {
    let mut log = Log::new();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let follow = Follow::UntilEnd(Box::pin(ended.map(|_| ())));
    log.write("stdout", "oldest");
    log.rotate();
    log.compress(1);
    log.write("stdout", "first");
    let mut stream = Box::pin(stream(&log.path(), EVERYTHING, PLAIN, follow).await.expect("the log is followed"));
    assert_eq!(stream.next().await.expect("a piece").expect("read"), "oldest\n");
    assert_eq!(stream.next().await.expect("a piece").expect("read"), "first\n");
    log.write("stdout", "second");
    log.rotate();
    log.compress(1);
    log.write("stdout", "third");
    assert_eq!(stream.next().await.expect("a piece").expect("read"), "second\n");
    assert_eq!(stream.next().await.expect("a piece").expect("read"), "third\n");
    log.rotate();
    log.compress(1);
    end.send(()).expect("the stream is still following");
    assert_eq!(collect(stream).await, "");
}

#[tokio::test]
async fn following_loses_nothing_where_only_one_file_is_kept() {
    let mut log = Log::new();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let follow = Follow::UntilEnd(Box::pin(ended.map(|_| ())));
    let mut stream = Box::pin(stream(&log.path(), EVERYTHING, PLAIN, follow).await.expect("the log is followed"));
    for text in ["a", "b", "c"] {
        log.write("stdout", text);
        log.write("stdout", &text.to_uppercase());
        fs::remove_file(log.path()).expect("removed");
        let read = stream.next();
        log.write("stdout", "new");
        let mut read = read.await.expect("a piece").expect("read").to_vec();
        while !read.ends_with(b"new\n") {
            read.extend_from_slice(&stream.next().await.expect("a piece").expect("read"));
        }
        let expected = if text == "a" { "new\n".to_owned() } else { format!("{text}\n{}\nnew\n", text.to_uppercase()) };
        assert_eq!(String::from_utf8(read).expect("text"), expected);
    }
    end.send(()).expect("the stream is still following");
    assert_eq!(collect(stream).await, "");
}

#[test]
fn a_batch_is_no_more_than_some_of_the_file() {
    let log = Log::new();
    fs::File::create(log.path()).and_then(|file| file.set_len(8 * 1024 * 1024)).expect("made");
    let wanted = CancellationToken::new();
    let mut reader = LogReader::open(&log.path(), None, &wanted).expect("opens");
    let mut batches = 0;
    while let Some(entries) = reader.next_batch().expect("read") {
        assert!(entries.is_empty());
        batches += 1;
    }
    assert!(batches >= 100, "{batches}");

    LogReader::open(&log.path(), Some(1), &wanted).expect("opens");
    wanted.cancel();
    LogReader::open(&log.path(), Some(1), &wanted).expect_err("nobody wants it");
}

#[tokio::test]
async fn who_follows_a_file_that_is_emptied_reads_on_at_its_beginning() {
    let mut log = Log::new();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let follow = Follow::UntilEnd(Box::pin(ended.map(|_| ())));
    log.write("stdout", "a line longer than the next");
    append(&log.path(), "{\"log\":\"unfinished");
    let mut stream = Box::pin(stream(&log.path(), EVERYTHING, PLAIN, follow).await.expect("the log is followed"));
    assert_eq!(stream.next().await.expect("a piece").expect("read"), "a line longer than the next\n");
    fs::File::options().write(true).truncate(true).open(log.path()).expect("emptied");
    log.write("stdout", "b");
    assert_eq!(stream.next().await.expect("a piece").expect("read"), "b\n");
    end.send(()).expect("the stream is still following");
    assert_eq!(collect(stream).await, "");
}

#[tokio::test]
async fn what_is_no_file_is_no_log_and_nobody_waits_for_it() {
    let log = Log::new();
    let elsewhere = log.directory.path().join("elsewhere");
    let refused = async |tail| {
        let follow: Follow<std::future::Ready<()>> = Follow::No;
        let opened = stream(&log.path(), Selection { tail, ..EVERYTHING }, PLAIN, follow).await;
        opened.err().expect("refused").to_string()
    };
    let expected = format!("{} is no regular file", log.path().display());
    fs::create_dir(log.path()).expect("made");
    assert_eq!((refused(None).await, refused(Some(1)).await), (expected.clone(), expected.clone()));
    fs::remove_dir(log.path()).expect("removed");
    nix::unistd::mkfifo(&log.path(), nix::sys::stat::Mode::S_IRWXU).expect("made");
    assert_eq!((refused(None).await, refused(Some(1)).await), (expected.clone(), expected));
    fs::remove_file(log.path()).expect("removed");
    let mut other = Log::new();
    other.write("stdout", "a");
    fs::rename(other.path(), &elsewhere).expect("moved");
    std::os::unix::fs::symlink(&elsewhere, log.path()).expect("made");
    assert_eq!(log.read(EVERYTHING, PLAIN).await, "a\n");
}
