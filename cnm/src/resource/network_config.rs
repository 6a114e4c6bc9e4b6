//! Network configuration of links and namespaces, which goes with them: addresses, routes, neighbours, sysctls.

use std::{fmt, net::IpAddr};

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use super::{Found, Key, LinkAt, NamespaceAt, Place, Resource, ResourceKind, Verb};
use crate::{
    id::{LinkName, MacAddress},
    observed::{ObserveScope, Observed},
};

/// An address of a link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LinkAddress {
    /// The link.
    pub link: LinkAt,
    /// The address with the length of its on-link prefix.
    pub address: IpNetwork,
}

/// A route; the kernel's protocol number of ours (`RTPROT`) marks it as ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Route {
    /// `0.0.0.0/0` or `::/0` for a default route.
    pub destination: IpNetwork,
    /// The next hop; none for a directly connected destination.
    pub gateway: Option<IpAddr>,
    /// The link that it leaves by.
    pub link: LinkAt,
}

/// Who has an address on a link, set down once for all: a permanent entry of the neighbour table, which nobody on the link
/// can talk the kernel out of (forged ARP), and which is asked for nobody. It takes the place of what was known before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Neighbour {
    /// The link that it is reached by.
    pub link: LinkAt,
    /// Its address.
    pub address: IpAddr,
    /// Its MAC address.
    pub mac: MacAddress,
}

/// A sysctl that is set; it goes back to what it was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sysctl {
    /// Where.
    pub namespace: NamespaceAt,
    /// Path below `/proc/sys`, separated by `/`, as in `net/ipv4/conf/berth0/route_localnet`.
    pub key: String,
    /// What it becomes.
    pub value: String,
    /// What it goes back to.
    pub previous: String,
}

impl Sysctl {
    /// The link that a key belongs to and goes with, as `net/ipv4/conf/LINK/route_localnet` does.
    pub fn link_of(key: &str) -> Option<LinkName> {
        match key.split('/').collect::<Vec<_>>()[..] {
            ["net", "ipv4" | "ipv6", "conf" | "neigh", link, _] if !matches!(link, "all" | "default") => {
                link.parse().ok()
            }
            _ => None,
        }
    }

    fn link(&self) -> Option<LinkAt> {
        Self::link_of(&self.key).map(|name| LinkAt { namespace: self.namespace.clone(), name })
    }
}

impl ResourceKind for LinkAddress {
    fn key(&self) -> Key {
        Key::Address(self.link.clone(), self.address)
    }

    fn is_part_of(&self) -> Option<Place> {
        Some(Place::Link(self.link.clone()))
    }

    fn add_to(&self, scope: &mut ObserveScope) {
        scope.add_link(&self.link);
    }

    fn found_in(&self, seen: &Observed) -> Found {
        let link = seen.link(&self.link);
        if link.is_some_and(|link| link.addresses.contains(&self.address)) { Found::Same } else { Found::Absent }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, verb: Verb) -> fmt::Result {
        write!(f, "address {} {} dev {}", verb.word(), self.address, self.link)
    }

    fn attempt(&self, verb: Verb) -> String {
        match verb {
            Verb::Make => format!("add address {} to {}", self.address, self.link),
            Verb::Remove => format!("remove address {} from {}", self.address, self.link),
        }
    }
}

impl ResourceKind for Route {
    fn key(&self) -> Key {
        Key::Route(self.link.namespace.clone(), self.destination)
    }

    fn is_part_of(&self) -> Option<Place> {
        Some(Place::Link(self.link.clone()))
    }

    fn add_to(&self, scope: &mut ObserveScope) {
        scope.add_namespace(&self.link.namespace);
    }

    fn found_in(&self, seen: &Observed) -> Found {
        let Some(namespace) = seen.namespaces.get(&self.link.namespace) else { return Found::Absent };
        if namespace.routes.contains(self) {
            return Found::Same;
        }
        let other = namespace.routes.iter().find(|route| route.destination == self.destination);
        other.map_or(Found::Absent, |other| Found::Other(Resource::Route(other.clone())))
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, verb: Verb) -> fmt::Result {
        write!(f, "route {} {} ", verb.word(), self.destination)?;
        if let Some(gateway) = self.gateway {
            write!(f, "via {gateway} ")?;
        }
        write!(f, "dev {} in {}", self.link.name, self.link.namespace)
    }

    fn attempt(&self, verb: Verb) -> String {
        let place = self.link.namespace.in_words();
        match verb {
            Verb::Make => format!("add the route to {} in {place}", self.destination),
            Verb::Remove => format!("remove the route to {} in {place}", self.destination),
        }
    }
}

impl ResourceKind for Neighbour {
    fn key(&self) -> Key {
        Key::Neighbour(self.link.clone(), self.address)
    }

    fn is_part_of(&self) -> Option<Place> {
        Some(Place::Link(self.link.clone()))
    }

    fn add_to(&self, scope: &mut ObserveScope) {
        scope.add_link(&self.link);
    }

    fn found_in(&self, seen: &Observed) -> Found {
        let namespace = seen.namespaces.get(&self.link.namespace);
        if namespace.is_some_and(|namespace| namespace.neighbours.contains(self)) { Found::Same } else { Found::Absent }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, verb: Verb) -> fmt::Result {
        let Self { link, address, mac } = self;
        write!(f, "neighbour {} {address} is {mac} dev {} in {}", verb.word(), link.name, link.namespace)
    }

    fn attempt(&self, verb: Verb) -> String {
        let (link, place) = (&self.link.name, self.link.namespace.in_words());
        match verb {
            Verb::Make => format!("add neighbour {} on {link} in {place}", self.address),
            Verb::Remove => format!("remove neighbour {} on {link} in {place}", self.address),
        }
    }
}

impl ResourceKind for Sysctl {
    fn key(&self) -> Key {
        Key::Sysctl(self.namespace.clone(), self.key.clone())
    }

    fn is_part_of(&self) -> Option<Place> {
        Some(self.link().map_or_else(|| Place::Namespace(self.namespace.clone()), Place::Link))
    }

    fn add_to(&self, scope: &mut ObserveScope) {
        scope.sysctls.insert((self.namespace.clone(), self.key.clone()));
    }

    fn found_in(&self, seen: &Observed) -> Found {
        let value = seen.sysctls.get(&(self.namespace.clone(), self.key.clone()));
        if value == Some(&self.value) { Found::Same } else { Found::Absent }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, verb: Verb) -> fmt::Result {
        let (value, previous) = match verb {
            Verb::Make => (&self.value, &self.previous),
            Verb::Remove => (&self.previous, &self.value),
        };
        write!(f, "sysctl {} {}={value} (was {previous})", self.namespace, self.key)
    }

    fn attempt(&self, verb: Verb) -> String {
        let value = if verb == Verb::Make { &self.value } else { &self.previous };
        format!("set sysctl {} to {value} in {}", self.key, self.namespace.in_words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sysctls_are_part_of_links_or_of_their_namespace() {
        for (key, link) in [
            ("net/ipv4/conf/berth0/route_localnet", Some("berth0")),
            ("net/ipv6/neigh/eth0/retrans_time_ms", Some("eth0")),
            ("net/ipv4/ip_forward", None),
            ("net/ipv4/conf/all/forwarding", None),
            ("kernel/x/conf/eth0", None),
        ] {
            let (value, previous) = ("1".to_owned(), "0".to_owned());
            let sysctl = Sysctl { namespace: NamespaceAt::Host, key: key.to_owned(), value, previous };
            let part_of = match link {
                Some(link) => Place::Link(LinkAt::on_host(&link.parse().expect("a name"))),
                None => Place::Namespace(NamespaceAt::Host),
            };
            assert_eq!(sysctl.is_part_of(), Some(part_of), "{key}");
        }
    }
}
