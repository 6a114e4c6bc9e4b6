//! Volumes that plugins keep.

use std::path::PathBuf;

use ::plugin::volume::{Found, VolumePlugin};
use runtime::spec::Id;

use crate::error::{Error, Result};
use crate::volume::{VolumeName, Volumes};

/// The plugin of that name.
pub(super) async fn find(volumes: &Volumes, driver: &str) -> Result<VolumePlugin> {
    let found = VolumePlugin::find(&volumes.plugins, driver).await;
    found.map_err(|source| Error::VolumePlugin { doing: format!("error looking up volume plugin {driver}"), source })
}

fn failed(doing: &'static str, name: &VolumeName) -> impl FnOnce(::plugin::PluginError) -> Error {
    let doing = format!("{doing} {name}");
    move |source| Error::VolumePlugin { doing, source }
}

/// Removes a volume in its plugin.
pub(super) async fn remove_from_plugin(volumes: &Volumes, driver: &str, name: &VolumeName) -> Result<()> {
    find(volumes, driver).await?.remove(name.as_str()).await.map_err(failed("remove", name))
}

/// Has the plugin mount a volume for a container.
pub(super) async fn mount(volumes: &Volumes, driver: &str, name: &VolumeName, container: &Id) -> Result<PathBuf> {
    let mounted = find(volumes, driver).await?.mount(name.as_str(), container.as_str()).await;
    mounted.map_err(failed("error while mounting volume", name))
}

/// Tells the plugin that a container doesn't need a volume any more.
pub(super) async fn unmount(volumes: &Volumes, driver: &str, name: &VolumeName, container: &Id) -> Result<()> {
    find(volumes, driver).await?.unmount(name.as_str(), container.as_str()).await.map_err(failed("unmount", name))
}

/// What the plugin knows of a volume.
pub(crate) async fn ask(volumes: &Volumes, driver: &str, name: &VolumeName) -> Result<Option<Found>> {
    find(volumes, driver).await?.get(name.as_str()).await.map_err(failed("get", name))
}
