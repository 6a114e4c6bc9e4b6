//! Decisions about sandboxes.

use std::collections::BTreeSet;

use super::{Context, Put, State, planner_of};
use crate::{
    Error, Kind,
    driver::Planners,
    endpoint::Endpoint,
    id::{LinkName, SandboxId},
    lifecycle::Lifecycle,
    network::Network,
    plan::Plan,
    sandbox::Sandbox,
    spec::{EndpointSpec, NamespaceSpec, SandboxSpec},
};

impl State {
    /// Makes a sandbox with all its endpoints and ports, or finds the one that the same request made. Then
    /// [`State::settling`].
    ///
    /// # Errors
    /// When another request has the id, a network doesn't exist, an address or a port is taken or none is free.
    pub fn put_sandbox(&mut self, spec: SandboxSpec, context: &mut Context<'_>) -> Result<Put, Error> {
        if let Some(there) = self.sandboxes.get(&spec.id) {
            return repeated(there, &spec).map(|()| Put::There(there.clone()));
        }
        self.check_attachments(&spec, context.planners)?;
        let endpoints = self.lease_endpoints(&spec, context)?;
        let mut sandbox = Sandbox { spec, endpoints, ports: Vec::new(), lifecycle: Lifecycle::Reserved };
        if let Err(error) = self.publish(&mut sandbox, context) {
            self.release_endpoints(&sandbox.endpoints);
            return Err(error);
        }
        let plan = match self.sandbox_resources(context.planners, &sandbox, |_| true) {
            Ok(resources) => Plan::make(resources),
            Err(error) => {
                self.ports.release(&sandbox.ports);
                self.release_endpoints(&sandbox.endpoints);
                return Err(error);
            }
        };
        self.enter(&sandbox);
        self.sandboxes.insert(sandbox.id().clone(), sandbox.clone());
        Ok(Put::Made(sandbox, plan))
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
    pub(super) fn check_attachment(
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
            match self.lease_endpoint(asked, &mut names, context) {
                Ok(endpoint) => endpoints.push(endpoint),
                Err(error) => {
                    self.release_endpoints(&endpoints);
                    return Err(error);
                }
            }
        }
        Ok(endpoints)
    }

    /// Writes down who is on which network and whose ports go over loopback.
    pub(super) fn enter(&mut self, sandbox: &Sandbox) {
        for endpoint in &sandbox.endpoints {
            let member = (sandbox.id().clone(), endpoint.id.clone());
            self.members.entry(endpoint.network.clone()).or_default().insert(member);
        }
        self.enter_loopback(sandbox);
    }

    /// Takes a stored sandbox into the books.
    pub(super) fn adopt_sandbox(&mut self, sandbox: Sandbox) -> Result<(), Error> {
        for endpoint in &sandbox.endpoints {
            let taken = |why: String| {
                let id = sandbox.id();
                Error::new(Kind::Internal, format!("records contradict each other: sandbox {id}: {why}"))
            };
            if !self.networks.contains_key(&endpoint.network) {
                return Err(taken(format!("network {} doesn't exist", endpoint.network_name)));
            }
            for lease in self.leases.get_mut(&endpoint.network).into_iter().flatten() {
                let Some(held) = endpoint.address(lease.family()) else { continue };
                lease.reserve(held.address.ip()).map_err(|error| taken(error.message))?;
                lease.resume_after_highest(held.address.ip());
            }
        }
        self.ports.restore(sandbox.id(), &sandbox.spec.name, &sandbox.ports);
        self.enter(&sandbox);
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
        for endpoint in &mut sandbox.endpoints {
            if endpoint.lifecycle == Lifecycle::Reserved {
                endpoint.lifecycle = Lifecycle::Programmed;
            }
        }
        Ok(sandbox.clone())
    }

    /// The sandbox is to go (*PartlyTorn*; the plan is in its lifecycle). Asked again, it answers with what is left.
    ///
    /// # Errors
    /// When it isn't known.
    pub fn remove_sandbox(&mut self, planners: &dyn Planners, id: &SandboxId) -> Result<(Sandbox, Plan), Error> {
        let teardown = Plan::teardown(&self.sandbox_resources(planners, self.sandbox(id)?, |_| true)?);
        let sandbox = self.sandbox_mut(id)?;
        sandbox.lifecycle = sandbox.lifecycle.clone().tearing(teardown);
        let plan = sandbox.lifecycle.remaining().cloned().unwrap_or_default();
        let sandbox = sandbox.clone();
        self.leave_loopback(&sandbox);
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

    /// The sandbox is gone, or never came to be: gives back its addresses and ports. Then [`State::settling`].
    pub fn forget_sandbox(&mut self, id: &SandboxId) -> Option<Sandbox> {
        let sandbox = self.sandboxes.remove(id)?;
        self.leave_loopback(&sandbox);
        self.ports.release(&sandbox.ports);
        self.release_endpoints(&sandbox.endpoints);
        for endpoint in &sandbox.endpoints {
            self.leave(&sandbox, endpoint);
        }
        Some(sandbox)
    }

    pub(super) fn leave(&mut self, sandbox: &Sandbox, endpoint: &Endpoint) {
        let Some(members) = self.members.get_mut(&endpoint.network) else { return };
        members.remove(&(sandbox.id().clone(), endpoint.id.clone()));
        if members.is_empty() {
            self.members.remove(&endpoint.network);
        }
    }

    pub(super) fn sandbox_mut(&mut self, id: &SandboxId) -> Result<&mut Sandbox, Error> {
        self.sandboxes.get_mut(id).ok_or_else(|| Error::new(Kind::NotFound, format!("sandbox {id} not found")))
    }
}

/// Whether a request under an id that is there is the one that made it.
fn repeated(there: &Sandbox, spec: &SandboxSpec) -> Result<(), Error> {
    let id = &spec.id;
    if there.lifecycle.is_going() {
        return Err(Error::new(Kind::Conflict, format!("sandbox {id} is being removed: try again")));
    }
    if there.spec != *spec {
        return Err(Error::new(
            Kind::Conflict,
            format!("sandbox {id} exists already and was asked for differently: remove it first"),
        ));
    }
    Ok(())
}
