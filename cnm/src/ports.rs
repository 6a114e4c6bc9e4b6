//! Published ports: which host ports an endpoint gets, who holds which, and by which way each is led.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
};

use serde::{Deserialize, Serialize};

use crate::{
    Error, api,
    api::PortRange,
    firewall::{GatewayMode, Protocol},
    id::SandboxId,
    spec::{Family, PortSpec},
};

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

/// By which way a published port reaches the endpoint.
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
    /// Where on the host.
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
}

/// A socket that the daemon binds, so that nobody else on the host takes the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeldSocket {
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

/// Who holds which ports of the host.
#[derive(Debug, Clone, Default)]
pub struct PortTable {
    held: BTreeMap<(Protocol, HostAddress), BTreeMap<u16, Held>>,
    next_ephemeral: u16,
}

/// A run of ports of one address and the sandbox that has them.
#[derive(Debug, Clone)]
struct Held {
    last: u16,
    holder: SandboxId,
    name: String,
}

/// What ports may be chosen from, and in front of what.
#[derive(Debug, Clone, Copy)]
pub struct PortContext<'a> {
    /// Host ports for callers who name none.
    pub ephemeral: PortRange,
    /// Never chosen: reserved by the administrator, or found in use by somebody else.
    pub avoid: &'a BTreeSet<(Protocol, u16)>,
    /// The host's address where the caller names none.
    pub host_binding: Option<IpAddr>,
    /// The host speaks IPv6.
    pub host_ipv6: bool,
    /// The endpoint's IPv4 address with the mode of its network's gateway.
    pub ipv4: Option<(IpAddr, GatewayMode)>,
    /// The endpoint's IPv6 address with the mode of its network's gateway.
    pub ipv6: Option<(IpAddr, GatewayMode)>,
}

impl PortTable {
    /// Chooses host ports for all specs and holds them for the sandbox, or refuses and holds nothing.
    ///
    /// # Errors
    /// When a port is published already (the holder is named), none is free, or the endpoint can't be reached by it.
    pub fn publish(
        &mut self,
        _holder: &SandboxId,
        _name: &str,
        _specs: &[PortSpec],
        _context: PortContext<'_>,
    ) -> Result<Vec<PublishedPort>, Error> {
        todo!()
    }

    /// Holds ports chosen before a restart.
    pub fn restore(&mut self, _holder: &SandboxId, _name: &str, _ports: &[PublishedPort]) {
        todo!()
    }

    /// Gives ports back.
    pub fn release(&mut self, _ports: &[PublishedPort]) {
        todo!()
    }
}

/// The sockets to bind for ports, given what was asked for: one dual-stack socket where a port is published on every
/// address of both families; none for ports without a host side.
pub fn sockets(_ports: &[PublishedPort], _specs: &[PortSpec]) -> Vec<HeldSocket> {
    todo!()
}
