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

    fn try_from(_wire: NetworkCreate) -> Result<Self, Error> {
        todo!()
    }
}
