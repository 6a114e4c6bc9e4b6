//! Plans of whole sandboxes and of changes to them, and what all of it together asks of the kernel.

use std::collections::BTreeSet;

use ipnetwork::IpNetwork;

use super::{State, planner_of};
use crate::{
    Error,
    driver::Planners,
    endpoint::Endpoint,
    firewall::Element,
    id::{NetworkId, SandboxId},
    network::Network,
    plan::{Op, Plan},
    ports::PublishedPort,
    resource::{LinkAt, Namespace, Resource, Resources, Route},
    sandbox::{Gateways, Sandbox},
    spec::{Family, NamespaceSpec},
};

impl State {
    /// What a sandbox is made of, as it is.
    pub(super) fn sandbox_resources(&self, planners: &dyn Planners, sandbox: &Sandbox) -> Result<Resources, Error> {
        let mut resources = Resources::new();
        if sandbox.spec.namespace == NamespaceSpec::New {
            resources.push(Resource::Namespace(Namespace { sandbox: sandbox.id().clone() }));
        }
        for endpoint in &sandbox.endpoints {
            let network = self.network_by_id(&endpoint.network)?;
            resources.extend(planner_of(planners, network)?.endpoint(network, &sandbox.namespace(), endpoint));
        }
        let gateways = sandbox.gateways();
        resources.extend(default_routes(sandbox, gateways));
        resources.extend(self.port_resources(planners, sandbox, gateways)?);
        Ok(resources)
    }

    /// All that there may be of a sandbox: what it is made of, and what it is to be made of.
    pub(super) fn all_sandbox_resources(&self, planners: &dyn Planners, sandbox: &Sandbox) -> Result<Resources, Error> {
        let mut resources = self.sandbox_resources(planners, sandbox)?;
        resources.extend(self.added_resources(planners, sandbox)?);
        Ok(resources)
    }

    /// What a sandbox is to be made of and isn't made of.
    pub(super) fn added_resources(&self, planners: &dyn Planners, sandbox: &Sandbox) -> Result<Resources, Error> {
        let Some(change) = &sandbox.change else { return Ok(Resources::new()) };
        let there = self.sandbox_resources(planners, sandbox)?;
        let mut coming = self.sandbox_resources(planners, change)?;
        coming.retain(|resource| !there.contains(resource));
        Ok(coming)
    }

    fn port_resources(
        &self,
        planners: &dyn Planners,
        sandbox: &Sandbox,
        gateways: Gateways<'_>,
    ) -> Result<Resources, Error> {
        let mut resources = Resources::new();
        for (endpoint, family) in [(gateways.ipv4, Family::Ipv4), (gateways.ipv6, Family::Ipv6)] {
            let Some(endpoint) = endpoint else { continue };
            let ports: Vec<PublishedPort> =
                sandbox.ports.iter().filter(|port| Family::of(port.endpoint) == family).cloned().collect();
            let network = self.network_by_id(&endpoint.network)?;
            resources.extend(planner_of(planners, network)?.published_ports(network, endpoint, &ports));
        }
        Ok(resources)
    }

    /// What turns a sandbox into what it is to be.
    pub(super) fn plan_change(
        &self,
        planners: &dyn Planners,
        before: &Sandbox,
        after: &Sandbox,
    ) -> Result<Plan, Error> {
        let before = self.sandbox_resources(planners, before)?;
        Ok(Plan::change(&before, &self.sandbox_resources(planners, after)?))
    }

    pub(super) fn add_to_loopback(&mut self, sandbox: &Sandbox) {
        if let Some(endpoint) = loopback_endpoint(sandbox) {
            self.loopback.entry(endpoint.network.clone()).or_default().insert(sandbox.id().clone());
        }
    }

    pub(super) fn remove_from_loopback(&mut self, sandbox: &Sandbox) {
        let Some(endpoint) = loopback_endpoint(sandbox) else { return };
        let Some(sandboxes) = self.loopback.get_mut(&endpoint.network) else { return };
        sandboxes.remove(sandbox.id());
        if sandboxes.is_empty() {
            self.loopback.remove(&endpoint.network);
        }
    }

    /// Those of some networks that lack what sandboxes on them need for ports on the host's loopback addresses, or have it for
    /// nobody any more: [`State::loopback_plan`] says what to do about it.
    pub fn loopback_pending<'a>(&self, networks: impl IntoIterator<Item = &'a NetworkId>) -> Vec<NetworkId> {
        let is_pending = |id: &&NetworkId| self.loopback.contains_key(id) != self.loopback_applied.contains(id);
        networks.into_iter().filter(is_pending).cloned().collect()
    }

    /// What a network needs now, or needs no longer, since sandboxes came to it or left it; none if nothing is to be done.
    /// Apply it in the network's lane and before the plan of the sandbox that needs it, then [`State::loopback_applied`]. (It is a
    /// write to a sysctl. As part of the sandboxes' own plans, which run side by side, a second sandbox could be there
    /// before the first one's plan has got to it, and the last one's leaving could overtake the next one's coming.)
    ///
    /// # Errors
    /// When the network is of a driver that isn't there.
    pub fn loopback_plan(&self, planners: &dyn Planners, id: &NetworkId) -> Result<Option<Plan>, Error> {
        let Some(network) = self.networks.get(id) else { return Ok(None) };
        let is_needed = self.loopback.contains_key(id);
        if is_needed == self.loopback_applied.contains(id) {
            return Ok(None);
        }
        let resources = planner_of(planners, network)?.loopback_publishing(network);
        Ok(Some(if is_needed { Plan::make(resources) } else { Plan::teardown(&resources) }))
    }

    /// The plan of [`State::loopback_plan`] is applied: a network now has, or hasn't, what it was for.
    pub fn loopback_applied(&mut self, id: &NetworkId, plan: &Plan) {
        let has_it = plan.ops.iter().any(|op| matches!(op, Op::Make(_)));
        if has_it && self.networks.contains_key(id) {
            self.loopback_applied.insert(id.clone());
        } else {
            self.loopback_applied.remove(id);
        }
    }

    /// The kernel holds all that [`State::desired`] says.
    pub fn all_loopback_applied(&mut self) {
        self.loopback_applied = self.loopback.keys().cloned().collect();
    }

    /// All that the kernel should hold: what all that is programmed is made of.
    ///
    /// # Errors
    /// When a record is of a driver that isn't there.
    pub fn desired(&self, planners: &dyn Planners) -> Result<Resources, Error> {
        self.resources(planners, self.networks.values(), self.sandboxes.values())
    }

    /// The same of one network and some sandboxes alone.
    ///
    /// # Errors
    /// When a record is of a driver that isn't there.
    pub fn desired_of(
        &self,
        planners: &dyn Planners,
        network: Option<&NetworkId>,
        sandboxes: &BTreeSet<SandboxId>,
    ) -> Result<Resources, Error> {
        let network = network.and_then(|id| self.networks.get(id));
        let sandboxes = sandboxes.iter().filter_map(|id| self.sandboxes.get(id));
        self.resources(planners, network, sandboxes)
    }

    fn resources<'a>(
        &self,
        planners: &dyn Planners,
        networks: impl IntoIterator<Item = &'a Network>,
        sandboxes: impl IntoIterator<Item = &'a Sandbox>,
    ) -> Result<Resources, Error> {
        let mut resources = Resources::new();
        for network in networks.into_iter().filter(|network| network.lifecycle.is_programmed()) {
            let planner = planner_of(planners, network)?;
            resources.extend(planner.network(network));
            if self.loopback.contains_key(&network.id) {
                resources.extend(planner.loopback_publishing(network));
            }
        }
        for sandbox in sandboxes.into_iter().filter(|sandbox| sandbox.lifecycle.is_programmed()) {
            resources.extend(self.sandbox_resources(planners, sandbox)?);
        }
        Ok(resources)
    }

    /// All that records speak of, whether or not it is to be so: what of it is in the kernel is ours.
    ///
    /// # Errors
    /// When a record is of a driver that isn't there.
    pub fn known(&self, planners: &dyn Planners) -> Result<Resources, Error> {
        let mut resources = Resources::new();
        for network in self.networks.values() {
            let planner = planner_of(planners, network)?;
            resources.extend(planner.network(network));
            resources.extend(planner.loopback_publishing(network));
        }
        for sandbox in self.sandboxes.values() {
            resources.extend(self.all_sandbox_resources(planners, sandbox)?);
        }
        Ok(resources)
    }

    /// All that the firewall should hold for what is programmed.
    ///
    /// # Errors
    /// When a record is of a driver that isn't there.
    pub fn firewall(&self, planners: &dyn Planners) -> Result<BTreeSet<Element>, Error> {
        let desired = self.desired(planners)?.into_iter();
        Ok(desired
            .filter_map(|resource| if let Resource::Element(element) = resource { Some(element) } else { None })
            .collect())
    }
}

/// The endpoint that a sandbox's ports are led to from 127.0.0.1, if there are such.
fn loopback_endpoint(sandbox: &Sandbox) -> Option<&Endpoint> {
    let needed = sandbox.ports.iter().find(|port| port.needs_route_localnet())?;
    sandbox
        .endpoints
        .iter()
        .find(|endpoint| endpoint.address(Family::Ipv4).is_some_and(|address| address.address.ip() == needed.endpoint))
}

fn default_route(sandbox: &Sandbox, endpoint: &Endpoint, family: Family) -> Option<Route> {
    let destination: IpNetwork = match family {
        Family::Ipv4 => "0.0.0.0/0",
        Family::Ipv6 => "::/0",
    }
    .parse()
    .expect("a literal prefix parses");
    let gateway = endpoint.address(family)?.gateway;
    let link = LinkAt { namespace: sandbox.namespace(), name: endpoint.interface()?.name.clone() };
    Some(Route { destination, gateway, link })
}

fn default_routes(sandbox: &Sandbox, gateways: Gateways<'_>) -> Resources {
    let ways = [(gateways.ipv4, Family::Ipv4), (gateways.ipv6, Family::Ipv6)];
    let routes = ways.into_iter().filter_map(|(endpoint, family)| default_route(sandbox, endpoint?, family));
    routes.map(Resource::Route).collect()
}
