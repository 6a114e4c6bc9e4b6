//! Reading links, addresses, routes and neighbours back.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use cnm::{
    id::{LinkName, MacAddress},
    observed::{LinkKind, ObservedLink, ObservedNamespace},
    resource::{LinkAt, NamespaceAt, Neighbour, Route},
};
use ipnetwork::IpNetwork;
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressMessage},
    link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState},
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteProtocol, RouteType},
};

use super::Socket;
use crate::names::ROUTE_PROTOCOL;

/// What the host's routes and addresses say to those who choose subnets and MTUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostRoutes {
    pub(crate) routes: Vec<IpNetwork>,
    pub(crate) addresses: Vec<IpNetwork>,
    pub(crate) default_route_mtu_bytes: Option<u32>,
}

impl Socket {
    fn links(&mut self) -> io::Result<Vec<LinkMessage>> {
        let dump = self.inner.dump(|| RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        Ok(dump
            .into_iter()
            .filter_map(|m| if let RouteNetlinkMessage::NewLink(link) = m { Some(link) } else { None })
            .collect())
    }

    fn addresses(&mut self) -> io::Result<Vec<AddressMessage>> {
        let dump = self.inner.dump(|| RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
        Ok(dump
            .into_iter()
            .filter_map(|m| if let RouteNetlinkMessage::NewAddress(address) = m { Some(address) } else { None })
            .collect())
    }

    fn routes(&mut self) -> io::Result<Vec<RouteMessage>> {
        let mut routes = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let dump = self.inner.dump(|| {
                let mut message = RouteMessage::default();
                message.header.address_family = family;
                RouteNetlinkMessage::GetRoute(message)
            })?;
            routes.extend(
                dump.into_iter()
                    .filter_map(|m| if let RouteNetlinkMessage::NewRoute(route) = m { Some(route) } else { None }),
            );
        }
        Ok(routes)
    }

    fn neighbours(&mut self) -> io::Result<Vec<NeighbourMessage>> {
        let dump = self.inner.dump(|| RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()))?;
        Ok(dump
            .into_iter()
            .filter_map(|m| if let RouteNetlinkMessage::NewNeighbour(neighbour) = m { Some(neighbour) } else { None })
            .collect())
    }

    /// All links that pass, with their addresses and permanent neighbours, and our routes. `at` is where this socket is.
    pub(crate) fn observe(
        &mut self,
        at: &NamespaceAt,
        wanted: impl Fn(&LinkName) -> bool,
    ) -> io::Result<ObservedNamespace> {
        let links = self.links()?;
        let names: BTreeMap<u32, LinkName> =
            links.iter().filter_map(|link| Some((link.header.index, link_name(link)?))).collect();
        let mut addresses: BTreeMap<u32, BTreeSet<IpNetwork>> = BTreeMap::new();
        for message in self.addresses()? {
            if let Some(address) = address_of(&message) {
                addresses.entry(message.header.index).or_default().insert(address);
            }
        }
        let mut seen = ObservedNamespace::default();
        for link in &links {
            let Some(name) = names.get(&link.header.index).filter(|name| wanted(name)) else { continue };
            let addresses = addresses.remove(&link.header.index).unwrap_or_default();
            seen.links.insert(name.clone(), observed_link(link, &names, addresses));
        }
        let place = |name: &LinkName| LinkAt { namespace: at.clone(), name: name.clone() };
        let places = names.iter().map(|(index, name)| (*index, place(name))).collect();
        let ours = RouteProtocol::from(ROUTE_PROTOCOL);
        let routes = self.routes()?.into_iter().filter(|route| route.header.protocol == ours);
        seen.routes = routes.filter_map(|route| observed_route(&route, &places)).collect();
        let neighbours = self.neighbours()?;
        let neighbours = neighbours.iter().filter_map(|neighbour| observed_neighbour(neighbour, &places));
        seen.neighbours = neighbours.filter(|neighbour| seen.links.contains_key(&neighbour.link.name)).collect();
        Ok(seen)
    }

    /// Bridges of others than us that have no port but to containers and virtual machines.
    pub(crate) fn virtual_bridges(&mut self) -> io::Result<BTreeSet<LinkName>> {
        let links = self.links()?;
        let is_virtual =
            |link: &LinkMessage| matches!(info_kind(link), Some(InfoKind::Veth | InfoKind::Tun | InfoKind::Dummy));
        let physical: BTreeSet<u32> = links.iter().filter(|link| !is_virtual(link)).filter_map(bridge_index).collect();
        let bridges = links.iter().filter(|link| kind_of(link) == LinkKind::Bridge);
        let bridges = bridges.filter(|bridge| !physical.contains(&bridge.header.index)).filter_map(link_name);
        Ok(bridges.filter(|name| !name.is_ours()).collect())
    }

    /// Routes to keep clear of, the host's addresses, and the MTU towards the world.
    pub(crate) fn host_routes(&mut self) -> io::Result<HostRoutes> {
        let links = self.links()?;
        let ours: BTreeSet<u32> = links
            .iter()
            .filter(|link| link_name(link).is_some_and(|name| name.is_ours()))
            .map(|link| link.header.index)
            .collect();
        let routes = self.routes()?;
        let default_route_mtu_bytes = default_route_mtu(&routes, &links);
        let routes = routes
            .iter()
            .filter(|route| route_link(route).is_none_or(|index| !ours.contains(&index)))
            .filter(|route| {
                !matches!(route.header.kind, RouteType::Multicast | RouteType::Broadcast | RouteType::Anycast)
            })
            .filter_map(route_destination)
            .filter(|destination| destination.prefix() > 0)
            .collect::<BTreeSet<_>>();
        let addresses = self.addresses()?.iter().filter_map(address_of).collect();
        Ok(HostRoutes { routes: routes.into_iter().collect(), addresses, default_route_mtu_bytes })
    }
}

/// The smallest MTU that the best default route promises: its own metric, else its link's. IPv4's route goes first.
fn default_route_mtu(routes: &[RouteMessage], links: &[LinkMessage]) -> Option<u32> {
    let priority = |route: &RouteMessage| {
        route
            .attributes
            .iter()
            .find_map(|a| if let RouteAttribute::Priority(p) = a { Some(*p) } else { None })
            .unwrap_or(0)
    };
    let best = routes
        .iter()
        .filter(|route| route.header.destination_prefix_length == 0 && route.header.kind == RouteType::Unicast)
        .min_by_key(|route| (route.header.address_family != AddressFamily::Inet, priority(route)))?;
    let metric = best.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Metrics(metrics) => {
            metrics.iter().find_map(|metric| if let RouteMetric::Mtu(mtu) = metric { Some(*mtu) } else { None })
        }
        _ => None,
    });
    metric.or_else(|| {
        let index = route_link(best)?;
        links.iter().find(|link| link.header.index == index).map(mtu_of)
    })
}

pub(super) fn observed_link(
    link: &LinkMessage,
    names: &BTreeMap<u32, LinkName>,
    addresses: BTreeSet<IpNetwork>,
) -> ObservedLink {
    let bridge = bridge_index(link).and_then(|index| names.get(&index).cloned());
    ObservedLink {
        kind: kind_of(link),
        mac: mac_of(link),
        mtu_bytes: mtu_of(link),
        up: link.header.flags.contains(LinkFlags::Up),
        bridge,
        addresses,
    }
}

pub(super) fn kind_of(link: &LinkMessage) -> LinkKind {
    if link.header.flags.contains(LinkFlags::Loopback) {
        return LinkKind::Loopback;
    }
    match info_kind(link) {
        Some(InfoKind::Bridge) => LinkKind::Bridge,
        Some(InfoKind::Veth) => LinkKind::Veth,
        _ => LinkKind::Other,
    }
}

fn info_kind(link: &LinkMessage) -> Option<&InfoKind> {
    let info =
        link.attributes.iter().find_map(|a| if let LinkAttribute::LinkInfo(info) = a { Some(info) } else { None })?;
    info.iter().find_map(|i| if let LinkInfo::Kind(kind) = i { Some(kind) } else { None })
}

/// The index of the link that it is a port of.
pub(super) fn bridge_index(link: &LinkMessage) -> Option<u32> {
    link.attributes.iter().find_map(|a| if let LinkAttribute::Controller(index) = a { Some(*index) } else { None })
}

pub(super) fn link_name(link: &LinkMessage) -> Option<LinkName> {
    link.attributes.iter().find_map(|a| if let LinkAttribute::IfName(name) = a { name.parse().ok() } else { None })
}

fn mac_of(link: &LinkMessage) -> Option<MacAddress> {
    let bytes =
        link.attributes.iter().find_map(|a| if let LinkAttribute::Address(mac) = a { Some(mac) } else { None })?;
    let bytes: [u8; 6] = bytes.as_slice().try_into().ok()?;
    (bytes != [0; 6]).then_some(MacAddress(bytes))
}

fn mtu_of(link: &LinkMessage) -> u32 {
    link.attributes.iter().find_map(|a| if let LinkAttribute::Mtu(mtu) = a { Some(*mtu) } else { None }).unwrap_or(0)
}

/// The address of the link itself: on point-to-point links `Address` is the other side's.
fn address_of(message: &AddressMessage) -> Option<IpNetwork> {
    let local =
        message.attributes.iter().find_map(|a| if let AddressAttribute::Local(ip) = a { Some(*ip) } else { None });
    let address =
        message.attributes.iter().find_map(|a| if let AddressAttribute::Address(ip) = a { Some(*ip) } else { None });
    IpNetwork::new(local.or(address)?, message.header.prefix_len).ok()
}

fn route_link(route: &RouteMessage) -> Option<u32> {
    route.attributes.iter().find_map(|a| if let RouteAttribute::Oif(index) = a { Some(*index) } else { None })
}

fn route_destination(route: &RouteMessage) -> Option<IpNetwork> {
    let stated =
        route.attributes.iter().find_map(|a| if let RouteAttribute::Destination(to) = a { ip_of(to) } else { None });
    let any = match route.header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    IpNetwork::new(stated.unwrap_or(any), route.header.destination_prefix_length).ok()
}

fn observed_route(route: &RouteMessage, places: &BTreeMap<u32, LinkAt>) -> Option<Route> {
    let gateway =
        route.attributes.iter().find_map(|a| if let RouteAttribute::Gateway(via) = a { ip_of(via) } else { None });
    Some(Route { destination: route_destination(route)?, gateway, link: places.get(&route_link(route)?)?.clone() })
}

fn observed_neighbour(message: &NeighbourMessage, places: &BTreeMap<u32, LinkAt>) -> Option<Neighbour> {
    if message.header.state != NeighbourState::Permanent {
        return None;
    }
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => Some(IpAddr::V4(*v4)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => Some(IpAddr::V6(*v6)),
        _ => None,
    })?;
    let mac = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(mac) => mac.as_slice().try_into().ok().map(MacAddress),
        _ => None,
    })?;
    Some(Neighbour { link: places.get(&message.header.ifindex)?.clone(), address, mac })
}

fn ip_of(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some(IpAddr::V4(*v4)),
        RouteAddress::Inet6(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}
