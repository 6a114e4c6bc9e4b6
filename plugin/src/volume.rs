//! Plugins that keep volumes: the interface `VolumeDriver`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Directories, Plugin, PluginError};

/// A plugin that keeps volumes.
#[derive(Debug)]
pub struct VolumePlugin(Plugin);

/// A volume as a plugin knows it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Where it is mounted, if it is.
    #[serde(default)]
    pub mountpoint: PathBuf,
    /// Whatever the plugin has to say about it.
    #[serde(default)]
    pub status: Option<BTreeMap<String, Value>>,
    /// When it was made, in the plugin's words.
    #[serde(default)]
    pub created_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Request<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    opts: Option<&'a BTreeMap<String, String>>,
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

impl<'a> Request<'a> {
    fn named(name: &'a str) -> Self {
        Self { name, opts: None, id: None }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mounted {
    #[serde(default)]
    mountpoint: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct One {
    #[serde(default)]
    volume: Option<Found>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Several {
    #[serde(default)]
    volumes: Option<Vec<Found>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct CapabilitiesAnswer {
    capabilities: Capabilities,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Capabilities {
    scope: String,
}

impl VolumePlugin {
    /// Finds the plugin of that name.
    pub async fn find(directories: &Directories, name: &str) -> Result<Self, PluginError> {
        Plugin::activate(directories, name, "VolumeDriver").await.map(Self)
    }

    /// Makes a volume.
    pub async fn create(&self, name: &str, options: &BTreeMap<String, String>) -> Result<(), PluginError> {
        let request = Request { opts: Some(options), ..Request::named(name) };
        self.0.call("VolumeDriver.Create", &request).await.map(|_: IgnoredAny| ())
    }

    /// Removes a volume.
    pub async fn remove(&self, name: &str) -> Result<(), PluginError> {
        self.0.call("VolumeDriver.Remove", &Request::named(name)).await.map(|_: IgnoredAny| ())
    }

    /// Makes a volume's files available to `user`, and answers where they are.
    pub async fn mount(&self, name: &str, user: &str) -> Result<PathBuf, PluginError> {
        let request = Request { id: Some(user), ..Request::named(name) };
        let Mounted { mountpoint } = self.0.call("VolumeDriver.Mount", &request).await?;
        if mountpoint.is_absolute() {
            return Ok(mountpoint);
        }
        // Plugins that mount at creation may say it only when asked.
        let Mounted { mountpoint } = self.0.call("VolumeDriver.Path", &Request::named(name)).await?;
        match mountpoint.is_absolute() {
            true => Ok(mountpoint),
            false => Err(PluginError::Refused {
                method: "VolumeDriver.Mount".to_owned(),
                message: format!("the answer names no path where {name:?} is mounted"),
            }),
        }
    }

    /// `user` doesn't need a volume's files any more.
    pub async fn unmount(&self, name: &str, user: &str) -> Result<(), PluginError> {
        let request = Request { id: Some(user), ..Request::named(name) };
        self.0.call("VolumeDriver.Unmount", &request).await.map(|_: IgnoredAny| ())
    }

    /// What the plugin knows of a volume; nothing, if it says that there is none.
    pub async fn get(&self, name: &str) -> Result<Option<Found>, PluginError> {
        match self.0.call("VolumeDriver.Get", &Request::named(name)).await {
            Ok(One { volume }) => Ok(volume.filter(|volume| volume.name == name)),
            // The protocol has no other word for it.
            Err(PluginError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All volumes that the plugin knows.
    pub async fn list(&self) -> Result<Vec<Found>, PluginError> {
        let answer = self.0.call("VolumeDriver.List", &BTreeMap::<String, String>::new()).await;
        answer.map(|Several { volumes }| volumes.unwrap_or_default())
    }

    /// Whether other hosts see the same volumes. Plugins needn't say.
    pub async fn is_global(&self) -> bool {
        let answer = self.0.call("VolumeDriver.Capabilities", &BTreeMap::<String, String>::new()).await;
        answer.is_ok_and(|CapabilitiesAnswer { capabilities }| capabilities.scope == "global")
    }
}
