//! Plans and repairs against a model of the kernel: what is applied is there, what is undone is gone, what is broken is
//! mended, and what is somebody else's is never named.

mod support;

use std::collections::BTreeSet;

use cnm::{
    api::NetworkCreate,
    diff::repair,
    id::LinkName,
    observed::{LinkKind, ObservedLink},
    op::{NamespaceAt, Op, Plan},
};
use drivers::Registry;
use proptest::prelude::*;
use support::{Bench, kernel::ModelKernel, net, net_with, on, port, put_with_ports};

/// Networks with options of all kinds, sandboxes on some of them: the state and the kernel that was told all of it.
fn world(sandboxes: &[(usize, usize, bool)]) -> (Bench, ModelKernel) {
    let (mut bench, mut kernel) = (Bench::new(), ModelKernel::new());
    let networks = [
        net("a"),
        NetworkCreate { internal: true, ..net("b") },
        net_with("c", &[("bridge.enable_icc", "false")]),
        net_with("d", &[("bridge.gateway_mode_ipv4", "routed")]),
    ];
    let names = ["a", "b", "c", "d"];
    for network in networks {
        let (_, plan) = bench.network(network);
        kernel.apply(&plan);
    }
    for (number, (first, second, publish)) in sandboxes.iter().enumerate() {
        let mut endpoints = vec![on(names[*first])];
        if first != second {
            endpoints.push(on(names[*second]));
        }
        let host_port = 4000 + u16::try_from(number).expect("few");
        let ports = if *publish { vec![port(None, host_port, 80)] } else { Vec::new() };
        let (_, plan) = bench.sandbox(&format!("s{number}"), put_with_ports(endpoints, ports));
        kernel.apply(&bench.state.settle_needed(&Registry).expect("planned"));
        kernel.apply(&plan);
    }
    (bench, kernel)
}

fn repair_of(bench: &Bench, kernel: &ModelKernel) -> Plan {
    let desired = bench.state.desired(&Registry, &BTreeSet::new()).expect("planned");
    repair(&desired, &bench.state.known(&Registry).expect("planned"), &kernel.seen)
}

/// Sysctls of links go and come with them; a switched-off one is as good as none.
fn without_switched_off(mut kernel: ModelKernel) -> ModelKernel {
    kernel.seen.sysctls.retain(|_, value| value != "0");
    kernel
}

fn foreign_link(kind: LinkKind) -> ObservedLink {
    ObservedLink { kind, mac: None, mtu_bytes: 1500, up: true, bridge: None, addresses: BTreeSet::new() }
}

fn names_host_link(op: &Op, name: &LinkName) -> bool {
    match op {
        Op::CreateBridge(bridge) | Op::DeleteBridge(bridge) => bridge.name == *name,
        Op::CreateVeth(pair) | Op::RetireVeth(pair) => pair.host_end == *name || pair.bridge == *name,
        Op::AddAddress { link, .. } | Op::RemoveAddress { link, .. } => {
            link.namespace == NamespaceAt::Host && link.name == *name
        }
        Op::AddRoute { namespace, route } | Op::RemoveRoute { namespace, route } => {
            *namespace == NamespaceAt::Host && route.link == *name
        }
        Op::AddNeighbour { namespace, neighbour } | Op::RemoveNeighbour { namespace, neighbour } => {
            *namespace == NamespaceAt::Host && neighbour.link == *name
        }
        Op::SetSysctl { key, .. } => key.contains(&format!("/{name}/")),
        Op::CreateNamespace(_) | Op::DropNamespace(_) | Op::Firewall(_) => false,
    }
}

fn sandboxes() -> impl Strategy<Value = Vec<(usize, usize, bool)>> {
    prop::collection::vec((0usize..4, 0usize..4, any::<bool>()), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_applied_needs_no_repair(sandboxes in sandboxes()) {
        let (bench, kernel) = world(&sandboxes);
        prop_assert_eq!(repair_of(&bench, &kernel), Plan::default());
        prop_assert_eq!(&kernel.firewall, &bench.state.firewall(&Registry).expect("planned"));
    }

    #[test]
    fn a_plan_and_its_inverse_leave_nothing(sandboxes in sandboxes(), first in 0usize..4, second in 0usize..4) {
        let (mut bench, mut kernel) = world(&sandboxes);
        let before = without_switched_off(kernel.clone());
        let names = ["a", "b", "c", "d"];
        let endpoints = if first == second { vec![on(names[first])] } else { vec![on(names[first]), on(names[second])] };
        let (sandbox, plan) = bench.sandbox("new", put_with_ports(endpoints, vec![port(None, 5000, 80)]));
        kernel.apply(&bench.state.settle_needed(&Registry).expect("planned"));
        let mut undone = kernel.clone();
        undone.apply(&plan.clone().then(plan.inverse()));
        let mut settled = before.clone();
        settled.seen.sysctls.clone_from(&without_switched_off(kernel.clone()).seen.sysctls);
        prop_assert_eq!(&without_switched_off(undone), &settled);
        kernel.apply(&plan);
        let (_, teardown) = bench.state.remove_sandbox(&Registry, sandbox.id()).expect("it is there");
        kernel.apply(&teardown);
        bench.state.forget_sandbox(sandbox.id()).expect("it is there");
        kernel.apply(&bench.state.settle(&Registry).expect("planned"));
        prop_assert_eq!(&without_switched_off(kernel), &before);
    }

    #[test]
    fn what_is_broken_is_mended(
        sandboxes in sandboxes(),
        breaks in prop::collection::vec((0usize..10, any::<prop::sample::Index>()), 1..6),
    ) {
        let (bench, kernel) = world(&sandboxes);
        let mut broken = kernel.clone();
        for (how, which) in breaks {
            break_something(&mut broken, how, which);
        }
        broken.apply(&repair_of(&bench, &broken.clone()));
        prop_assert_eq!(broken.seen, kernel.seen);
    }

    #[test]
    fn leftovers_of_ours_go_and_foreign_things_stay(
        sandboxes in sandboxes(),
        foreign in prop::collection::btree_set("(veth|br-|docker|bb-|bv|eth)[0-9a-f]{4,8}|bv[0-9a-f]{10}", 0..8),
    ) {
        let (mut bench, mut kernel) = world(&sandboxes);
        let mut foreign: BTreeSet<LinkName> = foreign.iter().map(|name| name.parse().expect("a name")).collect();
        let host = kernel.seen.namespaces.get_mut(&NamespaceAt::Host).expect("always there");
        foreign.retain(|name| !host.links.contains_key(name));
        for name in &foreign {
            let kind = if name.as_str().contains('7') { LinkKind::Veth } else { LinkKind::Bridge };
            host.links.insert(name.clone(), foreign_link(kind));
        }
        let retired = ObservedLink { up: false, ..foreign_link(LinkKind::Veth) };
        host.links.insert("bv00000000ff".parse().expect("a name"), retired);
        kernel.seen.pinned.insert("unknown".parse().expect("an id"));
        kernel.seen.namespaces.insert(NamespaceAt::Path("/proc/7/ns/net".to_owned()), Default::default());
        let ids: Vec<_> = bench.state.sandboxes().keys().cloned().collect();
        for id in &ids {
            bench.state.remove_sandbox(&Registry, id).expect("it is there");
        }
        let plan = repair_of(&bench, &kernel);
        for op in &plan.ops {
            prop_assert!(!foreign.iter().any(|name| names_host_link(op, name)), "{} names what isn't ours", op);
        }
        kernel.apply(&plan);
        prop_assert!(kernel.seen.pinned.is_empty());
        let left: BTreeSet<LinkName> = kernel.seen.namespaces[&NamespaceAt::Host].links.keys().cloned().collect();
        let bridges = bench.state.networks().values().filter_map(|network| network.link().cloned());
        prop_assert_eq!(left, bridges.chain(foreign).collect::<BTreeSet<_>>());
    }
}

/// Takes away, or spoils, one thing in the kernel.
fn break_something(kernel: &mut ModelKernel, how: usize, which: prop::sample::Index) {
    let places: Vec<(NamespaceAt, LinkName)> = kernel
        .seen
        .namespaces
        .iter()
        .flat_map(|(namespace, seen)| seen.links.keys().map(move |name| (namespace.clone(), name.clone())))
        .collect();
    if places.is_empty() {
        return;
    }
    let (namespace, name) = which.get(&places).clone();
    let seen = kernel.seen.namespaces.get_mut(&namespace).expect("named above");
    let link = seen.links.get_mut(&name).expect("named above");
    match how {
        0 => link.up = false,
        1 => link.mtu_bytes += 1,
        2 => link.bridge = None,
        3 => link.addresses.clear(),
        4 => seen.routes.clear(),
        5 => kernel.seen.sysctls.clear(),
        9 => seen.neighbours.clear(),
        6 if link.mac.is_some() => link.mac = Some("02:ff:ff:ff:ff:ff".parse().expect("a MAC address")),
        7 if namespace == NamespaceAt::Host && link.kind == LinkKind::Bridge => {
            let bridge = cnm::op::Bridge { name, mac: "02:ff:ff:ff:ff:ff".parse().expect("a MAC"), mtu_bytes: 0 };
            kernel.apply(&Plan { ops: vec![Op::DeleteBridge(bridge)] });
        }
        8 => {
            if let NamespaceAt::Pinned(sandbox) = namespace {
                kernel.apply(&Plan { ops: vec![Op::DropNamespace(sandbox)] });
            }
        }
        _ => {}
    }
}
