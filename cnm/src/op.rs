//! Operations on the host's networking and the plans made of them: the seam between decisions and the kernel.
//!
//! A plan holds no choices: every name, address and port in it is already chosen and stored. `kernel` applies the
//! operations in order and undoes them in reverse when one fails. What a set of plans asks for is also the desired
//! state that `crate::diff` compares with what is observed.

use std::{collections::BTreeSet, fmt, net::IpAddr};

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::{
    firewall::FirewallChange,
    id::{LinkName, MacAddress, SandboxId},
};

/// The version of stored plans; a stored plan of another version is made anew from its object, not applied.
pub const PLAN_VERSION: u32 = 1;

/// A network namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamespaceAt {
    /// The one that netd itself runs in.
    Host,
    /// One of ours, pinned under the run directory's `netns/` by its sandbox's id.
    Pinned(SandboxId),
    /// Somebody else's, by path; never created or dropped by us.
    Path(String),
}

impl fmt::Display for NamespaceAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Pinned(sandbox) => write!(f, "{sandbox}"),
            Self::Path(path) => f.write_str(path),
        }
    }
}

/// A link by name: the executor resolves the index when it gets there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LinkAt {
    /// Where it lives.
    pub namespace: NamespaceAt,
    /// Its name there.
    pub name: LinkName,
}

impl fmt::Display for LinkAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            NamespaceAt::Host => write!(f, "{}", self.name),
            namespace => write!(f, "{}@{namespace}", self.name),
        }
    }
}

/// A bridge in the host's namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bridge {
    /// Its name.
    pub name: LinkName,
    /// Explicit: a bridge without a MAC of its own takes its lowest port's and changes it as ports come and go,
    /// which cuts containers off from their gateway.
    pub mac: MacAddress,
    /// In bytes.
    pub mtu_bytes: u32,
}

/// A veth pair whose peer is born in a sandbox. The peer is up afterwards, as is the host end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VethPair {
    /// The end in the host's namespace.
    pub host_end: LinkName,
    /// The bridge whose port the host end becomes.
    pub bridge: LinkName,
    /// The sandbox's end.
    pub peer: LinkAt,
    /// The peer's MAC address.
    pub peer_mac: MacAddress,
    /// Of both ends, in bytes.
    pub mtu_bytes: u32,
    /// No traffic between this and other isolated ports of the bridge but what the host translates (published ports).
    pub isolated: bool,
}

/// A route; the kernel's protocol number of ours (`RTPROT`) marks it as ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Route {
    /// `0.0.0.0/0` or `::/0` for a default route.
    pub destination: IpNetwork,
    /// The next hop; none for a directly connected destination.
    pub gateway: Option<IpAddr>,
    /// The link that it leaves by.
    pub link: LinkName,
}

/// Who has an address on a link, set down once for all: a permanent entry of the neighbour table, which nobody on the link
/// can talk the kernel out of (forged ARP), and which is asked for nobody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Neighbour {
    /// The link that it is reached by.
    pub link: LinkName,
    /// Its address.
    pub address: IpAddr,
    /// Its MAC address.
    pub mac: MacAddress,
}

/// One change of the host. Each has an inverse ([`Op::inverse`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Makes and pins a network namespace whose loopback is up.
    CreateNamespace(SandboxId),
    /// Unpins a network namespace. The kernel cleans up what was in it by itself, later.
    DropNamespace(SandboxId),
    /// Makes a bridge and sets it up.
    CreateBridge(Bridge),
    /// Deletes a bridge of ours.
    DeleteBridge(Bridge),
    /// Makes a veth pair. The bridge learns nothing at its port but what is set down here, the peer's MAC address: no
    /// container gets another one's frames by using its address.
    CreateVeth(VethPair),
    /// Sets the host end down and takes it off its bridge at once; deletes it in the background (deleting takes 16 ms).
    RetireVeth(VethPair),
    /// Adds an address to a link.
    AddAddress {
        /// The link.
        link: LinkAt,
        /// The address with the length of its on-link prefix.
        address: IpNetwork,
    },
    /// Removes an address from a link.
    RemoveAddress {
        /// The link.
        link: LinkAt,
        /// The address with the length of its on-link prefix.
        address: IpNetwork,
    },
    /// Adds a route.
    AddRoute {
        /// Where.
        namespace: NamespaceAt,
        /// The route.
        route: Route,
    },
    /// Removes a route.
    RemoveRoute {
        /// Where.
        namespace: NamespaceAt,
        /// The route.
        route: Route,
    },
    /// Sets a neighbour down, in place of what was known of the address.
    AddNeighbour {
        /// Where.
        namespace: NamespaceAt,
        /// The neighbour.
        neighbour: Neighbour,
    },
    /// Forgets a neighbour.
    RemoveNeighbour {
        /// Where.
        namespace: NamespaceAt,
        /// The neighbour.
        neighbour: Neighbour,
    },
    /// Sets a sysctl.
    SetSysctl {
        /// Where.
        namespace: NamespaceAt,
        /// Path below `/proc/sys`, separated by `/`, as in `net/ipv4/conf/berth0/route_localnet`.
        key: String,
        /// What it becomes.
        value: String,
        /// What it goes back to.
        previous: String,
    },
    /// Changes the firewall in one transaction.
    Firewall(FirewallChange),
}

impl Op {
    /// The operation that takes this one back.
    pub fn inverse(&self) -> Self {
        match self.clone() {
            Self::CreateNamespace(sandbox) => Self::DropNamespace(sandbox),
            Self::DropNamespace(sandbox) => Self::CreateNamespace(sandbox),
            Self::CreateBridge(bridge) => Self::DeleteBridge(bridge),
            Self::DeleteBridge(bridge) => Self::CreateBridge(bridge),
            Self::CreateVeth(pair) => Self::RetireVeth(pair),
            Self::RetireVeth(pair) => Self::CreateVeth(pair),
            Self::AddAddress { link, address } => Self::RemoveAddress { link, address },
            Self::RemoveAddress { link, address } => Self::AddAddress { link, address },
            Self::AddRoute { namespace, route } => Self::RemoveRoute { namespace, route },
            Self::RemoveRoute { namespace, route } => Self::AddRoute { namespace, route },
            Self::AddNeighbour { namespace, neighbour } => Self::RemoveNeighbour { namespace, neighbour },
            Self::RemoveNeighbour { namespace, neighbour } => Self::AddNeighbour { namespace, neighbour },
            Self::SetSysctl { namespace, key, value, previous } => {
                Self::SetSysctl { namespace, key, value: previous, previous: value }
            }
            Self::Firewall(change) => Self::Firewall(change.inverse()),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateNamespace(sandbox) => write!(f, "netns add {sandbox}"),
            Self::DropNamespace(sandbox) => write!(f, "netns drop {sandbox}"),
            Self::CreateBridge(bridge) => {
                write!(f, "link add {} type bridge address {} mtu {}", bridge.name, bridge.mac, bridge.mtu_bytes)
            }
            Self::DeleteBridge(bridge) => write!(f, "link del {}", bridge.name),
            Self::CreateVeth(pair) => {
                write!(
                    f,
                    "link add {} mtu {} master {} type veth peer {} address {}",
                    pair.host_end, pair.mtu_bytes, pair.bridge, pair.peer, pair.peer_mac
                )?;
                if pair.isolated {
                    f.write_str(" isolated")?;
                }
                Ok(())
            }
            Self::RetireVeth(pair) => write!(f, "link retire {}", pair.host_end),
            Self::AddAddress { link, address } => write!(f, "address add {address} dev {link}"),
            Self::RemoveAddress { link, address } => write!(f, "address del {address} dev {link}"),
            Self::AddRoute { namespace, route } => write_route(f, "add", namespace, route),
            Self::RemoveRoute { namespace, route } => write_route(f, "del", namespace, route),
            Self::AddNeighbour { namespace, neighbour } => write_neighbour(f, "add", namespace, neighbour),
            Self::RemoveNeighbour { namespace, neighbour } => write_neighbour(f, "del", namespace, neighbour),
            Self::SetSysctl { namespace, key, value, previous } => {
                write!(f, "sysctl {namespace} {key}={value} (was {previous})")
            }
            Self::Firewall(change) => {
                f.write_str("firewall")?;
                for element in &change.remove {
                    write!(f, " del {{{element}}}")?;
                }
                for element in &change.add {
                    write!(f, " add {{{element}}}")?;
                }
                Ok(())
            }
        }
    }
}

fn write_route(f: &mut fmt::Formatter<'_>, verb: &str, namespace: &NamespaceAt, route: &Route) -> fmt::Result {
    write!(f, "route {verb} {} ", route.destination)?;
    if let Some(gateway) = route.gateway {
        write!(f, "via {gateway} ")?;
    }
    write!(f, "dev {} in {namespace}", route.link)
}

fn write_neighbour(
    f: &mut fmt::Formatter<'_>,
    verb: &str,
    namespace: &NamespaceAt,
    neighbour: &Neighbour,
) -> fmt::Result {
    let Neighbour { link, address, mac } = neighbour;
    write!(f, "neighbour {verb} {address} is {mac} dev {link} in {namespace}")
}

/// Operations in the order in which they are applied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What to do, first to last.
    pub ops: Vec<Op>,
}

impl Plan {
    /// The plan that undoes this one: inverses in reverse order.
    pub fn inverse(&self) -> Self {
        Self { ops: self.ops.iter().rev().map(Op::inverse).collect() }
    }

    /// The plan that takes down what this one made: its inverse without what goes by itself, since addresses, routes
    /// and neighbours go with their link, and links with their namespace.
    pub fn teardown(&self) -> Self {
        let going = Going::of(&self.ops);
        Self { ops: self.ops.iter().rev().filter(|op| !going.takes_along(op)).map(Op::inverse).collect() }
    }

    /// What is left to do of taking a plan back: the inverses of the operations that are stuck, last first, without
    /// those whose subject went with what was undone.
    pub fn left_to_undo<'o>(stuck: impl DoubleEndedIterator<Item = &'o Op>, undone: &[Op]) -> Self {
        let gone = Going::of(undone);
        Self { ops: stuck.rev().filter(|op| !gone.takes_along(op)).map(Op::inverse).collect() }
    }

    /// This plan, then the other.
    pub fn then(mut self, next: Self) -> Self {
        self.ops.extend(next.ops);
        self
    }
}

/// What a plan made that takes other things along when it goes.
#[derive(Debug, Default)]
struct Going {
    namespaces: BTreeSet<NamespaceAt>,
    links: BTreeSet<LinkAt>,
}

impl Going {
    fn of(ops: &[Op]) -> Self {
        let mut going = Self::default();
        for op in ops {
            match op {
                Op::CreateNamespace(sandbox) => {
                    going.namespaces.insert(NamespaceAt::Pinned(sandbox.clone()));
                }
                Op::CreateBridge(bridge) => {
                    going.links.insert(LinkAt { namespace: NamespaceAt::Host, name: bridge.name.clone() });
                }
                Op::CreateVeth(pair) => {
                    going.links.insert(pair.peer.clone());
                    going.links.insert(LinkAt { namespace: NamespaceAt::Host, name: pair.host_end.clone() });
                }
                _ => {}
            }
        }
        going
    }

    fn takes_along(&self, op: &Op) -> bool {
        match op {
            Op::AddAddress { link, .. } => self.namespaces.contains(&link.namespace) || self.links.contains(link),
            Op::AddRoute { namespace, route: Route { link, .. } }
            | Op::AddNeighbour { namespace, neighbour: Neighbour { link, .. } } => {
                let link = LinkAt { namespace: namespace.clone(), name: link.clone() };
                self.namespaces.contains(namespace) || self.links.contains(&link)
            }
            Op::SetSysctl { namespace, key, .. } => {
                let of_link = |link: &LinkAt| link.namespace == *namespace && is_sysctl_of(key, &link.name);
                self.namespaces.contains(namespace) || self.links.iter().any(of_link)
            }
            _ => false,
        }
    }
}

/// Whether a sysctl belongs to a link, as `net/ipv4/conf/LINK/route_localnet` does.
pub(crate) fn is_sysctl_of(key: &str, link: &LinkName) -> bool {
    let mut parts = key.split('/');
    parts.next() == Some("net") && matches!(parts.next(), Some("ipv4" | "ipv6")) && parts.nth(1) == Some(link.as_str())
}

impl FromIterator<Op> for Plan {
    fn from_iter<T: IntoIterator<Item = Op>>(ops: T) -> Self {
        Self { ops: ops.into_iter().collect() }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ops.iter().try_for_each(|op| writeln!(f, "{op}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(name: &str) -> LinkName {
        name.parse().expect("a valid name")
    }

    #[test]
    fn sysctls_belong_to_links() {
        assert!(is_sysctl_of("net/ipv4/conf/berth0/route_localnet", &link("berth0")));
        assert!(is_sysctl_of("net/ipv6/conf/eth0/accept_ra", &link("eth0")));
        assert!(!is_sysctl_of("net/ipv4/conf/berth0/route_localnet", &link("berth1")));
        assert!(!is_sysctl_of("net/ipv4/ip_forward", &link("ip_forward")));
        assert!(!is_sysctl_of("kernel/x/conf/eth0", &link("eth0")));
    }

    #[test]
    fn teardown_leaves_out_what_goes_by_itself() {
        let bridge = Bridge { name: link("b0"), mac: MacAddress([6; 6]), mtu_bytes: 1500 };
        let at = |name| LinkAt { namespace: NamespaceAt::Host, name: link(name) };
        let address = "10.0.0.1/24".parse().expect("an address");
        let sysctl = |key: &str| Op::SetSysctl {
            namespace: NamespaceAt::Host,
            key: key.to_owned(),
            value: "1".to_owned(),
            previous: "0".to_owned(),
        };
        let plan = Plan {
            ops: vec![
                Op::CreateBridge(bridge.clone()),
                Op::AddAddress { link: at("b0"), address },
                Op::AddAddress { link: at("b1"), address },
                sysctl("net/ipv4/conf/b0/route_localnet"),
                sysctl("net/ipv4/ip_forward"),
            ],
        };
        let expected = Plan {
            ops: vec![
                sysctl("net/ipv4/ip_forward").inverse(),
                Op::RemoveAddress { link: at("b1"), address },
                Op::DeleteBridge(bridge),
            ],
        };
        assert_eq!(plan.teardown(), expected);
        assert_eq!(plan.inverse().inverse(), plan);
    }
}
