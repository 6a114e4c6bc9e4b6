//! Driver `bridge`: a Linux bridge on the host, a veth pair for each endpoint.

mod options;

use std::net::IpAddr;

use cnm::{
    Error,
    driver::{BridgeConfig, DriverConfig, DriverTraits, HostView, NewEndpoint, Planner},
    endpoint::{Endpoint, Interface},
    firewall::{Element, GatewayMode, NetworkPolicy, OpenPorts, PortForward},
    id::{LinkName, MacAddress, NetworkId},
    ipam::Pool,
    network::Network,
    observed::{LinkKind, ObservedLink},
    ports::{PortPath, PublishedPort},
    resource::{Bridge, LinkAddress, LinkAt, NamespaceAt, Neighbour, Resource, Resources, Sysctl, VethPair},
    spec::{EndpointSpec, Family, INTERFACE_OPTION, NetworkSpec},
};
use ipnetwork::IpNetwork;
use options::Options;

use crate::options::{OPTIONS_OF_ENDPOINTS, unknown, unsupported};

/// Ethernet's, where the host's default route doesn't say better.
const DEFAULT_MTU_BYTES: u32 = 1500;

/// RFC 8200 section 5: links that carry less have no IPv6, and no sysctls of it.
const IPV6_LEAST_MTU_BYTES: u32 = 1280;

/// The planner of driver `bridge`.
#[derive(Debug, Clone, Copy)]
pub struct BridgePlanner;

impl Planner for BridgePlanner {
    fn name(&self) -> &'static str {
        "bridge"
    }

    fn traits(&self) -> DriverTraits {
        DriverTraits { addresses: true, single_instance: false, host_namespace: false }
    }

    fn links_to_observe(&self, spec: &NetworkSpec) -> Result<Vec<LinkName>, Error> {
        let options = Options::parse(spec)?;
        Ok(options.name.or_else(|| options.default_bridge.then(default_bridge)).into_iter().collect())
    }

    fn configure(
        &self,
        id: &NetworkId,
        spec: &NetworkSpec,
        pools: &[Pool],
        host: &HostView,
    ) -> Result<DriverConfig, Error> {
        let options = Options::parse(spec)?;
        let there = options.name.as_ref().and_then(|name| host.links.get(name));
        if let Some(name) = options.name.as_ref().filter(|_| there.is_some_and(|link| link.kind != LinkKind::Bridge)) {
            return Err(Error::invalid(format!(
                "cannot make network {} on link {name}: it exists and isn't a bridge",
                spec.name
            )));
        }
        let modes = |subnet| match Family::of_network(subnet) {
            Family::Ipv4 => (options.gateway_mode_ipv4, options.inhibit_ipv4),
            Family::Ipv6 => (options.gateway_mode_ipv6, false),
        };
        let addresses = pools
            .iter()
            .filter(|pool| matches!(modes(pool.subnet), (GatewayMode::Nat | GatewayMode::Routed, false)))
            .map(Pool::gateway_on_link)
            .filter(|address| !there.is_some_and(|link| link.addresses.contains(address)))
            .collect();
        Ok(DriverConfig::Bridge(BridgeConfig {
            mac: there.and_then(|link| link.mac).unwrap_or_else(|| MacAddress::of_bridge(id)),
            mtu_bytes: choose_mtu(&options, there, host),
            created_by_user: there.is_some(),
            name: choose_name(id, &options),
            masquerade: options.masquerade,
            inter_container: options.inter_container,
            gateway_mode_ipv4: options.gateway_mode_ipv4,
            gateway_mode_ipv6: options.gateway_mode_ipv6,
            addresses,
            host_binding: options.host_binding,
            interface_prefix: options.interface_prefix,
        }))
    }

    fn check_endpoint(&self, _network: &Network, spec: &EndpointSpec) -> Result<(), Error> {
        spec.options.keys().filter(|option| *option != INTERFACE_OPTION).try_for_each(|option| match option.as_str() {
            "com.docker.network.endpoint.sysctls" => {
                Err(unsupported(option, "sysctls of an interface aren't set by this release"))
            }
            _ => unknown("bridge", OPTIONS_OF_ENDPOINTS, option),
        })
    }

    fn attach(&self, network: &Network, endpoint: NewEndpoint<'_>) -> Option<Interface> {
        let config = config_of(network)?;
        let derived = endpoint.addresses.iter().find_map(|address| match address.address.ip() {
            IpAddr::V4(address) => Some(MacAddress::of_ipv4(address)),
            IpAddr::V6(_) => None,
        });
        Some(Interface {
            host_end: LinkName::of_host_end(endpoint.id),
            name: endpoint.interface.clone(),
            mac: endpoint.spec.mac.or(derived)?,
            addresses: endpoint.addresses.to_vec(),
            isolated: !config.inter_container,
        })
    }

    fn network(&self, network: &Network) -> Resources {
        let Some(config) = config_of(network) else { return Resources::new() };
        let policy = NetworkPolicy {
            bridge: config.name.clone(),
            mac: (!config.created_by_user).then_some(config.mac),
            subnets: network.pools.iter().map(|pool| pool.subnet).collect(),
            masquerade: config.masquerade,
            inter_container: config.inter_container,
            internal: network.spec.internal,
            gateway_mode_ipv4: config.gateway_mode_ipv4,
            gateway_mode_ipv6: config.gateway_mode_ipv6,
        };
        // The firewall first: there is no moment at which the bridge is open.
        let firewall = Resource::Element(Element::Network(policy));
        let bridge = Bridge { name: config.name.clone(), mac: config.mac, mtu_bytes: config.mtu_bytes };
        let make = (!config.created_by_user).then_some(Resource::Bridge(bridge));
        let link = LinkAt::on_host(&config.name);
        let closed = if config.created_by_user { Vec::new() } else { close_to_advertisements(network, config, &link) };
        let addresses = config.addresses.iter().map(|address| address_of(&link, *address));
        [firewall].into_iter().chain(make).chain(closed).chain(addresses).collect()
    }

    fn endpoint(&self, network: &Network, namespace: &NamespaceAt, endpoint: &Endpoint) -> Resources {
        let (Some(config), Some(interface)) = (config_of(network), endpoint.interface()) else {
            return Resources::new();
        };
        let peer = LinkAt { namespace: namespace.clone(), name: interface.name.clone() };
        let addresses = interface.addresses.iter().map(|address| address_of(&peer, address.address));
        let pair = VethPair {
            host_end: interface.host_end.clone(),
            bridge: config.name.clone(),
            peer: peer.clone(),
            peer_mac: interface.mac,
            mtu_bytes: config.mtu_bytes,
            isolated: interface.isolated,
        };
        let host_end = LinkAt::on_host(&interface.host_end);
        let ends = [Some(&host_end), endpoint.address(Family::Ipv6).is_none().then_some(&peer)];
        let without_ipv6 =
            ends.into_iter().flatten().filter(|_| config.mtu_bytes >= IPV6_LEAST_MTU_BYTES).map(disable_ipv6);
        containers_neighbours(config, interface)
            .chain([Resource::Veth(pair)])
            .chain(without_ipv6)
            .chain(addresses)
            .chain(gateways_neighbours(config, interface, &peer))
            .collect()
    }

    fn published_ports(&self, network: &Network, _endpoint: &Endpoint, ports: &[PublishedPort]) -> Resources {
        let Some(config) = config_of(network) else { return Resources::new() };
        ports.iter().filter_map(|port| port_element(config, port)).map(Resource::Element).collect()
    }

    fn loopback_publishing(&self, network: &Network) -> Resources {
        let route_localnet = |config: &BridgeConfig| {
            Resource::Sysctl(Sysctl {
                namespace: NamespaceAt::Host,
                key: format!("net/ipv4/conf/{}/route_localnet", config.name),
                value: "1".to_owned(),
                previous: "0".to_owned(),
            })
        };
        config_of(network).map(route_localnet).into_iter().collect()
    }
}

const fn config_of(network: &Network) -> Option<&BridgeConfig> {
    match &network.config {
        DriverConfig::Bridge(config) => Some(config),
        DriverConfig::Host | DriverConfig::Null => None,
    }
}

fn choose_name(id: &NetworkId, options: &Options) -> LinkName {
    match &options.name {
        Some(name) => name.clone(),
        None if options.default_bridge => default_bridge(),
        None => LinkName::of_bridge(id),
    }
}

fn default_bridge() -> LinkName {
    LinkName::DEFAULT_BRIDGE.parse().expect("a literal link name is valid")
}

/// What the caller says, else what a bridge that is there has, else what the host's default route carries: longer packets
/// would be lost where a VPN or a cloud's network is in between.
fn choose_mtu(options: &Options, there: Option<&ObservedLink>, host: &HostView) -> u32 {
    options.mtu_bytes.or(there.map(|link| link.mtu_bytes)).or(host.default_route_mtu_bytes).unwrap_or(DEFAULT_MTU_BYTES)
}

/// What a bridge of ours needs so that no container makes itself the host's router by a forged advertisement
/// (CVE-2020-13401). A bridge that the user made may be the host's own default gateway: it is left as it is.
fn close_to_advertisements(network: &Network, config: &BridgeConfig, bridge: &LinkAt) -> Resources {
    if config.mtu_bytes < IPV6_LEAST_MTU_BYTES {
        return Resources::new();
    }
    if network.pools.iter().all(|pool| pool.subnet.is_ipv4()) {
        return vec![disable_ipv6(bridge)];
    }
    ["accept_ra", "autoconf"].map(|name| set_ipv6(bridge, name, "0", "1")).into()
}

/// A link without an IPv6 address of ours would get a link-local one by itself, and with it a way around what is decided
/// for IPv4 alone. A host end needs none, whatever its network has: the bridge hands frames for some group addresses
/// (01-80-C2-00-00-0E, LLDP's) to the port that they came by, and a router advertisement in one would be taken there.
fn disable_ipv6(link: &LinkAt) -> Resource {
    set_ipv6(link, "disable_ipv6", "1", "0")
}

fn set_ipv6(link: &LinkAt, name: &str, value: &str, previous: &str) -> Resource {
    Resource::Sysctl(Sysctl {
        namespace: link.namespace.clone(),
        key: format!("net/ipv6/conf/{}/{name}", link.name),
        value: value.to_owned(),
        previous: previous.to_owned(),
    })
}

/// Host and container know each other's MAC addresses from the start: neither asks for them, and no neighbour's forged
/// answer makes them believe others. This is the host's side.
fn containers_neighbours(config: &BridgeConfig, interface: &Interface) -> impl Iterator<Item = Resource> {
    let bridge = LinkAt::on_host(&config.name);
    interface.addresses.iter().map(move |address| neighbour(&bridge, address.address.ip(), interface.mac))
}

/// The container's side. A bridge that the user made may change its address, and its gateway be another machine.
fn gateways_neighbours(config: &BridgeConfig, interface: &Interface, peer: &LinkAt) -> impl Iterator<Item = Resource> {
    let is_bridges = |gateway: &IpAddr| config.addresses.iter().any(|address| address.ip() == *gateway);
    let gateways = interface.addresses.iter().filter(|_| !config.created_by_user).filter_map(|address| address.gateway);
    gateways.filter(is_bridges).map(|gateway| neighbour(peer, gateway, config.mac))
}

fn neighbour(link: &LinkAt, address: IpAddr, mac: MacAddress) -> Resource {
    Resource::Neighbour(Neighbour { link: link.clone(), address, mac })
}

fn address_of(link: &LinkAt, address: IpNetwork) -> Resource {
    Resource::Address(LinkAddress { link: link.clone(), address })
}

fn port_element(config: &BridgeConfig, port: &PublishedPort) -> Option<Element> {
    let bridge = config.name.clone();
    match port.path {
        PortPath::Forward => Some(Element::Port(PortForward {
            protocol: port.protocol,
            host_address: port.host.exact(),
            host_first: port.host_first,
            endpoint: port.endpoint,
            container_first: port.container_first,
            count: port.count,
            bridge,
        })),
        PortPath::Open => Some(Element::Open(OpenPorts {
            protocol: port.protocol,
            endpoint: port.endpoint,
            first: port.container_first,
            count: port.count,
            bridge,
        })),
        PortPath::Relay => None,
    }
}
