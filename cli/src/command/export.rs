//! `export`: writes a container's file system into an archive.

use crate::engine::container;
use crate::failure::Failure;
use crate::flags::files::ExportFlags;

use super::{Context, DONE, download};

/// Runs the command.
pub(super) async fn export(context: &Context, flags: ExportFlags) -> Result<u8, Failure> {
    download::check(flags.output.as_deref())?;
    let reply = context.engine.get(container(&flags.container, "/export")?).send().await?;
    download::write(reply, flags.output.as_deref()).await?;
    Ok(DONE)
}
