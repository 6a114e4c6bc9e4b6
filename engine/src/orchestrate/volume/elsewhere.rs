//! Volumes that only a plugin knows: made on another host, or by somebody else.

use std::collections::BTreeMap;

use futures::future::join_all;
use jiff::Timestamp;
use plugin::PluginError;
use plugin::volume::{Found, VolumePlugin};

use crate::engine::Engine;
use crate::error::chain;
use crate::volume::{Backing, Volume, VolumeName};

/// A volume that berthd has no record of, and what its plugin says about it.
#[derive(Debug)]
pub(crate) struct Elsewhere {
    pub(crate) volume: Volume,
    pub(crate) found: Found,
}

/// All of them in the plugins whose names `wanted` takes, and which of those couldn't be asked.
pub(crate) async fn list(engine: &Engine, wanted: impl Fn(&str) -> bool) -> (Vec<Elsewhere>, Vec<String>) {
    let mut volumes = BTreeMap::new();
    let mut warnings = Vec::new();
    let asked = plugins(engine, wanted).await;
    let answers = asked.iter().map(|driver| async move {
        let plugin = VolumePlugin::find(&engine.plugins, driver).await?;
        let all = plugin.list().await?;
        let is_global = !all.is_empty() && plugin.is_global().await;
        Ok((all, is_global))
    });
    for (driver, answer) in asked.iter().zip(join_all(answers).await) {
        match answer {
            Ok((all, is_global)) => {
                for elsewhere in all.into_iter().filter_map(|found| Elsewhere::of(driver, found, is_global)) {
                    if engine.volumes.find(&elsewhere.volume.name).is_none() {
                        volumes.entry(elsewhere.volume.name.clone()).or_insert(elsewhere);
                    }
                }
            }
            // It keeps something else.
            Err(PluginError::Other { .. }) => {}
            Err(error) => warnings.push(format!("list {driver}: {}", chain(&error))),
        }
    }
    (volumes.into_values().collect(), warnings)
}

/// The one of that name. A plugin that can't be asked has none.
pub(crate) async fn find(engine: &Engine, name: &VolumeName) -> Option<Elsewhere> {
    let asked = plugins(engine, |_| true).await;
    let answers = asked.iter().map(|driver| async move {
        let plugin = VolumePlugin::find(&engine.plugins, driver).await.ok()?;
        let found = plugin.get(name.as_str()).await.ok().flatten()?;
        Elsewhere::of(driver, found, plugin.is_global().await)
    });
    join_all(answers).await.into_iter().flatten().next()
}

async fn plugins(engine: &Engine, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let names = engine.blocking(|engine| Ok(engine.plugins.names())).await.unwrap_or_default();
    names.into_iter().filter(|name| wanted(name)).collect()
}

impl Elsewhere {
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
