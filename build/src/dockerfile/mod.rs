//! Dockerfiles: from text to typed instructions in stages. Nothing is expanded or looked up here.
//!
//! The parser is ours: `parse-dockerfile` drops the names of here-documents (`COPY <<name`) and the text behind `ONBUILD`,
//! and words have to be cut before quotes are taken away, because variables expand by their quotes.

mod directive;
mod flags;
mod instruction;
mod line;
mod mount;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use instruction::Parsed;

pub(crate) use instruction::{Command, Copied, Copy, Instruction, Run, RunNetwork};
pub(crate) use line::is_here_document;
pub(crate) use mount::{CacheSharing, MountKind, MountSource, WrittenMount};

/// Where something stands in a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// Counted from 1; 0 for what no line says.
    pub line: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// What is wrong with a Dockerfile, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct DockerfileError {
    /// Where.
    pub place: Location,
    /// What.
    pub problem: Problem,
}

/// What is wrong with a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Nothing in it.
    #[error("there is no instruction in it: begin with FROM")]
    Empty,
    /// Not text.
    #[error("it isn't UTF-8 text: save the file in that encoding")]
    NotText,
    /// A word that no instruction has.
    #[error("unknown instruction: {0}")]
    Unknown(String),
    /// Something before the first FROM.
    #[error("{0} before the first FROM: only ARG can stand there")]
    BeforeFrom(String),
    /// Something is wrong with an instruction's arguments.
    #[error("{instruction}: {reason}")]
    Arguments {
        /// Which instruction.
        instruction: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A parser directive that isn't understood.
    #[error("parser directive {name}={value}: {reason}")]
    Directive {
        /// Its name.
        name: String,
        /// What it was given.
        value: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// `<<EOF` without `EOF`.
    #[error("the here-document {0:?} has no end: put {0} on a line of its own behind it")]
    HereDocument(String),
    /// An image's ONBUILD instruction that can't be.
    #[error("{0} isn't allowed as an ONBUILD trigger")]
    Trigger(String),
}

impl Problem {
    fn arguments(instruction: &'static str, reason: impl Into<String>) -> Self {
        Problem::Arguments { instruction, reason: reason.into() }
    }
}

/// One instruction where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) place: Location,
    /// As it is written, on one line.
    pub(crate) text: String,
    pub(crate) instruction: Instruction,
}

/// `FROM` and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stage {
    pub(crate) place: Location,
    /// The `FROM` as it is written.
    pub(crate) text: String,
    pub(crate) platform: Option<String>,
    /// An image, an earlier stage or `scratch`; not expanded.
    pub(crate) base: String,
    /// In lower case.
    pub(crate) name: Option<String>,
    pub(crate) steps: Vec<Step>,
}

/// A Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dockerfile {
    /// What escapes, and continues lines.
    pub(crate) escape: char,
    /// `ARG`s before the first `FROM`.
    pub(crate) global_args: Vec<Step>,
    pub(crate) stages: Vec<Stage>,
}

impl Dockerfile {
    /// Reads a Dockerfile that the user calls `file`. Letters of another encoding than UTF-8 are refused where they would
    /// decide about anything; comments and authors may have them.
    pub(crate) fn read(bytes: &[u8], file: &str) -> Result<Self, DockerfileError> {
        let is_harmless = |line: &[u8]| {
            let line = line.trim_ascii_start().to_ascii_uppercase();
            [&b"#"[..], b"MAINTAINER", b"LABEL"].iter().any(|word| line.starts_with(word))
        };
        for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
            if std::str::from_utf8(line).is_err() && !is_harmless(line) {
                let place = Location { file: file.into(), line: number };
                return Err(DockerfileError { place, problem: Problem::NotText });
            }
        }
        Self::parse(&String::from_utf8_lossy(bytes), file)
    }

    /// Parses the text of a Dockerfile that the user calls `file`.
    pub(crate) fn parse(text: &str, file: &str) -> Result<Self, DockerfileError> {
        let file: Arc<str> = file.into();
        let at = |line: usize| Location { file: file.clone(), line };
        let wrong = |line: usize| {
            let place = at(line);
            move |problem| DockerfileError { place: place.clone(), problem }
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let directives = directive::read(text).map_err(|(line, problem)| wrong(line)(problem))?;
        let escape = directives.escape;
        let mut dockerfile = Dockerfile { escape, global_args: Vec::new(), stages: Vec::new() };
        for line in line::logical(text, escape) {
            let line = line.map_err(|(line, problem)| wrong(line)(problem))?;
            let place = at(line.number);
            let wrong = wrong(line.number);
            match instruction::parse(&line, escape).map_err(&wrong)? {
                Parsed::From { platform, base, name } => {
                    let text = line.text;
                    dockerfile.stages.push(Stage { place, text, platform, base, name, steps: Vec::new() });
                }
                Parsed::Step(instruction) => {
                    let step = Step { place, text: line.text, instruction };
                    match (dockerfile.stages.last_mut(), &step.instruction) {
                        (Some(stage), _) => stage.steps.push(step),
                        (None, Instruction::Arg(_)) => dockerfile.global_args.push(step),
                        (None, _) => return Err(wrong(Problem::BeforeFrom(step.keyword().to_owned()))),
                    }
                }
            }
        }
        match dockerfile.stages.is_empty() {
            true => Err(wrong(0)(Problem::Empty)),
            false => Ok(dockerfile),
        }
    }

    /// The stage that a name or number means, by `COPY --from` and `--target`.
    pub(crate) fn stage(&self, name: &str) -> Option<usize> {
        let by_number = || name.parse().ok().filter(|number| *number < self.stages.len());
        self.stage_named(name, self.stages.len()).or_else(by_number)
    }

    /// The last stage of this name that stands above the one of this number.
    pub(crate) fn stage_named(&self, name: &str, before: usize) -> Option<usize> {
        let name = name.to_lowercase();
        self.stages[..before].iter().rposition(|stage| stage.name.as_deref() == Some(&name))
    }
}

impl Step {
    /// The instruction's word.
    pub(crate) fn keyword(&self) -> &str {
        self.text.split_whitespace().next().unwrap_or_default()
    }

    /// An instruction that an image brings by `ONBUILD`.
    pub(crate) fn trigger(text: &str, place: Location, escape: char) -> Result<Self, DockerfileError> {
        let wrong = |problem| DockerfileError { place: place.clone(), problem };
        let first = line::logical(text, escape).next();
        let Some(line) = first else { return Err(wrong(Problem::Empty)) };
        let line = line.map_err(|(_, problem)| wrong(problem))?;
        match instruction::parse(&line, escape).map_err(wrong)? {
            Parsed::Step(Instruction::OnBuild(_) | Instruction::Maintainer(_)) | Parsed::From { .. } => {
                Err(wrong(Problem::Trigger(line.text)))
            }
            Parsed::Step(instruction) => Ok(Step { place: place.clone(), text: line.text, instruction }),
        }
    }
}
