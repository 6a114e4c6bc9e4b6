//! Decisions about sandboxes and their endpoints.

use std::{collections::BTreeSet, sync::Arc};

use cnm::{
    api::EventKind,
    firewall::Protocol,
    id::{EndpointId, OwnerName, SandboxId},
    plan::Plan,
    ports,
    sandbox::Sandbox,
    spec::{EndpointSpec, SandboxSpec},
    state::Put,
};

use super::{Ledger, remaining};
use crate::{
    Error, error::chain, events::News, ports::NotHeld, published::no_such_sandbox, relay::LetGo, store::Commit,
};

/// So many ports of our choice may turn out to be somebody else's before we give up.
const MOST_PORTS_AVOIDED: usize = 1000;

/// What asking for a sandbox leads to.
#[derive(Debug)]
pub(crate) enum NewSandbox {
    /// It is there already.
    There(Arc<Sandbox>),
    /// One of that id is only partly gone: finish that, then ask again.
    Leftover,
    /// It is *Reserved*: to be stored, then applied.
    Reserved(Plan, Commit),
}

/// An endpoint that is *Reserved*.
#[derive(Debug)]
pub(crate) struct NewEndpoint {
    pub(crate) id: EndpointId,
    pub(crate) plan: Plan,
    pub(crate) commit: Commit,
}

/// Something that is to go: to be stored, then applied.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) plan: Plan,
    pub(crate) commit: Commit,
    /// To be waited for before its ports are free.
    pub(crate) let_go: LetGo,
}

impl Ledger {
    /// Reserves a sandbox with its addresses and ports, which are held from here on.
    pub(crate) fn reserve_sandbox(&mut self, spec: &SandboxSpec) -> Result<NewSandbox, Error> {
        let there = self.state.sandboxes().get(&spec.id);
        if there.is_some_and(|sandbox| !sandbox.lifecycle.is_programmed()) {
            return Ok(NewSandbox::Leftover);
        }
        let mut avoided = BTreeSet::new();
        loop {
            let put = self.with_context(&avoided, |state, context| state.put_sandbox(spec.clone(), context))?;
            let (sandbox, plan) = match put {
                Put::There(sandbox) => return Ok(NewSandbox::There(Arc::new(sandbox))),
                Put::Made(sandbox, plan) => (sandbox, plan),
            };
            match self.holdings.hold(&spec.id, ports::sockets(&sandbox.ports)) {
                Ok(()) => {
                    if let Err(error) = self.settle_for(&spec.id) {
                        self.holdings.release(&spec.id);
                        self.state.forget_sandbox(&spec.id);
                        self.settle();
                        return Err(error);
                    }
                    let sandbox = self.show_sandbox(sandbox);
                    return Ok(NewSandbox::Reserved(plan, self.store_reserved(sandbox)));
                }
                Err(not_held) => {
                    self.state.forget_sandbox(&spec.id);
                    self.settle();
                    avoid_or_refuse(*not_held, &mut avoided)?;
                }
            }
        }
    }

    /// Stores what was chosen for a sandbox, and where its networks' addresses go on from.
    fn store_reserved(&self, sandbox: Arc<Sandbox>) -> Commit {
        let networks = sandbox.endpoints.iter().map(|endpoint| &endpoint.network);
        let leases = networks.filter_map(|network| Some((network.clone(), self.state.last_lease(network)?))).collect();
        self.store.reserve_sandbox(sandbox, leases)
    }

    /// The kernel has the sandbox: its relayed ports are served.
    pub(crate) fn sandbox_programmed(&mut self, id: &SandboxId) -> Result<(Arc<Sandbox>, Commit), Error> {
        let sandbox = self.state.sandbox_programmed(id)?;
        let sandbox = self.show_sandbox(sandbox);
        self.holdings.of(id).iter().for_each(|held| self.relay.serve(held));
        for endpoint in &sandbox.endpoints {
            self.tell_endpoint(EventKind::EndpointConnected, &sandbox, &endpoint.id);
        }
        if !sandbox.ports.is_empty() {
            self.warn_again_of_drops();
        }
        let revision = self.tell(News::of_sandbox(EventKind::SandboxCreated, id));
        let commit = self.store.put_sandbox(sandbox.clone(), Some(revision));
        Ok((sandbox, commit))
    }

    /// The sandbox did not come to be; what could not be undone is kept to be undone later.
    pub(crate) fn sandbox_failed(&mut self, id: &SandboxId, error: &Error) -> Option<Commit> {
        match remaining(error) {
            Some(plan) => self.sandbox_stuck(id, plan, chain(error)),
            None => self.drop_sandbox(id, None),
        }
    }

    /// The sandbox is to go; its relayed ports are no longer served.
    pub(crate) fn sandbox_leaving(&mut self, id: &SandboxId) -> Result<Leaving, Error> {
        let (sandbox, plan) = self.state.remove_sandbox(&*self.planners, id)?;
        self.holdings.of(id).iter().for_each(|held| self.relay.stop(held));
        let sandbox = self.show_sandbox(sandbox);
        Ok(Leaving { plan, commit: self.store.put_sandbox(sandbox, None), let_go: self.relay.let_go() })
    }

    /// Taking the sandbox down, or undoing its making, stopped.
    pub(crate) fn sandbox_stuck(&mut self, id: &SandboxId, plan: Plan, error: String) -> Option<Commit> {
        let sandbox = self.state.sandbox_stuck(id, plan, error).ok()?;
        let sandbox = self.show_sandbox(sandbox);
        Some(self.store.put_sandbox(sandbox, None))
    }

    /// The sandbox is gone: its addresses and ports are free.
    pub(crate) fn sandbox_gone(&mut self, id: &SandboxId) -> Option<Commit> {
        let sandbox = self.state.sandboxes().get(id).cloned()?;
        for endpoint in &sandbox.endpoints {
            self.tell_endpoint(EventKind::EndpointDisconnected, &sandbox, &endpoint.id);
        }
        let revision = self.tell(News::of_sandbox(EventKind::SandboxRemoved, id));
        self.drop_sandbox(id, Some(revision))
    }

    fn drop_sandbox(&mut self, id: &SandboxId, revision: Option<u64>) -> Option<Commit> {
        self.state.forget_sandbox(id)?;
        self.settle();
        let closed = self.holdings.release(id);
        closed.iter().for_each(|held| self.relay.stop(held));
        self.shown.remove_sandbox(id);
        self.publish();
        Some(self.store.delete_sandbox(id.clone(), revision))
    }

    /// An owner's sandboxes that it doesn't claim, and what it claims and doesn't have.
    pub(crate) fn unclaimed(&self, owner: &OwnerName, claimed: &BTreeSet<String>) -> (Vec<SandboxId>, Vec<String>) {
        let owned = self.state.sandboxes().values().filter(|sandbox| sandbox.spec.owner == *owner);
        let unclaimed = owned.map(Sandbox::id).filter(|id| !claimed.contains(id.as_str())).cloned().collect();
        let is_missing = |id: &&String| {
            let there = id.parse().ok().and_then(|id: SandboxId| self.state.sandboxes().get(&id));
            there.is_none_or(|sandbox| sandbox.spec.owner != *owner || sandbox.lifecycle.is_going())
        };
        (unclaimed, claimed.iter().filter(is_missing).cloned().collect())
    }

    /// Reserves an endpoint of a sandbox. Ports may move to it.
    pub(crate) fn reserve_endpoint(&mut self, sandbox: &SandboxId, spec: EndpointSpec) -> Result<NewEndpoint, Error> {
        let (record, id, plan) =
            self.with_context(&BTreeSet::new(), |state, context| state.connect(sandbox, spec, context))?;
        let held =
            self.holdings.hold_missing(sandbox, ports::sockets(&record.ports)).map_err(|not_held| not_held.error);
        if let Err(error) = held.and_then(|()| self.settle_for(sandbox)) {
            let forgotten =
                self.with_context(&BTreeSet::new(), |state, context| state.forget_endpoint(sandbox, &id, context));
            self.settle();
            let record = forgotten?;
            self.holdings.follow(sandbox, &ports::sockets(&record.ports));
            return Err(error);
        }
        let record = self.show_sandbox(record);
        Ok(NewEndpoint { id, plan, commit: self.store_reserved(record) })
    }

    /// The kernel has the endpoint.
    pub(crate) fn endpoint_programmed(
        &mut self,
        sandbox: &SandboxId,
        endpoint: &EndpointId,
    ) -> Result<(Arc<Sandbox>, Commit), Error> {
        let record = self.state.endpoint_programmed(sandbox, endpoint)?;
        self.settle();
        let record = self.show_sandbox(record);
        self.follow_ports(&record);
        let revision = self.tell_endpoint(EventKind::EndpointConnected, &record, endpoint);
        let commit = self.store.put_sandbox(record.clone(), revision);
        Ok((record, commit))
    }

    /// The endpoint did not come to be.
    pub(crate) fn endpoint_failed(
        &mut self,
        sandbox: &SandboxId,
        endpoint: &EndpointId,
        error: &Error,
    ) -> Option<Commit> {
        match remaining(error) {
            Some(plan) => self.endpoint_stuck(sandbox, endpoint, plan, chain(error)),
            None => self.drop_endpoint(sandbox, endpoint, None),
        }
    }

    /// The endpoint is to go. Ports may move to another.
    pub(crate) fn endpoint_leaving(&mut self, sandbox: &SandboxId, endpoint: &EndpointId) -> Result<Leaving, Error> {
        let (record, plan) =
            self.with_context(&BTreeSet::new(), |state, context| state.disconnect(sandbox, endpoint, context))?;
        if let Err(error) = self.settle_for(sandbox) {
            // The endpoint goes all the same: its sandbox's ports are then not led elsewhere over loopback.
            tracing::warn!(error = %error.chain(), "publishing on the host's loopback addresses can't be set up");
        }
        let record = self.show_sandbox(record);
        Ok(Leaving { plan, commit: self.store.put_sandbox(record, None), let_go: LetGo::default() })
    }

    /// Taking the endpoint away, or undoing its making, stopped.
    pub(crate) fn endpoint_stuck(
        &mut self,
        sandbox: &SandboxId,
        endpoint: &EndpointId,
        plan: Plan,
        error: String,
    ) -> Option<Commit> {
        let record = self.state.endpoint_stuck(sandbox, endpoint, plan, error).ok()?;
        let record = self.show_sandbox(record);
        Some(self.store.put_sandbox(record, None))
    }

    /// The endpoint is gone: its addresses are free.
    pub(crate) fn endpoint_gone(&mut self, sandbox: &SandboxId, endpoint: &EndpointId) -> Option<Commit> {
        let record = self.state.sandboxes().get(sandbox).cloned()?;
        let revision = self.tell_endpoint(EventKind::EndpointDisconnected, &record, endpoint);
        self.drop_endpoint(sandbox, endpoint, revision)
    }

    fn drop_endpoint(&mut self, sandbox: &SandboxId, endpoint: &EndpointId, revision: Option<u64>) -> Option<Commit> {
        let forgotten =
            self.with_context(&BTreeSet::new(), |state, context| state.forget_endpoint(sandbox, endpoint, context));
        let record = forgotten.ok()?;
        self.settle();
        let record = self.show_sandbox(record);
        self.follow_ports(&record);
        Some(self.store.put_sandbox(record, revision))
    }

    /// Ports may lead elsewhere after the gateway has moved: the sockets and the relay follow. Connections through those
    /// that lead where they did are not disturbed.
    fn follow_ports(&mut self, sandbox: &Sandbox) {
        let (id, sockets) = (sandbox.id(), ports::sockets(&sandbox.ports));
        self.holdings.follow(id, &sockets).iter().for_each(|held| self.relay.stop(held));
        if let Err(not_held) = self.holdings.hold_missing(id, sockets) {
            let message = format!("a published port of sandbox {id} is lost: {}", not_held.error.chain());
            tracing::warn!("{message}");
            self.announce(EventKind::Warning, message);
        }
        self.holdings.of(id).iter().for_each(|held| self.relay.serve(held));
    }

    /// The sandbox, or that there is none.
    pub(crate) fn sandbox(&self, id: &SandboxId) -> Result<&Sandbox, Error> {
        Ok(self.state.sandboxes().get(id).ok_or_else(|| no_such_sandbox(id.as_str()))?)
    }

    fn tell_endpoint(&mut self, what: EventKind, sandbox: &Sandbox, endpoint: &EndpointId) -> Option<u64> {
        let endpoint = sandbox.endpoint(endpoint)?;
        let network = self.state.networks().get(&endpoint.network)?;
        let news = News::of_endpoint(what, sandbox.id(), endpoint, network);
        Some(self.tell(news))
    }

    pub(super) fn show_sandbox(&mut self, sandbox: Sandbox) -> Arc<Sandbox> {
        let sandbox = Arc::new(sandbox);
        self.shown.put_sandbox(sandbox.clone());
        self.publish();
        sandbox
    }
}

/// A port that was ours to choose is avoided from here on; any other refusal is final.
fn avoid_or_refuse(not_held: NotHeld, avoided: &mut BTreeSet<(Protocol, u16)>) -> Result<(), Error> {
    let NotHeld { what, taken, error } = not_held;
    if taken && !what.fixed && avoided.len() < MOST_PORTS_AVOIDED {
        avoided.insert((what.protocol, what.port));
        Ok(())
    } else {
        Err(error)
    }
}
