//! The handle on all that the engine is made of, for whatever is about more than one part of it: the router's state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::extract::FromRef;
use cnm::api::Sandbox;
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
    /// Opens everything under the configured directories; starts nothing yet, but for a netd that has to be asked who we are.
    pub async fn open(config: Config) -> Result<Self> {
        let store = Store::open(&config.root.join("engine.db"))?;
        let Fact { value: id, set_aside } = known_id(&config, &store).await?;
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
            are_mounts_known: AtomicBool::new(false),
        };
        let containers = Containers::new(runtime, store, events.clone(), config.root.join("containers"))?;
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

const ENGINE_ID: &str = "engine_id";

/// What stands before the beginning of our id in the name under which netd knows our sandboxes.
const OWNER_PREFIX: &str = "berthd-";

/// This installation's id. Where there are containers and it is lost, netd says under which name it knows their sandboxes:
/// with another they would be somebody else's.
async fn known_id(config: &Config, store: &Store) -> Result<Fact> {
    let drawn = random_id();
    let ours: BTreeSet<String> = match store.known_fact(ENGINE_ID, is_id).await? {
        Some(_) => BTreeSet::new(),
        None => store.containers().await?.into_iter().map(|container| container.id).collect(),
    };
    if ours.is_empty() {
        return Ok(store.fact(ENGINE_ID, drawn, is_id).await?);
    }
    let netd = Netd::new(config, owner_of(&drawn));
    let sandboxes = netd.patiently(async |_| Ok(netd.client().sandboxes().await?)).await?;
    let again = id_again(&drawn, &ours, &sandboxes);
    Ok(store.fact(ENGINE_ID, again, is_id).await?)
}

/// An id that gives the name under which most of our containers' sandboxes are known, if any are; else what was drawn.
fn id_again(drawn: &str, ours: &BTreeSet<String>, sandboxes: &[Sandbox]) -> String {
    let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
    for sandbox in sandboxes.iter().filter(|sandbox| ours.contains(&sandbox.id)) {
        if let Some(beginning) = sandbox.owner.strip_prefix(OWNER_PREFIX) {
            *owners.entry(beginning).or_default() += 1;
        }
    }
    let beginning = owners.into_iter().max_by_key(|(_, count)| *count).map_or("", |(beginning, _)| beginning);
    let again = format!("{beginning}{}", drawn.get(beginning.len()..).unwrap_or_default());
    // The name of who isn't a berthd is of no use.
    if is_id(&again) && owner_of(&again).ends_with(beginning) { again } else { drawn.to_owned() }
}

fn owner_of(id: &str) -> String {
    format!("{OWNER_PREFIX}{}", id.get(..12).unwrap_or(id))
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

#[cfg(test)]
mod tests {
    use cnm::api::SandboxState;

    use super::*;

    #[test]
    fn a_lost_id_begins_again_as_netd_knows_our_sandboxes() {
        let drawn = "f".repeat(64);
        let sandbox = |(id, owner): &(&str, &str)| Sandbox {
            id: (*id).to_owned(),
            owner: (*owner).to_owned(),
            name: String::new(),
            labels: BTreeMap::new(),
            namespace: None,
            endpoints: Vec::new(),
            ports: Vec::new(),
            state: SandboxState::Programmed,
        };
        let (ours, other) = ("berthd-0123456789ab", "berthd-bbbbbbbbbbbb");
        for (sandboxes, owner) in [
            (vec![("one", ours), ("two", ours), ("theirs", other), ("theirs too", other), ("more", other)], ours),
            (vec![("one", other), ("two", ours), ("three", ours)], ours),
            (vec![], "berthd-ffffffffffff"),
            (vec![("theirs", other)], "berthd-ffffffffffff"),
            (vec![("one", "cni"), ("two", "berthd-else"), ("three", "berthd-0123456789abc")], "berthd-ffffffffffff"),
        ] {
            let known: Vec<Sandbox> = sandboxes.iter().map(sandbox).collect();
            let all = ["one", "two", "three"].map(str::to_owned).into();
            let id = id_again(&drawn, &all, &known);
            assert!(is_id(&id) && owner_of(&id) == owner, "{sandboxes:?}: {id}");
        }
    }
}
