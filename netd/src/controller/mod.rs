//! What netd does with a request: decide, store the intent, let the kernel apply the plan, store that it is done.
//!
//! Decisions are made one at a time by the [`state_thread`] and wait for nobody; storing and applying happen in the task of
//! the request, in the lane of its object, so that requests about different objects go side by side. What watches find
//! amiss is put right in the same way.

mod adopt;
mod changes;
mod check;
mod claim;
mod firewall;
mod lanes;
mod links;
mod networks;
mod owed;
mod prepare;
mod prune;
mod retry;
mod sandboxes;
mod start;
mod state;
mod state_thread;
#[cfg(test)]
mod tests;
mod timing;

use std::{path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use cnm::{api, driver::Planners, plan::Plan, resource::NamespaceAt, sandbox::Sandbox};
use kernel::{Applied, Host};

pub(crate) use self::{
    firewall::watch_firewall,
    links::watch_links,
    sandboxes::PutSandbox,
    start::{Start, start},
    state::ClockAndRandom,
    state_thread::StateThreadEnd,
    timing::{Timed, Timing},
};
use self::{lanes::Lanes, owed::RemoteDrivers, retry::Retrying, state_thread::StateThread};
use crate::{Error, events::Subscription, read_view::ReadView};

/// The way to everything that netd does; cheap to clone.
#[derive(Clone)]
pub(crate) struct Controller {
    state: StateThread,
    lanes: Lanes,
    host: Arc<dyn Host>,
    planners: Arc<dyn Planners>,
    published: Arc<ArcSwap<ReadView>>,
    identity: Arc<Identity>,
    retrying: Arc<Retrying>,
    drivers: Arc<RemoteDrivers>,
}

/// What is known of this netd from its start on.
#[derive(Debug)]
struct Identity {
    /// Drawn at start.
    instance: String,
    /// The directory that namespaces are pinned in.
    namespaces: PathBuf,
    /// See [`Start::forwarding_drop`].
    forwarding_drop: bool,
    /// Sentences about records that have no part in the state.
    set_aside: Vec<String>,
}

impl Controller {
    /// What there is at this moment.
    pub(crate) fn read_view(&self) -> Arc<ReadView> {
        self.published.load_full()
    }

    /// As the API shows a sandbox.
    pub(crate) fn show_sandbox(&self, sandbox: &Sandbox) -> api::Sandbox {
        let path = match sandbox.namespace() {
            NamespaceAt::Host => None,
            NamespaceAt::Pinned(id) => Some(self.identity.namespaces.join(id.as_str()).display().to_string()),
            NamespaceAt::Path(path) => Some(path),
        };
        sandbox.to_api(path)
    }

    /// Who this is.
    pub(crate) async fn handshake(&self) -> Result<api::Handshake, Error> {
        Ok(api::Handshake {
            api: api::API_VERSION,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance: self.identity.instance.clone(),
            revision: self.state.decide(|state| state.events.newest()).await?,
            features: api::FEATURES.map(str::to_owned).to_vec(),
        })
    }

    /// Counts and warnings. Reads the host's rule set: it is for people.
    pub(crate) async fn info(&self) -> Result<api::Info, Error> {
        let drops = self.on_host("read the host's firewall", |host| host.foreign_drops()).await?;
        let read_view = self.read_view();
        let mut warnings: Vec<String> = drops.iter().map(firewall::describe_drop).collect();
        warnings.extend(read_view.lost_ports().chain(&self.identity.set_aside).cloned());
        let (default_pools, not_taken_back) =
            self.state.decide(|state| (state.pools.to_api(), state.owed.warnings())).await?;
        warnings.extend(not_taken_back);
        Ok(api::Info {
            networks: read_view.count_networks(),
            sandboxes: read_view.count_sandboxes(),
            endpoints: read_view.count_endpoints(),
            drivers: self.planners.names().into_iter().map(str::to_owned).collect(),
            forwarding_by_us: read_view.forwarding_by_us(),
            default_pools,
            warnings,
        })
    }

    /// Events after `since`, or from now on.
    pub(crate) async fn subscribe(&self, since: Option<u64>) -> Result<Subscription, Error> {
        self.state.decide(move |state| state.subscribe(since)).await
    }

    /// Applies a plan on a thread that may block.
    async fn apply(&self, plan: Plan, attempt: impl FnOnce() -> String) -> Result<Applied, Error> {
        let host = self.host.clone();
        let span = tracing::Span::current();
        let applied = tokio::task::spawn_blocking(move || span.in_scope(|| host.apply(&plan)));
        applied.await.map_err(|_| Error::Panicked)?.map_err(|source| Error::Apply { attempt: attempt(), source })
    }

    /// Asks the host something on a thread that may block.
    async fn on_host<T: Send + 'static>(
        &self,
        attempt: &'static str,
        ask: impl FnOnce(&dyn Host) -> Result<T, kernel::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let host = self.host.clone();
        let answered = tokio::task::spawn_blocking(move || ask(&*host));
        answered.await.map_err(|_| Error::Panicked)?.map_err(Error::host(attempt))
    }
}
