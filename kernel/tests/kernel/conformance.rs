//! What every host must do alike: run against the fake and against the real kernel.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use cnm::{
    diff,
    firewall::{Element, Protocol},
    id::LinkName,
    observed::{LinkKind, ObserveScope, ObservedLink},
    plan::{Op, Plan},
    resource::{Bridge, LinkAddress, LinkAt, NamespaceAt, Neighbour, Resource, Resources, Route, Sysctl, VethPair},
};
use kernel::{AdminChains, Host, InProcessKeeper, Kernel, Repaired, fake::FakeHost};

use crate::{
    host::in_fresh_host,
    topology::{bridge, namespace, policy, port},
};

/// Runs a case on both hosts.
fn on_both(case: impl Fn(&dyn Host) + Sync) {
    case(&FakeHost::new());
    in_fresh_host(|run_dir: &Path| {
        case(&Kernel::new(run_dir, Arc::new(InProcessKeeper::default())).expect("the host"))
    });
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a literal of the test")
}

fn red() -> Bridge {
    Bridge { name: bridge(1), mac: parsed("02:42:00:00:00:01"), mtu_bytes: 1400 }
}

fn bridge_with_address() -> Resources {
    vec![Resource::Bridge(red()), address(LinkAt::on_host(&bridge(1)), "172.20.1.1/24")]
}

fn address(link: LinkAt, address: &str) -> Resource {
    Resource::Address(LinkAddress { link, address: parsed(address) })
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
    Route { destination: parsed("0.0.0.0/0"), gateway: Some(parsed("172.20.1.1")), link: veth().peer }
}

fn gateway() -> Neighbour {
    Neighbour { link: veth().peer, address: parsed("172.20.1.1"), mac: red().mac }
}

fn container() -> Neighbour {
    Neighbour { link: LinkAt::on_host(&bridge(1)), address: parsed("172.20.1.2"), mac: veth().peer_mac }
}

fn attachment() -> Resources {
    vec![
        namespace("s1"),
        Resource::Veth(veth()),
        address(veth().peer, "172.20.1.2/24"),
        Resource::Route(default_route()),
        Resource::Neighbour(gateway()),
        Resource::Neighbour(container()),
    ]
}

fn everything() -> Resources {
    let elements = [Element::Network(policy(1)), Element::Port(port(1, "*:4000>80", 2))].map(Resource::Element);
    [bridge_with_address(), attachment(), elements.into()].concat()
}

#[track_caller]
fn apply(host: &dyn Host, plan: &Plan) {
    if let Err(failed) = host.apply(plan) {
        panic!("{failed}: {:?}", failed.cause);
    }
}

#[track_caller]
fn make(host: &dyn Host, resources: Resources) {
    apply(host, &Plan::make(resources));
}

fn scope() -> ObserveScope {
    ObserveScope { namespaces: BTreeSet::from([sandbox()]), ..ObserveScope::default() }
}

/// What is observed, as lines; without addresses that the kernel gives by itself (IPv6 link-local) and without retired
/// links, which are deleted in the background.
fn seen(host: &dyn Host) -> Vec<String> {
    let observed = host.observe(&scope()).expect("an observation");
    let mut lines: Vec<String> = observed.pinned.iter().map(|sandbox| format!("pinned {sandbox}")).collect();
    for (at, namespace) in &observed.namespaces {
        let retired = |name: &LinkName, link: &ObservedLink| {
            name.is_retired_bridge() || (link.kind == LinkKind::Veth && !link.up && link.bridge.is_none())
        };
        for (name, link) in namespace.links.iter().filter(|(name, link)| !retired(name, link)) {
            let addresses: Vec<String> =
                link.addresses.iter().filter(|a| a.is_ipv4()).map(|address| address.to_string()).collect();
            let bridge = link.bridge.as_ref().map(|bridge| format!(" on {bridge}")).unwrap_or_default();
            let up = if link.up { "up" } else { "down" };
            let kind = format!("{:?}", link.kind).to_lowercase();
            lines.push(format!("{at}: {name} {kind} {up} mtu {}{bridge} {addresses:?}", link.mtu_bytes));
        }
        lines.extend(
            namespace.routes.iter().map(|r| format!("{at}: {} via {:?} dev {}", r.destination, r.gateway, r.link.name)),
        );
        lines.extend(
            namespace.neighbours.iter().map(|n| format!("{at}: {} is {} dev {}", n.address, n.mac, n.link.name)),
        );
    }
    lines
}

#[track_caller]
fn refused(host: &dyn Host, resources: Resources, step: usize, errno: nix::errno::Errno) {
    let before = seen(host);
    let failed = host.apply(&Plan::make(resources)).expect_err("the plan must fail");
    assert_eq!((failed.step, failed.cause.errno()), (step, Some(errno as i32)), "{failed}: {:?}", failed.cause);
    assert!(failed.stuck.is_empty(), "{failed}");
    assert_eq!(seen(host), before, "all of it is undone");
}

#[test]
fn a_plan_makes_what_it_says() {
    on_both(|host| {
        make(host, everything());
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
        let observed = host.observe(&scope()).expect("an observation");
        let inside = &observed.namespaces[&sandbox()].links[&parsed("eth0")];
        assert_eq!(inside.mac, Some(veth().peer_mac));
        assert_eq!(observed.namespaces[&NamespaceAt::Host].links[&bridge(1)].mac, Some(red().mac));
    });
}

#[test]
fn the_inverse_leaves_nothing_and_can_be_done_twice() {
    on_both(|host| {
        let before = seen(host);
        make(host, everything());
        apply(host, &Plan::make(everything()).inverse());
        // What is retired is deleted in the background; making it again waits for that.
        make(host, everything());
        apply(host, &Plan::make(everything()).inverse());
        apply(host, &Plan::make(everything()).inverse());
        assert_eq!(seen(host), before);
        let held = BTreeSet::new();
        assert_eq!(host.sync_firewall(&held, &AdminChains::default()).expect("a sync"), Repaired::Unchanged);
    });
}

#[test]
fn what_is_there_is_not_made_again() {
    use nix::errno::Errno;
    on_both(|host| {
        make(host, everything());
        refused(host, vec![Resource::Bridge(red())], 0, Errno::EEXIST);
        refused(host, vec![namespace("s1")], 0, Errno::EEXIST);
        refused(host, vec![attachment()[2].clone()], 0, Errno::EEXIST);
        refused(host, vec![attachment()[3].clone()], 0, Errno::EEXIST);
        refused(host, vec![Resource::Veth(veth())], 0, Errno::EEXIST);
    });
}

#[test]
fn what_is_not_there_is_named() {
    use nix::errno::Errno;
    on_both(|host| {
        refused(host, attachment(), 1, Errno::ENODEV);
        make(host, bridge_with_address());
        let elsewhere = LinkAt::on_host(&parsed("bb-00000000000f"));
        refused(host, vec![address(elsewhere, "172.20.9.1/24")], 0, Errno::ENODEV);
        let nowhere = NamespaceAt::Path("/nonexistent/netns".to_owned());
        let link = LinkAt { namespace: nowhere, ..veth().peer };
        refused(host, vec![Resource::Route(Route { link, ..default_route() })], 0, Errno::ENOENT);
        let unreachable = Route { gateway: Some(parsed("192.0.2.99")), ..default_route() };
        let mut resources = attachment();
        resources[3] = Resource::Route(unreachable);
        refused(host, resources, 3, Errno::ENETUNREACH);
        let sysctl = |key: &str| {
            let (value, previous) = ("1".to_owned(), "0".to_owned());
            Resource::Sysctl(Sysctl { namespace: NamespaceAt::Host, key: key.to_owned(), value, previous })
        };
        refused(host, vec![sysctl("net/ipv4/conf/bb-00000000000f/route_localnet")], 0, Errno::ENOENT);
        make(host, vec![sysctl("net/ipv4/conf/bb-000000000001/route_localnet")]);
    });
}

#[test]
fn a_failing_step_undoes_those_before_and_beside_it() {
    use nix::errno::Errno;
    on_both(|host| {
        make(host, bridge_with_address());
        // The route fails while the namespace, the pair and the address in the same exchange succeed.
        let mut resources = attachment();
        resources.insert(2, Resource::Route(default_route()));
        let before = seen(host);
        let failed = host.apply(&Plan::make(resources.clone())).expect_err("the gateway isn't reachable yet");
        assert_eq!(failed.op, Op::Make(resources[2].clone()));
        assert_eq!(failed.cause.errno(), Some(Errno::ENETUNREACH as i32));
        assert_eq!(seen(host), before);
        // And nothing stands in the way of trying again.
        make(host, attachment());
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
            crate::topology::open(2, 2, 80),
        ]
        .into();
        host.sync_firewall(&BTreeSet::new(), &AdminChains::default()).expect("a sync");
        let elements = || all.iter().cloned().map(Resource::Element).collect::<Resources>();
        make(host, elements());
        assert_eq!(host.sync_firewall(&all, &AdminChains::default()).expect("a sync"), Repaired::Unchanged);
        // Adding again and removing what isn't there change nothing.
        make(host, elements());
        let elsewhere = Element::Port(port(1, "*:9999>80", 2));
        let gone = Plan::teardown(&[elsewhere, Element::Port(range.clone())].map(Resource::Element));
        apply(host, &gone.clone().then(gone));
        let fewer: BTreeSet<Element> = all.into_iter().filter(|e| *e != Element::Port(range.clone())).collect();
        assert_eq!(host.sync_firewall(&fewer, &AdminChains::default()).expect("a sync"), Repaired::Unchanged);
        assert_eq!(host.sync_firewall(&BTreeSet::new(), &AdminChains::default()).expect("a sync"), Repaired::Changed);
        assert_eq!(host.repair_firewall().expect("a repair"), Repaired::Unchanged);
    });
}

#[test]
fn links_that_go_at_one_moment_go_alone() {
    on_both(|host| {
        // The former go in groups, the latter one by one.
        let pair = |number: u8| {
            let peer = LinkAt { namespace: sandbox(), name: parsed(&format!("eth{number}")) };
            Resource::Veth(VethPair { host_end: parsed(&format!("bv00000000{number:02}")), peer, ..veth() })
        };
        let bridge =
            |number: u8| Resource::Bridge(Bridge { name: parsed(&format!("bb-0000000000{number:02}")), ..red() });
        make(host, [bridge_with_address(), vec![namespace("s1")]].concat());
        make(host, (10..90).map(pair).chain((10..20).map(bridge)).collect());
        let whole = seen(host);
        std::thread::scope(|scope| {
            // The last of each are there no more, which is as well.
            for going in (12..91).map(pair).chain((12..21).map(bridge)) {
                scope.spawn(move || apply(host, &Plan::teardown(&[going])));
            }
        });
        let left = seen(host);
        for (kind, last) in [("bv00000000", 91), ("bb-0000000000", 21)] {
            for number in 10..last {
                let name = format!("{kind}{number}");
                let is_there = left.iter().any(|link| link.contains(&name) && link.contains(" up "));
                assert_eq!(is_there, number < 12, "{name}: {left:?}");
            }
        }
        // Each that is made anew waits until the one before it is gone: then those that stayed would be, too.
        make(host, (12..90).map(pair).chain((12..20).map(bridge)).collect());
        assert_eq!(seen(host), whole);
    });
}

#[track_caller]
fn retire(host: &dyn Host, pair: VethPair) {
    apply(host, &Plan::teardown(&[Resource::Veth(pair)]));
}

#[test]
fn what_was_retired_is_not_in_the_way_of_its_successor() {
    on_both(|host| {
        make(host, bridge_with_address());
        make(host, attachment());
        for number in 2..6 {
            retire(host, VethPair { host_end: parsed(&format!("bv000000000{}", number - 1)), ..veth() });
            let next = VethPair { host_end: parsed(&format!("bv000000000{number}")), ..veth() };
            make(host, vec![Resource::Veth(next)]);
        }
        // As a start takes away what the netd before it had retired: nobody knows any more where its peer was.
        let leftover = VethPair { host_end: parsed("bv0000000005"), ..veth() };
        let peer = LinkAt::on_host(&leftover.host_end);
        retire(host, VethPair { peer, ..leftover });
        make(host, vec![Resource::Veth(veth())]);
    });
}

#[test]
fn a_bridge_gives_its_name_and_addresses_back_at_once() {
    on_both(|host| {
        for _ in 0..5 {
            make(host, bridge_with_address());
            apply(host, &Plan::teardown(&bridge_with_address()));
            let held = host.facts().expect("the host's facts").addresses;
            assert!(!held.contains(&parsed("172.20.1.1/24")), "{held:?}");
        }
        // Nor is any of them left for long.
        assert!(host.finish_deletions(Duration::from_secs(60)), "they are never deleted");
        let observed = host.observe(&ObserveScope::default()).expect("an observation");
        let links = &observed.namespaces[&NamespaceAt::Host].links;
        assert!(links.keys().all(|name| !name.is_retired_bridge()), "{links:?}");
    });
}

#[test]
fn what_takes_away_and_makes_anew_leaves_the_new() {
    on_both(|host| {
        make(host, everything());
        let other = VethPair { mtu_bytes: 1300, ..veth() };
        let port = Resource::Element(Element::Port(port(1, "*:4000>80", 2)));
        let anew = [Resource::Veth(veth()), port].map(|old| {
            let new = if matches!(old, Resource::Veth(_)) { Resource::Veth(other.clone()) } else { old.clone() };
            [Op::Remove(old), Op::Make(new)]
        });
        apply(host, &Plan { ops: anew.concat() });
        let seen = seen(host).join("\n");
        assert!(seen.contains("bv0000000001 veth up mtu 1300 on"), "{seen}");
        assert_eq!(host.repair_firewall().expect("a repair"), Repaired::Unchanged);
        let all = everything().into_iter().filter_map(|resource| match resource {
            Resource::Element(element) => Some(element),
            _ => None,
        });
        assert_eq!(host.sync_firewall(&all.collect(), &AdminChains::default()).expect("a sync"), Repaired::Unchanged);
    });
}

#[test]
fn what_goes_with_its_link_can_be_removed_afterwards() {
    on_both(|host| {
        let key = format!("net/ipv4/conf/{}/route_localnet", bridge(1));
        let (value, previous) = ("1".to_owned(), "0".to_owned());
        let sysctl = Resource::Sysctl(Sysctl { namespace: NamespaceAt::Host, key, value, previous });
        make(host, vec![Resource::Bridge(red()), sysctl.clone()]);
        apply(host, &Plan::teardown(&[Resource::Bridge(red())]));
        apply(host, &Plan::teardown(std::slice::from_ref(&sysctl)));
        refused(host, vec![sysctl], 0, nix::errno::Errno::ENOENT);
    });
}

#[test]
fn a_repair_makes_right_what_was_broken() {
    on_both(|host| {
        let desired = everything();
        make(host, desired.clone());
        let whole = seen(host);
        let repair = |host: &dyn Host| {
            let observed = host.observe(&ObserveScope::of(&desired)).expect("an observation");
            apply(host, &diff::repair(&desired, &desired, &observed));
        };
        let other = |pair: VethPair| [Op::Remove(Resource::Veth(veth())), Op::Make(Resource::Veth(pair))];
        let breaks = [
            vec![Op::Remove(Resource::Bridge(red()))],
            vec![Op::Remove(Resource::Veth(veth()))],
            vec![Op::Remove(address(veth().peer, "172.20.1.2/24"))],
            vec![Op::Remove(namespace("s1"))],
            other(VethPair { mtu_bytes: 1300, ..veth() }).into(),
            other(VethPair { peer_mac: parsed("02:42:ac:14:01:99"), ..veth() }).into(),
        ];
        for ops in breaks {
            let plan = Plan { ops };
            apply(host, &plan);
            assert_ne!(seen(host), whole, "{plan}");
            repair(host);
            assert_eq!(seen(host), whole, "{plan}");
        }
    });
}
