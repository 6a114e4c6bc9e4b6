//! An endpoint as asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use super::Family;
use crate::{
    Error,
    api::EndpointRequest,
    id::{LinkName, MacAddress},
};

/// How a caller names a network: by id, name or unique prefix of the id. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NetworkRef(String);

/// The option by which Docker's clients name an endpoint's interface.
pub const INTERFACE_OPTION: &str = "com.docker.network.endpoint.ifname";

/// An endpoint as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSpec {
    /// The network.
    pub network: NetworkRef,
    /// The interface's name inside; chosen when absent.
    pub interface: Option<LinkName>,
    /// A fixed IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// A fixed IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// A fixed MAC address.
    pub mac: Option<MacAddress>,
    /// More names for it on this network, without duplicates, in the order given.
    pub aliases: Vec<String>,
    /// The endpoint with the highest provides the default gateway.
    pub gateway_priority: i32,
    /// Options of the driver, which parses them; kept to be shown as given.
    pub options: BTreeMap<String, String>,
}

impl NetworkRef {
    /// The reference as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NetworkRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::invalid(
                "invalid network reference: a network's name or id is expected, and it is empty",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for NetworkRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<EndpointRequest> for EndpointSpec {
    type Error = Error;

    fn try_from(wire: EndpointRequest) -> Result<Self, Error> {
        let interface = parse_interface(&wire)?;
        let ipv4 = wire.ipv4.as_deref().map(|text| parse_fixed(Family::Ipv4, text)).transpose()?;
        let ipv6 = wire.ipv6.as_deref().map(|text| parse_fixed(Family::Ipv6, text)).transpose()?;
        wire.aliases.iter().try_for_each(|alias| check_alias(alias))?;
        let mut seen = BTreeSet::new();
        let aliases = wire.aliases.into_iter().filter(|alias| seen.insert(alias.clone())).collect();
        Ok(Self {
            network: wire.network.parse()?,
            interface,
            ipv4,
            ipv6,
            mac: wire.mac.as_deref().map(str::parse).transpose()?,
            aliases,
            gateway_priority: wire.gateway_priority,
            options: wire.options,
        })
    }
}

/// The interface's name inside: a field of ours, and an option of Docker's.
fn parse_interface(wire: &EndpointRequest) -> Result<Option<LinkName>, Error> {
    let option = wire.options.get(INTERFACE_OPTION);
    if let (Some(field), Some(option)) = (&wire.interface, option)
        && field != option
    {
        return Err(Error::invalid(format!("two interface names are given: {field} and, by option, {option}")));
    }
    let Some(text) = wire.interface.as_ref().or(option) else { return Ok(None) };
    if text == "lo" {
        return Err(Error::invalid("invalid interface name \"lo\": it is the loopback interface's"));
    }
    text.parse().map(Some)
}

/// Parses an address that the caller wants for an endpoint.
fn parse_fixed<A: FromStr + Into<IpAddr> + Copy>(family: Family, text: &str) -> Result<A, Error> {
    let address: A = text.parse().map_err(|_| Error::invalid(format!("invalid {family} address: {text}")))?;
    let ip: IpAddr = address.into();
    let why = if ip.is_unspecified() {
        "it stands for no address"
    } else if ip.is_loopback() {
        "it is a loopback address"
    } else if ip.is_multicast() {
        "it is a multicast address"
    } else {
        return Ok(address);
    };
    Err(Error::invalid(format!("invalid {family} address: {text}: {why}")))
}

fn check_alias(alias: &str) -> Result<(), Error> {
    // RFC 1035, 2.3.4: a name has at most 253 characters as text.
    let fits = (1..=253).contains(&alias.len()) && !alias.chars().any(|c| c.is_whitespace() || c.is_control());
    if fits {
        return Ok(());
    }
    Err(Error::invalid(format!("invalid alias {alias:?}: 1 to 253 characters without white space are expected")))
}
