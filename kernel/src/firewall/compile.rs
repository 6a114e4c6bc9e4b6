//! Compiles the firewall's intent to elements of the table: pure, one element of intent at a time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cnm::firewall::{Element, GatewayMode, NetworkPolicy, OpenPorts, PortForward};

use super::{
    element::SetElement,
    field::Port,
    sets::{Address, BRIDGES, GATEWAYS, INTER_CONTAINER, INTERNAL},
};

/// The elements of sets and maps that stand for an element of intent.
pub(super) fn compile(element: &Element) -> Vec<SetElement> {
    match element {
        Element::Network(policy) => network(policy),
        Element::Port(port) => match port.endpoint {
            IpAddr::V4(endpoint) => forward(port, endpoint),
            IpAddr::V6(endpoint) => forward(port, endpoint),
        },
        Element::Open(open) => match open.endpoint {
            IpAddr::V4(endpoint) => vec![open_ports(open, endpoint)],
            IpAddr::V6(endpoint) => vec![open_ports(open, endpoint)],
        },
    }
}

fn network(policy: &NetworkPolicy) -> Vec<SetElement> {
    let bridge = || policy.bridge.clone();
    let mut elements = vec![BRIDGES.member(bridge())];
    elements.extend(policy.mac.map(|mac| GATEWAYS.member((bridge(), mac))));
    if policy.internal {
        elements.push(INTERNAL.member(bridge()));
    }
    if policy.inter_container {
        elements.push(INTER_CONTAINER.member((bridge(), bridge())));
    }
    let modes = (policy.gateway_mode_ipv4, policy.gateway_mode_ipv6);
    elements.extend(family::<Ipv4Addr>(policy, modes.0, modes.1));
    elements.extend(family::<Ipv6Addr>(policy, modes.1, modes.0));
    elements
}

/// What a network is in one family.
fn family<A: Address>(policy: &NetworkPolicy, mode: GatewayMode, other_mode: GatewayMode) -> Vec<SetElement> {
    let bridge = || policy.bridge.clone();
    let subnets: Vec<_> = policy.subnets.iter().filter_map(A::range).collect();
    let mut elements = Vec::new();
    // A family that the network doesn't have is isolated when the other is: link-local addresses would be a way around.
    if mode == GatewayMode::Isolated || (subnets.is_empty() && other_mode == GatewayMode::Isolated) {
        elements.push(A::ISOLATED.member(bridge()));
    }
    if mode == GatewayMode::Routed {
        elements.push(A::ROUTED.member(bridge()));
    }
    for subnet in subnets {
        elements.push(A::HOME.member((bridge(), *subnet.start())..=(bridge(), *subnet.end())));
        if policy.masquerade && mode == GatewayMode::Nat && !policy.internal {
            elements.push(A::MASQUERADE.member(subnet));
        }
    }
    elements
}

/// A range on any address that keeps its ports is one element, whatever its length. What else is published becomes an
/// element a port: a map's value can't be computed from its key.
fn forward<A: Address>(port: &PortForward, endpoint: A) -> Vec<SetElement> {
    let key = |host| (port.protocol, Port(host));
    if port.host_address.is_none() && port.count > 1 && port.host_first == port.container_first {
        let last = port.host_first.saturating_add(port.count - 1);
        return vec![A::RANGE.entry(key(port.host_first)..=key(last), endpoint)];
    }
    let ports = (port.host_first..=u16::MAX).zip(port.container_first..=u16::MAX).take(port.count.into());
    let element = |(host, container)| {
        let value = (endpoint, Port(container));
        match port.host_address {
            None => Some(A::ANY.entry(key(host), value)),
            // An address of the other family is nothing that the table could translate: a relay serves it.
            Some(address) => Some(A::EXACT.entry((A::of(address)?, port.protocol, Port(host)), value)),
        }
    };
    ports.filter_map(element).collect()
}

fn open_ports<A: Address>(open: &OpenPorts, endpoint: A) -> SetElement {
    let key = |port| (endpoint, open.protocol, Port(port));
    A::OPEN.member(key(open.first)..=key(open.first.saturating_add(open.count.saturating_sub(1))))
}
