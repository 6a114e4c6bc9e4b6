//! The choice of ports against tables and a naive model.

use std::{collections::BTreeSet, net::IpAddr};

use proptest::prelude::*;

use super::{HostAddress, PortContext, PortPath, PortTable, PublishedPort, SocketSpec, sockets, without};
use crate::{
    Error,
    api::PortRange,
    firewall::{GatewayMode, Protocol},
    id::SandboxId,
    spec::{HostPorts, PortSpec},
};

const NONE: &BTreeSet<u16> = &BTreeSet::new();
const NO_PAIRS: &BTreeSet<(Protocol, u16)> = &BTreeSet::new();

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn id(text: &str) -> SandboxId {
    text.parse().expect("an id")
}

fn context() -> PortContext<'static> {
    PortContext {
        ephemeral: PortRange { first: 40000, last: 40004 },
        reserved: NONE,
        avoid: NO_PAIRS,
        host_binding: None,
        host_ipv6: true,
        ipv4: Some((ip("172.17.0.2"), GatewayMode::Nat)),
        ipv6: None,
        granted: &[],
    }
}

fn spec(host_address: &str, host: HostPorts, container_first: u16, count: u16) -> PortSpec {
    let host_address = (!host_address.is_empty()).then(|| ip(host_address));
    PortSpec { protocol: Protocol::Tcp, host_address, host, container_first, count }
}

/// Ports of the caller's choice.
fn run(host: &str, host_first: u16, container_first: u16, count: u16) -> PublishedPort {
    PublishedPort {
        protocol: Protocol::Tcp,
        host: HostAddress::new(ip(host)),
        host_first,
        container_first,
        count,
        path: PortPath::Forward,
        endpoint: ip("172.17.0.2"),
        fixed: true,
    }
}

fn publish(table: &mut PortTable, who: &str, specs: &[PortSpec]) -> Result<Vec<PublishedPort>, Error> {
    table.publish(&id(who), who, specs, context())
}

fn shown(ports: &[PublishedPort]) -> Vec<String> {
    ports
        .iter()
        .map(|port| {
            let PublishedPort { protocol, host, host_first, container_first, count, path, endpoint, .. } = port;
            format!("{host} {host_first}+{count}/{protocol} -> {endpoint} {container_first} {path:?}")
        })
        .collect()
}

#[test]
fn without_a_host_address_both_families_get_the_same_port() {
    let mut table = PortTable::default();
    let ports = publish(&mut table, "a", &[spec("", HostPorts::Ephemeral, 80, 1)]).expect("free");
    assert_eq!(
        shown(&ports),
        ["0.0.0.0 40000+1/tcp -> 172.17.0.2 80 Forward", ":: 40000+1/tcp -> 172.17.0.2 80 Relay"]
    );
    let expected = SocketSpec {
        protocol: Protocol::Tcp,
        address: ip("::"),
        port: 40000,
        dual_stack: true,
        relay_to: Some((ip("172.17.0.2"), 80)),
        fixed: false,
    };
    assert_eq!(sockets(&ports), [expected]);
}

#[test]
fn paths() {
    let routed = Some((ip("172.17.0.2"), GatewayMode::Routed));
    let ipv6 = Some((ip("fd00::2"), GatewayMode::Nat));
    let binding = Some(ip("127.0.0.1"));
    let from = HostPorts::From(8080);
    let table: &[(&str, PortContext<'_>, &[&str])] = &[
        ("127.0.0.1", context(), &["127.0.0.1 8080+1/tcp -> 172.17.0.2 80 Forward"]),
        ("0.0.0.0", context(), &["0.0.0.0 8080+1/tcp -> 172.17.0.2 80 Forward"]),
        ("::1", context(), &["::1 8080+1/tcp -> 172.17.0.2 80 Relay"]),
        ("::", PortContext { ipv6, ..context() }, &[":: 8080+1/tcp -> fd00::2 80 Forward"]),
        ("", PortContext { host_ipv6: false, ..context() }, &["0.0.0.0 8080+1/tcp -> 172.17.0.2 80 Forward"]),
        ("", PortContext { host_binding: binding, ..context() }, &["127.0.0.1 8080+1/tcp -> 172.17.0.2 80 Forward"]),
        ("", PortContext { ipv4: routed, ..context() }, &["172.17.0.2 80+1/tcp -> 172.17.0.2 80 Open"]),
    ];
    for (host, context, expected) in table {
        let ports = PortTable::default().publish(&id("a"), "a", &[spec(host, from, 80, 1)], *context).expect("free");
        assert_eq!(shown(&ports), *expected, "{host:?}");
    }
}

#[test]
fn what_can_not_be_reached_is_refused() {
    let sctp = |host| PortSpec { protocol: Protocol::Sctp, ..spec(host, HostPorts::From(1), 80, 1) };
    let isolated = Some((ip("172.17.0.2"), GatewayMode::Isolated));
    let routed = Some((ip("172.17.0.2"), GatewayMode::Routed));
    let tcp = |host| spec(host, HostPorts::From(1), 80, 1);
    let table = [
        (tcp("::1"), PortContext { host_ipv6: false, ..context() }, "this host has no IPv6"),
        (sctp("::1"), context(), "SCTP can't be relayed"),
        (tcp("127.0.0.1"), PortContext { ipv4: isolated, ..context() }, "isolated from the host"),
        (tcp("127.0.0.1"), PortContext { ipv4: routed, ..context() }, "open on the endpoint's own address 172.17.0.2"),
        (tcp(""), PortContext { ipv4: None, ..context() }, "no address that it could lead to"),
    ];
    for (spec, context, part) in table {
        let error = PortTable::default().publish(&id("a"), "a", &[spec], context).expect_err(part);
        assert!(error.message.contains(part), "{:?} lacks {part:?}", error.message);
    }
    let sctp_everywhere = PortTable::default().publish(&id("a"), "a", &[sctp("")], context()).expect("IPv4 alone");
    assert_eq!(shown(&sctp_everywhere), ["0.0.0.0 1+1/sctp -> 172.17.0.2 80 Forward"]);
}

#[test]
fn a_taken_port_is_refused_with_its_holder() {
    let from = HostPorts::From;
    let table = [
        (
            "0.0.0.0",
            "0.0.0.0",
            Some("port 4000/tcp on 0.0.0.0 is already published by sandbox a: port is already allocated"),
        ),
        (
            "0.0.0.0",
            "127.0.0.1",
            Some("port 4000/tcp on 127.0.0.1 is already published on 0.0.0.0 by sandbox a: port is already allocated"),
        ),
        (
            "127.0.0.1",
            "0.0.0.0",
            Some("port 4000/tcp on 0.0.0.0 is already published on 127.0.0.1 by sandbox a: port is already allocated"),
        ),
        ("", "::1", Some("port 4000/tcp on ::1 is already published on :: by sandbox a: port is already allocated")),
        ("127.0.0.1", "127.0.0.2", None),
        ("0.0.0.0", "::", None),
    ];
    for (first, second, expected) in table {
        let mut ports = PortTable::default();
        publish(&mut ports, "a", &[spec(first, from(4000), 80, 1)]).expect("free");
        let again = publish(&mut ports, "b", &[spec(second, from(4000), 80, 1)]);
        assert_eq!(again.err().map(|error| error.message).as_deref(), expected, "{first} then {second}");
    }
    let twice = [spec("", from(4000), 80, 1), spec("", from(4000), 81, 1)];
    let mut ports = PortTable::default();
    let error = publish(&mut ports, "a", &twice).expect_err("twice");
    assert_eq!(error.message, "port 4000/tcp on 0.0.0.0 is published twice by this request");
    publish(&mut ports, "b", &twice[..1]).expect("the refused request holds nothing");
}

#[test]
fn ranges() {
    let mut table = PortTable::default();
    let whole = publish(&mut table, "a", &[spec("0.0.0.0", HostPorts::From(6000), 6000, 201)]).expect("free");
    assert_eq!(shown(&whole), ["0.0.0.0 6000+201/tcp -> 172.17.0.2 6000 Forward"]);
    assert_eq!(sockets(&whole).len(), 201);
    let within = publish(&mut table, "b", &[spec("0.0.0.0", HostPorts::From(5990), 80, 20)]).expect_err("overlaps");
    assert_eq!(within.message, "port 6000/tcp on 0.0.0.0 is already published by sandbox a: port is already allocated");
    let one_of = HostPorts::OneOf(PortRange { first: 6199, last: 6202 });
    let chosen = publish(&mut table, "b", &[spec("0.0.0.0", one_of, 80, 1)]).expect("6201 is free");
    assert_eq!(chosen[0].host_first, 6201);
    let full = HostPorts::OneOf(PortRange { first: 6000, last: 6010 });
    let error = publish(&mut table, "b", &[spec("0.0.0.0", full, 80, 1)]).expect_err("all are taken");
    assert!(error.message.contains("no free port is left on 0.0.0.0 among 6000-6010/tcp"), "{error}");
    table.release(&whole);
    publish(&mut table, "b", &[spec("0.0.0.0", HostPorts::From(5990), 80, 20)]).expect("given back");
}

#[test]
fn ephemeral_ports_rest_and_skip_what_is_reserved_or_somebody_elses() {
    let (reserved, avoid) = (BTreeSet::from([40001]), BTreeSet::from([(Protocol::Tcp, 40002)]));
    let context = PortContext { reserved: &reserved, avoid: &avoid, ..context() };
    let mut table = PortTable::default();
    let wanted = [spec("127.0.0.1", HostPorts::Ephemeral, 80, 1)];
    let next = |table: &mut PortTable| table.publish(&id("a"), "a", &wanted, context);
    let first = next(&mut table).expect("free");
    table.release(&first);
    assert_eq!(first[0].host_first, 40000);
    let following: Vec<u16> = (0..3).map(|_| next(&mut table).expect("free")[0].host_first).collect();
    assert_eq!(following, [40003, 40004, 40000]);
    let error = next(&mut table).expect_err("none is left");
    assert_eq!(error.message, "no free port is left in the host's ephemeral range 40000-40004/tcp");
}

#[test]
fn route_localnet_is_for_ipv4_loopback_only() {
    for (host, needed) in [("", true), ("127.0.0.1", true), ("10.0.0.1", false), ("::1", false), ("::", false)] {
        let ports = publish(&mut PortTable::default(), "a", &[spec(host, HostPorts::From(1), 80, 1)]).expect("free");
        assert_eq!(ports.iter().any(PublishedPort::needs_route_localnet), needed, "{host:?}");
    }
}

/// Single ports on single addresses; an address that stands for all meets each of its family.
#[derive(Default)]
struct Naive(Vec<(HostAddress, u16)>);

impl Naive {
    fn take(&mut self, host: HostAddress, first: u16, count: u16) -> bool {
        let meets = |other: HostAddress| {
            other == host || (other.family() == host.family() && (other.exact().is_none() || host.exact().is_none()))
        };
        let wanted = first..first + count;
        if self.0.iter().any(|(other, port)| wanted.contains(port) && meets(*other)) {
            return false;
        }
        self.0.extend(wanted.map(|port| (host, port)));
        true
    }
}

proptest! {
    #[test]
    fn conflicts_are_those_of_the_naive_model(
        steps in prop::collection::vec((0usize..6, 1u16..30, 1u16..8, 0usize..20), 0..60),
    ) {
        let hosts = ["0.0.0.0", "127.0.0.1", "10.0.0.1", "::", "::1", "fd00::1"];
        let (mut table, mut naive) = (PortTable::default(), Naive::default());
        let mut held: Vec<Vec<PublishedPort>> = Vec::new();
        for (host, first, count, release) in steps {
            if release < held.len() {
                let gone = held.swap_remove(release);
                table.release(&gone);
                naive.0.retain(|(host, port)| {
                    !gone.iter().any(|run| run.host == *host && (run.host_first..=run.host_last()).contains(port))
                });
            }
            let spec = spec(hosts[host], HostPorts::From(first), 80, count);
            let ports = publish(&mut table, "a", &[spec]);
            prop_assert_eq!(ports.is_ok(), naive.take(HostAddress::new(ip(hosts[host])), first, count));
            held.extend(ports);
        }
    }

    #[test]
    fn what_others_have_is_taken_off_as_in_the_naive_model(
        ports in prop::collection::vec((0usize..3, 1u16..30, 1u16..12), 0..10),
        others in prop::collection::vec((0usize..3, 1u16..30, 1u16..12), 0..10),
    ) {
        let hosts = ["0.0.0.0", "127.0.0.1", "::"];
        let runs = |runs: Vec<(usize, u16, u16)>| -> Vec<PublishedPort> {
            runs.into_iter().map(|(host, first, count)| run(hosts[host], first, first + 50, count)).collect()
        };
        let (ports, others) = (runs(ports), runs(others));
        let each = |ports: &[PublishedPort]| -> Vec<(HostAddress, u16, u16)> {
            let of = |port: &PublishedPort| (port.host, port.host_first, port.container_first, port.count);
            let all = ports.iter().map(of);
            all.flat_map(|(host, on_host, container, count)| {
                (0..count).map(move |by| (host, on_host + by, container + by))
            })
            .collect()
        };
        let theirs = each(&others);
        let mut expected = each(&ports);
        expected.retain(|(host, port, _)| !theirs.iter().any(|their| (their.0, their.1) == (*host, *port)));
        prop_assert_eq!(each(&without(&ports, &others)), expected);
    }

    #[test]
    fn a_restored_table_refuses_what_the_old_one_did(
        steps in prop::collection::vec((0usize..6, 1u16..30, 1u16..8), 0..30),
        asked in (0usize..6, 1u16..30, 1u16..8),
    ) {
        let hosts = ["0.0.0.0", "127.0.0.1", "10.0.0.1", "::", "::1", ""];
        let (mut table, mut restored) = (PortTable::default(), PortTable::default());
        for (host, first, count) in steps {
            if let Ok(ports) = publish(&mut table, "a", &[spec(hosts[host], HostPorts::From(first), 80, count)]) {
                restored.restore(&id("a"), "a", &ports);
            }
        }
        let (host, first, count) = asked;
        let asked = [spec(hosts[host], HostPorts::From(first), 80, count)];
        prop_assert_eq!(publish(&mut table, "b", &asked), publish(&mut restored, "b", &asked));
    }
}

#[test]
fn open_ports_have_no_socket() {
    let context = PortContext { ipv4: Some((ip("172.17.0.2"), GatewayMode::Routed)), ..context() };
    let wanted = [spec("", HostPorts::From(80), 80, 1)];
    let mut table = PortTable::default();
    let ports = table.publish(&id("a"), "a", &wanted, context).expect("no host port is needed");
    assert_eq!(ports.iter().map(|port| port.path).collect::<Vec<_>>(), [PortPath::Open]);
    assert!(sockets(&ports).is_empty());
    table.publish(&id("b"), "b", &wanted, context).expect("no host port is held");
}

#[test]
fn ports_that_are_named_are_given_before_those_that_are_chosen() {
    let mut table = PortTable::default();
    let one_of = |first, last| HostPorts::OneOf(PortRange { first, last });
    let specs = [
        spec("0.0.0.0", HostPorts::Ephemeral, 80, 1),
        spec("0.0.0.0", one_of(40001, 40002), 81, 1),
        spec("0.0.0.0", HostPorts::From(40000), 82, 1),
        spec("0.0.0.0", HostPorts::From(40001), 83, 1),
    ];
    let ports = publish(&mut table, "a", &specs).expect("free");
    assert_eq!(
        shown(&ports),
        [
            "0.0.0.0 40003+1/tcp -> 172.17.0.2 80 Forward",
            "0.0.0.0 40002+1/tcp -> 172.17.0.2 81 Forward",
            "0.0.0.0 40000+2/tcp -> 172.17.0.2 82 Forward",
        ]
    );
}

#[test]
fn what_has_been_granted_stays_as_it_was_beside_what_comes() {
    let ours = |host_first, container_first, count| PublishedPort {
        fixed: false,
        ..run("0.0.0.0", host_first, container_first, count)
    };
    // The chosen ones lead on to no row; of two that lead to one port, the first that is free is had again.
    let granted = [run("0.0.0.0", 8000, 80, 3), run("0.0.0.0", 8005, 85, 1), ours(40002, 100, 2), ours(40000, 100, 1)];
    let context = PortContext { granted: &granted, ..context() };
    let specs = [spec("0.0.0.0", HostPorts::From(7999), 79, 9), spec("0.0.0.0", HostPorts::Ephemeral, 99, 3)];
    let ports = PortTable::default().publish(&id("a"), "a", &specs, context).expect("free");
    assert_eq!(
        shown(&ports),
        [
            "0.0.0.0 7999+1/tcp -> 172.17.0.2 79 Forward",
            "0.0.0.0 8000+3/tcp -> 172.17.0.2 80 Forward",
            "0.0.0.0 8003+2/tcp -> 172.17.0.2 83 Forward",
            "0.0.0.0 8005+1/tcp -> 172.17.0.2 85 Forward",
            "0.0.0.0 8006+2/tcp -> 172.17.0.2 86 Forward",
            "0.0.0.0 40001+1/tcp -> 172.17.0.2 99 Forward",
            "0.0.0.0 40002+2/tcp -> 172.17.0.2 100 Forward",
        ]
    );
    // A run within another, as open ports may be.
    let granted = [run("0.0.0.0", 82, 82, 1), run("0.0.0.0", 80, 80, 5)];
    let context = PortContext { granted: &granted, ..context };
    let specs = [spec("0.0.0.0", HostPorts::From(79), 79, 7)];
    let ports = PortTable::default().publish(&id("a"), "a", &specs, context).expect("free");
    let counts: Vec<_> = ports.iter().map(|port| (port.host_first, port.count)).collect();
    assert_eq!(counts, [(79, 1), (80, 5), (85, 1)]);
}

/// With ports times granted ports it is minutes, as long as which nobody else would be decided about.
#[test]
fn as_many_ports_as_there_are_beside_as_many_that_were_granted_are_no_matter() {
    const MANY: u16 = 25_000;
    let alone = |port: u16| run("0.0.0.0", port, port - 1000, 1);
    // Every other one, so that none joins.
    let granted: Vec<_> = (0..MANY).map(|at| alone(10_000 + 2 * at)).collect();
    let specs: Vec<_> = granted
        .iter()
        .map(|port| spec("0.0.0.0", HostPorts::From(port.host_first), port.container_first, 1))
        .chain((0..MANY / 50).map(|at| spec("127.0.0.1", HostPorts::Ephemeral, 1 + at, 1)))
        .collect();
    let ephemeral = PortRange { first: 1000, last: 9999 };
    let context = PortContext { ephemeral, granted: &granted, ..context() };
    let ports = PortTable::default().publish(&id("a"), "a", &specs, context).expect("free");
    assert_eq!(without(&granted, &ports), []);
    assert!(ports.starts_with(&granted));
}
