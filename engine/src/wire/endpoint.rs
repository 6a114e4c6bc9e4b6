//! `NetworkSettings` and its parts, in inspect and in lists.

use std::collections::BTreeMap;

use serde::Serialize;

/// `NetworkSettings` of inspect. The fields of a single address stand for the default bridge; Docker dropped them in API
/// 1.52 and templates still read them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SettingsView {
    pub(crate) bridge: String,
    #[serde(rename = "SandboxID")]
    pub(crate) sandbox_id: String,
    pub(crate) sandbox_key: String,
    pub(crate) ports: BTreeMap<String, Option<Vec<BindingView>>>,
    pub(crate) hairpin_mode: bool,
    #[serde(rename = "LinkLocalIPv6Address")]
    pub(crate) link_local_ipv6_address: String,
    #[serde(rename = "LinkLocalIPv6PrefixLen")]
    pub(crate) link_local_ipv6_prefix_len: u8,
    #[serde(rename = "SecondaryIPAddresses")]
    pub(crate) secondary_ip_addresses: Option<Vec<String>>,
    #[serde(rename = "SecondaryIPv6Addresses")]
    pub(crate) secondary_ipv6_addresses: Option<Vec<String>>,
    #[serde(rename = "EndpointID")]
    pub(crate) endpoint_id: String,
    pub(crate) gateway: String,
    #[serde(rename = "GlobalIPv6Address")]
    pub(crate) global_ipv6_address: String,
    #[serde(rename = "GlobalIPv6PrefixLen")]
    pub(crate) global_ipv6_prefix_len: u8,
    #[serde(rename = "IPAddress")]
    pub(crate) ip_address: String,
    #[serde(rename = "IPPrefixLen")]
    pub(crate) ip_prefix_len: u8,
    #[serde(rename = "IPv6Gateway")]
    pub(crate) ipv6_gateway: String,
    pub(crate) mac_address: String,
    pub(crate) networks: BTreeMap<String, EndpointView>,
}

/// One of `Networks`.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct EndpointView {
    #[serde(rename = "IPAMConfig")]
    pub(crate) ipam_config: Option<IpamView>,
    pub(crate) links: Option<Vec<String>>,
    pub(crate) aliases: Option<Vec<String>>,
    pub(crate) mac_address: String,
    pub(crate) driver_opts: Option<BTreeMap<String, String>>,
    pub(crate) gw_priority: i32,
    #[serde(rename = "NetworkID")]
    pub(crate) network_id: String,
    #[serde(rename = "EndpointID")]
    pub(crate) endpoint_id: String,
    pub(crate) gateway: String,
    #[serde(rename = "IPAddress")]
    pub(crate) ip_address: String,
    #[serde(rename = "IPPrefixLen")]
    pub(crate) ip_prefix_len: u8,
    #[serde(rename = "IPv6Gateway")]
    pub(crate) ipv6_gateway: String,
    #[serde(rename = "GlobalIPv6Address")]
    pub(crate) global_ipv6_address: String,
    #[serde(rename = "GlobalIPv6PrefixLen")]
    pub(crate) global_ipv6_prefix_len: u8,
    #[serde(rename = "DNSNames")]
    pub(crate) dns_names: Option<Vec<String>>,
}

/// The addresses asked for.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct IpamView {
    #[serde(rename = "IPv4Address", skip_serializing_if = "Option::is_none")]
    pub(crate) ipv4_address: Option<String>,
    #[serde(rename = "IPv6Address", skip_serializing_if = "Option::is_none")]
    pub(crate) ipv6_address: Option<String>,
}

/// Where a port is published.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BindingView {
    pub(crate) host_ip: String,
    pub(crate) host_port: String,
}

/// One of `Ports` in lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PortView {
    #[serde(rename = "IP", skip_serializing_if = "Option::is_none")]
    pub(crate) ip: Option<String>,
    pub(crate) private_port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) public_port: Option<u16>,
    #[serde(rename = "Type")]
    pub(crate) protocol: String,
}
