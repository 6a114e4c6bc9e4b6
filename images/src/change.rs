//! The instructions of `--change`: a Dockerfile's, as far as they only alter the configuration.

mod parse;

use crate::config::{ContainerConfig, DEFAULT_PATH, Empty, Healthcheck};
use crate::words::WordError;

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
    /// A word that can't be expanded.
    #[error("{instruction}: {source}")]
    Word {
        /// The instruction.
        instruction: &'static str,
        /// What is wrong.
        source: WordError,
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

/// Whether instructions as they are written can be applied to a configuration.
///
/// # Errors
/// Names what one of them can't be.
pub fn check_changes(texts: &[String], config: &ContainerConfig) -> Result<(), ChangeError> {
    apply_written(texts, config.clone()).map(drop)
}

/// Applies instructions as they are written, in order: their variables are those of the configuration so far.
pub(crate) fn apply_written(texts: &[String], mut config: ContainerConfig) -> Result<ContainerConfig, ChangeError> {
    let sets_command = texts.iter().any(|text| parse::sets_command(text));
    for text in texts {
        let variable = |name: &str| {
            let value = config.env.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            // What a container has without being told.
            value.or_else(|| (name == "PATH").then_some(DEFAULT_PATH)).map(str::to_owned)
        };
        let change = Change::read(text, &variable)?;
        apply_one(change, sets_command, &mut config);
    }
    Ok(config)
}

/// Applies instructions in order. An entry point takes the command away that was there, unless one of them is a command.
pub fn apply_changes(changes: &[Change], mut config: ContainerConfig) -> ContainerConfig {
    let sets_command = changes.iter().any(|change| matches!(change, Change::Cmd(_)));
    changes.iter().for_each(|change| apply_one(change.clone(), sets_command, &mut config));
    config
}

fn apply_one(change: Change, sets_command: bool, config: &mut ContainerConfig) {
    match change {
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
