//! A network as asked for.

use std::{collections::BTreeMap, net::IpAddr};

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use super::Family;
use crate::{
    Error, Kind,
    api::{NetworkCreate, PoolConfig},
    id::{DriverName, NetworkName},
};

/// A network as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Its name.
    pub name: NetworkName,
    /// What kind of network.
    pub driver: DriverName,
    /// No way in or out but from this host.
    pub internal: bool,
    /// Endpoints get IPv4 addresses.
    pub ipv4: bool,
    /// Endpoints get IPv6 addresses.
    pub ipv6: bool,
    /// Pools asked for, at most one a family.
    pub pools: Vec<PoolSpec>,
    /// Options of the driver, which parses them ([`crate::driver::Planner::configure`]); kept to be shown as given.
    pub options: BTreeMap<String, String>,
    /// The user's labels.
    pub labels: BTreeMap<String, String>,
}

/// An address pool as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolSpec {
    /// Which subnet.
    pub subnet: SubnetRequest,
    /// The part of the subnet that addresses are chosen from.
    pub ip_range: Option<IpNetwork>,
    /// The gateway's address.
    pub gateway: Option<IpAddr>,
    /// Addresses that are never handed out, by a name for each.
    pub aux_addresses: BTreeMap<String, IpAddr>,
}

/// Which subnet a pool is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubnetRequest {
    /// This one.
    Exact(IpNetwork),
    /// Any of this prefix length from the default pools (`0.0.0.0/24`).
    OfLength {
        /// IPv4 or IPv6.
        family: Family,
        /// The prefix length.
        prefix_length: u8,
    },
    /// Any from the default pools.
    Any(Family),
}

impl SubnetRequest {
    /// The family asked for.
    pub const fn family(&self) -> Family {
        match self {
            Self::Exact(subnet) => Family::of_network(*subnet),
            Self::OfLength { family, .. } | Self::Any(family) => *family,
        }
    }
}

impl TryFrom<NetworkCreate> for NetworkSpec {
    type Error = Error;

    fn try_from(wire: NetworkCreate) -> Result<Self, Error> {
        let name: NetworkName = wire.name.parse()?;
        let driver = wire.driver.as_deref().filter(|driver| !driver.is_empty()).unwrap_or("bridge").parse()?;
        let (ipv4, ipv6) = (wire.ipv4.unwrap_or(true), wire.ipv6.unwrap_or(false));
        if ipv6 {
            return Err(Error::new(
                Kind::NotImplemented,
                format!("cannot create network {name} with IPv6: networks are IPv4 only in this version"),
            ));
        }
        if !ipv4 {
            return Err(Error::new(
                Kind::NotImplemented,
                format!("cannot create network {name} without IPv4: networks are IPv4 only in this version"),
            ));
        }
        let pools = wire.pools.iter().map(PoolSpec::try_from).collect::<Result<Vec<_>, _>>()?;
        for family in [Family::Ipv4, Family::Ipv6] {
            let wanted = pools.iter().filter(|pool| pool.subnet.family() == family).count();
            if wanted > 0 && family == Family::Ipv6 {
                return Err(Error::new(
                    Kind::NotImplemented,
                    format!("cannot give network {name} an IPv6 subnet: networks are IPv4 only in this version"),
                ));
            }
            if wanted > 1 {
                return Err(Error::invalid(format!(
                    "invalid network config: {wanted} {family} subnets are given and a network has one of each family"
                )));
            }
        }
        check_labels(&wire.labels)?;
        Ok(Self {
            name,
            driver,
            internal: wire.internal,
            ipv4,
            ipv6,
            pools,
            options: wire.options,
            labels: wire.labels,
        })
    }
}

/// Docker's clients accept any label but one without a name.
pub(super) fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), Error> {
    if labels.contains_key("") {
        return Err(Error::invalid("invalid label: its name is empty"));
    }
    Ok(())
}

impl TryFrom<&PoolConfig> for PoolSpec {
    type Error = Error;

    fn try_from(wire: &PoolConfig) -> Result<Self, Error> {
        let Some(text) = &wire.subnet else { return Self::without_subnet(wire) };
        let subnet = parse_prefix("subnet", text)?;
        if subnet.ip().is_unspecified() {
            let pool = Self::without_subnet(wire)?;
            return Ok(Self { subnet: any_of_length(subnet)?, ..pool });
        }
        refuse_unusable(subnet)?;
        let ip_range = wire.ip_range.as_deref().map(|text| parse_range(text, subnet)).transpose()?;
        let gateway = wire.gateway.as_deref().map(|text| parse_address("gateway", text, subnet)).transpose()?;
        let mut aux_addresses: BTreeMap<String, IpAddr> = BTreeMap::new();
        for (name, text) in &wire.aux_addresses {
            let address = parse_address("auxiliary address", text, subnet)?;
            if name.is_empty() {
                return Err(invalid(format!("auxiliary address {address}: its name is empty")));
            }
            if gateway == Some(address) {
                return Err(invalid(format!("auxiliary address {address}: it is the gateway's")));
            }
            if let Some((other, _)) = aux_addresses.iter().find(|(_, taken)| **taken == address) {
                return Err(invalid(format!("auxiliary address {address}: {other} and {name} both have it")));
            }
            aux_addresses.insert(name.clone(), address);
        }
        Ok(Self { subnet: SubnetRequest::Exact(subnet), ip_range, gateway, aux_addresses })
    }
}

impl PoolSpec {
    /// The pool of a request that leaves the subnet to us, and so can't name addresses in it.
    fn without_subnet(wire: &PoolConfig) -> Result<Self, Error> {
        if let Some(range) = &wire.ip_range {
            return Err(invalid(format!("ip-range {range}: no matching subnet is given")));
        }
        if let Some(gateway) = &wire.gateway {
            return Err(invalid(format!("gateway {gateway}: no matching subnet is given")));
        }
        if let Some(address) = wire.aux_addresses.values().next() {
            return Err(invalid(format!("auxiliary address {address}: no matching subnet is given")));
        }
        Ok(Self {
            subnet: SubnetRequest::Any(Family::Ipv4),
            ip_range: None,
            gateway: None,
            aux_addresses: BTreeMap::new(),
        })
    }
}

fn invalid(what: String) -> Error {
    Error::invalid(format!("invalid network config: invalid {what}"))
}

/// Parses CIDR notation; bits right of the prefix have to be zero.
fn parse_prefix(what: &str, text: &str) -> Result<IpNetwork, Error> {
    let is_cidr = text.split_once('/').is_some_and(|(_, length)| length.bytes().all(|digit| digit.is_ascii_digit()));
    let prefix: IpNetwork = text
        .parse()
        .ok()
        .filter(|_| is_cidr)
        .ok_or_else(|| invalid(format!("{what} {text}: invalid CIDR block notation")))?;
    if prefix.network() != prefix.ip() {
        return Err(invalid(format!("{what} {text}: it should be {}/{}", prefix.network(), prefix.prefix())));
    }
    Ok(prefix)
}

fn any_of_length(prefix: IpNetwork) -> Result<SubnetRequest, Error> {
    let family = Family::of_network(prefix);
    let longest = family.bits() - 2;
    if !(8..=longest).contains(&prefix.prefix()) {
        return Err(invalid(format!(
            "subnet {prefix}: to leave the choice to the default pools, a prefix length of 8 to {longest} is expected"
        )));
    }
    Ok(SubnetRequest::OfLength { family, prefix_length: prefix.prefix() })
}

fn refuse_unusable(subnet: IpNetwork) -> Result<(), Error> {
    let why = if subnet.ip().is_loopback() {
        "loopback addresses never leave their host"
    } else if subnet.ip().is_multicast() {
        "it is made of multicast addresses"
    } else if subnet.prefix() < 8 {
        "a prefix length of at least 8 is expected"
    } else {
        return Ok(());
    };
    Err(invalid(format!("subnet {subnet}: {why}")))
}

fn parse_range(text: &str, subnet: IpNetwork) -> Result<IpNetwork, Error> {
    let range = parse_prefix("ip-range", text)?;
    check_family("ip-range", text, range.ip(), subnet)?;
    if range.prefix() < subnet.prefix() || !subnet.contains(range.ip()) {
        return Err(invalid(format!("ip-range {range}: parent subnet {subnet} doesn't contain ip-range")));
    }
    Ok(range)
}

fn parse_address(what: &str, text: &str, subnet: IpNetwork) -> Result<IpAddr, Error> {
    let address: IpAddr = text.parse().map_err(|_| invalid(format!("{what} {text}: invalid address")))?;
    check_family(what, text, address, subnet)?;
    if !subnet.contains(address) {
        return Err(invalid(format!("{what} {address}: parent subnet {subnet} doesn't contain this address")));
    }
    if subnet.prefix() < Family::of_network(subnet).bits() - 1 {
        if address == subnet.network() {
            return Err(invalid(format!("{what} {address}: it is the address of the subnet {subnet} itself")));
        }
        if subnet.is_ipv4() && address == subnet.broadcast() {
            return Err(invalid(format!("{what} {address}: it is the broadcast address of {subnet}")));
        }
    }
    Ok(address)
}

fn check_family(what: &str, text: &str, address: IpAddr, subnet: IpNetwork) -> Result<(), Error> {
    let family = Family::of_network(subnet);
    if Family::of(address) == family {
        return Ok(());
    }
    Err(invalid(format!("{what} {text}: parent subnet is an {family} block")))
}
