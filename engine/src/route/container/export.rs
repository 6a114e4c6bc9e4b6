//! `GET /containers/{id}/export` and `GET /containers/{id}/changes`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use runtime::Scope;

use super::named::Named;
use crate::blocking::Blocking as _;
use crate::engine::Engine;
use crate::error::Result;
use crate::image::Images;
use crate::orchestrate::view;
use crate::stream::download;
use crate::wire::archive::ChangeView;

/// The whole root file system as a tar; not what is mounted in it.
pub(super) async fn export(State(engine): State<Engine>, Named(handle): Named) -> Result<Response> {
    let view = view::open(&engine, &handle, Scope::RootfsOnly).await?;
    engine.containers.tell(&handle.container(), "export", []);
    let body = download::body(move |output| Ok(images::files::pack_root(view.root(), output)?));
    Ok(([(CONTENT_TYPE, "application/octet-stream")], body).into_response())
}

pub(super) async fn changes(
    State(images): State<Arc<Images>>,
    Named(handle): Named,
) -> Result<Json<Option<Vec<ChangeView>>>> {
    let id = handle.id().clone();
    let changes = images.blocking(move |images| Ok(images.store.changes(id.as_str())?)).await?;
    let views: Vec<ChangeView> = changes.into_iter().map(ChangeView::from).collect();
    Ok(Json(Some(views).filter(|views| !views.is_empty())))
}
