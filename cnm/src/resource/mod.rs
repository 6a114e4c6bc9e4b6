//! Resources: what the host holds for us, one variant for each kind. What is true of a kind is said once, here.
//!
//! A resource knows what it is known by ([`Resource::key`]), what it stands on ([`Resource::needs`]), what takes it along
//! when it goes ([`Resource::is_part_of`]), and how it looks in the kernel. Teardown, repair, change and observation are the
//! same for all of them and follow from that (`crate::plan`, `crate::diff`). How a resource is made is `kernel`'s matter.

mod bridge;
mod element;
mod namespace;
mod network_config;
mod place;
mod veth;

use std::{fmt, net::IpAddr};

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

pub use bridge::Bridge;
pub use namespace::Namespace;
pub use network_config::{LinkAddress, Neighbour, Route, Sysctl};
pub(crate) use place::Places;
pub use place::{LinkAt, NamespaceAt, Place};
pub use veth::VethPair;

use crate::{
    firewall::Element,
    id::LinkName,
    observed::{ObserveScope, Observed},
};

/// One thing that the host holds for us.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// A network namespace of ours.
    Namespace(Namespace),
    /// A bridge.
    Bridge(Bridge),
    /// A veth pair.
    Veth(VethPair),
    /// An address of a link.
    Address(LinkAddress),
    /// A route.
    Route(Route),
    /// A permanent neighbour.
    Neighbour(Neighbour),
    /// A sysctl that isn't as the kernel has it.
    Sysctl(Sysctl),
    /// What the firewall's sets and maps hold.
    Element(Element),
}

/// What a resource is known by: two with one key are one thing, which has these or those properties.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A place, by where it is.
    Place(Place),
    /// An address, which has no properties.
    Address(LinkAt, IpNetwork),
    /// A route, by where it leads.
    Route(NamespaceAt, IpNetwork),
    /// A neighbour, by its address.
    Neighbour(LinkAt, IpAddr),
    /// A sysctl, by its path.
    Sysctl(NamespaceAt, String),
    /// What the firewall holds, as a whole: it is exchanged in one transaction.
    Element(Element),
}

/// How a resource is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing has its key.
    Absent,
    /// It is there as it should be.
    Same,
    /// This has its key, and has to go before it can be made.
    Other(Resource),
}

/// An expression of what a resource is, whatever its kind: for traits that each crate has all kinds implement.
#[macro_export]
macro_rules! of_each_kind {
    ($resource:expr, $kind:ident => $value:expr) => {
        match $resource {
            $crate::resource::Resource::Namespace($kind) => $value,
            $crate::resource::Resource::Bridge($kind) => $value,
            $crate::resource::Resource::Veth($kind) => $value,
            $crate::resource::Resource::Address($kind) => $value,
            $crate::resource::Resource::Route($kind) => $value,
            $crate::resource::Resource::Neighbour($kind) => $value,
            $crate::resource::Resource::Sysctl($kind) => $value,
            $crate::resource::Resource::Element($kind) => $value,
        }
    };
}

/// What a kind of resource says of itself.
trait ResourceKind: fmt::Debug {
    fn key(&self) -> Key;

    /// The places that it is: others stand on them, or are part of them.
    fn places(&self) -> Vec<Place> {
        Vec::new()
    }

    fn is_part_of(&self) -> Option<Place> {
        None
    }

    fn needs(&self) -> Vec<Place> {
        self.is_part_of().into_iter().collect()
    }

    /// Where to look for it.
    fn add_to(&self, scope: &mut ObserveScope);

    fn found_in(&self, seen: &Observed) -> Found;

    fn is_there(&self, seen: &Observed) -> bool {
        self.found_in(seen) != Found::Absent
    }

    /// As in a plan's text.
    fn write(&self, f: &mut fmt::Formatter<'_>, verb: Verb) -> fmt::Result;

    /// As it is told in an error, after "cannot".
    fn attempt(&self, verb: Verb) -> String;
}

/// What is done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Make,
    Remove,
}

impl Verb {
    /// As iproute2 calls it.
    fn word(self) -> &'static str {
        match self {
            Self::Make => "add",
            Self::Remove => "del",
        }
    }
}

impl Resource {
    fn kind(&self) -> &dyn ResourceKind {
        of_each_kind!(self, resource => resource)
    }

    /// What it is known by.
    pub fn key(&self) -> Key {
        self.kind().key()
    }

    /// The places that it is: others stand on them, or are part of them.
    pub fn places(&self) -> Vec<Place> {
        self.kind().places()
    }

    /// The place that takes it along when it goes.
    pub fn is_part_of(&self) -> Option<Place> {
        self.kind().is_part_of()
    }

    /// The places that must be there for it to be made; when one of them is made anew, so has it to be.
    pub fn needs(&self) -> Vec<Place> {
        self.kind().needs()
    }

    /// The link in the host's namespace that it is, if it is one.
    pub fn host_link(&self) -> Option<LinkName> {
        self.places().into_iter().find_map(|place| match place {
            Place::Link(link) if link.namespace == NamespaceAt::Host => Some(link.name),
            Place::Link(_) | Place::Namespace(_) => None,
        })
    }

    /// Has an observation look for it.
    pub fn add_to(&self, scope: &mut ObserveScope) {
        self.kind().add_to(scope);
    }

    /// How it is in the kernel. Of what an observation doesn't tell (the firewall's elements), that nothing has to be done.
    pub fn found_in(&self, seen: &Observed) -> Found {
        self.kind().found_in(seen)
    }

    /// Whether the kernel has a thing of its kind with its key.
    pub fn is_there(&self, seen: &Observed) -> bool {
        self.kind().is_there(seen)
    }

    pub(crate) fn write(&self, f: &mut fmt::Formatter<'_>, verb: Verb) -> fmt::Result {
        self.kind().write(f, verb)
    }

    pub(crate) fn attempt(&self, verb: Verb) -> String {
        self.kind().attempt(verb)
    }
}

/// A set of resources, in an order in which they can be made.
pub type Resources = Vec<Resource>;
