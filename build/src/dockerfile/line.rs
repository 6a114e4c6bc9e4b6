//! Logical lines: continuations joined, comments gone, here-documents taken in.

use std::iter::Enumerate;
use std::str::Lines;

use images::words::raw_words;

use super::Problem;
use super::instruction::json_list;

/// One instruction's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogicalLine {
    /// Where it begins, counted from 1.
    pub(super) number: usize,
    pub(super) text: String,
    pub(super) here_documents: Vec<HereDocument>,
}

/// The text behind an instruction, up to a line with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HereDocument {
    pub(crate) name: String,
    /// Variables in it are expanded: its name wasn't quoted.
    pub(crate) expands: bool,
    pub(crate) content: String,
    /// As it is written, for a shell that is to read it itself: the lines up to the last, which has its name.
    pub(crate) raw: String,
}

/// The logical lines of a Dockerfile; problems come with their line.
pub(super) fn logical(text: &str, escape: char) -> LogicalLines<'_> {
    LogicalLines { lines: text.lines().enumerate(), escape }
}

/// See [`logical`].
pub(super) struct LogicalLines<'a> {
    lines: Enumerate<Lines<'a>>,
    escape: char,
}

impl Iterator for LogicalLines<'_> {
    type Item = Result<LogicalLine, (usize, Problem)>;

    fn next(&mut self) -> Option<Self::Item> {
        let (index, first) = self.lines.find(|(_, line)| !is_blank(line))?;
        let number = index + 1;
        let mut text = String::new();
        let mut line = first.trim_start();
        while let Some(continued) = continued(line, self.escape) {
            text.push_str(continued);
            // Comments and empty lines within an instruction are passed over.
            match self.lines.find(|(_, line)| !is_blank(line)) {
                Some((_, next)) => line = next,
                None => {
                    line = "";
                    break;
                }
            }
        }
        text.push_str(line);
        let text = text.trim_end().to_owned();
        let here_documents = match takes_here_documents(&text) {
            true => self.here_documents(&text).map_err(|problem| (number, problem)),
            false => Ok(Vec::new()),
        };
        Some(here_documents.map(|here_documents| LogicalLine { number, text, here_documents }))
    }
}

impl LogicalLines<'_> {
    fn here_documents(&mut self, text: &str) -> Result<Vec<HereDocument>, Problem> {
        let mut documents = Vec::new();
        for word in words(text) {
            let Some(Announced { is_apart, announced }) = word.announced() else { continue };
            let before = self.lines.clone();
            match self.here_document(announced) {
                Ok(document) => documents.push(document),
                // `$((1 << 2))`
                Err(_) if is_apart => self.lines = before,
                Err(problem) => return Err(problem),
            }
        }
        Ok(documents)
    }

    fn here_document(&mut self, Opening { name, expands, strips_tabs }: Opening) -> Result<HereDocument, Problem> {
        let (mut content, mut raw) = (String::new(), String::new());
        for (_, line) in self.lines.by_ref() {
            raw.push_str(line);
            let line = if strips_tabs { line.trim_start_matches('\t') } else { line };
            if line == name {
                return Ok(HereDocument { name, expands, content, raw });
            }
            raw.push('\n');
            content.push_str(line);
            content.push('\n');
        }
        Err(Problem::HereDocument(name))
    }
}

/// What `<<EOF`, `<<-EOF`, `3<<EOF` or `<<"EOF"` says.
struct Opening {
    name: String,
    expands: bool,
    strips_tabs: bool,
}

struct Announced {
    announced: Opening,
    /// There is white space before its name: it may be something else.
    is_apart: bool,
}

/// A word, or `<<` with the name that stands apart from it.
pub(super) struct Word {
    pub(super) text: String,
    name: Option<String>,
}

/// The words of a line, as here-documents are looked for in it: what escapes is a backslash, whatever the file says.
pub(super) fn words(text: &str) -> impl Iterator<Item = Word> {
    let mut words = raw_words(text, '\\').into_iter().peekable();
    std::iter::from_fn(move || {
        let text = words.next()?;
        let name = match opens(&text) {
            Some((_, "")) => words.next_if(|name| !name.starts_with('<')),
            _ => None,
        };
        Some(Word { text, name })
    })
}

impl Word {
    fn announced(&self) -> Option<Announced> {
        let (strips_tabs, rest) = opens(&self.text)?;
        let written = self.name.as_deref().unwrap_or(rest);
        let (name, is_quoted) = name_of(written);
        let is_name = !name.is_empty() && !written.contains('<');
        let announced = Opening { expands: !is_quoted, name, strips_tabs };
        is_name.then_some(Announced { announced, is_apart: self.name.is_some() })
    }

    /// Whether it announces a here-document, and which.
    pub(super) fn here_document_name(&self) -> Option<String> {
        self.announced().map(|announced| announced.announced.name)
    }
}

/// Whether a line is nothing but what announces a here-document.
pub(crate) fn is_here_document(line: &str) -> bool {
    let mut words = words(line);
    words.next().is_some_and(|word| word.here_document_name().is_some()) && words.next().is_none()
}

/// Whether a word begins as one that announces a here-document: whether its tabs are stripped then, and what stands behind
/// that. `<<<` is the shell's own.
fn opens(word: &str) -> Option<(bool, &str)> {
    let rest = word.trim_start_matches(|letter: char| letter.is_ascii_digit()).strip_prefix("<<")?;
    Some(rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest)))
}

/// A name without its quotes and escapes, and whether there were quotes.
fn name_of(written: &str) -> (String, bool) {
    let mut letters = written.chars();
    let (mut name, mut is_quoted) = (String::new(), false);
    while let Some(letter) = letters.next() {
        match letter {
            '\'' | '"' => is_quoted = true,
            '\\' => name.extend(letters.next()),
            letter => name.push(letter),
        }
    }
    (name, is_quoted)
}

fn takes_here_documents(text: &str) -> bool {
    let keyword = |text: &str| text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    let arguments =
        |text: &str| text.split_once(char::is_whitespace).map_or("", |(_, behind)| behind).trim().to_owned();
    let text = if keyword(text) == "ONBUILD" { arguments(text) } else { text.to_owned() };
    // A list of words is no shell's.
    matches!(keyword(&text).as_str(), "RUN" | "COPY" | "ADD") && json_list(&arguments(&text)).is_none()
}

fn is_blank(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

/// What stands before the escape that continues a line, if one does: none that is escaped itself.
fn continued(line: &str, escape: char) -> Option<&str> {
    let continued = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!continued.ends_with(escape)).then_some(continued)
}
