//! From the model's words to elements of the table: pure, one element of intent at a time.

use std::net::IpAddr;

use cnm::{
    firewall::{Element, GatewayMode, NetworkPolicy, OpenPorts, PortForward},
    id::LinkName,
};
use ipnetwork::IpNetwork;

use super::element::{Field, SetElement};

/// The elements of sets and maps that stand for an element of intent.
pub(super) fn compile(element: &Element) -> Vec<SetElement> {
    match element {
        Element::Network(policy) => network(policy),
        Element::Port(port) => forward(port),
        Element::Open(open) => vec![open_ports(open)],
    }
}

fn network(policy: &NetworkPolicy) -> Vec<SetElement> {
    let bridge = || Field::Link(policy.bridge.clone());
    let mut elements = vec![member("bridges", vec![bridge()])];
    if let Some(mac) = policy.mac {
        elements.push(member("gateways", vec![bridge(), Field::Mac(mac)]));
    }
    if policy.internal {
        elements.push(member("internal", vec![bridge()]));
    }
    if policy.inter_container {
        elements.push(member("inter_container", vec![bridge(), bridge()]));
    }
    for (ipv4, mode) in [(true, policy.gateway_mode_ipv4), (false, policy.gateway_mode_ipv6)] {
        let name = |four, six| if ipv4 { four } else { six };
        if is_isolated(policy, ipv4) {
            elements.push(member(name("isolated4", "isolated6"), vec![bridge()]));
        }
        if mode == GatewayMode::Routed {
            elements.push(member(name("routed4", "routed6"), vec![bridge()]));
        }
        for subnet in policy.subnets.iter().filter(|subnet| subnet.is_ipv4() == ipv4) {
            elements.push(home(name("home4", "home6"), &policy.bridge, subnet));
            if policy.masquerade && mode == GatewayMode::Nat && !policy.internal {
                elements.push(interval(
                    name("masquerade4", "masquerade6"),
                    vec![subnet.network().into()],
                    vec![subnet.broadcast().into()],
                ));
            }
        }
    }
    elements
}

/// A family that the network doesn't have is isolated when the other is: link-local addresses would be a way around.
fn is_isolated(policy: &NetworkPolicy, ipv4: bool) -> bool {
    let (own, other) = if ipv4 {
        (policy.gateway_mode_ipv4, policy.gateway_mode_ipv6)
    } else {
        (policy.gateway_mode_ipv6, policy.gateway_mode_ipv4)
    };
    let has_family = policy.subnets.iter().any(|subnet| subnet.is_ipv4() == ipv4);
    own == GatewayMode::Isolated || (!has_family && other == GatewayMode::Isolated)
}

fn home(set: &'static str, bridge: &LinkName, subnet: &IpNetwork) -> SetElement {
    let key = |address: IpAddr| vec![Field::Link(bridge.clone()), address.into()];
    interval(set, key(subnet.network()), key(subnet.broadcast()))
}

/// A range on any address that keeps its ports is one element, whatever its length. What else is published becomes an
/// element a port: a map's value can't be computed from its key.
fn forward(port: &PortForward) -> Vec<SetElement> {
    let ipv4 = port.endpoint.is_ipv4();
    let name = |four, six| if ipv4 { four } else { six };
    if port.host_address.is_none() && port.count > 1 && port.host_first == port.container_first {
        let key = |port_number| vec![Field::Protocol(port.protocol), Field::Port(port_number)];
        let last = port.host_first.saturating_add(port.count - 1);
        let mut element = interval(name("range4", "range6"), key(port.host_first), key(last));
        element.value = vec![port.endpoint.into()];
        return vec![element];
    }
    let ports = (port.host_first..=u16::MAX).zip(port.container_first..=u16::MAX).take(port.count.into());
    let element = |(host, container)| {
        let (set, mut key) = match port.host_address {
            Some(address) => (name("exact4", "exact6"), vec![address.into()]),
            None => (name("any4", "any6"), Vec::new()),
        };
        key.extend([Field::Protocol(port.protocol), Field::Port(host)]);
        SetElement { set, key, last: None, value: vec![port.endpoint.into(), Field::Port(container)] }
    };
    ports.map(element).collect()
}

fn open_ports(open: &OpenPorts) -> SetElement {
    let set = if open.endpoint.is_ipv4() { "open4" } else { "open6" };
    let key = |port| vec![open.endpoint.into(), Field::Protocol(open.protocol), Field::Port(port)];
    interval(set, key(open.first), key(open.first.saturating_add(open.count.saturating_sub(1))))
}

pub(super) fn member(set: &'static str, key: Vec<Field>) -> SetElement {
    SetElement { set, key, last: None, value: Vec::new() }
}

fn interval(set: &'static str, first: Vec<Field>, last: Vec<Field>) -> SetElement {
    SetElement { set, key: first, last: Some(last), value: Vec::new() }
}
