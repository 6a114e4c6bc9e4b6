//! Words as a shell cuts them, and what becomes of the variables in them.

use std::iter::Peekable;
use std::str::Chars;

/// Why a word can't be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// A quote without its partner.
    #[error("a quote in {0:?} isn't closed")]
    Quote(String),
    /// `${` without `}`, or something in between that isn't known.
    #[error("{0:?} has a substitution that isn't one: write ${{name}}, or ${{name:-default}} and the like")]
    Substitution(String),
    /// `${name:?message}`
    #[error("variable {name} isn't set: {message}")]
    Required {
        /// Which.
        name: String,
        /// What the Dockerfile says about it.
        message: String,
    },
}

/// Cuts a text at white space outside of quotes; quotes and escapes stay in the words.
pub fn raw_words(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match quote {
            None if letter.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            None if matches!(letter, '\'' | '"') => quote = Some(letter),
            Some(open) if open == letter => quote = None,
            _ => {}
        }
        word.push(letter);
        if letter == escape && quote != Some('\'') {
            word.extend(letters.next());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// What is expanded.
#[derive(Clone, Copy)]
struct Whole<'a> {
    text: &'a str,
    has_quotes: bool,
}

/// Expands variables and takes quotes away.
pub struct Expander<'a> {
    /// What takes the meaning from the letter behind it.
    pub escape: char,
    /// What a variable has; `None` if it isn't set.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Expander<'_> {
    /// A word of an instruction: variables are replaced, quotes and escapes taken away.
    ///
    /// # Errors
    /// A quote isn't closed, or a substitution is none.
    pub fn word(&self, word: &str) -> Result<String, WordError> {
        let mut letters = word.chars().peekable();
        Ok(self.run(&mut letters, Whole { text: word, has_quotes: true }, &[])?.0)
    }

    /// The content of a here-document: variables are replaced and escapes taken away, quotes are nothing special.
    ///
    /// # Errors
    /// A substitution is none.
    pub fn text(&self, text: &str) -> Result<String, WordError> {
        let mut letters = text.chars().peekable();
        Ok(self.run(&mut letters, Whole { text, has_quotes: false }, &[])?.0)
    }

    /// Up to one of the letters that end a part of a substitution, and which one that is; or to the end of the word.
    fn run(
        &self,
        letters: &mut Peekable<Chars<'_>>,
        whole: Whole<'_>,
        ends: &[char],
    ) -> Result<(String, Option<char>), WordError> {
        let mut result = String::new();
        while let Some(letter) = letters.next() {
            match letter {
                _ if ends.contains(&letter) => return Ok((result, Some(letter))),
                '\'' if whole.has_quotes => result.push_str(&single_quoted(letters, whole)?),
                '"' if whole.has_quotes => self.double_quoted(letters, whole, &mut result)?,
                '$' => result.push_str(&self.variable(letters, whole)?),
                _ if letter == self.escape => result.push(letters.next().unwrap_or(letter)),
                _ => result.push(letter),
            }
        }
        match ends.is_empty() {
            true => Ok((result, None)),
            false => Err(WordError::Substitution(whole.text.to_owned())),
        }
    }

    fn double_quoted(
        &self,
        letters: &mut Peekable<Chars<'_>>,
        whole: Whole<'_>,
        result: &mut String,
    ) -> Result<(), WordError> {
        while let Some(letter) = letters.next() {
            match letter {
                '"' => return Ok(()),
                '$' => result.push_str(&self.variable(letters, whole)?),
                _ if letter == self.escape => {
                    let escaped = letters.next_if(|next| matches!(next, '"' | '$') || *next == self.escape);
                    result.push(escaped.unwrap_or(letter));
                }
                _ => result.push(letter),
            }
        }
        Err(WordError::Quote(whole.text.to_owned()))
    }

    /// What stands behind a `$`.
    fn variable(&self, letters: &mut Peekable<Chars<'_>>, whole: Whole<'_>) -> Result<String, WordError> {
        if letters.next_if_eq(&'{').is_some() {
            return self.substitution(letters, whole);
        }
        let name = name(letters);
        match name.is_empty() {
            true => Ok("$".to_owned()),
            false => Ok((self.variable)(&name).unwrap_or_default()),
        }
    }

    fn substitution(&self, letters: &mut Peekable<Chars<'_>>, whole: Whole<'_>) -> Result<String, WordError> {
        let wrong = || WordError::Substitution(whole.text.to_owned());
        let name = name(letters);
        if name.is_empty() {
            return Err(wrong());
        }
        let value = (self.variable)(&name);
        let mut operator = letters.next().ok_or_else(wrong)?;
        // With a colon an empty value counts as none.
        let present = match operator {
            '}' => return Ok(value.unwrap_or_default()),
            ':' => {
                operator = letters.next().ok_or_else(wrong)?;
                value.clone().filter(|value| !value.is_empty())
            }
            _ => value.clone(),
        };
        match operator {
            '-' => {
                let default = self.run(letters, whole, &['}'])?.0;
                Ok(present.unwrap_or(default))
            }
            '+' => {
                let other = self.run(letters, whole, &['}'])?.0;
                Ok(present.map(|_| other).unwrap_or_default())
            }
            '?' => {
                let message = self.run(letters, whole, &['}'])?.0;
                present.ok_or(WordError::Required { name, message })
            }
            '#' | '%' => {
                let is_longest = letters.next_if_eq(&operator).is_some();
                let pattern = self.run(letters, whole, &['}'])?.0;
                let value = value.unwrap_or_default();
                Ok(match operator {
                    '#' => without_prefix(&value, &pattern, is_longest),
                    _ => without_suffix(&value, &pattern, is_longest),
                })
            }
            '/' => {
                let is_global = letters.next_if_eq(&'/').is_some();
                let (pattern, end) = self.run(letters, whole, &['/', '}'])?;
                let replacement = match end {
                    Some('/') => self.run(letters, whole, &['}'])?.0,
                    _ => String::new(),
                };
                Ok(replaced(&value.unwrap_or_default(), &pattern, &replacement, is_global))
            }
            _ => Err(wrong()),
        }
    }
}

fn single_quoted(letters: &mut Peekable<Chars<'_>>, whole: Whole<'_>) -> Result<String, WordError> {
    let mut result = String::new();
    for letter in letters.by_ref() {
        match letter {
            '\'' => return Ok(result),
            _ => result.push(letter),
        }
    }
    Err(WordError::Quote(whole.text.to_owned()))
}

/// A variable's name, or that of one of the shell's own parameters, which are never set.
fn name(letters: &mut Peekable<Chars<'_>>) -> String {
    let mut name = String::new();
    if let Some(parameter) = letters.next_if(|letter| matches!(letter, '@' | '*' | '#' | '?' | '-' | '$' | '!')) {
        name.push(parameter);
        return name;
    }
    let is_number = letters.peek().is_some_and(char::is_ascii_digit);
    let belongs = |letter: &char| match is_number {
        true => letter.is_ascii_digit(),
        false => letter.is_ascii_alphanumeric() || *letter == '_',
    };
    while let Some(letter) = letters.next_if(belongs) {
        name.push(letter);
    }
    name
}

/// Whether a shell pattern of `*`, `?` and plain letters is all of `text`.
fn matches(pattern: &[char], text: &[char]) -> bool {
    let (mut at_pattern, mut at_text) = (0, 0);
    // Where the last star stands, and up to where it reaches: the only one that may have to reach further.
    let mut star: Option<(usize, usize)> = None;
    while at_text < text.len() {
        match pattern.get(at_pattern) {
            Some('*') => {
                star = Some((at_pattern, at_text));
                at_pattern += 1;
            }
            Some(letter) if *letter == '?' || *letter == text[at_text] => {
                at_pattern += 1;
                at_text += 1;
            }
            _ => {
                let Some((place, reached)) = star else { return false };
                star = Some((place, reached + 1));
                (at_pattern, at_text) = (place + 1, reached + 1);
            }
        }
    }
    pattern[at_pattern..].iter().all(|letter| *letter == '*')
}

fn without_prefix(value: &str, pattern: &str, is_longest: bool) -> String {
    let (value, pattern): (Vec<char>, Vec<char>) = (value.chars().collect(), pattern.chars().collect());
    let mut ends = (0..=value.len()).filter(|end| matches(&pattern, &value[..*end]));
    let end = if is_longest { ends.next_back() } else { ends.next() };
    value[end.unwrap_or(0)..].iter().collect()
}

fn without_suffix(value: &str, pattern: &str, is_longest: bool) -> String {
    let (value, pattern): (Vec<char>, Vec<char>) = (value.chars().collect(), pattern.chars().collect());
    let mut starts = (0..=value.len()).filter(|start| matches(&pattern, &value[*start..]));
    let start = if is_longest { starts.next() } else { starts.next_back() };
    value[..start.unwrap_or(value.len())].iter().collect()
}

fn replaced(value: &str, pattern: &str, replacement: &str, is_global: bool) -> String {
    let (value, pattern): (Vec<char>, Vec<char>) = (value.chars().collect(), pattern.chars().collect());
    let (mut result, mut at, mut is_done) = (String::new(), 0, false);
    while at < value.len() {
        // The longest match from here, but nothing isn't one.
        let end = (at + 1..=value.len()).rev().find(|end| !is_done && matches(&pattern, &value[at..*end]));
        match end {
            Some(end) => {
                result.push_str(replacement);
                at = end;
                is_done = !is_global;
            }
            None => {
                result.push(value[at]);
                at += 1;
            }
        }
    }
    result
}

#[cfg(test)]
mod tests;
