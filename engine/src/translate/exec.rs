//! A request for a further process in a container, as a complete description of that process.

use runtime::ExecSpec;
use runtime::capabilities::CapabilitySet;
use runtime::protocol::Streams;
use runtime::seccomp::Seccomp;
use runtime::spec::{Id, Process, Stdin, TerminalSize, UserSpec};

use crate::container::Container;
use crate::detach::DetachKeys;
use crate::error::{Error, Result};
use crate::exec::{Description, Exec, Phase};
use crate::translate::create::merge_environment;
use crate::wire::exec::{ExecView, ProcessView};
use crate::wire::models::{ExecConfig, ExecStartConfig};

/// The exec that a request describes: what it leaves open is as for the container's first process.
pub(crate) fn describe(id: Id, request: ExecConfig, container: &Container) -> Result<Description> {
    let args = request.cmd.unwrap_or_default();
    if args.first().is_none_or(String::is_empty) {
        return Err(Error::invalid("No exec command specified"));
    }
    let first = &container.spec.process;
    let privileged = request.privileged.unwrap_or_default();
    let terminal = match request.tty.unwrap_or_default() {
        true => Some(console_size(request.console_size.as_deref())?.unwrap_or_default()),
        false => None,
    };
    let stdin = request.attach_stdin.unwrap_or_default();
    let detach_keys_text = request.detach_keys.unwrap_or_default();
    let process = Process {
        args,
        env: environment(&first_environment(container), request.env.unwrap_or_default(), terminal.is_some())?,
        cwd: working_directory(request.working_dir, &first.cwd)?,
        user: user(request.user, &first.user),
        capabilities: if privileged { CapabilitySet::ALL } else { first.capabilities },
        no_new_privileges: first.no_new_privileges,
        seccomp: if privileged { Seccomp::Unconfined } else { first.seccomp.clone() },
        rlimits: first.rlimits.clone(),
        terminal,
        stdin: if stdin { Stdin::Once } else { Stdin::Closed },
    };
    Ok(Description {
        spec: ExecSpec { id, process },
        streams: Streams {
            stdin,
            stdout: request.attach_stdout.unwrap_or_default(),
            stderr: request.attach_stderr.unwrap_or_default(),
        },
        detach_keys: DetachKeys::parse(&detach_keys_text)?,
        detach_keys_text,
        privileged,
    })
}

/// The environment that further processes of a container begin with: the first one's, without what it has for its terminal.
pub(crate) fn first_environment(container: &Container) -> Vec<String> {
    let names_terminal = |variable: &str| variable.starts_with("TERM=");
    let asked = container.asked.config.texts("Env").any(names_terminal);
    container.spec.process.env.iter().filter(|variable| asked || !names_terminal(variable)).cloned().collect()
}

fn environment(first: &[String], own: Vec<String>, terminal: bool) -> Result<Vec<String>> {
    let mut all = merge_environment(first, own)?;
    all.retain(|variable| variable.contains('='));
    if terminal && !all.iter().any(|variable| variable.starts_with("TERM=")) {
        all.push("TERM=xterm".to_owned());
    }
    Ok(all)
}

fn working_directory(own: Option<String>, first: &str) -> Result<String> {
    match own.as_deref() {
        None | Some("") => Ok(first.to_owned()),
        Some(path) if path.starts_with('/') => Ok(path.to_owned()),
        Some(path) => {
            Err(Error::invalid(format!("the working directory '{path}' is invalid, it needs to be an absolute path")))
        }
    }
}

fn user(own: Option<String>, first: &UserSpec) -> UserSpec {
    match own {
        Some(user) if !user.is_empty() => UserSpec { user, additional_groups: first.additional_groups.clone() },
        _ => first.clone(),
    }
}

/// Height and width, in Docker's order.
fn console_size(sides: Option<&[usize]>) -> Result<Option<TerminalSize>> {
    let side = |length: usize| u16::try_from(length).ok();
    match sides {
        None | Some([] | [0, 0]) => Ok(None),
        Some([rows, columns]) => match (side(*rows), side(*columns)) {
            (Some(rows), Some(columns)) => Ok(Some(TerminalSize { columns, rows })),
            _ => Err(Error::invalid(format!("invalid console size {rows}x{columns}: 65535 is the most"))),
        },
        Some(sides) => Err(Error::invalid(format!("invalid console size {sides:?}: height and width are expected"))),
    }
}

/// How an exec is to be started.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// Nobody wants its streams.
    pub(crate) detach: bool,
    /// The size of its terminal, if it isn't the one that was asked for before.
    pub(crate) size: Option<TerminalSize>,
    /// The client takes its output for a terminal's, whatever the exec has.
    pub(crate) terminal: bool,
}

/// What a request to start an exec says; it has to agree with the one that described it.
pub(crate) fn start(request: ExecStartConfig, exec: &Exec) -> Result<Start> {
    let detach = request.detach.unwrap_or_default();
    let size = console_size(request.console_size.as_deref())?;
    if size.is_some() && exec.terminal().is_none() {
        return Err(Error::invalid("a console size was given for an exec that has no terminal: create it with Tty"));
    }
    Ok(Start { detach, size, terminal: request.tty.unwrap_or_default() })
}

/// An exec as inspect shows it.
pub(crate) fn view(exec: &Exec) -> ExecView {
    let process = &exec.spec.process;
    let (running, exit_code, pid) = match exec.phase() {
        Phase::Created | Phase::Starting => (false, None, 0),
        Phase::Running { pid } => (true, None, pid),
        Phase::Ended { code, pid, .. } => (false, Some(code), pid.unwrap_or_default()),
    };
    let (entrypoint, arguments) = process
        .args
        .split_first()
        .map_or_else(Default::default, |(program, arguments)| (program.clone(), arguments.to_vec()));
    ExecView {
        id: exec.id().to_string(),
        running,
        exit_code,
        process_config: ProcessView {
            tty: process.terminal.is_some(),
            entrypoint,
            arguments,
            privileged: exec.privileged,
            user: process.user.user.clone(),
        },
        open_stdin: exec.streams.stdin,
        open_stderr: exec.streams.stderr,
        open_stdout: exec.streams.stdout,
        can_remove: matches!(exec.phase(), Phase::Ended { .. }),
        container_id: exec.container.to_string(),
        detach_keys: exec.detach_keys_text.clone(),
        pid,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::translate::create::tests::made;

    fn container() -> Container {
        made(json!({
            "Image": "busybox", "User": "app", "WorkingDir": "/srv", "Env": ["TIER=web"],
            "HostConfig": {"GroupAdd": ["wheel"], "CapDrop": ["ALL"]},
        }))
    }

    fn described(request: Value) -> Result<Description> {
        let request: ExecConfig = serde_json::from_value(request).expect("a request");
        describe("e1".parse()?, request, &container())
    }

    #[test]
    fn what_is_left_open_is_as_for_the_first_process() {
        let first = container().spec.process;
        let described = described(json!({"Cmd": ["ls", "-l"], "AttachStdout": true})).expect("accepted");
        let expected = Process { args: vec!["ls".into(), "-l".into()], ..first };
        assert_eq!(described.spec.process, expected);
        assert_eq!(described.streams, Streams { stdin: false, stdout: true, stderr: false });
        assert_eq!(described.spec.process.capabilities, CapabilitySet::EMPTY);
    }

    #[test]
    fn a_terminal_is_named_to_those_who_have_one() {
        let env = |container: Value, exec: Value| {
            let request: ExecConfig = serde_json::from_value(exec).expect("a request");
            describe("e1".parse().expect("an id"), request, &made(container)).expect("accepted").spec.process.env
        };
        let (with, without) = (json!({"Cmd": ["sh"], "Tty": true}), json!({"Cmd": ["sh"]}));
        let term = |env: Vec<String>| env.into_iter().find(|variable| variable.starts_with("TERM="));
        let terminal = json!({"Image": "x", "Tty": true});
        assert_eq!(term(env(terminal.clone(), without.clone())), None);
        assert_eq!(term(env(terminal, with.clone())).as_deref(), Some("TERM=xterm"));
        assert_eq!(term(env(json!({"Image": "x"}), with.clone())).as_deref(), Some("TERM=xterm"));
        let own = json!({"Image": "x", "Tty": true, "Env": ["TERM=vt100"]});
        assert_eq!(term(env(own.clone(), without)).as_deref(), Some("TERM=vt100"));
        assert_eq!(term(env(own, with)).as_deref(), Some("TERM=vt100"));
    }

    #[test]
    fn what_is_asked_for_wins() {
        let described = described(json!({
            "Cmd": ["sh"], "Tty": true, "AttachStdin": true, "ConsoleSize": [40, 120], "User": "0:0", "WorkingDir": "/tmp",
            "Env": ["TIER=db", "MORE=1", "LANG"], "Privileged": true, "DetachKeys": "ctrl-a,x",
        }))
        .expect("accepted");
        let process = &described.spec.process;
        assert_eq!(process.env, ["HOSTNAME=4ecb1f0e2ac2", "PATH=/bin", "TIER=db", "MORE=1", "TERM=xterm"]);
        assert_eq!((process.cwd.as_str(), process.user.user.as_str()), ("/tmp", "0:0"));
        assert_eq!(process.user.additional_groups, ["wheel"]);
        assert_eq!(process.terminal, Some(TerminalSize { columns: 120, rows: 40 }));
        assert_eq!((process.stdin, process.capabilities), (Stdin::Once, CapabilitySet::ALL));
        assert_eq!(process.seccomp, Seccomp::Unconfined);
        assert_eq!(described.detach_keys, DetachKeys::parse("ctrl-a,x").expect("keys"));
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        for (request, text) in [
            (json!({}), "No exec command specified"),
            (json!({"Cmd": [""]}), "No exec command specified"),
            (json!({"Cmd": ["sh"], "WorkingDir": "tmp"}), "the working directory 'tmp' is invalid"),
            (json!({"Cmd": ["sh"], "Env": ["=x"]}), "invalid environment variable: =x"),
            (json!({"Cmd": ["sh"], "DetachKeys": "nope"}), "Invalid detach keys (nope) provided"),
            (json!({"Cmd": ["sh"], "Tty": true, "ConsoleSize": [1, 70000]}), "invalid console size 1x70000"),
        ] {
            let message = described(request).expect_err(text).message();
            assert!(message.starts_with(text), "{message}");
        }
    }

    #[test]
    fn an_exec_is_shown_as_docker_shows_it() {
        let exec = Exec::new("c1".parse().expect("an id"), described(json!({"Cmd": ["ls", "-l"]})).expect("accepted"));
        insta::assert_json_snapshot!(view(&exec), @r#"
        {
          "ID": "e1",
          "Running": false,
          "ExitCode": null,
          "ProcessConfig": {
            "tty": false,
            "entrypoint": "ls",
            "arguments": [
              "-l"
            ],
            "privileged": false,
            "user": "app"
          },
          "OpenStdin": false,
          "OpenStderr": false,
          "OpenStdout": false,
          "CanRemove": false,
          "ContainerID": "c1",
          "DetachKeys": "",
          "Pid": 0
        }
        "#);
        exec.started(4711);
        assert_eq!((view(&exec).running, view(&exec).pid), (true, 4711));
        crate::exec::Registry::default().ended(&exec, 3, jiff::Timestamp::UNIX_EPOCH, || {});
        assert_eq!((view(&exec).running, view(&exec).exit_code, view(&exec).pid), (false, Some(3), 4711));
        let start = |body| start(serde_json::from_value(body).expect("a request"), &exec);
        assert_eq!(
            start(json!({"Detach": true})).expect("accepted"),
            Start { detach: true, size: None, terminal: false }
        );
        start(json!({"ConsoleSize": [1, 2]})).expect_err("no terminal");
    }
}
