//! `commit`: an image of what a container changed, with the container frozen meanwhile if that was asked for.

use images::{Commit, ImageId, Reference};

use crate::container::Handle;
use crate::engine::Engine;
use crate::error::{Result, chain};
use crate::orchestrate::pause;

/// Makes an image of a container.
pub(crate) async fn commit(engine: &Engine, handle: &Handle, commit: Commit, freeze: bool) -> Result<ImageId> {
    let frozen = freeze && handle.run(|owned| Box::pin(pause::pause_in_passing(owned))).await?;
    let id = handle.id().clone();
    let (comment, reference) = (commit.comment.clone(), commit.reference.as_ref().map(Reference::familiar));
    let made = engine.blocking(move |engine| Ok(engine.images.commit(id.as_str(), &commit)?)).await;
    if frozen && let Err(error) = handle.run(|owned| Box::pin(pause::resume_after_passing(owned))).await {
        tracing::error!(container = %handle.id(), "letting a container go on after a commit: {}", chain(&error));
    }
    let image = made?;
    let more = [("comment", comment), ("imageID", image.to_string()), ("imageRef", reference.unwrap_or_default())];
    engine.container_event(&handle.container(), "commit", more);
    Ok(image)
}
