//! Decisions about sandboxes.

use std::{collections::BTreeSet, sync::Arc};

use cnm::{
    api::EventKind,
    endpoint::Endpoint,
    firewall::Protocol,
    grant::{GrantRequest, Grants, Holder},
    id::{DriverName, EndpointId, NetworkId, OwnerName, SandboxId},
    plan::Plan,
    ports::{self, SocketSpec},
    sandbox::Sandbox,
    spec::SandboxSpec,
    state::PutOutcome,
};

use super::{ControllerState, remaining};
use crate::{
    Error,
    error::chain,
    events::NewEvent,
    ports::{BindFailure, BoundSocket},
    read_view::no_such_sandbox,
    relay::Drained,
    store::Commit,
};

/// What asking for a sandbox leads to.
#[derive(Debug)]
pub(crate) enum NewSandbox {
    /// It is there already.
    There(Arc<Sandbox>),
    /// It is there and is to become otherwise: [`ControllerState::reserve_change`].
    Differs,
    /// One of that id is only partly gone: finish that, then ask again.
    Leftover,
    /// Others have to be asked first.
    NeedsGrants(Vec<GrantRequest>),
    /// It is *Reserved*.
    Reserved(Reserved),
}

/// What is to be bound and stored, then applied.
#[derive(Debug)]
pub(crate) struct Reserved {
    pub(crate) plan: Plan,
    pub(crate) commit: Commit,
    /// To be held from here on.
    pub(crate) sockets: Vec<SocketSpec>,
    /// Networks whose loopback plan is to be applied before it.
    pub(crate) loopback_pending: Vec<NetworkId>,
}

/// Something that is to go: to be stored, then applied.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) plan: Plan,
    pub(crate) commit: Commit,
    /// To be waited for before its ports are free.
    pub(crate) drained: Drained,
    /// Networks whose loopback plan is to be applied as well.
    pub(crate) loopback_pending: Vec<NetworkId>,
}

/// Something that is gone, or never came to be: to be stored.
#[derive(Debug)]
pub(crate) struct Gone {
    pub(crate) commit: Commit,
    /// Networks whose loopback plan is to be applied now.
    pub(crate) loopback_pending: Vec<NetworkId>,
    /// To be held now, since ports lead elsewhere.
    pub(crate) sockets: Vec<SocketSpec>,
    /// To be given back now what was theirs.
    pub(crate) due: BTreeSet<DriverName>,
}

impl ControllerState {
    /// Reserves a sandbox with its addresses and ports, without those that turned out to be somebody else's.
    pub(crate) fn reserve_sandbox(
        &mut self,
        spec: SandboxSpec,
        avoided: &BTreeSet<(Protocol, u16)>,
        grants: &Grants,
    ) -> Result<NewSandbox, Error> {
        let there = self.model.sandboxes().get(&spec.id);
        if there.is_some_and(|sandbox| !sandbox.lifecycle.is_programmed()) {
            return Ok(NewSandbox::Leftover);
        }
        let requests =
            self.with_grants(avoided, grants, |model, context| model.grant_requests_of_put(&spec, context))?;
        if !requests.is_empty() {
            return Ok(NewSandbox::NeedsGrants(requests));
        }
        let put = self.with_grants(avoided, grants, |model, context| model.put_sandbox(spec, context))?;
        let (sandbox, plan) = match put {
            PutOutcome::There(sandbox) => return Ok(NewSandbox::There(Arc::new(sandbox))),
            PutOutcome::Differs => return Ok(NewSandbox::Differs),
            PutOutcome::Made(sandbox, plan) => (sandbox, plan),
        };
        let (sockets, loopback_pending) = (ports::sockets(&sandbox.ports), self.loopback_pending(&sandbox));
        let sandbox = self.show_sandbox(sandbox);
        let commit = self.store_reserved(sandbox);
        Ok(NewSandbox::Reserved(Reserved { plan, commit, sockets, loopback_pending }))
    }

    /// Stores what was chosen for a sandbox, and where its networks' addresses go on from.
    pub(super) fn store_reserved(&self, sandbox: Arc<Sandbox>) -> Commit {
        let networks = sandbox.all_endpoints().map(|endpoint| &endpoint.network);
        let leases = networks.filter_map(|network| Some((network.clone(), self.model.last_lease(network)?))).collect();
        self.store.reserve_sandbox(sandbox, leases)
    }

    /// The kernel has the sandbox: its relayed ports are served.
    pub(crate) fn sandbox_programmed(
        &mut self,
        id: &SandboxId,
        bound: Vec<BoundSocket>,
    ) -> Result<(Arc<Sandbox>, Commit), Error> {
        let sandbox = self.model.sandbox_programmed(id)?;
        let sandbox = self.show_sandbox(sandbox);
        self.port_sockets.add(id, bound);
        self.port_sockets.of(id).iter().for_each(|bound| self.relay.serve(bound));
        for endpoint in &sandbox.endpoints {
            self.emit_endpoint(EventKind::EndpointConnected, &sandbox, &endpoint.id);
        }
        if !sandbox.ports.is_empty() {
            self.warn_again_of_drops();
        }
        let revision = self.emit(NewEvent::of_sandbox(EventKind::SandboxCreated, id));
        let commit = self.store.put_sandbox(sandbox.clone(), Some(revision));
        Ok((sandbox, commit))
    }

    /// The sandbox did not come to be; what could not be undone is kept to be undone later.
    pub(crate) fn sandbox_failed(&mut self, id: &SandboxId, error: &Error, bound: Vec<BoundSocket>) -> Option<Gone> {
        match remaining(error) {
            Some(plan) => {
                self.port_sockets.add(id, bound);
                self.sandbox_stuck(id, plan, chain(error)).map(Gone::not_yet)
            }
            None => {
                // Before others may have them.
                drop(bound);
                self.drop_sandbox(id, Announced::No)
            }
        }
    }

    /// The sandbox is to go; its relayed ports are no longer served.
    pub(crate) fn sandbox_leaving(&mut self, id: &SandboxId) -> Result<Leaving, Error> {
        let (sandbox, plan) = self.model.remove_sandbox(&*self.planners, id)?;
        self.port_sockets.of(id).iter().for_each(|bound| self.relay.stop(bound));
        let sandbox = self.show_sandbox(sandbox);
        let loopback_pending = self.loopback_pending(&sandbox);
        let commit = self.store.put_sandbox(sandbox, None);
        Ok(Leaving { plan, commit, drained: self.relay.drained(), loopback_pending })
    }

    /// Taking the sandbox down, or undoing its making, stopped.
    pub(crate) fn sandbox_stuck(&mut self, id: &SandboxId, plan: Plan, error: String) -> Option<Commit> {
        let sandbox = self.model.sandbox_stuck(id, plan, error).ok()?;
        let sandbox = self.show_sandbox(sandbox);
        Some(self.store.put_sandbox(sandbox, None))
    }

    /// The sandbox is gone: its addresses and ports are free.
    pub(crate) fn sandbox_gone(&mut self, id: &SandboxId) -> Option<Gone> {
        self.drop_sandbox(id, Announced::Yes)
    }

    fn drop_sandbox(&mut self, id: &SandboxId, announced: Announced) -> Option<Gone> {
        let sandbox = self.model.forget_sandbox(id)?;
        let closed = self.port_sockets.release(id);
        closed.iter().for_each(|bound| self.relay.stop(bound));
        self.read_view.remove_sandbox(id);
        self.publish();
        let mut revision = None;
        if announced == Announced::Yes {
            for endpoint in &sandbox.endpoints {
                self.emit_endpoint(EventKind::EndpointDisconnected, &sandbox, &endpoint.id);
            }
            revision = Some(self.emit(NewEvent::of_sandbox(EventKind::SandboxRemoved, id)));
        }
        let commit = self.store.delete_sandbox(id.clone(), revision);
        let due = self.owed.given_up(grant_holders(id, sandbox.all_endpoints()));
        Some(Gone { loopback_pending: self.loopback_pending(&sandbox), due, ..Gone::not_yet(commit) })
    }

    /// An owner's sandboxes that it doesn't claim, and what it claims and doesn't have.
    pub(crate) fn unclaimed(&self, owner: &OwnerName, claimed: &BTreeSet<String>) -> (Vec<SandboxId>, Vec<String>) {
        let owned = self.model.sandboxes().values().filter(|sandbox| sandbox.spec.owner == *owner);
        let unclaimed = owned.map(Sandbox::id).filter(|id| !claimed.contains(id.as_str())).cloned().collect();
        let is_missing = |id: &&String| {
            let there = id.parse().ok().and_then(|id: SandboxId| self.model.sandboxes().get(&id));
            there.is_none_or(|sandbox| sandbox.spec.owner != *owner || sandbox.lifecycle.is_going())
        };
        (unclaimed, claimed.iter().filter(is_missing).cloned().collect())
    }

    /// Ports may lead elsewhere after the gateway has moved: the sockets and the relay follow. Connections through those
    /// that lead where they did are not disturbed. Answers with what isn't held yet.
    pub(super) fn follow_ports(&mut self, sandbox: &Sandbox) -> Vec<SocketSpec> {
        let (id, sockets) = (sandbox.id(), ports::sockets(&sandbox.ports));
        self.port_sockets.follow(id, &sockets).iter().for_each(|bound| self.relay.stop(bound));
        self.port_sockets.of(id).iter().for_each(|bound| self.relay.serve(bound));
        self.port_sockets.missing(id, sockets)
    }

    /// Sockets that weren't held of a sandbox are now, or are somebody else's.
    pub(crate) fn add_bound(&mut self, id: &SandboxId, bound: Result<Vec<BoundSocket>, Box<BindFailure>>) {
        match bound {
            // It may have gone meanwhile.
            Ok(bound) if self.model.sandboxes().contains_key(id) => {
                bound.iter().for_each(|bound| self.relay.serve(bound));
                self.port_sockets.add(id, bound);
            }
            Ok(_) => {}
            Err(failure) => {
                self.warn(format!("a published port of sandbox {id} is lost: {}", failure.error.chain()));
            }
        }
    }

    /// The sandbox, or that there is none.
    pub(crate) fn sandbox(&self, id: &SandboxId) -> Result<&Sandbox, Error> {
        Ok(self.model.sandboxes().get(id).ok_or_else(|| no_such_sandbox(id.as_str()))?)
    }

    pub(super) fn emit_endpoint(&mut self, what: EventKind, sandbox: &Sandbox, endpoint: &EndpointId) -> Option<u64> {
        let endpoint = sandbox.endpoint(endpoint)?;
        let network = self.model.networks().get(&endpoint.network)?;
        let event = NewEvent::of_endpoint(what, sandbox.id(), endpoint, network);
        Some(self.emit(event))
    }

    pub(super) fn show_sandbox(&mut self, sandbox: Sandbox) -> Arc<Sandbox> {
        let sandbox = Arc::new(sandbox);
        self.read_view.put_sandbox(sandbox.clone());
        self.publish();
        sandbox
    }
}

/// Those of a sandbox's endpoints for which others gave something.
pub(super) fn grant_holders<'a>(
    sandbox: &'a SandboxId,
    endpoints: impl IntoIterator<Item = &'a Endpoint>,
) -> impl Iterator<Item = Holder> {
    let granted = endpoints.into_iter().filter(|endpoint| endpoint.grant.is_some());
    granted.map(|endpoint| Holder::of_endpoint(sandbox, endpoint))
}

/// Whether anybody was told that it was there, and has to hear that it is gone: once readers see it gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announced {
    Yes,
    No,
}

impl Gone {
    /// It stopped on its way out.
    pub(super) fn not_yet(commit: Commit) -> Self {
        Self { commit, loopback_pending: Vec::new(), sockets: Vec::new(), due: BTreeSet::new() }
    }
}
