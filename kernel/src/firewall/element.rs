//! Elements of the table's sets and maps, as `nft` writes them and as netlink wants them.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use cnm::{
    firewall::Protocol,
    id::{LinkName, MacAddress},
};
use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::nftables::{DataAttribute, ListAttribute, SetElementAttribute, SetElementFlags};

use crate::Family;

/// `NFTA_DATA_VALUE`: raw data inside a key or a value.
const NFTA_DATA_VALUE: u16 = 1;

/// What holds elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Set,
    Map,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Set => "set",
            Self::Map => "map",
        })
    }
}

/// One part of a concatenated key or value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Link(LinkName),
    Mac(MacAddress),
    Family(Family),
    Protocol(Protocol),
    Port(u16),
    Ipv4(Ipv4Addr),
    Ipv6(Ipv6Addr),
}

impl From<IpAddr> for Field {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::Ipv4(v4),
            IpAddr::V6(v6) => Self::Ipv6(v6),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(name) => write!(f, "\"{name}\""),
            Self::Mac(address) => address.fmt(f),
            Self::Family(Family::Ipv4) => f.write_str("ipv4"),
            Self::Family(Family::Ipv6) => f.write_str("ipv6"),
            Self::Protocol(protocol) => protocol.fmt(f),
            Self::Port(port) => port.fmt(f),
            Self::Ipv4(address) => address.fmt(f),
            Self::Ipv6(address) => address.fmt(f),
        }
    }
}

impl Field {
    /// As it lies in a register: names filled with NULs to 16 bytes (IFNAMSIZ), numbers in network order, everything
    /// padded to whole registers of 4 bytes.
    fn append(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Link(name) => {
                bytes.extend(name.as_str().as_bytes());
                bytes.resize(bytes.len() + 16 - name.as_str().len(), 0);
            }
            Self::Mac(address) => {
                bytes.extend(address.0);
                bytes.extend([0, 0]);
            }
            // NFPROTO_IPV4 and NFPROTO_IPV6.
            Self::Family(Family::Ipv4) => bytes.extend([2, 0, 0, 0]),
            Self::Family(Family::Ipv6) => bytes.extend([10, 0, 0, 0]),
            Self::Protocol(protocol) => bytes.extend([protocol.number(), 0, 0, 0]),
            Self::Port(port) => {
                bytes.extend(port.to_be_bytes());
                bytes.extend([0, 0]);
            }
            Self::Ipv4(address) => bytes.extend(address.octets()),
            Self::Ipv6(address) => bytes.extend(address.octets()),
        }
    }
}

/// One element of a set or a map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SetElement {
    /// The name of the set or map.
    pub(super) set: &'static str,
    /// The key; the first of an interval.
    pub(super) key: Vec<Field>,
    /// The last key of an interval; none in sets without intervals.
    pub(super) last: Option<Vec<Field>>,
    /// What a map's key leads to; empty in sets.
    pub(super) value: Vec<Field>,
}

impl fmt::Display for SetElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.last.as_ref().unwrap_or(&self.key);
        for (index, (first, last)) in self.key.iter().zip(last).enumerate() {
            f.write_str(if index == 0 { "" } else { " . " })?;
            first.fmt(f)?;
            if first != last {
                write!(f, "-{last}")?;
            }
        }
        for (index, field) in self.value.iter().enumerate() {
            write!(f, "{}{field}", if index == 0 { " : " } else { " . " })?;
        }
        Ok(())
    }
}

impl SetElement {
    /// The netlink attributes of the element: one list entry, or two for an interval of a key that isn't concatenated,
    /// which the kernel keeps as a start and an exclusive end.
    pub(super) fn attributes(&self) -> Vec<ListAttribute<SetElementAttribute>> {
        let mut element = vec![SetElementAttribute::Key(DataAttribute::Value(bytes(&self.key)))];
        if !self.value.is_empty() {
            element.push(SetElementAttribute::Data(DataAttribute::Value(bytes(&self.value))));
        }
        match &self.last {
            None => vec![ListAttribute::Element(element)],
            Some(last) if self.key.len() > 1 => {
                element.push(SetElementAttribute::KeyEnd(vec![DefaultNla::new(NFTA_DATA_VALUE, bytes(last))]));
                vec![ListAttribute::Element(element)]
            }
            Some(last) => {
                let mut list = vec![ListAttribute::Element(element)];
                if let Some(end) = successor(bytes(last)) {
                    list.push(ListAttribute::Element(vec![
                        SetElementAttribute::Key(DataAttribute::Value(end)),
                        SetElementAttribute::Flags(SetElementFlags::IntervalEnd),
                    ]));
                }
                list
            }
        }
    }
}

fn bytes(fields: &[Field]) -> Vec<u8> {
    let mut bytes = Vec::new();
    fields.iter().for_each(|field| field.append(&mut bytes));
    bytes
}

/// The number after this one, in network order; none after the last.
fn successor(mut number: Vec<u8>) -> Option<Vec<u8>> {
    for digit in number.iter_mut().rev() {
        *digit = digit.wrapping_add(1);
        if *digit != 0 {
            return Some(number);
        }
    }
    None
}
