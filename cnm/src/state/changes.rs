//! Decisions about changes of sandboxes: other endpoints, ports, labels or another name. A
//! change is made whole or not at all; a daemon that ends in the middle of one leaves it to the next to take it back.

use std::collections::BTreeSet;

use super::{Context, State, Unfinished, planner_of};
use crate::{
    Error, Kind,
    driver::Planners,
    endpoint::Endpoint,
    id::{EndpointId, LinkName, SandboxId},
    lifecycle::Lifecycle,
    plan::Plan,
    resource::{Resource, Resources},
    sandbox::Sandbox,
    spec::{EndpointSpec, NamespaceSpec, SandboxSpec},
};

impl State {
    /// Has a sandbox become what is asked for. The record says so (see [`Sandbox::change`]); store it, apply what is
    /// [`State::loopback_pending`], apply the plan, then [`State::changed`] or [`State::unchanged`]. [`crate::ports::sockets`] of what
    /// it is and is to be says which to bind before and to close after.
    ///
    /// # Errors
    /// As for [`State::put_sandbox`]; and when the sandbox is somebody else's, lives elsewhere, or is going.
    pub fn change(&mut self, spec: SandboxSpec, context: &mut Context<'_>) -> Result<(Sandbox, Plan), Error> {
        let before = self.changeable(&spec.id)?;
        check_identity(&before, &spec)?;
        self.check_attachments(&spec, context.planners)?;
        let endpoints = self.wanted_endpoints(&before, &spec, context)?;
        let mut after = Sandbox { spec, endpoints, ports: Vec::new(), lifecycle: Lifecycle::Reserved, change: None };
        if let Err(error) = self.change_ports(&before, &mut after, context) {
            self.release_endpoints(&after.endpoints, &before.endpoints);
            return Err(error);
        }
        let plan = match self.plan_change(context.planners, &before, &after) {
            Ok(plan) => plan,
            Err(error) => {
                self.set_ports(&before, &after.ports);
                self.release_endpoints(&after.endpoints, &before.endpoints);
                return Err(error);
            }
        };
        let record = Sandbox { change: Some(Box::new(after)), ..before };
        self.add_members(&record);
        self.sandboxes.insert(record.id().clone(), record.clone());
        Ok((record, plan))
    }

    /// Has a sandbox have one endpoint more: a change as any other.
    ///
    /// # Errors
    /// As for [`State::change`]; and when the sandbox is on that network already.
    pub fn connect(
        &mut self,
        id: &SandboxId,
        endpoint: EndpointSpec,
        context: &mut Context<'_>,
    ) -> Result<(Sandbox, Plan), Error> {
        let before = self.changeable(id)?;
        self.check_connect(&before, &endpoint, context.planners)?;
        let mut endpoints = wanted_of(&before.endpoints);
        endpoints.push(endpoint);
        self.change(SandboxSpec { endpoints, ..before.spec }, context)
    }

    /// Has a sandbox have one endpoint less: a change as any other.
    ///
    /// # Errors
    /// As for [`State::change`]; and when it has no such endpoint.
    pub fn disconnect(
        &mut self,
        id: &SandboxId,
        endpoint: &EndpointId,
        context: &mut Context<'_>,
    ) -> Result<(Sandbox, Plan), Error> {
        let mut before = self.changeable(id)?;
        if before.endpoint(endpoint).is_none() {
            return Err(Error::new(Kind::NotFound, format!("endpoint {endpoint} not found in sandbox {id}")));
        }
        if before.spec.namespace == NamespaceSpec::Host {
            return Err(Error::new(
                Kind::Forbidden,
                format!("sandbox {} can't be disconnected from network host: it lives there", before.spec.name),
            ));
        }
        before.endpoints.retain(|other| other.id != *endpoint);
        self.change(SandboxSpec { endpoints: wanted_of(&before.endpoints), ..before.spec }, context)
    }

    /// A sandbox that is there and isn't changing.
    fn changeable(&self, id: &SandboxId) -> Result<Sandbox, Error> {
        let sandbox = self.sandbox(id)?;
        let state = match (&sandbox.lifecycle, &sandbox.change) {
            (Lifecycle::Programmed, None) => return Ok(sandbox.clone()),
            (Lifecycle::Programmed, Some(_)) => "being changed",
            (Lifecycle::Reserved, _) => "being made",
            (Lifecycle::PartlyTorn { .. }, _) => "being removed",
        };
        Err(Error::new(Kind::Conflict, format!("sandbox {id} is {state}: try again")))
    }

    pub(super) fn check_connect(
        &self,
        sandbox: &Sandbox,
        spec: &EndpointSpec,
        planners: &dyn Planners,
    ) -> Result<(), Error> {
        let network = self.network(&spec.network)?;
        let name = &network.spec.name;
        if sandbox.endpoints.iter().any(|endpoint| endpoint.network == network.id) {
            return Err(Error::new(
                Kind::Forbidden,
                format!("sandbox {} is on network {name} already", sandbox.spec.name),
            ));
        }
        let has_linkless = sandbox.endpoints.iter().any(|endpoint| endpoint.interface().is_none());
        if has_linkless || sandbox.spec.namespace == NamespaceSpec::Host {
            return Err(Error::new(
                Kind::Forbidden,
                format!(
                    "sandbox {} can't be connected to network {name}: it is on network {}, which can't be combined with others",
                    sandbox.spec.name,
                    sandbox.endpoints.first().map_or("host", |endpoint| endpoint.network_name.as_str())
                ),
            ));
        }
        if !planner_of(planners, network)?.traits().addresses && !sandbox.endpoints.is_empty() {
            return Err(Error::new(
                Kind::Forbidden,
                format!("sandbox {} can't be connected to network {name}: it is on other networks", sandbox.spec.name),
            ));
        }
        Ok(())
    }

    /// The endpoints that a sandbox is to have: those that it has where they are what is asked for, others in their place where
    /// they aren't, and new ones.
    fn wanted_endpoints(
        &mut self,
        before: &Sandbox,
        spec: &SandboxSpec,
        context: &mut Context<'_>,
    ) -> Result<Vec<Endpoint>, Error> {
        let there = before.endpoints.iter().filter_map(|endpoint| Some(&endpoint.interface()?.name));
        let asked = spec.endpoints.iter().filter_map(|asked| asked.interface.as_ref());
        let mut names: BTreeSet<LinkName> = there.chain(asked).cloned().collect();
        let mut endpoints = Vec::with_capacity(spec.endpoints.len());
        for asked in &spec.endpoints {
            match self.wanted_endpoint(before, asked, &mut names, context) {
                Ok(endpoint) => endpoints.push(endpoint),
                Err(error) => {
                    self.release_endpoints(&endpoints, &before.endpoints);
                    return Err(error);
                }
            }
        }
        Ok(endpoints)
    }

    fn wanted_endpoint(
        &mut self,
        before: &Sandbox,
        asked: &EndpointSpec,
        names: &mut BTreeSet<LinkName>,
        context: &mut Context<'_>,
    ) -> Result<Endpoint, Error> {
        let network = &self.network(&asked.network)?.id;
        let there = before.endpoints.iter().find(|endpoint| endpoint.network == *network);
        if let Some(there) = there.filter(|there| there.has_all_of(asked)) {
            return Ok(there.asked_for_as(asked));
        }
        let mut others = before.endpoints.iter().filter(|other| other.network != *network);
        let has =
            |other: &&Endpoint, name: &LinkName| other.interface().is_some_and(|interface| interface.name == *name);
        if let Some(name) = &asked.interface
            && let Some(other) = others.find(|other| has(other, name))
        {
            return Err(Error::new(
                Kind::Conflict,
                format!(
                    "sandbox {} has an interface {name} already, on network {}: give another name, or have it leave that \
                     network first",
                    before.id(),
                    other.network_name
                ),
            ));
        }
        self.lease_endpoint(asked, there, names, context)
    }

    /// The kernel has what a sandbox was to become; answers with how it was and with the record to store. Then
    /// [`State::loopback_plan`].
    ///
    /// # Errors
    /// When it isn't known, is going, or nothing was to change.
    pub fn changed(&mut self, id: &SandboxId) -> Result<(Sandbox, Sandbox), Error> {
        let mut before = self.sandbox(id)?.clone();
        let after = self.after_change(id)?;
        self.end_change(&before, &after);
        before.change = None;
        self.release_endpoints(&before.endpoints, &after.endpoints);
        self.set_ports(&after, &before.ports);
        Ok((before, after))
    }

    /// Nothing of what a sandbox was to become is there: it is as before. The record to store. Then [`State::loopback_plan`].
    ///
    /// # Errors
    /// When it isn't known.
    pub fn unchanged(&mut self, id: &SandboxId) -> Result<Sandbox, Error> {
        let during = self.sandbox(id)?.clone();
        let before = Sandbox { change: None, ..during.clone() };
        let Some(change) = &during.change else { return Ok(before) };
        self.end_change(&during, &before);
        self.release_endpoints(&change.endpoints, &before.endpoints);
        self.set_ports(&before, &change.ports);
        Ok(before)
    }

    /// The record of a sandbox once it has become what it is to become: to be stored before [`State::changed`].
    ///
    /// # Errors
    /// As for [`State::changed`].
    pub fn after_change(&self, id: &SandboxId) -> Result<Sandbox, Error> {
        let sandbox = self.sandbox(id)?;
        if sandbox.lifecycle.is_going() {
            return Err(Error::new(Kind::Conflict, format!("sandbox {id} is being removed")));
        }
        let change = sandbox.change.as_deref().cloned();
        let change = change.ok_or_else(|| Error::new(Kind::Internal, format!("sandbox {id} isn't being changed")))?;
        Ok(Sandbox { lifecycle: sandbox.lifecycle.clone(), ..change })
    }

    /// What a sandbox is made of, and what else there may be of it while a change is under way or can't be taken back: for
    /// [`crate::diff::restore`].
    ///
    /// # Errors
    /// When it isn't known.
    pub fn before_change(&self, planners: &dyn Planners, id: &SandboxId) -> Result<(Resources, Resources), Error> {
        let sandbox = self.sandbox(id)?;
        Ok((self.sandbox_resources(planners, sandbox)?, self.added_resources(planners, sandbox)?))
    }

    fn end_change(&mut self, during: &Sandbox, now: &Sandbox) {
        self.remove_members(during);
        self.add_members(now);
        self.sandboxes.insert(now.id().clone(), now.clone());
    }

    /// A change can't be taken back now; the record to store. [`Sandbox::change`] stays until it is, and [`State::unchanged`].
    ///
    /// # Errors
    /// When the sandbox isn't known.
    pub fn change_stuck(&mut self, id: &SandboxId, error: String) -> Result<Sandbox, Error> {
        let sandbox = self.sandbox_mut(id)?;
        if let Some(change) = &mut sandbox.change {
            // What is left is found out each time.
            change.lifecycle = change.lifecycle.clone().stuck(Plan::default(), error);
        }
        Ok(sandbox.clone())
    }

    /// A change that was under way when the daemon ended. Nobody knows how far it got: what there may be of it is taken away,
    /// where nothing of it is as good; what it took away is for the repair that follows.
    pub(super) fn unfinished_change(&self, planners: &dyn Planners, id: &SandboxId) -> Result<Unfinished, Error> {
        let sandbox = self.sandbox(id)?.clone();
        let mut coming = self.added_resources(planners, &sandbox)?;
        coming.retain(|resource| !matches!(resource, Resource::Element(_)));
        Ok(Unfinished::Change(sandbox, Plan::teardown(&coming)))
    }
}

fn wanted_of(endpoints: &[Endpoint]) -> Vec<EndpointSpec> {
    endpoints.iter().map(|endpoint| endpoint.spec.clone()).collect()
}

/// Refuses what can't be another: whose a sandbox is, and where it lives.
pub(super) fn check_identity(there: &Sandbox, spec: &SandboxSpec) -> Result<(), Error> {
    let id = &spec.id;
    if there.spec.owner != spec.owner {
        return Err(Error::new(
            Kind::Forbidden,
            format!(
                "sandbox {id} is of owner {}, and {} can't change it: choose another id",
                there.spec.owner, spec.owner
            ),
        ));
    }
    if there.spec.namespace != spec.namespace {
        return Err(Error::new(
            Kind::Conflict,
            format!(
                "sandbox {id} lives in {} and can't move to {}: remove it first",
                there.spec.namespace, spec.namespace
            ),
        ));
    }
    Ok(())
}
