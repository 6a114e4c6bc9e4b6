//! `rm`: removes containers.

use crate::engine::container;
use crate::failure::Failure;
use crate::flags::container::RemoveFlags;

use super::{Context, complain, side_by_side};

/// Runs the command.
pub(super) async fn rm(context: &Context, flags: RemoveFlags) -> Result<u8, Failure> {
    let (force, volumes) = (flags.force, flags.volumes);
    side_by_side(&flags.targets.containers, |name| async move {
        let request = context.engine.delete(container(&name, "")?);
        let removed = request.query("force", u8::from(force)).query("v", u8::from(volumes)).send().await;
        match removed {
            // What should be gone is gone: said, and no failure.
            Err(error) if force && error.is_not_found() => {
                complain(&error.to_string());
                Ok(None)
            }
            removed => Ok(removed?.done().await.map(|()| Some(name))?),
        }
    })
    .await
}
