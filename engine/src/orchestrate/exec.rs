//! `exec`: a further process in a running container, from its start to its end.

use std::sync::Arc;

use jiff::Timestamp;
use runtime::spec::TerminalSize;
use runtime::{Exit, Started, Status, Target, Watch};
use tokio::net::UnixStream;

use crate::container::Container;
use crate::container::owned::{ExitFuture, exit_of, to_async};
use crate::container::state::Phase;
use crate::engine::Engine;
use crate::error::{Error, Result, chain};
use crate::exec::Exec;
use crate::orchestrate::exit;

/// Refuses a container in which nothing can be run.
pub(crate) fn check(container: &Container) -> Result<()> {
    match container.state.phase {
        Phase::Paused { .. } => {
            Err(Error::conflict(format!("container {} is paused, unpause the container before exec", container.id)))
        }
        _ => container.state.running_pid(container.id.as_str()).map(drop),
    }
}

/// What came of a start.
struct Begun {
    started: Started,
    watch: Watch,
    stream: Option<UnixStream>,
}

/// Starts an exec. With `attach`, answers with its streams.
pub(crate) async fn start(
    engine: &Engine,
    exec: &Arc<Exec>,
    size: Option<TerminalSize>,
    attach: bool,
) -> Result<Option<UnixStream>> {
    let handle = engine.containers.find(exec.container.as_str())?;
    check(&handle.container())?;
    exec.claim_start()?;
    let starting = exec.clone();
    let begun = engine.blocking(move |engine| begin(engine, &starting, size, attach)).await;
    let Begun { started, watch, stream } = match begun {
        Ok(begun) => begun,
        Err(error) => {
            // Docker has 126 for whatever keeps an exec from starting, unless its program isn't there.
            let code = if matches!(&error, Error::ExecStart(cause) if cause.exit_code() == 127) { 127 } else { 126 };
            engine.execs.ended(exec, code, Timestamp::now());
            return Err(error);
        }
    };
    exec.started(started.pid);
    tell(engine, exec, "exec_start", None);
    tokio::spawn(see_to_its_end(engine.clone(), exec.clone(), exit_of(watch)?));
    Ok(stream)
}

fn begin(engine: &Engine, exec: &Exec, size: Option<TerminalSize>, attach: bool) -> Result<Begun> {
    let mut spec = exec.spec.clone();
    if size.is_some() {
        spec.process.terminal = size;
    }
    let target = Target::Exec { container: &exec.container, exec: exec.id() };
    let starting = engine.runtime.exec(&exec.container, &spec).map_err(Error::ExecStart)?;
    let attachment = match attach {
        true => Some(starting.attach(exec.streams)?),
        false => None,
    };
    let started = starting.release().map_err(Error::ExecStart)?;
    let watch = engine.runtime.watch(target)?;
    let stream = attachment.map(|attachment| to_async(attachment.into_stream()?)).transpose()?;
    Ok(Begun { started, watch, stream })
}

/// Waits for the end of the process, records it, and clears up after it.
async fn see_to_its_end(engine: Engine, exec: Arc<Exec>, exit: ExitFuture) {
    let exit = match exit.await {
        Ok(exit) => exit,
        Err(error) => orphaned(&engine, &exec, &chain(&error)).await,
    };
    let cleared = exec.clone();
    let forget = engine.blocking(move |engine| {
        let target = Target::Exec { container: &cleared.container, exec: cleared.id() };
        Ok(engine.runtime.delete(target)?)
    });
    if let Err(error) = forget.await {
        tracing::error!(exec = %exec.id(), "clearing up after an exec: {}", chain(&error));
    }
    engine.execs.ended(&exec, exit.code, exit.at);
    tell(&engine, &exec, "exec_die", Some(exit.code));
}

/// Its monitor is gone without a word: end what is left.
async fn orphaned(engine: &Engine, exec: &Arc<Exec>, problem: &str) -> Exit {
    tracing::warn!(exec = %exec.id(), "an exec's monitor is gone, ending the exec: {problem}");
    let ended = exec.clone();
    let status = engine.blocking(move |engine| {
        let target = Target::Exec { container: &ended.container, exec: ended.id() };
        Ok(engine.runtime.recover(target)?)
    });
    match status.await {
        Ok(Status::Exited(exit)) => exit,
        _ => exit::killed(problem),
    }
}

/// Tells listeners, in whose events the command is part of the action.
pub(crate) fn tell(engine: &Engine, exec: &Exec, action: &str, exit_code: Option<u8>) {
    let Ok(handle) = engine.containers.find(exec.container.as_str()) else { return };
    let id = ("execID", exec.id().to_string());
    match exit_code {
        Some(code) => engine.container_event(&handle.container(), action, [id, ("exitCode", code.to_string())]),
        None => {
            let command = exec.spec.process.args.join(" ");
            engine.container_event(&handle.container(), format!("{action}: {command}"), [id]);
        }
    }
}
