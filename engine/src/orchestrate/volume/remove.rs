//! `volume rm`, and what becomes of volumes when a container goes.

use std::sync::Arc;

use super::super::remove as removal;
use super::plugin::remove_from_plugin;
use super::plugin_volumes;
use super::unmount;
use crate::blocking::Blocking as _;
use crate::container::Container;
use crate::engine::random_id;
use crate::error::{Error, Result, chain};
use crate::file_deletion::remove_tree;
use crate::volume::registry::VolumeGuard;
use crate::volume::{Backing, Volume, VolumeName, Volumes};

/// What the directory of a volume that is being removed is called: no volume can have such a name.
pub(super) const GONE_PREFIX: &str = ".gone-";

/// Removes a volume that no container has; by force, one that isn't there is no error, nor one whose plugin is gone.
pub(crate) async fn remove(volumes: &Arc<Volumes>, name: &str, force: bool) -> Result<()> {
    let missing = || match force {
        true => Ok(()),
        false => Err(Error::not_found(format!("get {name}: no such volume"))),
    };
    let Ok(name) = name.parse::<VolumeName>() else { return missing() };
    volumes.registry.refuse_set_aside(&name)?;
    let guard = volumes.registry.lock(&name).await;
    let Some(volume) = guard.volume() else {
        let Some(known) = plugin_volumes::find(volumes, &name).await else { return missing() };
        remove_from_plugin(volumes, known.volume.driver(), &name).await?;
        volumes.tell(&known.volume, "destroy", []);
        return Ok(());
    };
    let users: Vec<String> = guard.entry().users.iter().map(ToString::to_string).collect();
    if !users.is_empty() {
        return Err(Error::conflict(format!("remove {name}: volume is in use - [{}]", users.join(", "))));
    }
    erase(volumes, &guard, &volume, force).await
}

/// A container is being removed: its volumes are free for others, and its anonymous ones go if that is wanted.
pub(crate) async fn leave(
    volumes: &Arc<Volumes>,
    container: &Container,
    anonymous: removal::AnonymousVolumes,
) -> Result<()> {
    for point in &container.spec.mounts {
        let Some(name) = point.volume() else { continue };
        let guard = volumes.registry.lock(name).await;
        let Some(volume) = guard.volume() else { continue };
        guard.remove_user(&container.id);
        if anonymous == removal::AnonymousVolumes::Remove
            && point.is_anonymous_volume()
            && guard.entry().users.is_empty()
        {
            erase(volumes, &guard, &volume, false).await?;
        }
    }
    Ok(())
}

/// The directory goes out of the way first, then the record, then the files: cut short before the end, the rest is done
/// when berthd starts again.
async fn erase(volumes: &Arc<Volumes>, guard: &VolumeGuard, volume: &Volume, force: bool) -> Result<()> {
    let gone = match volume.backing {
        Backing::Directory | Backing::Mount(_) => {
            let (directory, data) = (volumes.registry.directory(&volume.name), volumes.registry.data(&volume.name));
            let gone = volumes.registry.root().join(format!("{GONE_PREFIX}{}", random_id()));
            let aside = gone.clone();
            volumes
                .blocking(move |_| {
                    // Never through a mount: what is there is somebody else's.
                    unmount(&data)?;
                    match std::fs::rename(&directory, &aside) {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                            Err(Error::io(format!("removing {}", directory.display()))(error))
                        }
                        _ => Ok(()),
                    }
                })
                .await?;
            Some(gone)
        }
        Backing::Plugin { ref driver, .. } => {
            match remove_from_plugin(volumes, driver, &volume.name).await {
                Err(error) if force => {
                    tracing::warn!(volume = %volume.name, "forgetting a volume that its plugin keeps: {}", chain(&error));
                }
                removed => removed?,
            }
            None
        }
    };
    volumes.store.remove_volume(volume.name.as_str()).await?;
    guard.forget();
    volumes.tell(volume, "destroy", []);
    if let Some(gone) = gone {
        tokio::spawn(delete(volumes.clone(), gone));
    }
    Ok(())
}

/// Deletes files that nobody knows of any more. They may be many, and nobody waits for it.
pub(super) async fn delete(volumes: Arc<Volumes>, gone: std::path::PathBuf) {
    if let Err(error) = volumes.blocking(move |_| remove_tree(&gone)).await {
        tracing::error!("deleting the files of a volume: {}", chain(&error));
    }
}
