//! The intent of the firewall; `kernel` compiles it to nftables. `docs/firewall.md` specifies both.
//!
//! Every change is a set of elements added and removed: rules exist once, in the skeleton of the table, and never name
//! a network, an endpoint or a port.

use std::{fmt, net::IpAddr};

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::id::{LinkName, MacAddress};

/// A transport protocol whose ports can be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP (IANA number 6).
    Tcp,
    /// UDP (IANA number 17).
    Udp,
    /// SCTP (IANA number 132).
    Sctp,
}

impl Protocol {
    /// The name in lower case, as nftables and Docker write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// The number in the IP header (IANA protocol numbers).
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a network's endpoints meet the world outside of their bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatewayMode {
    /// Outgoing traffic is masqueraded; only published ports are open, by the host's addresses.
    Nat,
    /// No address translation; published ports are open on the endpoint's own address.
    Routed,
    /// An internal network without an address on its bridge: not even the host is reached.
    Isolated,
}

/// What the firewall knows of one bridge network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NetworkPolicy {
    /// The bridge that all of its traffic passes.
    pub bridge: LinkName,
    /// The bridge's MAC address, if nobody but containers is on it: what is sent to it has a source of theirs. None for a
    /// bridge that the user made.
    #[serde(default)]
    pub mac: Option<MacAddress>,
    /// Its address pools, at most one a family.
    pub subnets: Vec<IpNetwork>,
    /// Whether what leaves the subnets for elsewhere gets the host's address as its source.
    pub masquerade: bool,
    /// Whether endpoints may talk to each other (`icc`).
    pub inter_container: bool,
    /// Nothing passes between the network and other interfaces of the host.
    pub internal: bool,
    /// For IPv4.
    pub gateway_mode_ipv4: GatewayMode,
    /// For IPv6.
    pub gateway_mode_ipv6: GatewayMode,
}

/// Host ports that lead to one endpoint: `host_first + i` to `container_first + i`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortForward {
    /// The transport protocol.
    pub protocol: Protocol,
    /// One address of the host, or every address of the endpoint's family.
    pub host_address: Option<IpAddr>,
    /// The first port on the host.
    pub host_first: u16,
    /// The endpoint's address.
    pub endpoint: IpAddr,
    /// The first port of the endpoint.
    pub container_first: u16,
    /// How many ports, at least 1.
    pub count: u16,
    /// The bridge that the endpoint is on.
    pub bridge: LinkName,
}

/// Ports of one endpoint that are open on its own address, without translation: how a network in
/// [`GatewayMode::Routed`] publishes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OpenPorts {
    /// The transport protocol.
    pub protocol: Protocol,
    /// The endpoint's address.
    pub endpoint: IpAddr,
    /// The first port of the endpoint.
    pub first: u16,
    /// How many ports, at least 1.
    pub count: u16,
    /// The bridge that the endpoint is on.
    pub bridge: LinkName,
}

/// One thing that the firewall's sets and maps hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Element {
    /// A bridge network.
    Network(NetworkPolicy),
    /// Published ports.
    Port(PortForward),
    /// Ports open on the endpoint's own address, in routed mode.
    Open(OpenPorts),
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(policy) => {
                write!(f, "network {}", policy.bridge)?;
                for subnet in &policy.subnets {
                    write!(f, " {subnet}")?;
                }
                write!(
                    f,
                    " masquerade={} icc={} internal={}",
                    policy.masquerade, policy.inter_container, policy.internal
                )
            }
            Self::Port(port) => {
                let host = port.host_address.map_or_else(|| "*".to_owned(), |address| address.to_string());
                write!(
                    f,
                    "port {}/{host}:{}+{} -> {}:{} on {}",
                    port.protocol, port.host_first, port.count, port.endpoint, port.container_first, port.bridge
                )
            }
            Self::Open(open) => {
                write!(f, "open {}/{}:{}+{} on {}", open.protocol, open.endpoint, open.first, open.count, open.bridge)
            }
        }
    }
}
