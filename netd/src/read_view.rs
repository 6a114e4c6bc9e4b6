//! What readers see: the controller publishes a new value after each change, and nobody waits for anybody.
//!
//! The maps share their unchanged parts, so that a change costs no more with many objects than with few.

use std::sync::Arc;

use cnm::{
    Error, Kind, api,
    endpoint::Endpoint,
    id::{EndpointId, NetworkId, NetworkName, SandboxId},
    network::Network,
    sandbox::Sandbox,
};
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

/// All networks and sandboxes at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadView {
    networks: RedBlackTreeMapSync<NetworkId, Arc<Network>>,
    names: RedBlackTreeMapSync<NetworkName, NetworkId>,
    sandboxes: RedBlackTreeMapSync<SandboxId, Arc<Sandbox>>,
    members: RedBlackTreeMapSync<NetworkId, RedBlackTreeSetSync<SandboxId>>,
    endpoints: usize,
    lost_ports: RedBlackTreeMapSync<SandboxId, Vec<String>>,
    forwarding_by_us: bool,
}

impl ReadView {
    pub(crate) fn put_network(&mut self, network: Arc<Network>) {
        self.names.insert_mut(network.spec.name.clone(), network.id.clone());
        self.networks.insert_mut(network.id.clone(), network);
    }

    pub(crate) fn remove_network(&mut self, id: &NetworkId) {
        if let Some(network) = self.networks.get(id).cloned() {
            self.names.remove_mut(&network.spec.name);
            self.networks.remove_mut(id);
            self.members.remove_mut(id);
        }
    }

    pub(crate) fn put_sandbox(&mut self, sandbox: Arc<Sandbox>) {
        self.remove_sandbox(sandbox.id());
        for endpoint in &sandbox.endpoints {
            let members = self.members.get(&endpoint.network).cloned().unwrap_or_default();
            self.members.insert_mut(endpoint.network.clone(), members.insert(sandbox.id().clone()));
        }
        self.endpoints += sandbox.endpoints.len();
        self.sandboxes.insert_mut(sandbox.id().clone(), sandbox);
    }

    pub(crate) fn remove_sandbox(&mut self, id: &SandboxId) {
        let Some(sandbox) = self.sandboxes.get(id).cloned() else { return };
        self.sandboxes.remove_mut(id);
        self.endpoints -= sandbox.endpoints.len();
        self.lost_ports.remove_mut(id);
        for endpoint in &sandbox.endpoints {
            if let Some(members) = self.members.get(&endpoint.network) {
                self.members.insert_mut(endpoint.network.clone(), members.remove(id));
            }
        }
    }

    /// Ports of a sandbox that others took while netd was away, in words.
    pub(crate) fn put_lost_ports(&mut self, sandbox: SandboxId, ports: Vec<String>) {
        self.lost_ports.insert_mut(sandbox, ports);
    }

    pub(crate) fn lost_ports(&self) -> impl Iterator<Item = &String> {
        self.lost_ports.values().flatten()
    }

    pub(crate) const fn set_forwarding_by_us(&mut self) {
        self.forwarding_by_us = true;
    }

    /// Whether netd switched IPv4 forwarding on.
    pub(crate) const fn forwarding_by_us(&self) -> bool {
        self.forwarding_by_us
    }

    pub(crate) fn networks(&self) -> impl Iterator<Item = &Arc<Network>> {
        self.names.values().filter_map(|id| self.networks.get(id))
    }

    pub(crate) fn sandboxes(&self) -> impl Iterator<Item = &Arc<Sandbox>> {
        self.sandboxes.values()
    }

    pub(crate) fn sandbox(&self, id: &str) -> Result<&Arc<Sandbox>, Error> {
        let parsed: Result<SandboxId, _> = id.parse();
        parsed.ok().and_then(|id| self.sandboxes.get(&id)).ok_or_else(|| no_such_sandbox(id))
    }

    /// The network that is meant: by id, name, or unique prefix of its id, in this order.
    pub(crate) fn network<'a>(&'a self, reference: &str) -> Result<&'a Arc<Network>, Error> {
        let by_id = || reference.parse().ok().and_then(|id| self.networks.get(&id));
        let by_name =
            || reference.parse().ok().and_then(|name| self.names.get(&name)).and_then(|id| self.networks.get(id));
        if let Some(network) = by_id().or_else(by_name) {
            return Ok(network);
        }
        let mut starting = self.with_id_prefix(reference);
        match (starting.next(), starting.next()) {
            (Some(network), None) => Ok(network),
            (Some(_), Some(_)) => Err(Error::invalid(format!(
                "network {reference} is ambiguous (2 or more matches found by the beginning of its id)"
            ))),
            (None, _) => Err(Error::new(Kind::NotFound, format!("network {reference} not found"))),
        }
    }

    fn with_id_prefix<'a>(&'a self, prefix: &str) -> impl Iterator<Item = &'a Arc<Network>> {
        // The smallest id with the prefix is the prefix filled up with zeros.
        let smallest: Option<NetworkId> = (!prefix.is_empty()).then(|| format!("{prefix:0<64}").parse().ok()).flatten();
        smallest
            .into_iter()
            .flat_map(|smallest| self.networks.range(smallest..))
            .take_while(move |(id, _)| id.as_str().starts_with(prefix))
            .map(|(_, network)| network)
    }

    /// A network's endpoints with their sandboxes, in the order of the sandboxes' ids.
    pub(crate) fn members(&self, network: &NetworkId) -> impl Iterator<Item = (&Sandbox, &Endpoint)> {
        let members = self.members.get(network).into_iter().flat_map(RedBlackTreeSetSync::iter);
        members.filter_map(|id| self.sandboxes.get(id)).flat_map(move |sandbox| {
            let on_it = sandbox.endpoints.iter().filter(move |endpoint| endpoint.network == *network);
            on_it.map(move |endpoint| (&**sandbox, endpoint))
        })
    }

    /// As the API shows a network and who is on it.
    pub(crate) fn show_network(&self, network: &Network) -> api::Network {
        let endpoints = self.members(&network.id).map(|(sandbox, endpoint)| api::NetworkEndpoint {
            sandbox: sandbox.id().to_string(),
            sandbox_name: sandbox.spec.name.clone(),
            endpoint: show_endpoint(sandbox, endpoint),
        });
        network.to_api(endpoints.collect())
    }

    pub(crate) fn count_networks(&self) -> usize {
        self.networks.size()
    }

    pub(crate) fn count_sandboxes(&self) -> usize {
        self.sandboxes.size()
    }

    pub(crate) const fn count_endpoints(&self) -> usize {
        self.endpoints
    }
}

/// As the API shows an endpoint of a sandbox.
pub(crate) fn show_endpoint(sandbox: &Sandbox, endpoint: &Endpoint) -> api::Endpoint {
    let gateways = sandbox.gateways();
    let is = |gateway: Option<&Endpoint>| gateway.is_some_and(|gateway| gateway.id == endpoint.id);
    endpoint.to_api(is(gateways.ipv4), is(gateways.ipv6))
}

pub(crate) fn no_such_sandbox(id: &str) -> Error {
    Error::new(Kind::NotFound, format!("sandbox {id} not found"))
}

pub(crate) fn no_such_endpoint(sandbox: &SandboxId, id: &str) -> Error {
    Error::new(Kind::NotFound, format!("sandbox {sandbox} has no endpoint {id}"))
}

/// The endpoint of a sandbox that a caller names by its id.
pub(crate) fn find_endpoint<'a>(sandbox: &'a Sandbox, id: &str) -> Result<&'a Endpoint, Error> {
    let parsed: Result<EndpointId, _> = id.parse();
    parsed.ok().and_then(|id| sandbox.endpoint(&id)).ok_or_else(|| no_such_endpoint(sandbox.id(), id))
}
