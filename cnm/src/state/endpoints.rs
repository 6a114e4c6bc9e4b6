//! Decisions about endpoints: leases, ports, and joining and leaving a sandbox that runs.

use std::{collections::BTreeSet, net::IpAddr};

use super::{Context, State, Unfinished, planner_of};
use crate::{
    Error, Kind,
    driver::{Attaching, Planners},
    endpoint::{Address, Attachment, Endpoint},
    id::{EndpointId, LinkName, NetworkId, SandboxId},
    ipam::with_prefix,
    lifecycle::Lifecycle,
    network::Network,
    op::Plan,
    ports::PortContext,
    sandbox::Sandbox,
    spec::{EndpointSpec, Family, NamespaceSpec, SubnetRequest},
};

impl State {
    /// Leases addresses for an endpoint and chooses everything else of it. `names` are the interface names in use.
    pub(super) fn lease_endpoint(
        &mut self,
        spec: &EndpointSpec,
        names: &mut BTreeSet<LinkName>,
        context: &mut Context<'_>,
    ) -> Result<Endpoint, Error> {
        let network = self.network(&spec.network)?;
        let planner = planner_of(context.planners, network)?;
        check_fixed(network, spec)?;
        let id = EndpointId::from_bytes((context.random)());
        let mut endpoint = Endpoint {
            id,
            network: network.id.clone(),
            network_name: network.spec.name.clone(),
            spec: spec.clone(),
            attachment: Attachment::Bare,
            lifecycle: Lifecycle::Reserved,
        };
        if !planner.traits().addresses {
            return Ok(endpoint);
        }
        let interface = choose_interface(network, spec, names)?;
        let network_id = network.id.clone();
        let addresses = self.lease_addresses(&network_id, spec)?;
        let network = self.network_by_id(&network_id)?;
        let attaching = Attaching { id: &endpoint.id, spec, interface: &interface, addresses: &addresses };
        endpoint.attachment =
            planner.attach(network, attaching, context.host).map_or(Attachment::Bare, Attachment::Link);
        names.insert(interface);
        Ok(endpoint)
    }

    fn lease_addresses(&mut self, network: &NetworkId, spec: &EndpointSpec) -> Result<Vec<Address>, Error> {
        let record = self.network_by_id(network)?.clone();
        let mut leases = self.leases.get(network).cloned().unwrap_or_default();
        let mut addresses = Vec::with_capacity(leases.len());
        for (lease, pool) in leases.iter_mut().zip(&record.pools) {
            let fixed = match lease.family() {
                Family::Ipv4 => spec.ipv4.map(IpAddr::from),
                Family::Ipv6 => spec.ipv6.map(IpAddr::from),
            };
            let address = match fixed {
                Some(wanted) => {
                    lease.reserve(wanted).map(|()| wanted).map_err(|error| self.name_holder(network, wanted, error))?
                }
                None => lease.allocate().map_err(|error| {
                    Error::new(error.kind, format!("network {}: {}", record.spec.name, error.message))
                })?,
            };
            addresses.push(Address {
                address: with_prefix(address, pool.subnet),
                gateway: (!record.spec.internal).then(|| pool.default_gateway()),
                fixed: fixed.is_some(),
            });
        }
        self.leases.insert(network.clone(), leases);
        Ok(addresses)
    }

    /// Says who has an address that can't be had.
    fn name_holder(&self, network: &NetworkId, wanted: IpAddr, error: Error) -> Error {
        let holder = self.members(network).find(|(_, endpoint)| {
            endpoint.interface().is_some_and(|link| link.addresses.iter().any(|held| held.address.ip() == wanted))
        });
        match holder {
            Some((sandbox, _)) => {
                Error::new(error.kind, format!("{} is held by sandbox {}", error.message, sandbox.spec.name))
            }
            None => error,
        }
    }

    pub(super) fn release_endpoints(&mut self, endpoints: &[Endpoint]) {
        for endpoint in endpoints {
            for lease in self.leases.get_mut(&endpoint.network).into_iter().flatten() {
                if let Some(held) = endpoint.address(lease.family()) {
                    lease.release(held.address.ip());
                }
            }
        }
    }

    /// Chooses ports for a sandbox and holds them, if it has a way out.
    pub(super) fn publish(&mut self, sandbox: &mut Sandbox, context: &Context<'_>) -> Result<(), Error> {
        let gateways = sandbox.gateways();
        let Some(way) = gateways.ipv4.or(gateways.ipv6) else { return Ok(()) };
        let leads_to = |endpoint: Option<&Endpoint>, family| {
            let endpoint = endpoint?;
            let mode = self.networks.get(&endpoint.network)?.config.gateway_mode(family)?;
            Some((endpoint.address(family)?.address.ip(), mode))
        };
        let ports = PortContext {
            ephemeral: context.host.ephemeral_ports,
            reserved: &context.host.reserved_ports,
            avoid: context.avoid_ports,
            host_binding: self.networks.get(&way.network).and_then(|network| network.config.host_binding()),
            host_ipv6: context.host.ipv6,
            ipv4: leads_to(gateways.ipv4, Family::Ipv4),
            ipv6: leads_to(gateways.ipv6, Family::Ipv6),
        };
        sandbox.ports = self.ports.publish(sandbox.id(), &sandbox.spec.name, &sandbox.spec.ports, ports)?;
        Ok(())
    }

    /// Moves a sandbox's ports to where its way out is now; `before` is where it was. Nothing changes on an error.
    fn rehome_ports(&mut self, before: &Sandbox, after: &mut Sandbox, context: &Context<'_>) -> Result<(), Error> {
        let modes = |sandbox: &Sandbox| {
            let gateways = sandbox.gateways();
            [(gateways.ipv4, Family::Ipv4), (gateways.ipv6, Family::Ipv6)]
                .map(|(endpoint, family)| self.networks.get(&endpoint?.network)?.config.gateway_mode(family))
        };
        if after.spec.ports.is_empty() {
            return Ok(());
        }
        if modes(before) == modes(after) {
            // The ports on the host stay; only where they lead changes.
            let old = [Family::Ipv4, Family::Ipv6].map(|family| way_out(before, family));
            let new = [Family::Ipv4, Family::Ipv6].map(|family| way_out(after, family));
            let renumbered = old.into_iter().zip(new).filter_map(|(old, new)| Some((old?, new?)));
            let renumbered: Vec<(IpAddr, IpAddr)> = renumbered.collect();
            after.ports.iter_mut().for_each(|port| port.lead_elsewhere(&renumbered));
            return Ok(());
        }
        self.ports.release(&before.ports);
        after.ports.clear();
        self.publish(after, context).inspect_err(|_| {
            self.ports.restore(before.id(), &before.spec.name, &before.ports);
        })
    }

    /// Adds an endpoint (*Reserved*) to a programmed sandbox. The plan may move the default gateway and the ports:
    /// [`crate::ports::sockets`] of the record before and after says which to bind and to close.
    ///
    /// # Errors
    /// As for [`State::put_sandbox`]; and when the sandbox is on that network already or is going.
    pub fn connect(
        &mut self,
        id: &SandboxId,
        spec: EndpointSpec,
        context: &mut Context<'_>,
    ) -> Result<(Sandbox, EndpointId, Plan), Error> {
        let before = self.sandbox(id)?.clone();
        self.check_connect(&before, &spec, context.planners)?;
        let mut names: BTreeSet<LinkName> =
            before.endpoints.iter().filter_map(|endpoint| Some(endpoint.interface()?.name.clone())).collect();
        if let Some(taken) = spec.interface.as_ref().filter(|name| names.contains(*name)) {
            return Err(Error::new(Kind::Conflict, format!("sandbox {id} has an interface {taken} already")));
        }
        let endpoint = self.lease_endpoint(&spec, &mut names, context)?;
        let mut after = before.clone();
        after.endpoints.push(endpoint.clone());
        let planned = self
            .rehome_ports(&before, &mut after, context)
            .and_then(|()| self.plan_connect(context.planners, &before, &after, &endpoint));
        match planned {
            Ok(plan) => {
                self.replace(&before, &after);
                Ok((after, endpoint.id, plan))
            }
            Err(error) => {
                self.release_endpoints(&[endpoint]);
                Err(error)
            }
        }
    }

    fn check_connect(&self, sandbox: &Sandbox, spec: &EndpointSpec, planners: &dyn Planners) -> Result<(), Error> {
        let id = sandbox.id();
        if !sandbox.lifecycle.is_programmed() {
            return Err(Error::new(Kind::Conflict, format!("sandbox {id} is being made or removed: try again")));
        }
        let network = self.network(&spec.network)?;
        let name = &network.spec.name;
        if sandbox.endpoints.iter().any(|endpoint| endpoint.network == network.id) {
            return Err(Error::new(
                Kind::Forbidden,
                format!("sandbox {} is on network {name} already", sandbox.spec.name),
            ));
        }
        let has_bare = sandbox.endpoints.iter().any(|endpoint| endpoint.interface().is_none());
        if has_bare || sandbox.spec.namespace == NamespaceSpec::Host {
            return Err(Error::new(
                Kind::Forbidden,
                format!(
                    "sandbox {} can't be connected to network {name}: it is on network {}, which stands alone",
                    sandbox.spec.name, sandbox.endpoints[0].network_name
                ),
            ));
        }
        if !planner_of(planners, network)?.traits().addresses && !sandbox.endpoints.is_empty() {
            return Err(Error::new(
                Kind::Forbidden,
                format!("sandbox {} can't be connected to network {name}: it is on other networks", sandbox.spec.name),
            ));
        }
        self.check_attachment(network, spec, &sandbox.spec.namespace, planners)
    }

    /// The kernel has the endpoint; the sandbox's record to store.
    ///
    /// # Errors
    /// When it isn't known or is going.
    pub fn endpoint_programmed(&mut self, sandbox: &SandboxId, endpoint: &EndpointId) -> Result<Sandbox, Error> {
        let record = self.endpoint_mut(sandbox, endpoint)?;
        record.lifecycle = record.lifecycle.clone().programmed()?;
        self.sandbox(sandbox).cloned()
    }

    /// The endpoint is to go (*PartlyTorn*; the plan is in its lifecycle too). The plan may move the default gateway
    /// and the ports. Asked again, it answers with what is left.
    ///
    /// # Errors
    /// When it isn't known, or its sandbox is going.
    pub fn disconnect(
        &mut self,
        id: &SandboxId,
        endpoint: &EndpointId,
        context: &mut Context<'_>,
    ) -> Result<(Sandbox, Plan), Error> {
        let before = self.sandbox(id)?.clone();
        if !before.lifecycle.is_programmed() {
            return Err(Error::new(Kind::Conflict, format!("sandbox {id} is being made or removed: try again")));
        }
        let leaving = before.endpoint(endpoint).ok_or_else(|| not_on(id, endpoint))?;
        if let Some(plan) = leaving.lifecycle.remaining() {
            let plan = plan.clone();
            return Ok((before, plan));
        }
        let mut after = before.clone();
        set_going(&mut after, endpoint, Plan::default());
        self.rehome_ports(&before, &mut after, context)?;
        let plan = self.plan_disconnect(context.planners, &before, &after, leaving)?;
        set_going(&mut after, endpoint, plan.clone());
        self.replace(&before, &after);
        Ok((after, plan))
    }

    /// Taking the endpoint away, or undoing its making, stopped with this left to do; the sandbox's record to store.
    ///
    /// # Errors
    /// When it isn't known.
    pub fn endpoint_stuck(
        &mut self,
        sandbox: &SandboxId,
        endpoint: &EndpointId,
        remaining: Plan,
        error: String,
    ) -> Result<Sandbox, Error> {
        let record = self.endpoint_mut(sandbox, endpoint)?;
        record.lifecycle = record.lifecycle.clone().stuck(remaining, error);
        self.sandbox(sandbox).cloned()
    }

    /// The endpoint is gone, or never came to be: gives back its addresses, and leads ports back where a new endpoint
    /// would have taken them. The sandbox's record to store. Then [`State::settle`].
    ///
    /// # Errors
    /// When it isn't known.
    pub fn forget_endpoint(
        &mut self,
        id: &SandboxId,
        endpoint: &EndpointId,
        context: &mut Context<'_>,
    ) -> Result<Sandbox, Error> {
        let before = self.sandbox(id)?.clone();
        let gone = before.endpoint(endpoint).ok_or_else(|| not_on(id, endpoint))?;
        let mut after = before.clone();
        after.endpoints.retain(|other| other.id != *endpoint);
        self.rehome_ports(&before, &mut after, context)?;
        self.release_endpoints(std::slice::from_ref(gone));
        self.leave(&before, gone);
        self.replace(&before, &after);
        Ok(after)
    }

    /// Tears down the endpoints of a programmed sandbox that were on their way in or out.
    pub(super) fn unfinished_endpoints(
        &mut self,
        planners: &dyn Planners,
        id: &SandboxId,
    ) -> Result<Vec<Unfinished>, Error> {
        let before = self.sandbox(id)?.clone();
        let mut unfinished = Vec::new();
        for endpoint in before.endpoints.iter().filter(|endpoint| !endpoint.lifecycle.is_programmed()) {
            let mut after = self.sandbox(id)?.clone();
            let leaving = after.endpoint(&endpoint.id).ok_or_else(|| not_on(id, &endpoint.id))?.clone();
            set_going(&mut after, &endpoint.id, Plan::default());
            let plan = self.plan_disconnect(planners, &before, &after, &leaving)?;
            let mut lifecycle = leaving.lifecycle.tearing(plan);
            let plan = lifecycle.remaining().cloned().unwrap_or_default();
            if let Some(record) = after.endpoints.iter_mut().find(|other| other.id == endpoint.id) {
                std::mem::swap(&mut record.lifecycle, &mut lifecycle);
            }
            self.sandboxes.insert(id.clone(), after.clone());
            unfinished.push(Unfinished::Endpoint(after, endpoint.id.clone(), plan));
        }
        Ok(unfinished)
    }

    fn replace(&mut self, before: &Sandbox, after: &Sandbox) {
        self.leave_loopback(before);
        self.enter(after);
        self.sandboxes.insert(after.id().clone(), after.clone());
    }

    fn endpoint_mut(&mut self, sandbox: &SandboxId, endpoint: &EndpointId) -> Result<&mut Endpoint, Error> {
        let record = self.sandbox_mut(sandbox)?;
        record.endpoints.iter_mut().find(|other| other.id == *endpoint).ok_or_else(|| not_on(sandbox, endpoint))
    }
}

fn not_on(sandbox: &SandboxId, endpoint: &EndpointId) -> Error {
    Error::new(Kind::NotFound, format!("endpoint {endpoint} not found in sandbox {sandbox}"))
}

fn set_going(sandbox: &mut Sandbox, endpoint: &EndpointId, plan: Plan) {
    for record in sandbox.endpoints.iter_mut().filter(|record| record.id == *endpoint) {
        record.lifecycle = Lifecycle::PartlyTorn { remaining: plan.clone().into(), error: None };
    }
}

/// The address that a sandbox's ports of a family lead to.
fn way_out(sandbox: &Sandbox, family: Family) -> Option<IpAddr> {
    let gateways = sandbox.gateways();
    let endpoint = match family {
        Family::Ipv4 => gateways.ipv4,
        Family::Ipv6 => gateways.ipv6,
    };
    Some(endpoint?.address(family)?.address.ip())
}

/// Fixed addresses are for networks whose subnet the user named: another may have another one tomorrow.
fn check_fixed(network: &Network, spec: &EndpointSpec) -> Result<(), Error> {
    for (family, wanted) in [(Family::Ipv4, spec.ipv4.map(IpAddr::from)), (Family::Ipv6, spec.ipv6.map(IpAddr::from))] {
        let Some(wanted) = wanted else { continue };
        let name = &network.spec.name;
        if network.predefined {
            return Err(Error::invalid(format!(
                "user specified IP address is supported on user defined networks only: {name} is predefined"
            )));
        }
        if !network.pools.iter().any(|pool| Family::of_network(pool.subnet) == family) {
            return Err(Error::invalid(format!("network {name} has no {family} subnet: {wanted} can't be had")));
        }
        let named = |subnet: &SubnetRequest| matches!(subnet, SubnetRequest::Exact(_)) && subnet.family() == family;
        if !network.spec.pools.iter().any(|pool| named(&pool.subnet)) {
            return Err(Error::invalid(format!(
                "user specified IP address is supported only when connecting to networks with user configured \
                 subnets: network {name} was made without --subnet"
            )));
        }
    }
    Ok(())
}

/// The name asked for, or the first of `eth0`, `eth1`, … that is free.
fn choose_interface(network: &Network, spec: &EndpointSpec, names: &BTreeSet<LinkName>) -> Result<LinkName, Error> {
    if let Some(name) = &spec.interface {
        return Ok(name.clone());
    }
    let prefix = network.config.interface_prefix();
    (0..=names.len())
        .map(|index| format!("{prefix}{index}").parse::<LinkName>())
        .find(|name| name.as_ref().map_or(true, |name| !names.contains(name)))
        .unwrap_or_else(|| Err(Error::new(Kind::Internal, format!("no interface name {prefix}N is free"))))
}
