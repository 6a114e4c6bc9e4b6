//! Networks on the wire.

use std::{collections::BTreeMap, net::IpAddr};

use ipnetwork::IpNetwork;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Endpoint;

/// `POST /v1/networks`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkCreate {
    /// Docker's grammar: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`.
    pub name: String,
    /// `bridge` (when absent), `host` or `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// No way in or out of the network but from this host.
    #[serde(default)]
    pub internal: bool,
    /// IPv4 addressing; on when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<bool>,
    /// IPv6 addressing; off when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<bool>,
    /// Address pools asked for, at most one a family; what is absent is chosen from the default pools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<PoolConfig>,
    /// Driver options by Docker's label names (`com.docker.network.bridge.name`, …).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Labels of the user's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// One address pool of a network, as asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolConfig {
    /// CIDR, as in `172.20.0.0/16`. `0.0.0.0/24` asks for any /24 of the default pools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet: Option<String>,
    /// The part of the subnet that containers' addresses are chosen from (CIDR).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_range: Option<String>,
    /// The bridge's own address; the subnet's first when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Addresses that are never handed out, by a name for each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aux_addresses: BTreeMap<String, String>,
}

/// One address pool of a network as it is, everything chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pool {
    /// All of its addresses.
    #[schema(value_type = String)]
    pub subnet: IpNetwork,
    /// See [`PoolConfig::ip_range`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub ip_range: Option<IpNetwork>,
    /// The bridge's own address; absent where the bridge has none and nobody named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub gateway: Option<IpAddr>,
    /// See [`PoolConfig::aux_addresses`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub aux_addresses: BTreeMap<String, IpAddr>,
}

/// A network as it is: reply of `POST /v1/networks`, `GET /v1/networks` (without endpoints) and
/// `GET /v1/networks/{id or name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Network {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Unique on this host.
    pub name: String,
    /// `bridge`, `host` or `null`.
    pub driver: String,
    /// `local`: known on this host only.
    pub scope: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// See [`NetworkCreate::internal`].
    pub internal: bool,
    /// Whether endpoints get IPv4 addresses.
    pub ipv4: bool,
    /// Whether endpoints get IPv6 addresses.
    pub ipv6: bool,
    /// The pools in use, everything chosen.
    pub pools: Vec<Pool>,
    /// Driver options as they were given.
    pub options: BTreeMap<String, String>,
    /// Labels as they were given.
    pub labels: BTreeMap<String, String>,
    /// `bridge`, `host` and `none` are there from the start and can't be removed.
    pub predefined: bool,
    /// The bridge on the host, for a network that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The MTU of its links in bytes, for a network that has links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu_bytes: Option<u32>,
    /// Who is on it; empty in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<NetworkEndpoint>,
}

/// An endpoint as its network shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkEndpoint {
    /// The sandbox that holds the endpoint.
    pub sandbox: String,
    /// That sandbox's name for people.
    pub sandbox_name: String,
    /// The endpoint.
    pub endpoint: Endpoint,
}

/// Query of `GET /v1/networks`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkQuery {
    /// Include each network's endpoints.
    #[serde(default)]
    pub endpoints: bool,
}

/// Reply of `POST /v1/networks/prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pruned {
    /// Names of the networks removed.
    pub networks: Vec<String>,
}

/// `POST /v1/networks/prune`: removes networks that nobody is on; predefined ones stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PruneRequest {
    /// Only networks with these labels (`key` or `key=value`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Only networks without these labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels_not: Vec<String>,
    /// Only networks made before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

/// A range that subnets are cut from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DefaultPool {
    /// The range, as in `172.20.0.0/14`.
    pub base: String,
    /// The prefix length of each subnet.
    pub size: u8,
}
