//! Plans: resources being made and removed, in order. The seam between decisions and the kernel.
//!
//! A plan holds no choices: every name, address and port in it is already chosen and stored. `kernel` applies the
//! operations in order and undoes them in reverse when one fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use crate::{
    diff::Comparison,
    resource::{Found, Key, Places, Resource, Verb},
};

/// The version of stored plans; a stored plan of another version is made anew from its object, not applied.
pub const PLAN_VERSION: u32 = 2;

/// One change of the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Makes a resource.
    Make(Resource),
    /// Removes a resource. That it isn't there is as good.
    Remove(Resource),
}

impl Op {
    /// The operation that takes this one back.
    pub fn inverse(&self) -> Self {
        match self.clone() {
            Self::Make(resource) => Self::Remove(resource),
            Self::Remove(resource) => Self::Make(resource),
        }
    }

    /// What it is about.
    pub const fn resource(&self) -> &Resource {
        match self {
            Self::Make(resource) | Self::Remove(resource) => resource,
        }
    }

    /// As it is told in an error, after "cannot".
    pub fn attempt(&self) -> String {
        self.resource().attempt(self.verb())
    }

    const fn verb(&self) -> Verb {
        match self {
            Self::Make(_) => Verb::Make,
            Self::Remove(_) => Verb::Remove,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.resource().write(f, self.verb())
    }
}

/// Operations in the order in which they are applied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What to do, first to last.
    pub ops: Vec<Op>,
}

impl Plan {
    /// Makes all of these.
    pub fn make(resources: impl IntoIterator<Item = Resource>) -> Self {
        resources.into_iter().map(Op::Make).collect()
    }

    /// Takes all of these down, the last first, without what goes by itself: addresses, routes and neighbours go with their
    /// link, and links with their namespace.
    pub fn teardown(resources: &[Resource]) -> Self {
        let going = Places::of(resources);
        resources
            .iter()
            .rev()
            .filter(|resource| !going.take_along_resource(resource))
            .cloned()
            .map(Op::Remove)
            .collect()
    }

    /// Turns one set into another. What comes or is another now comes first, so that what stays goes on over it; what the
    /// firewall holds then changes in one transaction; what goes is taken down at the end.
    pub fn change(before: &[Resource], after: &[Resource]) -> Self {
        let mut comparison = Comparison::default();
        let there: BTreeMap<Key, &Resource> = before.iter().map(|resource| (resource.key(), resource)).collect();
        let come: Vec<Op> = after
            .iter()
            .flat_map(|wanted| comparison.missing(wanted, found(there.get(&wanted.key()), wanted)))
            .collect();
        let keys: BTreeSet<Key> = after.iter().map(Resource::key).collect();
        let gone: Vec<Resource> = before.iter().filter(|old| !keys.contains(&old.key())).cloned().collect();
        let is_element = |op: &Op| matches!(op.resource(), Resource::Element(_));
        let (new_elements, come): (Vec<Op>, Vec<Op>) = come.into_iter().partition(is_element);
        let (old_elements, gone): (Vec<Op>, Vec<Op>) = Self::teardown(&gone).ops.into_iter().partition(is_element);
        [come, old_elements, new_elements, gone].into_iter().flatten().collect()
    }

    /// The plan that undoes this one: inverses in reverse order.
    pub fn inverse(&self) -> Self {
        self.ops.iter().rev().map(Op::inverse).collect()
    }

    /// What is left to do of taking a plan back: the inverses of the operations that are stuck, last first, without
    /// those whose resource went with what was undone.
    pub fn left_to_undo<'o>(stuck: impl DoubleEndedIterator<Item = &'o Op>, undone: &[Op]) -> Self {
        let made: Vec<Resource> = undone
            .iter()
            .filter_map(|op| if let Op::Make(resource) = op { Some(resource.clone()) } else { None })
            .collect();
        let gone = Places::of(&made);
        let goes_by_itself = |op: &Op| matches!(op, Op::Make(resource) if gone.take_along_resource(resource));
        stuck.rev().filter(|op| !goes_by_itself(op)).map(Op::inverse).collect()
    }

    /// This plan, then the other.
    pub fn then(mut self, next: Self) -> Self {
        self.ops.extend(next.ops);
        self
    }
}

fn found(there: Option<&&Resource>, wanted: &Resource) -> Found {
    match there {
        None => Found::Absent,
        Some(same) if *same == wanted => Found::Same,
        Some(other) => Found::Other((*other).clone()),
    }
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
    use crate::{
        firewall::{Element, OpenPorts, Protocol},
        id::MacAddress,
        resource::{Bridge, LinkAddress, LinkAt, NamespaceAt, Route, Sysctl, VethPair},
    };

    fn on_host(name: &str) -> LinkAt {
        LinkAt::on_host(&name.parse().expect("a valid name"))
    }

    fn bridge(name: &str) -> Resource {
        Resource::Bridge(Bridge { name: on_host(name).name, mac: MacAddress([6; 6]), mtu_bytes: 1500 })
    }

    fn veth(bridge: &str, peer: LinkAt) -> Resource {
        let (host_end, bridge) = (on_host(&format!("bv-{}", peer.name)).name, on_host(bridge).name);
        let peer_mac = MacAddress([2; 6]);
        Resource::Veth(VethPair { host_end, bridge, peer, peer_mac, mtu_bytes: 1500, isolated: false })
    }

    fn inside(name: &str) -> LinkAt {
        LinkAt { namespace: NamespaceAt::Path("/ns".to_owned()), ..on_host(name) }
    }

    fn address(link: LinkAt, address: &str) -> Resource {
        Resource::Address(LinkAddress { link, address: address.parse().expect("an address") })
    }

    fn default_route(link: &str, gateway: &str) -> Resource {
        let gateway = Some(gateway.parse().expect("an address"));
        Resource::Route(Route { destination: "0.0.0.0/0".parse().expect("a prefix"), gateway, link: inside(link) })
    }

    fn open(port: u16) -> Resource {
        let (endpoint, bridge) = ("10.0.0.2".parse().expect("an address"), on_host("b0").name);
        let ports = OpenPorts { protocol: Protocol::Tcp, endpoint, first: port, count: 1, bridge };
        Resource::Element(Element::Open(ports))
    }

    fn sysctl(key: &str) -> Resource {
        let (value, previous) = ("1".to_owned(), "0".to_owned());
        Resource::Sysctl(Sysctl { namespace: NamespaceAt::Host, key: key.to_owned(), value, previous })
    }

    #[test]
    fn teardown_leaves_out_what_goes_by_itself() {
        let made = [
            bridge("b0"),
            address(on_host("b0"), "10.0.0.1/24"),
            address(on_host("b1"), "10.0.0.1/24"),
            sysctl("net/ipv4/conf/b0/route_localnet"),
            sysctl("net/ipv4/ip_forward"),
        ];
        let gone = [4, 2, 0].map(|at: usize| Op::Remove(made[at].clone()));
        assert_eq!(Plan::teardown(&made).ops, gone);
        let plan = Plan::make(made);
        assert_eq!(plan.inverse().inverse(), plan);
    }

    #[test]
    fn a_change_makes_first_and_exchanges_what_has_the_same_key() {
        let before = [
            veth("b0", inside("eth0")),
            address(inside("eth0"), "10.0.0.2/24"),
            default_route("eth0", "10.0.0.1"),
            open(80),
        ];
        let after = [
            veth("b0", inside("eth0")),
            address(inside("eth0"), "10.0.0.2/24"),
            veth("b1", inside("eth1")),
            address(inside("eth1"), "10.1.0.2/24"),
            default_route("eth1", "10.1.0.1"),
            open(81),
        ];
        let there: Vec<Op> = [
            Op::Make(after[2].clone()),
            Op::Make(after[3].clone()),
            Op::Remove(before[2].clone()),
            Op::Make(after[4].clone()),
            Op::Remove(before[3].clone()),
            Op::Make(after[5].clone()),
        ]
        .into();
        assert_eq!(Plan::change(&before, &after).ops, there);
        // On the way back the new pair goes last, and takes its address along.
        let back: Vec<Op> = [
            Op::Remove(after[4].clone()),
            Op::Make(before[2].clone()),
            Op::Remove(after[5].clone()),
            Op::Make(before[3].clone()),
            Op::Remove(after[2].clone()),
        ]
        .into();
        assert_eq!(Plan::change(&after, &before).ops, back);
        assert_eq!(Plan::change(&after, &after), Plan::default());
    }

    #[test]
    fn what_is_made_anew_gets_again_what_hung_on_it() {
        let before =
            [veth("b0", inside("eth0")), address(inside("eth0"), "10.0.0.2/24"), default_route("eth0", "10.0.0.1")];
        let mut after = before.clone();
        after[0] = veth("b1", inside("eth0"));
        let expected = [
            Op::Remove(before[0].clone()),
            Op::Make(after[0].clone()),
            Op::Make(after[1].clone()),
            Op::Make(after[2].clone()),
        ];
        assert_eq!(Plan::change(&before, &after).ops, expected);
    }

    #[test]
    fn what_went_with_what_was_undone_is_not_left_to_undo() {
        let ops = [bridge("b0"), address(on_host("b0"), "10.0.0.1/24"), open(80)].map(Op::Make);
        let left = Plan::left_to_undo(ops[1..].iter(), &ops[..1]);
        assert_eq!(left.ops, [ops[2].inverse()]);
    }
}
