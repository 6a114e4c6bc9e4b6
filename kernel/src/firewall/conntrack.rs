//! Connection tracking: entries of a UDP port are forgotten when the port is published or withdrawn, or a
//! client that goes on sending keeps its old translation, or lack of one.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use cnm::firewall::{Element, PortForward, Protocol};
use netlink_packet_core::{DefaultNla, Emitable, NLA_F_NESTED};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily, NetfilterSubsystem,
    conntrack::{self, ConntrackAttribute, ConntrackMessage, IPTuple, ProtoTuple, Tuple},
};
use nix::errno::Errno;

use crate::netlink::{Request, Socket};

/// `CTA_FILTER`, which holds `CTA_FILTER_ORIG_FLAGS`: the parts of the original tuple that must agree (Linux 5.8).
const IPCTNL_MSG_CT_GET: u8 = 1;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_FILTER: u16 = 25;
const CTA_FILTER_ORIG_FLAGS: u16 = 1;
const MATCH_DESTINATION: u32 = 1 << 1;
const MATCH_PROTOCOL: u32 = 1 << 3;
const MATCH_DESTINATION_PORT: u32 = 1 << 5;

/// Forgets the connections to UDP ports that are published now or no longer, or lead elsewhere. Those to ports that lead where
/// they did go on.
pub(super) fn forget(gone: &[&Element], new: &[&Element]) -> io::Result<()> {
    let (gone, new) = (udp_ports(gone), udp_ports(new));
    if gone.is_empty() && new.is_empty() {
        return Ok(());
    }
    let leads_elsewhere = |tuple: &[Tuple]| way(&gone, tuple) != way(&new, tuple);
    let mut socket = Socket::open(netlink_sys::protocols::NETLINK_NETFILTER)?;
    gone.iter().chain(&new).try_for_each(|port| forget_port(&mut socket, port, leads_elsewhere))
}

fn udp_ports<'e>(elements: &[&'e Element]) -> Vec<&'e PortForward> {
    let udp = elements.iter().filter_map(|element| match element {
        Element::Port(port) if port.protocol == Protocol::Udp => Some(port),
        _ => None,
    });
    udp.collect()
}

/// Where ports lead a connection, as its client sees it.
fn way(ports: &[&PortForward], tuple: &[Tuple]) -> Option<(IpAddr, u16)> {
    let port = ports.iter().find(|port| is_to(tuple, port))?;
    Some((port.endpoint, port.container_first + (destination_port(tuple)? - port.host_first)))
}

fn destination_port(tuple: &[Tuple]) -> Option<u16> {
    let parts = tuple.iter().flat_map(|part| if let Tuple::Proto(parts) = part { parts.as_slice() } else { &[] });
    parts.into_iter().find_map(|part| if let ProtoTuple::DestinationPort(number) = part { Some(*number) } else { None })
}

fn forget_port(
    socket: &mut Socket<NetfilterMessage>,
    port: &PortForward,
    leads_elsewhere: impl Fn(&[Tuple]) -> bool,
) -> io::Result<()> {
    let family = if port.endpoint.is_ipv4() { NetfilterProtoFamily::IPv4 } else { NetfilterProtoFamily::IPv6 };
    let header = || NetfilterHeader::new(family, 0, 0);
    let message = |inner: ConntrackMessage| NetfilterMessage::new(header(), inner);
    // Not `ConntrackMessage::Get`, which takes the mark of nested attributes off those that it doesn't know.
    let found = socket.dump(|| {
        let (subsys, message_type) = (NetfilterSubsystem::Conntrack, IPCTNL_MSG_CT_GET);
        NetfilterMessage::new(header(), NetfilterMessageInner::Other { subsys, message_type, attributes: filter(port) })
    })?;
    let deletions = found
        .into_iter()
        .filter_map(original_tuple)
        .filter(|tuple| is_to(tuple, port) && leads_elsewhere(tuple))
        .map(|tuple| ConntrackMessage::Delete(vec![ConntrackAttribute::CtaTupleOrig(tuple)]))
        .map(|inner| Request { message: message(inner), flags: 0 })
        .collect();
    for answer in socket.exchange(deletions)? {
        match answer {
            // It ended by itself meanwhile.
            Err(error) if error.raw_os_error() == Some(Errno::ENOENT as i32) => {}
            other => drop(other?),
        }
    }
    Ok(())
}

/// What the kernel is to compare while it walks its table. It can't compare ranges: those are left to [`is_to`].
fn filter(port: &PortForward) -> Vec<DefaultNla> {
    let mut flags = MATCH_PROTOCOL;
    let any =
        if port.endpoint.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let mut proto = vec![ProtoTuple::Protocol(conntrack::Protocol::Udp)];
    if port.count == 1 {
        flags |= MATCH_DESTINATION_PORT;
        proto.push(ProtoTuple::DestinationPort(port.host_first));
    }
    if port.host_address.is_some() {
        flags |= MATCH_DESTINATION;
    }
    let addresses = vec![IPTuple::SourceAddress(any), IPTuple::DestinationAddress(port.host_address.unwrap_or(any))];
    // A nested attribute with the flags inside: its length and type, then the number.
    let mut flag_attribute = 8u16.to_ne_bytes().to_vec();
    flag_attribute.extend(CTA_FILTER_ORIG_FLAGS.to_ne_bytes());
    flag_attribute.extend(flags.to_ne_bytes());
    let tuple = [Tuple::Ip(addresses), Tuple::Proto(proto)];
    let mut tuple_attributes = vec![0; tuple.as_slice().buffer_len()];
    tuple.as_slice().emit(&mut tuple_attributes);
    vec![
        DefaultNla::new(CTA_TUPLE_ORIG | NLA_F_NESTED, tuple_attributes),
        DefaultNla::new(CTA_FILTER | NLA_F_NESTED, flag_attribute),
    ]
}

fn original_tuple(message: NetfilterMessage) -> Option<Vec<Tuple>> {
    let NetfilterMessageInner::Conntrack(ConntrackMessage::New(attributes)) = message.inner else { return None };
    attributes.into_iter().find_map(|attribute| match attribute {
        ConntrackAttribute::CtaTupleOrig(tuple) => Some(tuple),
        _ => None,
    })
}

/// Whether a connection was made to a published port, as its client sees it.
fn is_to(tuple: &[Tuple], port: &PortForward) -> bool {
    let ports = port.host_first..=port.host_first.saturating_add(port.count - 1);
    let in_tuple = |part: &Tuple| match part {
        Tuple::Proto(parts) => {
            parts.contains(&ProtoTuple::Protocol(conntrack::Protocol::Udp))
                && parts.iter().any(|p| matches!(p, ProtoTuple::DestinationPort(number) if ports.contains(number)))
        }
        Tuple::Ip(parts) => {
            port.host_address.is_none_or(|address| parts.contains(&IPTuple::DestinationAddress(address)))
        }
        _ => true,
    };
    tuple.iter().all(in_tuple)
}
