//! Instructions as they are written.

use std::str::FromStr;
use std::time::Duration;

use super::{Change, ChangeError};
use crate::config::Healthcheck;
use crate::words::{Expander, raw_words};

const SHELL: [&str; 2] = ["/bin/sh", "-c"];
const ESCAPE: char = '\\';
/// Docker's shortest interval.
const HEALTH_TIME_MIN: Duration = Duration::from_millis(1);

impl FromStr for Change {
    type Err = ChangeError;

    /// An instruction in which no variable stands for anything.
    fn from_str(text: &str) -> Result<Self, ChangeError> {
        Self::read(text, &|_| None)
    }
}

/// What variables stand for.
type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Change {
    /// An instruction with its variables expanded, where a Dockerfile's would be.
    pub(crate) fn read(text: &str, variables: Variables<'_>) -> Result<Self, ChangeError> {
        let (instruction, arguments) = divided(text);
        let words = |instruction| words(instruction, arguments, variables);
        let one = |instruction| one(instruction, arguments, variables);
        match instruction.to_ascii_uppercase().as_str() {
            "CMD" => Ok(Change::Cmd(command("CMD", arguments)?)),
            "ENTRYPOINT" => Ok(Change::Entrypoint(command("ENTRYPOINT", arguments)?)),
            "ENV" => Ok(Change::Env(pairs("ENV", arguments, variables)?)),
            "LABEL" => Ok(Change::Label(pairs("LABEL", arguments, variables)?)),
            "EXPOSE" => expose(words("EXPOSE")?),
            "HEALTHCHECK" => healthcheck(arguments),
            "ONBUILD" => on_build(arguments),
            "STOPSIGNAL" => stop_signal(one("STOPSIGNAL")?),
            "USER" => Ok(Change::User(one("USER")?)),
            "VOLUME" => volume(match json_list(arguments) {
                Some(paths) => paths,
                None => words("VOLUME")?,
            }),
            "WORKDIR" => Ok(Change::WorkingDir(one("WORKDIR")?)),
            "ADD" | "ARG" | "COPY" | "FROM" | "MAINTAINER" | "RUN" | "SHELL" => {
                Err(ChangeError::NotAllowed(instruction.to_ascii_uppercase()))
            }
            "" => Err(ChangeError::Empty),
            other => Err(ChangeError::Unknown(other.to_owned())),
        }
    }
}

/// An instruction's word, and what stands behind it.
fn divided(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (instruction, arguments) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (instruction, arguments.trim())
}

/// Whether an instruction says what containers run.
pub(super) fn sets_command(text: &str) -> bool {
    divided(text).0.eq_ignore_ascii_case("CMD")
}

/// The exec form is a JSON list of texts; what isn't one is a line for the shell, as Docker has it.
fn command(instruction: &'static str, arguments: &str) -> Result<Vec<String>, ChangeError> {
    if let Some(words) = json_list(arguments) {
        return Ok(words);
    }
    if arguments.is_empty() {
        return Err(ChangeError::NoArgument(instruction));
    }
    Ok(SHELL.into_iter().chain([arguments]).map(str::to_owned).collect())
}

fn json_list(arguments: &str) -> Option<Vec<String>> {
    serde_json::from_str(arguments).ok()
}

/// A word without its quotes and with its variables expanded.
fn expanded(instruction: &'static str, word: &str, variables: Variables<'_>) -> Result<String, ChangeError> {
    let expander = Expander { escape: ESCAPE, variable: variables };
    expander.word(word).map_err(|source| ChangeError::Word { instruction, source })
}

/// Words with shell quotes, at least one.
fn words(instruction: &'static str, arguments: &str, variables: Variables<'_>) -> Result<Vec<String>, ChangeError> {
    let words = raw_words(arguments, ESCAPE);
    match words.is_empty() {
        true => Err(ChangeError::NoArgument(instruction)),
        false => words.iter().map(|word| expanded(instruction, word, variables)).collect(),
    }
}

fn one(instruction: &'static str, arguments: &str, variables: Variables<'_>) -> Result<String, ChangeError> {
    let mut words = words(instruction, arguments, variables)?;
    match words.len() {
        1 => Ok(words.remove(0)),
        _ => Err(ChangeError::TooManyArguments { instruction, arguments: arguments.to_owned() }),
    }
}

/// `name=value …`, or the old `name value with spaces`.
fn pairs(
    instruction: &'static str,
    arguments: &str,
    variables: Variables<'_>,
) -> Result<Vec<(String, String)>, ChangeError> {
    let words = raw_words(arguments, ESCAPE);
    let first = words.first().ok_or(ChangeError::NoArgument(instruction))?;
    let expanded = |word: &str| expanded(instruction, word, variables);
    if !first.contains('=') {
        let (name, value) = arguments
            .split_once(char::is_whitespace)
            .ok_or_else(|| ChangeError::NoEquals { instruction, word: first.clone() })?;
        return Ok(vec![(expanded(name)?, expanded(value.trim())?)]);
    }
    words
        .iter()
        .map(|word| match word.split_once('=') {
            Some(("", _)) => Err(ChangeError::BlankName(instruction)),
            Some((name, value)) => Ok((expanded(name)?, expanded(value)?)),
            None => Err(ChangeError::NoEquals { instruction, word: word.clone() }),
        })
        .collect()
}

fn expose(words: Vec<String>) -> Result<Change, ChangeError> {
    let mut ports = Vec::new();
    // A variable may hold several.
    for word in words.iter().flat_map(|word| word.split_whitespace()).map(str::to_owned) {
        let wrong = || ChangeError::Port(word.clone());
        let (range, protocol) = word.split_once('/').unwrap_or((&word, "tcp"));
        // Where it is to be published is the host's matter: only the container's side counts here.
        let range = range.rsplit_once(':').map_or(range, |(_, range)| range);
        let protocol = protocol.to_ascii_lowercase();
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
        let (first, last) = port(first).zip(port(last)).ok_or_else(wrong)?;
        if first > last || !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
            return Err(wrong());
        }
        ports.extend((first..=last).map(|port| format!("{port}/{protocol}")));
    }
    Ok(Change::Expose(ports))
}

fn volume(paths: Vec<String>) -> Result<Change, ChangeError> {
    match paths.is_empty() || paths.iter().any(|path| path.trim().is_empty()) {
        true => Err(ChangeError::NoArgument("VOLUME")),
        false => Ok(Change::Volume(paths)),
    }
}

fn stop_signal(signal: String) -> Result<Change, ChangeError> {
    let name = signal.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let by_number = signal.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number));
    let by_name = SIGNALS.contains(&name)
        || name
            .strip_prefix("RTMIN+")
            .or(name.strip_prefix("RTMAX-"))
            .is_some_and(|offset| offset.parse::<u8>().is_ok_and(|offset| offset <= 30));
    match by_number || by_name {
        true => Ok(Change::StopSignal(signal)),
        false => Err(ChangeError::Signal(signal)),
    }
}

const SIGNALS: [&str; 35] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "IOT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
    "TERM", "STKFLT", "CHLD", "CLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
    "WINCH", "IO", "POLL", "PWR", "SYS", "RTMIN",
];

/// Whatever is to be done later: only whoever does it has to understand it.
fn on_build(arguments: &str) -> Result<Change, ChangeError> {
    let trigger = arguments.split_whitespace().next().ok_or(ChangeError::NoArgument("ONBUILD"))?;
    match trigger.to_ascii_uppercase().as_str() {
        known @ ("ONBUILD" | "FROM" | "MAINTAINER") => Err(ChangeError::Trigger(known.to_owned())),
        _ => Ok(Change::OnBuild(arguments.to_owned())),
    }
}

/// `[--interval=… --timeout=… --start-period=… --start-interval=… --retries=…] NONE | CMD command`
fn healthcheck(arguments: &str) -> Result<Change, ChangeError> {
    let wrong = |text: String| ChangeError::Health(text);
    let mut check = Healthcheck::default();
    let mut rest = arguments;
    while rest.starts_with("--") {
        let (flag, behind) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = behind.trim_start();
        let (name, value) = flag.split_once('=').ok_or_else(|| wrong(format!("{flag} needs a value: {flag}=…")))?;
        let value = value.trim_matches(['"', '\'']);
        match name {
            "--interval" => check.interval_nanoseconds = health_time(flag, value)?,
            "--timeout" => check.timeout_nanoseconds = health_time(flag, value)?,
            "--start-period" => check.start_period_nanoseconds = health_time(flag, value)?,
            "--start-interval" => check.start_interval_nanoseconds = health_time(flag, value)?,
            "--retries" => {
                let retries = value.parse::<u32>().map_err(|_| wrong(format!("{flag}: write a number, 0 or more")))?;
                check.retries = i64::from(retries);
            }
            _ => return Err(wrong(format!("unknown flag {name}"))),
        }
    }
    let (kind, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let rest = rest.trim();
    check.test = match (kind.to_ascii_uppercase().as_str(), rest) {
        ("NONE", "") => vec!["NONE".to_owned()],
        ("NONE", _) => return Err(wrong("NONE takes no arguments".to_owned())),
        ("CMD", "") => return Err(wrong("missing command after HEALTHCHECK CMD".to_owned())),
        ("CMD", line) => match json_list(line) {
            Some(words) => ["CMD".to_owned()].into_iter().chain(words).collect(),
            None => vec!["CMD-SHELL".to_owned(), line.to_owned()],
        },
        _ => return Err(wrong(format!("unknown type {kind:?}: write CMD or NONE"))),
    };
    Ok(Change::Healthcheck(check))
}

/// A time as Go writes them (`1m30s`), in nanoseconds; zero inherits.
fn health_time(flag: &str, value: &str) -> Result<i64, ChangeError> {
    let wrong = || ChangeError::Health(format!("{flag}: write a time such as 30s, 1m30s or 500ms"));
    if value == "0" || value == "0s" {
        return Ok(0);
    }
    let time = duration(value).ok_or_else(wrong)?;
    if time < HEALTH_TIME_MIN {
        return Err(ChangeError::Health(format!("{flag}: cannot be less than 1ms")));
    }
    i64::try_from(time.as_nanos()).map_err(|_| wrong())
}

fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let seconds = match &rest[..unit] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = &rest[unit..];
    }
    (!text.is_empty()).then_some(total)
}
