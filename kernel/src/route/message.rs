//! The messages that change links, addresses and routes, as values.

use std::{
    net::IpAddr,
    os::fd::{AsRawFd, BorrowedFd},
};

use cnm::{
    id::LinkName,
    op::{Bridge, Route, VethPair},
};
use ipnetwork::IpNetwork;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope},
    link::{
        InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo,
        LinkMessage,
    },
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

/// A pair whose peer is born in its namespace. The host end is up at once unless flags of its bridge port have to be
/// set first: the kernel ignores them in a creation, and a port that is up without them would leak. The peer must not
/// be up in this message (ENOTCONN).
pub(crate) fn create_veth(pair: &VethPair, bridge_index: u32, peer_namespace: BorrowedFd<'_>) -> RouteRequest {
    let mut peer = named(&pair.peer.name);
    peer.attributes.extend([
        LinkAttribute::Address(pair.peer_mac.0.to_vec()),
        LinkAttribute::Mtu(pair.mtu_bytes),
        LinkAttribute::NetNsFd(peer_namespace.as_raw_fd()),
    ]);
    let mut link = named(&pair.host_end);
    if !has_port_flags(pair) {
        link = up(link);
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

pub(crate) fn has_port_flags(pair: &VethPair) -> bool {
    pair.isolated || pair.hairpin
}

/// Sets the flags of a bridge port, then the port up: the kernel handles the parts of one message in this order.
pub(crate) fn set_port_flags_and_up(pair: &VethPair) -> RouteRequest {
    let mut link = up(named(&pair.host_end));
    link.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::PortKind(InfoPortKind::Bridge),
        LinkInfo::PortData(InfoPortData::BridgePort(vec![
            InfoBridgePort::HairpinMode(pair.hairpin),
            InfoBridgePort::Isolated(pair.isolated),
        ])),
    ]));
    request(RouteNetlinkMessage::NewLink(link))
}

/// Sets a link down and takes it off its bridge: cheap, unlike deleting it.
pub(crate) fn retire(name: &LinkName) -> RouteRequest {
    let mut link = named(name);
    link.header.change_mask |= LinkFlags::Up;
    link.attributes.push(LinkAttribute::Controller(0));
    request(RouteNetlinkMessage::SetLink(link))
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
