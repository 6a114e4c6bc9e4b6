//! `POST /images/load` and `POST /images/create`.

use std::io::Read;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use images::{Import, LoadedImage, NoProgress, Platform, Progress, Reference};
use jiff::Timestamp;

use super::{ingest, progress, pull};
use crate::error::{Error, Result};
use crate::image::Images;
use crate::route::query::Query;
use crate::translate::image as translate;
use crate::wire::image::{CreateQuery, LoadQuery};
use crate::wire::progress::ProgressLine;
use crate::wire::registry_auth;

pub(super) async fn load(
    State(images): State<Arc<Images>>,
    RawQuery(raw): RawQuery,
    Query(query): Query<LoadQuery>,
    body: Body,
) -> Result<Response> {
    let platform = translate::only_platform(raw.as_deref().unwrap_or_default(), "platform")?;
    let quiet = query.quiet.unwrap_or_default();
    ingest::reply(images, body, quiet, move |images, archive, progress| {
        // With Docker, whatever is wrong with an archive is a line of a reply that has begun.
        Ok(match images.store.load_for(archive, platform.as_ref(), progress) {
            Ok(loaded) => loaded.iter().flat_map(|image| report_loaded(images, image)).collect(),
            Err(error) => vec![ProgressLine::failed(Error::from(error).message())],
        })
    })
    .await
}

/// Tells listeners, and the client by name.
fn report_loaded(images: &Images, image: &LoadedImage) -> Vec<ProgressLine> {
    let id = image.id.to_string();
    images.tell("load", image.id, &*id);
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
        images.tell("tag", image.id, reference.familiar());
        lines.push(ProgressLine::Text { stream: format!("Loaded image: {}\n", reference.familiar()) });
    }
    if image.references.is_empty() {
        lines.push(ProgressLine::Text { stream: format!("Loaded image ID: {id}\n") });
    }
    lines
}

pub(super) async fn create(
    State(images): State<Arc<Images>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let query = CreateQuery::parse(query.as_deref().unwrap_or_default());
    match (query.from_image.as_deref(), query.from_source.as_deref()) {
        (Some(image), _) => pull::pull(images, image, &query, registry_auth::credentials(&headers)).await,
        (None, Some("-")) => import(images, &query, body).await,
        (None, Some(source)) => import_from(images, source, &query).await,
        (None, None) => Err(Error::invalid("neither fromSrc nor fromImage is given: say what the image is made of")),
    }
}

async fn import(images: Arc<Images>, query: &CreateQuery, body: Body) -> Result<Response> {
    let import = described("-", query)?;
    ingest::reply(images, body, true, move |images, rootfs, progress| take_in(images, rootfs, &import, progress)).await
}

/// Fetches the root file system; who goes away meanwhile doesn't want it any more.
async fn import_from(images: Arc<Images>, source: &str, query: &CreateQuery) -> Result<Response> {
    let import = described(source, query)?;
    let url = url(source)?;
    progress::reply("importing an image", move |sender| {
        let heard = |done_bytes, total_bytes| match done_bytes {
            0 => sender.say(ProgressLine::Status { status: format!("Downloading from {url}") }),
            _ => sender.say(ProgressLine::step_of_unknown("Downloading", done_bytes, total_bytes)),
        };
        let rootfs = images.store.fetch(&images.registries, &url, &sender.called_off, &heard)?;
        take_in(&images, rootfs, &import, &NoProgress)
    })
    .await
}

/// Docker takes a source without a scheme for one of http.
fn url(source: &str) -> Result<String> {
    match source.split_once("://") {
        None => Ok(format!("http://{source}")),
        Some(("http" | "https", _)) => Ok(source.to_owned()),
        Some(_) => Err(Error::invalid(format!(
            "can't import from {source:?}: only http:// and https:// are fetched, or send the archive itself (docker import -)"
        ))),
    }
}

fn take_in(images: &Images, rootfs: impl Read, import: &Import, progress: &dyn Progress) -> Result<Vec<ProgressLine>> {
    let image = images.store.import(rootfs, import, progress)?;
    let id = image.to_string();
    images.tell("import", image, import.reference.as_ref().map_or(id.clone(), Reference::familiar));
    Ok(vec![ProgressLine::Status { status: id }])
}

/// What a request says about the image that is to be made.
fn described(source: &str, query: &CreateQuery) -> Result<Import> {
    images::check_changes(&query.changes, &images::ContainerConfig::default()).map_err(images::Error::from)?;
    Ok(Import {
        reference: match query.repo.as_str() {
            "" => None,
            repo => Some(translate::reference(repo, query.tag.as_deref().unwrap_or_default())?),
        },
        changes: query.changes.clone(),
        message: if query.message.is_empty() { format!("Imported from {source}") } else { query.message.clone() },
        platform: translate::platform(&query.platform)?.unwrap_or_else(Platform::host),
        created: Timestamp::now(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_urls_of_http() {
        for (source, expected) in [
            ("http://a.b/c", Some("http://a.b/c")),
            ("https://a.b/c", Some("https://a.b/c")),
            ("a.b/c", Some("http://a.b/c")),
            ("ftp://a.b/c", None),
            ("file:///etc/passwd", None),
        ] {
            assert_eq!(url(source).ok().as_deref(), expected, "{source}");
        }
    }
}
