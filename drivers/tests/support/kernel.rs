//! As much of a kernel as plans can tell: links, addresses, routes, namespaces, sysctls and the firewall's elements.

use std::collections::{BTreeMap, BTreeSet};

use cnm::{
    firewall::Element,
    id::LinkName,
    observed::{LinkKind, Observed, ObservedLink, ObservedNamespace},
    op::{LinkAt, NamespaceAt, Op, Plan},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModelKernel {
    pub(crate) seen: Observed,
    pub(crate) firewall: BTreeSet<Element>,
    /// The other end of each veth, by the host's.
    peers: BTreeMap<LinkName, LinkAt>,
}

impl ModelKernel {
    pub(crate) fn new() -> Self {
        let mut seen = Observed::default();
        seen.namespaces.insert(NamespaceAt::Host, ObservedNamespace::default());
        Self { seen, firewall: BTreeSet::new(), peers: BTreeMap::new() }
    }

    pub(crate) fn apply(&mut self, plan: &Plan) {
        plan.ops.iter().for_each(|op| self.apply_one(op));
    }

    fn apply_one(&mut self, op: &Op) {
        match op {
            Op::CreateNamespace(sandbox) => {
                assert!(self.seen.pinned.insert(sandbox.clone()), "{op}: EEXIST");
                self.seen.namespaces.insert(NamespaceAt::Pinned(sandbox.clone()), ObservedNamespace::default());
            }
            Op::DropNamespace(sandbox) => {
                self.seen.pinned.remove(sandbox);
                let namespace = NamespaceAt::Pinned(sandbox.clone());
                let gone = self.seen.namespaces.remove(&namespace);
                for name in gone.into_iter().flat_map(|gone| gone.links.into_keys()) {
                    self.delete(&LinkAt { namespace: namespace.clone(), name });
                }
                self.delete_orphans(&namespace);
            }
            Op::CreateBridge(bridge) => {
                let link = LinkAt { namespace: NamespaceAt::Host, name: bridge.name.clone() };
                let made = self.link(LinkKind::Bridge, Some(bridge.mac), bridge.mtu_bytes, None);
                self.insert(op, link, made);
            }
            Op::DeleteBridge(bridge) => {
                self.delete(&LinkAt { namespace: NamespaceAt::Host, name: bridge.name.clone() });
            }
            Op::CreateVeth(pair) => {
                let host_end = LinkAt { namespace: NamespaceAt::Host, name: pair.host_end.clone() };
                assert!(self.has(&pair.bridge), "{op}: ENODEV");
                let made = self.link(LinkKind::Veth, None, pair.mtu_bytes, Some(pair.bridge.clone()));
                self.insert(op, host_end, made);
                let made = self.link(LinkKind::Veth, Some(pair.peer_mac), pair.mtu_bytes, None);
                self.insert(op, pair.peer.clone(), made);
                self.peers.insert(pair.host_end.clone(), pair.peer.clone());
            }
            Op::RetireVeth(pair) => {
                self.delete(&LinkAt { namespace: NamespaceAt::Host, name: pair.host_end.clone() });
                self.delete(&pair.peer);
                self.peers.remove(&pair.host_end);
            }
            Op::AddAddress { link, address } => {
                let namespace = self.seen.namespaces.get_mut(&link.namespace);
                let seen = namespace.and_then(|namespace| namespace.links.get_mut(&link.name));
                let seen = seen.unwrap_or_else(|| panic!("{op}: ENODEV"));
                assert!(seen.addresses.insert(*address), "{op}: EEXIST");
            }
            Op::RemoveAddress { link, address } => {
                if let Some(namespace) = self.seen.namespaces.get_mut(&link.namespace)
                    && let Some(seen) = namespace.links.get_mut(&link.name)
                {
                    seen.addresses.remove(address);
                }
            }
            Op::AddRoute { namespace, route } => {
                let seen = self.seen.namespaces.get_mut(namespace).unwrap_or_else(|| panic!("{op}: ENOENT"));
                assert!(seen.links.contains_key(&route.link), "{op}: ENODEV");
                assert!(seen.routes.iter().all(|other| other.destination != route.destination), "{op}: EEXIST");
                seen.routes.insert(route.clone());
            }
            Op::RemoveRoute { namespace, route } => {
                if let Some(seen) = self.seen.namespaces.get_mut(namespace) {
                    seen.routes.remove(route);
                }
            }
            Op::AddNeighbour { namespace, neighbour } => {
                let seen = self.seen.namespaces.get_mut(namespace).unwrap_or_else(|| panic!("{op}: ENOENT"));
                assert!(seen.links.contains_key(&neighbour.link), "{op}: ENODEV");
                seen.neighbours.retain(|other| other.link != neighbour.link || other.address != neighbour.address);
                seen.neighbours.insert(neighbour.clone());
            }
            Op::RemoveNeighbour { namespace, neighbour } => {
                if let Some(seen) = self.seen.namespaces.get_mut(namespace) {
                    seen.neighbours.remove(neighbour);
                }
            }
            Op::SetSysctl { namespace, key, value, .. } => {
                self.seen.sysctls.insert((namespace.clone(), key.clone()), value.clone());
            }
            Op::Firewall(change) => {
                self.firewall.retain(|element| !change.remove.contains(element));
                self.firewall.extend(change.add.iter().cloned());
            }
        }
    }

    fn link(
        &self,
        kind: LinkKind,
        mac: Option<cnm::id::MacAddress>,
        mtu_bytes: u32,
        bridge: Option<LinkName>,
    ) -> ObservedLink {
        ObservedLink { kind, mac, mtu_bytes, up: true, bridge, addresses: BTreeSet::new() }
    }

    fn has(&self, name: &LinkName) -> bool {
        self.seen.namespaces[&NamespaceAt::Host].links.contains_key(name)
    }

    fn insert(&mut self, op: &Op, at: LinkAt, link: ObservedLink) {
        let namespace = self.seen.namespaces.get_mut(&at.namespace).unwrap_or_else(|| panic!("{op}: ENOENT"));
        let before = namespace.links.insert(at.name, link);
        assert!(before.is_none(), "{op}: EEXIST");
    }

    /// The host's ends of veths go with the namespace of their other ends.
    fn delete_orphans(&mut self, gone: &NamespaceAt) {
        let (orphans, others) =
            std::mem::take(&mut self.peers).into_iter().partition(|(_, peer)| peer.namespace == *gone);
        self.peers = others;
        let orphans: BTreeMap<LinkName, LinkAt> = orphans;
        for name in orphans.into_keys() {
            self.delete(&LinkAt { namespace: NamespaceAt::Host, name });
        }
    }

    /// A link goes with its routes and its sysctls, and a bridge leaves its ports without one.
    fn delete(&mut self, at: &LinkAt) {
        if let Some(namespace) = self.seen.namespaces.get_mut(&at.namespace) {
            namespace.links.remove(&at.name);
            namespace.routes.retain(|route| route.link != at.name);
            namespace.neighbours.retain(|neighbour| neighbour.link != at.name);
            let ports = namespace.links.values_mut().filter(|link| link.bridge.as_ref() == Some(&at.name));
            ports.for_each(|link| link.bridge = None);
        }
        let of_link = format!("/conf/{}/", at.name);
        self.seen.sysctls.retain(|(namespace, key), _| *namespace != at.namespace || !key.contains(&of_link));
    }
}
