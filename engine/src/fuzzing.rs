//! What the fuzz target checks, beyond that nothing panics. Compiled for it only.

use std::collections::BTreeSet;
use std::io::Cursor;

use crate::frame::{OutputStream, Unframed, put_frame};
use crate::logs::{Records, Tail};
use crate::translate::top::{LINE_BYTES_MAX, Selection};

/// What a hostile container can send us: it is read, as whatever we read of containers, or refused.
pub fn container(bytes: &[u8]) {
    let size = bytes.first().map_or(1, |byte| usize::from(*byte) + 1);
    let text = String::from_utf8_lossy(bytes);
    frames(bytes, size);
    log(bytes, size);
    top(&text);
    runtime::fuzzing::users(bytes);
    runtime::fuzzing::stats(&text);
    runtime::fuzzing::messages(bytes);
}

/// What is put in frames comes out of them, wherever they are cut; what is none comes to an end.
fn frames(bytes: &[u8], size: usize) {
    let unframed = |framed: &[u8]| {
        let (mut unframed, mut content) = (Unframed::default(), Vec::new());
        framed.chunks(size).for_each(|piece| unframed.push(piece, |_, piece| content.extend_from_slice(piece)));
        content
    };
    let mut framed = bytes::BytesMut::new();
    bytes.chunks(3 * size).for_each(|piece| put_frame(&mut framed, OutputStream::Stdout, piece));
    assert_eq!(unframed(&framed), bytes);
    assert!(unframed(bytes).len() <= bytes.len());
}

/// What a container prints is in its log, however it comes, and is read from there up to where the log is cut off. Any other
/// file is read as well.
fn log(bytes: &[u8], size: usize) {
    let (written, said) = runtime::fuzzing::log(bytes, size);
    let read = |file: &[u8]| {
        let (mut records, mut texts) = (Records::default(), Vec::new());
        for piece in file.chunks(1021 * size) {
            texts.extend(records.push(piece).into_iter().map(|entry| entry.text));
        }
        texts
    };
    assert_eq!(read(&written), said);
    let cut = &written[..written.len() * size / 257];
    assert_eq!(read(cut)[..], said[..cut.iter().filter(|byte| **byte == b'\n').count()]);
    read(bytes);
    for file in [cut, bytes] {
        let mut tail = Tail::of(size);
        let offset = tail.search(&mut Cursor::new(file)).expect("memory can be read").expect("it is the youngest file");
        let rest = &file[usize::try_from(offset).expect("within it")..];
        let ends = Records::default().push(rest).iter().filter(|entry| entry.ends_line()).count();
        let skip = tail.skip();
        assert!(ends <= size + skip.stdout + skip.stderr);
    }
}

/// A table has only rows of the processes that are asked for, and no more columns than titles.
fn top(text: &str) {
    let pids = BTreeSet::from([1, 42]);
    let mut lines = text.lines().filter(|line| line.len() <= LINE_BYTES_MAX);
    let Ok(mut selection) = Selection::new(lines.next().unwrap_or_default(), &pids) else { return };
    lines.for_each(|line| drop(selection.add(line)));
    selection.finish().check(&pids);
}
