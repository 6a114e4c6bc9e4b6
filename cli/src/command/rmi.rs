//! `rmi`: removes images, or names of images.

use crate::engine::image;
use crate::engine::reply::ImageDeletion;
use crate::failure::Failure;
use crate::flags::image::RemoveFlags;

use super::load::platform;
use super::{Context, for_each};

/// Runs the command.
pub(super) async fn rmi(context: &Context, flags: RemoveFlags) -> Result<u8, Failure> {
    let (force, no_prune) = (flags.force, flags.no_prune);
    let platforms = flags.platform.iter().map(|text| platform(Some(text))).collect::<Result<Vec<_>, _>>()?;
    let platforms = &platforms;
    for_each(&flags.images, |name| async move {
        let request = context.engine.delete(image(&name, "")?);
        let request = request.query("force", u8::from(force)).query("noprune", u8::from(no_prune));
        let request =
            platforms.iter().fold(request, |request, platform| request.query_some("platforms", platform.as_ref()));
        let deletions: Vec<ImageDeletion> = request.send().await?.json().await?;
        Ok(Some(deletions.iter().flat_map(lines).collect::<Vec<_>>().join("\n")).filter(|text| !text.is_empty()))
    })
    .await
}

/// What was taken away, a line each.
pub(super) fn lines(deletion: &ImageDeletion) -> impl Iterator<Item = String> + '_ {
    let untagged = deletion.untagged.iter().map(|name| format!("Untagged: {name}"));
    untagged.chain(deletion.deleted.iter().map(|id| format!("Deleted: {id}")))
}
