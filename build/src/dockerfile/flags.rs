//! The `--name=value` in front of an instruction's arguments.

use super::Problem;

/// An instruction's flags, taken one by one; what is left in the end isn't known.
pub(super) struct Flags {
    instruction: &'static str,
    flags: Vec<(String, Option<String>)>,
}

impl Flags {
    /// Takes the flags off the front of `arguments`.
    pub(super) fn split<'a>(instruction: &'static str, arguments: &'a str) -> (Self, &'a str) {
        let mut flags = Vec::new();
        let mut rest = arguments.trim_start();
        while rest.starts_with("--") {
            let (flag, behind) = first_word(rest);
            rest = behind.trim_start();
            // `--` ends the flags.
            if flag == "--" {
                break;
            }
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag.as_str(), None),
            };
            flags.push((name.to_owned(), value));
        }
        (Self { instruction, flags }, rest)
    }

    /// The value of a flag that can be given once; an empty one is none.
    pub(super) fn value(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        let mut values = self.values(name)?;
        match values.len() {
            0 | 1 => Ok(values.pop().filter(|value| !value.is_empty())),
            _ => Err(Problem::arguments(self.instruction, format!("{name} is given more than once"))),
        }
    }

    /// The values of a flag that can be given any number of times.
    pub(super) fn values(&mut self, name: &'static str) -> Result<Vec<String>, Problem> {
        let values: Vec<_> = self.flags.extract_if(.., |(flag, _)| flag == name).collect();
        let missing = || Problem::arguments(self.instruction, format!("{name} needs a value: {name}=…"));
        values.into_iter().map(|(_, value)| value.ok_or_else(missing)).collect()
    }

    /// Whether a flag is set; `--link`, `--link=true`.
    pub(super) fn is_set(&mut self, name: &'static str) -> Result<bool, Problem> {
        let last = self.flags.extract_if(.., |(flag, _)| flag == name).last();
        match last.map(|(_, value)| value) {
            None => Ok(false),
            Some(None) => Ok(true),
            Some(Some(value)) => match value.to_ascii_lowercase().as_str() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(Problem::arguments(self.instruction, format!("{name}={value}: write true or false"))),
            },
        }
    }

    /// Whether a flag is there, whatever it says.
    pub(super) fn has(&self, name: &'static str) -> bool {
        self.flags.iter().any(|(flag, _)| flag == name)
    }

    /// Refuses what nobody took.
    pub(super) fn finish(self) -> Result<(), Problem> {
        match self.flags.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::arguments(self.instruction, format!("unknown flag: {name}"))),
        }
    }
}

/// The first word without its quotes and escapes, which can hold white space, and what stands behind it. What escapes is a
/// backslash here, whatever the file says.
fn first_word(text: &str) -> (String, &str) {
    let (mut word, mut quote) = (String::new(), None);
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (None, letter) if letter.is_whitespace() => return (word, &text[at..]),
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            (_, '\\') => word.extend(letters.next().map(|(_, escaped)| escaped)),
            _ => word.push(letter),
        }
    }
    (word, "")
}
