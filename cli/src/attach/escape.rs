//! Finds the keys that leave a terminal in what is typed.

/// Watches typed bytes for a sequence of keys.
#[derive(Debug)]
pub(crate) struct EscapeMatcher {
    keys: Vec<u8>,
    matched: usize,
}

/// What typed bytes amount to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// They are for the process. The beginning of the sequence is held back until it is clear that it isn't one.
    Pass(Vec<u8>),
    /// What came before the sequence is for the process, and then the user leaves.
    Leave(Vec<u8>),
}

impl EscapeMatcher {
    /// Watches for `keys`; never finds an empty sequence.
    pub(crate) fn new(keys: Vec<u8>) -> Self {
        Self { keys, matched: 0 }
    }

    /// Takes what was typed.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Typed {
        let mut pass = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if self.keys.get(self.matched) != Some(&byte) {
                pass.extend_from_slice(&self.keys[..self.matched]);
                self.matched = 0;
            }
            if self.keys.get(self.matched) == Some(&byte) {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return Typed::Leave(pass);
                }
            } else {
                pass.push(byte);
            }
        }
        Typed::Pass(pass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_leaves_and_nothing_else_does() {
        /// What is typed, in pieces; what passes; whether the user leaves.
        type Case<'a> = (&'a [&'a [u8]], &'a [u8], bool);
        let cases: [Case<'_>; 6] = [
            (&[b"ls\n"], b"ls\n", false),
            (&[b"a\x10\x11b"], b"a", true),
            (&[b"\x10", b"\x11"], b"", true),
            (&[b"\x10", b"x"], b"\x10x", false),
            (&[b"\x10\x10\x11"], b"\x10", true),
            (&[b"\x11\x10"], b"\x11", false),
        ];
        for (typed, expected, leaves) in cases {
            let mut matcher = EscapeMatcher::new(vec![0x10, 0x11]);
            let mut passed = Vec::new();
            let mut left = false;
            for bytes in typed {
                match matcher.push(bytes) {
                    Typed::Pass(bytes) => passed.extend(bytes),
                    Typed::Leave(bytes) => {
                        passed.extend(bytes);
                        left = true;
                    }
                }
            }
            assert_eq!((passed.as_slice(), left), (expected, leaves), "{typed:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn without_the_last_key_nothing_is_lost(bytes in proptest::collection::vec(0_u8..0x11, 0..64)) {
            let mut matcher = EscapeMatcher::new(vec![0x10, 0x11]);
            let Typed::Pass(mut passed) = matcher.push(&bytes) else { panic!("left") };
            let Typed::Pass(rest) = matcher.push(b"\n") else { panic!("left") };
            passed.extend(rest);
            let expected: Vec<u8> = bytes.into_iter().chain(*b"\n").collect();
            proptest::prop_assert_eq!(passed, expected);
        }
    }
}
