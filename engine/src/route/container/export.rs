//! `GET /containers/{id}/export` and `GET /containers/{id}/changes`

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use runtime::Scope;

use super::named::Named;
use crate::engine::Engine;
use crate::error::Result;
use crate::orchestrate::view;
use crate::stream::download;
use crate::wire::archive::ChangeView;

/// The whole root file system as a tar; not what is mounted in it.
pub(super) async fn export(State(engine): State<Engine>, Named(handle): Named) -> Result<Response> {
    let view = view::open(&engine, &handle, Scope::RootfsOnly).await?;
    engine.container_event(&handle.container(), "export", []);
    let body = download::body(move |output| Ok(images::files::pack_root(&view.root, output)?));
    Ok(([(CONTENT_TYPE, "application/octet-stream")], body).into_response())
}

pub(super) async fn changes(
    State(engine): State<Engine>,
    Named(handle): Named,
) -> Result<Json<Option<Vec<ChangeView>>>> {
    let id = handle.id().clone();
    let changes = engine.blocking(move |engine| Ok(engine.images.changes(id.as_str())?)).await?;
    let views: Vec<ChangeView> = changes.into_iter().map(ChangeView::from).collect();
    Ok(Json(Some(views).filter(|views| !views.is_empty())))
}
