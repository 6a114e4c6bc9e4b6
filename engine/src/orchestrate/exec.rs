//! `exec`: a further process in a running container, from its start to its end.

use std::sync::Arc;

use jiff::Timestamp;
use runtime::spec::TerminalSize;
use runtime::{Exit, StartWarnings, Started, Status, Target, Watch};
use tokio::net::UnixStream;

use crate::blocking::Blocking as _;
use crate::container::owned::{ExitFuture, exit_of, readable, to_async};
use crate::container::state::Phase;
use crate::container::{Container, Containers};
use crate::error::{Error, Result, chain};
use crate::exec::{Description, Exec};
use crate::orchestrate::exit;

/// Refuses a container in which nothing can be run; `reference` is how the user names it.
pub(crate) fn check(container: &Container, reference: &str) -> Result<()> {
    match container.state.phase {
        Phase::Paused { .. } => {
            Err(Error::conflict(format!("Container {reference} is paused, unpause the container before exec")))
        }
        _ => container.state.running_pid(container.id.as_str()).map(drop),
    }
}

/// Refuses a user of the request's own that the container doesn't know.
pub(crate) async fn check_user(
    containers: &Arc<Containers>,
    container: &Container,
    described: &Description,
) -> Result<()> {
    let user = described.spec.process.user.clone();
    if user == container.spec.process.user {
        return Ok(());
    }
    let id = container.id.clone();
    let known = containers.blocking(move |containers| Ok(containers.runtime.check_user(&id, &user)?)).await;
    known.map_err(|error| match error {
        Error::Runtime(runtime::Error::Start { message, .. }) => Error::invalid(message),
        error => error,
    })
}

/// What came of a start.
struct Begun {
    started: Started,
    watch: Watch,
    stream: Option<UnixStream>,
    warnings: StartWarnings,
}

/// Starts an exec. With `attach`, answers with its streams.
pub(crate) async fn start(
    containers: &Arc<Containers>,
    exec: &Arc<Exec>,
    size: Option<TerminalSize>,
    attach: bool,
) -> Result<Option<UnixStream>> {
    let handle = containers.registry.find(exec.container.as_str())?;
    check(&handle.container(), exec.container.as_str())?;
    exec.claim_start()?;
    let starting = exec.clone();
    let begun = containers.blocking(move |containers| begin(containers, &starting, size, attach)).await;
    let Begun { started, watch, stream, warnings } = match begun {
        Ok(begun) => begun,
        Err(error) => {
            // Docker has 126 for whatever keeps an exec from starting, unless its program isn't there.
            let code = if matches!(&error, Error::ExecStart(cause) if cause.exit_code() == 127) { 127 } else { 126 };
            containers.execs.ended(exec, code, Timestamp::now(), || {});
            return Err(reason(containers, exec, error).await);
        }
    };
    exec.started(started.pid);
    tell(containers, exec, "exec_start", None);
    let end = see_to_its_end(containers.clone(), exec.clone(), exit_of(watch)?);
    let heard = readable(warnings.as_fd())?;
    let exec = exec.clone();
    tokio::spawn(async move {
        if heard.await.is_ok()
            && let Some(problem) = warnings.receive()
        {
            let (container, exec) = (&exec.container, exec.id());
            tracing::warn!(%container, %exec, "an exec's monitor is still part of berthd's service and ends with it: {problem}");
        }
        end.await;
    });
    Ok(stream)
}

/// Why it couldn't be started: whatever fails in a container that ends, it is its end.
async fn reason(containers: &Arc<Containers>, exec: &Exec, error: Error) -> Error {
    let container = exec.container.clone();
    let id = container.clone();
    match containers.blocking(move |containers| Ok(containers.runtime.is_alive(&id)?)).await {
        Ok(false) => {
            tracing::debug!(exec = %exec.id(), "a container ended while an exec was started: {}", error.message());
            Error::conflict(format!("container {container} is not running"))
        }
        _ => error,
    }
}

fn begin(containers: &Containers, exec: &Exec, size: Option<TerminalSize>, attach: bool) -> Result<Begun> {
    let mut spec = exec.spec.clone();
    if size.is_some() {
        spec.process.terminal = size;
    }
    let target = Target::Exec { container: &exec.container, exec: exec.id() };
    let starting = containers.runtime.exec(&exec.container, &spec).map_err(Error::ExecStart)?;
    let attachment = match attach {
        true => Some(starting.attach(exec.streams)?),
        false => None,
    };
    let (started, warnings) = starting.release().map_err(Error::ExecStart)?;
    let watch = containers.runtime.watch(target)?;
    let stream = attachment.map(|attachment| to_async(attachment.into_stream()?)).transpose()?;
    Ok(Begun { started, watch, stream, warnings })
}

/// Waits for the end of the process, records it, and clears up after it.
async fn see_to_its_end(containers: Arc<Containers>, exec: Arc<Exec>, exit: ExitFuture) {
    let exit = match exit.await {
        Ok(exit) => exit,
        Err(error) => orphaned(&containers, &exec, &chain(&error)).await,
    };
    let cleared = exec.clone();
    let forget = containers.blocking(move |containers| {
        let target = Target::Exec { container: &cleared.container, exec: cleared.id() };
        Ok(containers.runtime.delete(target)?)
    });
    if let Err(error) = forget.await {
        tracing::error!(exec = %exec.id(), "clearing up after an exec: {}", chain(&error));
    }
    containers.execs.ended(&exec, exit.code, exit.at, || tell(&containers, &exec, "exec_die", Some(exit.code)));
}

/// Its monitor is gone without a word: end what is left.
async fn orphaned(containers: &Arc<Containers>, exec: &Arc<Exec>, problem: &str) -> Exit {
    tracing::warn!(exec = %exec.id(), "an exec's monitor is gone, ending the exec: {problem}");
    let ended = exec.clone();
    let status = containers.blocking(move |containers| {
        let target = Target::Exec { container: &ended.container, exec: ended.id() };
        Ok(containers.runtime.recover(target)?)
    });
    match status.await {
        Ok(Status::Exited(exit)) => exit,
        _ => exit::killed(problem),
    }
}

/// Tells listeners, in whose events the command is part of the action.
pub(crate) fn tell(containers: &Containers, exec: &Exec, action: &str, exit_code: Option<u8>) {
    let Ok(handle) = containers.registry.find(exec.container.as_str()) else { return };
    let id = ("execID", exec.id().to_string());
    match exit_code {
        Some(code) => containers.tell(&handle.container(), action, [id, ("exitCode", code.to_string())]),
        None => {
            let command = exec.spec.process.args.join(" ");
            containers.tell(&handle.container(), format!("{action}: {command}"), [id]);
        }
    }
}
