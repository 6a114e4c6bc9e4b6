//! A container's volumes when it starts: mounted if the first to need them, filled if new, and given back at its end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, fstat};
use runtime::in_root::{DIRECTORY, open_in_root};
use runtime::spec::Id;

use super::super::files::make_directory;
use super::{fill, is_mounted, plugin, unmount};
use crate::blocking::Blocking as _;
use crate::container::Container;
use crate::container::mount::{MountPoint, MountPointKind, VolumeSources};
use crate::container::registry::Registry;
use crate::engine::Engine;
use crate::error::{Error, Result, chain};
use crate::volume::registry::VolumeGuard;
use crate::volume::{Backing, LocalMount, Volume, VolumeName, Volumes};

/// Makes the container's volumes ready. Whatever comes of it, [`release`] gives them back.
pub(crate) async fn mount_all(engine: &Engine, container: &Container) -> Result<VolumeSources> {
    let mut sources = VolumeSources::new();
    let mut mounted = BTreeMap::new();
    for (number, point) in container.spec.mounts.iter().enumerate() {
        let MountPointKind::Volume { name, no_copy, subpath, of, .. } = &point.kind else { continue };
        let guard = engine.volumes.registry.lock(name).await;
        engine.volumes.registry.refuse_set_aside(name)?;
        let volume = guard.volume().ok_or_else(|| Error::not_found(format!("get {name}: no such volume")))?;
        guard.add_mount(&container.id);
        let data = match mounted.get(name) {
            Some(data) => PathBuf::clone(data),
            None => mount_one(&engine.volumes, &volume, &guard, &container.id).await?,
        };
        mounted.insert(name, data.clone());
        let source = match subpath {
            Some(subpath) => bind_subpath(&engine.volumes, &container.id, number, data, subpath.clone()).await?,
            None => data,
        };
        if let Some(first) = fills(&engine.containers.registry, container, of.as_ref()).filter(|_| !no_copy) {
            fill_from_image(engine, first, point, &guard, &source).await?;
        }
        sources.insert(point.destination.clone(), source);
        tell_mounted(&engine.volumes, &volume, container, point);
    }
    Ok(sources)
}

async fn mount_one(volumes: &Arc<Volumes>, volume: &Volume, guard: &VolumeGuard, container: &Id) -> Result<PathBuf> {
    if let Some(driver) = volume.plugin() {
        let data = plugin::mount(volumes, driver, &volume.name, container).await?;
        guard.set_plugin_mountpoint(data.clone());
        return Ok(data);
    }
    let data = volumes.registry.data(&volume.name);
    let (at, backing) = (data.clone(), volume.backing.clone());
    volumes
        .blocking(move |_| {
            make_directory(&at, 0o755)?;
            match &backing {
                Backing::Mount(local) if !is_mounted(&at)? => mount_local(local, &at),
                Backing::Mount(_) | Backing::Directory | Backing::Plugin { .. } => Ok(()),
            }
        })
        .await?;
    Ok(data)
}

fn mount_local(local: &LocalMount, at: &Path) -> Result<()> {
    let context = format!("error while mounting volume '{}': failed to mount local volume", at.display());
    let call =
        local.call(|name| resolve(name).map_err(Error::io(format!("{context}: finding the address of {name:?}"))))?;
    let mut action = format!("{context}: mount {}:{}", call.source, at.display());
    if !call.flags.is_empty() {
        action.push_str(&format!(", flags: {:#x}", call.flags.bits()));
    }
    if !call.data.is_empty() {
        action.push_str(&format!(", data: {}", call.data));
    }
    let failed = |errno: nix::Error| {
        if errno == nix::Error::ENODEV {
            action.push_str(&format!(": this kernel has no file system {:?}", call.file_system));
        }
        Error::io(action)(errno.into())
    };
    let source = Some(call.source.as_str());
    let is_bind = call.flags.contains(MsFlags::MS_BIND);
    if is_bind {
        runtime::check_source(Path::new(&call.source))?;
    }
    mount(source, at, Some(call.file_system.as_str()), call.flags, Some(call.data.as_str())).map_err(failed)?;
    let rest = call.flags - (MsFlags::MS_BIND | MsFlags::MS_REC);
    if is_bind && !rest.is_empty() {
        // A bind takes its flags in a second call only: mount(2).
        let again = mount(None::<&str>, at, None::<&str>, call.flags | MsFlags::MS_REMOUNT, None::<&str>);
        if let Err(errno) = again {
            unmount(at)?;
            return Err(Error::io(format!("{context}: setting the options of the bind"))(errno.into()));
        }
    }
    Ok(())
}

fn resolve(name: &str) -> std::io::Result<IpAddr> {
    let missing = || std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    (name, 0).to_socket_addrs()?.next().map(|address| address.ip()).ok_or_else(missing)
}

/// The container whose image a new volume is filled from, if it hasn't been. Of a mount that others have by `--volumes-from`
/// that is the one that had it first.
fn fills(containers: &Registry, container: &Container, of: Option<&Id>) -> Option<Id> {
    match of {
        None => container.state.started_at.is_none().then(|| container.id.clone()),
        Some(first) => {
            let first = containers.find(first.as_str()).ok()?.container();
            first.state.started_at.is_none().then(|| first.id.clone())
        }
    }
}

/// A new volume, or part of one, begins with what the image has at its place.
async fn fill_from_image(
    engine: &Engine,
    first: Id,
    point: &MountPoint,
    guard: &VolumeGuard,
    data: &Path,
) -> Result<()> {
    let is_part = matches!(point.kind, MountPointKind::Volume { subpath: Some(_), .. });
    let is_plain = guard.volume().is_some_and(|volume| volume.backing == Backing::Directory);
    let is_seen = guard.entry().mounted_by.len() > 1;
    let job = fill::Filling {
        data: data.to_owned(),
        // Who has the directory open keeps it: it is replaced only when nobody does.
        beside: (is_plain && !is_seen && !is_part)
            .then(|| engine.volumes.registry.directory(guard.name()).join("filling")),
    };
    let destination = point.destination.clone();
    let copy = move |engine: &Engine| {
        fill::fill(&job, |into| Ok(engine.images.store.copy_out(first.as_str(), &destination, into)?))
    };
    engine.blocking(copy).await
}

/// Where the parts of volumes are that containers being started want.
fn subpaths(volumes: &Volumes, container: &Id) -> PathBuf {
    volumes.subpaths.join(container.as_str())
}

/// A mount of a part of a volume, which the container's own is made from. A path wouldn't do: who has the volume could put
/// a link to elsewhere in its place at any moment.
async fn bind_subpath(
    volumes: &Arc<Volumes>,
    container: &Id,
    number: usize,
    data: PathBuf,
    subpath: PathBuf,
) -> Result<PathBuf> {
    let at = subpaths(volumes, container).join(number.to_string());
    volumes
        .blocking(move |_| {
            let shown = data.join(&subpath);
            let part = open_inside(&data, &subpath).map_err(|errno| {
                Error::io(format!("cannot access path {} in the volume", shown.display()))(errno.into())
            })?;
            let doing = || Error::io(format!("mounting {} on {}", shown.display(), at.display()));
            make_directory(at.parent().unwrap_or(&at), 0o700)?;
            let kind = fstat(&part).map_err(|errno| doing()(errno.into()))?.st_mode & SFlag::S_IFMT.bits();
            match kind == SFlag::S_IFDIR.bits() {
                true => make_directory(&at, 0o700)?,
                false => drop(File::create(&at).map_err(doing())?),
            }
            let from = format!("/proc/self/fd/{}", part.as_raw_fd());
            let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
            mount(Some(from.as_str()), &at, None::<&str>, flags, None::<&str>)
                .map_err(|errno| doing()(errno.into()))?;
            Ok(at)
        })
        .await
}

/// Links in the volume lead nowhere but into it.
fn open_inside(data: &Path, subpath: &Path) -> nix::Result<File> {
    let root = open(data, DIRECTORY, Mode::empty())?;
    Ok(File::from(open_in_root(&root, subpath, OFlag::O_PATH)?))
}

/// The container has mounts of its own by now, or won't have any.
pub(crate) async fn unbind_subpaths(volumes: &Arc<Volumes>, container: &Container) {
    let wants_part = |point: &MountPoint| matches!(point.kind, MountPointKind::Volume { subpath: Some(_), .. });
    if !container.spec.mounts.iter().any(wants_part) {
        return;
    }
    let directory = subpaths(volumes, &container.id);
    if let Err(error) = volumes.blocking(move |_| unbind_all(&directory)).await {
        tracing::error!(container = %container.id, "unmounting parts of volumes: {}", chain(&error));
    }
}

/// Unmounts all that is mounted in a directory, and removes it.
pub(super) fn unbind_all(directory: &Path) -> Result<()> {
    let doing = || Error::io(format!("removing {}", directory.display()));
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(doing())?,
    };
    for entry in entries {
        let path = entry.map_err(doing())?.path();
        if is_mounted(&path)? {
            // Somebody on the host may be looking at it; the container's own mount stays in any case.
            umount2(&path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW).map_err(|errno| doing()(errno.into()))?;
        }
        match path.is_dir() {
            true => std::fs::remove_dir(&path),
            false => std::fs::remove_file(&path),
        }
        .map_err(doing())?;
    }
    std::fs::remove_dir(directory).map_err(doing())
}

/// A container doesn't run any more, or couldn't be started: what it alone used is unmounted.
pub(crate) async fn release(volumes: &Arc<Volumes>, container: &Container) {
    let names: BTreeSet<&VolumeName> = container.spec.mounts.iter().filter_map(MountPoint::volume).collect();
    for name in names {
        let guard = volumes.registry.lock(name).await;
        let Some(volume) = guard.volume().filter(|_| guard.remove_mount(&container.id)) else { continue };
        if let Err(error) = unmount_one(volumes, &volume, &guard, &container.id).await {
            tracing::error!(volume = %name, container = %container.id, "giving back a volume: {}", chain(&error));
        }
        volumes.tell(&volume, "unmount", [("container", container.id.to_string())]);
    }
}

async fn unmount_one(volumes: &Arc<Volumes>, volume: &Volume, guard: &VolumeGuard, container: &Id) -> Result<()> {
    match &volume.backing {
        // Before all is known, that is left to the sweep.
        Backing::Mount(_) if guard.entry().mounted_by.is_empty() && volumes.are_mounts_known.load(Ordering::SeqCst) => {
            let data = volumes.registry.data(&volume.name);
            volumes.blocking(move |_| unmount(&data)).await
        }
        Backing::Mount(_) | Backing::Directory => Ok(()),
        Backing::Plugin { driver, .. } => plugin::unmount(volumes, driver, &volume.name, container).await,
    }
}

fn tell_mounted(volumes: &Volumes, volume: &Volume, container: &Container, point: &MountPoint) {
    let attributes = [
        ("container", container.id.to_string()),
        ("destination", point.destination.display().to_string()),
        ("read/write", (!point.readonly).to_string()),
        ("propagation", String::new()),
    ];
    volumes.tell(volume, "mount", attributes);
}
