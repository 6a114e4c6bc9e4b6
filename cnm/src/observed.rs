//! Observed state: what the kernel holds of ours, the other side of `crate::diff`.

use std::collections::{BTreeMap, BTreeSet};

use ipnetwork::IpNetwork;

use crate::{
    id::{LinkName, MacAddress, SandboxId},
    resource::{LinkAt, NamespaceAt, Neighbour, Resource, Route},
};

/// A link, as seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedLink {
    /// What it is.
    pub kind: LinkKind,
    /// Its MAC address; none on links that have no Ethernet address.
    pub mac: Option<MacAddress>,
    /// In bytes.
    pub mtu_bytes: u32,
    /// Administratively up.
    pub up: bool,
    /// The bridge that it is a port of.
    pub bridge: Option<LinkName>,
    /// Its addresses.
    pub addresses: BTreeSet<IpNetwork>,
}

/// Kinds of link that matter to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// A bridge.
    Bridge,
    /// One end of a veth pair.
    Veth,
    /// The loopback device.
    Loopback,
    /// Anything else.
    Other,
}

/// One namespace, as seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedNamespace {
    /// In the host's namespace only links whose names are of our patterns or that the model asked about; in a sandbox
    /// all links.
    pub links: BTreeMap<LinkName, ObservedLink>,
    /// Routes with our protocol number.
    pub routes: BTreeSet<Route>,
    /// Permanent neighbours on these links.
    pub neighbours: BTreeSet<Neighbour>,
}

/// Everything of ours that was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Namespaces by where they are: always [`NamespaceAt::Host`], and those asked about that exist.
    pub namespaces: BTreeMap<NamespaceAt, ObservedNamespace>,
    /// All namespaces that are pinned in our run directory.
    pub pinned: BTreeSet<SandboxId>,
    /// Values of the sysctls asked about, by namespace and key (as in [`crate::resource::Sysctl`]), where they exist.
    pub sysctls: BTreeMap<(NamespaceAt, String), String>,
}

impl Observed {
    /// A link, if it was seen.
    pub fn link(&self, link: &LinkAt) -> Option<&ObservedLink> {
        self.namespaces.get(&link.namespace)?.links.get(&link.name)
    }
}

/// The scope of an observation: what to look at beyond what is recognised as ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObserveScope {
    /// Links of the host's namespace with names that aren't of our patterns: bridges that the user named.
    pub links: BTreeSet<LinkName>,
    /// Namespaces to look into.
    pub namespaces: BTreeSet<NamespaceAt>,
    /// Sysctls to read.
    pub sysctls: BTreeSet<(NamespaceAt, String)>,
}

impl ObserveScope {
    /// To look at everything that these are.
    pub fn of<'r>(resources: impl IntoIterator<Item = &'r Resource>) -> Self {
        let mut scope = Self::default();
        resources.into_iter().for_each(|resource| resource.add_to(&mut scope));
        scope
    }

    pub(crate) fn add_namespace(&mut self, namespace: &NamespaceAt) {
        // The host's is always looked into.
        if *namespace != NamespaceAt::Host {
            self.namespaces.insert(namespace.clone());
        }
    }

    pub(crate) fn add_link(&mut self, link: &LinkAt) {
        if link.namespace == NamespaceAt::Host {
            self.links.insert(link.name.clone());
        }
        self.add_namespace(&link.namespace);
    }
}
