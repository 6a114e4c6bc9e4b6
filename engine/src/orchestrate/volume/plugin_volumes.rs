//! Volumes of plugins that berthd has no record of: made on another host, or by somebody else.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;
use plugin::PluginError;
use plugin::volume::{Found, VolumePlugin};

use crate::blocking::Blocking as _;
use crate::error::chain;
use crate::volume::{Backing, Volume, VolumeName, Volumes};

/// A volume that berthd has no record of, and what its plugin says about it.
#[derive(Debug)]
pub(crate) struct PluginVolume {
    pub(crate) volume: Volume,
    pub(crate) found: Found,
}

/// All of them in the plugins whose names `wanted` takes, and which of those couldn't be asked.
pub(crate) async fn list(volumes: &Arc<Volumes>, wanted: impl Fn(&str) -> bool) -> (Vec<PluginVolume>, Vec<String>) {
    let mut all = BTreeMap::new();
    let mut warnings = Vec::new();
    let asked = plugins(volumes, wanted).await;
    let answers = asked.iter().map(|driver| async move {
        let plugin = VolumePlugin::find(&volumes.plugins, driver).await?;
        let known = plugin.list().await?;
        let is_global = !known.is_empty() && plugin.is_global().await;
        Ok((known, is_global))
    });
    for (driver, answer) in asked.iter().zip(join_all(answers).await) {
        match answer {
            Ok((known, is_global)) => {
                for one in known.into_iter().filter_map(|found| PluginVolume::of(driver, found, is_global)) {
                    if volumes.registry.find(&one.volume.name).is_none() {
                        all.entry(one.volume.name.clone()).or_insert(one);
                    }
                }
            }
            // It keeps something else.
            Err(PluginError::Other { .. }) => {}
            Err(error) => warnings.push(format!("list {driver}: {}", chain(&error))),
        }
    }
    (all.into_values().collect(), warnings)
}

/// The one of that name. A plugin that can't be asked has none.
pub(crate) async fn find(volumes: &Arc<Volumes>, name: &VolumeName) -> Option<PluginVolume> {
    let asked = plugins(volumes, |_| true).await;
    let answers = asked.iter().map(|driver| async move {
        let plugin = VolumePlugin::find(&volumes.plugins, driver).await.ok()?;
        let found = plugin.get(name.as_str()).await.ok().flatten()?;
        PluginVolume::of(driver, found, plugin.is_global().await)
    });
    join_all(answers).await.into_iter().flatten().next()
}

async fn plugins(volumes: &Arc<Volumes>, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let names = volumes.blocking(|volumes| Ok(volumes.plugins.names())).await.unwrap_or_default();
    names.into_iter().filter(|name| wanted(name)).collect()
}

impl PluginVolume {
    /// Nothing for a name that no volume can have here.
    fn of(driver: &str, found: Found, is_global: bool) -> Option<Self> {
        let volume = Volume {
            name: found.name.parse().ok()?,
            created: Timestamp::now(),
            labels: BTreeMap::new(),
            backing: Backing::Plugin { driver: driver.to_owned(), options: BTreeMap::new(), is_global },
        };
        Some(Self { volume, found })
    }
}
