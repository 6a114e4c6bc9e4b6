//! `tag`: gives an image another name.

use crate::engine::image;
use crate::failure::Failure;
use crate::flags::image::TagFlags;
use crate::request::image_name::name_and_tag;

use super::{Context, DONE};

/// Runs the command.
pub(super) async fn tag(context: &Context, flags: TagFlags) -> Result<u8, Failure> {
    let (repository, tag) = name_and_tag(&flags.target);
    let request = context.engine.post(image(&flags.source, "/tag")?).query("repo", repository);
    request.query("tag", tag.unwrap_or("latest")).send().await?.done().await?;
    Ok(DONE)
}
