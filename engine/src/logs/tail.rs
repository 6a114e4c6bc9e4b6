//! Where the last lines of a file begin.

use std::io::{self, Read, Seek, SeekFrom};

const BLOCK: usize = 32 * 1024;

/// The last `wanted` lines of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Where they begin.
    pub(crate) offset: u64,
    /// How many there are: fewer than wanted when the file has fewer.
    pub(crate) lines: usize,
}

/// Finds the last `wanted` complete lines by reading backwards in blocks. An unfinished last line isn't counted: it is
/// still being written, and comes after the lines found.
pub(crate) fn find(file: &mut (impl Read + Seek), wanted: usize) -> io::Result<Tail> {
    let mut block_start = file.seek(SeekFrom::End(0))?;
    let mut block = vec![0; BLOCK];
    // Line ends seen from the back: the one after `wanted` of them ends the line before those wanted.
    let mut ends = 0;
    let mut unfinished_from = None;
    while block_start > 0 {
        let length = block_start.min(BLOCK as u64);
        block_start -= length;
        file.seek(SeekFrom::Start(block_start))?;
        let read = &mut block[..usize::try_from(length).expect("at most a block")];
        file.read_exact(read)?;
        for (index, _) in read.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = block_start + index as u64 + 1;
            unfinished_from.get_or_insert(after);
            if ends == wanted {
                return Ok(Tail { offset: after, lines: wanted });
            }
            ends += 1;
        }
    }
    let offset = if wanted == 0 { unfinished_from.unwrap_or(0) } else { 0 };
    Ok(Tail { offset, lines: ends })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn tail(text: &str, wanted: usize) -> (&str, usize) {
        let Tail { offset, lines } = find(&mut Cursor::new(text), wanted).expect("a cursor reads");
        (&text[usize::try_from(offset).expect("small")..], lines)
    }

    #[test]
    fn whole_lines_are_counted_from_the_end() {
        for (text, wanted, expected) in [
            ("", 3, ("", 0)),
            ("a\nb\nc\n", 0, ("", 0)),
            ("a\nb\nc\n", 1, ("c\n", 1)),
            ("a\nb\nc\n", 2, ("b\nc\n", 2)),
            ("a\nb\nc\n", 3, ("a\nb\nc\n", 3)),
            ("a\nb\nc\n", 9, ("a\nb\nc\n", 3)),
            ("a\nb\nunfinished", 1, ("b\nunfinished", 1)),
            ("a\nb\nunfinished", 0, ("unfinished", 0)),
            ("unfinished", 0, ("unfinished", 0)),
            ("\n\n\n", 2, ("\n\n", 2)),
        ] {
            assert_eq!(tail(text, wanted), expected, "{text:?}, {wanted}");
        }
    }

    proptest! {
        #[test]
        fn blocks_leave_no_seam(lengths in prop::collection::vec(0usize..9000, 0..40), wanted in 0usize..50) {
            let lines: Vec<String> = lengths.iter().map(|length| "x".repeat(*length) + "\n").collect();
            let expected = lines[lines.len().saturating_sub(wanted)..].concat();
            let text = lines.concat();
            prop_assert_eq!(tail(&text, wanted), (expected.as_str(), wanted.min(lines.len())));
        }
    }
}
