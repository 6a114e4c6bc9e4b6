//! The state and all that changes with it: every decision is made here, on the state's thread.

mod changes;
mod networks;
mod owed;
mod sandboxes;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arc_swap::ArcSwap;
use cnm::{
    api::EventKind,
    driver::{HostView, Planners},
    firewall::Protocol,
    grant::Grants,
    id::{NetworkId, SandboxId},
    ipam::DefaultPools,
    plan::Plan,
    sandbox::Sandbox,
    spec::NetworkSpec,
    state::{Context, State},
};
use jiff::Timestamp;
use kernel::ForeignDrop;

pub(crate) use self::{
    changes::{ChangeRequest, Changed, NewChange},
    networks::{NetworkDecision, NewNetwork},
    owed::{OwedGrants, ReleaseFailure},
    sandboxes::{Gone, Leaving, NewSandbox, Reserved},
};
use super::firewall::describe_drop;
use crate::{
    Error,
    events::{EventLog, NewEvent, Subscription},
    ports::PortSockets,
    read_view::ReadView,
    relay::Relay,
    store::Store,
};

/// What comes from outside of the program and isn't the kernel: replaced in tests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClockAndRandom {
    pub(crate) now: fn() -> Timestamp,
    pub(crate) random: fn() -> [u8; 32],
}

impl Default for ClockAndRandom {
    fn default() -> Self {
        Self { now: Timestamp::now, random: rand::random }
    }
}

/// The state of netd.
pub(crate) struct ControllerState {
    pub(crate) model: State,
    pub(crate) planners: Arc<dyn Planners>,
    pub(crate) pools: DefaultPools,
    /// The host as it was when it was last looked at.
    pub(crate) host_view: HostView,
    pub(crate) port_sockets: PortSockets,
    pub(crate) relay: Relay,
    pub(crate) owed: OwedGrants,
    pub(crate) store: Arc<Store>,
    pub(crate) events: EventLog,
    pub(crate) clock_and_random: ClockAndRandom,
    pub(crate) read_view: ReadView,
    pub(crate) published: Arc<ArcSwap<ReadView>>,
    /// Chains of others that events have told of.
    pub(crate) warned_of: BTreeSet<ForeignDrop>,
}

impl ControllerState {
    /// Lets a decision be made with all that it may use.
    fn with_context<R>(
        &mut self,
        avoid_ports: &BTreeSet<(Protocol, u16)>,
        decide: impl FnOnce(&mut State, &mut Context<'_>) -> R,
    ) -> R {
        self.with_grants(avoid_ports, &Grants::default(), decide)
    }

    /// The same with what others have given for it.
    fn with_grants<R>(
        &mut self,
        avoid_ports: &BTreeSet<(Protocol, u16)>,
        grants: &Grants,
        decide: impl FnOnce(&mut State, &mut Context<'_>) -> R,
    ) -> R {
        let ClockAndRandom { now, random } = self.clock_and_random;
        let mut random = random;
        let mut context = Context {
            planners: &*self.planners,
            host: &self.host_view,
            pools: &self.pools,
            now: now(),
            random: &mut random,
            avoid_ports,
            grants,
        };
        decide(&mut self.model, &mut context)
    }

    /// Shows readers what has changed.
    pub(super) fn publish(&self) {
        self.published.store(Arc::new(self.read_view.clone()));
    }

    /// Tells of something; answers with its revision, which is to be stored.
    fn emit(&mut self, event: NewEvent) -> u64 {
        self.events.publish(event, (self.clock_and_random.now)())
    }

    /// Tells of something that belongs to no change of an object.
    pub(crate) fn emit_message(&mut self, what: EventKind, message: String) {
        let revision = self.emit(NewEvent::message(what, message));
        // Nobody waits: a number that isn't stored is skipped after a restart.
        drop(self.store.put_revision(revision));
    }

    /// Follows the events after `since`.
    pub(crate) fn subscribe(&self, since: Option<u64>) -> Subscription {
        self.events.subscribe(since, (self.clock_and_random.now)())
    }

    /// Networks of a sandbox that need something, or need it no longer, since sandboxes came to them or left them.
    fn loopback_pending(&self, sandbox: &Sandbox) -> Vec<NetworkId> {
        self.loopback_pending_of([sandbox])
    }

    fn loopback_pending_of<'s>(&self, sandboxes: impl IntoIterator<Item = &'s Sandbox>) -> Vec<NetworkId> {
        let endpoints = sandboxes.into_iter().flat_map(Sandbox::all_endpoints);
        let networks: BTreeSet<&NetworkId> = endpoints.map(|endpoint| &endpoint.network).collect();
        self.model.loopback_pending(networks)
    }

    /// What that is, as it is now.
    pub(crate) fn loopback_plan(&self, network: &NetworkId) -> Result<Option<Plan>, Error> {
        Ok(self.model.loopback_plan(&*self.planners, network)?)
    }

    /// Tells of chains of others that drop forwarded packets, once each.
    pub(crate) fn warn_of_drops(&mut self, drops: Vec<ForeignDrop>) {
        let now: BTreeSet<ForeignDrop> = drops.into_iter().collect();
        let messages: Vec<_> = now.difference(&self.warned_of).map(describe_drop).collect();
        for message in messages {
            tracing::warn!("{message}");
            self.emit_message(EventKind::Warning, message);
        }
        self.warned_of = now;
    }

    /// Tells of them again, to somebody who publishes a port in vain.
    fn warn_again_of_drops(&mut self) {
        let known: Vec<_> = self.warned_of.iter().map(describe_drop).collect();
        known.into_iter().for_each(|message| self.emit_message(EventKind::Warning, message));
    }

    /// The networks that there should be from the start and aren't.
    pub(crate) fn missing_predefined(&mut self) -> Vec<NetworkSpec> {
        self.with_context(&BTreeSet::new(), |model, context| model.missing_predefined(context))
    }

    pub(super) fn warn(&mut self, message: String) {
        tracing::warn!("{message}");
        self.emit_message(EventKind::Warning, message);
    }

    /// Sets what is known of ports that others have taken while netd was away.
    pub(crate) fn set_lost_ports(&mut self, lost: BTreeMap<SandboxId, Vec<String>>) {
        for (sandbox, ports) in lost {
            self.read_view.put_lost_ports(sandbox, ports);
        }
        self.publish();
    }
}

/// What remains to be done after a plan failed and some of it could not be undone; none if there is nothing.
pub(crate) fn remaining(error: &Error) -> Option<Plan> {
    let Error::Apply { source, .. } = error else { return None };
    let plan = Plan::left_to_undo(source.stuck.iter().map(|stuck| &stuck.op), &source.undone);
    (!plan.ops.is_empty()).then_some(plan)
}
