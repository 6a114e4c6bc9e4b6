//! A host with networks of every kind, a container or two on each, and a neighbour on the wire.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use cnm::{
    firewall::{Element, GatewayMode, NetworkPolicy, OpenPorts, PortForward, Protocol},
    id::{LinkName, MacAddress},
    plan::{Op, Plan},
    resource::{Bridge, LinkAddress, LinkAt, Namespace, NamespaceAt, Resource, Route, Sysctl, VethPair},
};
use kernel::{AdminChains, Family, Host, InProcessKeeper, Kernel};

use crate::{host::run, traffic::TestNamespace};

pub(crate) struct Topology {
    pub(crate) kernel: Kernel,
    pub(crate) switch: BridgeNetfilter,
}

/// `br_netfilter` while the topology is built, and when it is lived in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BridgeNetfilter {
    pub(crate) before: bool,
    pub(crate) after: bool,
}

impl BridgeNetfilter {
    pub(crate) const ON: Self = Self { before: true, after: true };
    pub(crate) const OFF: Self = Self { before: false, after: false };
}

/// A network by its number: bridge `bb-00000000000N`, 172.20.N.0/24.
pub(crate) fn policy(number: u8) -> NetworkPolicy {
    NetworkPolicy {
        mac: Some(bridge_mac(number)),
        bridge: bridge(number),
        subnets: vec![format!("172.20.{number}.0/24").parse().expect("a subnet")],
        masquerade: true,
        inter_container: true,
        internal: false,
        gateway_mode_ipv4: GatewayMode::Nat,
        gateway_mode_ipv6: GatewayMode::Nat,
    }
}

fn bridge_mac(number: u8) -> MacAddress {
    format!("02:42:00:00:00:{number:02x}").parse().expect("a MAC address")
}

pub(crate) fn bridge(number: u8) -> LinkName {
    format!("bb-{number:012x}").parse().expect("a link's name")
}

pub(crate) fn port(network: u8, host: &str, endpoint: u8) -> PortForward {
    let (address, ports) = host.rsplit_once(':').expect("host:port>port");
    let (host_port, container_port) = ports.split_once('>').expect("host port>container port");
    PortForward {
        protocol: Protocol::Tcp,
        host_address: (address != "*").then(|| address.parse().expect("an address")),
        host_first: host_port.parse().expect("a port"),
        endpoint: format!("172.20.{network}.{endpoint}").parse().expect("an address"),
        container_first: container_port.parse().expect("a port"),
        count: 1,
        bridge: bridge(network),
    }
}

pub(crate) fn open(network: u8, endpoint: u8, port: u16) -> Element {
    let endpoint = format!("172.20.{network}.{endpoint}").parse().expect("an address");
    Element::Open(OpenPorts { protocol: Protocol::Tcp, endpoint, first: port, count: 1, bridge: bridge(network) })
}

impl Topology {
    /// A host with an uplink 192.0.2.1/24 to a neighbour at 192.0.2.2 who has routes to all container subnets.
    pub(crate) fn new(run_dir: &Path, switch: BridgeNetfilter) -> Self {
        let kernel = Kernel::new(run_dir, Arc::new(InProcessKeeper::default())).expect("the host");
        let topology = Self { kernel, switch };
        topology.set_bridge_netfilter(switch.before);
        topology.make(vec![namespace("wire")]);
        let wire = topology.place("wire");
        let namespace = wire.namespace.as_ref().expect("a path").display();
        topology.host().sh(&format!("ip link add uplink type veth peer name eth0 netns {namespace}"));
        topology.host().sh("ip address add 192.0.2.1/24 dev uplink; ip link set uplink up");
        wire.sh("ip address add 192.0.2.2/24 dev eth0; ip link set eth0 up");
        wire.sh("ip route add 172.20.0.0/16 via 192.0.2.1");
        topology.kernel.sync_firewall(&BTreeSet::new(), &AdminChains::default()).expect("the firewall");
        topology.kernel.enable_forwarding(Family::Ipv4, true).expect("forwarding");
        topology
    }

    /// All is built; somebody may switch `br_netfilter` now, which the kernel tells nobody.
    pub(crate) fn built(&self) {
        self.set_bridge_netfilter(self.switch.after);
    }

    fn set_bridge_netfilter(&self, on: bool) {
        self.host().sh(&format!("sysctl -qw net.bridge.bridge-nf-call-iptables={}", u8::from(on)));
    }

    #[track_caller]
    pub(crate) fn make(&self, resources: Vec<Resource>) {
        self.apply(&Plan::make(resources));
    }

    #[track_caller]
    fn apply(&self, plan: &Plan) {
        if let Err(failed) = self.kernel.apply(plan) {
            panic!("{failed}: {:?}", failed.cause);
        }
    }

    pub(crate) fn network(&self, policy: &NetworkPolicy) {
        let number = policy.bridge.as_str().as_bytes()[14] - b'0';
        let link = LinkAt::on_host(&policy.bridge);
        let mac = bridge_mac(number);
        let mut made = vec![Resource::Bridge(Bridge { name: policy.bridge.clone(), mac, mtu_bytes: 1500 })];
        if policy.gateway_mode_ipv4 != GatewayMode::Isolated {
            let address = format!("172.20.{number}.1/24").parse().expect("an address");
            made.push(Resource::Address(LinkAddress { link, address }));
        }
        made.push(Resource::Element(Element::Network(policy.clone())));
        self.make(made);
    }

    /// A container at 172.20.N.M that serves on the ports 80 and 81.
    pub(crate) fn container(&self, policy: &NetworkPolicy, network: u8, member: u8) -> TestNamespace {
        let name = format!("c{network}-{member}");
        let namespace = NamespaceAt::Pinned(name.parse().expect("an id"));
        let peer = LinkAt { namespace: namespace.clone(), name: "eth0".parse().expect("a link's name") };
        let pair = VethPair {
            host_end: format!("bv{network:05x}{member:05x}").parse().expect("a link's name"),
            bridge: policy.bridge.clone(),
            peer: peer.clone(),
            peer_mac: format!("02:42:ac:14:{network:02x}:{member:02x}").parse().expect("a MAC address"),
            mtu_bytes: 1500,
            isolated: !policy.inter_container,
        };
        let address = format!("172.20.{network}.{member}/24").parse().expect("an address");
        let gateway = policy.gateway_mode_ipv4 != GatewayMode::Isolated;
        let route = Route {
            destination: "0.0.0.0/0".parse().expect("a destination"),
            // A container that is isolated tries to reach the host on the link itself.
            gateway: gateway.then(|| format!("172.20.{network}.1").parse().expect("an address")),
            link: peer.clone(),
        };
        self.make(vec![
            self::namespace(&name),
            Resource::Veth(pair),
            Resource::Address(LinkAddress { link: peer, address }),
            Resource::Route(route),
        ]);
        let place = self.place(&name);
        place.serve("0.0.0.0:80");
        place.serve("0.0.0.0:81");
        place
    }

    pub(crate) fn place(&self, name: &str) -> TestNamespace {
        let at = NamespaceAt::Pinned(name.parse().expect("an id"));
        TestNamespace { name: name.to_owned(), namespace: self.kernel.namespace_path(&at) }
    }

    pub(crate) fn host(&self) -> TestNamespace {
        TestNamespace { name: "host".to_owned(), namespace: None }
    }

    pub(crate) fn add(&self, elements: impl IntoIterator<Item = Element>) {
        self.change(elements, []);
    }

    pub(crate) fn change(&self, add: impl IntoIterator<Item = Element>, remove: impl IntoIterator<Item = Element>) {
        let removed = remove.into_iter().map(|element| Op::Remove(Resource::Element(element)));
        self.apply(&removed.chain(add.into_iter().map(|element| Op::Make(Resource::Element(element)))).collect());
    }

    /// Deletes a rule of ours behind everybody's back: what a rule forbids must pass without it, or the test shows nothing.
    pub(crate) fn without_rule(&self, chain: &str, rule: &str) {
        self.without_rule_of("inet", chain, rule);
    }

    /// The same in our table of a family.
    pub(crate) fn without_rule_of(&self, family: &str, chain: &str, rule: &str) {
        let listing = run("nft", &["-a", "list", "chain", family, "berth", chain]);
        let rules = listing.lines().filter_map(|line| line.trim().split_once(" # handle "));
        let (_, handle) = rules.into_iter().find(|(text, _)| *text == rule).expect("the rule is there");
        run("nft", &["delete", "rule", family, "berth", chain, "handle", handle]);
    }

    pub(crate) fn sysctl(&self, key: &str, value: &str, previous: &str) {
        let (key, value, previous) = (key.to_owned(), value.to_owned(), previous.to_owned());
        self.make(vec![Resource::Sysctl(Sysctl { namespace: NamespaceAt::Host, key, value, previous })]);
    }
}

/// A namespace of ours.
pub(crate) fn namespace(name: &str) -> Resource {
    Resource::Namespace(Namespace { sandbox: name.parse().expect("an id") })
}
