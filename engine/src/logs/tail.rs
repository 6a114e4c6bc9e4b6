//! Where the last lines of a log begin. A line that was too long for one record is several of them, and those of the other
//! stream may lie in between.

use std::io::{self, Read, Seek};

use super::records::Backwards;
use super::{Entry, PerStream};

/// A search for the last lines, from the youngest file to older ones.
#[derive(Debug)]
pub(crate) struct Tail {
    missing: usize,
    /// Whether the beginning of a line that was counted hasn't been seen yet.
    open: PerStream<bool>,
    /// How many records of each stream after the place that was found are of lines before those wanted.
    skip: PerStream<usize>,
    /// Those that have been met since: they count when the place lies before them.
    passed: PerStream<usize>,
    begun: bool,
}

impl Tail {
    /// For so many lines.
    pub(crate) fn of(lines: usize) -> Self {
        Self {
            missing: lines,
            open: PerStream::default(),
            skip: PerStream::default(),
            passed: PerStream::default(),
            begun: false,
        }
    }

    /// Whether older files have nothing to do with it.
    pub(crate) fn is_found(&self) -> bool {
        self.begun && self.missing == 0 && !self.open.stdout && !self.open.stderr
    }

    /// How many records of each stream are to be passed over from the place that was found.
    pub(crate) fn skip(self) -> PerStream<usize> {
        self.skip
    }

    /// Where to begin in this file, if it has any of what is wanted. An unfinished last record isn't counted: it is still
    /// being written, and comes after the lines found.
    pub(crate) fn search(&mut self, file: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
        let mut backwards = Backwards::open(file)?;
        // What is still being written to the youngest file is wanted in any case.
        let mut begin = (!self.begun).then(|| backwards.end());
        self.begun = true;
        while !self.is_found()
            && let Some((offset, record)) = backwards.next()?
        {
            if let Ok(entry) = Entry::parse(&record)
                && self.takes(&entry)
            {
                begin = Some(offset);
            }
        }
        Ok(begin)
    }

    fn takes(&mut self, entry: &Entry) -> bool {
        let open = self.open.of(entry.stream);
        let belongs = *open && !entry.ends_line();
        if belongs || self.missing > 0 {
            self.missing -= usize::from(!belongs);
            *open = entry.continues;
            let PerStream { stdout, stderr } = std::mem::take(&mut self.passed);
            self.skip.stdout += stdout;
            self.skip.stderr += stderr;
            return true;
        }
        // The beginning of a line that was counted would be before this: it is lost.
        *open = false;
        *self.passed.of(entry.stream) += 1;
        false
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::logs::records::Records;

    /// Records by a letter of their stream and their text, which `+` begins if they continue a line.
    fn log(records: &[(char, &str)]) -> String {
        let record = |(stream, text): &(char, &str)| {
            let continues = text.starts_with('+');
            let stream = if *stream == 'o' { "stdout" } else { "stderr" };
            let record = serde_json::json!({
                "log": text.trim_start_matches('+'), "stream": stream, "continues": continues,
                "time": "2020-11-21T10:00:00Z",
            });
            format!("{record}\n")
        };
        records.iter().map(record).collect()
    }

    /// What is read from there, over files from the oldest to the youngest.
    fn tail(files: &[String], wanted: usize) -> String {
        let mut tail = Tail::of(wanted);
        let mut begin = None;
        for (index, file) in files.iter().enumerate().rev() {
            if let Some(offset) = tail.search(&mut Cursor::new(file)).expect("a cursor reads") {
                begin = Some((index, usize::try_from(offset).expect("small")));
            }
            if tail.is_found() {
                break;
            }
        }
        let Some((index, offset)) = begin else { return String::new() };
        let rest = format!("{}{}", &files[index][offset..], files[index + 1..].concat());
        let mut skip = tail.skip();
        let wanted = Records::default().push(rest.as_bytes()).into_iter().filter(|entry| {
            let skip = skip.of(entry.stream);
            std::mem::replace(skip, skip.saturating_sub(1)) == 0
        });
        let text: Vec<u8> = wanted.flat_map(|entry| entry.text).collect();
        let unfinished = &rest[rest.rfind('\n').map_or(0, |end| end + 1)..];
        String::from_utf8(text).expect("text") + unfinished
    }

    #[test]
    fn whole_lines_are_counted_from_the_end() {
        let lines: &[_] = &[('o', "a\n"), ('e', "b\n"), ('o', "c\n")];
        let long: &[_] = &[('o', "a\n"), ('o', "b"), ('o', "+c"), ('o', "+d\n"), ('o', "e\n")];
        let mixed: &[_] =
            &[('o', "a\n"), ('e', "B"), ('o', "c\n"), ('o', "d"), ('e', "+E"), ('o', "+f\n"), ('e', "+G\n")];
        let open: &[_] = &[('o', "a\n"), ('o', "b"), ('o', "c"), ('o', "+d")];
        let torn: &[_] = &[('o', "a\n"), ('o', "+b\n"), ('o', "c\n")];
        for (records, wanted, expected) in [
            (&[] as &[_], 3, ""),
            (lines, 0, ""),
            (lines, 1, "c\n"),
            (lines, 2, "b\nc\n"),
            (lines, 3, "a\nb\nc\n"),
            (lines, 9, "a\nb\nc\n"),
            (long, 1, "e\n"),
            (long, 2, "bcd\ne\n"),
            (long, 3, "a\nbcd\ne\n"),
            // Of the streams together, the last line is the one that ends last.
            (mixed, 1, "BEG\n"),
            (mixed, 2, "BdEf\nG\n"),
            (mixed, 3, "Bc\ndEf\nG\n"),
            (mixed, 4, "a\nBc\ndEf\nG\n"),
            // What has no end is a line, and what a run left without one is not continued by the next.
            (open, 1, "cd"),
            (open, 2, "bcd"),
            (open, 3, "a\nbcd"),
            (torn, 1, "c\n"),
            (torn, 2, "b\nc\n"),
            (torn, 3, "a\nb\nc\n"),
        ] {
            for cut in 0..=records.len() {
                let files = [log(&records[..cut]), log(&records[cut..])];
                assert_eq!(tail(&files, wanted), expected, "{records:?}, {wanted}, {cut}");
            }
        }
        for (wanted, expected) in [(0, "unfinished"), (1, "a\nunfinished"), (2, "a\nunfinished")] {
            assert_eq!(tail(&[log(&[('o', "a\n")]) + "unfinished"], wanted), expected);
        }
        assert_eq!(tail(&["unfinished".to_owned()], 1), "unfinished");
        assert_eq!(tail(&[log(&[('o', "a\n")]) + "torn\n\n" + &log(&[('o', "b\n")])], 2), "a\nb\n");
    }

    proptest! {
        #[test]
        fn blocks_leave_no_seam(lengths in prop::collection::vec(0usize..9000, 0..40), wanted in 0usize..50) {
            let lines: Vec<String> = lengths.iter().map(|length| "x".repeat(*length) + "\n").collect();
            let records: Vec<_> = lines.iter().map(|line| ('o', line.as_str())).collect();
            let expected = lines[lines.len().saturating_sub(wanted)..].concat();
            prop_assert_eq!(tail(&[log(&records)], wanted), expected);
        }
    }
}
