//! One instruction: its word, its flags, its arguments.

use images::words::raw_words;
use images::{Change, ChangeError};
use serde_json::Value;

use super::Problem;
use super::flags::Flags;
use super::line::{self, HereDocument, LogicalLine};
use super::mount::WrittenMount;

/// An instruction of a stage. Words are as they are written: variables and quotes are still in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Instruction {
    /// Names, and defaults if there are any.
    Arg(Vec<(String, Option<String>)>),
    Env(Vec<(String, String)>),
    Label(Vec<(String, String)>),
    Run(Run),
    /// `COPY` and `ADD`.
    Copy(Copy),
    WorkingDir(String),
    User(String),
    Expose(Vec<String>),
    Volume(Vec<String>),
    Entrypoint(Command),
    Cmd(Command),
    /// What stands behind it.
    Healthcheck(String),
    /// The instruction for later.
    OnBuild(String),
    Shell(Vec<String>),
    StopSignal(String),
    Maintainer(String),
}

/// A line for the shell, or the words of a program's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Shell(String),
    Exec(Vec<String>),
}

/// `RUN`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) command: Command,
    pub(crate) mounts: Vec<WrittenMount>,
    pub(crate) network: Option<RunNetwork>,
    /// It wants more rights than containers have.
    pub(crate) is_insecure: bool,
    pub(crate) here_documents: Vec<HereDocument>,
}

/// `RUN --network=…`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunNetwork {
    Default,
    None,
    Host,
}

/// `COPY` and `ADD`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    /// It is `ADD`: URLs are fetched, archives unpacked.
    pub(crate) is_add: bool,
    /// A stage or an image; the context without it.
    pub(crate) from: Option<String>,
    pub(crate) chown: Option<String>,
    pub(crate) chmod: Option<String>,
    pub(crate) link: bool,
    pub(crate) parents: bool,
    pub(crate) excludes: Vec<String>,
    pub(crate) checksum: Option<String>,
    /// Whether archives are unpacked, if it says so.
    pub(crate) unpack: Option<bool>,
    /// Of a repository of git.
    pub(crate) keeps_git: bool,
    pub(crate) sources: Vec<Copied>,
    pub(crate) destination: String,
}

/// What is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Copied {
    /// A path, a pattern, or a URL.
    Named(String),
    /// Text of the Dockerfile's own.
    HereDocument(HereDocument),
}

/// A line, understood.
pub(super) enum Parsed {
    From { platform: Option<String>, base: String, name: Option<String> },
    Step(Instruction),
}

/// Understands one line.
pub(super) fn parse(line: &LogicalLine, escape: char) -> Result<Parsed, Problem> {
    let (word, arguments) = line.text.split_once(char::is_whitespace).unwrap_or((&line.text, ""));
    let arguments = arguments.trim();
    let instruction = match word.to_ascii_uppercase().as_str() {
        "FROM" => return from(arguments),
        "ARG" => Instruction::Arg(args(arguments, escape)?),
        "ENV" => Instruction::Env(pairs("ENV", arguments, escape)?),
        "LABEL" => Instruction::Label(pairs("LABEL", arguments, escape)?),
        "RUN" => Instruction::Run(run(arguments, line)?),
        "COPY" => Instruction::Copy(copy("COPY", arguments, line, escape)?),
        "ADD" => Instruction::Copy(copy("ADD", arguments, line, escape)?),
        "WORKDIR" => Instruction::WorkingDir(whole("WORKDIR", arguments)?),
        "USER" => Instruction::User(whole("USER", arguments)?),
        "EXPOSE" => Instruction::Expose(some("EXPOSE", raw_words(arguments, escape))?),
        "VOLUME" => {
            let paths = list("VOLUME", arguments)?.unwrap_or_else(|| raw_words(arguments, escape));
            match paths.iter().any(|path| path.trim().is_empty()) {
                true => return Err(Problem::arguments("VOLUME", "a path is empty")),
                false => Instruction::Volume(some("VOLUME", paths)?),
            }
        }
        "ENTRYPOINT" => Instruction::Entrypoint(command("ENTRYPOINT", arguments)?),
        "CMD" => Instruction::Cmd(command("CMD", arguments)?),
        "HEALTHCHECK" => Instruction::Healthcheck(healthcheck(arguments)?),
        "ONBUILD" => Instruction::OnBuild(trigger(arguments, line, escape)?),
        "SHELL" => {
            let words = list("SHELL", arguments)?.filter(|words| !words.is_empty());
            let reason = "write it as a JSON list: SHELL [\"/bin/sh\", \"-c\"]";
            Instruction::Shell(words.ok_or_else(|| Problem::arguments("SHELL", reason))?)
        }
        "STOPSIGNAL" => Instruction::StopSignal(whole("STOPSIGNAL", arguments)?),
        "MAINTAINER" => Instruction::Maintainer(whole("MAINTAINER", arguments)?),
        _ => return Err(Problem::Unknown(word.to_owned())),
    };
    Ok(Parsed::Step(instruction))
}

/// `FROM [--platform=…] image [AS name]`
fn from(arguments: &str) -> Result<Parsed, Problem> {
    let (mut flags, rest) = Flags::split("FROM", arguments);
    let platform = flags.value("--platform")?;
    flags.finish()?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (base, name) = match words[..] {
        [base] => (base, None),
        [base, r#as, name] if r#as.eq_ignore_ascii_case("AS") => (base, Some(name.to_lowercase())),
        [] => return Err(Problem::arguments("FROM", "say which image, or scratch")),
        _ => return Err(Problem::arguments("FROM", "write it as FROM image [AS name]")),
    };
    if let Some(name) = name.as_deref().filter(|name| !is_stage_name(name)) {
        let reason =
            format!("invalid stage name {name:?}: begin with a letter, and go on with those, digits, '_', '-' and '.'");
        return Err(Problem::arguments("FROM", reason));
    }
    Ok(Parsed::From { platform, base: base.to_owned(), name })
}

fn is_stage_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.'))
}

fn args(arguments: &str, escape: char) -> Result<Vec<(String, Option<String>)>, Problem> {
    let words = some("ARG", raw_words(arguments, escape))?;
    let pairs = words.into_iter().map(|word| {
        let (name, default) = match word.split_once('=') {
            Some((name, default)) => (name.to_owned(), Some(default.to_owned())),
            None => (word, None),
        };
        match name.is_empty() {
            true => Err(Problem::arguments("ARG", "a name is empty: write it as name or name=default")),
            false => Ok((name, default)),
        }
    });
    pairs.collect()
}

/// `name=value …`, or the old `name value with spaces`.
fn pairs(instruction: &'static str, arguments: &str, escape: char) -> Result<Vec<(String, String)>, Problem> {
    let words = some(instruction, raw_words(arguments, escape))?;
    let is_old = !words[0].contains('=');
    if is_old {
        let (name, value) = arguments.split_once(char::is_whitespace).ok_or_else(|| {
            Problem::arguments(instruction, format!("can't find = in {:?}: write it as name=value", words[0]))
        })?;
        return Ok(vec![(name.to_owned(), value.trim_start().to_owned())]);
    }
    let pairs = words.into_iter().map(|word| match word.split_once('=') {
        Some(("", _)) => Err(Problem::arguments(instruction, "a name is empty: write it as name=value")),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(Problem::arguments(instruction, format!("can't find = in {word:?}: write it as name=value"))),
    });
    pairs.collect()
}

/// No variable is expanded in it: whether it can be understood is known at once.
fn healthcheck(arguments: &str) -> Result<String, Problem> {
    let arguments = whole("HEALTHCHECK", arguments)?;
    match format!("HEALTHCHECK {arguments}").parse::<Change>() {
        Ok(_) => Ok(arguments),
        Err(ChangeError::Health(reason)) => Err(Problem::arguments("HEALTHCHECK", reason)),
        Err(error) => Err(Problem::arguments("HEALTHCHECK", error.to_string())),
    }
}

fn run(arguments: &str, line: &LogicalLine) -> Result<Run, Problem> {
    let (mut flags, rest) = Flags::split("RUN", arguments);
    let mounts = flags.values("--mount")?.iter().map(|text| WrittenMount::parse(text)).collect::<Result<_, _>>()?;
    let network = match flags.value("--network")?.as_deref() {
        None => None,
        Some("default") => Some(RunNetwork::Default),
        Some("none") => Some(RunNetwork::None),
        Some("host") => Some(RunNetwork::Host),
        Some(other) => {
            return Err(Problem::arguments("RUN", format!("--network={other}: write default, none or host")));
        }
    };
    let is_insecure = match flags.value("--security")?.as_deref() {
        None | Some("sandbox") => false,
        Some("insecure") => true,
        Some(other) => return Err(Problem::arguments("RUN", format!("--security={other}: write sandbox"))),
    };
    flags.finish()?;
    let here_documents = line.here_documents.clone();
    Ok(Run { command: command("RUN", rest)?, mounts, network, is_insecure, here_documents })
}

fn copy(instruction: &'static str, arguments: &str, line: &LogicalLine, escape: char) -> Result<Copy, Problem> {
    let is_add = instruction == "ADD";
    let (mut flags, rest) = Flags::split(instruction, arguments);
    let mut copy = Copy {
        is_add,
        from: if is_add { None } else { flags.value("--from")? },
        chown: flags.value("--chown")?,
        chmod: flags.value("--chmod")?,
        link: flags.is_set("--link")?,
        parents: !is_add && flags.is_set("--parents")?,
        excludes: flags.values("--exclude")?,
        checksum: if is_add { flags.value("--checksum")? } else { None },
        unpack: None,
        keeps_git: is_add && flags.is_set("--keep-git-dir")?,
        sources: Vec::new(),
        destination: String::new(),
    };
    if is_add && flags.has("--unpack") {
        copy.unpack = Some(flags.is_set("--unpack")?);
    }
    flags.finish()?;
    let mut sources = match list(instruction, rest)? {
        Some(words) => words.into_iter().map(Copied::Named).collect(),
        None => copied(rest, line, escape),
    };
    let missing = || Problem::arguments(instruction, "say what to copy, and where to");
    copy.destination = match sources.pop().ok_or_else(missing)? {
        Copied::Named(word) => word,
        Copied::HereDocument(document) => {
            let reason =
                format!("the here-document {0:?} can't be where to copy to: write a path behind it", document.name);
            return Err(Problem::arguments(instruction, reason));
        }
    };
    if sources.is_empty() || copy.destination.is_empty() {
        return Err(missing());
    }
    copy.sources = sources;
    Ok(copy)
}

/// Sources and the destination.
fn copied(words: &str, line: &LogicalLine, escape: char) -> Vec<Copied> {
    if line.here_documents.is_empty() {
        return raw_words(words, escape).into_iter().map(Copied::Named).collect();
    }
    let document = |word: &line::Word| {
        let name = word.here_document_name()?;
        line.here_documents.iter().rfind(|document| document.name == name)
    };
    let copied = line::words(words).map(|word| match document(&word) {
        Some(document) => Copied::HereDocument(document.clone()),
        None => Copied::Named(word.text),
    });
    copied.collect()
}

/// The exec form is a JSON list of texts; what isn't one is a line for the shell.
fn command(instruction: &'static str, arguments: &str) -> Result<Command, Problem> {
    match list(instruction, arguments)? {
        Some(words) if words.is_empty() && instruction == "RUN" => {
            Err(Problem::arguments(instruction, "there is nothing to run in []"))
        }
        Some(words) => Ok(Command::Exec(words)),
        None => Ok(Command::Shell(whole(instruction, arguments)?)),
    }
}

/// What `ONBUILD` puts off, with its here-documents.
fn trigger(arguments: &str, line: &LogicalLine, escape: char) -> Result<String, Problem> {
    let word = whole("ONBUILD", arguments)?;
    let keyword = word.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    if matches!(keyword.as_str(), "ONBUILD" | "FROM" | "MAINTAINER") {
        return Err(Problem::Trigger(keyword));
    }
    // It is understood now, so that nobody is surprised later.
    let inner = LogicalLine { text: word.clone(), ..line.clone() };
    parse(&inner, escape)?;
    let documents: String = line.here_documents.iter().map(|document| format!("\n{}", document.raw)).collect();
    Ok(word + &documents)
}

/// A JSON list of texts; `None` for what is no list.
fn list(instruction: &'static str, arguments: &str) -> Result<Option<Vec<String>>, Problem> {
    let text = |value| match value {
        Value::String(text) => Ok(text),
        other => {
            Err(Problem::arguments(instruction, format!("{other} is no text: write \"{other}\" in the JSON list")))
        }
    };
    json_list(arguments).map(|values| values.into_iter().map(text).collect()).transpose()
}

pub(super) fn json_list(arguments: &str) -> Option<Vec<Value>> {
    serde_json::from_str(arguments).ok()
}

fn some<T>(instruction: &'static str, words: Vec<T>) -> Result<Vec<T>, Problem> {
    match words.is_empty() {
        true => Err(Problem::arguments(instruction, "it needs at least one argument")),
        false => Ok(words),
    }
}

fn whole(instruction: &'static str, arguments: &str) -> Result<String, Problem> {
    match arguments {
        "" => Err(Problem::arguments(instruction, "it needs an argument")),
        arguments => Ok(arguments.to_owned()),
    }
}
