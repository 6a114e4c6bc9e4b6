//! Plans of whole sandboxes and of changes to them, and what all of it together asks of the kernel.

use std::collections::BTreeSet;

use ipnetwork::IpNetwork;

use super::{State, planner_of};
use crate::{
    Error,
    driver::Planners,
    endpoint::Endpoint,
    firewall::{Element, FirewallChange},
    id::{NetworkId, SandboxId},
    op::{Op, Plan, Route},
    ports::PublishedPort,
    sandbox::{Gateways, Sandbox},
    spec::{Family, NamespaceSpec},
};

impl State {
    /// What makes a sandbox with all of its endpoints.
    pub(super) fn plan_whole_sandbox(&self, planners: &dyn Planners, sandbox: &Sandbox) -> Result<Plan, Error> {
        self.plan_sandbox(planners, sandbox, |_| true)
    }

    fn plan_sandbox(
        &self,
        planners: &dyn Planners,
        sandbox: &Sandbox,
        included: impl Fn(&Endpoint) -> bool,
    ) -> Result<Plan, Error> {
        let mut plan = Plan::default();
        if sandbox.spec.namespace == NamespaceSpec::New {
            plan.ops.push(Op::CreateNamespace(sandbox.id().clone()));
        }
        for endpoint in sandbox.endpoints.iter().filter(|endpoint| included(endpoint)) {
            plan = plan.then(self.plan_endpoint(planners, sandbox, endpoint)?);
        }
        let gateways = sandbox.gateways_among(included);
        plan.ops.extend(default_routes(sandbox, gateways));
        let add = self.port_elements(planners, sandbox, gateways)?;
        if !add.is_empty() {
            plan.ops.push(Op::Firewall(FirewallChange { add, remove: BTreeSet::new() }));
        }
        Ok(plan)
    }

    fn plan_endpoint(&self, planners: &dyn Planners, sandbox: &Sandbox, endpoint: &Endpoint) -> Result<Plan, Error> {
        let network = self.network_by_id(&endpoint.network)?;
        Ok(planner_of(planners, network)?.plan_endpoint(network, &sandbox.namespace(), endpoint))
    }

    fn port_elements(
        &self,
        planners: &dyn Planners,
        sandbox: &Sandbox,
        gateways: Gateways<'_>,
    ) -> Result<BTreeSet<Element>, Error> {
        let mut elements = BTreeSet::new();
        for (endpoint, family) in [(gateways.ipv4, Family::Ipv4), (gateways.ipv6, Family::Ipv6)] {
            let Some(endpoint) = endpoint else { continue };
            let ports: Vec<PublishedPort> =
                sandbox.ports.iter().filter(|port| Family::of(port.endpoint) == family).cloned().collect();
            let network = self.network_by_id(&endpoint.network)?;
            elements.extend(planner_of(planners, network)?.port_elements(network, endpoint, &ports));
        }
        Ok(elements)
    }

    /// The new endpoint first, then the default routes and ports that move to it.
    pub(super) fn plan_connect(
        &self,
        planners: &dyn Planners,
        before: &Sandbox,
        after: &Sandbox,
        joining: &Endpoint,
    ) -> Result<Plan, Error> {
        let plan = self.plan_endpoint(planners, after, joining)?;
        let plan = plan.then(moved_routes(before, after));
        Ok(plan.then(self.moved_ports(planners, before, after)?))
    }

    /// The default routes and ports that move away from the endpoint first, then the endpoint.
    pub(super) fn plan_disconnect(
        &self,
        planners: &dyn Planners,
        before: &Sandbox,
        after: &Sandbox,
        leaving: &Endpoint,
    ) -> Result<Plan, Error> {
        let plan = self.moved_ports(planners, before, after)?.then(moved_routes(before, after));
        Ok(plan.then(self.plan_endpoint(planners, before, leaving)?.teardown()))
    }

    fn moved_ports(&self, planners: &dyn Planners, before: &Sandbox, after: &Sandbox) -> Result<Plan, Error> {
        let old = self.port_elements(planners, before, before.gateways())?;
        let new = self.port_elements(planners, after, after.gateways())?;
        if old == new {
            return Ok(Plan::default());
        }
        let add = new.difference(&old).cloned().collect();
        let remove = old.difference(&new).cloned().collect();
        Ok(Plan { ops: vec![Op::Firewall(FirewallChange { add, remove })] })
    }

    pub(super) fn enter_loopback(&mut self, sandbox: &Sandbox) {
        if let Some(endpoint) = loopback_way(sandbox) {
            let sandboxes = self.loopback.entry(endpoint.network.clone()).or_default();
            if sandboxes.is_empty() {
                self.unsettled.insert(endpoint.network.clone());
            }
            sandboxes.insert(sandbox.id().clone());
        }
    }

    pub(super) fn leave_loopback(&mut self, sandbox: &Sandbox) {
        let Some(endpoint) = loopback_way(sandbox) else { return };
        let Some(sandboxes) = self.loopback.get_mut(&endpoint.network) else { return };
        sandboxes.remove(sandbox.id());
        if sandboxes.is_empty() {
            self.loopback.remove(&endpoint.network);
            self.unsettled.insert(endpoint.network.clone());
        }
    }

    /// What networks need that sandboxes have come to: apply it at once, before the next decision, so that no sandbox of
    /// the network is in place without it. (It is a write to a sysctl. As part of the sandboxes' own plans, which run
    /// side by side, a second sandbox could be there before the first one's plan has got to it, and the last one's
    /// leaving could overtake the next one's coming.)
    ///
    /// # Errors
    /// When a network is of a driver that isn't there.
    pub fn settle_needed(&mut self, planners: &dyn Planners) -> Result<Plan, Error> {
        let (needed, rest) =
            std::mem::take(&mut self.unsettled).into_iter().partition(|id| self.loopback.contains_key(id));
        self.unsettled = rest;
        self.plan_settling(planners, needed)
    }

    /// The same, and what networks need no longer since sandboxes left them.
    ///
    /// # Errors
    /// When a network is of a driver that isn't there.
    pub fn settle(&mut self, planners: &dyn Planners) -> Result<Plan, Error> {
        let unsettled = std::mem::take(&mut self.unsettled);
        self.plan_settling(planners, unsettled)
    }

    fn plan_settling(&self, planners: &dyn Planners, unsettled: BTreeSet<NetworkId>) -> Result<Plan, Error> {
        let mut plan = Plan::default();
        for network in unsettled.iter().filter_map(|id| self.networks.get(id)) {
            let needed = planner_of(planners, network)?.plan_loopback_publishing(network);
            plan = plan.then(if self.loopback.contains_key(&network.id) { needed } else { needed.inverse() });
        }
        Ok(plan)
    }

    /// Every operation that the kernel should have seen: the plans of all that is programmed. `skip` leaves out
    /// sandboxes that are being worked on.
    ///
    /// # Errors
    /// When a record is of a driver that isn't there.
    pub fn desired(&self, planners: &dyn Planners, skip: &BTreeSet<SandboxId>) -> Result<Vec<Op>, Error> {
        let mut ops = Vec::new();
        for network in self.networks.values().filter(|network| network.lifecycle.is_programmed()) {
            let planner = planner_of(planners, network)?;
            ops.extend(planner.plan_network(network).ops);
            if self.loopback.contains_key(&network.id) {
                ops.extend(planner.plan_loopback_publishing(network).ops);
            }
        }
        let settled = |sandbox: &&Sandbox| sandbox.lifecycle.is_programmed() && !skip.contains(sandbox.id());
        for sandbox in self.sandboxes.values().filter(settled) {
            let plan = self.plan_sandbox(planners, sandbox, |endpoint| endpoint.lifecycle.is_programmed())?;
            ops.extend(plan.ops);
        }
        Ok(ops)
    }

    /// Every operation that records speak of, whether or not it is to be so: what of it is in the kernel is ours.
    ///
    /// # Errors
    /// When a record is of a driver that isn't there.
    pub fn known(&self, planners: &dyn Planners) -> Result<Vec<Op>, Error> {
        let mut ops = Vec::new();
        for network in self.networks.values() {
            let planner = planner_of(planners, network)?;
            ops.extend(planner.plan_network(network).ops);
            ops.extend(planner.plan_loopback_publishing(network).ops);
        }
        for sandbox in self.sandboxes.values() {
            ops.extend(self.plan_whole_sandbox(planners, sandbox)?.ops);
        }
        Ok(ops)
    }

    /// All that the firewall should hold for what is programmed.
    ///
    /// # Errors
    /// When a record is of a driver that isn't there.
    pub fn firewall(&self, planners: &dyn Planners) -> Result<BTreeSet<Element>, Error> {
        let mut elements = BTreeSet::new();
        for op in self.desired(planners, &BTreeSet::new())? {
            if let Op::Firewall(change) = op {
                elements.extend(change.add);
            }
        }
        Ok(elements)
    }
}

/// The endpoint that a sandbox's ports are led to from 127.0.0.1, if there are such.
fn loopback_way(sandbox: &Sandbox) -> Option<&Endpoint> {
    let needed = sandbox.ports.iter().find(|port| port.needs_route_localnet())?;
    sandbox
        .endpoints
        .iter()
        .find(|endpoint| endpoint.address(Family::Ipv4).is_some_and(|address| address.address.ip() == needed.endpoint))
}

fn default_route(endpoint: &Endpoint, family: Family) -> Option<Route> {
    let destination: IpNetwork = match family {
        Family::Ipv4 => "0.0.0.0/0",
        Family::Ipv6 => "::/0",
    }
    .parse()
    .expect("a literal prefix parses");
    let gateway = endpoint.address(family)?.gateway;
    Some(Route { destination, gateway, link: endpoint.interface()?.name.clone() })
}

fn default_routes(sandbox: &Sandbox, gateways: Gateways<'_>) -> Vec<Op> {
    let ways = [(gateways.ipv4, Family::Ipv4), (gateways.ipv6, Family::Ipv6)];
    ways.into_iter()
        .filter_map(|(endpoint, family)| default_route(endpoint?, family))
        .map(|route| Op::AddRoute { namespace: sandbox.namespace(), route })
        .collect()
}

fn moved_routes(before: &Sandbox, after: &Sandbox) -> Plan {
    let old = default_routes(before, before.gateways());
    let new = default_routes(after, after.gateways());
    let gone = old.iter().filter(|op| !new.contains(op)).map(Op::inverse);
    let come = new.iter().filter(|op| !old.contains(op)).cloned();
    gone.chain(come).collect()
}
