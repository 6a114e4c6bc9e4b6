//! What the kernel would do with each kind of resource; each kind of link has a module of its own.

use cnm::{
    firewall::Element,
    observed::{LinkKind, ObservedLink, ObservedNamespace},
    plan::Op,
    resource::{LinkAddress, LinkAt, Namespace, NamespaceAt, Neighbour, Resource, Route, Sysctl},
};
use nix::errno::Errno;

use super::State;
use crate::Error;

/// How the fake makes and removes a kind of resource.
pub(super) trait Rules {
    fn make(&self, state: &mut State) -> Result<(), Errno>;

    /// That it isn't there is as good.
    fn remove(&self, state: &mut State);

    /// See [`crate::Host::restore_link`].
    fn restore_link(&self, _state: &mut State) -> Result<bool, Errno> {
        Ok(false)
    }
}

pub(super) fn rules(resource: &Resource) -> &dyn Rules {
    cnm::of_each_kind!(resource, kind => kind)
}

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
    pub(super) fn execute(&mut self, op: &Op) -> Result<(), Error> {
        let result = match op {
            Op::Make(resource) => rules(resource).make(self),
            Op::Remove(resource) => {
                rules(resource).remove(self);
                Ok(())
            }
        };
        result.map_err(|errno| Error::refused(op.attempt(), errno))
    }

    pub(super) fn link(&mut self, link: &LinkAt) -> Result<&mut ObservedLink, Errno> {
        let namespace = self.namespaces.get_mut(&link.namespace).ok_or(Errno::ENOENT)?;
        namespace.links.get_mut(&link.name).ok_or(Errno::ENODEV)
    }

    pub(super) fn insert(&mut self, at: &LinkAt, link: ObservedLink) -> Result<(), Errno> {
        let namespace = self.namespaces.get_mut(&at.namespace).ok_or(Errno::ENOENT)?;
        if namespace.links.contains_key(&at.name) {
            return Err(Errno::EEXIST);
        }
        namespace.links.insert(at.name.clone(), link);
        Ok(())
    }

    /// Deletes a link with all that it has and, as the kernel does, a veth's other end; ports are left without a bridge.
    pub(super) fn delete(&mut self, link: &LinkAt) {
        let other_end = self.peers.remove(link);
        for at in [Some(link), other_end.as_ref()].into_iter().flatten() {
            if let Some(namespace) = self.namespaces.get_mut(&at.namespace) {
                namespace.links.remove(&at.name);
                namespace.routes.retain(|route| route.link != *at);
                namespace.neighbours.retain(|neighbour| neighbour.link != *at);
                let ports = namespace.links.values_mut().filter(|port| port.bridge.as_ref() == Some(&at.name));
                ports.for_each(|port| port.bridge = None);
            }
            self.sysctls.retain(|(namespace, key), _| {
                *namespace != at.namespace || Sysctl::link_of(key).as_ref() != Some(&at.name)
            });
        }
        if let Some(other_end) = other_end {
            self.peers.remove(&other_end);
        }
    }
}

impl State {
    /// Drops a namespace with all that is in it.
    pub(super) fn end_namespace(&mut self, at: &NamespaceAt) {
        let Some(namespace) = self.namespaces.remove(at) else { return };
        for name in namespace.links.into_keys() {
            self.delete(&LinkAt { namespace: at.clone(), name });
        }
        self.sysctls.retain(|(namespace, _), _| namespace != at);
    }
}

impl Rules for Namespace {
    fn make(&self, state: &mut State) -> Result<(), Errno> {
        if state.namespaces.contains_key(&self.at()) || state.lost.contains(&self.sandbox) {
            return Err(Errno::EEXIST);
        }
        state.namespaces.insert(self.at(), empty_namespace());
        Ok(())
    }

    fn remove(&self, state: &mut State) {
        state.lost.remove(&self.sandbox);
        state.end_namespace(&self.at());
    }
}

impl Rules for LinkAddress {
    fn make(&self, state: &mut State) -> Result<(), Errno> {
        if state.link(&self.link)?.addresses.insert(self.address) { Ok(()) } else { Err(Errno::EEXIST) }
    }

    fn remove(&self, state: &mut State) {
        if let Ok(link) = state.link(&self.link) {
            link.addresses.remove(&self.address);
        }
    }
}

impl Rules for Route {
    fn make(&self, state: &mut State) -> Result<(), Errno> {
        let namespace = state.namespaces.get_mut(&self.link.namespace).ok_or(Errno::ENOENT)?;
        let link = namespace.links.get(&self.link.name).ok_or(Errno::ENODEV)?;
        if !link.up {
            return Err(Errno::ENETDOWN);
        }
        let on_link = |gateway| link.addresses.iter().any(|address| address.contains(gateway));
        if self.gateway.is_some_and(|gateway| !on_link(gateway)) {
            return Err(if self.destination.is_ipv4() { Errno::ENETUNREACH } else { Errno::EHOSTUNREACH });
        }
        if namespace.routes.iter().any(|known| known.destination == self.destination) {
            return Err(Errno::EEXIST);
        }
        namespace.routes.insert(self.clone());
        Ok(())
    }

    fn remove(&self, state: &mut State) {
        if let Some(namespace) = state.namespaces.get_mut(&self.link.namespace) {
            namespace.routes.remove(self);
        }
    }
}

impl Rules for Neighbour {
    fn make(&self, state: &mut State) -> Result<(), Errno> {
        state.link(&self.link)?;
        let namespace = state.namespaces.get_mut(&self.link.namespace).ok_or(Errno::ENOENT)?;
        namespace.neighbours.retain(|known| known.link != self.link || known.address != self.address);
        namespace.neighbours.insert(self.clone());
        Ok(())
    }

    fn remove(&self, state: &mut State) {
        if let Some(namespace) = state.namespaces.get_mut(&self.link.namespace) {
            namespace.neighbours.remove(self);
        }
    }
}

impl State {
    fn set_sysctl(&mut self, sysctl: &Sysctl, value: &str) -> Result<(), Errno> {
        let namespace = self.namespaces.get(&sysctl.namespace).ok_or(Errno::ENOENT)?;
        // Sysctls of a link are there as long as the link is.
        if Sysctl::link_of(&sysctl.key).is_some_and(|link| !namespace.links.contains_key(&link)) {
            return Err(Errno::ENOENT);
        }
        self.sysctls.insert((sysctl.namespace.clone(), sysctl.key.clone()), value.to_owned());
        Ok(())
    }
}

impl Rules for Sysctl {
    fn make(&self, state: &mut State) -> Result<(), Errno> {
        state.set_sysctl(self, &self.value)
    }

    fn remove(&self, state: &mut State) {
        // One whose link is gone is gone with it.
        let _ = state.set_sysctl(self, &self.previous);
    }
}

impl Rules for Element {
    fn make(&self, state: &mut State) -> Result<(), Errno> {
        state.elements.insert(self.clone());
        state.intended.insert(self.clone());
        Ok(())
    }

    fn remove(&self, state: &mut State) {
        state.elements.remove(self);
        state.intended.remove(self);
    }
}
