//! Published ports as asked for.

use std::{net::IpAddr, str::FromStr};

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

impl PortSpec {
    /// Whether the caller named the very port on the host, so that another can't be chosen instead.
    pub const fn is_fixed(&self) -> bool {
        matches!(self.host, HostPorts::From(_))
    }
}

impl TryFrom<PortRequest> for PortSpec {
    type Error = Error;

    fn try_from(wire: PortRequest) -> Result<Self, Error> {
        let protocol: Protocol = wire.protocol.parse()?;
        let container = wire.container_ports;
        let count = check_range("container", container)?;
        let host = match wire.host_ports {
            None => HostPorts::Ephemeral,
            Some(host) => match check_range("host", host)? {
                length if length == count => HostPorts::From(host.first),
                _ if count == 1 => HostPorts::OneOf(host),
                _ => {
                    return Err(Error::invalid(format!(
                        "invalid ranges specified for container and host Ports: {}-{} and {}-{}: their lengths differ",
                        container.first, container.last, host.first, host.last
                    )));
                }
            },
        };
        let host_address = wire.host_ip.as_deref().map(parse_host_address).transpose()?;
        Ok(Self { protocol, host_address, host, container_first: container.first, count })
    }
}

fn check_range(side: &str, range: PortRange) -> Result<u16, Error> {
    if range.first == 0 {
        return Err(Error::invalid(format!("invalid {side} port 0: a port from 1 to 65535 is expected")));
    }
    if range.last < range.first {
        return Err(Error::invalid(format!(
            "invalid {side} port range {}-{}: its end is before its beginning",
            range.first, range.last
        )));
    }
    // From 1 to 65535 at most: the length fits.
    Ok(range.last - range.first + 1)
}

fn parse_host_address(text: &str) -> Result<IpAddr, Error> {
    let address: IpAddr = text.parse().map_err(|_| {
        Error::invalid(format!("invalid IP address: {text}: an address of this host is expected to publish ports on"))
    })?;
    if address.is_multicast() {
        return Err(Error::invalid(format!("invalid IP address: {text}: ports can't be published on multicast")));
    }
    Ok(address.to_canonical())
}

impl FromStr for Protocol {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        [Self::Tcp, Self::Udp, Self::Sctp]
            .into_iter()
            .find(|protocol| text.eq_ignore_ascii_case(protocol.name()))
            .ok_or_else(|| Error::invalid(format!("invalid proto: {text}: tcp, udp or sctp is expected")))
    }
}
