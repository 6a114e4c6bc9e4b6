//! The driver interface: the planner's trait, the facts about the host that planners and decisions may
//! use, and the configurations that drivers make of a network's options.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    sync::Arc,
};

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    api::PortRange,
    endpoint::{Address, Endpoint, Interface},
    firewall::GatewayMode,
    grant::Grantor,
    id::{DriverName, EndpointId, LinkName, MacAddress, NetworkId},
    ipam::Pool,
    network::Network,
    observed::ObservedLink,
    ports::PublishedPort,
    resource::{NamespaceAt, Resources},
    spec::{EndpointSpec, Family, NetworkSpec},
};

/// What decisions may know of the host; the daemon gathers it before each decision (or keeps it current).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostView {
    /// The MTU of the link that the default IPv4 route leaves by.
    pub default_route_mtu_bytes: Option<u32>,
    /// Destinations of the host's routes of all tables, default routes left out: subnets are chosen around them.
    pub routes: Vec<IpNetwork>,
    /// The links that [`Planner::links_to_observe`] named, where they exist.
    pub links: BTreeMap<LinkName, ObservedLink>,
    /// `net.ipv4.ip_local_port_range`: host ports are chosen from it where the caller leaves it to us.
    pub ephemeral_ports: PortRange,
    /// `net.ipv4.ip_local_reserved_ports`: never chosen.
    pub reserved_ports: BTreeSet<u16>,
    /// The host speaks IPv6: ports published on all addresses are published on `::` as well.
    pub ipv6: bool,
}

impl Default for HostView {
    /// A host about which nothing is known, with Linux's default port range.
    fn default() -> Self {
        Self {
            default_route_mtu_bytes: None,
            routes: Vec::new(),
            links: BTreeMap::new(),
            ephemeral_ports: PortRange { first: 32768, last: 60999 },
            reserved_ports: BTreeSet::new(),
            ipv6: true,
        }
    }
}

/// A network's configuration as its driver understood the options, with every choice made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriverConfig {
    /// Of driver `bridge`.
    Bridge(BridgeConfig),
    /// Of driver `host`.
    Host,
    /// Of driver `null`.
    Null,
}

impl DriverConfig {
    /// How endpoints meet the world outside, for networks that have a gateway.
    pub const fn gateway_mode(&self, family: Family) -> Option<GatewayMode> {
        match (self, family) {
            (Self::Bridge(bridge), Family::Ipv4) => Some(bridge.gateway_mode_ipv4),
            (Self::Bridge(bridge), Family::Ipv6) => Some(bridge.gateway_mode_ipv6),
            (Self::Host | Self::Null, _) => None,
        }
    }

    /// The host's address for ports that are published without one.
    pub const fn host_binding(&self) -> Option<IpAddr> {
        match self {
            Self::Bridge(bridge) => bridge.host_binding,
            Self::Host | Self::Null => None,
        }
    }

    /// Beginning of interface names inside.
    pub fn interface_prefix(&self) -> &str {
        match self {
            Self::Bridge(bridge) => &bridge.interface_prefix,
            Self::Host | Self::Null => "eth",
        }
    }
}

/// A bridge network's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeConfig {
    /// The bridge.
    pub name: LinkName,
    /// Its MAC address.
    pub mac: MacAddress,
    /// Of all of the network's links.
    pub mtu_bytes: u32,
    /// It was there before the network and belongs to somebody else: used, never made, changed or deleted.
    pub created_by_user: bool,
    /// What leaves the subnets gets the host's address.
    pub masquerade: bool,
    /// Endpoints may talk to each other.
    pub inter_container: bool,
    /// For IPv4.
    pub gateway_mode_ipv4: GatewayMode,
    /// For IPv6.
    pub gateway_mode_ipv6: GatewayMode,
    /// The addresses that it gets from us: the gateways', unless it has them already or is to have none.
    pub addresses: Vec<IpNetwork>,
    /// The host address of ports that are published without one.
    pub host_binding: Option<IpAddr>,
    /// Beginning of interface names inside.
    pub interface_prefix: String,
}

/// What is true of all networks of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriverTraits {
    /// Endpoints have links and addresses from pools.
    pub addresses: bool,
    /// There is one network of it, predefined.
    pub single_instance: bool,
    /// Its endpoints live in the host's own namespace.
    pub host_namespace: bool,
}

/// What a new endpoint has so far: all that [`Planner::attach`] needs to choose the rest.
#[derive(Debug, Clone, Copy)]
pub struct NewEndpoint<'a> {
    /// The endpoint's id.
    pub id: &'a EndpointId,
    /// What was asked for.
    pub spec: &'a EndpointSpec,
    /// The interface's name inside, chosen or asked for.
    pub interface: &'a LinkName,
    /// Its addresses.
    pub addresses: &'a [Address],
}

/// One kind of network. Planners are pure: they choose from what they are given and answer with the resources that the host
/// is to hold. How those come, change and go is the same for all of them (`crate::plan`).
pub trait Planner: Send + Sync + fmt::Debug {
    /// The driver's name, as in `--driver`.
    fn name(&self) -> &'static str;

    /// What is true of all networks of this kind.
    fn traits(&self) -> DriverTraits;

    /// Links of the host that [`Planner::configure`] wants to see in [`HostView::links`].
    ///
    /// # Errors
    /// When an option that names a link is wrong.
    fn links_to_observe(&self, _spec: &NetworkSpec) -> Result<Vec<LinkName>, Error> {
        Ok(Vec::new())
    }

    /// Parses a network's options and makes the driver's choices for it.
    ///
    /// # Errors
    /// When an option is unknown or wrong, or the host stands in the way.
    fn configure(
        &self,
        id: &NetworkId,
        spec: &NetworkSpec,
        pools: &[Pool],
        host: &HostView,
    ) -> Result<DriverConfig, Error>;

    /// Checks an endpoint's options before anything is leased for it.
    ///
    /// # Errors
    /// When an option is unknown or wrong, or doesn't fit the network.
    fn check_endpoint(&self, network: &Network, spec: &EndpointSpec) -> Result<(), Error>;

    /// Chooses what is left to choose for an endpoint; none on networks without links.
    fn attach(&self, network: &Network, endpoint: NewEndpoint<'_>) -> Option<Interface>;

    /// What a network is made of.
    fn network(&self, network: &Network) -> Resources;

    /// What an endpoint is made of, on the host and in the sandbox. The default route isn't in it.
    fn endpoint(&self, network: &Network, namespace: &NamespaceAt, endpoint: &Endpoint) -> Resources;

    /// What leads published ports to the endpoint.
    fn published_ports(&self, network: &Network, endpoint: &Endpoint, ports: &[PublishedPort]) -> Resources;

    /// What a network has while a port of its endpoints is published on the host's loopback addresses: it comes with the
    /// first such port and goes after the last.
    fn loopback_publishing(&self, network: &Network) -> Resources;
}

/// The planners by driver name.
pub trait Planners: Send + Sync {
    /// The planner of a driver.
    fn planner(&self, driver: &DriverName) -> Option<&dyn Planner>;

    /// Names of all drivers, sorted.
    fn names(&self) -> Vec<&'static str>;

    /// Whom to ask before a network of a driver, or an endpoint on one, is decided; nobody for drivers that know by themselves.
    fn grantor(&self, _driver: &DriverName) -> Option<Arc<dyn Grantor>> {
        None
    }
}
