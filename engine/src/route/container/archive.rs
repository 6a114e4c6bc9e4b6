//! `/containers/{id}/archive`: files out of a container and into it, as tars (`docker cp`).

use std::io;
use std::path::Path as FilePath;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::response::{IntoResponse as _, Response};
use cnm::Kind;
use futures::TryStreamExt as _;
use images::files::{Extraction, FileStat, Ownership};
use runtime::Scope;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::named::Named;
use crate::blocking::Blocking as _;
use crate::container::{Container, Handle};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::orchestrate::view::{self, ContainerFiles};
use crate::route::query::Query;
use crate::stream::download;
use crate::translate::archive as translate;
use crate::wire::archive::ArchiveQuery;

const STAT: HeaderName = HeaderName::from_static("x-docker-container-path-stat");

pub(super) async fn stat(
    State(engine): State<Engine>,
    Path(given): Path<String>,
    Named(handle): Named,
    Query(query): Query<ArchiveQuery>,
) -> Result<Response> {
    let (_, stat) = look(&engine, &handle, &given, &query.path).await?;
    Ok([(STAT, translate::stat_header(&stat))].into_response())
}

pub(super) async fn get(
    State(engine): State<Engine>,
    Path(given): Path<String>,
    Named(handle): Named,
    Query(query): Query<ArchiveQuery>,
) -> Result<Response> {
    let (view, stat) = look(&engine, &handle, &given, &query.path).await?;
    engine.containers.tell(&handle.container(), "archive-path", []);
    let path = translate::path(&query.path)?;
    let body = download::body(move |output| Ok(images::files::pack_path(view.root(), &path, output)?));
    let headers = [(CONTENT_TYPE, "application/x-tar".to_owned()), (STAT, translate::stat_header(&stat))];
    Ok((headers, body).into_response())
}

async fn look(engine: &Engine, handle: &Handle, given: &str, text: &str) -> Result<(ContainerFiles, FileStat)> {
    let path = translate::path(text)?;
    let view = view::open(engine, handle, Scope::Mounts).await?;
    let (text, given) = (text.to_owned(), given.to_owned());
    engine
        .blocking(move |_| match images::files::stat(view.root(), &path) {
            Ok(stat) => Ok((view, stat)),
            Err(error) => Err(unreachable_path(error, &text, &given)),
        })
        .await
}

/// Docker's words for a path that leads nowhere in a container, which is called as the request did.
fn unreachable_path(error: io::Error, path: &str, container: &str) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Error::not_found(format!("Could not find the file {path} in container {container}"))
        }
        _ => Error::io(format!("looking at {path} in container {container}"))(error),
    }
}

pub(super) async fn put(
    State(engine): State<Engine>,
    Path(given): Path<String>,
    Named(handle): Named,
    Query(query): Query<ArchiveQuery>,
    body: Body,
) -> Result<StatusCode> {
    let mut archive = SyncIoBridge::new(StreamReader::new(body.into_data_stream().map_err(io::Error::other)));
    let path = translate::path(&query.path)?;
    let view = view::open(&engine, &handle, Scope::Mounts).await?;
    let container = handle.container();
    engine.blocking(move |_| extract(&view, &path, &query, (&container, &given), &mut archive)).await?;
    engine.containers.tell(&handle.container(), "extract-to-dir", []);
    Ok(StatusCode::OK)
}

fn extract(
    view: &ContainerFiles,
    path: &FilePath,
    query: &ArchiveQuery,
    (container, given): (&Container, &str),
    archive: &mut dyn io::Read,
) -> Result<()> {
    let user = &container.spec.process.user;
    let owner = match query.copy_uid_gid && !user.user.is_empty() {
        true => Some(view.root().resolve_user(user).map(|(uid, gid)| Ownership { uid, gid })?),
        false => None,
    };
    let extraction = Extraction { directory: path.to_owned(), keep_kinds: query.no_overwrite_dir_non_dir, owner };
    images::files::extract(view.root(), archive, &extraction).map_err(|error| match Error::from(error) {
        error if error.kind() == Kind::NotFound => {
            Error::not_found(format!("Could not find the file {} in container {given}", query.path))
        }
        error => error,
    })
}
