//! The volumes that a request needs: those that are there, and new ones.

use std::path::PathBuf;

use jiff::Timestamp;
use runtime::spec::Id;

use super::super::files::make_directory;
use crate::engine::Engine;
use crate::error::{Error, Result, chain};
use crate::store::StoredVolume;
use crate::volume::registry::Turn;
use crate::volume::{Backing, LOCAL, LocalMount, Volume, Wanted, to_record};

/// Volumes whose turn it is until the request is through: nobody removes them, or makes them a second time.
pub(crate) struct Obtained {
    turns: Vec<Turn>,
    made: Vec<Volume>,
}

/// Finds or makes volumes. The new ones are to be stored, and then published; or else undone.
pub(crate) async fn obtain(engine: &Engine, mut wanted: Vec<Wanted>) -> Result<Obtained> {
    // One order for all: no two requests wait for each other.
    wanted.sort_by(|a, b| a.name.cmp(&b.name));
    let mut obtained = Obtained { turns: Vec::new(), made: Vec::new() };
    for one in wanted {
        let turn = engine.volumes.turn(&one.name).await;
        let made = match turn.volume() {
            Some(volume) => check_driver(&volume, &one).map(|()| None),
            None => make(engine, one).await.map(Some),
        };
        match made {
            Ok(made) => obtained.made.extend(made),
            Err(error) => {
                obtained.undo(engine).await;
                return Err(error);
            }
        }
        obtained.turns.push(turn);
    }
    Ok(obtained)
}

/// Makes a volume for nobody in particular; one that is there already is as good.
pub(crate) async fn create(engine: &Engine, wanted: Wanted) -> Result<()> {
    let obtained = obtain(engine, vec![wanted]).await?;
    if let Err(error) = engine.store.put_volumes(obtained.records()).await {
        obtained.undo(engine).await;
        return Err(error.into());
    }
    obtained.publish(engine, None);
    Ok(())
}

fn check_driver(volume: &Volume, wanted: &Wanted) -> Result<()> {
    match &wanted.driver {
        Some(driver) if driver != volume.driver() => Err(Error::conflict(format!(
            "a volume named \"{}\" already exists with the \"{}\" driver. Choose a different volume name",
            volume.name,
            volume.driver()
        ))),
        _ => Ok(()),
    }
}

async fn make(engine: &Engine, wanted: Wanted) -> Result<Volume> {
    let refused = |why: &dyn std::fmt::Display| Error::invalid(format!("create {}: {why}", wanted.name));
    let backing = match wanted.driver.as_deref().unwrap_or(LOCAL) {
        LOCAL => match LocalMount::from_options(&wanted.options).map_err(|error| refused(&error))? {
            Some(mount) => Backing::Mount(mount),
            None => Backing::Directory,
        },
        other => {
            return Err(Error::not_implemented(format!(
                "volume driver {other:?}: not supported by berth yet, use local"
            )));
        }
    };
    let data = engine.volumes.data(&wanted.name);
    engine.blocking(move |_| make_directory(&data, 0o755)).await?;
    Ok(Volume { name: wanted.name, created: Timestamp::now(), labels: wanted.labels, backing })
}

impl Obtained {
    /// What is to be stored of the new ones.
    pub(crate) fn records(&self) -> Vec<StoredVolume> {
        self.made.iter().map(to_record).collect()
    }

    /// They are stored: everybody may see them, and that this container has them.
    pub(crate) fn publish(self, engine: &Engine, user: Option<&Id>) {
        for volume in self.made {
            engine.volume_event(&volume, "create", []);
            if let Some(turn) = self.turns.iter().find(|turn| *turn.name() == volume.name) {
                turn.publish(volume);
            }
        }
        if let Some(container) = user {
            self.turns.iter().for_each(|turn| turn.add_user(container));
        }
    }

    /// Takes the new ones away again.
    pub(crate) async fn undo(self, engine: &Engine) {
        for volume in &self.made {
            let (directory, data) = (engine.volumes.directory(&volume.name), engine.volumes.data(&volume.name));
            let removed = engine.blocking(move |_| remove_empty([data, directory]));
            if let Err(error) = removed.await {
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
