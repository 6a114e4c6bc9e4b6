//! Which volumes there are, which containers have them, and a lock of each for changes. Locks are held for a lookup;
//! work on a volume (making, mounting, filling, removing) is done in its turn, one at a time, while readers go on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runtime::spec::Id;
use tokio::sync::OwnedMutexGuard;

use super::{Backing, Volume, VolumeName};
use crate::error::{Error, Result};

type Slots = Arc<Mutex<BTreeMap<VolumeName, Arc<Slot>>>>;

/// A cheap handle on what is known of all volumes.
#[derive(Debug, Clone)]
pub struct Registry {
    root: PathBuf,
    slots: Slots,
    /// Volumes whose records can't be read, and what is wrong with each.
    set_aside: Arc<Mutex<BTreeMap<String, String>>>,
}

/// A name that a volume has, is about to have, or had a moment ago.
#[derive(Debug, Default)]
struct Slot {
    mutex: Arc<tokio::sync::Mutex<()>>,
    entry: Mutex<Entry>,
}

/// What is known of a volume.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    volume: Option<Arc<Volume>>,
    /// Containers that have it, running or not: it can't be removed.
    pub users: BTreeSet<Id>,
    /// Those of them that run, or are about to.
    pub mounted_by: BTreeSet<Id>,
    /// Where its plugin said last that it is.
    plugin_mountpoint: PathBuf,
}

impl Registry {
    /// None yet; their files are to be below `root`.
    pub fn new(root: PathBuf) -> Self {
        Self { root, slots: Slots::default(), set_aside: Arc::default() }
    }

    /// The directory of a volume that is berthd's.
    pub fn directory(&self, name: &VolumeName) -> PathBuf {
        self.root.join(name.as_str())
    }

    /// Where all of them are.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the files of a volume that is berthd's are.
    pub fn data(&self, name: &VolumeName) -> PathBuf {
        self.directory(name).join("_data")
    }

    /// Where a volume's files are, as inspect shows it.
    pub fn mountpoint(&self, volume: &Volume) -> PathBuf {
        match &volume.backing {
            Backing::Directory | Backing::Mount(_) => self.data(&volume.name),
            Backing::Plugin { .. } => {
                let slot = self.slots().get(&volume.name).cloned();
                slot.map(|slot| slot.entry().plugin_mountpoint.clone()).unwrap_or_default()
            }
        }
    }

    /// The volume of that name.
    pub fn find(&self, name: &VolumeName) -> Option<Arc<Volume>> {
        self.slots().get(name).and_then(|slot| slot.entry().volume.clone())
    }

    /// Keeps what a volume has whose record can't be read: it can't be used, and none is made in its place.
    pub(crate) fn set_aside(&self, name: &str, problem: String) {
        tracing::error!("{}", set_aside_sentence(name, &problem));
        lock(&self.set_aside).insert(name.to_owned(), problem);
    }

    /// Sentences about volumes whose records can't be read.
    pub(crate) fn all_set_aside(&self) -> Vec<String> {
        lock(&self.set_aside).iter().map(|(name, problem)| set_aside_sentence(name, problem)).collect()
    }

    /// Why there is no volume of that name, if there is one that can't be read.
    pub(crate) fn refuse_set_aside(&self, name: &VolumeName) -> Result<()> {
        match lock(&self.set_aside).get(name.as_str()) {
            Some(problem) => Err(Error::conflict(set_aside_sentence(name.as_str(), problem))),
            None => Ok(()),
        }
    }

    /// All volumes by name, and who has them.
    pub fn all(&self) -> Vec<(Arc<Volume>, Entry)> {
        let entry = |slot: &Arc<Slot>| {
            let entry = slot.entry().clone();
            Some((entry.volume.clone()?, entry))
        };
        self.slots().values().filter_map(entry).collect()
    }

    /// Waits until nobody else changes the volume of that name, or the lack of one.
    pub async fn lock(&self, name: &VolumeName) -> VolumeGuard {
        let slot = self.slots().entry(name.clone()).or_default().clone();
        let guard = slot.mutex.clone().lock_owned().await;
        VolumeGuard { slots: self.slots.clone(), name: name.clone(), slot, _guard: guard }
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<VolumeName, Arc<Slot>>> {
        lock(&self.slots)
    }
}

impl Slot {
    fn entry(&self) -> MutexGuard<'_, Entry> {
        lock(&self.entry)
    }
}

fn set_aside_sentence(name: &str, problem: &str) -> String {
    format!("volume {name} is set aside, its name and its files are kept: {problem}")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to change a volume, until it is dropped.
#[derive(Debug)]
pub struct VolumeGuard {
    slots: Slots,
    name: VolumeName,
    slot: Arc<Slot>,
    _guard: OwnedMutexGuard<()>,
}

impl VolumeGuard {
    /// The volume's name.
    pub fn name(&self) -> &VolumeName {
        &self.name
    }

    /// The volume, if there is one.
    pub fn volume(&self) -> Option<Arc<Volume>> {
        self.slot.entry().volume.clone()
    }

    /// What is known of it.
    pub fn entry(&self) -> Entry {
        self.slot.entry().clone()
    }

    /// Makes the volume known.
    pub fn publish(&self, volume: Volume) {
        self.slot.entry().volume = Some(Arc::new(volume));
    }

    /// The volume's plugin says where it is.
    pub fn set_plugin_mountpoint(&self, path: PathBuf) {
        self.slot.entry().plugin_mountpoint = path;
    }

    /// The volume is gone.
    pub fn forget(&self) {
        *self.slot.entry() = Entry::default();
    }

    /// A container has the volume from now on.
    pub fn add_user(&self, container: &Id) {
        self.slot.entry().users.insert(container.clone());
    }

    /// A container doesn't have it any more.
    pub fn remove_user(&self, container: &Id) {
        self.slot.entry().users.remove(container);
    }

    /// A running container sees its files.
    pub fn add_mount(&self, container: &Id) {
        self.slot.entry().mounted_by.insert(container.clone());
    }

    /// The container doesn't run any more; whether it did.
    pub fn remove_mount(&self, container: &Id) -> bool {
        self.slot.entry().mounted_by.remove(container)
    }
}

impl Drop for VolumeGuard {
    fn drop(&mut self) {
        let mut slots = lock(&self.slots);
        // Ours and the map's: nobody waits for this name, which nothing has.
        if Arc::strong_count(&self.slot) == 2 && self.slot.entry().volume.is_none() {
            slots.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn name(text: &str) -> VolumeName {
        text.parse().unwrap()
    }

    fn volume(text: &str) -> Volume {
        Volume {
            name: name(text),
            created: Timestamp::UNIX_EPOCH,
            labels: BTreeMap::new(),
            backing: Backing::Directory,
        }
    }

    #[tokio::test]
    async fn who_waits_for_a_name_sees_what_became_of_it() {
        let registry = Registry::new("/volumes".into());
        let first = registry.lock(&name("data")).await;
        let waiting = tokio::spawn({
            let registry = registry.clone();
            async move { registry.lock(&name("data")).await.volume() }
        });
        tokio::task::yield_now().await;
        first.publish(volume("data"));
        assert_eq!(registry.find(&name("data")).as_deref(), Some(&volume("data")), "readers don't wait");
        drop(first);
        assert_eq!(waiting.await.unwrap().as_deref(), Some(&volume("data")));
    }

    #[tokio::test]
    async fn names_that_nothing_has_are_not_kept() {
        let registry = Registry::new("/volumes".into());
        drop(registry.lock(&name("aa")).await);
        assert_eq!(registry.slots().len(), 0);
        let guard = registry.lock(&name("bb")).await;
        guard.publish(volume("bb"));
        guard.add_user(&"c1".parse().unwrap());
        drop(guard);
        let all = registry.all();
        assert_eq!((all.len(), all[0].1.users.len(), registry.slots().len()), (1, 1, 1));
        let guard = registry.lock(&name("bb")).await;
        guard.forget();
        drop(guard);
        assert_eq!(registry.slots().len(), 0);
    }
}
