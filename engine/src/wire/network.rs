//! `/networks`: what Docker's clients read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A network, in lists and by itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NetworkView {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) created: String,
    pub(crate) scope: String,
    pub(crate) driver: String,
    #[serde(rename = "EnableIPv4")]
    pub(crate) enable_ipv4: bool,
    #[serde(rename = "EnableIPv6")]
    pub(crate) enable_ipv6: bool,
    #[serde(rename = "IPAM")]
    pub(crate) ipam: IpamView,
    pub(crate) internal: bool,
    pub(crate) attachable: bool,
    pub(crate) ingress: bool,
    pub(crate) config_from: ConfigFromView,
    pub(crate) config_only: bool,
    /// By container id.
    pub(crate) containers: BTreeMap<String, AttachedView>,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) labels: BTreeMap<String, String>,
    /// By itself only, since API 1.52.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<StatusView>,
}

/// How full a network is.
#[derive(Debug, Serialize)]
pub(crate) struct StatusView {
    #[serde(rename = "IPAM")]
    pub(crate) ipam: IpamStatusView,
}

/// How full its address pools are, by subnet.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct IpamStatusView {
    pub(crate) subnets: BTreeMap<String, SubnetStatusView>,
}

/// How full one of them is; a 64-bit number says "at least so many" where there are more.
#[derive(Debug, Serialize)]
pub(crate) struct SubnetStatusView {
    #[serde(rename = "IPsInUse")]
    pub(crate) in_use: u64,
    #[serde(rename = "DynamicIPsAvailable")]
    pub(crate) available: u64,
}

/// How a network's addresses are managed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct IpamView {
    pub(crate) driver: &'static str,
    pub(crate) options: Option<BTreeMap<String, String>>,
    pub(crate) config: Vec<PoolView>,
}

/// One address pool; Docker leaves out what isn't set.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PoolView {
    pub(crate) subnet: String,
    #[serde(rename = "IPRange", skip_serializing_if = "Option::is_none")]
    pub(crate) ip_range: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gateway: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) auxiliary_addresses: BTreeMap<String, String>,
}

/// The network that a swarm network takes its configuration from: always none here, and always shown.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ConfigFromView {
    pub(crate) network: String,
}

/// A container on a network.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AttachedView {
    pub(crate) name: String,
    #[serde(rename = "EndpointID")]
    pub(crate) endpoint_id: String,
    pub(crate) mac_address: String,
    #[serde(rename = "IPv4Address")]
    pub(crate) ipv4_address: String,
    #[serde(rename = "IPv6Address")]
    pub(crate) ipv6_address: String,
}

/// Reply of `POST /networks/create`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreatedView {
    pub(crate) id: String,
    pub(crate) warning: String,
}

/// Reply of `POST /networks/prune`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PrunedView {
    pub(crate) networks_deleted: Vec<String>,
}

/// Query of `GET /networks/{reference}`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct InspectQuery {
    /// Only a network known on as many hosts: `local`, `global` or `swarm`.
    #[serde(default)]
    pub(crate) scope: String,
}
