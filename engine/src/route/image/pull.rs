//! `POST /images/create` with `fromImage`: pulling from a registry.

use std::sync::Arc;
use std::sync::Once;

use axum::response::Response;
use images::{Credentials, Digest, Platform, PullProgress, PullRequest, PullStep, Pulled, Reference};

use super::progress::{self, ProgressSender};
use crate::error::Result;
use crate::image::Images;
use crate::translate::image as translate;
use crate::wire::image::CreateQuery;
use crate::wire::progress::ProgressLine;

pub(super) async fn pull(
    images: Arc<Images>,
    image: &str,
    query: &CreateQuery,
    credentials: Credentials,
) -> Result<Response> {
    let reference = named(image, query.tag.as_deref())?;
    let platform = translate::platform(&query.platform)?;
    progress::reply("pulling an image", move |sender| {
        if reference.tag().is_some() || reference.digest().is_some() {
            return pull_one(&images, reference, platform, credentials, sender);
        }
        // Without either, the API means all tags.
        let tags = images.registries.tags(&reference, &credentials, &sender.called_off).map_err(images::Error::from)?;
        let mut end = Vec::new();
        for tag in tags {
            let reference = reference.with_tag(&tag).map_err(images::Error::from)?;
            end.extend(pull_one(&images, reference, platform.clone(), credentials.clone(), sender)?);
        }
        Ok(end)
    })
    .await
}

/// What `fromImage` and `tag` mean together.
fn named(image: &str, tag: Option<&str>) -> Result<Reference> {
    let named = match tag {
        None => Reference::parse(image),
        Some(digest) if digest.contains(':') => Reference::parse(&format!("{image}@{digest}")),
        Some(tag) => Reference::parse(image).and_then(|reference| reference.with_tag(tag)),
    };
    named.map_err(|error| images::Error::from(error).into())
}

fn pull_one(
    images: &Images,
    reference: Reference,
    platform: Option<Platform>,
    credentials: Credentials,
    sender: &ProgressSender,
) -> Result<Vec<ProgressLine>> {
    let name = reference.familiar();
    let request =
        PullRequest { reference: reference.clone(), platform, credentials, called_off: sender.called_off.clone() };
    let progress = Listener { sender, reference: &reference, headed: Once::new() };
    let pulled = images.store.pull(&images.registries, &request, &progress)?;
    progress.head();
    // Clients know what was pulled by this id.
    images.tell_of("pull", name.clone(), reference.familiar_name(), images.labels(pulled.id));
    Ok(result(&pulled, &name))
}

fn tag_or_digest(reference: &Reference) -> String {
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or_default().to_owned(),
    }
}

fn result(Pulled { digest, was_there, .. }: &Pulled, name: &str) -> Vec<ProgressLine> {
    let status = match was_there {
        true => "Image is up to date for",
        false => "Downloaded newer image for",
    };
    vec![
        ProgressLine::Status { status: format!("Digest: {digest}") },
        ProgressLine::Status { status: format!("Status: {status} {name}") },
    ]
}

/// Says a pull's steps to the client, in its words.
struct Listener<'a> {
    sender: &'a ProgressSender,
    reference: &'a Reference,
    headed: Once,
}

impl Listener<'_> {
    /// The first line, said when it is known that there is something to pull.
    fn head(&self) {
        let heading = || ProgressLine::heading("Pulling from", self.reference.path(), tag_or_digest(self.reference));
        self.headed.call_once(|| self.sender.say(heading()));
    }
}

impl PullProgress for Listener<'_> {
    fn report(&self, blob: Digest, step: PullStep) {
        self.head();
        let id = blob.short();
        self.sender.say(match step {
            PullStep::Queued => ProgressLine::done("Pulling fs layer", id),
            PullStep::Waiting => ProgressLine::done("Waiting", id),
            PullStep::Downloading { done_bytes, total_bytes } => {
                ProgressLine::step("Downloading", id, done_bytes, total_bytes)
            }
            PullStep::Complete => ProgressLine::done("Pull complete", id),
            PullStep::AlreadyExists => ProgressLine::done("Already exists", id),
        });
    }
}
