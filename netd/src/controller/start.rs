//! From what is stored and what the kernel holds to a netd that is ready: the same observe, diff and apply as for any
//! repair.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use super::{
    Controller, Identity,
    lanes::Lanes,
    networks::view_of,
    state::{ClockAndRandom, ControllerState, Gone, OwedGrants},
    state_thread::{StateThread, StateThreadEnd},
};
use crate::{
    Error,
    error::chain,
    events::EventLog,
    ports::PortSockets,
    read_view::ReadView,
    relay::Relay,
    store::{Commit, Loaded, Store, Unreadable},
};
use arc_swap::ArcSwap;
use cnm::{
    diff,
    driver::Planners,
    grant::Holder,
    id::SandboxId,
    ipam::DefaultPools,
    observed::ObserveScope,
    plan::{Op, Plan},
    ports,
    resource::{Namespace, Resource},
    state::{RejectedRecord, State, Unfinished},
};
use kernel::{Family, Forwarding, Host};

/// What netd starts from.
pub(crate) struct Start {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) planners: Arc<dyn Planners>,
    pub(crate) pools: DefaultPools,
    pub(crate) store: Arc<Store>,
    pub(crate) loaded: Loaded,
    /// Drop what is forwarded, is not ours and was not forwarded before, once forwarding is on by us.
    pub(crate) forwarding_drop: bool,
    /// The directory that namespaces are pinned in.
    pub(crate) namespaces: PathBuf,
    pub(crate) clock_and_random: ClockAndRandom,
}

/// Brings the host in line with what is stored, and starts the controller. The end of its thread is handed over too: it comes
/// only with the last handle or by a panic.
pub(crate) async fn start(start: Start) -> Result<(Controller, StateThreadEnd), Error> {
    let (host, planners, published) = (start.host.clone(), start.planners.clone(), Arc::default());
    let (published_too, namespaces) = (Arc::clone(&published), start.namespaces.clone());
    let forwarding_drop = start.forwarding_drop;
    let runtime = tokio::runtime::Handle::current();
    let recovered = tokio::task::spawn_blocking(move || {
        // The relay starts tasks for the connections that it accepts.
        let _runtime = runtime.enter();
        recover(start, published_too)
    });
    let Recovered { state, commits, instance, set_aside } = recovered.await.map_err(|_| Error::Panicked)??;
    for commit in commits {
        commit.done().await?;
    }
    let (state, end) = StateThread::start(state).map_err(Error::file("start a thread for", "the state"))?;
    let identity = Arc::new(Identity { instance, namespaces, forwarding_drop, set_aside });
    let controller = Controller {
        state,
        lanes: Lanes::default(),
        host,
        planners,
        published,
        identity,
        retrying: Arc::default(),
        drivers: Arc::default(),
    };
    controller.make_predefined().await?;
    controller.warn_of_foreign_drops().await;
    controller.retry_later();
    controller.release_left_over();
    Ok((controller, end))
}

struct Recovered {
    state: ControllerState,
    commits: Vec<Commit>,
    instance: String,
    set_aside: Vec<String>,
}

fn recover(start: Start, published: Arc<ArcSwap<ReadView>>) -> Result<Recovered, Error> {
    let Start { host, planners, pools, store, loaded, forwarding_drop, clock_and_random, .. } = start;
    let facts = host.facts().map_err(Error::host("look at the host's network"))?;
    let recorded = Recorded::by(&loaded);
    let (model, rejected) = State::restore(&*planners, loaded.networks, loaded.sandboxes);
    let mut state = ControllerState {
        owed: OwedGrants::new(loaded.owed, &model, |holder| recorded.sets_aside(holder, &model)),
        model,
        planners,
        pools,
        host_view: view_of(facts),
        port_sockets: PortSockets::default(),
        relay: Relay::default(),
        store,
        events: EventLog::new(loaded.revision, (clock_and_random.now)()),
        clock_and_random,
        read_view: ReadView::default(),
        published,
        warned_of: BTreeSet::new(),
    };
    let set_aside = state.set_aside(&*host, &loaded.unreadable, rejected);
    for (network, last) in loaded.last_leases {
        state.model.resume_leases(&network, last);
    }
    let unfinished = state.model.unfinished(&*state.planners)?;
    // The firewall comes first: what is repaired or forwarded afterwards is guarded from its first packet on.
    let elements = state.model.firewall(&*state.planners)?;
    host.sync_firewall(&elements, &loaded.admin_chains).map_err(Error::host("set up the firewall"))?;
    let mut commits: Vec<Commit> =
        unfinished.into_iter().flat_map(|unfinished| state.finish(&*host, unfinished)).collect();
    state.repair(&*host)?;
    let forwarding =
        host.enable_forwarding(Family::Ipv4, forwarding_drop).map_err(Error::host("switch IPv4 forwarding on"))?;
    if forwarding == Forwarding::SwitchedOn {
        state.read_view.set_forwarding_by_us();
    }
    state.show_all();
    state.bind_ports_again();
    commits.push(state.store.put_revision(state.events.newest()));
    let instance = (clock_and_random.random)()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Recovered { state, commits, instance, set_aside })
}

/// Ids in the files, of records that can be read or can't.
struct Recorded {
    networks: BTreeSet<String>,
    sandboxes: BTreeSet<String>,
}

impl Recorded {
    fn by(loaded: &Loaded) -> Self {
        let unreadable = |table| {
            let rows = loaded.unreadable.iter().filter(move |unreadable| unreadable.what == table);
            rows.map(|unreadable| unreadable.id.clone())
        };
        let networks = loaded.networks.iter().map(|network| network.id.to_string());
        let sandboxes = loaded.sandboxes.iter().map(|sandbox| sandbox.id().to_string());
        Self {
            networks: networks.chain(unreadable("network")).collect(),
            sandboxes: sandboxes.chain(unreadable("sandbox")).collect(),
        }
    }

    /// Whether a record that is not part of the state may speak of what is held.
    fn sets_aside(&self, holder: &Holder, model: &State) -> bool {
        let network = &holder.network;
        let has_network = || model.networks().contains_key(network);
        let of_sandbox =
            |sandbox: &SandboxId| self.sandboxes.contains(sandbox.as_str()) && !model.sandboxes().contains_key(sandbox);
        (self.networks.contains(network.as_str()) && !has_network())
            || holder.endpoint.as_ref().is_some_and(|(sandbox, _)| of_sandbox(sandbox))
    }
}

impl ControllerState {
    /// Names the records that have no part in the state. The namespace of a sandbox among them is let go: it ends with what
    /// runs in it, and its id can be asked for again.
    fn set_aside(&mut self, host: &dyn Host, unreadable: &[Unreadable], rejected: Vec<RejectedRecord>) -> Vec<String> {
        let mut sentences = Vec::new();
        let mut sandboxes = Vec::new();
        for Unreadable { what, id, error } in unreadable {
            sentences.push(error.chain());
            sandboxes.extend((*what == "sandbox").then(|| id.parse().ok()).flatten());
        }
        for rejected in rejected {
            let (what, why) = match rejected {
                RejectedRecord::Network(name, why) => (format!("network {name}"), why),
                RejectedRecord::Sandbox(id, why) => {
                    sandboxes.push(id.clone());
                    (format!("sandbox {id}"), why)
                }
            };
            sentences.push(format!("the record of {what} is set aside: {why}"));
        }
        sentences.iter().for_each(|sentence| self.warn(sentence.clone()));
        sandboxes.retain(|id| !self.model.sandboxes().contains_key(id));
        for sandbox in sandboxes {
            let pin = Plan { ops: vec![Op::Remove(Resource::Namespace(Namespace { sandbox }))] };
            apply_repair(host, pin).into_iter().for_each(|failure| self.warn(failure));
        }
        sentences
    }

    /// Takes away what was on its way in or out when netd ended: nobody was told that it is there.
    fn finish(&mut self, host: &dyn Host, unfinished: Unfinished) -> Vec<Commit> {
        let (what, plan) = match &unfinished {
            Unfinished::Sandbox(sandbox, plan) => (format!("sandbox {}", sandbox.id()), plan),
            Unfinished::Change(sandbox, plan) => (format!("a change of sandbox {}", sandbox.id()), plan),
            Unfinished::Network(network, plan) => (format!("network {}", network.spec.name), plan),
        };
        tracing::info!("{what} was left unfinished and is removed");
        let applied = host.apply(plan).map_err(|failed| {
            let error = chain(&*failed);
            tracing::error!(%error, "{what} can't be removed: it is tried again later");
            error
        });
        let gone = |gone: Gone| gone.commit;
        let commit = match (unfinished, applied) {
            (Unfinished::Sandbox(sandbox, _), Ok(_)) => self.sandbox_gone(sandbox.id()).map(gone),
            (Unfinished::Sandbox(sandbox, plan), Err(error)) => self.sandbox_stuck(sandbox.id(), plan, error),
            (Unfinished::Change(sandbox, _), Ok(_)) => self.unchanged(sandbox.id(), Vec::new()).map(gone),
            (Unfinished::Change(sandbox, _), Err(error)) => self.change_stuck(sandbox.id(), error, Vec::new()),
            (Unfinished::Network(network, _), Ok(_)) => self.network_gone(&network.id).map(gone),
            (Unfinished::Network(network, plan), Err(error)) => self.network_stuck(&network.id, plan, error),
        };
        commit.into_iter().collect()
    }

    /// Makes the kernel hold what it should.
    fn repair(&mut self, host: &dyn Host) -> Result<(), Error> {
        let desired = self.model.desired(&*self.planners)?;
        let known = self.model.known(&*self.planners)?;
        let observed = host.observe(&ObserveScope::of(&known)).map_err(Error::host("observe the host's links"))?;
        let plan = diff::repair(&desired, &known, &observed);
        if !plan.ops.is_empty() {
            tracing::info!(steps = plan.ops.len(), "the kernel does not hold what it should: repairing");
            apply_repair(host, plan).into_iter().for_each(|failure| self.warn(failure));
        }
        self.model.all_loopback_applied();
        Ok(())
    }

    fn show_all(&mut self) {
        let networks: Vec<_> = self.model.networks().values().cloned().collect();
        let sandboxes: Vec<_> = self.model.sandboxes().values().cloned().collect();
        networks.into_iter().for_each(|network| self.read_view.put_network(Arc::new(network)));
        sandboxes.into_iter().for_each(|sandbox| self.read_view.put_sandbox(Arc::new(sandbox)));
        self.publish();
    }

    /// Binds published ports again. They lead to their sandboxes whoever holds them; a thief is named.
    fn bind_ports_again(&mut self) {
        let mut lost: BTreeMap<SandboxId, Vec<String>> = BTreeMap::new();
        let programmed = self.model.sandboxes().values().filter(|sandbox| sandbox.lifecycle.is_programmed());
        let sandboxes: Vec<_> =
            programmed.map(|sandbox| (sandbox.id().clone(), ports::sockets(&sandbox.ports))).collect();
        for (id, sockets) in sandboxes {
            for failure in self.port_sockets.bind_again(&id, sockets) {
                let message = format!("a published port of sandbox {id} is lost: {}", failure.error.chain());
                self.warn(message.clone());
                lost.entry(id.clone()).or_default().push(message);
            }
            self.port_sockets.of(&id).iter().for_each(|bound| self.relay.serve(bound));
        }
        self.set_lost_ports(lost);
    }
}

/// Applies what puts back what should be there; one thing that can't be must not keep the others from it. Answers with what
/// failed.
pub(super) fn apply_repair(host: &dyn Host, plan: Plan) -> Vec<String> {
    if host.apply(&plan).is_ok() {
        return Vec::new();
    }
    let alone = plan.ops.into_iter().filter_map(|op| {
        let step = op.to_string();
        let failed = host.apply(&Plan { ops: vec![op] }).err()?;
        Some(format!("cannot repair ({step}): {}", chain(&failed.cause)))
    });
    alone.collect()
}

impl Controller {
    /// Makes the networks that are there from the start.
    async fn make_predefined(&self) -> Result<(), Error> {
        for spec in self.state.decide(ControllerState::missing_predefined).await? {
            let name = spec.name.clone();
            match self.make_network(spec, true).await {
                Ok(_) => {}
                // What is set aside of it may be in the kernel still, and in the way.
                Err(error) if !self.identity.set_aside.is_empty() => {
                    self.warn(format!("network {name} is not there and can not be made: {}", error.chain())).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
