//! An endpoint as asked for.

use std::{
    collections::BTreeMap,
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use serde::{Deserialize, Serialize};

use crate::{
    Error,
    api::EndpointRequest,
    id::{LinkName, MacAddress},
};

/// How a caller names a network: by id, name or unique prefix of the id. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NetworkRef(String);

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

impl TryFrom<EndpointRequest> for EndpointSpec {
    type Error = Error;

    fn try_from(_wire: EndpointRequest) -> Result<Self, Error> {
        todo!()
    }
}
