//! `POST /images/{name}/push`: giving images to a registry.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::Response;
use images::{Credentials, DiffId, Platform, PushProgress, PushRequest, PushStep, Pushed, Reference};

use super::progress::{self, ProgressSender};
use crate::error::Result;
use crate::image::Images;
use crate::translate::image as translate;
use crate::wire::image::PushQuery;
use crate::wire::progress::{Aux, ProgressLine};
use crate::wire::registry_auth;

pub(super) async fn push(images: Arc<Images>, name: &str, query: PushQuery, headers: &HeaderMap) -> Result<Response> {
    let credentials = registry_auth::credentials(headers);
    let platform = translate::platform(&query.platform)?;
    let named = Reference::parse(name).and_then(|reference| match query.tag.as_str() {
        "" => Ok(reference),
        tag => reference.with_tag(tag),
    });
    let reference = named.map_err(images::Error::from)?;
    progress::reply("pushing an image", move |sender| {
        let status = format!("The push refers to repository [{}]", reference.name());
        sender.say(ProgressLine::Status { status });
        // Without a tag, the API means all tags.
        let references = match reference.tag().is_some() || reference.digest().is_some() {
            true => vec![reference],
            false => images.store.tags(&reference)?,
        };
        let mut end = Vec::new();
        for reference in references {
            end.extend(push_one(&images, reference, platform.clone(), credentials.clone(), sender)?);
        }
        Ok(end)
    })
    .await
}

fn push_one(
    images: &Images,
    reference: Reference,
    platform: Option<Platform>,
    credentials: Credentials,
    sender: &ProgressSender,
) -> Result<Vec<ProgressLine>> {
    let request =
        PushRequest { reference: reference.clone(), platform, credentials, called_off: sender.called_off.clone() };
    let pushed = images.store.push(&images.registries, &request, &Listener { sender })?;
    let labels = images.store.resolve(&reference.to_string())?.map(|image| images.labels(image)).unwrap_or_default();
    images.tell_of("push", reference.familiar(), reference.familiar_name(), labels);
    Ok(result(&pushed, reference.tag().unwrap_or_default()))
}

fn result(Pushed { digest, size_bytes }: &Pushed, tag: &str) -> Vec<ProgressLine> {
    let aux = Aux { tag: tag.to_owned(), digest: digest.to_string(), size_bytes: *size_bytes };
    vec![ProgressLine::Status { status: format!("{tag}: digest: {digest} size: {size_bytes}") }, ProgressLine::aux(aux)]
}

/// Says a push's steps to the client, in its words.
struct Listener<'a> {
    sender: &'a ProgressSender,
}

impl PushProgress for Listener<'_> {
    fn report(&self, layer: DiffId, step: PushStep<'_>) {
        let id = layer.short();
        self.sender.say(match step {
            PushStep::Preparing => ProgressLine::done("Preparing", id),
            PushStep::Pushing { done_bytes, total_bytes } => ProgressLine::step("Pushing", id, done_bytes, total_bytes),
            PushStep::Pushed => ProgressLine::done("Pushed", id),
            PushStep::AlreadyExists => ProgressLine::done("Layer already exists", id),
            PushStep::Mounted { from } => ProgressLine::done(format!("Mounted from {from}"), id),
        });
    }
}
