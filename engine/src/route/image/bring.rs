//! How images come here: `POST /images/load` and `POST /images/create`.

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use images::{Import, LoadedImage, Platform, Reference};
use jiff::Timestamp;

use super::{ingest, pull, tell};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::route::query::Query;
use crate::translate::image as translate;
use crate::wire::image::{CreateQuery, LoadQuery};
use crate::wire::progress::ProgressLine;
use crate::wire::registry_auth;

pub(super) async fn load(State(engine): State<Engine>, Query(query): Query<LoadQuery>, body: Body) -> Result<Response> {
    let platform = translate::platform(query.platform.as_deref().unwrap_or_default())?;
    let quiet = query.quiet.unwrap_or_default();
    ingest::reply(engine, body, quiet, move |engine, archive, progress| {
        let loaded = engine.images.load_for(archive, platform.as_ref(), progress)?;
        Ok(loaded.iter().flat_map(|image| report_loaded(engine, image)).collect())
    })
    .await
}

/// Tells listeners, and the client by name.
fn report_loaded(engine: &Engine, image: &LoadedImage) -> Vec<ProgressLine> {
    let id = image.id.to_string();
    tell(engine, "load", id.clone(), id.clone());
    let mut lines = Vec::new();
    for (reference, former) in &image.replaced {
        lines.push(ProgressLine::Text {
            stream: format!(
                "The image {} already exists, renaming the old one with ID {former} to empty string\n",
                reference.familiar()
            ),
        });
    }
    for reference in &image.references {
        tell(engine, "tag", id.clone(), reference.familiar());
        lines.push(ProgressLine::Text { stream: format!("Loaded image: {}\n", reference.familiar()) });
    }
    if image.references.is_empty() {
        lines.push(ProgressLine::Text { stream: format!("Loaded image ID: {id}\n") });
    }
    lines
}

pub(super) async fn create(
    State(engine): State<Engine>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let query = CreateQuery::parse(query.as_deref().unwrap_or_default());
    match (query.from_image.as_deref(), query.from_source.as_deref()) {
        (Some(image), _) => pull::pull(engine, image, &query, registry_auth::credentials(&headers)?).await,
        (None, Some("-")) => import(engine, &query, body).await,
        (None, Some(source)) => Err(Error::not_implemented(format!(
            "importing from {source}: berth downloads nothing yet, send the root file system itself (docker import -)"
        ))),
        (None, None) => Err(Error::invalid("neither fromSrc nor fromImage is given: say what the image is made of")),
    }
}

async fn import(engine: Engine, query: &CreateQuery, body: Body) -> Result<Response> {
    let import = described(query)?;
    ingest::reply(engine, body, true, move |engine, rootfs, progress| {
        let id = engine.images.import(rootfs, &import, progress)?.to_string();
        tell(engine, "import", id.clone(), import.reference.as_ref().map_or(id.clone(), Reference::familiar));
        Ok(vec![ProgressLine::Status { status: id }])
    })
    .await
}

/// What a request says about the image that its body is to become.
fn described(query: &CreateQuery) -> Result<Import> {
    let changes = query.changes.iter().map(|change| change.parse().map_err(images::Error::from));
    Ok(Import {
        reference: match query.repo.as_str() {
            "" => None,
            repo => Some(translate::reference(repo, query.tag.as_deref().unwrap_or_default())?),
        },
        changes: changes.collect::<Result<_, images::Error>>()?,
        message: if query.message.is_empty() { "Imported from -".to_owned() } else { query.message.clone() },
        platform: translate::platform(&query.platform)?.unwrap_or_else(Platform::host),
        created: Timestamp::now(),
    })
}
