//! All containers of this host, for whoever does something to one: which there are, what runs in them, where their records
//! and files are, and who hears what happens to them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use images::Discarded;
use runtime::Runtime;
use runtime::spec::Id;

use super::Container;
use super::registry::Registry;
use crate::blocking::Blocking;
use crate::error::Result;
use crate::events::{Bus, ObjectKind};
use crate::exec;
use crate::file_deletion::FileDeletion;
use crate::store::Store;

/// All containers of this host.
#[derive(Debug)]
pub struct Containers {
    /// Which there are.
    pub registry: Registry,
    /// Further processes in them.
    pub(crate) execs: exec::Registry,
    /// What runs in them.
    pub runtime: Runtime,
    /// Their records.
    pub store: Store,
    events: Arc<Bus>,
    /// Each has a directory below it.
    root: PathBuf,
    file_deletion: FileDeletion,
}

impl Blocking for Arc<Containers> {}

impl Containers {
    /// None yet; their own files are to be below `root`.
    pub(crate) fn new(runtime: Runtime, store: Store, events: Arc<Bus>, root: PathBuf) -> Result<Self> {
        let file_deletion = FileDeletion::start(runtime.clone())?;
        Ok(Self {
            registry: Registry::default(),
            execs: exec::Registry::default(),
            runtime,
            store,
            events,
            root,
            file_deletion,
        })
    }

    /// Where the directories of containers are.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of a container's own files: its log, `/etc/hosts` and so on.
    pub fn directory(&self, id: &Id) -> PathBuf {
        self.root.join(id.as_str())
    }

    /// Has all deleted that is left of a container that is gone: its files, what it wrote, and what the runtime has of it. Nobody
    /// waits for it, it may be much.
    pub(crate) async fn delete_leftovers(&self, id: &Id, written: Discarded) {
        self.file_deletion.delete(id, self.directory(id), written).await;
    }

    /// The containers that are gone but for files that are still being deleted.
    pub(crate) fn being_deleted(&self) -> impl Iterator<Item = String> {
        self.file_deletion.pending().into_iter().map(|id| id.to_string())
    }

    /// Where a container's log is, if it keeps one.
    pub fn log_path(&self, id: &Id) -> PathBuf {
        self.directory(id).join(format!("{id}-json.log"))
    }

    /// Tells listeners what happened to a container; `more` goes beside its name, image and labels.
    pub fn tell<const N: usize>(&self, container: &Container, action: impl Into<String>, more: [(&str, String); N]) {
        let mut attributes: BTreeMap<String, String> = container.spec.labels.clone();
        attributes.insert("name".into(), container.name.clone());
        attributes.insert("image".into(), container.image.reference.clone());
        attributes.extend(more.map(|(key, value)| (key.to_owned(), value)));
        self.events.tell(ObjectKind::Container, action, container.id.to_string(), attributes);
    }
}
