//! `/volumes`: there are no named ones yet, which lists say; anonymous ones belong to their containers.

use axum::extract::Path;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::filters::Filters;
use crate::route::query::Query;
use crate::wire::disk::NoneYet;
use crate::wire::image::PruneQuery;

pub(crate) fn routes() -> Router<Engine> {
    Router::new()
        .route("/volumes", get(list))
        .route("/volumes/create", post(create))
        .route("/volumes/prune", post(prune))
        .route("/volumes/{name}", get(inspect).delete(inspect).put(create))
}

/// Reply of `GET /volumes`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListView {
    volumes: Vec<NoneYet>,
    warnings: Option<Vec<String>>,
}

async fn list(Query(query): Query<PruneQuery>) -> Result<Json<ListView>> {
    Filters::parse(query.filters.as_deref())?.only(&["dangling", "driver", "label", "name"])?;
    Ok(Json(ListView { volumes: Vec::new(), warnings: None }))
}

/// Reply of `POST /volumes/prune`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PrunedView {
    volumes_deleted: Vec<NoneYet>,
    space_reclaimed: u64,
}

async fn prune(Query(query): Query<PruneQuery>) -> Result<Json<PrunedView>> {
    Filters::parse(query.filters.as_deref())?.only(&["all", "label", "label!"])?;
    Ok(Json(PrunedView { volumes_deleted: Vec::new(), space_reclaimed: 0 }))
}

async fn inspect(Path(name): Path<String>) -> Error {
    Error::not_found(format!("get {name}: no such volume"))
}

async fn create() -> Error {
    Error::not_implemented("named volumes (docker volume create): not supported by berth yet, bind-mount a directory")
}
