//! Detach keys: the sequence that ends an attached client's session and not the program's (`ctrl-p,ctrl-q`).

use bytes::{BufMut, BytesMut};

use crate::error::{Error, Result};

/// A sequence of bytes to look for, and how much of it was just seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DetachKeys {
    sequence: Vec<u8>,
    seen: usize,
}

/// What became of a piece of input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// This goes to the program. What may be the beginning of the sequence is held back.
    Input(BytesMut),
    /// The sequence is complete; what came before it goes to the program.
    Detach(BytesMut),
}

impl Default for DetachKeys {
    fn default() -> Self {
        Self { sequence: vec![16, 17], seen: 0 }
    }
}

impl DetachKeys {
    /// Reads `ctrl-p,ctrl-q`, `a`, `ctrl-@`; an empty text stands for Docker's default.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let sequence = text.split(',').map(key).collect::<Option<Vec<u8>>>();
        let sequence = sequence.ok_or_else(|| {
            Error::invalid(format!(
                "Invalid detach keys ({text}) provided: letters or ctrl-<key> separated by commas are expected, where \
                 <key> is one of a-z @ ^ [ ] \\ _"
            ))
        })?;
        Ok(Self { sequence, seen: 0 })
    }

    /// Takes what the client typed.
    pub(crate) fn push(&mut self, typed: &[u8]) -> Typed {
        let mut input = BytesMut::with_capacity(self.seen + typed.len());
        for &byte in typed {
            // The keys held back turn out to be input, all or some of them: they may begin the sequence further on.
            while self.seen > 0 && byte != self.sequence[self.seen] {
                let kept = self.overlap();
                input.put_slice(&self.sequence[..self.seen - kept]);
                self.seen = kept;
            }
            if byte != self.sequence[self.seen] {
                input.put_u8(byte);
                continue;
            }
            self.seen += 1;
            if self.seen == self.sequence.len() {
                self.seen = 0;
                return Typed::Detach(input);
            }
        }
        Typed::Input(input)
    }

    /// What is held back when the input ends: it was input after all.
    pub(crate) fn finish(&mut self) -> &[u8] {
        let held = std::mem::take(&mut self.seen);
        &self.sequence[..held]
    }

    /// How many of the keys held back begin the sequence anew without the first of them.
    fn overlap(&self) -> usize {
        let held = &self.sequence[..self.seen];
        (1..=held.len()).find(|&skip| self.sequence.starts_with(&held[skip..])).map_or(0, |skip| held.len() - skip)
    }
}

fn key(name: &str) -> Option<u8> {
    let bytes = match name.strip_prefix("ctrl-") {
        None => name.as_bytes(),
        Some(control) => {
            let [key] = control.as_bytes() else { return None };
            return match key {
                b'a'..=b'z' => Some(key - b'a' + 1),
                b'@' => Some(0),
                b'[' => Some(27),
                b'\\' => Some(28),
                b']' => Some(29),
                b'^' => Some(30),
                b'_' => Some(31),
                _ => None,
            };
        }
    };
    match bytes {
        [key] if key.is_ascii() => Some(*key),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(text: &str) -> BytesMut {
        BytesMut::from(text)
    }

    #[test]
    fn names_of_keys() {
        for (text, expected) in
            [("", &[16, 17][..]), ("ctrl-a,a,ctrl-@", &[1, b'a', 0]), ("Z", b"Z"), ("ctrl-[,ctrl-_", &[27, 31])]
        {
            assert_eq!(DetachKeys::parse(text).expect(text).sequence, expected, "{text}");
        }
        for text in ["ctrl-", "ctrl-A", "ctrl-ab", "ab", "a,,b", "é", "CTRL-a"] {
            let message = DetachKeys::parse(text).expect_err(text).message();
            assert!(message.starts_with(&format!("Invalid detach keys ({text}) provided")), "{message}");
        }
    }

    #[test]
    fn the_sequence_is_held_back_until_it_is_decided() {
        let mut keys = DetachKeys::parse("x,x,y").expect("keys");
        assert_eq!(keys.push(b"abx"), Typed::Input(bytes("ab")));
        assert_eq!(keys.push(b"c"), Typed::Input(bytes("xc")));
        assert_eq!(keys.push(b"xxx"), Typed::Input(bytes("x")));
        assert_eq!(keys.push(b"y never sent"), Typed::Detach(bytes("")));
        assert_eq!(keys.push(b"x"), Typed::Input(bytes("")));
        assert_eq!(keys.finish(), b"x");
        assert_eq!(keys.finish(), b"");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_added(sequence in "[ab](,[ab]){0,3}", pieces in prop::collection::vec("[abc]{0,6}", 0..8)) {
            let mut keys = DetachKeys::parse(&sequence).expect("keys");
            let wanted = sequence.replace(',', "");
            let typed = pieces.concat();
            let mut output = Vec::new();
            let mut detached = false;
            for piece in &pieces {
                match keys.push(piece.as_bytes()) {
                    Typed::Input(input) => output.extend_from_slice(&input),
                    Typed::Detach(input) => {
                        output.extend_from_slice(&input);
                        detached = true;
                        break;
                    }
                }
            }
            let expected = match typed.find(&wanted) {
                Some(at) => &typed[..at],
                None => {
                    output.extend_from_slice(keys.finish());
                    &typed
                }
            };
            prop_assert_eq!(detached, typed.contains(&wanted));
            prop_assert_eq!(String::from_utf8(output).expect("text"), expected);
        }
    }
}
