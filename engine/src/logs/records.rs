//! Cuts the bytes of a log into records, forwards and backwards. A byte is looked at once, and what is no record takes no
//! more memory than one.

use std::io::{self, Read, Seek, SeekFrom};

use memchr::{memchr2, memrchr2};

use super::Entry;

/// No record is longer. 16 KiB of output take up to 120 KiB, escaped and in base64; what a record says of its container comes
/// from a request of at most 2 MiB, each byte of which is at most six in the file.
pub(super) const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How much is read backwards at a time.
const BLOCK: usize = 32 * 1024;

/// Where a record ends: at a line feed. A NUL byte is in none: a file has it where its size was on the disk before what was
/// written was, or where somebody made it longer.
fn first_end(bytes: &[u8]) -> Option<usize> {
    memchr2(b'\n', b'\0', bytes)
}

fn last_end(bytes: &[u8]) -> Option<usize> {
    memrchr2(b'\n', b'\0', bytes)
}

/// There may be millions of them in a row.
fn is_end(byte: &u8) -> bool {
    matches!(byte, b'\n' | b'\0')
}

/// The records of bytes that come in their order.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// The beginning of a record whose end hasn't come yet.
    begun: Vec<u8>,
    /// It is longer than any record: the rest of it is passed over.
    too_long: bool,
    /// That not all are records was told.
    warned: bool,
}

impl Records {
    /// Those that these bytes complete. What can't be read is left out: a crash may have torn it.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Vec<Entry> {
        let mut entries = Vec::new();
        while let Some(end) = first_end(bytes) {
            self.extend(&bytes[..end]);
            entries.extend(self.complete());
            let next = bytes[end..].iter().position(|byte| !is_end(byte));
            bytes = &bytes[next.map_or(bytes.len(), |next| end + next)..];
        }
        self.extend(bytes);
        entries
    }

    /// Forgets what was begun: its end won't come.
    pub(super) fn give_up_begun(&mut self) {
        self.begun.clear();
        self.too_long = false;
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.too_long {
            return;
        }
        if self.begun.len() + bytes.len() <= RECORD_BYTES_MAX {
            return self.begun.extend_from_slice(bytes);
        }
        self.begun = Vec::new();
        self.too_long = true;
        self.warn(&format!("{RECORD_BYTES_MAX} bytes have no line feed among them"));
    }

    fn complete(&mut self) -> Option<Entry> {
        let record = std::mem::take(&mut self.begun);
        if std::mem::take(&mut self.too_long) || record.is_empty() {
            return None;
        }
        let entry = Entry::parse(&record).map_err(|error| self.warn(&crate::error::chain(&error)));
        self.begun = record;
        self.begun.clear();
        entry.ok()
    }

    fn warn(&mut self, why: &str) {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!("not all of a log is records, the rest of it is read: {why}");
        }
    }
}

/// The complete records of a file, the last one first.
pub(super) struct Backwards<'a, F> {
    file: &'a mut F,
    /// What was read and not looked at yet.
    block: Vec<u8>,
    /// Where that is in the file.
    start: u64,
    /// Where the last record ends.
    end: u64,
    /// The record whose beginning wasn't met yet, its last byte first.
    reversed: Vec<u8>,
    too_long: bool,
}

impl<'a, F: Read + Seek> Backwards<'a, F> {
    pub(super) fn open(file: &'a mut F) -> io::Result<Self> {
        let start = file.seek(SeekFrom::End(0))?;
        let (block, reversed) = (Vec::new(), Vec::new());
        let mut backwards = Self { file, block, start, end: 0, reversed, too_long: false };
        // What follows the last line feed is no record yet.
        while backwards.read_block()? {
            if let Some(end) = last_end(&backwards.block) {
                backwards.block.truncate(end);
                backwards.end = backwards.start + end as u64 + 1;
                break;
            }
        }
        Ok(backwards)
    }

    /// Where the last record ends.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The next one and where it begins. One that is longer than any record is passed over.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Vec<u8>)>> {
        loop {
            let before = last_end(&self.block);
            let begin = before.map_or(0, |end| end + 1);
            self.too_long |= self.reversed.len() + self.block.len() - begin > RECORD_BYTES_MAX;
            if self.too_long {
                self.reversed = Vec::new();
            } else {
                self.reversed.extend(self.block[begin..].iter().rev());
            }
            let rest = self.block[..begin].iter().rposition(|byte| !is_end(byte));
            self.block.truncate(rest.map_or(0, |last| last + 1));
            let is_whole = before.is_some() || self.start == 0;
            if is_whole && !std::mem::take(&mut self.too_long) && !self.reversed.is_empty() {
                let mut record = std::mem::take(&mut self.reversed);
                record.reverse();
                return Ok(Some((self.start + begin as u64, record)));
            }
            if before.is_none() && !self.read_block()? {
                return Ok(None);
            }
        }
    }

    /// Reads what is before the block, which was looked at; false at the file's beginning.
    fn read_block(&mut self) -> io::Result<bool> {
        let length = self.start.min(BLOCK as u64);
        self.start -= length;
        self.file.seek(SeekFrom::Start(self.start))?;
        self.block.resize(usize::try_from(length).expect("at most a block"), 0);
        self.file.read_exact(&mut self.block)?;
        Ok(length > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const RECORD: &[u8] = br#"{"log":"said\n","stream":"stdout","time":"2020-11-21T10:00:00Z"}"#;

    fn texts(entries: Vec<Entry>) -> Vec<Vec<u8>> {
        entries.into_iter().map(|entry| entry.text).collect()
    }

    #[test]
    fn what_is_no_record_spoils_no_other_and_takes_no_memory() {
        let (mut records, mut file) = (Records::default(), Vec::new());
        let mut push = |bytes: &[u8]| {
            file.extend_from_slice(bytes);
            let entries = records.push(bytes);
            assert!(records.begun.capacity() <= 2 * RECORD_BYTES_MAX, "{}", records.begun.capacity());
            texts(entries)
        };
        assert_eq!(push(RECORD), [b""; 0]);
        assert_eq!(push(b"\n{\"log\":\"half"), [b"said\n"]);
        // What a file has where its size was on the disk before what was written was, and where it was made longer.
        let hole = [0; 64 * 1024];
        (0..128).for_each(|_| assert_eq!(push(&hole), [b""; 0]));
        assert_eq!(push(&[RECORD, b"\n"].concat()), [b"said\n"]);
        let line = [b'x'; 64 * 1024];
        (0..=RECORD_BYTES_MAX / line.len()).for_each(|_| assert_eq!(push(&line), [b""; 0]));
        assert_eq!(push(&[b"x\n", RECORD, b"\n", RECORD, b"\n"].concat()), [b"said\n"; 2]);
        assert_eq!(records.begun.len(), 0);

        let mut cursor = Cursor::new(&file);
        let mut backwards = Backwards::open(&mut cursor).expect("opens");
        assert_eq!(backwards.end(), file.len() as u64);
        let mut met = Vec::new();
        while let Some((offset, record)) = backwards.next().expect("read") {
            assert!(backwards.reversed.capacity() <= 2 * RECORD_BYTES_MAX);
            let offset = usize::try_from(offset).expect("within it");
            assert_eq!(file[offset..offset + record.len()], record);
            met.push(record);
        }
        assert_eq!(met, [RECORD, RECORD, RECORD, b"{\"log\":\"half", RECORD]);
    }

    #[test]
    fn no_record_is_longer_than_one_can_be() {
        let record = |length: usize| {
            let text = "x".repeat(length - RECORD.len() + "said\\n".len());
            String::from_utf8_lossy(RECORD).replace("said\\n", &text).into_bytes()
        };
        for (length, taken) in [(RECORD_BYTES_MAX, 1), (RECORD_BYTES_MAX + 1, 0)] {
            let line = [record(length), b"\n".to_vec()].concat();
            assert_eq!(line.len(), length + 1);
            assert_eq!(Records::default().push(&line).len(), taken);
            let mut cursor = Cursor::new(&line);
            let mut backwards = Backwards::open(&mut cursor).expect("opens");
            assert_eq!(usize::from(backwards.next().expect("read").is_some()), taken);
        }
    }
}
