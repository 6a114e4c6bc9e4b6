//! Plans and repairs against a model of the kernel: what is applied is there, what is undone is gone, what is broken is
//! mended, and what is somebody else's is never named.

mod support;

use std::collections::BTreeSet;

use cnm::{
    api::NetworkCreate,
    diff::repair,
    id::LinkName,
    observed::{LinkKind, Observed, ObservedLink},
    plan::Plan,
    resource::{Bridge, LinkAt, Namespace, NamespaceAt, Place, Resource},
};
use drivers::Registry;
use proptest::prelude::*;
use support::{Bench, kernel::Host, net, net_with, on, port, put_with_ports};

/// Networks with options of all kinds, sandboxes on some of them: the state and the kernel that was told all of it.
fn world(sandboxes: &[(usize, usize, bool)]) -> (Bench, Host) {
    let (mut bench, host) = (Bench::new(), Host::new());
    let networks = [
        net("a"),
        NetworkCreate { internal: true, ..net("b") },
        net_with("c", &[("bridge.enable_icc", "false")]),
        net_with("d", &[("bridge.gateway_mode_ipv4", "routed")]),
    ];
    let names = ["a", "b", "c", "d"];
    for network in networks {
        let (_, plan) = bench.network(network);
        host.apply(&plan);
    }
    for (number, (first, second, publish)) in sandboxes.iter().enumerate() {
        let mut endpoints = vec![on(names[*first])];
        if first != second {
            endpoints.push(on(names[*second]));
        }
        let host_port = 4000 + u16::try_from(number).expect("few");
        let ports = if *publish { vec![port(None, host_port, 80)] } else { Vec::new() };
        let (_, plan) = bench.sandbox(&format!("s{number}"), put_with_ports(endpoints, ports));
        host.apply(&bench.apply_loopback());
        host.apply(&plan);
    }
    (bench, host)
}

fn repair_of(bench: &Bench, host: &Host) -> Plan {
    let desired = bench.state.desired(&Registry).expect("planned");
    repair(&desired, &bench.state.known(&Registry).expect("planned"), &host.seen())
}

/// Sysctls of links go and come with them; a switched-off one is as good as none.
fn without_switched_off(mut seen: Observed) -> Observed {
    seen.sysctls.retain(|_, value| value != "0");
    seen
}

fn foreign_link(kind: LinkKind) -> ObservedLink {
    ObservedLink { kind, mac: None, mtu_bytes: 1500, up: true, bridge: None, addresses: BTreeSet::new() }
}

fn names_host_link(resource: &Resource, name: &LinkName) -> bool {
    let link = LinkAt::on_host(name);
    let places = resource.places().into_iter().chain(resource.needs());
    places.into_iter().any(|place| place == Place::Link(link.clone()))
}

fn sandboxes() -> impl Strategy<Value = Vec<(usize, usize, bool)>> {
    prop::collection::vec((0usize..4, 0usize..4, any::<bool>()), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_applied_needs_no_repair(sandboxes in sandboxes()) {
        let (bench, host) = world(&sandboxes);
        prop_assert_eq!(repair_of(&bench, &host), Plan::default());
        prop_assert_eq!(&host.firewall(), &bench.state.firewall(&Registry).expect("planned"));
    }

    #[test]
    fn a_plan_and_its_inverse_leave_nothing(sandboxes in sandboxes(), first in 0usize..4, second in 0usize..4) {
        let (mut bench, host) = world(&sandboxes);
        let before = (without_switched_off(host.seen()), host.firewall());
        let names = ["a", "b", "c", "d"];
        let endpoints = if first == second { vec![on(names[first])] } else { vec![on(names[first]), on(names[second])] };
        let (sandbox, plan) = bench.sandbox("new", put_with_ports(endpoints, vec![port(None, 5000, 80)]));
        host.apply(&bench.apply_loopback());
        let settled = (without_switched_off(host.seen()), host.firewall());
        let undone = host.clone();
        undone.apply(&plan.clone().then(plan.inverse()));
        prop_assert_eq!(&(without_switched_off(undone.seen()), undone.firewall()), &settled);
        host.apply(&plan);
        let (_, teardown) = bench.state.remove_sandbox(&Registry, sandbox.id()).expect("it is there");
        host.apply(&teardown);
        bench.state.forget_sandbox(sandbox.id()).expect("it is there");
        host.apply(&bench.apply_loopback());
        prop_assert_eq!(&(without_switched_off(host.seen()), host.firewall()), &before);
    }

    #[test]
    fn what_is_broken_is_mended(
        sandboxes in sandboxes(),
        breaks in prop::collection::vec((0usize..10, any::<prop::sample::Index>()), 1..6),
    ) {
        let (bench, host) = world(&sandboxes);
        let broken = host.clone();
        for (how, which) in breaks {
            break_something(&broken, how, which);
        }
        broken.apply(&repair_of(&bench, &broken));
        prop_assert_eq!(broken.seen(), host.seen());
    }

    #[test]
    fn leftovers_of_ours_go_and_foreign_things_stay(
        sandboxes in sandboxes(),
        foreign in prop::collection::btree_set("(veth|br-|docker|bb-|bv|eth)[0-9a-f]{4,8}|bv[0-9a-f]{10}", 0..8),
    ) {
        let (mut bench, host) = world(&sandboxes);
        let mut foreign: BTreeSet<LinkName> = foreign.iter().map(|name| name.parse().expect("a name")).collect();
        host.change_externally(|state| {
            let links = &mut state.namespaces.get_mut(&NamespaceAt::Host).expect("always there").links;
            foreign.retain(|name| !links.contains_key(name));
            for name in &foreign {
                let kind = if name.as_str().contains('7') { LinkKind::Veth } else { LinkKind::Bridge };
                links.insert(name.clone(), foreign_link(kind));
            }
            let retired = ObservedLink { up: false, ..foreign_link(LinkKind::Veth) };
            links.insert("bv00000000ff".parse().expect("a name"), retired);
            state.namespaces.insert(NamespaceAt::Pinned("unknown".parse().expect("an id")), Default::default());
            state.namespaces.insert(NamespaceAt::Path("/proc/7/ns/net".to_owned()), Default::default());
            foreign.extend(["lo", "eth0"].map(|name| name.parse().expect("a name")));
        });
        let ids: Vec<_> = bench.state.sandboxes().keys().cloned().collect();
        for id in &ids {
            bench.state.remove_sandbox(&Registry, id).expect("it is there");
        }
        let plan = repair_of(&bench, &host);
        for op in &plan.ops {
            let names_it = |name| names_host_link(op.resource(), name);
            prop_assert!(!foreign.iter().any(names_it), "{} names what isn't ours", op);
        }
        host.apply(&plan);
        let seen = host.seen();
        prop_assert!(seen.pinned.is_empty());
        let left: BTreeSet<LinkName> = seen.namespaces[&NamespaceAt::Host].links.keys().cloned().collect();
        let bridges = bench.state.networks().values().filter_map(|network| network.link().cloned());
        prop_assert_eq!(left, bridges.chain(foreign).collect::<BTreeSet<_>>());
    }
}

/// Takes away, or spoils, one thing in the kernel.
fn break_something(host: &Host, how: usize, which: prop::sample::Index) {
    let seen = host.seen();
    let links =
        seen.namespaces.iter().flat_map(|(namespace, seen)| seen.links.keys().map(move |name| (namespace, name)));
    let is_ours = |(namespace, name): &(&NamespaceAt, &LinkName)| match namespace {
        NamespaceAt::Host => name.is_ours(),
        NamespaceAt::Pinned(_) | NamespaceAt::Path(_) => name.as_str() != "lo",
    };
    let places: Vec<_> = links.filter(is_ours).collect();
    if places.is_empty() {
        return;
    }
    let (at, name) = *which.get(&places);
    let kind = seen.namespaces[at].links[name].kind;
    match (how, at) {
        (7, NamespaceAt::Host) if kind == LinkKind::Bridge => {
            let bridge = Bridge { name: name.clone(), mac: "02:ff:ff:ff:ff:ff".parse().expect("a MAC"), mtu_bytes: 0 };
            host.apply(&Plan::teardown(&[Resource::Bridge(bridge)]));
        }
        (8, NamespaceAt::Pinned(sandbox)) => {
            host.apply(&Plan::teardown(&[Resource::Namespace(Namespace { sandbox: sandbox.clone() })]));
        }
        _ => host.change_externally(|state| {
            let seen = state.namespaces.get_mut(at).expect("named above");
            let link = seen.links.get_mut(name).expect("named above");
            match how {
                0 => link.up = false,
                1 => link.mtu_bytes += 1,
                2 => link.bridge = None,
                3 => link.addresses.clear(),
                4 => seen.routes.clear(),
                5 => state.sysctls.clear(),
                6 if link.mac.is_some() => link.mac = Some("02:ff:ff:ff:ff:ff".parse().expect("a MAC address")),
                9 => seen.neighbours.clear(),
                _ => {}
            }
        }),
    }
}
