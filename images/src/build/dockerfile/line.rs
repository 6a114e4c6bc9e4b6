//! Logical lines: continuations joined, comments gone, here-documents taken in.

use std::iter::Enumerate;
use std::str::Lines;

use super::Problem;
use super::words::{raw_words, unquoted};

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
    /// As it is written, for a shell that is to read it itself: the lines up to and with the last.
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
        let announced: Vec<_> = raw_words(text, self.escape).iter().filter_map(|word| announced(word)).collect();
        announced.into_iter().map(|announced| self.here_document(announced)).collect()
    }

    fn here_document(&mut self, Announced { name, expands, strips_tabs }: Announced) -> Result<HereDocument, Problem> {
        let (mut content, mut raw) = (String::new(), String::new());
        for (_, line) in self.lines.by_ref() {
            raw.push_str(line);
            raw.push('\n');
            let line = if strips_tabs { line.trim_start_matches('\t') } else { line };
            if line == name {
                return Ok(HereDocument { name, expands, content, raw });
            }
            content.push_str(line);
            content.push('\n');
        }
        Err(Problem::HereDocument(name))
    }
}

struct Announced {
    name: String,
    expands: bool,
    strips_tabs: bool,
}

/// What `<<EOF`, `<<-EOF`, `3<<EOF` or `<<"EOF"` announces. `<<<` is the shell's own.
fn announced(word: &str) -> Option<Announced> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (rest, strips_tabs) = match rest.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let name = unquoted(rest);
    let is_name = !name.is_empty() && !rest.contains('<');
    is_name.then(|| Announced { expands: name == rest, name, strips_tabs })
}

/// Whether a word announces a here-document, and which.
pub(super) fn here_document_name(word: &str) -> Option<String> {
    announced(word).map(|announced| announced.name)
}

fn takes_here_documents(text: &str) -> bool {
    let mut words = text.split_whitespace().map(str::to_ascii_uppercase);
    let first = words.next().unwrap_or_default();
    let word = if first == "ONBUILD" { words.next().unwrap_or_default() } else { first };
    matches!(word.as_str(), "RUN" | "COPY" | "ADD")
}

fn is_blank(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

/// What stands before the escape that continues a line, if one does.
fn continued(line: &str, escape: char) -> Option<&str> {
    line.trim_end_matches([' ', '\t']).strip_suffix(escape)
}
