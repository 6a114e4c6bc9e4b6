//! What is left to do: desired operations against what is observed. Only what is ours is named: what records speak of,
//! what is pinned in our run directory, routes with our protocol number, and retired veths of our name pattern.

use std::collections::{BTreeSet, HashSet};

use crate::{
    id::{LinkName, MacAddress},
    observed::{LinkKind, Observed, ObservedLink},
    op::{Bridge, LinkAt, NamespaceAt, Op, Plan, VethPair, is_sysctl_of},
};

/// The plan after which the kernel holds what is desired, and nothing else of what is known to be ours. `desired` and
/// `known` hold operations that make things, from [`crate::state::State::desired`] and
/// [`crate::state::State::known`]. Firewall changes aren't part of it: the table is synchronised whole.
///
/// What can't be had is left out: whatever lives in somebody else's namespace that is gone.
pub fn repair(desired: &[Op], known: &[Op], observed: &Observed) -> Plan {
    let mut comparison = Comparison::new(desired, observed);
    let missing: Vec<Op> = desired.iter().flat_map(|op| comparison.missing(op)).collect();
    let superfluous = comparison.superfluous(known);
    superfluous.into_iter().chain(missing).collect()
}

/// The plan after which the kernel holds what is desired, and that takes nothing away but what stands in the way: beside
/// other plans that are being applied.
pub fn missing(desired: &[Op], observed: &Observed) -> Plan {
    let mut comparison = Comparison::new(desired, observed);
    desired.iter().flat_map(|op| comparison.missing(op)).collect()
}

struct Comparison<'a> {
    desired: &'a [Op],
    observed: &'a Observed,
    /// Links that are made anew, which takes along what they had.
    renewed: BTreeSet<LinkAt>,
    /// Namespaces that are made anew.
    new_namespaces: BTreeSet<NamespaceAt>,
}

impl<'a> Comparison<'a> {
    const fn new(desired: &'a [Op], observed: &'a Observed) -> Self {
        Self { desired, observed, renewed: BTreeSet::new(), new_namespaces: BTreeSet::new() }
    }

    /// What has to be done for an operation to hold.
    fn missing(&mut self, op: &Op) -> Vec<Op> {
        match op {
            Op::CreateNamespace(sandbox) if !self.observed.pinned.contains(sandbox) => {
                self.new_namespaces.insert(NamespaceAt::Pinned(sandbox.clone()));
                vec![op.clone()]
            }
            Op::CreateBridge(bridge) => self.missing_bridge(bridge),
            Op::CreateVeth(pair) => self.missing_veth(pair),
            Op::AddAddress { link, address } if !self.has_address(link, address) && self.exists(&link.namespace) => {
                vec![op.clone()]
            }
            Op::AddRoute { namespace, route } => {
                let link = LinkAt { namespace: namespace.clone(), name: route.link.clone() };
                let there = self.observed.namespaces.get(namespace).is_some_and(|seen| seen.routes.contains(route));
                let wanted = self.exists(namespace) && (!there || self.renewed.contains(&link));
                wanted.then(|| op.clone()).into_iter().collect()
            }
            Op::AddNeighbour { namespace, neighbour } => {
                let link = LinkAt { namespace: namespace.clone(), name: neighbour.link.clone() };
                let there =
                    self.observed.namespaces.get(namespace).is_some_and(|seen| seen.neighbours.contains(neighbour));
                let wanted = self.exists(namespace) && (!there || self.renewed.contains(&link));
                wanted.then(|| op.clone()).into_iter().collect()
            }
            Op::SetSysctl { namespace, key, value, .. } => {
                let seen = self.observed.sysctls.get(&(namespace.clone(), key.clone()));
                let renewed =
                    self.renewed.iter().any(|link| link.namespace == *namespace && is_sysctl_of(key, &link.name));
                let wanted = self.exists(namespace) && (seen != Some(value) || renewed);
                wanted.then(|| op.clone()).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn missing_bridge(&mut self, bridge: &Bridge) -> Vec<Op> {
        let make = Op::CreateBridge(bridge.clone());
        let Some(seen) = self.host_link(&bridge.name) else {
            self.renewed.insert(on_host(&bridge.name));
            return vec![make];
        };
        if is_bridge(bridge, seen) {
            return Vec::new();
        }
        self.renewed.insert(on_host(&bridge.name));
        vec![make.inverse(), make]
    }

    fn missing_veth(&mut self, pair: &VethPair) -> Vec<Op> {
        if !self.exists(&pair.peer.namespace) {
            return Vec::new();
        }
        let make = Op::CreateVeth(pair.clone());
        let host_end = self.host_link(&pair.host_end);
        let bridge_renewed = self.renewed.contains(&on_host(&pair.bridge));
        let whole = !bridge_renewed
            && host_end.is_some_and(|seen| is_host_end(pair, seen))
            && self.link(&pair.peer).is_some_and(|seen| is_peer(pair, seen));
        if whole {
            return Vec::new();
        }
        let leftover = host_end.is_some();
        self.renewed.insert(pair.peer.clone());
        self.renewed.insert(on_host(&pair.host_end));
        leftover.then(|| make.inverse()).into_iter().chain([make.clone()]).collect()
    }

    fn has_address(&self, link: &LinkAt, address: &ipnetwork::IpNetwork) -> bool {
        !self.renewed.contains(link) && self.link(link).is_some_and(|seen| seen.addresses.contains(address))
    }

    /// Whether a namespace is there or will be.
    fn exists(&self, namespace: &NamespaceAt) -> bool {
        *namespace == NamespaceAt::Host
            || self.new_namespaces.contains(namespace)
            || self.observed.namespaces.contains_key(namespace)
    }

    fn link(&self, link: &LinkAt) -> Option<&'a ObservedLink> {
        if self.new_namespaces.contains(&link.namespace) {
            return None;
        }
        self.observed.namespaces.get(&link.namespace)?.links.get(&link.name)
    }

    fn host_link(&self, name: &LinkName) -> Option<&'a ObservedLink> {
        self.link(&on_host(name))
    }

    /// What takes away what is there, is ours and isn't desired; last made, first gone.
    fn superfluous(&self, known: &[Op]) -> Vec<Op> {
        let desired = Subjects::of(self.desired);
        let stale: Plan = known.iter().filter(|op| !desired.include(op) && self.is_there(op)).cloned().collect();
        let mut ops = stale.teardown().ops;
        let of_records = Subjects::of(known);
        for (namespace, seen) in &self.observed.namespaces {
            for route in &seen.routes {
                let op = Op::AddRoute { namespace: namespace.clone(), route: route.clone() };
                let goes_by_itself = stale.ops.iter().any(|gone| takes_along_route(gone, namespace, &route.link));
                if !desired.include(&op) && !goes_by_itself && !ops.contains(&op.inverse()) {
                    ops.insert(0, op.inverse());
                }
            }
        }
        for sandbox in &self.observed.pinned {
            let op = Op::CreateNamespace(sandbox.clone());
            if !desired.include(&op) && !of_records.include(&op) {
                ops.push(op.inverse());
            }
        }
        ops.extend(self.retired().filter(|op| !desired.include(op) && !of_records.include(op)).map(|op| op.inverse()));
        ops
    }

    /// Host ends that were taken off their bridge to be deleted in the background, when the daemon ended: their records
    /// are gone, and nobody but us names a veth so and leaves it down on no bridge.
    fn retired(&self) -> impl Iterator<Item = Op> {
        let host = self.observed.namespaces.get(&NamespaceAt::Host);
        host.into_iter().flat_map(|host| &host.links).filter_map(|(name, seen)| {
            let is_retired = name.is_host_end() && seen.kind == LinkKind::Veth && !seen.up && seen.bridge.is_none();
            is_retired.then(|| {
                Op::CreateVeth(VethPair {
                    host_end: name.clone(),
                    // What it was made with is forgotten, and not asked for to take it away.
                    bridge: name.clone(),
                    peer: on_host(name),
                    peer_mac: seen.mac.unwrap_or(MacAddress([0; 6])),
                    mtu_bytes: seen.mtu_bytes,
                    isolated: false,
                })
            })
        })
    }

    /// Whether what an operation makes is in the kernel.
    fn is_there(&self, op: &Op) -> bool {
        match op {
            Op::CreateNamespace(sandbox) => self.observed.pinned.contains(sandbox),
            Op::CreateBridge(bridge) => self.host_link(&bridge.name).is_some_and(|seen| seen.kind == LinkKind::Bridge),
            Op::CreateVeth(pair) => self.host_link(&pair.host_end).is_some_and(|seen| seen.kind == LinkKind::Veth),
            Op::AddAddress { link, address } => self.link(link).is_some_and(|seen| seen.addresses.contains(address)),
            Op::AddRoute { namespace, route } => {
                self.observed.namespaces.get(namespace).is_some_and(|seen| seen.routes.contains(route))
            }
            Op::AddNeighbour { namespace, neighbour } => {
                self.observed.namespaces.get(namespace).is_some_and(|seen| seen.neighbours.contains(neighbour))
            }
            Op::SetSysctl { namespace, key, value, .. } => {
                self.observed.sysctls.get(&(namespace.clone(), key.clone())) == Some(value)
            }
            _ => false,
        }
    }
}

/// What operations make, whatever its properties: a bridge that is to be another is no superfluous bridge.
struct Subjects<'a> {
    links: BTreeSet<&'a LinkName>,
    ops: HashSet<&'a Op>,
}

impl<'a> Subjects<'a> {
    fn of(ops: &'a [Op]) -> Self {
        let mut subjects = Self { links: BTreeSet::new(), ops: HashSet::new() };
        for op in ops {
            match op {
                Op::CreateBridge(bridge) => {
                    subjects.links.insert(&bridge.name);
                }
                Op::CreateVeth(pair) => {
                    subjects.links.insert(&pair.host_end);
                }
                _ => {
                    subjects.ops.insert(op);
                }
            }
        }
        subjects
    }

    fn include(&self, op: &Op) -> bool {
        match op {
            Op::CreateBridge(bridge) => self.links.contains(&bridge.name),
            Op::CreateVeth(pair) => self.links.contains(&pair.host_end),
            _ => self.ops.contains(op),
        }
    }
}

fn takes_along_route(gone: &Op, namespace: &NamespaceAt, link: &LinkName) -> bool {
    match gone {
        Op::CreateNamespace(sandbox) => *namespace == NamespaceAt::Pinned(sandbox.clone()),
        Op::CreateVeth(pair) => pair.peer.namespace == *namespace && pair.peer.name == *link,
        Op::CreateBridge(bridge) => *namespace == NamespaceAt::Host && bridge.name == *link,
        _ => false,
    }
}

fn on_host(name: &LinkName) -> LinkAt {
    LinkAt { namespace: NamespaceAt::Host, name: name.clone() }
}

fn is_bridge(wanted: &Bridge, seen: &ObservedLink) -> bool {
    seen.kind == LinkKind::Bridge && seen.up && seen.mac == Some(wanted.mac) && seen.mtu_bytes == wanted.mtu_bytes
}

fn is_host_end(wanted: &VethPair, seen: &ObservedLink) -> bool {
    seen.kind == LinkKind::Veth
        && seen.up
        && seen.bridge.as_ref() == Some(&wanted.bridge)
        && seen.mtu_bytes == wanted.mtu_bytes
}

fn is_peer(wanted: &VethPair, seen: &ObservedLink) -> bool {
    seen.kind == LinkKind::Veth && seen.up && seen.mac == Some(wanted.peer_mac) && seen.mtu_bytes == wanted.mtu_bytes
}
