//! The compiler's decisions as text, and the bytes that netlink gets for them.

mod expiring;

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use cnm::{
    firewall::{Element, GatewayMode, NetworkPolicy, OpenPorts, PortForward, Protocol},
    id::LinkName,
};
use insta::assert_snapshot;
use proptest::prelude::*;

use super::{
    compile::compile,
    element::SetElement,
    field::{Encoded, Fields, Port},
    set::{Expiring, Set},
    sets::{Address, SETS},
    skeleton::{self, Load},
    transaction::Transaction,
};
use crate::AdminChains;

fn policy() -> NetworkPolicy {
    NetworkPolicy {
        mac: Some("06:00:00:00:00:01".parse().expect("a MAC address")),
        bridge: "bb-0123456789ab".parse().expect("a link's name"),
        subnets: vec!["172.18.0.0/16".parse().expect("a subnet"), "fd00:1::/64".parse().expect("a subnet")],
        masquerade: true,
        inter_container: true,
        internal: false,
        gateway_mode_ipv4: GatewayMode::Nat,
        gateway_mode_ipv6: GatewayMode::Nat,
    }
}

fn port(host: Option<&str>, host_first: u16, container_first: u16, count: u16) -> PortForward {
    PortForward {
        protocol: Protocol::Tcp,
        host_address: host.map(|address| address.parse().expect("an address")),
        host_first,
        endpoint: "172.18.0.2".parse().expect("an address"),
        container_first,
        count,
        bridge: policy().bridge,
    }
}

fn lines(element: &Element) -> String {
    compile(element).iter().map(|element| format!("{} {{ {element} }}\n", element.set)).collect()
}

#[test]
fn networks() {
    assert_snapshot!(lines(&Element::Network(policy())), @r#"
    bridges { "bb-0123456789ab" }
    gateways { "bb-0123456789ab" . 06:00:00:00:00:01 }
    inter_container { "bb-0123456789ab" . "bb-0123456789ab" }
    home4 { "bb-0123456789ab" . 172.18.0.0-172.18.255.255 }
    masquerade4 { 172.18.0.0-172.18.255.255 }
    home6 { "bb-0123456789ab" . fd00:1::-fd00:1::ffff:ffff:ffff:ffff }
    masquerade6 { fd00:1::-fd00:1::ffff:ffff:ffff:ffff }
    "#);
    assert_snapshot!(lines(&Element::Network(NetworkPolicy { inter_container: false, masquerade: false, ..policy() })), @r#"
    bridges { "bb-0123456789ab" }
    gateways { "bb-0123456789ab" . 06:00:00:00:00:01 }
    home4 { "bb-0123456789ab" . 172.18.0.0-172.18.255.255 }
    home6 { "bb-0123456789ab" . fd00:1::-fd00:1::ffff:ffff:ffff:ffff }
    "#);
    assert_snapshot!(lines(&Element::Network(NetworkPolicy { internal: true, ..policy() })), @r#"
    bridges { "bb-0123456789ab" }
    gateways { "bb-0123456789ab" . 06:00:00:00:00:01 }
    internal { "bb-0123456789ab" }
    inter_container { "bb-0123456789ab" . "bb-0123456789ab" }
    home4 { "bb-0123456789ab" . 172.18.0.0-172.18.255.255 }
    home6 { "bb-0123456789ab" . fd00:1::-fd00:1::ffff:ffff:ffff:ffff }
    "#);
    let routed = NetworkPolicy { gateway_mode_ipv6: GatewayMode::Routed, ..policy() };
    assert_snapshot!(lines(&Element::Network(routed)), @r#"
    bridges { "bb-0123456789ab" }
    gateways { "bb-0123456789ab" . 06:00:00:00:00:01 }
    inter_container { "bb-0123456789ab" . "bb-0123456789ab" }
    home4 { "bb-0123456789ab" . 172.18.0.0-172.18.255.255 }
    masquerade4 { 172.18.0.0-172.18.255.255 }
    routed6 { "bb-0123456789ab" }
    home6 { "bb-0123456789ab" . fd00:1::-fd00:1::ffff:ffff:ffff:ffff }
    "#);
    let mut isolated = NetworkPolicy { internal: true, gateway_mode_ipv4: GatewayMode::Isolated, ..policy() };
    isolated.subnets.truncate(1);
    assert_snapshot!(lines(&Element::Network(isolated)), @r#"
    bridges { "bb-0123456789ab" }
    gateways { "bb-0123456789ab" . 06:00:00:00:00:01 }
    internal { "bb-0123456789ab" }
    inter_container { "bb-0123456789ab" . "bb-0123456789ab" }
    isolated4 { "bb-0123456789ab" }
    home4 { "bb-0123456789ab" . 172.18.0.0-172.18.255.255 }
    isolated6 { "bb-0123456789ab" }
    "#);
}

#[test]
fn ports() {
    assert_snapshot!(lines(&Element::Port(port(None, 4000, 80, 1))), @"any4 { tcp . 4000 : 172.18.0.2 . 80 }");
    assert_snapshot!(lines(&Element::Port(port(Some("127.0.0.1"), 4000, 80, 1))), @"exact4 { 127.0.0.1 . tcp . 4000 : 172.18.0.2 . 80 }");
    assert_snapshot!(lines(&Element::Port(port(None, 6000, 6000, 201))), @"range4 { tcp . 6000-6200 : 172.18.0.2 }");
    assert_snapshot!(lines(&Element::Port(port(None, 7079, 80, 2))), @r#"
    any4 { tcp . 7079 : 172.18.0.2 . 80 }
    any4 { tcp . 7080 : 172.18.0.2 . 81 }
    "#);
    assert_snapshot!(lines(&Element::Port(port(Some("192.0.2.1"), 65534, 65534, 2))), @r#"
    exact4 { 192.0.2.1 . tcp . 65534 : 172.18.0.2 . 65534 }
    exact4 { 192.0.2.1 . tcp . 65535 : 172.18.0.2 . 65535 }
    "#);
    let ipv6 = PortForward { endpoint: "fd00:1::2".parse().expect("an address"), ..port(None, 53, 53, 1) };
    assert_snapshot!(lines(&Element::Port(PortForward { protocol: Protocol::Udp, ..ipv6 })), @"any6 { udp . 53 : fd00:1::2 . 53 }");
    let open = OpenPorts {
        protocol: Protocol::Sctp,
        endpoint: "172.18.0.2".parse().expect("an address"),
        first: 80,
        count: 3,
        bridge: policy().bridge,
    };
    assert_snapshot!(lines(&Element::Open(open)), @"open4 { 172.18.0.2 . sctp . 80-82 }");
}

#[test]
fn the_whole_table() {
    let elements: Vec<SetElement> =
        [Element::Network(policy()), Element::Port(port(None, 4000, 80, 1))].iter().flat_map(compile).collect();
    let administrator = AdminChains { pre: vec!["ip saddr 203.0.113.0/24 drop".to_owned()], post: Vec::new() };
    assert_snapshot!(skeleton::render(Load::Anew, &SETS, &elements, Some(&administrator), true));
}

#[test]
fn the_rules_are_the_same_whatever_is_published() {
    let rules = |count: u16| {
        let elements: Vec<SetElement> =
            (0..count).flat_map(|offset| compile(&Element::Port(port(None, 4000 + offset, 80, 1)))).collect();
        let text = skeleton::render(Load::InPlace, &SETS, &elements, None, true);
        text.lines().filter(|line| line.starts_with("add rule")).count()
    };
    assert_eq!(rules(1), rules(500));
}

/// A set that is missing is refused by the kernel; one that no rule asks is noticed by nobody.
#[test]
fn rules_ask_every_set_and_no_other() {
    let text = skeleton::render(Load::InPlace, &SETS, &[], None, true);
    let mut asked: Vec<&str> = text.split('@').skip(1).filter_map(|rest| rest.split_whitespace().next()).collect();
    let mut declared: Vec<String> = SETS.iter().map(|set| set.name.to_string()).collect();
    asked.sort_unstable();
    asked.dedup();
    declared.sort_unstable();
    assert_eq!(asked, declared);
}

#[test]
fn a_set_with_timeouts() {
    const NAMED: Set<Expiring<(LinkName, Ipv4Addr)>> = Set::new("named");
    const TAKEN: Set<Expiring<Port>, (Ipv4Addr, Port)> = Set::of_family("taken", "4");
    assert_snapshot!(NAMED.declaration, @"set named { type ifname . ipv4_addr; flags timeout; }");
    assert_snapshot!(TAKEN.declaration, @"map taken4 { type inet_service : ipv4_addr . inet_service; flags timeout; }");
    let timeout = Duration::from_millis(86_400_000_500);
    let address = Ipv4Addr::new(192, 0, 2, 7);
    let named = NAMED.member(Expiring { key: (policy().bridge, address), timeout });
    assert_snapshot!(named, @r#""bb-0123456789ab" . 192.0.2.7 timeout 86400000s500ms"#);
    let taken = TAKEN.entry(Expiring { key: Port(80), timeout: Duration::ZERO }, (address, Port(8080)));
    assert_snapshot!(taken, @"80 timeout 0s1ms : 192.0.2.7 . 8080");
    // What the kernel tells of an element is that element; of a set with another shape it is none.
    let told = |element: &SetElement, left| NAMED.declaration.restore(&element.key.bytes, &element.value.bytes, left);
    assert_eq!(told(&named, timeout), Some(named));
    assert_eq!(told(&taken, timeout), None);
    let bridge = <Ipv4Addr as Address>::ROUTED.member(policy().bridge);
    assert_eq!(
        <Ipv4Addr as Address>::ROUTED.declaration.restore(&bridge.key.bytes, &[], timeout),
        None,
        "it doesn't expire"
    );
}

/// The order that needs no knowledge of what has expired, and that gives a new timeout before Linux 6.12 too.
#[test]
fn what_expires_is_added_and_removed_whether_there_or_not() {
    const NAMED: Set<Expiring<Port>> = Set::new("named");
    let element = || vec![NAMED.member(Expiring { key: Port(80), timeout: Duration::from_secs(1) })];
    let kinds = |change: fn(&mut Transaction, Vec<SetElement>)| {
        let mut transaction = Transaction::default();
        change(&mut transaction, element());
        let kinds = transaction.messages.iter().map(|message| u8::from(message.message_type()));
        kinds.collect::<Vec<_>>()
    };
    let (new, delete) = (12, 14);
    assert_eq!(kinds(Transaction::remove), [new, delete]);
    assert_eq!(kinds(Transaction::add), [new, delete, new]);
}

#[test]
fn fields_are_what_was_encoded() {
    fn same<F: Fields + PartialEq + std::fmt::Debug>(fields: F) {
        let Encoded { bytes, .. } = fields.encode();
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(F::decode(&bytes), Some(fields));
        assert_eq!(F::decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(F::decode(&[&bytes[..], &[0; 4]].concat()), None);
    }
    same((policy().bridge, policy().mac.expect("it has one")));
    same((crate::Family::Ipv6, Protocol::Sctp, Port(0x1234)));
    same((Ipv4Addr::new(192, 0, 2, 7), "fd00:1::2".parse::<Ipv6Addr>().expect("an address")));
    assert_eq!(Protocol::decode(&[1, 0, 0, 0]), None);
}

proptest! {
    /// Each published port leads where it should, whichever way it is expressed.
    #[test]
    fn each_port_leads_to_its_container_port(
        host_first in 1u16..=65535, container_first in 1u16..=65535, count in 1u16..300, same: bool, exact: bool,
    ) {
        let container_first = if same { host_first } else { container_first };
        let count = count.min(u16::MAX - host_first.max(container_first) + 1);
        let forward = port(exact.then_some("192.0.2.1"), host_first, container_first, count);
        let compiled = compile(&Element::Port(forward));
        for offset in 0..count {
            let (host, container) = (host_first + offset, container_first + offset);
            let leads = |element: &&SetElement| {
                let last_port = |fields: &Encoded| fields.texts.last().and_then(|text| text.parse::<u16>().ok());
                let Some(first) = last_port(&element.key) else { return false };
                match element.last.as_ref().and_then(last_port) {
                    Some(last) => (first..=last).contains(&host) && host == container,
                    None => first == host && last_port(&element.value) == Some(container),
                }
            };
            prop_assert_eq!(compiled.iter().filter(leads).count(), 1);
        }
    }
}
