//! The handle on all that the engine is made of, for whatever is about more than one part of it: the router's state.

use std::sync::Arc;

use axum::extract::FromRef;
use runtime::{Binaries, Runtime};
use tokio::sync::watch;

use crate::blocking::Blocking;
use crate::config::Config;
use crate::container::Containers;
use crate::error::Result;
use crate::events::Bus;
use crate::image::Images;
use crate::netd::Netd;
use crate::store::{Fact, Store};
use crate::volume::{self, Volumes};

/// A cheap handle on the engine. What needs one of its parts takes that.
#[derive(Debug, Clone)]
pub struct Engine {
    /// Paths and names, as configured.
    pub config: Arc<Config>,
    /// This installation's id, drawn once: netd knows our sandboxes by it.
    pub id: Arc<str>,
    /// Containers: their records, processes and files.
    pub containers: Arc<Containers>,
    /// Volumes: their records and files.
    pub volumes: Arc<Volumes>,
    /// Images, and the root file systems of containers.
    pub images: Arc<Images>,
    /// Networking.
    pub netd: Arc<Netd>,
    /// What happened, for `docker events`.
    pub events: Arc<Bus>,
    /// Whether what the last berthd left is sorted out.
    pub(crate) recovered: watch::Sender<bool>,
    /// Sentences about facts in the database that can't be read.
    facts_set_aside: Arc<[String]>,
}

impl Blocking for Engine {}

impl Engine {
    /// Opens everything under the configured directories; starts nothing yet.
    pub async fn open(config: Config) -> Result<Self> {
        let store = Store::open(&config.root.join("engine.db"))?;
        let Fact { value: id, set_aside } = store.fact("engine_id", random_id(), is_id).await?;
        if let Some(sentence) = &set_aside {
            tracing::error!("{sentence}");
        }
        let binaries =
            Binaries { shim: config.bin_dir.join("berth-shim"), monitor: config.bin_dir.join("berth-monitor") };
        let runtime = Runtime::new(config.run_dir.join("containers"), binaries)?;
        let events = Arc::new(Bus::default());
        let images = Images {
            store: images::Store::open(&config.root.join("images"), &config.run_dir.join("images"))?,
            registries: images::Registries::new(config.registries.clone(), tokio::runtime::Handle::current()),
            events: events.clone(),
        };
        let volumes = Volumes {
            registry: volume::Registry::new(config.root.join("volumes")),
            plugins: plugin::Directories::default(),
            store: store.clone(),
            events: events.clone(),
            subpaths: config.run_dir.join("subpaths"),
        };
        let containers = Containers::new(runtime, store, events.clone(), config.root.join("containers"));
        Ok(Self {
            netd: Arc::new(Netd::new(&config, owner_of(&id))),
            config: Arc::new(config),
            id: id.into(),
            containers: Arc::new(containers),
            volumes: Arc::new(volumes),
            images: Arc::new(images),
            events,
            recovered: watch::Sender::new(false),
            facts_set_aside: set_aside.into_iter().collect(),
        })
    }

    /// Waits until what the last berthd left is sorted out.
    pub(crate) async fn after_recovery(&self) {
        // The sender lives as long as the engine.
        let _ = self.recovered.subscribe().wait_for(|recovered| *recovered).await;
    }

    /// Sentences about all records that can't be read.
    pub(crate) fn set_aside(&self) -> Vec<String> {
        let containers = self.containers.registry.all_set_aside().into_iter().map(|(_, sentence)| sentence);
        let volumes = self.volumes.registry.all_set_aside();
        containers.chain(volumes).chain(self.facts_set_aside.iter().cloned()).collect()
    }
}

/// Lets a handler take one part of the engine in place of all of it.
macro_rules! part {
    ($field:ident: $part:ty) => {
        impl FromRef<Engine> for Arc<$part> {
            fn from_ref(engine: &Engine) -> Self {
                engine.$field.clone()
            }
        }
    };
}

part!(containers: Containers);
part!(volumes: Volumes);
part!(images: Images);
part!(netd: Netd);
part!(events: Bus);

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
