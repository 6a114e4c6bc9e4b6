//! `commit`: an image of what a container changed, with the container frozen meanwhile if that was asked for.

use std::sync::Arc;

use images::{Commit, ImageId, Reference};

use crate::blocking::Blocking as _;
use crate::container::{Containers, Handle};
use crate::error::{Result, chain};
use crate::image::Images;
use crate::orchestrate::pause;

/// Makes an image of a container.
pub(crate) async fn commit(
    images: &Arc<Images>,
    containers: &Containers,
    handle: &Handle,
    commit: Commit,
    freeze: bool,
) -> Result<ImageId> {
    let frozen = freeze && handle.run(|owned| Box::pin(pause::pause_in_passing(owned))).await?;
    let id = handle.id().clone();
    let (comment, reference) = (commit.comment.clone(), commit.reference.as_ref().map(Reference::familiar));
    let made = images.blocking(move |images| Ok(images.store.commit(id.as_str(), &commit)?)).await;
    if frozen && let Err(error) = handle.run(|owned| Box::pin(pause::resume_after_passing(owned))).await {
        tracing::error!(container = %handle.id(), "unpausing a container after a commit: {}", chain(&error));
    }
    let image = made?;
    let more = [("comment", comment), ("imageID", image.to_string()), ("imageRef", reference.unwrap_or_default())];
    containers.tell(&handle.container(), "commit", more);
    Ok(image)
}
