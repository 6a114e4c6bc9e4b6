//! The volumes that a request needs: those that are there, and new ones.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use runtime::spec::Id;

use super::super::files::make_directory;
use super::plugin::{find, remove_from_plugin};
use super::plugin_volumes;
use crate::blocking::Blocking as _;
use crate::error::{Error, Result, chain};
use crate::store::StoredVolume;
use crate::volume::registry::VolumeGuard;
use crate::volume::{ANONYMOUS_LABEL, Backing, LOCAL, LocalMount, Volume, VolumeRequest, Volumes, to_record};

/// Volumes whose turn it is until the request is through: nobody removes them, or makes them a second time.
pub(crate) struct Obtained {
    guards: Vec<VolumeGuard>,
    made: Vec<Made>,
}

/// A volume that berthd hasn't known before.
struct Made {
    volume: Volume,
    /// A plugin knew it already: it isn't ours to take away again.
    was_there: bool,
}

/// Finds or makes volumes. The new ones are to be stored, and then published; or else undone.
pub(crate) async fn obtain(volumes: &Arc<Volumes>, mut wanted: Vec<VolumeRequest>) -> Result<Obtained> {
    // One order for all: no two requests wait for each other.
    wanted.sort_by(|a, b| a.name.cmp(&b.name));
    let mut obtained = Obtained { guards: Vec::new(), made: Vec::new() };
    for one in wanted {
        let guard = volumes.registry.lock(&one.name).await;
        let made = match (volumes.registry.refuse_set_aside(&one.name), guard.volume()) {
            (Err(refusal), _) => Err(refusal),
            (Ok(()), Some(volume)) => check(&volume, &one).map(|()| None),
            (Ok(()), None) => make(volumes, one).await.map(Some),
        };
        match made {
            Ok(made) => obtained.made.extend(made),
            Err(error) => {
                obtained.undo(volumes).await;
                return Err(error);
            }
        }
        obtained.guards.push(guard);
    }
    Ok(obtained)
}

/// Makes a volume for nobody in particular; one that is there already is as good.
pub(crate) async fn create(volumes: &Arc<Volumes>, wanted: VolumeRequest) -> Result<()> {
    let obtained = obtain(volumes, vec![wanted]).await?;
    if let Err(error) = volumes.store.put_volumes(obtained.records()).await {
        obtained.undo(volumes).await;
        return Err(error.into());
    }
    obtained.publish(volumes, None);
    Ok(())
}

/// Whether a volume that is there is what is wanted. Labels are a new one's, as with Docker.
fn check(volume: &Volume, wanted: &VolumeRequest) -> Result<()> {
    if wanted.driver.as_ref().is_some_and(|driver| driver != volume.driver()) {
        return Err(Error::conflict(format!(
            "a volume named \"{}\" already exists with the \"{}\" driver. Choose a different volume name: volume name must be unique",
            volume.name,
            volume.driver()
        )));
    }
    if wanted.options.is_empty() || has_options(volume, &wanted.options)? {
        return Ok(());
    }
    let options: Vec<String> = volume.options().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let those = if options.is_empty() {
        "without options".to_owned()
    } else {
        format!("with the options {}", options.join(" "))
    };
    Err(Error::conflict(format!(
        "a volume named \"{}\" already exists {those}. Choose a different volume name, or leave the options out: volume name must be unique",
        volume.name
    )))
}

/// Whether a volume was made by these options.
fn has_options(volume: &Volume, options: &BTreeMap<String, String>) -> Result<bool> {
    let mount = |options| {
        LocalMount::from_options(options).map_err(|error| Error::invalid(format!("create {}: {error}", volume.name)))
    };
    Ok(match &volume.backing {
        Backing::Directory => mount(options)?.is_none(),
        Backing::Mount(made) => mount(options)?.as_ref() == Some(made),
        // Its plugin may have made it for somebody else, by what berthd was never told.
        Backing::Plugin { options: made, .. } => made.is_empty() || made == options,
    })
}

async fn make(volumes: &Arc<Volumes>, wanted: VolumeRequest) -> Result<Made> {
    let refused = |why: &dyn std::fmt::Display| Error::invalid(format!("create {}: {why}", wanted.name));
    // Whoever names no driver means the volume of that name, wherever it is; one without a name is new.
    let known = match wanted.driver {
        None if !wanted.labels.contains_key(ANONYMOUS_LABEL) => plugin_volumes::find(volumes, &wanted.name).await,
        _ => None,
    };
    let (backing, was_there) = match (known, wanted.driver.as_deref().unwrap_or(LOCAL)) {
        (Some(known), _) => (known.volume.backing, true),
        (None, LOCAL) => {
            let mount = LocalMount::from_options(&wanted.options).map_err(|error| refused(&error))?;
            let data = volumes.registry.data(&wanted.name);
            volumes.blocking(move |_| make_directory(&data, 0o755)).await?;
            (mount.map_or(Backing::Directory, Backing::Mount), false)
        }
        (None, driver) => make_in_plugin(volumes, &wanted, driver).await?,
    };
    let volume = Volume { name: wanted.name, created: Timestamp::now(), labels: wanted.labels, backing };
    Ok(Made { volume, was_there })
}

/// A plugin may know the volume already: from another host, or from before berthd's database.
async fn make_in_plugin(volumes: &Volumes, wanted: &VolumeRequest, driver: &str) -> Result<(Backing, bool)> {
    let plugin = find(volumes, driver).await?;
    let name = wanted.name.as_str();
    let failed = |source| Error::VolumePlugin { doing: format!("create {name}"), source };
    let was_there = plugin.get(name).await.map_err(failed)?.is_some();
    if !was_there {
        plugin.create(name, &wanted.options).await.map_err(failed)?;
    }
    let (driver, options) = (driver.to_owned(), wanted.options.clone());
    Ok((Backing::Plugin { driver, options, is_global: plugin.is_global().await }, was_there))
}

impl Obtained {
    /// What is to be stored of the new ones.
    pub(crate) fn records(&self) -> Vec<StoredVolume> {
        self.made.iter().map(|made| to_record(&made.volume)).collect()
    }

    /// They are stored: everybody may see them, and that this container has them.
    pub(crate) fn publish(self, volumes: &Volumes, user: Option<&Id>) {
        for Made { volume, .. } in self.made {
            volumes.tell(&volume, "create", []);
            if let Some(guard) = self.guards.iter().find(|guard| *guard.name() == volume.name) {
                guard.publish(volume);
            }
        }
        if let Some(container) = user {
            self.guards.iter().for_each(|guard| guard.add_user(container));
        }
    }

    /// Takes the new ones away again.
    pub(crate) async fn undo(self, volumes: &Arc<Volumes>) {
        for Made { volume, was_there } in &self.made {
            let removed = match volume.plugin() {
                Some(_) if *was_there => Ok(()),
                Some(driver) => remove_from_plugin(volumes, driver, &volume.name).await,
                None => {
                    let directories = [volumes.registry.data(&volume.name), volumes.registry.directory(&volume.name)];
                    volumes.blocking(move |_| remove_empty(directories)).await
                }
            };
            if let Err(error) = removed {
                tracing::error!(volume = %volume.name, "undoing the making of a volume: {}", chain(&error));
            }
        }
    }
}

fn remove_empty(directories: [PathBuf; 2]) -> Result<()> {
    directories
        .iter()
        .try_for_each(|path| std::fs::remove_dir(path).map_err(Error::io(format!("removing {}", path.display()))))
}
