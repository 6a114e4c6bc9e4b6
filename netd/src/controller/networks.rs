//! Networks: create, remove, prune.

use std::{collections::BTreeSet, sync::Arc};

use cnm::{
    Kind,
    api::PruneRequest,
    driver::HostView,
    id::NetworkId,
    network::Network,
    observed::ObserveScope,
    plan::Plan,
    spec::{NetworkRef, NetworkSpec},
};
use futures::{StreamExt as _, stream};
use kernel::HostFacts;

use super::{
    Controller, Timed, Timing,
    lanes::LaneKey,
    prepare::Prepared,
    prune::Filter,
    sandboxes::store_quietly,
    state::{Gone, NetworkDecision, NewNetwork},
};
use crate::Error;

/// How many networks a prune removes side by side.
const PRUNED_AT_A_TIME: usize = 64;

impl Controller {
    /// Makes a network.
    #[tracing::instrument(level = "debug", skip_all, fields(network = %spec.name))]
    pub(crate) async fn create_network(&self, spec: NetworkSpec) -> Result<Timed<Arc<Network>>, Error> {
        self.make_network(spec, false).await
    }

    pub(super) async fn make_network(&self, spec: NetworkSpec, predefined: bool) -> Result<Timed<Arc<Network>>, Error> {
        let mut prepared = Prepared::default();
        let made = self.make_prepared(spec, predefined, &mut prepared).await;
        self.release_unused(prepared).await;
        made
    }

    async fn make_prepared(
        &self,
        spec: NetworkSpec,
        predefined: bool,
        prepared: &mut Prepared,
    ) -> Result<Timed<Arc<Network>>, Error> {
        let mut timing = Timing::default();
        let name = spec.name.clone();
        let NewNetwork { network, plan, commit } = loop {
            let view = timing.measure("look", self.look_for(&spec)).await?;
            let (spec, grants) = (spec.clone(), prepared.grants());
            let decision = self.state.decide(move |state| state.reserve_network(spec, predefined, view, &grants));
            match timing.measure("decide", decision).await?? {
                NetworkDecision::NeedsGrants(requests) => {
                    let called_off = std::future::pending();
                    timing.measure("prepare", self.prepare(requests, prepared, called_off)).await?;
                }
                NetworkDecision::Reserved(reserved) => break reserved,
            }
        };
        let _lane = self.lanes.enter(LaneKey::Network(network.id.clone())).await;
        let id = network.id.clone();
        let made = async {
            timing.measure("reserve", commit.done()).await?;
            timing.measure("apply", self.apply(plan, || format!("create network {name}"))).await
        };
        if let Err(error) = made.await {
            let (gone, error) = self.state.decide(move |state| (state.network_failed(&id, &error), error)).await?;
            if let Err(error) = self.conclude_network(gone).await {
                tracing::error!(error = %error.chain(), "a failed request's outcome is not stored");
            }
            self.retry_later();
            return Err(error);
        }
        let programmed = id.clone();
        let stored = async {
            let decision = self.state.decide(move |state| state.network_programmed(&programmed));
            let (network, commit) = timing.measure("programmed", decision).await??;
            timing.measure("commit", commit.done()).await?;
            Ok(network)
        };
        match stored.await {
            Ok(network) => Ok(timing.of(network)),
            Err(error) => self.take_network_back(id, error).await,
        }
    }

    /// Takes away a network that the kernel has and the store doesn't; that it isn't stored is the answer.
    async fn take_network_back<T>(&self, id: NetworkId, error: Error) -> Result<T, Error> {
        let leaving = id.clone();
        let (plan, commit) = self.state.decide(move |state| state.network_leaving(&leaving)).await??;
        store_quietly(Some(commit)).await;
        if let Err(failed) = self.take_network_away(id, plan).await {
            tracing::error!(error = %failed.chain(), "a network could not be stored and can't be removed");
        }
        Err(error)
    }

    /// The host as a network's planner wants to see it.
    async fn look_for(&self, spec: &NetworkSpec) -> Result<HostView, Error> {
        let links = match self.planners.planner(&spec.driver) {
            Some(planner) => planner.links_to_observe(spec)?,
            // The model refuses it, by name.
            None => Vec::new(),
        };
        self.on_host("look at the host's network", move |host| {
            let facts = host.facts()?;
            let scope = ObserveScope { links: links.iter().cloned().collect(), ..ObserveScope::default() };
            let mut observed = if links.is_empty() { None } else { Some(host.observe(&scope)?) };
            let seen = observed.as_mut().and_then(|seen| seen.namespaces.remove(&cnm::resource::NamespaceAt::Host));
            let mut view = view_of(facts);
            if let Some(seen) = seen {
                view.links = seen.links.into_iter().filter(|(name, _)| links.contains(name)).collect();
            }
            Ok(view)
        })
        .await
    }

    /// Removes a network.
    #[tracing::instrument(level = "debug", skip(self))]
    pub(crate) async fn remove_network(&self, reference: NetworkRef) -> Result<(), Error> {
        let id = self.state.decide(move |state| state.network_id(&reference)).await??;
        self.tear_network_down(id).await
    }

    pub(super) async fn tear_network_down(&self, id: NetworkId) -> Result<(), Error> {
        let _lane = self.lanes.enter(LaneKey::Network(id.clone())).await;
        let leaving = id.clone();
        let (plan, commit) = self.state.decide(move |state| state.network_leaving(&leaving)).await??;
        if let Err(error) = commit.done().await {
            return Err(self.network_stays(id, plan, error).await);
        }
        self.take_network_away(id, plan).await
    }

    /// Applies the plan of a network that is going, and forgets it.
    async fn take_network_away(&self, id: NetworkId, plan: Plan) -> Result<(), Error> {
        if let Err(error) = self.apply(plan.clone(), || format!("remove network {}", id.short())).await {
            return Err(self.network_stays(id, plan, error).await);
        }
        let gone = self.state.decide(move |state| state.network_gone(&id)).await?;
        self.conclude_network(gone).await
    }

    /// Keeps what is left of a network to be taken away later; answers with why.
    async fn network_stays(&self, id: NetworkId, plan: Plan, error: Error) -> Error {
        let reason = error.chain();
        match self.state.decide(move |state| state.network_stuck(&id, plan, reason)).await {
            Ok(commit) => store_quietly(commit).await,
            Err(stopping) => return stopping,
        }
        self.retry_later();
        error
    }

    /// What is left to do when a network is gone: others get theirs back.
    async fn conclude_network(&self, gone: Option<Gone>) -> Result<(), Error> {
        let Some(Gone { commit, due, .. }) = gone else { return Ok(()) };
        let stored = commit.done().await;
        self.release_due(due).await;
        stored
    }

    /// Removes the networks that nobody is on and that the filter lets through; answers with their names.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(crate) async fn prune(&self, request: PruneRequest) -> Result<Vec<String>, Error> {
        let filter = Filter::parse(request)?;
        let read_view = self.read_view();
        let mut going = Vec::new();
        for network in read_view.networks() {
            if !network.predefined && filter.accepts(network) && read_view.members(&network.id).next().is_none() {
                going.push(self.remove_if_unused(network.clone()));
            }
        }
        // Side by side: what each waits for are the store and those who granted something. Bridges are deleted in the background.
        let gone: Vec<_> = stream::iter(going).buffer_unordered(PRUNED_AT_A_TIME).collect().await;
        let removed: BTreeSet<_> = gone.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>()?;
        Ok(removed.into_iter().collect())
    }

    /// Answers with the name of what it has removed.
    async fn remove_if_unused(&self, network: Arc<Network>) -> Result<Option<String>, Error> {
        match self.tear_network_down(network.id.clone()).await {
            Ok(()) => Ok(Some(network.spec.name.to_string())),
            // Somebody has come, or has removed it, in the meantime.
            Err(error) if matches!(error.kind(), Kind::Forbidden | Kind::NotFound | Kind::Conflict) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The model's view of what the kernel said.
pub(super) fn view_of(facts: HostFacts) -> HostView {
    HostView {
        default_route_mtu_bytes: facts.default_route_mtu_bytes,
        routes: facts.routes.into_iter().chain(facts.addresses).collect(),
        ephemeral_ports: cnm::api::PortRange {
            first: *facts.ephemeral_ports.start(),
            last: *facts.ephemeral_ports.end(),
        },
        reserved_ports: facts.reserved_ports,
        ipv6: facts.ipv6,
        links: std::collections::BTreeMap::new(),
    }
}
