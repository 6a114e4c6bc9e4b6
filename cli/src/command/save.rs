//! `save`: writes images into an archive.

use crate::failure::Failure;
use crate::flags::image::SaveFlags;

use super::load::platform;
use super::{Context, DONE, download};

/// Runs the command.
pub(super) async fn save(context: &Context, flags: SaveFlags) -> Result<u8, Failure> {
    download::check(flags.output.as_deref())?;
    let platform = platform(flags.platform.as_deref())?;
    let mut request = context.engine.get("/images/get").query_some("platform", platform);
    for image in &flags.images {
        request = request.query("names", image);
    }
    // Asked before the file is touched: what isn't there leaves no empty archive.
    download::write(request.send().await?, flags.output.as_deref()).await?;
    Ok(DONE)
}
