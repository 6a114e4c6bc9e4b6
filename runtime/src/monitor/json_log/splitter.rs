//! Cuts a stream into lines, and long lines into pieces.

/// A line longer than this is logged in pieces, all but the last without a line feed.
pub(super) const PIECE_BYTES: usize = 16 * 1024;

/// A line, or a piece of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::monitor) struct Piece<'a> {
    /// What was said, with the line feed if it has one.
    pub(in crate::monitor) text: &'a [u8],
    /// It goes on with the line that the stream's piece before it left open.
    pub(in crate::monitor) continues: bool,
}

/// Cuts a stream into lines, and long lines into pieces.
#[derive(Debug, Default)]
pub(in crate::monitor) struct LineSplitter {
    begun: Vec<u8>,
    continues: bool,
}

impl LineSplitter {
    /// Takes more of the stream, and gives each line or piece that is complete now.
    pub(in crate::monitor) fn push(&mut self, mut data: &[u8], mut complete: impl FnMut(Piece<'_>)) {
        while !data.is_empty() {
            let room = PIECE_BYTES - self.begun.len();
            let window = &data[..data.len().min(room)];
            let line_end = window.iter().position(|&byte| byte == b'\n').map(|position| position + 1);
            let (piece, rest) = data.split_at(line_end.unwrap_or(window.len()));
            self.begun.extend_from_slice(piece);
            if line_end.is_some() || self.begun.len() == PIECE_BYTES {
                let length = self.begun.len() - unfinished_character(&self.begun);
                complete(Piece { text: &self.begun[..length], continues: self.continues });
                self.begun.drain(..length);
                self.continues = line_end.is_none();
            }
            data = rest;
        }
    }

    /// Gives what is left at the stream's end, which has no line feed.
    pub(in crate::monitor) fn finish(&mut self, complete: impl FnOnce(Piece<'_>)) {
        if !self.begun.is_empty() {
            complete(Piece { text: &self.begun, continues: self.continues });
        }
        *self = Self::default();
    }
}

/// How many bytes at the end are the beginning of a character whose other bytes haven't come: it isn't cut in two.
fn unfinished_character(text: &[u8]) -> usize {
    let is_beginning = |from: &usize| {
        let error = std::str::from_utf8(&text[*from..]).err();
        error.is_some_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    (text.len().saturating_sub(3)..text.len()).find(is_beginning).map_or(0, |from| text.len() - from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(chunks: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let mut splitter = LineSplitter::default();
        let mut pieces = Vec::new();
        let mut add = |piece: Piece<'_>| pieces.push((piece.text.to_vec(), piece.continues));
        for chunk in chunks {
            splitter.push(chunk, &mut add);
        }
        splitter.finish(&mut add);
        pieces
    }

    fn texts(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        pieces(chunks).into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn streams_are_cut_at_line_feeds_and_long_lines_at_16_kib() {
        assert_eq!(texts(&[b"a\nb", b"c\n\nd"]), [&b"a\n"[..], b"bc\n", b"\n", b"d"]);
        let long = [&vec![b'x'; PIECE_BYTES + 1][..], b"\nnext\n"].concat();
        let lengths: Vec<_> = pieces(&[&long]).iter().map(|(text, continues)| (text.len(), *continues)).collect();
        assert_eq!(lengths, [(PIECE_BYTES, false), (2, true), (5, false)]);
    }

    #[test]
    fn no_character_is_cut_in_two() {
        for character in ["é", "€", "😀"] {
            for before in PIECE_BYTES - character.len()..=PIECE_BYTES {
                let line = format!("{}{character}{character}\n", "x".repeat(before));
                let (begin, end) = line.as_bytes().split_at(before + 1);
                for chunks in [&[line.as_bytes()][..], &[begin, end]] {
                    let pieces = texts(chunks);
                    assert_eq!(pieces.concat(), line.as_bytes());
                    assert!(pieces.len() == 2 && pieces.iter().all(|piece| piece.len() <= PIECE_BYTES));
                    pieces.iter().for_each(|piece| assert!(std::str::from_utf8(piece).is_ok(), "{character} {before}"));
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost_however_it_arrives(data: Vec<u8>, size in 1_usize..50) {
            let chunks: Vec<&[u8]> = data.chunks(size).collect();
            proptest::prop_assert_eq!(texts(&chunks).concat(), data);
        }

        #[test]
        fn nothing_is_lost_where_lines_are_cut(end: Vec<u8>, before in PIECE_BYTES - 5..PIECE_BYTES) {
            let data = [&vec![b'x'; before][..], &end].concat();
            proptest::prop_assert_eq!(texts(&[&data]).concat(), data);
        }
    }
}
