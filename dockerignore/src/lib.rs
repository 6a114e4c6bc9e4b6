//! Which files of a directory belong to a build: the patterns of `.dockerignore`, of `--exclude`, and of `COPY`'s wildcards.
//!
//! The client uses them to send no more than it must, the builder to keep to them whoever sent the context. Crates for
//! `.gitignore` files follow other rules: there a pattern without a slash means any directory.
#![forbid(unsafe_code)]

use regex_lite::Regex;

/// A pattern that can't be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid pattern {0:?}: a [ or a \\ has nothing behind it that belongs to it")]
pub struct PatternError(String);

/// A list of patterns, the later ones of more weight than those before.
#[derive(Debug, Clone, Default)]
pub struct Patterns(Vec<Line>);

#[derive(Debug, Clone)]
struct Line {
    glob: Glob,
    /// What matches belongs to the build after all.
    is_exception: bool,
}

/// A pattern for whole paths: `*` and `?` don't cross slashes, `**` does.
#[derive(Debug, Clone)]
pub struct Glob(Regex);

impl Glob {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// A class or an escape isn't finished.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        let wrong = || PatternError(pattern.to_owned());
        let regex = to_regex(pattern).ok_or_else(wrong)?;
        Regex::new(&regex).map(Self).map_err(|_| wrong())
    }

    /// Whether all of `path` matches.
    pub fn matches(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

/// Whether a text means anything but itself as a pattern.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

impl Patterns {
    /// Reads a `.dockerignore`: a pattern a line, `#` for comments, `!` for exceptions.
    ///
    /// # Errors
    /// A pattern can't be understood.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.lines().filter(|line| !line.starts_with('#')).map(str::trim);
        Self::new(lines.filter(|line| !line.is_empty()))
    }

    /// Takes patterns as they are.
    ///
    /// # Errors
    /// A pattern can't be understood.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, PatternError> {
        let mut lines = Vec::new();
        for pattern in patterns {
            let (pattern, is_exception) = match pattern.strip_prefix('!') {
                Some(pattern) => (pattern.trim(), true),
                None => (pattern, false),
            };
            let cleaned = clean(pattern);
            // The root itself can't be left out.
            if !cleaned.is_empty() {
                lines.push(Line { glob: Glob::new(&cleaned)?, is_exception });
            }
        }
        Ok(Self(lines))
    }

    /// Whether a path, relative and with `/`, is left out: by itself or by a directory that it is in.
    pub fn excludes(&self, path: &str) -> bool {
        let mut is_excluded = false;
        for line in &self.0 {
            if line.is_exception == is_excluded
                && (line.glob.matches(path) || parents(path).any(|p| line.glob.matches(p)))
            {
                is_excluded = !line.is_exception;
            }
        }
        is_excluded
    }

    /// Whether something below a directory that is left out can belong to the build all the same.
    pub fn has_exceptions(&self) -> bool {
        self.0.iter().any(|line| line.is_exception)
    }

    /// Whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// Without leading and double slashes, `.` and `..`.
fn clean(pattern: &str) -> String {
    let mut components: Vec<&str> = Vec::new();
    for component in pattern.split('/') {
        match component {
            "" | "." => {}
            ".." => drop(components.pop()),
            component => components.push(component),
        }
    }
    components.join("/")
}

/// A regular expression for all of a path; `None` if the pattern isn't one.
fn to_regex(pattern: &str) -> Option<String> {
    let mut regex = String::from("(?s)^");
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '*' if letters.next_if_eq(&'*').is_some() => match letters.next_if_eq(&'/') {
                // Any number of directories, none as well.
                Some(_) => regex.push_str("(.*/)?"),
                None => regex.push_str(".*"),
            },
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            '[' => class(&mut letters, &mut regex)?,
            '\\' => regex.push_str(&regex_lite::escape(&letters.next()?.to_string())),
            letter => regex.push_str(&regex_lite::escape(&letter.to_string())),
        }
    }
    regex.push('$');
    Some(regex)
}

/// `[a-z]`, `[^a-z]`
fn class(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, regex: &mut String) -> Option<()> {
    regex.push('[');
    if letters.next_if_eq(&'^').is_some() {
        regex.push('^');
    }
    let mut is_empty = true;
    loop {
        match letters.next()? {
            ']' if !is_empty => break,
            '\\' => {
                regex.push('\\');
                regex.push(letters.next().filter(char::is_ascii_punctuation)?);
            }
            '-' if !is_empty => regex.push('-'),
            letter if letter.is_alphanumeric() || letter == '_' => regex.push(letter),
            letter if letter.is_ascii_punctuation() => regex.extend(['\\', letter]),
            letter => regex.push(letter),
        }
        is_empty = false;
    }
    regex.push(']');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pattern_that_matches_decides() {
        let patterns =
            Patterns::parse("\u{feff}# comment\n\n*.log\n/build/\n**/tmp\n!keep.log\n!build/out/\n").unwrap();
        for (path, excluded) in [
            ("a.log", true),
            ("keep.log", false),
            ("sub/a.log", false),
            ("build", true),
            ("build/x/y", true),
            ("build/out", false),
            ("build/out/z", false),
            ("tmp", true),
            ("a/b/tmp/c", true),
            ("atmp", false),
            ("src", false),
        ] {
            assert_eq!(patterns.excludes(path), excluded, "{path}");
        }
        assert!(patterns.has_exceptions() && !patterns.is_empty());
    }

    #[test]
    fn globs() {
        for (pattern, path, expected) in [
            ("*.txt", "a.txt", true),
            ("*.txt", "a/b.txt", false),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[]x]", "]", true),
            ("a.b", "aXb", false),
            (r"\*", "*", true),
            (r"\*", "x", false),
            ("**", "a/b", true),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("$x(", "$x(", true),
        ] {
            assert_eq!(Glob::new(pattern).unwrap().matches(path), expected, "{pattern} {path}");
        }
        for wrong in ["[a", "a\\", "[", "[z-a]"] {
            assert!(Glob::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_root_stays() {
        assert!(Patterns::parse("/\n.\n./\n").unwrap().is_empty());
        assert!(Patterns::parse("*\n!a\n").unwrap().excludes("b"));
        assert!(!Patterns::parse("*\n!a\n").unwrap().excludes("a"));
    }

    proptest::proptest! {
        #[test]
        fn no_pattern_makes_them_panic(pattern in ".{0,24}", path in ".{0,24}") {
            if let Ok(patterns) = Patterns::parse(&pattern) {
                let _ = patterns.excludes(&path);
            }
        }
    }
}
