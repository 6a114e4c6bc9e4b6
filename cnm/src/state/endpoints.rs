//! Decisions about endpoints that join or leave a sandbox that runs.

use std::collections::BTreeSet;

use super::{Context, State, Unfinished, planner_of, ports::lead_to_way_out};
use crate::{
    Error, Kind,
    driver::Planners,
    endpoint::Endpoint,
    id::{EndpointId, LinkName, SandboxId},
    lifecycle::Lifecycle,
    plan::{Op, Plan},
    resource::Resource,
    sandbox::Sandbox,
    spec::{EndpointSpec, NamespaceSpec},
};

impl State {
    /// Adds an endpoint (*Reserved*) to a programmed sandbox. The plan may move the default gateway and the ports:
    /// [`crate::ports::sockets`] of the record before and after says which to bind and to close. Then
    /// [`State::settling`].
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
        let planned =
            self.rehome_ports(&mut after, context).and_then(|()| self.plan_change(context.planners, &before, &after));
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

    pub(super) fn check_connect(
        &self,
        sandbox: &Sandbox,
        spec: &EndpointSpec,
        planners: &dyn Planners,
    ) -> Result<(), Error> {
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
        self.check_attachment(network, spec, &sandbox.spec.namespace, planners)
    }

    /// The kernel has the endpoint; the sandbox's record to store. Then [`State::settling`].
    ///
    /// # Errors
    /// When it isn't known or is going.
    pub fn endpoint_programmed(&mut self, sandbox: &SandboxId, endpoint: &EndpointId) -> Result<Sandbox, Error> {
        let record = self.endpoint_mut(sandbox, endpoint)?;
        record.lifecycle = record.lifecycle.clone().programmed()?;
        self.sandbox(sandbox).cloned()
    }

    /// The endpoint is to go (*PartlyTorn*; the plan is in its lifecycle too). The plan may move the default gateway
    /// and the ports. Asked again, it answers with what is left. Then [`State::settling`].
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
        if before.spec.namespace == NamespaceSpec::Host {
            return Err(Error::new(
                Kind::Forbidden,
                format!("sandbox {} can't be disconnected from network host: it lives there", before.spec.name),
            ));
        }
        let mut after = before.clone();
        set_going(&mut after, endpoint, Plan::default());
        self.rehome_ports(&mut after, context)?;
        let plan = self.plan_change(context.planners, &before, &after)?;
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
    /// would have taken them. The sandbox's record to store. Then [`State::settling`].
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
        self.rehome_ports(&mut after, context)?;
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
            lead_to_way_out(&mut after);
            if !self.ports_fit(&after) {
                // They are chosen anew when the endpoint is forgotten: choosing needs to know the host.
                self.ports.release(&std::mem::take(&mut after.ports));
            }
            let whole = Plan::teardown(&self.endpoint_resources(planners, &before, &leaving)?);
            let whole = leaving.lifecycle.tearing(whole).remaining().cloned().unwrap_or_default();
            // Nobody knows how far it got. Taking away what is gone does no harm; the routes and ports of the endpoints
            // that stay are for the repair that follows.
            let plan: Plan = whole.ops.into_iter().filter(takes_away_links).collect();
            set_going(&mut after, &endpoint.id, plan.clone());
            self.replace(&before, &after);
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

const fn takes_away_links(op: &Op) -> bool {
    matches!(op, Op::Remove(resource) if !matches!(resource, Resource::Element(_)))
}

fn set_going(sandbox: &mut Sandbox, endpoint: &EndpointId, plan: Plan) {
    for record in sandbox.endpoints.iter_mut().filter(|record| record.id == *endpoint) {
        record.lifecycle = Lifecycle::PartlyTorn { remaining: plan.clone().into(), error: None };
    }
}
