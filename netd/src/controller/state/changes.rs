//! Decisions about changes of sandboxes.

use std::{collections::BTreeSet, sync::Arc};

use cnm::{
    api::EventKind,
    endpoint::Endpoint,
    firewall::Protocol,
    grant::{GrantRequest, Grants},
    id::SandboxId,
    ports::{self, PublishedPort, SocketSpec},
    resource::Resources,
    sandbox::Sandbox,
    spec::{EndpointSpec, SandboxSpec},
};

use super::{
    ControllerState, Reserved,
    sandboxes::{Gone, grant_holders},
};
use crate::{Error, events::NewEvent, ports::BoundSocket, read_view::find_endpoint, relay::Drained, store::Commit};

/// What a sandbox that is there is to be.
#[derive(Debug, Clone)]
pub(crate) enum ChangeRequest {
    /// Just this.
    Replace(Box<SandboxSpec>),
    /// What it is, and this endpoint.
    Connect(EndpointSpec),
    /// What it is, without the endpoint that is named so.
    Disconnect(String),
}

/// What wishing for a change leads to.
#[derive(Debug)]
pub(crate) enum NewChange {
    /// An earlier one failed and could not be taken back: do that, then ask again.
    Leftover,
    /// Others have to be asked first.
    NeedsGrants(Vec<GrantRequest>),
    /// It is *Reserved*.
    Reserved(Reserved),
}

/// What a sandbox has become.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) gone: Gone,
    /// To be waited for before ports that went are free.
    pub(crate) drained: Drained,
}

impl ControllerState {
    /// Reserves what a sandbox is to become, without ports that turned out to be somebody else's.
    pub(crate) fn reserve_change(
        &mut self,
        id: &SandboxId,
        change: ChangeRequest,
        avoided: &BTreeSet<(Protocol, u16)>,
        grants: &Grants,
    ) -> Result<NewChange, Error> {
        let there = self.sandbox(id)?;
        if there.change.is_some() && there.lifecycle.is_programmed() {
            return Ok(NewChange::Leftover);
        }
        let requests = self.with_grants(avoided, grants, |model, context| match &change {
            ChangeRequest::Replace(spec) => model.grant_requests_of_put(spec, context),
            ChangeRequest::Connect(endpoint) => model.grant_requests_of_connect(id, endpoint, context),
            ChangeRequest::Disconnect(_) => Ok(Vec::new()),
        })?;
        if !requests.is_empty() {
            return Ok(NewChange::NeedsGrants(requests));
        }
        let there = self.sandbox(id)?;
        let leaving = match &change {
            ChangeRequest::Disconnect(endpoint) => Some(find_endpoint(there, endpoint)?.id.clone()),
            ChangeRequest::Replace(_) | ChangeRequest::Connect(_) => None,
        };
        let (record, plan) = self.with_grants(avoided, grants, |model, context| match (change, leaving) {
            (ChangeRequest::Replace(spec), _) => model.change(*spec, context),
            (ChangeRequest::Connect(endpoint), _) => model.connect(id, endpoint, context),
            (ChangeRequest::Disconnect(_), leaving) => {
                let leaving = leaving.ok_or_else(|| cnm::Error::invalid("no endpoint is named"))?;
                model.disconnect(id, &leaving, context)
            }
        })?;
        let (sockets, loopback_pending) = (self.coming_sockets(&record), self.loopback_pending(&record));
        let record = self.show_sandbox(record);
        Ok(NewChange::Reserved(Reserved { plan, commit: self.store_reserved(record), sockets, loopback_pending }))
    }

    /// What a sandbox is to hold and doesn't hold. Where it has the same port already, that one goes first, or stays: a change
    /// doesn't fail for what had been lost before.
    fn coming_sockets(&self, record: &Sandbox) -> Vec<SocketSpec> {
        let wanted = record.change.as_ref().map_or_else(Vec::new, |change| ports::sockets(&change.ports));
        let mut missing = self.port_sockets.missing(record.id(), wanted);
        let there = ports::sockets(&record.ports);
        let there: BTreeSet<_> = there.iter().map(|there| (there.protocol, there.port)).collect();
        missing.retain(|socket| !there.contains(&(socket.protocol, socket.port)));
        missing
    }

    /// Stores what the kernel has now.
    pub(crate) fn store_changed(&self, id: &SandboxId) -> Result<Commit, Error> {
        Ok(self.store.put_sandbox(Arc::new(self.model.after_change(id)?), None))
    }

    /// What a sandbox is made of, and what else there may be of it.
    pub(crate) fn before_change(&self, id: &SandboxId) -> Result<(Resources, Resources), Error> {
        Ok(self.model.before_change(&*self.planners, id)?)
    }

    /// The kernel has what a sandbox was to become, and it is stored: its relayed ports are served.
    pub(crate) fn changed(&mut self, id: &SandboxId, bound: Vec<BoundSocket>) -> Result<Changed, Error> {
        let (before, after) = self.model.changed(id)?;
        let sandbox = self.show_sandbox(after);
        self.port_sockets.add(id, bound);
        let sockets = self.follow_ports(&sandbox);
        let revision = self.emit_changes(&before, &sandbox);
        let loopback_pending = self.loopback_pending_of([&before, &sandbox]);
        let commit = self.store.put_revision(revision.unwrap_or_else(|| self.events.newest()));
        let due = self.owed.given_up(grant_holders(id, left(&before.endpoints, &sandbox.endpoints)));
        Ok(Changed { sandbox, gone: Gone { commit, loopback_pending, sockets, due }, drained: self.relay.drained() })
    }

    /// Nothing is left of what a sandbox was to become.
    pub(crate) fn unchanged(&mut self, id: &SandboxId, bound: Vec<BoundSocket>) -> Option<Gone> {
        // Before others may have them.
        drop(bound);
        let during = self.model.sandboxes().get(id).cloned()?;
        let record = self.model.unchanged(id).ok()?;
        let record = self.show_sandbox(record);
        let sockets = self.follow_ports(&record);
        let coming = during.change.as_ref().map_or(&[][..], |change| &change.endpoints);
        let due = self.owed.given_up(grant_holders(id, left(coming, &record.endpoints)));
        Some(Gone {
            commit: self.store.put_sandbox(record, None),
            loopback_pending: self.loopback_pending(&during),
            sockets,
            due,
        })
    }

    /// A change that failed can't be taken back now: what it had been given is kept until it is.
    pub(crate) fn change_stuck(&mut self, id: &SandboxId, error: String, bound: Vec<BoundSocket>) -> Option<Commit> {
        self.port_sockets.add(id, bound);
        let sandbox = self.model.change_stuck(id, error).ok()?;
        let sandbox = self.show_sandbox(sandbox);
        Some(self.store.put_sandbox(sandbox, None))
    }

    /// Tells what came, what went and what is otherwise; answers with the newest revision. An endpoint that was made anew under
    /// its id has gone and come.
    fn emit_changes(&mut self, before: &Sandbox, after: &Sandbox) -> Option<u64> {
        let is_in = |sandbox: &Sandbox, endpoint: &Endpoint| {
            sandbox.endpoint(&endpoint.id).is_some_and(|other| other.is_attached_as(endpoint))
        };
        let mut revision = None;
        for endpoint in before.endpoints.iter().filter(|endpoint| !is_in(after, endpoint)) {
            revision = self.emit_endpoint(EventKind::EndpointDisconnected, before, &endpoint.id);
        }
        for endpoint in after.endpoints.iter().filter(|endpoint| !is_in(before, endpoint)) {
            revision = self.emit_endpoint(EventKind::EndpointConnected, after, &endpoint.id);
        }
        let visible = |sandbox: &Sandbox| {
            let ports: Vec<_> = sandbox.ports.iter().map(PublishedPort::to_api).collect();
            (ports, sandbox.spec.name.clone(), sandbox.spec.labels.clone())
        };
        if visible(before) != visible(after) {
            revision = Some(self.emit(NewEvent::of_sandbox(EventKind::SandboxChanged, after.id())));
        }
        let had: BTreeSet<&PublishedPort> = before.ports.iter().collect();
        if after.ports.iter().any(|port| !had.contains(port)) {
            self.warn_again_of_drops();
        }
        revision
    }
}

/// Endpoints that are no more.
fn left<'a>(before: &'a [Endpoint], after: &'a [Endpoint]) -> impl Iterator<Item = &'a Endpoint> {
    before.iter().filter(|endpoint| !after.iter().any(|other| other.id == endpoint.id))
}
