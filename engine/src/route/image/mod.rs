//! `/images`. Names have slashes in them, so that what is asked of an image is the end of a path and not a segment.

mod bring;
mod ingest;
mod manage;
mod progress;
mod pull;
mod push;
mod save;

pub(crate) use manage::summaries;

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{FromRequestParts as _, Path, RawQuery, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use images::ImageId;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::events::Subject;
use crate::route::query::Query;
use crate::version::ApiVersion;
use crate::wire::image::{PlatformQuery, PushQuery, TagQuery};

pub(crate) fn routes() -> Router<Engine> {
    Router::new()
        .route("/images/json", get(manage::list))
        .route("/images/create", post(bring::create))
        .route("/images/load", post(bring::load))
        .route("/images/prune", post(manage::prune))
        .route("/images/get", get(save))
        .route("/images/{*name}", get(ask).post(change).merge(delete(manage::remove)))
}

async fn save(State(engine): State<Engine>, RawQuery(query): RawQuery) -> Result<Response> {
    save::save(engine, save::Wanted::parse(query.as_deref().unwrap_or_default())?).await
}

/// `GET /images/{name}/json` and its like.
async fn ask(
    State(engine): State<Engine>,
    version: ApiVersion,
    Path(path): Path<String>,
    Query(platform): Query<PlatformQuery>,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    match path.rsplit_once('/') {
        Some((name, "json")) => Ok(manage::inspect(engine, version, name.to_owned(), platform).await?.into_response()),
        Some((name, "history")) => Ok(manage::history(engine, name.to_owned(), platform).await?.into_response()),
        Some((name, "get")) => save::save(engine, save::Wanted::of(name, query.as_deref().unwrap_or_default())?).await,
        _ => Err(Error::not_found("page not found")),
    }
}

/// `POST /images/{name}/tag` and its like.
async fn change(State(engine): State<Engine>, Path(path): Path<String>, request: Request) -> Result<Response> {
    let (mut parts, _) = request.into_parts();
    match path.rsplit_once('/') {
        Some((name, "tag")) => {
            let Query(query) = Query::<TagQuery>::from_request_parts(&mut parts, &engine).await?;
            Ok(manage::tag(engine, name.to_owned(), query).await?.into_response())
        }
        Some((name, "push")) => {
            let Query(query) = Query::<PushQuery>::from_request_parts(&mut parts, &engine).await?;
            push::push(engine, name, query, &parts.headers).await
        }
        _ => Err(Error::not_found("page not found")),
    }
}

/// Tells listeners what happened to an image, which they may know by its labels; `name` is what it is called in this. Reads
/// the image: not for the threads of requests.
pub(crate) fn tell(engine: &Engine, action: &str, image: ImageId, name: impl Into<String>) {
    tell_of(engine, action, image.to_string(), name.into(), labels(engine, image));
}

/// The labels of an image, none if it is gone.
fn labels(engine: &Engine, image: ImageId) -> BTreeMap<String, String> {
    engine.images.get(&image.to_string()).map(|image| image.config.config.labels).unwrap_or_default()
}

/// As [`tell`], for what Docker calls by something else than the image's id, and for images that are gone.
fn tell_of(engine: &Engine, action: &str, id: String, name: String, labels: BTreeMap<String, String>) {
    let mut attributes = labels;
    attributes.insert("name".to_owned(), name);
    engine.tell(Subject::Image, action, id, attributes);
}
