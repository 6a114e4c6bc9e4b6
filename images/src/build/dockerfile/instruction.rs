//! One instruction: its word, its flags, its arguments.

use super::Problem;
use super::flags::Flags;
use super::line::{HereDocument, LogicalLine, here_document_name};
use super::mount::Mount;
use super::words::raw_words;

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
    pub(crate) mounts: Vec<Mount>,
    pub(crate) network: Option<RunNetwork>,
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
        "USER" => Instruction::User(one("USER", arguments, escape)?),
        "EXPOSE" => Instruction::Expose(some("EXPOSE", raw_words(arguments, escape))?),
        "VOLUME" => {
            let paths = json_list(arguments).unwrap_or_else(|| raw_words(arguments, escape));
            match paths.iter().any(|path| path.trim().is_empty()) {
                true => return Err(Problem::arguments("VOLUME", "a path is empty")),
                false => Instruction::Volume(some("VOLUME", paths)?),
            }
        }
        "ENTRYPOINT" => Instruction::Entrypoint(command("ENTRYPOINT", arguments)?),
        "CMD" => Instruction::Cmd(command("CMD", arguments)?),
        "HEALTHCHECK" => Instruction::Healthcheck(whole("HEALTHCHECK", arguments)?),
        "ONBUILD" => Instruction::OnBuild(trigger(arguments, line, escape)?),
        "SHELL" => {
            let words = json_list(arguments).filter(|words| !words.is_empty());
            let reason = "write it as a JSON list: SHELL [\"/bin/sh\", \"-c\"]";
            Instruction::Shell(words.ok_or_else(|| Problem::arguments("SHELL", reason))?)
        }
        "STOPSIGNAL" => Instruction::StopSignal(one("STOPSIGNAL", arguments, escape)?),
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
        && name != "scratch"
}

fn args(arguments: &str, escape: char) -> Result<Vec<(String, Option<String>)>, Problem> {
    let words = some("ARG", raw_words(arguments, escape))?;
    let pairs = words.into_iter().map(|word| {
        let (name, default) = match word.split_once('=') {
            Some((name, default)) => (name.to_owned(), Some(default.to_owned())),
            None => (word, None),
        };
        match is_variable(&name) {
            true => Ok((name, default)),
            false => Err(Problem::arguments("ARG", format!("{name:?} isn't a variable's name"))),
        }
    });
    pairs.collect()
}

fn is_variable(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
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

fn run(arguments: &str, line: &LogicalLine) -> Result<Run, Problem> {
    let (mut flags, rest) = Flags::split("RUN", arguments);
    let mounts = flags.values("--mount")?.iter().map(|text| Mount::parse(text)).collect::<Result<_, _>>()?;
    let network = match flags.value("--network")?.as_deref() {
        None => None,
        Some("default") => Some(RunNetwork::Default),
        Some("none") => Some(RunNetwork::None),
        Some("host") => Some(RunNetwork::Host),
        Some(other) => {
            return Err(Problem::arguments("RUN", format!("--network={other}: write default, none or host")));
        }
    };
    match flags.value("--security")?.as_deref() {
        None | Some("sandbox") => {}
        Some(other) => {
            let reason = format!("--security={other}: steps don't get more rights than containers have: write sandbox");
            return Err(Problem::arguments("RUN", reason));
        }
    }
    flags.finish()?;
    Ok(Run { command: command("RUN", rest)?, mounts, network, here_documents: line.here_documents.clone() })
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
        sources: Vec::new(),
        destination: String::new(),
    };
    if is_add && flags.has("--unpack") {
        copy.unpack = Some(flags.is_set("--unpack")?);
    }
    if is_add && flags.has("--keep-git-dir") {
        return Err(Problem::arguments(instruction, "--keep-git-dir: git repositories aren't fetched"));
    }
    flags.finish()?;
    let mut words = json_list(rest).unwrap_or_else(|| raw_words(rest, escape));
    let missing = || Problem::arguments(instruction, "say what to copy, and where to");
    copy.destination = words.pop().ok_or_else(missing)?;
    if words.is_empty() || copy.destination.is_empty() {
        return Err(missing());
    }
    let mut documents = line.here_documents.iter();
    for word in words {
        copy.sources.push(match here_document_name(&word).and_then(|_| documents.next()) {
            Some(document) => Copied::HereDocument(document.clone()),
            None => Copied::Named(word),
        });
    }
    Ok(copy)
}

/// The exec form is a JSON list of texts; what isn't one is a line for the shell.
fn command(instruction: &'static str, arguments: &str) -> Result<Command, Problem> {
    match json_list(arguments) {
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
    Ok(word + documents.trim_end())
}

fn json_list(arguments: &str) -> Option<Vec<String>> {
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

fn one(instruction: &'static str, arguments: &str, escape: char) -> Result<String, Problem> {
    let mut words = raw_words(arguments, escape);
    match words.len() {
        1 => Ok(words.remove(0)),
        _ => Err(Problem::arguments(instruction, format!("it needs exactly one argument, not {arguments:?}"))),
    }
}
