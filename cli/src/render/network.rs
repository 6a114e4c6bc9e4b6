//! Networks of netd, in lists and in detail.

use std::{collections::BTreeMap, net::IpAddr};

use cnm::api::{Network, NetworkEndpoint, Sandbox};
use serde::Serialize;

use super::attachment::published;
use super::format::{Columns, Row};
use super::shown_id;

/// Fields of a network in a list.
pub(crate) const COLUMNS: Columns = Columns {
    headings: &[
        ("ID", "NETWORK ID"),
        ("Name", "NAME"),
        ("Driver", "DRIVER"),
        ("Scope", "SCOPE"),
        ("IPv4", "IPV4"),
        ("IPv6", "IPV6"),
        ("Internal", "INTERNAL"),
        ("Labels", "LABELS"),
        ("CreatedAt", "CREATED AT"),
        ("Subnets", "SUBNETS"),
    ],
    table: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
    quiet: "{{.ID}}",
};

/// A network as a line of a list.
pub(crate) fn row(network: &Network, whole: bool) -> Row {
    let subnets: Vec<String> = network.pools.iter().map(|pool| pool.subnet.to_string()).collect();
    Row::new([
        ("ID", shown_id(&network.id, whole)),
        ("Name", network.name.clone()),
        ("Driver", network.driver.clone()),
        ("Scope", network.scope.clone()),
        ("IPv4", network.ipv4.to_string()),
        ("IPv6", network.ipv6.to_string()),
        ("Internal", network.internal.to_string()),
        ("CreatedAt", network.created.to_string()),
        ("Subnets", subnets.join(",")),
    ])
    .with_labels(&network.labels)
}

/// A network in detail: Docker's field names, so that templates written for it work, and what netd says beyond them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Details<'a> {
    name: &'a str,
    id: &'a str,
    created: String,
    scope: &'a str,
    driver: &'a str,
    #[serde(rename = "EnableIPv4")]
    enable_ipv4: bool,
    #[serde(rename = "EnableIPv6")]
    enable_ipv6: bool,
    #[serde(rename = "IPAM")]
    ipam: Ipam<'a>,
    internal: bool,
    predefined: bool,
    #[serde(rename = "Link")]
    link: Option<&'a str>,
    #[serde(rename = "MTU")]
    mtu_bytes: Option<u32>,
    containers: BTreeMap<&'a str, Attached<'a>>,
    options: &'a BTreeMap<String, String>,
    labels: &'a BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ipam<'a> {
    driver: &'static str,
    config: Vec<Pool<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Pool<'a> {
    subnet: String,
    #[serde(rename = "IPRange", skip_serializing_if = "Option::is_none")]
    ip_range: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<IpAddr>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    auxiliary_addresses: &'a BTreeMap<String, IpAddr>,
}

/// An endpoint, under the sandbox that holds it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Attached<'a> {
    name: &'a str,
    #[serde(rename = "EndpointID")]
    endpoint_id: &'a str,
    interface: &'a str,
    mac_address: &'a str,
    #[serde(rename = "IPv4Address")]
    ipv4_address: String,
    #[serde(rename = "IPv6Address")]
    ipv6_address: String,
    aliases: &'a [String],
    #[serde(flatten)]
    more: Option<More<'a>>,
}

/// What `--verbose` adds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct More<'a> {
    gateways: Vec<IpAddr>,
    gateway_priority: i32,
    #[serde(rename = "IsGatewayIPv4")]
    is_gateway_ipv4: bool,
    #[serde(rename = "IsGatewayIPv6")]
    is_gateway_ipv6: bool,
    driver_opts: &'a BTreeMap<String, String>,
    namespace: &'a str,
    ports: String,
}

/// A network in detail; more of those of its containers that are among `sandboxes`.
pub(crate) fn details<'a>(network: &'a Network, sandboxes: &'a [Sandbox]) -> Details<'a> {
    let held = network.endpoints.iter();
    let containers = held.map(|held| (held.sandbox.as_str(), attached(held, sandboxes))).collect();
    Details {
        name: &network.name,
        id: &network.id,
        created: network.created.to_string(),
        scope: &network.scope,
        driver: &network.driver,
        enable_ipv4: network.ipv4,
        enable_ipv6: network.ipv6,
        ipam: Ipam { driver: "default", config: network.pools.iter().map(pool).collect() },
        internal: network.internal,
        predefined: network.predefined,
        link: network.link.as_deref(),
        mtu_bytes: network.mtu_bytes,
        containers,
        options: &network.options,
        labels: &network.labels,
    }
}

fn pool(pool: &cnm::api::Pool) -> Pool<'_> {
    Pool {
        subnet: pool.subnet.to_string(),
        ip_range: pool.ip_range.map(|range| range.to_string()),
        gateway: pool.gateway,
        auxiliary_addresses: &pool.aux_addresses,
    }
}

fn attached<'a>(held: &'a NetworkEndpoint, sandboxes: &'a [Sandbox]) -> Attached<'a> {
    let endpoint = &held.endpoint;
    let sandbox = sandboxes.iter().find(|sandbox| sandbox.id == held.sandbox);
    let address = |is_ipv6: bool| {
        let mut addresses = endpoint.addresses.iter().map(|held| held.address);
        addresses.find(|address| address.is_ipv6() == is_ipv6).map(|address| address.to_string()).unwrap_or_default()
    };
    Attached {
        name: &held.sandbox_name,
        endpoint_id: &endpoint.id,
        interface: endpoint.interface.as_deref().unwrap_or_default(),
        mac_address: endpoint.mac.as_deref().unwrap_or_default(),
        ipv4_address: address(false),
        ipv6_address: address(true),
        aliases: &endpoint.aliases,
        more: sandbox.map(|sandbox| More {
            gateways: endpoint.addresses.iter().filter_map(|held| held.gateway).collect(),
            gateway_priority: endpoint.gateway_priority,
            is_gateway_ipv4: endpoint.is_gateway_ipv4,
            is_gateway_ipv6: endpoint.is_gateway_ipv6,
            driver_opts: &endpoint.options,
            namespace: sandbox.namespace.as_deref().unwrap_or_default(),
            ports: published(&sandbox.ports),
        }),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::render::format::Format;

    pub(crate) fn lab() -> Network {
        serde_json::from_value(serde_json::json!({
            "id": "0123456789abcdef", "name": "lab", "driver": "bridge", "scope": "local", "created": "2026-01-02T15:04:05Z",
            "internal": false, "ipv4": true, "ipv6": false, "predefined": false, "link": "bb-0123456789ab", "mtu_bytes": 1500,
            "pools": [{"subnet": "10.9.0.0/24", "gateway": "10.9.0.1", "aux_addresses": {"router": "10.9.0.2"}}],
            "options": {}, "labels": {"tier": "db"},
            "endpoints": [{
                "sandbox": "c0ffee", "sandbox_name": "web",
                "endpoint": {
                    "id": "e1", "network": "0123456789abcdef", "network_name": "lab", "interface": "eth0",
                    "mac": "02:42:0a:09:00:02", "addresses": [{"address": "10.9.0.3/24", "gateway": "10.9.0.1", "fixed": false}],
                    "aliases": ["db"], "gateway_priority": 0, "is_gateway_ipv4": true, "is_gateway_ipv6": false, "options": {},
                },
            }],
        }))
        .unwrap()
    }

    #[test]
    fn lists() {
        let list = |format| Format::parse(format, false, &COLUMNS).render(&COLUMNS, [row(&lab(), false)]).unwrap();
        insta::assert_snapshot!(list(None), @r"
        NETWORK ID     NAME      DRIVER    SCOPE
        0123456789ab   lab       bridge    local
        ");
        assert_eq!(list(Some("{{.Name}} {{.Subnets}} {{.Label \"tier\"}}")), "lab 10.9.0.0/24 db\n");
    }

    #[test]
    fn in_detail() {
        insta::assert_json_snapshot!(details(&lab(), &[]), @r#"
        {
          "Name": "lab",
          "Id": "0123456789abcdef",
          "Created": "2026-01-02T15:04:05Z",
          "Scope": "local",
          "Driver": "bridge",
          "EnableIPv4": true,
          "EnableIPv6": false,
          "IPAM": {
            "Driver": "default",
            "Config": [
              {
                "Subnet": "10.9.0.0/24",
                "Gateway": "10.9.0.1",
                "AuxiliaryAddresses": {
                  "router": "10.9.0.2"
                }
              }
            ]
          },
          "Internal": false,
          "Predefined": false,
          "Link": "bb-0123456789ab",
          "MTU": 1500,
          "Containers": {
            "c0ffee": {
              "Name": "web",
              "EndpointID": "e1",
              "Interface": "eth0",
              "MacAddress": "02:42:0a:09:00:02",
              "IPv4Address": "10.9.0.3/24",
              "IPv6Address": "",
              "Aliases": [
                "db"
              ]
            }
          },
          "Options": {},
          "Labels": {
            "tier": "db"
          }
        }
        "#);
    }

    #[test]
    fn verbose_adds_what_the_containers_have() {
        let (lab, sandboxes) = (lab(), [crate::render::attachment::tests::web()]);
        let json = serde_json::to_value(details(&lab, &sandboxes)).unwrap();
        insta::assert_json_snapshot!(json["Containers"]["c0ffee"], @r#"
        {
          "Aliases": [
            "db"
          ],
          "DriverOpts": {},
          "EndpointID": "e1",
          "GatewayPriority": 0,
          "Gateways": [
            "10.9.0.1"
          ],
          "IPv4Address": "10.9.0.3/24",
          "IPv6Address": "",
          "Interface": "eth0",
          "IsGatewayIPv4": true,
          "IsGatewayIPv6": false,
          "MacAddress": "02:42:0a:09:00:02",
          "Name": "web",
          "Namespace": "/run/x",
          "Ports": "0.0.0.0:4000-4001->80-81/tcp"
        }
        "#);
    }
}
