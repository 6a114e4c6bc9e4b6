//! Disk usage of volumes, for `system df` and `volume prune`.

use std::sync::Arc;

use super::super::usage::tree_size;
use crate::blocking::Blocking as _;
use crate::error::Result;
use crate::translate::volume::view_with_usage;
use crate::volume::{Backing, Volume, Volumes};
use crate::wire::volume::VolumeView;

/// The bytes of a volume's files, counted by walking them; none where they aren't on berthd's disk.
pub(crate) async fn size(volumes: &Arc<Volumes>, volume: &Volume) -> Result<Option<u64>> {
    match &volume.backing {
        Backing::Directory => {
            let data = volumes.registry.data(&volume.name);
            volumes.blocking(move |_| tree_size(&data)).await.map(Some)
        }
        Backing::Mount(_) | Backing::Plugin { .. } => Ok(None),
    }
}

/// All volumes with what each takes.
pub(crate) async fn usage(volumes: &Arc<Volumes>) -> Result<Vec<VolumeView>> {
    let mut views = Vec::new();
    for (volume, entry) in volumes.registry.all() {
        let bytes = size(volumes, &volume).await?;
        views.push(view_with_usage(&volume, &volumes.registry.mountpoint(&volume), &entry, bytes));
    }
    Ok(views)
}
