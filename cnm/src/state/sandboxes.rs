//! Decisions about sandboxes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Context, PutOutcome, State, planner_of};
use crate::{
    Error, Kind,
    driver::Planners,
    endpoint::Endpoint,
    id::{LinkName, NetworkId, SandboxId},
    ipam::Leases,
    lifecycle::Lifecycle,
    network::Network,
    plan::Plan,
    ports::without,
    sandbox::Sandbox,
    spec::{EndpointSpec, NamespaceSpec, SandboxSpec},
};

impl State {
    /// Makes a sandbox with all its endpoints and ports, or finds the one that is there. Then [`State::loopback_plan`].
    ///
    /// # Errors
    /// When it is being removed, a network doesn't exist, an address or a port is taken or none is free.
    pub fn put_sandbox(&mut self, spec: SandboxSpec, context: &mut Context<'_>) -> Result<PutOutcome, Error> {
        if let Some(there) = self.sandboxes.get(&spec.id) {
            if there.lifecycle.is_going() {
                return Err(Error::new(Kind::Conflict, format!("sandbox {} is being removed: try again", spec.id)));
            }
            return Ok(if there.spec == spec { PutOutcome::There(there.clone()) } else { PutOutcome::Differs });
        }
        self.check_attachments(&spec, context.planners)?;
        let endpoints = self.lease_endpoints(&spec, context)?;
        let mut sandbox = Sandbox { spec, endpoints, ports: Vec::new(), lifecycle: Lifecycle::Reserved, change: None };
        if let Err(error) = self.publish(&mut sandbox, &[], context) {
            self.release_endpoints(&sandbox.endpoints, &[]);
            return Err(error);
        }
        let plan = match self.sandbox_resources(context.planners, &sandbox) {
            Ok(resources) => Plan::make(resources),
            Err(error) => {
                self.ports.release(&sandbox.ports);
                self.release_endpoints(&sandbox.endpoints, &[]);
                return Err(error);
            }
        };
        self.add_members(&sandbox);
        self.sandboxes.insert(sandbox.id().clone(), sandbox.clone());
        Ok(PutOutcome::Made(sandbox, plan))
    }

    /// Checks which networks are asked for together, before anything is leased.
    pub(super) fn check_attachments(&self, spec: &SandboxSpec, planners: &dyn Planners) -> Result<(), Error> {
        let mut seen = BTreeSet::new();
        for endpoint in &spec.endpoints {
            let network = self.network(&endpoint.network)?;
            self.check_attachment(network, endpoint, &spec.namespace, planners)?;
            if !seen.insert(&network.id) {
                return Err(Error::invalid(format!("network {} is named twice", network.spec.name)));
            }
            let stands_alone = !planner_of(planners, network)?.traits().addresses;
            if stands_alone && spec.endpoints.len() > 1 {
                return Err(Error::new(
                    Kind::Forbidden,
                    format!("a sandbox on network {} can't be on another network as well", network.spec.name),
                ));
            }
        }
        Ok(())
    }

    /// Checks one endpoint against its network and its sandbox's namespace.
    fn check_attachment(
        &self,
        network: &Network,
        endpoint: &EndpointSpec,
        namespace: &NamespaceSpec,
        planners: &dyn Planners,
    ) -> Result<(), Error> {
        let name = &network.spec.name;
        match &network.lifecycle {
            Lifecycle::Programmed => {}
            Lifecycle::Reserved => {
                return Err(Error::new(Kind::Conflict, format!("network {name} is being created: try again")));
            }
            Lifecycle::PartlyTorn { .. } => {
                return Err(Error::new(Kind::Conflict, format!("network {name} is being removed")));
            }
        }
        let planner = planner_of(planners, network)?;
        let on_host = *namespace == NamespaceSpec::Host;
        if planner.traits().host_namespace != on_host {
            return Err(Error::invalid(if on_host {
                format!("a sandbox in the host's network namespace can't be on network {name}, only on network host")
            } else {
                format!("a sandbox on network {name} lives in the host's network namespace: ask for it there")
            }));
        }
        planner.check_endpoint(network, endpoint)
    }

    fn lease_endpoints(&mut self, spec: &SandboxSpec, context: &mut Context<'_>) -> Result<Vec<Endpoint>, Error> {
        let mut names: BTreeSet<LinkName> = spec.endpoints.iter().filter_map(|asked| asked.interface.clone()).collect();
        let mut endpoints = Vec::with_capacity(spec.endpoints.len());
        for asked in &spec.endpoints {
            match self.lease_endpoint(asked, None, &mut names, context) {
                Ok(endpoint) => endpoints.push(endpoint),
                Err(error) => {
                    self.release_endpoints(&endpoints, &[]);
                    return Err(error);
                }
            }
        }
        Ok(endpoints)
    }

    /// Writes down who is on which network and whose ports go over loopback.
    pub(super) fn add_members(&mut self, sandbox: &Sandbox) {
        for endpoint in sandbox.all_endpoints() {
            let member = (sandbox.id().clone(), endpoint.id.clone());
            self.members.entry(endpoint.network.clone()).or_default().insert(member);
        }
        self.add_to_loopback(sandbox);
        if let Some(change) = &sandbox.change {
            self.add_to_loopback(change);
        }
    }

    /// Takes all of that back.
    pub(super) fn remove_members(&mut self, sandbox: &Sandbox) {
        for endpoint in sandbox.all_endpoints() {
            let Some(members) = self.members.get_mut(&endpoint.network) else { continue };
            members.remove(&(sandbox.id().clone(), endpoint.id.clone()));
            if members.is_empty() {
                self.members.remove(&endpoint.network);
            }
        }
        self.remove_all_from_loopback(sandbox);
    }

    fn remove_all_from_loopback(&mut self, sandbox: &Sandbox) {
        self.remove_from_loopback(sandbox);
        if let Some(change) = &sandbox.change {
            self.remove_from_loopback(change);
        }
    }

    /// Adds a stored sandbox to the state, or leaves that as it was.
    pub(super) fn adopt_sandbox(&mut self, sandbox: Sandbox) -> Result<(), Error> {
        let contradicts = |why: String| {
            let id = sandbox.id();
            Error::new(Kind::Internal, format!("records contradict each other: sandbox {id}: {why}"))
        };
        if let Some(endpoint) = sandbox.all_endpoints().find(|it| !self.networks.contains_key(&it.network)) {
            return Err(contradicts(format!("network {} doesn't exist", endpoint.network_name)));
        }
        let networks = sandbox.all_endpoints().map(|endpoint| endpoint.network.clone());
        let mut leases: BTreeMap<NetworkId, Vec<Leases>> = networks
            .filter_map(|network| self.leases.get_key_value(&network))
            .map(|(id, all)| (id.clone(), all.clone()))
            .collect();
        let mut held_already = BTreeSet::new();
        for endpoint in sandbox.all_endpoints() {
            for lease in leases.get_mut(&endpoint.network).into_iter().flatten() {
                let Some(held) = endpoint.address(lease.family()) else { continue };
                if !held_already.insert((endpoint.network.clone(), held.address)) {
                    continue;
                }
                lease.reserve(held.address.ip()).map_err(|error| contradicts(error.message))?;
                lease.resume_after_highest(held.address.ip());
            }
        }
        self.leases.extend(leases);
        self.ports.restore(sandbox.id(), &sandbox.spec.name, &sandbox.ports);
        if let Some(change) = &sandbox.change {
            self.ports.restore(sandbox.id(), &sandbox.spec.name, &without(&change.ports, &sandbox.ports));
        }
        self.add_members(&sandbox);
        self.sandboxes.insert(sandbox.id().clone(), sandbox);
        Ok(())
    }

    /// The kernel has the sandbox with the endpoints that it has in its record; the record to store.
    ///
    /// # Errors
    /// When the sandbox isn't known or is going.
    pub fn sandbox_programmed(&mut self, id: &SandboxId) -> Result<Sandbox, Error> {
        let sandbox = self.sandbox_mut(id)?;
        sandbox.lifecycle = sandbox.lifecycle.clone().programmed()?;
        Ok(sandbox.clone())
    }

    /// The sandbox is to go (*PartlyTorn*; the plan is in its lifecycle). Asked again, it answers with what is left.
    ///
    /// # Errors
    /// When it isn't known.
    pub fn remove_sandbox(&mut self, planners: &dyn Planners, id: &SandboxId) -> Result<(Sandbox, Plan), Error> {
        let teardown = Plan::teardown(&self.all_sandbox_resources(planners, self.sandbox(id)?)?);
        let sandbox = self.sandbox_mut(id)?;
        sandbox.lifecycle = sandbox.lifecycle.clone().tearing(teardown);
        let plan = sandbox.lifecycle.remaining().cloned().unwrap_or_default();
        let sandbox = sandbox.clone();
        self.remove_all_from_loopback(&sandbox);
        Ok((sandbox, plan))
    }

    /// Taking the sandbox down, or undoing its making, stopped with this left to do; the record to store.
    ///
    /// # Errors
    /// When the sandbox isn't known.
    pub fn sandbox_stuck(&mut self, id: &SandboxId, remaining: Plan, error: String) -> Result<Sandbox, Error> {
        let sandbox = self.sandbox_mut(id)?;
        sandbox.lifecycle = sandbox.lifecycle.clone().stuck(remaining, error);
        Ok(sandbox.clone())
    }

    /// The sandbox is gone, or never came to be: gives back its addresses and ports. Then [`State::loopback_plan`].
    pub fn forget_sandbox(&mut self, id: &SandboxId) -> Option<Sandbox> {
        let sandbox = self.sandboxes.remove(id)?;
        self.remove_members(&sandbox);
        if let Some(change) = &sandbox.change {
            self.ports.release(&change.ports);
            self.release_endpoints(&change.endpoints, &sandbox.endpoints);
        }
        self.ports.release(&sandbox.ports);
        self.release_endpoints(&sandbox.endpoints, &[]);
        Some(sandbox)
    }

    pub(super) fn sandbox_mut(&mut self, id: &SandboxId) -> Result<&mut Sandbox, Error> {
        self.sandboxes.get_mut(id).ok_or_else(|| Error::new(Kind::NotFound, format!("sandbox {id} not found")))
    }
}
