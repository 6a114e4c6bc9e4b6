//! An address pool of a network, everything chosen.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Kind, api,
    interval::IntervalSet,
    spec::{Family, PoolSpec},
};

/// An address pool of a network, everything chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// All of its addresses.
    pub subnet: IpNetwork,
    /// The part that addresses are chosen from; all of the subnet when absent.
    pub ip_range: Option<IpNetwork>,
    /// The gateway's address.
    pub gateway: IpAddr,
    /// Addresses that are never handed out, by a name for each.
    pub aux_addresses: BTreeMap<String, IpAddr>,
}

impl Pool {
    /// The pool that was asked for, in the subnet that was chosen for it. The gateway is the first address that is free
    /// for it, where the caller named none.
    ///
    /// # Errors
    /// When nothing is left for a gateway.
    pub fn choose(subnet: IpNetwork, spec: &PoolSpec) -> Result<Self, Error> {
        let gateway = match spec.gateway {
            Some(gateway) => gateway,
            None => {
                let (first, last) = bounds(subnet);
                let taken = set_aside(subnet, spec.aux_addresses.values());
                let free = taken.first_gap(first, last).ok_or_else(|| {
                    Error::new(
                        Kind::InvalidParameter,
                        format!("invalid network config: no address of subnet {subnet} is left for the gateway"),
                    )
                })?;
                address(Family::of_network(subnet), free)
            }
        };
        Ok(Self { subnet, ip_range: spec.ip_range, gateway, aux_addresses: spec.aux_addresses.clone() })
    }

    /// The next hop of endpoints' default routes: the gateway, or what the auxiliary address `DefaultGatewayIPv4` (or
    /// `…IPv6`) says, as Docker has it.
    pub fn default_gateway(&self) -> IpAddr {
        let key = match Family::of_network(self.subnet) {
            Family::Ipv4 => "DefaultGatewayIPv4",
            Family::Ipv6 => "DefaultGatewayIPv6",
        };
        self.aux_addresses.get(key).copied().unwrap_or(self.gateway)
    }

    /// The gateway's address with the length of the subnet's prefix, as the bridge has it.
    pub fn gateway_on_link(&self) -> IpNetwork {
        with_prefix(self.gateway, self.subnet)
    }

    /// As the API shows it.
    pub fn to_api(&self) -> api::Pool {
        let Self { subnet, ip_range, gateway, aux_addresses } = self.clone();
        api::Pool { subnet, ip_range, gateway: Some(gateway), aux_addresses }
    }
}

/// The address with the prefix length of the subnet that it is in.
pub fn with_prefix(address: IpAddr, subnet: IpNetwork) -> IpNetwork {
    IpNetwork::new(address, subnet.prefix()).expect("the prefix length is one of the same family")
}

/// What of a subnet is never handed out: its own address and, for IPv4, the broadcast address, if it is long enough to
/// have them (RFC 3021: a /31 has neither; RFC 6164 says alike of an IPv6 /127), and the addresses given.
pub(super) fn set_aside<'a>(subnet: IpNetwork, addresses: impl IntoIterator<Item = &'a IpAddr>) -> IntervalSet {
    let mut taken = IntervalSet::default();
    let (first, last) = bounds(subnet);
    if last - first > 1 {
        taken.insert(first, first);
        if subnet.is_ipv4() {
            taken.insert(last, last);
        }
    }
    for address in addresses {
        let number = number(*address);
        taken.insert(number, number);
    }
    taken
}

/// First and last address of a prefix as numbers.
pub(super) fn bounds(prefix: IpNetwork) -> (u128, u128) {
    (number(prefix.network()), number(prefix.broadcast()))
}

/// An address as a number of its own family.
pub(super) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// The address of a family that a number stands for.
pub(super) fn address(family: Family, number: u128) -> IpAddr {
    match family {
        Family::Ipv4 => {
            IpAddr::V4(Ipv4Addr::from(u32::try_from(number).expect("numbers of IPv4 addresses have 32 bits")))
        }
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::from(number)),
    }
}
