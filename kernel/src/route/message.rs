//! The messages that change links, addresses, routes and neighbours, as values.

use std::{
    net::IpAddr,
    os::fd::{AsRawFd, BorrowedFd},
};

use cnm::{
    id::{LinkName, MacAddress},
    resource::{Bridge, Neighbour, Route, VethPair},
};
use ipnetwork::IpNetwork;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope},
    link::{
        InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo,
        LinkMessage,
    },
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState},
    route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType},
};

use crate::{names::ROUTE_PROTOCOL, netlink::Request};

pub(crate) type RouteRequest = Request<RouteNetlinkMessage>;

fn request(message: RouteNetlinkMessage) -> RouteRequest {
    Request { message, flags: 0 }
}

fn creation(message: RouteNetlinkMessage) -> RouteRequest {
    Request { message, flags: NLM_F_CREATE | NLM_F_EXCL }
}

fn replacement(message: RouteNetlinkMessage) -> RouteRequest {
    Request { message, flags: NLM_F_CREATE | NLM_F_REPLACE }
}

/// The group of host ends that the firewall keeps apart, by which its rule knows them. A number that nobody else is likely
/// to use: "be" in ASCII.
pub(crate) const ISOLATED_GROUP: u32 = 0x6265;

/// A link by name: with index 0 the kernel looks the name up itself.
fn named(name: &LinkName) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(name.as_str().to_owned()));
    link
}

fn up(mut link: LinkMessage) -> LinkMessage {
    link.header.flags |= LinkFlags::Up;
    link.header.change_mask |= LinkFlags::Up;
    link
}

pub(crate) fn get_link(name: &LinkName) -> RouteRequest {
    request(RouteNetlinkMessage::GetLink(named(name)))
}

pub(crate) fn get_link_by_index(index: u32) -> RouteRequest {
    let mut link = LinkMessage::default();
    link.header.index = index;
    request(RouteNetlinkMessage::GetLink(link))
}

pub(crate) fn set_up_by_index(index: u32) -> RouteRequest {
    let mut link = up(LinkMessage::default());
    link.header.index = index;
    request(RouteNetlinkMessage::SetLink(link))
}

pub(crate) fn set_up(name: &LinkName) -> RouteRequest {
    request(RouteNetlinkMessage::SetLink(up(named(name))))
}

pub(crate) fn create_bridge(bridge: &Bridge) -> RouteRequest {
    let mut link = named(&bridge.name);
    link.attributes.extend([
        LinkAttribute::Address(bridge.mac.0.to_vec()),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]),
    ]);
    creation(RouteNetlinkMessage::NewLink(link))
}

/// Sets a bridge's MTU, and it up. An MTU that is given in its creation follows that of its ports; one that is changed
/// afterwards stays (`BROPT_MTU_SET_BY_USER`).
pub(crate) fn set_bridge_mtu_and_up(bridge: &Bridge) -> RouteRequest {
    let mut link = up(named(&bridge.name));
    link.attributes.push(LinkAttribute::Mtu(bridge.mtu_bytes));
    request(RouteNetlinkMessage::SetLink(link))
}

pub(crate) fn delete_link(name: &LinkName) -> RouteRequest {
    request(RouteNetlinkMessage::DelLink(named(name)))
}

/// Puts a link into a group, by which many can be meant at once.
pub(crate) fn set_group(name: &LinkName, group: u32) -> RouteRequest {
    let mut link = named(name);
    link.attributes.push(LinkAttribute::Group(group));
    request(RouteNetlinkMessage::SetLink(link))
}

/// Deletes all links of a group in one step.
pub(crate) fn delete_group(group: u32) -> RouteRequest {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::Group(group));
    request(RouteNetlinkMessage::DelLink(link))
}

/// A pair whose peer is born in its namespace. The host end isn't up yet: the kernel ignores flags of its bridge port in a
/// creation, and a port that is up without them would leak. The peer must not be up in this message (ENOTCONN).
pub(crate) fn create_veth(pair: &VethPair, bridge_index: u32, peer_namespace: BorrowedFd<'_>) -> RouteRequest {
    let mut peer = named(&pair.peer.name);
    peer.attributes.extend([
        LinkAttribute::Address(pair.peer_mac.0.to_vec()),
        LinkAttribute::Mtu(pair.mtu_bytes),
        LinkAttribute::NetNsFd(peer_namespace.as_raw_fd()),
    ]);
    let mut link = named(&pair.host_end);
    if pair.isolated {
        link.attributes.push(LinkAttribute::Group(ISOLATED_GROUP));
    }
    link.attributes.extend([
        LinkAttribute::Mtu(pair.mtu_bytes),
        LinkAttribute::Controller(bridge_index),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]),
    ]);
    creation(RouteNetlinkMessage::NewLink(link))
}

/// Makes a link a port of a bridge.
pub(crate) fn set_bridge(name: &LinkName, bridge_index: u32) -> RouteRequest {
    let mut link = named(name);
    link.attributes.push(LinkAttribute::Controller(bridge_index));
    request(RouteNetlinkMessage::SetLink(link))
}

/// Sets the flags of a bridge port, then the port up: the kernel handles the parts of one message in this order. What a
/// container sends teaches the bridge nothing: it would get its neighbours' frames by a forged source.
///
/// Hairpin: with br_netfilter, a container's packet to a published port of its own is translated on the bridge and leaves by
/// the port that it came from. The same happens to neighbours' packets, which ports that the bridge itself isolates would
/// lose: it does so only where the firewall can't.
pub(crate) fn set_port_flags_and_up(pair: &VethPair, isolated_by_firewall: bool) -> RouteRequest {
    let mut link = up(named(&pair.host_end));
    link.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::PortKind(InfoPortKind::Bridge),
        LinkInfo::PortData(InfoPortData::BridgePort(vec![
            InfoBridgePort::HairpinMode(true),
            InfoBridgePort::Learning(false),
            InfoBridgePort::Isolated(pair.isolated && !isolated_by_firewall),
        ])),
    ]));
    request(RouteNetlinkMessage::NewLink(link))
}

/// Binds a MAC address to a bridge port, on which no other port can take it over (`NTF_STICKY`). A state that isn't
/// permanent: that would make it an address of the bridge itself.
pub(crate) fn bind_mac(index: u32, mac: MacAddress) -> RouteRequest {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = index;
    message.header.state = NeighbourState::Noarp;
    message.header.flags = NeighbourFlags::Controller | NeighbourFlags::Sticky;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
    replacement(RouteNetlinkMessage::NewNeighbour(message))
}

/// Sets a link down and takes it off its bridge: cheap, unlike deleting it.
pub(crate) fn retire(name: &LinkName) -> RouteRequest {
    let mut link = named(name);
    link.header.change_mask |= LinkFlags::Up;
    link.attributes.push(LinkAttribute::Controller(0));
    request(RouteNetlinkMessage::SetLink(link))
}

/// Sets a link down for good: with an MTU below IPv6's least (RFC 8200) it has no IPv6 and none of its addresses any more,
/// which it could keep by `keep_addr_on_down`.
pub(crate) fn set_down_without_ipv6(name: &LinkName) -> RouteRequest {
    let mut link = named(name);
    link.header.change_mask |= LinkFlags::Up;
    link.attributes.push(LinkAttribute::Mtu(1279));
    request(RouteNetlinkMessage::SetLink(link))
}

/// Renames a link that is down.
pub(crate) fn rename(index: u32, name: &LinkName) -> RouteRequest {
    let mut link = named(name);
    link.header.index = index;
    request(RouteNetlinkMessage::SetLink(link))
}

/// Removes the first of a link's IPv4 addresses: with no address named each fits, and the kernel takes one.
pub(crate) fn remove_any_address(index: u32) -> RouteRequest {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.index = index;
    request(RouteNetlinkMessage::DelAddress(message))
}

fn address_message(index: u32, address: IpNetwork) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family_of(address.ip());
    message.header.prefix_len = address.prefix();
    message.header.index = index;
    message.header.scope = AddressScope::Universe;
    message.attributes.push(AddressAttribute::Local(address.ip()));
    message.attributes.push(AddressAttribute::Address(address.ip()));
    message
}

pub(crate) fn add_address(index: u32, address: IpNetwork) -> RouteRequest {
    let mut message = address_message(index, address);
    match address {
        IpNetwork::V4(v4) if v4.prefix() < 31 => {
            message.attributes.push(AddressAttribute::Broadcast(v4.broadcast()));
        }
        IpNetwork::V4(_) => {}
        // Addresses are leased, so nobody else has them; detecting that would keep this one unusable for a second.
        IpNetwork::V6(_) => message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad)),
    }
    creation(RouteNetlinkMessage::NewAddress(message))
}

pub(crate) fn remove_address(index: u32, address: IpNetwork) -> RouteRequest {
    request(RouteNetlinkMessage::DelAddress(address_message(index, address)))
}

fn route_message(index: u32, route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family_of(route.destination.ip());
    message.header.destination_prefix_length = route.destination.prefix();
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::from(ROUTE_PROTOCOL);
    message.header.kind = RouteType::Unicast;
    message.header.scope =
        if route.gateway.is_some() || route.destination.is_ipv6() { RouteScope::Universe } else { RouteScope::Link };
    if route.destination.prefix() > 0 {
        message.attributes.push(RouteAttribute::Destination(route_address(route.destination.network())));
    }
    if let Some(gateway) = route.gateway {
        message.attributes.push(RouteAttribute::Gateway(route_address(gateway)));
    }
    message.attributes.push(RouteAttribute::Oif(index));
    message
}

pub(crate) fn add_route(index: u32, route: &Route) -> RouteRequest {
    creation(RouteNetlinkMessage::NewRoute(route_message(index, route)))
}

pub(crate) fn remove_route(index: u32, route: &Route) -> RouteRequest {
    request(RouteNetlinkMessage::DelRoute(route_message(index, route)))
}

fn neighbour_message(index: u32, neighbour: &Neighbour) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family_of(neighbour.address);
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    message.attributes.push(NeighbourAttribute::Destination(match neighbour.address {
        IpAddr::V4(v4) => NeighbourAddress::Inet(v4),
        IpAddr::V6(v6) => NeighbourAddress::Inet6(v6),
    }));
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(neighbour.mac.0.to_vec()));
    message
}

/// In place of what was learned, or of an entry that a crash left.
pub(crate) fn add_neighbour(index: u32, neighbour: &Neighbour) -> RouteRequest {
    replacement(RouteNetlinkMessage::NewNeighbour(neighbour_message(index, neighbour)))
}

pub(crate) fn remove_neighbour(index: u32, neighbour: &Neighbour) -> RouteRequest {
    request(RouteNetlinkMessage::DelNeighbour(neighbour_message(index, neighbour)))
}

fn family_of(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn route_address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(v4) => RouteAddress::Inet(v4),
        IpAddr::V6(v6) => RouteAddress::Inet6(v6),
    }
}

/// The index in an answer to [`get_link`].
pub(crate) fn link_index(message: &RouteNetlinkMessage) -> Option<u32> {
    match message {
        RouteNetlinkMessage::NewLink(link) => Some(link.header.index),
        _ => None,
    }
}
