//! The reason why something failed at a registry, a server or a plugin, as text that fits into an error of ours.
#![forbid(unsafe_code)]

use std::error::Error;
use std::iter;

/// More than any reason needs.
const CHARACTERS_MAX: usize = 500;

/// The innermost cause of what went wrong on a connection. The ones around it say which layer of a client passed it on, and
/// repeat a URL that is said already.
pub fn last_cause(error: &dyn Error) -> String {
    iter::successors(Some(error), |error| (**error).source()).last().map(ToString::to_string).unwrap_or_default()
}

/// What a server, a registry or a plugin says, fit for an error: in one line, not endless, and without what a terminal would
/// obey.
pub fn printable(text: &str) -> String {
    let mut characters = text.trim().chars();
    let mut words = String::new();
    for character in characters.by_ref().take(CHARACTERS_MAX) {
        match character {
            '\n' | '\r' | '\t' => words.push(' '),
            _ if is_obeyed(character) => words.extend(character.escape_default()),
            _ => words.push(character),
        }
    }
    if characters.next().is_some() {
        words.push('…');
    }
    words
}

/// Control characters, and those that change the direction of what follows.
fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_a_terminal_obeys() {
        for (text, words) in [
            ("no room", "no room"),
            ("été: \"x\" \\", "été: \"x\" \\"),
            (" <html>oops\x1b[31m</html>\n", "<html>oops\\u{1b}[31m</html>"),
            ("two\nlines", "two lines"),
            ("\u{9b}31m\u{7f}\0", "\\u{9b}31m\\u{7f}\\u{0}"),
            ("\u{202e}gnp", "\\u{202e}gnp"),
        ] {
            assert_eq!(printable(text), words);
        }
        assert_eq!(printable(&"é".repeat(501)), format!("{}…", "é".repeat(500)));
    }
}
