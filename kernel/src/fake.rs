//! A host in memory that obeys the kernel's rules as far as plans can tell: for tests of whoever applies plans.
//!
//! What the rules are is settled by the conformance tests (`kernel/tests/kernel/conformance.rs`); they run against this and the real kernel alike.

mod bridge;
mod rules;
mod veth;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{Sender, channel},
    },
    time::Duration,
};

use cnm::{
    firewall::Element,
    id::{LinkName, SandboxId},
    observed::{LinkKind, ObserveScope, Observed, ObservedLink, ObservedNamespace},
    plan::{Op, Plan},
    resource::{LinkAt, NamespaceAt, Neighbour, Resource, Route},
};

use crate::{
    AdminChains, Adoption, Applied, Error, Failed, Family, FirewallEvent, FirewallWatch, ForeignDrop, Forwarding, Host,
    HostFacts, LinkEvent, LinkWatch, Repaired, Stuck, adoption::Candidate,
};

/// A host in memory.
#[derive(Debug)]
pub struct FakeHost {
    state: Mutex<State>,
}

/// What the fake host holds; tests look at it through [`FakeHost::read`].
#[derive(Debug, Clone)]
pub struct State {
    /// All namespaces with all of their links and routes, foreign ones as well.
    pub namespaces: BTreeMap<NamespaceAt, ObservedNamespace>,
    /// Sysctls that were set.
    pub sysctls: BTreeMap<(NamespaceAt, String), String>,
    /// What the firewall's table holds.
    pub elements: BTreeSet<Element>,
    /// The administrator's chains.
    pub administrator: AdminChains,
    /// What [`Host::facts`] answers.
    pub facts: HostFacts,
    /// What [`Host::foreign_drops`] answers.
    pub foreign_drops: Vec<ForeignDrop>,
    /// How many operations were tried so far, inverses as well.
    pub operations: usize,
    /// Operations, by that count, that fail.
    failing: BTreeSet<usize>,
    /// Sandboxes whose namespaces nobody keeps.
    lost: BTreeSet<SandboxId>,
    /// The other end of each veth.
    peers: BTreeMap<LinkAt, LinkAt>,
    /// What the table should hold: the sum of what was asked.
    intended: BTreeSet<Element>,
    watchers: Vec<Sender<FirewallEvent>>,
    link_watchers: Vec<Sender<LinkEvent>>,
}

impl Default for FakeHost {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeHost {
    /// A host with one uplink, `eth0` at 192.0.2.1/24, and nothing of ours.
    pub fn new() -> Self {
        Self { state: Mutex::new(State::new()) }
    }

    /// Makes the operation after the next `succeeding` ones fail, once. Inverses count as operations too.
    pub fn fail_after(&self, succeeding: usize) {
        let mut state = self.lock();
        let failing = state.operations + succeeding;
        state.failing.insert(failing);
    }

    /// A host that holds this.
    pub fn of(state: State) -> Self {
        Self { state: Mutex::new(state) }
    }

    /// What it holds now.
    pub fn read(&self) -> State {
        self.lock().clone()
    }

    /// Changes it behind everybody's back, as a person at a shell would.
    pub fn change_externally<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.lock())
    }

    /// Empties the firewall as `nft flush ruleset` does, and tells the watchers.
    pub fn flush_firewall(&self) {
        let mut state = self.lock();
        state.elements.clear();
        state.watchers.retain(|watcher| watcher.send(FirewallEvent::Changed).is_ok());
    }

    /// Has nobody keep a sandbox's namespace any more; processes are still in it, one of which has it at a path.
    pub fn lose_namespace(&self, sandbox: &SandboxId, found: &str) {
        let mut state = self.lock();
        state.rename_namespace(&NamespaceAt::Pinned(sandbox.clone()), &NamespaceAt::Path(found.to_owned()));
        state.lost.insert(sandbox.clone());
    }

    /// Ends the last process in a namespace that nobody keeps.
    pub fn end_lost_namespace(&self, found: &str) {
        self.lock().end_namespace(&NamespaceAt::Path(found.to_owned()));
    }

    /// Deletes a link of the host, as `ip link delete` does.
    pub fn delete_link(&self, name: &LinkName) {
        self.lock().delete(&LinkAt::on_host(name));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that panicked while it held the lock has failed already; others may still look.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new() -> Self {
        let parsed = "literals in the code parse";
        let uplink = ObservedLink {
            kind: LinkKind::Other,
            mac: Some("02:00:00:00:00:01".parse().expect(parsed)),
            mtu_bytes: 1500,
            up: true,
            bridge: None,
            addresses: BTreeSet::from(["192.0.2.1/24".parse().expect(parsed)]),
        };
        let mut host = rules::empty_namespace();
        host.links.insert("eth0".parse().expect(parsed), uplink);
        Self {
            namespaces: BTreeMap::from([(NamespaceAt::Host, host)]),
            sysctls: BTreeMap::new(),
            elements: BTreeSet::new(),
            administrator: AdminChains::default(),
            facts: HostFacts {
                routes: vec!["192.0.2.0/24".parse().expect(parsed)],
                addresses: vec!["127.0.0.1/8".parse().expect(parsed), "192.0.2.1/24".parse().expect(parsed)],
                default_route_mtu_bytes: Some(1500),
                ephemeral_ports: 32768..=60999,
                reserved_ports: BTreeSet::new(),
                forwarding_ipv4: false,
                forwarding_ipv6: false,
                ipv6: true,
            },
            foreign_drops: Vec::new(),
            operations: 0,
            failing: BTreeSet::new(),
            lost: BTreeSet::new(),
            peers: BTreeMap::new(),
            intended: BTreeSet::new(),
            watchers: Vec::new(),
            link_watchers: Vec::new(),
        }
    }

    /// One operation, counted, failing if a test asked for that.
    fn perform(&mut self, op: &Op) -> Result<(), Error> {
        let number = self.operations;
        self.operations += 1;
        if self.failing.remove(&number) {
            return Err(Error::refused(op.attempt(), nix::errno::Errno::EIO));
        }
        self.execute(op)
    }

    fn apply(&mut self, plan: &Plan) -> Result<Applied, Box<Failed>> {
        for (step, op) in plan.ops.iter().enumerate() {
            let Err(cause) = self.perform(op) else { continue };
            let (mut undone, mut stuck) = (Vec::new(), Vec::new());
            for done in plan.ops[..step].iter().rev() {
                match self.perform(&done.inverse()) {
                    Ok(()) => undone.insert(0, done.clone()),
                    Err(cause) => stuck.insert(0, Stuck { op: done.clone(), cause }),
                }
            }
            return Err(Box::new(Failed { step, op: op.clone(), cause, undone, stuck }));
        }
        Ok(Applied::default())
    }
}

impl Host for FakeHost {
    fn apply(&self, plan: &Plan) -> Result<Applied, Box<Failed>> {
        self.lock().apply(plan)
    }

    fn observe(&self, scope: &ObserveScope) -> Result<Observed, Error> {
        let state = self.lock();
        let pinned = state
            .namespaces
            .keys()
            .filter_map(|at| if let NamespaceAt::Pinned(sandbox) = at { Some(sandbox.clone()) } else { None })
            .chain(state.lost.iter().cloned())
            .collect::<BTreeSet<SandboxId>>();
        let mut namespaces = BTreeMap::new();
        for (at, namespace) in &state.namespaces {
            let mut seen = namespace.clone();
            if *at == NamespaceAt::Host {
                seen.links.retain(|name, _| name.is_ours() || scope.links.contains(name));
            } else if !scope.namespaces.contains(at) {
                continue;
            }
            namespaces.insert(at.clone(), seen);
        }
        let sysctls = scope.sysctls.iter().filter_map(|asked| Some((asked.clone(), state.sysctls.get(asked)?.clone())));
        Ok(Observed { namespaces, pinned, sysctls: sysctls.collect() })
    }

    fn sync_firewall(&self, elements: &BTreeSet<Element>, administrator: &AdminChains) -> Result<Repaired, Error> {
        let mut state = self.lock();
        state.intended.clone_from(elements);
        if state.administrator == AdminChains::default() {
            state.administrator = administrator.clone();
        }
        Ok(state.repair())
    }

    fn repair_firewall(&self) -> Result<Repaired, Error> {
        Ok(self.lock().repair())
    }

    fn admin_chains(&self) -> Result<AdminChains, Error> {
        Ok(self.lock().administrator.clone())
    }

    fn missing_elements(&self, elements: &BTreeSet<Element>) -> Result<BTreeSet<Element>, Error> {
        Ok(elements.difference(&self.lock().elements).cloned().collect())
    }

    fn watch_firewall(&self) -> Result<FirewallWatch, Error> {
        let (sender, events) = channel();
        self.lock().watchers.push(sender);
        Ok(FirewallWatch { events, _stop: None })
    }

    fn watch_links(&self) -> Result<LinkWatch, Error> {
        let (sender, events) = channel();
        self.lock().link_watchers.push(sender);
        Ok(LinkWatch { events, _stop: None })
    }

    fn restore_link(&self, resource: &Resource) -> Result<bool, Error> {
        let done = rules::rules(resource).restore_link(&mut self.lock());
        done.map_err(|errno| Error::refused(Op::Make(resource.clone()).attempt(), errno))
    }

    fn lost_namespaces(&self) -> Result<BTreeSet<SandboxId>, Error> {
        Ok(self.lock().lost.clone())
    }

    fn is_lost(&self, sandbox: &SandboxId) -> Result<bool, Error> {
        Ok(self.lock().lost.contains(sandbox))
    }

    fn adopt_namespace(&self, sandbox: &SandboxId, found: &Path, host_ends: &[LinkName]) -> Result<Adoption, Error> {
        let mut state = self.lock();
        let found = NamespaceAt::Path(found.display().to_string());
        let Some(inside) = state.namespaces.get(&found) else { return Ok(Adoption::Refused("there is nothing")) };
        let peer = |end| state.peers.get(&LinkAt::on_host(end));
        let leads_there = |end| peer(end).is_some_and(|peer| peer.namespace == found);
        let has_an_end = (!host_ends.is_empty()).then(|| host_ends.iter().any(leads_there));
        // Neither is ever at another path.
        let (is_hosts, is_kept) = (false, false);
        if let Some(objection) = (Candidate { is_hosts, is_kept, has_an_end, inside }).objection() {
            return Ok(Adoption::Refused(objection));
        }
        state.lost.remove(sandbox);
        state.rename_namespace(&found, &NamespaceAt::Pinned(sandbox.clone()));
        Ok(Adoption::Kept)
    }

    fn finish_deletions(&self, _longest: Duration) -> bool {
        true
    }

    fn foreign_drops(&self) -> Result<Vec<ForeignDrop>, Error> {
        Ok(self.lock().foreign_drops.clone())
    }

    fn enable_forwarding(&self, family: Family, _guard: bool) -> Result<Forwarding, Error> {
        let mut state = self.lock();
        let forwarding = match family {
            Family::Ipv4 => &mut state.facts.forwarding_ipv4,
            Family::Ipv6 => &mut state.facts.forwarding_ipv6,
        };
        Ok(if std::mem::replace(forwarding, true) { Forwarding::WasOn } else { Forwarding::SwitchedOn })
    }

    fn allow_foreign_bridges(&self) -> Result<(), Error> {
        Ok(())
    }

    fn facts(&self) -> Result<HostFacts, Error> {
        Ok(self.lock().facts.clone())
    }
}

impl State {
    /// Has all of a namespace be found elsewhere.
    fn rename_namespace(&mut self, from: &NamespaceAt, to: &NamespaceAt) {
        let Some(mut moved) = self.namespaces.remove(from) else { return };
        let rename = |at: &NamespaceAt| if at == from { to.clone() } else { at.clone() };
        let renamed = |link: LinkAt| LinkAt { namespace: rename(&link.namespace), name: link.name };
        moved.routes = std::mem::take(&mut moved.routes)
            .into_iter()
            .map(|route| Route { link: renamed(route.link.clone()), ..route })
            .collect();
        moved.neighbours = std::mem::take(&mut moved.neighbours)
            .into_iter()
            .map(|neighbour| Neighbour { link: renamed(neighbour.link.clone()), ..neighbour })
            .collect();
        self.namespaces.insert(to.clone(), moved);
        let peers = std::mem::take(&mut self.peers);
        self.peers = peers.into_iter().map(|(end, other)| (renamed(end), renamed(other))).collect();
        let sysctls = std::mem::take(&mut self.sysctls);
        self.sysctls = sysctls.into_iter().map(|((at, key), value)| ((rename(&at), key), value)).collect();
    }

    fn repair(&mut self) -> Repaired {
        if self.elements == self.intended {
            return Repaired::Unchanged;
        }
        self.elements = self.intended.clone();
        Repaired::Changed
    }
}
