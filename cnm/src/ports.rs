//! Published ports: which host ports an endpoint gets, who has which, and by which path each reaches the endpoint.

mod granted;
mod table;
#[cfg(test)]
mod tests;

pub use table::{PortContext, PortTable};

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use serde::{Deserialize, Serialize};

use crate::{api, firewall::Protocol, spec::Family};

/// Where on the host a port is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostAddress {
    /// Every IPv4 address (`0.0.0.0`).
    AnyIpv4,
    /// Every IPv6 address (`::`).
    AnyIpv6,
    /// One address.
    Exact(IpAddr),
}

impl HostAddress {
    /// What a caller means by an address.
    pub fn new(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Self::AnyIpv4,
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Self::AnyIpv6,
            exact => Self::Exact(exact),
        }
    }

    /// The address to bind.
    pub const fn ip(self) -> IpAddr {
        match self {
            Self::AnyIpv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Self::AnyIpv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            Self::Exact(address) => address,
        }
    }

    /// Its family.
    pub const fn family(self) -> Family {
        Family::of(self.ip())
    }

    /// The address to match, or none where every address of the family matches.
    pub const fn exact(self) -> Option<IpAddr> {
        match self {
            Self::AnyIpv4 | Self::AnyIpv6 => None,
            Self::Exact(address) => Some(address),
        }
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}

/// By which path a published port reaches the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortPath {
    /// The kernel translates the address.
    Forward,
    /// netd's relay passes bytes on: an IPv6 host address in front of an IPv4 endpoint.
    Relay,
    /// Nothing on the host listens; the port is open on the endpoint's own address (gateway mode `routed`).
    Open,
}

/// Ports that reach a sandbox: host port `host_first + i` leads to container port `container_first + i`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The transport protocol.
    pub protocol: Protocol,
    /// Where on the host; the endpoint's own address for [`PortPath::Open`].
    pub host: HostAddress,
    /// The first port on the host; the container's own for [`PortPath::Open`].
    pub host_first: u16,
    /// The first port in the container.
    pub container_first: u16,
    /// How many ports, at least 1.
    pub count: u16,
    /// By which way.
    pub path: PortPath,
    /// The endpoint's address that it leads to.
    pub endpoint: IpAddr,
    /// The caller named these very ports of the host: others can't be chosen instead.
    pub fixed: bool,
}

impl PublishedPort {
    /// The last port on the host.
    pub const fn host_last(&self) -> u16 {
        self.host_first + (self.count - 1)
    }

    /// The part up to a port of the host, and what is left behind it.
    fn split_after(self, last: u16) -> (Self, Option<Self>) {
        if last < self.host_first || last >= self.host_last() {
            return (self, None);
        }
        let count = last - self.host_first + 1;
        let rest = Self {
            host_first: self.host_first + count,
            container_first: self.container_first + count,
            count: self.count - count,
            ..self.clone()
        };
        (Self { count, ..self }, Some(rest))
    }

    /// Whether the host reaches it over 127.0.0.1 by translation, which needs `route_localnet` on the bridge.
    pub fn needs_route_localnet(&self) -> bool {
        let over_loopback = match self.host {
            HostAddress::AnyIpv4 => true,
            HostAddress::AnyIpv6 => false,
            HostAddress::Exact(address) => address.is_ipv4() && address.is_loopback(),
        };
        over_loopback && self.path == PortPath::Forward
    }

    /// Leads the port to another endpoint's address.
    pub(crate) fn forward_to(&mut self, endpoint: IpAddr) {
        if self.path == PortPath::Open {
            self.host = HostAddress::Exact(endpoint);
        }
        self.endpoint = endpoint;
    }

    /// As the API shows it.
    pub fn to_api(&self) -> api::PublishedPort {
        api::PublishedPort {
            protocol: self.protocol.name().to_owned(),
            host_ip: self.host.ip(),
            host_first: self.host_first,
            container_first: self.container_first,
            count: self.count,
        }
    }
}

/// Parts of ports that others don't have on the host.
pub(crate) fn without(ports: &[PublishedPort], others: &[PublishedPort]) -> Vec<PublishedPort> {
    let mut others: Vec<_> =
        others.iter().map(|other| (other.protocol, other.host, other.host_first, other.host_last())).collect();
    others.sort_unstable();
    // What they have of each address: none of it overlaps.
    let mut taken: BTreeMap<(Protocol, HostAddress), Vec<(u16, u16)>> = BTreeMap::new();
    for (protocol, host, first, last) in others {
        let taken = taken.entry((protocol, host)).or_default();
        match taken.last_mut() {
            Some(before) if before.1 >= first => before.1 = before.1.max(last),
            _ => taken.push((first, last)),
        }
    }
    let mut left = Vec::new();
    for port in ports {
        let taken = taken.get(&(port.protocol, port.host)).map_or(&[][..], Vec::as_slice);
        let from = taken.partition_point(|(_, last)| *last < port.host_first);
        let met = taken.iter().skip(from).take_while(|(first, _)| *first <= port.host_last());
        let mut rest = Some(port.clone());
        for (first, last) in met {
            let Some(port) = rest.take() else { break };
            let behind = if *first > port.host_first {
                let (before, behind) = port.split_after(first - 1);
                left.push(before);
                behind
            } else {
                Some(port)
            };
            rest = behind.and_then(|port| if *last >= port.host_last() { None } else { port.split_after(*last).1 });
        }
        left.extend(rest);
    }
    left
}

/// A socket that the daemon binds, so that nobody else on the host takes the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketSpec {
    /// The transport protocol.
    pub protocol: Protocol,
    /// The address to bind: `::` with `dual_stack` holds every address of both families.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// Bound with `IPV6_V6ONLY` off.
    pub dual_stack: bool,
    /// The relay serves this socket: where it connects to.
    pub relay_to: Option<(IpAddr, u16)>,
    /// The caller named this very port: another can't be chosen instead.
    pub fixed: bool,
}

/// The sockets to bind for ports: one dual-stack socket where a port is published on every address of both families;
/// none for ports without a host side.
pub fn sockets(ports: &[PublishedPort]) -> Vec<SocketSpec> {
    let mut sockets: BTreeMap<(Protocol, u16, IpAddr), SocketSpec> = BTreeMap::new();
    for port in ports.iter().filter(|port| port.path != PortPath::Open) {
        for offset in 0..port.count {
            let number = port.host_first + offset;
            let relay_to = (port.path == PortPath::Relay).then_some((port.endpoint, port.container_first + offset));
            let address = port.host.ip();
            let socket = SocketSpec {
                protocol: port.protocol,
                address,
                port: number,
                dual_stack: false,
                relay_to,
                fixed: port.fixed,
            };
            sockets.insert((port.protocol, number, address), socket);
        }
    }
    let any_ipv4 = HostAddress::AnyIpv4.ip();
    let any_ipv6 = HostAddress::AnyIpv6.ip();
    let both: Vec<(Protocol, u16)> = sockets
        .keys()
        .filter(|(protocol, port, address)| *address == any_ipv6 && sockets.contains_key(&(*protocol, *port, any_ipv4)))
        .map(|(protocol, port, _)| (*protocol, *port))
        .collect();
    for (protocol, port) in both {
        sockets.remove(&(protocol, port, any_ipv4));
        sockets.entry((protocol, port, any_ipv6)).and_modify(|socket| socket.dual_stack = true);
    }
    sockets.into_values().collect()
}
