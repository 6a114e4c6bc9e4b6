//! `/exec`, and `/containers/{id}/exec` where execs come from.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bollard_stubs::models::{ExecConfig, ExecStartConfig};
use jiff::Timestamp;
use runtime::Target;
use runtime::spec::TerminalSize;
use tokio::io::AsyncWriteExt as _;

use crate::engine::{Engine, random_id};
use crate::error::{Error, Result};
use crate::exec::{Exec, Phase};
use crate::frame::{OutputStream, frame};
use crate::orchestrate;
use crate::route::container::named::Named;
use crate::route::query::Query;
use crate::route::to_its_end;
use crate::stream::{Client, ClientStream, End, Session, Whole, content_type};
use crate::translate;
use crate::version::ApiVersion;
use crate::wire::body;
use crate::wire::exec::{CreatedView, ExecView};
use crate::wire::lifecycle::ResizeQuery;

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
    State(engine): State<Engine>,
    Named(handle): Named,
    version: ApiVersion,
    Whole(body): Whole,
) -> Result<(StatusCode, Json<CreatedView>)> {
    let mut request: ExecConfig = body::parse(&body)?;
    request.console_size = request.console_size.filter(|_| version >= WITH_CONSOLE_SIZE);
    let container = handle.container();
    orchestrate::exec::check(&container)?;
    let description = translate::exec::describe(random_id().parse()?, request, &container)?;
    let exec = Arc::new(Exec::new(container.id.clone(), description));
    engine.execs.insert(exec.clone(), Timestamp::now());
    orchestrate::exec::tell(&engine, &exec, "exec_create", None);
    Ok((StatusCode::CREATED, Json(CreatedView { id: exec.id().to_string() })))
}

async fn start(
    State(engine): State<Engine>,
    version: ApiVersion,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut client: Client,
) -> Result<Response> {
    body::check_is_json(&headers)?;
    let mut request: ExecStartConfig = body::parse_or_default(&client.take_body().await?)?;
    request.console_size = request.console_size.filter(|_| version >= WITH_CONSOLE_SIZE);
    let exec = engine.execs.find(&id)?;
    let start = translate::exec::start(request, &exec)?;
    orchestrate::exec::check(&engine.containers.find(exec.container.as_str())?.container())?;
    exec.may_start()?;
    if start.detach {
        to_its_end(
            "starting an exec",
            async move { orchestrate::exec::start(&engine, &exec, start.size, false).await },
        )
        .await?;
        return Ok(StatusCode::OK.into_response());
    }
    let content_type = content_type(exec.terminal().is_some(), version);
    Ok(client.stream(content_type, move |mut client| async move {
        match orchestrate::exec::start(&engine, &exec, start.size, true).await {
            Ok(Some(process)) => {
                let detach = exec.terminal().map(|_| exec.detach_keys.clone());
                let session = Session { stdin: exec.streams.stdin, detach };
                if session.run(&mut client, process).await == End::Output {
                    // Clients ask for the exit code once the stream has ended.
                    exec.ended().await;
                }
            }
            Ok(None) => {}
            Err(error) => complain(&mut client, &exec, &error).await,
        }
        // Nobody is left to tell if it fails.
        let _ = client.output.shutdown().await;
    }))
}

/// The reply has begun: what went wrong can only go where output would.
async fn complain(client: &mut ClientStream, exec: &Exec, error: &Error) {
    let message = format!("{}\r\n", error.message());
    let bytes = match exec.terminal() {
        Some(_) => message.into(),
        None => frame(OutputStream::Stdout, message.as_bytes()),
    };
    if client.output.write_all(&bytes).await.is_err() {
        tracing::debug!("a client left before it heard: {}", error.message());
    }
}

async fn resize(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(query): Query<ResizeQuery>,
) -> Result<StatusCode> {
    let exec = engine.execs.find(&id)?;
    if !matches!(exec.phase(), Phase::Running { .. }) {
        return Err(Error::conflict(format!("exec command {id} is not running")));
    }
    if exec.terminal().is_none() {
        // As with Docker: there is nothing to be resized, and that is no error.
        return Ok(StatusCode::OK);
    }
    let size = TerminalSize { columns: query.w, rows: query.h };
    engine
        .blocking(move |engine| {
            let target = Target::Exec { container: &exec.container, exec: exec.id() };
            Ok(engine.runtime.resize(target, size)?)
        })
        .await?;
    Ok(StatusCode::OK)
}

async fn inspect(State(engine): State<Engine>, Path(id): Path<String>) -> Result<Json<ExecView>> {
    Ok(Json(translate::exec::view(&*engine.execs.find(&id)?)))
}
