//! The compiler's decisions as text, and the bytes that netlink gets for them.

use cnm::firewall::{Element, GatewayMode, NetworkPolicy, OpenPorts, PortForward, Protocol};
use insta::assert_snapshot;
use proptest::prelude::*;

use super::{
    compile::compile,
    element::{Field, SetElement},
    skeleton::{self, Load, SETS},
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
    assert_snapshot!(skeleton::render(Load::Anew, &elements, Some(&administrator), true));
}

#[test]
fn the_rules_are_the_same_whatever_is_published() {
    let rules = |count: u16| {
        let elements: Vec<SetElement> =
            (0..count).flat_map(|offset| compile(&Element::Port(port(None, 4000 + offset, 80, 1)))).collect();
        let text = skeleton::render(Load::InPlace, &elements, None, true);
        text.lines().filter(|line| line.starts_with("add rule")).count()
    };
    assert_eq!(rules(1), rules(500));
}

#[test]
fn every_element_is_for_a_set_that_exists() {
    let routed = NetworkPolicy { gateway_mode_ipv4: GatewayMode::Routed, internal: true, ..policy() };
    for element in [Element::Network(policy()), Element::Network(routed), Element::Port(port(None, 1, 2, 3))] {
        for compiled in compile(&element) {
            assert!(SETS.iter().any(|(name, _, _)| *name == compiled.set), "{} isn't in the skeleton", compiled.set);
        }
    }
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
                let (Some(Field::Port(first)), last) = (element.key.last(), element.last.as_ref()) else { return false };
                match last.and_then(|last| last.last()) {
                    Some(Field::Port(last)) => (*first..=*last).contains(&host) && host == container,
                    _ => *first == host && element.value.last() == Some(&Field::Port(container)),
                }
            };
            prop_assert_eq!(compiled.iter().filter(leads).count(), 1);
        }
    }
}
