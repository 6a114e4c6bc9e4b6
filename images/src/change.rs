//! The instructions of `--change`: a Dockerfile's, as far as they only alter the configuration.

use std::str::FromStr;
use std::time::Duration;

use crate::config::{ContainerConfig, Empty, Healthcheck};

const SHELL: [&str; 2] = ["/bin/sh", "-c"];
/// Docker's shortest interval.
const HEALTH_TIME_MIN: Duration = Duration::from_millis(1);

/// One instruction for an image's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `CMD`
    Cmd(Vec<String>),
    /// `ENTRYPOINT`
    Entrypoint(Vec<String>),
    /// `ENV`: names and values.
    Env(Vec<(String, String)>),
    /// `EXPOSE`: `port/protocol` each.
    Expose(Vec<String>),
    /// `HEALTHCHECK`
    Healthcheck(Healthcheck),
    /// `LABEL`
    Label(Vec<(String, String)>),
    /// `ONBUILD`: the instruction for later.
    OnBuild(String),
    /// `STOPSIGNAL`
    StopSignal(String),
    /// `USER`
    User(String),
    /// `VOLUME`
    Volume(Vec<String>),
    /// `WORKDIR`
    WorkingDir(String),
}

/// Why a text isn't an instruction that alters a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// Nothing.
    #[error("an empty change: write an instruction such as CMD, ENV or EXPOSE")]
    Empty,
    /// Not an instruction at all.
    #[error("unknown instruction: {0}")]
    Unknown(String),
    /// An instruction that does more than alter the configuration.
    #[error("{0} is not a valid change command")]
    NotAllowed(String),
    /// Nothing behind the instruction.
    #[error("{0} requires at least one argument")]
    NoArgument(&'static str),
    /// Too much behind it.
    #[error("{instruction} requires exactly one argument, not {arguments:?}")]
    TooManyArguments {
        /// The instruction.
        instruction: &'static str,
        /// What it was given.
        arguments: String,
    },
    /// Quotes that don't end.
    #[error("{instruction}: a quote in {arguments:?} isn't closed")]
    Quotes {
        /// The instruction.
        instruction: &'static str,
        /// What it was given.
        arguments: String,
    },
    /// A word that isn't `name=value`.
    #[error("{instruction}: can't find = in {word:?}: write it as name=value")]
    NoEquals {
        /// The instruction.
        instruction: &'static str,
        /// The word.
        word: String,
    },
    /// `=value`
    #[error("{0} names can not be blank")]
    BlankName(&'static str),
    /// `$NAME`
    #[error(
        "{instruction}: {arguments:?} refers to a variable, and a change has none: write its value, or quote it with '…'"
    )]
    Variable {
        /// The instruction.
        instruction: &'static str,
        /// What it was given.
        arguments: String,
    },
    /// Not a port.
    #[error("EXPOSE: invalid port {0:?}: write it as 80, 80/tcp or 8000-8010/udp")]
    Port(String),
    /// Not a signal.
    #[error("STOPSIGNAL: {0:?} isn't a signal's name or number")]
    Signal(String),
    /// A health check that isn't one.
    #[error("HEALTHCHECK: {0}")]
    Health(String),
    /// An instruction that can't be put off.
    #[error("{0} isn't allowed as an ONBUILD trigger")]
    Trigger(String),
}

/// Applies instructions in order.
pub(crate) fn apply(changes: &[Change], mut config: ContainerConfig) -> Result<ContainerConfig, ChangeError> {
    let sets_command = changes.iter().any(|change| matches!(change, Change::Cmd(_)));
    for change in changes {
        match change.clone() {
            Change::Cmd(command) => config.cmd = Some(command),
            Change::Entrypoint(entrypoint) => {
                config.entrypoint = Some(entrypoint);
                // The command that was there belonged to the entry point that was there.
                if !sets_command {
                    config.cmd = None;
                }
            }
            Change::Env(pairs) => {
                for (name, value) in pairs {
                    let prefix = format!("{name}=");
                    config.env.retain(|other| !other.starts_with(&prefix));
                    config.env.push(prefix + &value);
                }
            }
            Change::Expose(ports) => {
                config.exposed_ports.extend(ports.into_iter().map(|port| (port, Empty {})));
            }
            Change::Healthcheck(check) => config.healthcheck = Some(check),
            Change::Label(pairs) => config.labels.extend(pairs),
            Change::OnBuild(trigger) => config.on_build.get_or_insert_default().push(trigger),
            Change::StopSignal(signal) => config.stop_signal = Some(signal),
            Change::User(user) => config.user = user,
            Change::Volume(paths) => {
                config.volumes.extend(paths.into_iter().map(|path| (path, Empty {})));
            }
            Change::WorkingDir(path) => config.working_dir = join(&config.working_dir, &path),
        }
    }
    Ok(config)
}

impl FromStr for Change {
    type Err = ChangeError;

    fn from_str(text: &str) -> Result<Self, ChangeError> {
        let text = text.trim();
        let (instruction, arguments) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let arguments = arguments.trim();
        match instruction.to_ascii_uppercase().as_str() {
            "CMD" => Ok(Change::Cmd(command("CMD", arguments)?)),
            "ENTRYPOINT" => Ok(Change::Entrypoint(command("ENTRYPOINT", arguments)?)),
            "ENV" => Ok(Change::Env(pairs("ENV", arguments)?)),
            "LABEL" => Ok(Change::Label(pairs("LABEL", arguments)?)),
            "EXPOSE" => expose(arguments),
            "HEALTHCHECK" => healthcheck(arguments),
            "ONBUILD" => on_build(arguments),
            "STOPSIGNAL" => stop_signal(arguments),
            "USER" => Ok(Change::User(one("USER", arguments)?)),
            "VOLUME" => volume(arguments),
            "WORKDIR" => Ok(Change::WorkingDir(one("WORKDIR", arguments)?)),
            "ADD" | "ARG" | "COPY" | "FROM" | "MAINTAINER" | "RUN" | "SHELL" => {
                Err(ChangeError::NotAllowed(instruction.to_ascii_uppercase()))
            }
            "" => Err(ChangeError::Empty),
            other => Err(ChangeError::Unknown(other.to_owned())),
        }
    }
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

/// Words with shell quotes, at least one. Variables have nothing to stand for here.
fn words(instruction: &'static str, arguments: &str) -> Result<Vec<String>, ChangeError> {
    if has_variable(arguments) {
        return Err(ChangeError::Variable { instruction, arguments: arguments.to_owned() });
    }
    let words = shell_words::split(arguments)
        .map_err(|_| ChangeError::Quotes { instruction, arguments: arguments.to_owned() })?;
    match words.is_empty() {
        true => Err(ChangeError::NoArgument(instruction)),
        false => Ok(words),
    }
}

/// Whether a `$` before a name stands outside of single quotes and isn't escaped.
fn has_variable(text: &str) -> bool {
    let (mut single, mut double) = (false, false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if !single => {
                letters.next();
            }
            '\'' if !double => single = !single,
            '"' if !single => double = !double,
            '$' if !single => {
                let starts_name = |c: &char| c.is_ascii_alphabetic() || matches!(c, '_' | '{');
                if letters.peek().is_some_and(starts_name) {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

fn one(instruction: &'static str, arguments: &str) -> Result<String, ChangeError> {
    let mut words = words(instruction, arguments)?;
    match words.len() {
        1 => Ok(words.remove(0)),
        _ => Err(ChangeError::TooManyArguments { instruction, arguments: arguments.to_owned() }),
    }
}

/// `name=value …`, or the old `name value with spaces`.
fn pairs(instruction: &'static str, arguments: &str) -> Result<Vec<(String, String)>, ChangeError> {
    let words = words(instruction, arguments)?;
    let is_old = !words[0].contains('=');
    if is_old {
        let (name, value) = arguments
            .split_once(char::is_whitespace)
            .ok_or_else(|| ChangeError::NoEquals { instruction, word: words[0].clone() })?;
        // Several words are one value as they stand; a single one may be quoted.
        let value = match &words[..] {
            [_, value] => value.clone(),
            _ => value.trim().to_owned(),
        };
        return Ok(vec![(name.to_owned(), value)]);
    }
    words
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some(("", _)) => Err(ChangeError::BlankName(instruction)),
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(ChangeError::NoEquals { instruction, word }),
        })
        .collect()
}

fn expose(arguments: &str) -> Result<Change, ChangeError> {
    let mut ports = Vec::new();
    for word in words("EXPOSE", arguments)? {
        let wrong = || ChangeError::Port(word.clone());
        let (range, protocol) = word.split_once('/').unwrap_or((&word, "tcp"));
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

fn volume(arguments: &str) -> Result<Change, ChangeError> {
    let paths = match json_list(arguments) {
        Some(paths) => paths,
        None => words("VOLUME", arguments)?,
    };
    match paths.is_empty() || paths.iter().any(|path| path.trim().is_empty()) {
        true => Err(ChangeError::NoArgument("VOLUME")),
        false => Ok(Change::Volume(paths)),
    }
}

fn stop_signal(arguments: &str) -> Result<Change, ChangeError> {
    let signal = one("STOPSIGNAL", arguments)?;
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

fn on_build(arguments: &str) -> Result<Change, ChangeError> {
    let trigger = arguments.split_whitespace().next().ok_or(ChangeError::NoArgument("ONBUILD"))?;
    match trigger.to_ascii_uppercase().as_str() {
        "ADD" | "ARG" | "CMD" | "COPY" | "ENTRYPOINT" | "ENV" | "EXPOSE" | "HEALTHCHECK" | "LABEL" | "RUN"
        | "SHELL" | "STOPSIGNAL" | "USER" | "VOLUME" | "WORKDIR" => Ok(Change::OnBuild(arguments.to_owned())),
        known @ ("ONBUILD" | "FROM" | "MAINTAINER") => Err(ChangeError::Trigger(known.to_owned())),
        other => Err(ChangeError::Unknown(other.to_owned())),
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
        match name {
            "--interval" => check.interval_nanoseconds = health_time(flag, value)?,
            "--timeout" => check.timeout_nanoseconds = health_time(flag, value)?,
            "--start-period" => check.start_period_nanoseconds = health_time(flag, value)?,
            "--start-interval" => check.start_interval_nanoseconds = health_time(flag, value)?,
            "--retries" => {
                let retries = value.parse::<u32>().ok().filter(|retries| *retries > 0);
                let retries = retries.ok_or_else(|| wrong(format!("{flag}: write a number, 1 or more")))?;
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

/// A path as seen from a directory, always absolute, without `.` and `..`.
fn join(directory: &str, path: &str) -> String {
    let start = if path.starts_with('/') { "" } else { directory };
    let mut components: Vec<&str> = Vec::new();
    for component in start.split('/').chain(path.split('/')) {
        match component {
            "" | "." => {}
            ".." => {
                components.pop();
            }
            component => components.push(component),
        }
    }
    format!("/{}", components.join("/"))
}

#[cfg(test)]
mod tests;
