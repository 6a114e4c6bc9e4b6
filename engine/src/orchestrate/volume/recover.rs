//! Volumes when berthd starts: records, directories, mounts and containers are brought in line with each other.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::super::files::make_directory;
use super::remove::{GONE_PREFIX, delete};
use super::{is_mounted, mount, unmount};
use crate::blocking::Blocking as _;
use crate::container::Container;
use crate::error::{Error, Result, chain};
use crate::file_deletion::remove_tree;
use crate::volume::registry::VolumeGuard;
use crate::volume::{Backing, Volume, VolumeName, VolumeRequest, Volumes, from_record, to_record};

/// Makes the stored volumes known.
pub(crate) async fn load(volumes: &Arc<Volumes>) -> Result<()> {
    volumes.blocking(|volumes| close(volumes.registry.root())).await?;
    for stored in volumes.store.volumes().await? {
        match from_record(&stored) {
            Ok(volume) => volumes.registry.lock(&volume.name).await.publish(volume),
            Err(error) => volumes.registry.set_aside(&stored.name, chain(&error)),
        }
    }
    Ok(())
}

/// Whatever permissions files of containers have, other users of this host don't come near them.
fn close(root: &Path) -> Result<()> {
    make_directory(root, 0o700)?;
    std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o700))
        .map_err(Error::io(format!("closing {} to others", root.display())))
}

/// A stored container has its volumes, and holds them mounted as long as its run does.
pub(crate) async fn know(volumes: &Arc<Volumes>, container: &Container, holds_mounts: bool) -> Result<()> {
    for point in &container.spec.mounts {
        let Some(name) = point.volume() else { continue };
        let guard = volumes.registry.lock(name).await;
        if guard.volume().is_none() && volumes.registry.refuse_set_aside(name).is_ok() {
            // Of a berthd that kept no records of volumes, or lost with a power cut.
            let wanted = match point.is_anonymous_volume() {
                true => VolumeRequest::anonymous(name.clone()),
                false => VolumeRequest::named(name.clone()),
            };
            adopt(volumes, &guard, container.created, wanted.labels).await?;
        }
        guard.add_user(&container.id);
        if holds_mounts {
            guard.add_mount(&container.id);
        }
    }
    Ok(())
}

/// Records a volume whose files are there, or that a container has.
async fn adopt(
    volumes: &Volumes,
    guard: &VolumeGuard,
    created: Timestamp,
    labels: BTreeMap<String, String>,
) -> Result<()> {
    let volume = Volume { name: guard.name().clone(), created, labels, backing: Backing::Directory };
    volumes.store.put_volumes(vec![to_record(&volume)]).await?;
    guard.publish(volume);
    Ok(())
}

/// Finishes removals, removes what no record knows, and unmounts what no container has.
pub(crate) async fn sweep(volumes: &Arc<Volumes>) -> Result<()> {
    volumes.are_mounts_known.store(true, Ordering::SeqCst);
    for (volume, entry) in volumes.registry.all() {
        let (directory, data) = (volumes.registry.directory(&volume.name), volumes.registry.data(&volume.name));
        if volume.plugin().is_some() {
            continue;
        }
        if !directory.exists() {
            match entry.users.is_empty() {
                // Only its removal was left to be recorded.
                true => {
                    volumes.store.remove_volume(volume.name.as_str()).await?;
                    volumes.registry.lock(&volume.name).await.forget();
                }
                false => volumes.blocking(move |_| make_directory(&data, 0o755)).await?,
            }
        } else if matches!(volume.backing, Backing::Mount(_))
            && entry.mounted_by.is_empty()
            && let Err(error) = volumes.blocking(move |_| unmount(&data)).await
        {
            tracing::error!(volume = %volume.name, "unmounting a volume that no container has: {}", chain(&error));
        }
    }
    for path in volumes.blocking(|volumes| children(volumes.registry.root())).await? {
        sort_out(volumes, path).await?;
    }
    volumes.blocking(|volumes| children(&volumes.subpaths)?.iter().try_for_each(|path| mount::unbind_all(path))).await
}

/// A directory among those of volumes. What has files in it is somebody's, and becomes a volume if there is no record.
async fn sort_out(volumes: &Arc<Volumes>, path: PathBuf) -> Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name.starts_with(GONE_PREFIX) {
        tokio::spawn(delete(volumes.clone(), path));
        return Ok(());
    }
    let Ok(name) = name.parse::<VolumeName>() else { return Ok(()) };
    if volumes.registry.find(&name).is_some() || volumes.registry.refuse_set_aside(&name).is_err() {
        return Ok(());
    }
    let data = volumes.registry.data(&name);
    let has_files = volumes.blocking(move |_| Ok(is_mounted(&data)? || !children(&data)?.is_empty())).await?;
    if has_files {
        tracing::warn!(volume = %name, "a directory of files among the volumes has no record: it is a volume from now on");
        let created = std::fs::metadata(&path).and_then(|metadata| metadata.modified()).ok();
        let created = created.and_then(|time| Timestamp::try_from(time).ok()).unwrap_or_else(Timestamp::now);
        return adopt(volumes, &volumes.registry.lock(&name).await, created, BTreeMap::new()).await;
    }
    tracing::info!(path = %path.display(), "removing what was to become a volume");
    if let Err(error) = volumes.blocking(move |_| remove_tree(&path)).await {
        tracing::error!("what was to become a volume stays: {}", chain(&error));
    }
    Ok(())
}

/// What is in a directory; nothing, if it isn't there.
fn children(directory: &Path) -> Result<Vec<PathBuf>> {
    let doing = || Error::io(format!("reading {}", directory.display()));
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(doing())?,
    };
    entries.map(|entry| Ok(entry.map_err(doing())?.path())).collect()
}
