//! Published ports as asked for.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    Error,
    api::{PortRange, PortRequest},
    firewall::Protocol,
};

/// Ports to publish: `count` of the container's from `container_first` on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpec {
    /// The transport protocol.
    pub protocol: Protocol,
    /// The host's address; `0.0.0.0` and `::` for all of their family, absent for all of both.
    pub host_address: Option<IpAddr>,
    /// The host's ports.
    pub host: HostPorts,
    /// The first port of the container.
    pub container_first: u16,
    /// How many ports, at least 1.
    pub count: u16,
}

/// The host's side of published ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostPorts {
    /// Free ones of the ephemeral range.
    Ephemeral,
    /// These, one to one, from the first on.
    From(u16),
    /// The first free one of a range, for a single container port.
    OneOf(PortRange),
}

impl TryFrom<PortRequest> for PortSpec {
    type Error = Error;

    fn try_from(_wire: PortRequest) -> Result<Self, Error> {
        todo!()
    }
}
