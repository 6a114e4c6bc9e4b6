//! Notifications of rtnetlink: bridges that go, are set down or lose an address, host ends that go, are set down or leave
//! their bridge, others' bridges that get or lose a port, and forwarding that is switched off.

use std::{
    io,
    sync::mpsc::{Sender, channel},
};

use cnm::id::LinkName;
use netlink_packet_core::{NetlinkPayload, NlasIterator};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressMessage},
    link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
};

use crate::{
    LinkEvent, LinkWatch,
    netlink::parse,
    notify::{self, Notice},
};

/// Multicast groups (`RTNLGRP_LINK`, `RTNLGRP_IPV4_IFADDR`, `RTNLGRP_IPV4_NETCONF`).
const GROUPS: [u32; 3] = [1, 5, 24];

/// rtnetlink(7). A notification is a datagram with one message.
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
/// `struct ifinfomsg`, behind the netlink header: its family, its flags, its end. Family `AF_BRIDGE` is of bridges' ports.
const IFINFO_FAMILY: usize = 16;
const AF_BRIDGE: u8 = 7;
const IFINFO_FLAGS: usize = 16 + 8;
const IFINFO_HEADERS_BYTES: usize = 32;
const IFLA_IFNAME: u16 = 3;
const IFLA_MASTER: u16 = 10;
/// `RTM_NEWNETCONF`, which `netlink-packet-route` doesn't know: `struct netconfmsg` (a family, padded), then attributes.
const RTM_NEWNETCONF: u16 = 80;
const NETCONF_HEADERS_BYTES: usize = 20;
const NETCONFA_IFINDEX: u16 = 1;
const NETCONFA_FORWARDING: u16 = 2;
/// `NETCONFA_IFINDEX_ALL`: the namespace's own switch, not one link's.
const ALL_LINKS: i32 = -1;

/// Starts a thread that listens in the calling thread's network namespace.
pub(crate) fn watch() -> io::Result<LinkWatch> {
    let (sender, events) = channel();
    let hear = move |notice: Notice<'_>| match notice {
        Notice::Datagram(datagram) => tell(&sender, datagram),
        Notice::Lost => sender.send(LinkEvent::Lost).is_ok(),
    };
    let stop = notify::listen("link-watch", netlink_sys::protocols::NETLINK_ROUTE, &GROUPS, hear)?;
    Ok(LinkWatch { events, _stop: Some(stop) })
}

/// Tells what matters of a datagram; false when nobody listens any more.
fn tell(sender: &Sender<LinkEvent>, datagram: &[u8]) -> bool {
    if message_type(datagram) == Some(RTM_NEWNETCONF) {
        return !switches_forwarding_off(datagram) || sender.send(LinkEvent::ForwardingOff).is_ok();
    }
    if is_of_a_port(datagram) {
        return is_of_our_port(datagram) || sender.send(LinkEvent::Ports).is_ok();
    }
    if is_of_no_concern(datagram) {
        return true;
    }
    // What can't be understood is about nothing that we make.
    let messages = parse::<RouteNetlinkMessage>(datagram).unwrap_or_default();
    messages.into_iter().filter_map(|(_, payload)| event(payload)).all(|event| sender.send(event).is_ok())
}

fn is_of_a_port(datagram: &[u8]) -> bool {
    matches!(message_type(datagram), Some(RTM_NEWLINK | RTM_DELLINK)) && datagram.get(IFINFO_FAMILY) == Some(&AF_BRIDGE)
}

/// By the name of the port, as host ends have it.
fn is_of_our_port(datagram: &[u8]) -> bool {
    let attributes = datagram.get(IFINFO_HEADERS_BYTES..).unwrap_or_default();
    let mut attributes = NlasIterator::new(attributes).filter_map(Result::ok);
    let name = attributes.find(|attribute| attribute.kind() == IFLA_IFNAME);
    let text = name.as_ref().and_then(|name| std::str::from_utf8(name.value()).ok());
    text.and_then(|text| text.trim_end_matches('\0').parse().ok()).is_some_and(|name: LinkName| name.is_ours())
}

/// Most of what comes while sandboxes are made and taken down, seen by its headers: links that are up, host ends on a bridge
/// among them, and new addresses.
fn is_of_no_concern(datagram: &[u8]) -> bool {
    match message_type(datagram) {
        Some(RTM_NEWLINK) => {
            let flags = datagram.get(IFINFO_FLAGS..IFINFO_FLAGS + 4).and_then(|bytes| bytes.try_into().ok());
            let is_up = flags
                .is_some_and(|bytes| LinkFlags::from_bits_retain(u32::from_ne_bytes(bytes)).contains(LinkFlags::Up));
            is_up && !is_host_end_without_bridge(datagram)
        }
        Some(RTM_NEWADDR) => true,
        _ => false,
    }
}

fn is_host_end_without_bridge(datagram: &[u8]) -> bool {
    let attributes = datagram.get(IFINFO_HEADERS_BYTES..).unwrap_or_default();
    let mut is_host_end = false;
    for attribute in NlasIterator::new(attributes).map_while(Result::ok) {
        match attribute.kind() {
            IFLA_IFNAME => is_host_end = attribute.value().starts_with(b"bv"),
            IFLA_MASTER => return false,
            _ => {}
        }
    }
    is_host_end
}

fn event(payload: NetlinkPayload<RouteNetlinkMessage>) -> Option<LinkEvent> {
    let NetlinkPayload::InnerMessage(message) = payload else { return None };
    match message {
        RouteNetlinkMessage::DelLink(link) if is_bridge(&link) => name(&link),
        RouteNetlinkMessage::NewLink(link) if is_bridge(&link) && !link.header.flags.contains(LinkFlags::Up) => {
            name(&link)
        }
        RouteNetlinkMessage::DelLink(link) => host_end(&link),
        RouteNetlinkMessage::NewLink(link) if !link.header.flags.contains(LinkFlags::Up) || has_no_bridge(&link) => {
            host_end(&link)
        }
        RouteNetlinkMessage::DelAddress(address) => label(&address),
        _ => None,
    }
}

fn is_bridge(link: &LinkMessage) -> bool {
    let kind = |attribute: &LinkAttribute| match attribute {
        LinkAttribute::LinkInfo(info) => info.contains(&LinkInfo::Kind(InfoKind::Bridge)),
        _ => false,
    };
    link.attributes.iter().any(kind)
}

fn name(link: &LinkMessage) -> Option<LinkEvent> {
    link_name(link).map(LinkEvent::Bridge)
}

/// Not the message of family `AF_BRIDGE` either, which comes in addition.
fn host_end(link: &LinkMessage) -> Option<LinkEvent> {
    let is_itself = link.header.interface_family == AddressFamily::Unspec;
    link_name(link).filter(|name| is_itself && name.is_host_end()).map(LinkEvent::HostEnd)
}

fn has_no_bridge(link: &LinkMessage) -> bool {
    !link.attributes.iter().any(|attribute| matches!(attribute, LinkAttribute::Controller(_)))
}

fn link_name(link: &LinkMessage) -> Option<LinkName> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => name.parse().ok(),
        _ => None,
    })
}

/// An IPv4 address carries its link's name.
fn label(address: &AddressMessage) -> Option<LinkEvent> {
    address.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Label(name) => Some(LinkEvent::Bridge(name.parse().ok()?)),
        _ => None,
    })
}

fn message_type(datagram: &[u8]) -> Option<u16> {
    Some(u16::from_ne_bytes(datagram.get(4..6)?.try_into().ok()?))
}

fn switches_forwarding_off(datagram: &[u8]) -> bool {
    let attributes = datagram.get(NETCONF_HEADERS_BYTES..).unwrap_or_default();
    let number = |kind: u16| {
        let found = NlasIterator::new(attributes).filter_map(Result::ok).find(|attribute| attribute.kind() == kind)?;
        Some(i32::from_ne_bytes(found.value().try_into().ok()?))
    };
    number(NETCONFA_IFINDEX) == Some(ALL_LINKS) && number(NETCONFA_FORWARDING) == Some(0)
}
