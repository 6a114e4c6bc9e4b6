//! The first process: command, environment, user, limits.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Component, Path, PathBuf};

use images::ContainerConfig as ImageDefaults;
use runtime::spec::{Process, Rlimit, RlimitKind, Stdin, TerminalSize, UserSpec};

use super::security::Security;
use crate::error::{Error, Result};
use crate::wire::models::{ContainerConfig, HostConfig};

const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The image's command holds only with the image's entry point: an entry point of one's own starts afresh.
pub(super) fn merge_command(config: &mut ContainerConfig, image: &ImageDefaults) {
    if config.entrypoint.as_ref().is_none_or(Vec::is_empty) {
        if config.cmd.as_ref().is_none_or(Vec::is_empty) {
            config.cmd.clone_from(&image.cmd);
        }
        if config.entrypoint.is_none() {
            config.entrypoint.clone_from(&image.entrypoint);
        }
    }
    // `--entrypoint ""` comes as one empty word and takes the image's entry point away.
    if config.entrypoint.as_deref().is_some_and(|words| words.iter().all(String::is_empty)) {
        config.entrypoint = None;
    }
}

/// The image's environment (for an exec, the container's) with the request's on top. `NAME` without a value stands in the place
/// of the variable that it takes away, so that clients see that it was asked for; no process gets it.
pub(crate) fn merge_environment(image: &[String], request: Vec<String>) -> Result<Vec<String>> {
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    let mut merged: Vec<String> = Vec::new();
    if !image.iter().chain(&request).any(|variable| variable.starts_with("PATH=")) {
        merged.push(DEFAULT_PATH.to_owned());
    }
    merged.extend(image.iter().cloned());
    // An image may have very many.
    let mut places = HashMap::new();
    for (place, variable) in merged.iter().enumerate() {
        places.entry(name(variable)).or_insert(place);
    }
    for variable in request {
        let name = name(&variable);
        if name.is_empty() || variable.contains('\0') {
            return Err(Error::invalid(format!("invalid environment variable: {variable}")));
        }
        match places.entry(name) {
            Entry::Occupied(known) => merged[*known.get()] = variable,
            Entry::Vacant(free) => {
                free.insert(merged.len());
                merged.push(variable);
            }
        }
    }
    Ok(merged)
}

/// The first process, from a request that the image is merged into.
pub(super) fn process(
    config: &ContainerConfig,
    host: &HostConfig,
    hostname: &str,
    security: &Security,
) -> Result<Process> {
    let words = |words: &Option<Vec<String>>| words.clone().unwrap_or_default();
    let args = [words(&config.entrypoint), words(&config.cmd)].concat();
    if args.first().is_none_or(String::is_empty) {
        return Err(Error::invalid("no command specified"));
    }
    let tty = config.tty.unwrap_or_default();
    Ok(Process {
        args,
        env: environment(config, hostname, tty),
        cwd: working_directory(config)?,
        user: UserSpec {
            user: config.user.clone().unwrap_or_default(),
            additional_groups: host.group_add.clone().unwrap_or_default(),
        },
        capabilities: security.capabilities,
        no_new_privileges: security.no_new_privileges,
        seccomp: security.seccomp.clone(),
        rlimits: rlimits(host)?,
        terminal: tty.then(|| terminal_size(host)),
        stdin: match (config.open_stdin.unwrap_or_default(), config.stdin_once.unwrap_or_default()) {
            (false, _) => Stdin::Closed,
            (true, false) => Stdin::Open,
            (true, true) => Stdin::Once,
        },
    })
}

/// What the runtime adds comes first: the user's own `HOSTNAME` or `TERM` wins.
fn environment(config: &ContainerConfig, hostname: &str, tty: bool) -> Vec<String> {
    let own = config.env.clone().unwrap_or_default();
    let mut all = vec![format!("HOSTNAME={hostname}")];
    if tty {
        all.push("TERM=xterm".to_owned());
    }
    all.retain(|added| {
        let name = added.split_inclusive('=').next().unwrap_or_default();
        !own.iter().any(|variable| variable.starts_with(name))
    });
    all.extend(own.into_iter().filter(|variable| variable.contains('=')));
    all
}

/// A working directory as its text alone tells it: without `.` and `..`, and without slashes that say nothing.
pub(super) fn plain_working_directory(path: &str) -> String {
    if !path.starts_with('/') {
        return path.to_owned();
    }
    let mut plain = PathBuf::from("/");
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => plain.push(name),
            // Above the root is the root.
            Component::ParentDir => drop(plain.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    plain.display().to_string()
}

fn working_directory(config: &ContainerConfig) -> Result<String> {
    match config.working_dir.as_deref().unwrap_or_default() {
        "" => Ok("/".to_owned()),
        path if path.starts_with('/') => Ok(path.to_owned()),
        path => {
            Err(Error::invalid(format!("the working directory '{path}' is invalid, it needs to be an absolute path")))
        }
    }
}

fn terminal_size(host: &HostConfig) -> TerminalSize {
    let side = |index: usize| {
        let length = host.console_size.as_ref().and_then(|sides| sides.get(index)).copied()?;
        u16::try_from(length).ok().filter(|length| *length > 0)
    };
    match (side(0), side(1)) {
        (Some(rows), Some(columns)) => TerminalSize { columns, rows },
        _ => TerminalSize::default(),
    }
}

fn rlimits(host: &HostConfig) -> Result<Vec<Rlimit>> {
    host.ulimits.iter().flatten().map(rlimit).collect()
}

fn rlimit(limit: &crate::wire::models::ResourcesUlimits) -> Result<Rlimit> {
    let name = limit.name.as_deref().unwrap_or_default();
    let kind = RlimitKind::from_name(name).ok_or_else(|| Error::invalid(format!("invalid ulimit type: {name}")))?;
    // -1 is unlimited.
    let bound = |value: Option<i64>| match value.unwrap_or_default() {
        -1 => Ok(u64::MAX),
        value => u64::try_from(value)
            .map_err(|_| Error::invalid(format!("invalid ulimit {name}={value}: it can't be less than -1"))),
    };
    let (soft, hard) = (bound(limit.soft)?, bound(limit.hard)?);
    if soft > hard {
        let shown = |value: Option<i64>| value.unwrap_or_default();
        return Err(Error::invalid(format!(
            "ulimit soft limit must be less than or equal to hard limit: {} > {}",
            shown(limit.soft),
            shown(limit.hard)
        )));
    }
    Ok(Rlimit { kind, soft, hard })
}
