//! What callers ask for, validated: each type here is made from its wire type in [`crate::api`] and can't be wrong in
//! itself. What depends on other objects or on the host is checked where it is decided, in [`crate::state`].

mod endpoint;
mod network;
mod ports;
mod sandbox;
#[cfg(test)]
mod tests;

pub use endpoint::{EndpointSpec, INTERFACE_OPTION, NetworkRef};
pub use network::{NetworkSpec, PoolSpec, SubnetRequest};
pub use ports::{HostPorts, PortSpec};
pub use sandbox::{NamespaceSpec, SandboxSpec};

use std::fmt;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// The family of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// The family of a prefix.
    pub const fn of_network(network: IpNetwork) -> Self {
        match network {
            IpNetwork::V4(_) => Self::Ipv4,
            IpNetwork::V6(_) => Self::Ipv6,
        }
    }

    /// How many bits an address of it has.
    pub const fn bits(self) -> u8 {
        match self {
            Self::Ipv4 => 32,
            Self::Ipv6 => 128,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}
