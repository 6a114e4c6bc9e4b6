//! `/images`. Names have slashes in them, so that what is asked of an image is the end of a path and not a segment.

mod create;
mod ingest;
mod manage;
mod progress;
mod pull;
mod push;
mod save;

pub(crate) use manage::summaries;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts as _, Path, RawQuery, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::image::Images;
use crate::route::query::Query;
use crate::version::ApiVersion;
use crate::wire::image::{PlatformQuery, PushQuery, TagQuery};

pub(crate) fn routes() -> Router<Engine> {
    Router::new()
        .route("/images/json", get(manage::list))
        .route("/images/create", post(create::create))
        .route("/images/load", post(create::load))
        .route("/images/prune", post(manage::prune))
        .route("/images/get", get(save))
        .route("/images/{*name}", get(ask).post(change).merge(delete(manage::remove)))
}

async fn save(State(images): State<Arc<Images>>, RawQuery(query): RawQuery) -> Result<Response> {
    save::save(images, save::SaveRequest::parse(query.as_deref().unwrap_or_default())?).await
}

/// `GET /images/{name}/json` and its like.
async fn ask(
    State(images): State<Arc<Images>>,
    version: ApiVersion,
    Path(path): Path<String>,
    Query(platform): Query<PlatformQuery>,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    match path.rsplit_once('/') {
        Some((name, "json")) => Ok(manage::inspect(images, version, name.to_owned(), platform).await?.into_response()),
        Some((name, "history")) => Ok(manage::history(images, name.to_owned(), platform).await?.into_response()),
        Some((name, "get")) => {
            save::save(images, save::SaveRequest::of(name, query.as_deref().unwrap_or_default())?).await
        }
        _ => Err(Error::not_found("page not found")),
    }
}

/// `POST /images/{name}/tag` and its like.
async fn change(State(images): State<Arc<Images>>, Path(path): Path<String>, request: Request) -> Result<Response> {
    let (mut parts, _) = request.into_parts();
    match path.rsplit_once('/') {
        Some((name, "tag")) => {
            let Query(query) = Query::<TagQuery>::from_request_parts(&mut parts, &images).await?;
            Ok(manage::tag(images, name.to_owned(), query).await?.into_response())
        }
        Some((name, "push")) => {
            let Query(query) = Query::<PushQuery>::from_request_parts(&mut parts, &images).await?;
            push::push(images, name, query, &parts.headers).await
        }
        _ => Err(Error::not_found("page not found")),
    }
}
