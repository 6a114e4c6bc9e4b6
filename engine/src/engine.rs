//! The handle that every route and every container's task has on the engine's parts.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use runtime::spec::Id;
use runtime::{Binaries, Runtime};
use tokio::sync::watch;

use crate::config::Config;
use crate::container::Container;
use crate::container::registry::Registry;
use crate::error::{Error, Result};
use crate::events::{Bus, Event, Subject};
use crate::netd::Netd;
use crate::orchestrate;
use crate::orchestrate::recover::Loaded;
use crate::store::{Fact, Store};
use crate::volume::{self, Volume};

/// A cheap handle on the engine; the router's state.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Parts>);

/// What the engine is made of.
pub struct Parts {
    /// Paths and names, as configured.
    pub config: Config,
    /// This installation's id, drawn once: netd knows our sandboxes by it.
    pub id: String,
    /// What happened, for `docker events`.
    pub events: Bus,
    /// The database of containers.
    pub store: Store,
    /// Every container.
    pub containers: Registry,
    /// Further processes in containers.
    pub(crate) execs: crate::exec::Registry,
    /// Volumes, and which containers have them.
    pub volumes: volume::Registry,
    /// Where plugins are looked for.
    pub plugins: plugin::Directories,
    /// Images and the root file systems of containers.
    pub images: images::Store,
    /// Where images come from.
    pub registries: images::Registries,
    /// Processes.
    pub runtime: Runtime,
    /// Networking.
    pub netd: Netd,
    /// Whether what the last berthd left is sorted out.
    pub(crate) recovered: watch::Sender<bool>,
    /// Sentences about facts in the database that can't be read.
    facts_set_aside: Vec<String>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("id", &self.id).field("config", &self.config).finish_non_exhaustive()
    }
}

impl Deref for Engine {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Engine {
    /// Opens everything under the configured directories; starts nothing yet (see [`Engine::recover`]).
    pub async fn open(config: Config) -> Result<Self> {
        let store = Store::open(&config.root.join("engine.db"))?;
        let Fact { value: id, set_aside } = store.fact("engine_id", random_id(), is_id).await?;
        if let Some(sentence) = &set_aside {
            tracing::error!("{sentence}");
        }
        let binaries =
            Binaries { shim: config.bin_dir.join("berth-shim"), monitor: config.bin_dir.join("berth-monitor") };
        let runtime = Runtime::new(config.run_dir.join("containers"), binaries)?;
        let images = images::Store::open(&config.root.join("images"), &config.run_dir.join("images"))?;
        let registries = images::Registries::new(config.registries.clone(), tokio::runtime::Handle::current());
        let netd = Netd::new(&config, &owner_of(&id));
        let volumes = volume::Registry::new(config.root.join("volumes"));
        Ok(Self(Arc::new(Parts {
            config,
            id,
            events: Bus::default(),
            store,
            containers: Registry::default(),
            execs: crate::exec::Registry::default(),
            volumes,
            plugins: plugin::Directories::default(),
            images,
            registries,
            runtime,
            netd,
            recovered: watch::Sender::new(false),
            facts_set_aside: set_aside.into_iter().collect(),
        })))
    }

    /// Makes known what the last berthd has recorded. To be called before the API is served, which then waits for what each
    /// request is about.
    pub async fn load(&self) -> Result<Loaded> {
        orchestrate::recover::load(self).await
    }

    /// Takes up where the last berthd ended: netd answers, containers are known and watched, leftovers are swept.
    pub async fn recover(&self, loaded: Loaded) -> Result<()> {
        orchestrate::recover::recover(self, loaded).await
    }

    /// Does blocking work on another thread, to its end even if the caller goes away.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Engine) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let engine = self.clone();
        let joined = tokio::task::spawn_blocking(move || work(&engine)).await;
        joined.map_err(|_| Error::Interrupted { doing: "working on another thread" })?
    }

    /// Waits until what the last berthd left is sorted out.
    pub(crate) async fn after_recovery(&self) {
        // The sender lives as long as the engine.
        let _ = self.recovered.subscribe().wait_for(|recovered| *recovered).await;
    }

    /// The name under which netd knows our sandboxes.
    pub fn owner(&self) -> String {
        owner_of(&self.id)
    }

    /// Sentences about all records that can't be read.
    pub(crate) fn set_aside(&self) -> Vec<String> {
        let containers = self.containers.all_set_aside().into_iter().map(|(_, sentence)| sentence);
        containers.chain(self.volumes.all_set_aside()).chain(self.facts_set_aside.iter().cloned()).collect()
    }

    /// The directory of a container's own files: its log, `/etc/hosts` and so on.
    pub fn container_directory(&self, id: &Id) -> PathBuf {
        self.config.root.join("containers").join(id.as_str())
    }

    /// Where a container's log is, if it keeps one.
    pub fn log_path(&self, id: &Id) -> PathBuf {
        self.container_directory(id).join(format!("{id}-json.log"))
    }

    /// Tells listeners what happened to a container; `more` goes beside its name, image and labels.
    pub fn container_event<const N: usize>(
        &self,
        container: &Container,
        action: impl Into<String>,
        more: [(&str, String); N],
    ) {
        let mut attributes: BTreeMap<String, String> = container.spec.labels.clone();
        attributes.insert("name".into(), container.name.clone());
        attributes.insert("image".into(), container.image.reference.clone());
        attributes.extend(more.map(|(key, value)| (key.to_owned(), value)));
        self.tell(Subject::Container, action, container.id.to_string(), attributes);
    }

    /// Tells listeners what happened to a volume.
    pub(crate) fn volume_event<const N: usize>(&self, volume: &Volume, action: &str, more: [(&str, String); N]) {
        let mut attributes = BTreeMap::from([("driver".to_owned(), volume.driver().to_owned())]);
        attributes.extend(more.map(|(key, value)| (key.to_owned(), value)));
        self.tell(Subject::Volume, action, volume.name.to_string(), attributes);
    }

    /// Tells listeners that what nothing needed is gone.
    pub(crate) fn prune_event(&self, subject: Subject, reclaimed_bytes: u64) {
        let reclaimed = [("reclaimed".to_owned(), reclaimed_bytes.to_string())];
        self.tell(subject, "prune", String::new(), reclaimed.into());
    }

    /// Tells listeners what happened.
    pub(crate) fn tell(
        &self,
        subject: Subject,
        action: impl Into<String>,
        id: String,
        attributes: BTreeMap<String, String>,
    ) {
        self.events.publish(Event { at: Timestamp::now(), subject, action: action.into(), id, attributes });
    }
}

fn owner_of(id: &str) -> String {
    format!("berthd-{}", id.get(..12).unwrap_or(id))
}

/// Whether a text is what [`random_id`] draws.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// 64 hexadecimal digits that nobody else has, not all decimal: a short id must not be taken for a number.
pub(crate) fn random_id() -> String {
    loop {
        let id = hex::encode(rand::random::<[u8; 32]>());
        if id.get(..12).is_some_and(|short| short.bytes().any(|b| b.is_ascii_alphabetic())) {
            return id;
        }
    }
}
