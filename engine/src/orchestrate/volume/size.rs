//! How much of the disk volumes take, for `system df` and `volume prune`.

use super::super::usage::tree_size;
use crate::engine::Engine;
use crate::error::Result;
use crate::translate::volume::view_with_usage;
use crate::volume::{Backing, Volume};
use crate::wire::volume::VolumeView;

/// The bytes of a volume's files, counted by walking them; none where they aren't on berthd's disk.
pub(crate) async fn size(engine: &Engine, volume: &Volume) -> Result<Option<u64>> {
    match &volume.backing {
        Backing::Directory => {
            let data = engine.volumes.data(&volume.name);
            engine.blocking(move |_| tree_size(&data)).await.map(Some)
        }
        Backing::Mount(_) | Backing::Plugin { .. } => Ok(None),
    }
}

/// All volumes with what each takes.
pub(crate) async fn usage(engine: &Engine) -> Result<Vec<VolumeView>> {
    let mut views = Vec::new();
    for (volume, entry) in engine.volumes.all() {
        let bytes = size(engine, &volume).await?;
        views.push(view_with_usage(&volume, &engine.volumes.mountpoint(&volume), &entry, bytes));
    }
    Ok(views)
}
