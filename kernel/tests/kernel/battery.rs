//! What every host must do alike: run against the fake and against the real kernel.

use std::{collections::BTreeSet, path::Path};

use cnm::{
    firewall::{Element, FirewallChange, Protocol},
    observed::{LinkKind, ObservedLink},
    op::{Bridge, LinkAt, NamespaceAt, Neighbour, Op, Plan, Route, VethPair},
};
use kernel::{AdminChains, Ask, Host, Kernel, Repaired, fake::FakeHost};

use crate::{
    host::in_fresh_host,
    town::{bridge, policy, port},
};

/// Runs a case on both hosts.
fn on_both(case: impl Fn(&dyn Host) + Sync) {
    case(&FakeHost::new());
    in_fresh_host(|run_dir: &Path| case(&Kernel::new(run_dir).expect("the host")));
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a literal of the test")
}

fn red() -> Bridge {
    Bridge { name: bridge(1), mac: parsed("02:42:00:00:00:01"), mtu_bytes: 1400 }
}

fn bridge_with_address() -> Vec<Op> {
    let link = LinkAt { namespace: NamespaceAt::Host, name: bridge(1) };
    vec![Op::CreateBridge(red()), Op::AddAddress { link, address: parsed("172.20.1.1/24") }]
}

fn sandbox() -> NamespaceAt {
    NamespaceAt::Pinned(parsed("s1"))
}

fn veth() -> VethPair {
    VethPair {
        host_end: parsed("bv0000000001"),
        bridge: bridge(1),
        peer: LinkAt { namespace: sandbox(), name: parsed("eth0") },
        peer_mac: parsed("02:42:ac:14:01:02"),
        mtu_bytes: 1400,
        isolated: false,
    }
}

fn default_route() -> Route {
    Route { destination: parsed("0.0.0.0/0"), gateway: Some(parsed("172.20.1.1")), link: parsed("eth0") }
}

fn gateway() -> Neighbour {
    Neighbour { link: parsed("eth0"), address: parsed("172.20.1.1"), mac: red().mac }
}

fn container() -> Neighbour {
    Neighbour { link: bridge(1), address: parsed("172.20.1.2"), mac: veth().peer_mac }
}

fn attachment() -> Vec<Op> {
    vec![
        Op::CreateNamespace(parsed("s1")),
        Op::CreateVeth(veth()),
        Op::AddAddress { link: veth().peer, address: parsed("172.20.1.2/24") },
        Op::AddRoute { namespace: sandbox(), route: default_route() },
        Op::AddNeighbour { namespace: sandbox(), neighbour: gateway() },
        Op::AddNeighbour { namespace: NamespaceAt::Host, neighbour: container() },
    ]
}

fn firewall(elements: impl IntoIterator<Item = Element>) -> Op {
    Op::Firewall(FirewallChange { add: elements.into_iter().collect(), remove: BTreeSet::new() })
}

fn everything() -> Plan {
    let mut ops = bridge_with_address();
    ops.extend(attachment());
    ops.push(firewall([Element::Network(policy(1)), Element::Port(port(1, "*:4000>80", 2))]));
    Plan { ops }
}

#[track_caller]
fn apply(host: &dyn Host, ops: Vec<Op>) {
    if let Err(failed) = host.apply(&Plan { ops }) {
        panic!("{failed}: {:?}", failed.cause);
    }
}

fn ask() -> Ask {
    Ask { namespaces: BTreeSet::from([sandbox()]), ..Ask::default() }
}

/// What is observed, as lines; without addresses that the kernel gives by itself (IPv6 link-local) and without retired
/// veths, which are deleted in the background.
fn seen(host: &dyn Host) -> Vec<String> {
    let observed = host.observe(&ask()).expect("an observation");
    let mut lines: Vec<String> = observed.pinned.iter().map(|sandbox| format!("pinned {sandbox}")).collect();
    for (at, namespace) in &observed.namespaces {
        let retired = |link: &ObservedLink| link.kind == LinkKind::Veth && !link.up && link.bridge.is_none();
        for (name, link) in namespace.links.iter().filter(|(_, link)| !retired(link)) {
            let addresses: Vec<String> =
                link.addresses.iter().filter(|a| a.is_ipv4()).map(|address| address.to_string()).collect();
            let bridge = link.bridge.as_ref().map(|bridge| format!(" on {bridge}")).unwrap_or_default();
            let up = if link.up { "up" } else { "down" };
            let kind = format!("{:?}", link.kind).to_lowercase();
            lines.push(format!("{at}: {name} {kind} {up} mtu {}{bridge} {addresses:?}", link.mtu_bytes));
        }
        lines.extend(
            namespace.routes.iter().map(|r| format!("{at}: {} via {:?} dev {}", r.destination, r.gateway, r.link)),
        );
        lines.extend(namespace.neighbours.iter().map(|n| format!("{at}: {} is {} dev {}", n.address, n.mac, n.link)));
    }
    lines
}

#[track_caller]
fn refused(host: &dyn Host, ops: Vec<Op>, step: usize, errno: nix::errno::Errno) {
    let before = seen(host);
    let failed = host.apply(&Plan { ops }).expect_err("the plan must fail");
    assert_eq!((failed.step, failed.cause.errno()), (step, Some(errno as i32)), "{failed}: {:?}", failed.cause);
    assert!(failed.stuck.is_empty(), "{failed}");
    assert_eq!(seen(host), before, "all of it is undone");
}

#[test]
fn a_plan_makes_what_it_says() {
    on_both(|host| {
        apply(host, everything().ops);
        let expected = [
            "pinned s1",
            "host: bb-000000000001 bridge up mtu 1400 [\"172.20.1.1/24\"]",
            "host: bv0000000001 veth up mtu 1400 on bb-000000000001 []",
            "host: 172.20.1.2 is 02:42:ac:14:01:02 dev bb-000000000001",
            "s1: eth0 veth up mtu 1400 [\"172.20.1.2/24\"]",
            "s1: lo loopback up mtu 65536 [\"127.0.0.1/8\"]",
            "s1: 0.0.0.0/0 via Some(172.20.1.1) dev eth0",
            "s1: 172.20.1.1 is 02:42:00:00:00:01 dev eth0",
        ];
        assert_eq!(seen(host), expected);
        let observed = host.observe(&ask()).expect("an observation");
        let inside = &observed.namespaces[&sandbox()].links[&parsed("eth0")];
        assert_eq!(inside.mac, Some(veth().peer_mac));
        assert_eq!(observed.namespaces[&NamespaceAt::Host].links[&bridge(1)].mac, Some(red().mac));
    });
}

#[test]
fn the_inverse_leaves_nothing_and_can_be_done_twice() {
    on_both(|host| {
        let before = seen(host);
        apply(host, everything().ops);
        apply(host, everything().inverse().ops);
        // What is retired is deleted in the background; making it again waits for that.
        apply(host, everything().ops);
        apply(host, everything().inverse().ops);
        apply(host, everything().inverse().ops);
        assert_eq!(seen(host), before);
        let held = BTreeSet::new();
        assert_eq!(host.sync_firewall(&held, &AdminChains::default()).expect("a sync"), Repaired::AlreadyRight);
    });
}

#[test]
fn what_is_there_is_not_made_again() {
    use nix::errno::Errno;
    on_both(|host| {
        apply(host, everything().ops);
        refused(host, vec![Op::CreateBridge(red())], 0, Errno::EEXIST);
        refused(host, vec![Op::CreateNamespace(parsed("s1"))], 0, Errno::EEXIST);
        refused(host, vec![attachment()[2].clone()], 0, Errno::EEXIST);
        refused(host, vec![attachment()[3].clone()], 0, Errno::EEXIST);
        refused(host, vec![Op::CreateVeth(veth())], 0, Errno::EEXIST);
    });
}

#[test]
fn what_is_not_there_is_named() {
    use nix::errno::Errno;
    on_both(|host| {
        refused(host, attachment(), 1, Errno::ENODEV);
        apply(host, bridge_with_address());
        let elsewhere = LinkAt { namespace: NamespaceAt::Host, name: parsed("bb-00000000000f") };
        refused(host, vec![Op::AddAddress { link: elsewhere, address: parsed("172.20.9.1/24") }], 0, Errno::ENODEV);
        let nowhere = NamespaceAt::Path("/nonexistent/netns".to_owned());
        refused(host, vec![Op::AddRoute { namespace: nowhere, route: default_route() }], 0, Errno::ENOENT);
        let unreachable = Route { gateway: Some(parsed("192.0.2.99")), ..default_route() };
        let mut ops = attachment();
        ops[3] = Op::AddRoute { namespace: sandbox(), route: unreachable };
        refused(host, ops, 3, Errno::ENETUNREACH);
        let sysctl = |key: &str| Op::SetSysctl {
            namespace: NamespaceAt::Host,
            key: key.to_owned(),
            value: "1".to_owned(),
            previous: "0".to_owned(),
        };
        refused(host, vec![sysctl("net/ipv4/conf/bb-00000000000f/route_localnet")], 0, Errno::ENOENT);
        apply(host, vec![sysctl("net/ipv4/conf/bb-000000000001/route_localnet")]);
    });
}

#[test]
fn a_failing_step_undoes_those_before_and_beside_it() {
    use nix::errno::Errno;
    on_both(|host| {
        apply(host, bridge_with_address());
        // The route fails while the namespace, the pair and the address in the same exchange succeed.
        let mut ops = attachment();
        ops.insert(2, Op::AddRoute { namespace: sandbox(), route: default_route() });
        let before = seen(host);
        let failed = host.apply(&Plan { ops: ops.clone() }).expect_err("the gateway isn't reachable yet");
        assert_eq!(failed.op, ops[2]);
        assert_eq!(failed.cause.errno(), Some(Errno::ENETUNREACH as i32));
        assert_eq!(seen(host), before);
        // And nothing stands in the way of trying again.
        apply(host, attachment());
    });
}

#[test]
fn the_firewall_holds_the_sum_of_changes() {
    on_both(|host| {
        let range = cnm::firewall::PortForward { count: 201, ..port(1, "*:6000>6000", 2) };
        let exact = cnm::firewall::PortForward { count: 300, ..port(1, "127.0.0.1:7000>7000", 2) };
        let udp = cnm::firewall::PortForward { protocol: Protocol::Udp, ..port(1, "*:53>53", 2) };
        let all: BTreeSet<Element> = [
            Element::Network(policy(1)),
            Element::Network(policy(2)),
            Element::Port(port(1, "*:4000>80", 2)),
            Element::Port(port(1, "192.0.2.1:4000>80", 3)),
            Element::Port(range.clone()),
            Element::Port(exact),
            Element::Port(udp),
            crate::town::open(2, 2, 80),
        ]
        .into();
        host.sync_firewall(&BTreeSet::new(), &AdminChains::default()).expect("a sync");
        apply(host, vec![firewall(all.clone())]);
        assert_eq!(host.sync_firewall(&all, &AdminChains::default()).expect("a sync"), Repaired::AlreadyRight);
        // Adding again and removing what isn't there change nothing.
        apply(host, vec![firewall(all.clone())]);
        let elsewhere = Element::Port(port(1, "*:9999>80", 2));
        let change =
            FirewallChange { add: BTreeSet::new(), remove: BTreeSet::from([elsewhere, Element::Port(range.clone())]) };
        apply(host, vec![Op::Firewall(change.clone()), Op::Firewall(change)]);
        let fewer: BTreeSet<Element> = all.into_iter().filter(|e| *e != Element::Port(range.clone())).collect();
        assert_eq!(host.sync_firewall(&fewer, &AdminChains::default()).expect("a sync"), Repaired::AlreadyRight);
        assert_eq!(host.sync_firewall(&BTreeSet::new(), &AdminChains::default()).expect("a sync"), Repaired::Changed);
        assert_eq!(host.repair_firewall().expect("a repair"), Repaired::AlreadyRight);
    });
}

#[test]
fn what_was_retired_is_not_in_the_way_of_its_successor() {
    on_both(|host| {
        apply(host, bridge_with_address());
        apply(host, attachment());
        for number in 2..6 {
            apply(
                host,
                vec![Op::RetireVeth(VethPair { host_end: parsed(&format!("bv000000000{}", number - 1)), ..veth() })],
            );
            let next = VethPair { host_end: parsed(&format!("bv000000000{number}")), ..veth() };
            apply(host, vec![Op::CreateVeth(next)]);
        }
        // As a start takes away what the netd before it had retired: nobody knows any more where its peer was.
        let leftover = VethPair { host_end: parsed("bv0000000005"), ..veth() };
        let peer = LinkAt { namespace: NamespaceAt::Host, name: leftover.host_end.clone() };
        apply(host, vec![Op::RetireVeth(VethPair { peer, ..leftover })]);
        apply(host, vec![Op::CreateVeth(veth())]);
    });
}
