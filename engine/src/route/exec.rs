//! `/exec`, and `/containers/{id}/exec` where execs come from.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cnm::Kind;
use jiff::Timestamp;
use runtime::Target;
use runtime::spec::TerminalSize;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;

use crate::blocking::Blocking as _;
use crate::container::Containers;
use crate::engine::{Engine, random_id};
use crate::error::{Error, Result};
use crate::exec::{Exec, Phase};
use crate::frame::{OutputStream, frame};
use crate::orchestrate;
use crate::route::container::named::Named;
use crate::route::query::Query;
use crate::route::to_its_end;
use crate::stream::{Client, ClientStream, End, JsonBody, Rendering, Session, content_type};
use crate::translate;
use crate::version::ApiVersion;
use crate::wire::body;
use crate::wire::exec::{CreatedView, ExecView};
use crate::wire::lifecycle::ResizeQuery;
use crate::wire::models::{ExecConfig, ExecStartConfig};

/// How long a request for another size waits for an exec that is to be started; Docker waits as long.
const LONGEST_START: Duration = Duration::from_secs(10);

pub(crate) fn routes() -> Router<Engine> {
    Router::new()
        .route("/containers/{reference}/exec", post(create))
        .route("/exec/{id}/start", post(start))
        .route("/exec/{id}/resize", post(resize))
        .route("/exec/{id}/json", get(inspect))
}

/// Since this version a size counts.
const WITH_CONSOLE_SIZE: ApiVersion = ApiVersion::new(1, 42);

async fn create(
    State(containers): State<Arc<Containers>>,
    Path(reference): Path<String>,
    Named(handle): Named,
    version: ApiVersion,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<CreatedView>)> {
    let mut request: ExecConfig = body::parse(&body)?;
    request.console_size = request.console_size.filter(|_| version >= WITH_CONSOLE_SIZE);
    let container = handle.container();
    orchestrate::exec::check(&container, &reference)?;
    let description = translate::exec::describe(random_id().parse()?, request, &container)?;
    orchestrate::exec::check_user(&containers, &container, &description).await?;
    let exec = Arc::new(Exec::new(container.id.clone(), description));
    containers.execs.insert(exec.clone(), Timestamp::now());
    orchestrate::exec::tell(&containers, &exec, "exec_create", None);
    Ok((StatusCode::CREATED, Json(CreatedView { id: exec.id().to_string() })))
}

async fn start(
    State(containers): State<Arc<Containers>>,
    version: ApiVersion,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut client: Client,
) -> Result<Response> {
    let exec = containers.execs.find(&id)?;
    body::check_is_json(&headers)?;
    let mut request: ExecStartConfig = body::parse_or_default(&client.take_body().await?)?;
    request.console_size = request.console_size.filter(|_| version >= WITH_CONSOLE_SIZE);
    let start = translate::exec::start(request, &exec)?;
    orchestrate::exec::check(&containers.registry.find(exec.container.as_str())?.container(), exec.container.as_str())?;
    exec.may_start()?;
    let starting = {
        let exec = exec.clone();
        async move { orchestrate::exec::start(&containers, &exec, start.size, !start.detach).await }
    };
    // Before the reply: a container that ends meanwhile is a refusal, not output.
    let process = match to_its_end("starting an exec", starting).await {
        Err(error) if start.detach || error.kind() == Kind::Conflict => return Err(error),
        _ if start.detach => return Ok(StatusCode::OK.into_response()),
        process => process,
    };
    Ok(client.stream(content_type(start.terminal, version), move |mut client| async move {
        match process {
            Ok(process) => follow(&mut client, &exec, process, start.terminal).await,
            Err(error) => complain(&mut client, start.terminal, &error).await,
        }
        client
    }))
}

/// Passes the streams through. What the client was told of a terminal in the request to start it counts, not what the exec has.
async fn follow(client: &mut ClientStream, exec: &Exec, process: Option<UnixStream>, terminal: bool) {
    let Some(process) = process else { return };
    let session = Session {
        stdin: exec.streams.stdin,
        detach: exec.terminal().map(|_| exec.detach_keys.clone()),
        rendering: Rendering::of(exec.terminal().is_some(), terminal),
    };
    if session.run(client, process).await == End::Output {
        // Clients ask for the exit code once the stream has ended.
        exec.ended().await;
    }
}

/// As with Docker, what went wrong goes where output would: clients ask for the exit code afterwards.
async fn complain(client: &mut ClientStream, terminal: bool, error: &Error) {
    let message = format!("{}\r\n", error.message());
    let bytes = match terminal {
        true => message.into(),
        false => frame(OutputStream::Stdout, message.as_bytes()),
    };
    if client.output.write_all(&bytes).await.is_err() {
        tracing::debug!("a client left before it heard: {}", error.message());
    }
}

async fn resize(
    State(containers): State<Arc<Containers>>,
    Path(id): Path<String>,
    Query(query): Query<ResizeQuery>,
) -> Result<StatusCode> {
    let exec = containers.execs.find(&id)?;
    // Clients ask for it as soon as they have asked for the start.
    match tokio::time::timeout(LONGEST_START, exec.begun()).await {
        Ok(Phase::Running { .. }) => {}
        Ok(_) => return Err(Error::conflict(format!("exec command {id} is not running"))),
        Err(_elapsed) => return Err(Error::conflict("timeout waiting for exec session ready")),
    }
    if exec.terminal().is_none() {
        // As with Docker: there is nothing to be resized, and that is no error.
        return Ok(StatusCode::OK);
    }
    let size = TerminalSize { columns: query.w, rows: query.h };
    containers
        .blocking(move |containers| {
            let target = Target::Exec { container: &exec.container, exec: exec.id() };
            Ok(containers.runtime.resize(target, size)?)
        })
        .await?;
    Ok(StatusCode::OK)
}

async fn inspect(State(containers): State<Arc<Containers>>, Path(id): Path<String>) -> Result<Json<ExecView>> {
    Ok(Json(translate::exec::view(&*containers.execs.find(&id)?)))
}
