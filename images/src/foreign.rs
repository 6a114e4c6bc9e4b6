//! What strangers say, where it becomes a part of what we say.

/// More than any reason needs.
const CHARACTERS_MAX: usize = 500;

/// A stranger's words, fit for an error: in one line, not endless, and without what a terminal would obey.
pub fn foreign_words(text: &str) -> String {
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
            assert_eq!(foreign_words(text), words);
        }
        assert_eq!(foreign_words(&"é".repeat(501)), format!("{}…", "é".repeat(500)));
    }
}
