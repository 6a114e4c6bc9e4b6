//! The sets and maps of our table. What each holds is said in `docs/firewall.md`.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

use cnm::{
    firewall::Protocol,
    id::{LinkName, MacAddress},
};
use ipnetwork::IpNetwork;

use super::{
    field::{Field, Port},
    set::{Declaration, Set},
};
use crate::Family;

pub(super) const BRIDGES: Set<LinkName> = Set::new("bridges");
pub(super) const GATEWAYS: Set<(LinkName, MacAddress)> = Set::new("gateways");
pub(super) const INTERNAL: Set<LinkName> = Set::new("internal");
pub(super) const INTER_CONTAINER: Set<(LinkName, LinkName)> = Set::new("inter_container");
pub(super) const GUARDED: Set<Family> = Set::new("guarded");
pub(super) const ROUTED_BEFORE: Set<(Family, LinkName)> = Set::new("routed_before");
pub(super) const OTHERS: Set<LinkName> = Set::new("others");

/// An address of one of the families, which have sets of their own.
pub(super) trait Address: Field + Copy {
    /// What ends the names of the family's sets.
    const SUFFIX: &'static str;

    const ISOLATED: Set<LinkName> = Set::of_family("isolated", Self::SUFFIX);
    const ROUTED: Set<LinkName> = Set::of_family("routed", Self::SUFFIX);
    const HOME: Set<RangeInclusive<(LinkName, Self)>> = Set::of_family("home", Self::SUFFIX);
    const MASQUERADE: Set<RangeInclusive<Self>> = Set::of_family("masquerade", Self::SUFFIX);
    const OPEN: Set<RangeInclusive<(Self, Protocol, Port)>> = Set::of_family("open", Self::SUFFIX);
    const EXACT: Set<(Self, Protocol, Port), (Self, Port)> = Set::of_family("exact", Self::SUFFIX);
    const ANY: Set<(Protocol, Port), (Self, Port)> = Set::of_family("any", Self::SUFFIX);
    const RANGE: Set<RangeInclusive<(Protocol, Port)>, Self> = Set::of_family("range", Self::SUFFIX);

    /// An address, if it is of this family.
    fn of(address: IpAddr) -> Option<Self>;

    /// A subnet's addresses, if it is of this family.
    fn range(subnet: &IpNetwork) -> Option<RangeInclusive<Self>> {
        Some(Self::of(subnet.network())?..=Self::of(subnet.broadcast())?)
    }
}

impl Address for Ipv4Addr {
    const SUFFIX: &'static str = "4";

    fn of(address: IpAddr) -> Option<Self> {
        if let IpAddr::V4(address) = address { Some(address) } else { None }
    }
}

impl Address for Ipv6Addr {
    const SUFFIX: &'static str = "6";

    fn of(address: IpAddr) -> Option<Self> {
        if let IpAddr::V6(address) = address { Some(address) } else { None }
    }
}

/// All of them; they are flushed and filled by each synchronisation.
pub(super) const SETS: [Declaration; 23] = [
    BRIDGES.declaration,
    GATEWAYS.declaration,
    INTERNAL.declaration,
    INTER_CONTAINER.declaration,
    Ipv4Addr::ISOLATED.declaration,
    Ipv6Addr::ISOLATED.declaration,
    Ipv4Addr::ROUTED.declaration,
    Ipv6Addr::ROUTED.declaration,
    Ipv4Addr::HOME.declaration,
    Ipv6Addr::HOME.declaration,
    Ipv4Addr::MASQUERADE.declaration,
    Ipv6Addr::MASQUERADE.declaration,
    Ipv4Addr::OPEN.declaration,
    Ipv6Addr::OPEN.declaration,
    Ipv4Addr::EXACT.declaration,
    Ipv6Addr::EXACT.declaration,
    Ipv4Addr::ANY.declaration,
    Ipv6Addr::ANY.declaration,
    Ipv4Addr::RANGE.declaration,
    Ipv6Addr::RANGE.declaration,
    GUARDED.declaration,
    ROUTED_BEFORE.declaration,
    OTHERS.declaration,
];
