//! What happens to a container: start, stop, restart, kill, pause, unpause, rename, resize, remove.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use runtime::Target;
use runtime::spec::TerminalSize;

use super::named::Named;
use crate::blocking::Blocking as _;
use crate::container::Containers;
use crate::container::state::Outcome;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::netd::Netd;
use crate::orchestrate::remove::AnonymousVolumes;
use crate::orchestrate::stop::{self, StopOptions};
use crate::orchestrate::{pause, remove as removal, rename as renaming, signal as kills, start as starting};
use crate::route::query::Query;
use crate::route::to_its_end;
use crate::signal;
use crate::wire::lifecycle::{KillQuery, RemoveQuery, RenameQuery, ResizeQuery, StartQuery, StopQuery};

/// 304 says that the container was there already.
fn status(outcome: Outcome) -> StatusCode {
    match outcome {
        Outcome::Done => StatusCode::NO_CONTENT,
        Outcome::AlreadySo => StatusCode::NOT_MODIFIED,
    }
}

pub(super) async fn start(
    State(engine): State<Engine>,
    Named(handle): Named,
    Query(query): Query<StartQuery>,
) -> Result<StatusCode> {
    if !query.checkpoint.is_empty() || !query.checkpoint_dir.is_empty() {
        return Err(Error::not_implemented("checkpoints (docker checkpoint): not supported by berth yet"));
    }
    handle.run_with(&engine, |engine, owned| Box::pin(starting::start(engine, owned))).await.map(status)
}

pub(super) async fn stop(
    State(containers): State<Arc<Containers>>,
    Named(handle): Named,
    Query(query): Query<StopQuery>,
) -> Result<StatusCode> {
    let options = stop_options(&query)?;
    let stopped = to_its_end("stopping a container", async move { stop::stop(&containers, &handle, options).await });
    stopped.await.map(status)
}

pub(super) async fn restart(
    State(engine): State<Engine>,
    Named(handle): Named,
    Query(query): Query<StopQuery>,
) -> Result<StatusCode> {
    let options = stop_options(&query)?;
    to_its_end("restarting a container", async move { stop::restart(&engine, &handle, options).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn stop_options(query: &StopQuery) -> Result<StopOptions> {
    let signal = Some(query.signal.as_str()).filter(|text| !text.is_empty()).map(signal::parse).transpose()?;
    Ok(StopOptions { signal, timeout_seconds: query.t })
}

pub(super) async fn kill(
    State(containers): State<Arc<Containers>>,
    Path(reference): Path<String>,
    Query(query): Query<KillQuery>,
) -> Result<StatusCode> {
    let number = match query.signal.as_str() {
        "" => signal::KILL,
        text => signal::parse(text)?,
    };
    let handle = containers.registry.find(&reference)?;
    let killed = to_its_end("killing a container", async move { kills::kill_and_see(&handle, number).await });
    killed.await.map_err(|error| match error {
        Error::Refused { kind, message } => {
            Error::refused(kind, format!("cannot kill container: {reference}: {message}"))
        }
        error => error,
    })?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn pause(Named(handle): Named) -> Result<StatusCode> {
    handle.run(|owned| Box::pin(pause::pause(owned))).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn unpause(Named(handle): Named) -> Result<StatusCode> {
    handle.run(|owned| Box::pin(pause::unpause(owned))).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn rename(
    State(netd): State<Arc<Netd>>,
    Named(handle): Named,
    Query(query): Query<RenameQuery>,
) -> Result<StatusCode> {
    let renamed = handle
        .run_with(&netd, move |netd, owned| Box::pin(async move { renaming::rename(netd, owned, &query.name).await }));
    renamed.await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn resize(
    State(containers): State<Arc<Containers>>,
    Named(handle): Named,
    Query(query): Query<ResizeQuery>,
) -> Result<StatusCode> {
    let container = handle.container();
    container.state.running_pid(container.id.as_str())?;
    if container.spec.process.terminal.is_none() {
        // As with Docker: there is nothing to be resized, and that is no error.
        return Ok(StatusCode::OK);
    }
    let size = TerminalSize { columns: query.w, rows: query.h };
    let resize =
        move |containers: &Arc<Containers>| Ok(containers.runtime.resize(Target::Container(&container.id), size)?);
    containers.blocking(resize).await?;
    let event = [("height", query.h.to_string()), ("width", query.w.to_string())];
    containers.tell(&handle.container(), "resize", event);
    Ok(StatusCode::OK)
}

pub(super) async fn remove(
    State(engine): State<Engine>,
    Named(handle): Named,
    Query(query): Query<RemoveQuery>,
) -> Result<StatusCode> {
    if query.link {
        return Err(Error::not_implemented("removing links (docker rm --link): not supported by berth yet"));
    }
    let volumes = if query.v { AnonymousVolumes::Remove } else { AnonymousVolumes::Keep };
    let remove =
        handle.run_with(&engine, move |engine, owned| Box::pin(removal::remove(engine, owned, query.force, volumes)));
    remove.await?;
    Ok(StatusCode::NO_CONTENT)
}
