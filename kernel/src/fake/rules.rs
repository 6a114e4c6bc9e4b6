//! What the kernel would do with each operation.

use std::collections::BTreeSet;

use cnm::{
    firewall::FirewallChange,
    id::{LinkName, SandboxId},
    observed::{LinkKind, ObservedLink, ObservedNamespace},
    op::{Bridge, LinkAt, NamespaceAt, Neighbour, Op, Route, VethPair},
};
use nix::errno::Errno;

use super::State;
use crate::{Error, names};

/// A namespace as it is made: a loopback device that is up.
pub(super) fn empty_namespace() -> ObservedNamespace {
    let loopback = ObservedLink {
        kind: LinkKind::Loopback,
        mac: None,
        mtu_bytes: 65536,
        up: true,
        bridge: None,
        addresses: ["127.0.0.1/8", "::1/128"]
            .map(|address| address.parse().expect("loopback addresses parse"))
            .into_iter()
            .collect(),
    };
    let mut namespace = ObservedNamespace::default();
    namespace.links.insert("lo".parse().expect("the loopback's name parses"), loopback);
    namespace
}

impl State {
    /// Applies an operation by the kernel's rules.
    pub(super) fn obey(&mut self, op: &Op) -> Result<(), Error> {
        let result = match op {
            Op::CreateNamespace(sandbox) => self.create_namespace(sandbox),
            Op::DropNamespace(sandbox) => {
                self.drop_namespace(sandbox);
                Ok(())
            }
            Op::CreateBridge(bridge) => self.create_bridge(bridge),
            Op::DeleteBridge(bridge) => {
                self.delete_bridge(&bridge.name);
                Ok(())
            }
            Op::CreateVeth(pair) => self.create_veth(pair),
            Op::RetireVeth(pair) => {
                self.delete_veth(&(NamespaceAt::Host, pair.host_end.clone()));
                Ok(())
            }
            Op::AddAddress { link, address } => self
                .link(link)
                .and_then(|found| if found.addresses.insert(*address) { Ok(()) } else { Err(Errno::EEXIST) }),
            Op::RemoveAddress { link, address } => {
                if let Ok(found) = self.link(link) {
                    found.addresses.remove(address);
                }
                Ok(())
            }
            Op::AddRoute { namespace, route } => self.add_route(namespace, route),
            Op::RemoveRoute { namespace, route } => {
                if let Some(found) = self.namespaces.get_mut(namespace) {
                    found.routes.remove(route);
                }
                Ok(())
            }
            Op::AddNeighbour { namespace, neighbour } => self.add_neighbour(namespace, neighbour),
            Op::RemoveNeighbour { namespace, neighbour } => {
                if let Some(found) = self.namespaces.get_mut(namespace) {
                    found.neighbours.remove(neighbour);
                }
                Ok(())
            }
            Op::SetSysctl { namespace, key, value, .. } => self.set_sysctl(namespace, key, value),
            Op::Firewall(change) => {
                self.change_firewall(change);
                Ok(())
            }
        };
        result.map_err(|errno| Error::refused(names::attempt(op), errno))
    }

    fn create_namespace(&mut self, sandbox: &SandboxId) -> Result<(), Errno> {
        let at = NamespaceAt::Pinned(sandbox.clone());
        if self.namespaces.contains_key(&at) {
            return Err(Errno::EEXIST);
        }
        self.namespaces.insert(at, empty_namespace());
        Ok(())
    }

    fn drop_namespace(&mut self, sandbox: &SandboxId) {
        let at = NamespaceAt::Pinned(sandbox.clone());
        let Some(namespace) = self.namespaces.remove(&at) else { return };
        for name in namespace.links.into_keys() {
            self.delete_veth(&(at.clone(), name));
        }
        self.sysctls.retain(|(namespace, _), _| *namespace != at);
    }

    fn create_bridge(&mut self, bridge: &Bridge) -> Result<(), Errno> {
        let link = ObservedLink {
            kind: LinkKind::Bridge,
            mac: Some(bridge.mac),
            mtu_bytes: bridge.mtu_bytes,
            up: true,
            bridge: None,
            addresses: BTreeSet::new(),
        };
        self.insert(&NamespaceAt::Host, &bridge.name, link)
    }

    fn delete_bridge(&mut self, name: &LinkName) {
        let Some(host) = self.namespaces.get_mut(&NamespaceAt::Host) else { return };
        host.links.remove(name);
        host.routes.retain(|route| route.link != *name);
        host.neighbours.retain(|neighbour| neighbour.link != *name);
        self.sysctls.retain(|(at, key), _| *at != NamespaceAt::Host || !is_of_link(key, name));
        for port in host.links.values_mut().filter(|link| link.bridge.as_ref() == Some(name)) {
            port.bridge = None;
        }
    }

    fn create_veth(&mut self, pair: &VethPair) -> Result<(), Errno> {
        let host_end = (NamespaceAt::Host, pair.host_end.clone());
        let peer = (pair.peer.namespace.clone(), pair.peer.name.clone());
        let bridge = LinkAt { namespace: NamespaceAt::Host, name: pair.bridge.clone() };
        if self.link(&bridge)?.kind != LinkKind::Bridge {
            return Err(Errno::EOPNOTSUPP);
        }
        if self.link(&pair.peer).is_ok() {
            return Err(Errno::EEXIST);
        }
        let end = ObservedLink {
            kind: LinkKind::Veth,
            mac: Some(pair.peer_mac),
            mtu_bytes: pair.mtu_bytes,
            up: true,
            bridge: None,
            addresses: BTreeSet::new(),
        };
        if !self.namespaces.contains_key(&peer.0) {
            return Err(Errno::ENOENT);
        }
        self.insert(&host_end.0, &host_end.1, ObservedLink { bridge: Some(pair.bridge.clone()), ..end.clone() })?;
        self.insert(&peer.0, &peer.1, end)?;
        self.peers.insert(host_end.clone(), peer.clone());
        self.peers.insert(peer, host_end);
        Ok(())
    }

    /// Deletes a veth and, as the kernel does, its other end.
    fn delete_veth(&mut self, end: &(NamespaceAt, LinkName)) {
        let peer = self.peers.remove(end);
        for (at, name) in [Some(end.clone()), peer.clone()].into_iter().flatten() {
            if let Some(namespace) = self.namespaces.get_mut(&at) {
                namespace.links.remove(&name);
                namespace.routes.retain(|route| route.link != name);
                namespace.neighbours.retain(|neighbour| neighbour.link != name);
                self.sysctls.retain(|(of, key), _| *of != at || !is_of_link(key, &name));
            }
        }
        if let Some(peer) = peer {
            self.peers.remove(&peer);
        }
    }

    fn add_neighbour(&mut self, at: &NamespaceAt, neighbour: &Neighbour) -> Result<(), Errno> {
        let namespace = self.namespaces.get_mut(at).ok_or(Errno::ENOENT)?;
        if !namespace.links.contains_key(&neighbour.link) {
            return Err(Errno::ENODEV);
        }
        let is_same = |known: &Neighbour| known.link == neighbour.link && known.address == neighbour.address;
        namespace.neighbours.retain(|known| !is_same(known));
        namespace.neighbours.insert(neighbour.clone());
        Ok(())
    }

    fn add_route(&mut self, at: &NamespaceAt, route: &Route) -> Result<(), Errno> {
        let namespace = self.namespaces.get_mut(at).ok_or(Errno::ENOENT)?;
        let link = namespace.links.get(&route.link).ok_or(Errno::ENODEV)?;
        if !link.up {
            return Err(Errno::ENETDOWN);
        }
        let on_link = |gateway| link.addresses.iter().any(|address| address.contains(gateway));
        if route.gateway.is_some_and(|gateway| !on_link(gateway)) {
            return Err(if route.destination.is_ipv4() { Errno::ENETUNREACH } else { Errno::EHOSTUNREACH });
        }
        if namespace.routes.iter().any(|known| known.destination == route.destination) {
            return Err(Errno::EEXIST);
        }
        namespace.routes.insert(route.clone());
        Ok(())
    }

    fn set_sysctl(&mut self, at: &NamespaceAt, key: &str, value: &str) -> Result<(), Errno> {
        let namespace = self.namespaces.get(at).ok_or(Errno::ENOENT)?;
        // Sysctls of a link are there as long as the link is.
        if let ["net", "ipv4" | "ipv6", "conf", link, _] = key.split('/').collect::<Vec<_>>()[..]
            && !matches!(link, "all" | "default")
            && !namespace.links.keys().any(|name| name.as_str() == link)
        {
            return Err(Errno::ENOENT);
        }
        self.sysctls.insert((at.clone(), key.to_owned()), value.to_owned());
        Ok(())
    }

    fn change_firewall(&mut self, change: &FirewallChange) {
        for element in &change.remove {
            self.elements.remove(element);
            self.intended.remove(element);
        }
        self.elements.extend(change.add.iter().cloned());
        self.intended.extend(change.add.iter().cloned());
    }

    fn link(&mut self, link: &LinkAt) -> Result<&mut ObservedLink, Errno> {
        let namespace = self.namespaces.get_mut(&link.namespace).ok_or(Errno::ENOENT)?;
        namespace.links.get_mut(&link.name).ok_or(Errno::ENODEV)
    }

    fn insert(&mut self, at: &NamespaceAt, name: &LinkName, link: ObservedLink) -> Result<(), Errno> {
        let namespace = self.namespaces.get_mut(at).ok_or(Errno::ENOENT)?;
        if namespace.links.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        namespace.links.insert(name.clone(), link);
        Ok(())
    }
}

/// Whether a sysctl is one of a link's, which go with it.
fn is_of_link(key: &str, link: &LinkName) -> bool {
    matches!(key.split('/').collect::<Vec<_>>()[..], ["net", "ipv4" | "ipv6", "conf", of, _] if of == link.as_str())
}
