//! `rmi`: removes images, or names of images.

use crate::engine::image;
use crate::engine::reply::ImageDeletion;
use crate::failure::Failure;
use crate::flags::image::RemoveFlags;

use super::{Context, DONE, print, print_error};

/// Runs the command.
pub(super) async fn rmi(context: &Context, flags: RemoveFlags) -> Result<u8, Failure> {
    let mut failed = false;
    for name in &flags.images {
        match remove(context, name, &flags).await {
            Ok(text) => print(&text)?,
            Err(failure) => {
                print_error(&failure.text());
                failed = true;
            }
        }
    }
    if failed { Err(Failure::Reported) } else { Ok(DONE) }
}

async fn remove(context: &Context, name: &str, flags: &RemoveFlags) -> Result<String, Failure> {
    let request = context.engine.delete(image(name, "")?);
    let request = request.query("force", u8::from(flags.force)).query("noprune", u8::from(flags.no_prune));
    let deletions: Vec<ImageDeletion> = request.send().await?.json().await?;
    let line = |deletion: &ImageDeletion| {
        let untagged = deletion.untagged.iter().map(|name| format!("Untagged: {name}\n"));
        untagged.chain(deletion.deleted.iter().map(|id| format!("Deleted: {id}\n"))).collect::<String>()
    };
    Ok(deletions.iter().map(line).collect())
}
