//! Attachments of containers to networks, a line each.

use cnm::api::{Endpoint, PublishedPort, Sandbox};

use crate::engine::reply::PortSummary;

use super::format::{Columns, Row};
use super::{ports, shown_id};

/// Fields of an attachment in a list.
pub(crate) const COLUMNS: Columns = Columns {
    headings: &[
        ("Network", "NETWORK"),
        ("NetworkID", "NETWORK ID"),
        ("Container", "CONTAINER"),
        ("ContainerID", "CONTAINER ID"),
        ("Addresses", "ADDRESSES"),
        ("MacAddress", "MAC ADDRESS"),
        ("Interface", "INTERFACE"),
        ("Names", "NAMES"),
        ("Ports", "PORTS"),
    ],
    table: "{{.Network}}\t{{.Container}}\t{{.Addresses}}\t{{.Names}}\t{{.Ports}}",
    quiet: "{{.ContainerID}}",
};

/// The attachments to the networks whose ids are `wanted`, network by network.
pub(crate) fn rows(sandboxes: &[Sandbox], wanted: impl Fn(&str) -> bool, whole: bool) -> Vec<Row> {
    let all = sandboxes.iter().flat_map(|sandbox| sandbox.endpoints.iter().map(move |endpoint| (endpoint, sandbox)));
    let mut attached: Vec<(&Endpoint, &Sandbox)> = all.filter(|(endpoint, _)| wanted(&endpoint.network)).collect();
    attached.sort_by_key(|(endpoint, sandbox)| (&endpoint.network_name, &sandbox.name, &sandbox.id));
    attached.into_iter().map(|(endpoint, sandbox)| row(endpoint, sandbox, whole)).collect()
}

fn row(endpoint: &Endpoint, sandbox: &Sandbox, whole: bool) -> Row {
    let addresses = endpoint.addresses.iter().map(|held| held.address.ip().to_string());
    // What is published leads to the attachment that has the default route.
    let is_gateway = endpoint.is_gateway_ipv4 || endpoint.is_gateway_ipv6;
    let published = if is_gateway { published(&sandbox.ports) } else { String::new() };
    Row::new([
        ("Network", endpoint.network_name.clone()),
        ("NetworkID", shown_id(&endpoint.network, whole)),
        ("Container", sandbox.name.clone()),
        ("ContainerID", shown_id(&sandbox.id, whole)),
        ("Addresses", addresses.collect::<Vec<_>>().join(", ")),
        ("MacAddress", endpoint.mac.clone().unwrap_or_default()),
        ("Interface", endpoint.interface.clone().unwrap_or_default()),
        ("Names", endpoint.aliases.join(", ")),
        ("Ports", published),
    ])
}

/// Published ports in a line, as `ps` shows them.
pub(crate) fn published(published: &[PublishedPort]) -> String {
    let each = published.iter().flat_map(|range| {
        (0..range.count).map(|offset| PortSummary {
            ip: range.host_ip.to_string(),
            public_port: range.host_first.saturating_add(offset),
            private_port: range.container_first.saturating_add(offset),
            protocol: range.protocol.clone(),
        })
    });
    ports::line(&each.collect::<Vec<_>>())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::render::format::Format;

    /// A server on two networks.
    pub(crate) fn web() -> Sandbox {
        let endpoint = |network: &str, address: &str, is_gateway: bool| {
            serde_json::json!({
                "id": "e1", "network": format!("{network}-id"), "network_name": network, "interface": "eth0",
                "mac": "02:42:0a:09:00:02", "addresses": [{"address": address, "fixed": false}],
                "aliases": ["web", "db"], "gateway_priority": 0, "is_gateway_ipv4": is_gateway,
                "is_gateway_ipv6": false, "options": {"a": "b"},
            })
        };
        serde_json::from_value(serde_json::json!({
            "id": "c0ffee", "owner": "berthd", "name": "web", "labels": {}, "namespace": "/run/x", "state": "programmed",
            "endpoints": [endpoint("lab", "10.9.0.3/24", true), endpoint("backend", "10.8.0.2/24", false)],
            "ports": [{"protocol": "tcp", "host_ip": "0.0.0.0", "host_first": 4000, "container_first": 80, "count": 2}],
        }))
        .unwrap()
    }

    fn list(wanted: impl Fn(&str) -> bool) -> String {
        Format::parse(None, false, &COLUMNS).render(&COLUMNS, rows(&[web()], wanted, false)).unwrap()
    }

    #[test]
    fn each_attachment_is_a_line() {
        insta::assert_snapshot!(list(|_| true), @r"
        NETWORK   CONTAINER   ADDRESSES   NAMES     PORTS
        backend   web         10.8.0.2    web, db
        lab       web         10.9.0.3    web, db   0.0.0.0:4000-4001->80-81/tcp
        ");
        insta::assert_snapshot!(list(|network| network == "backend-id"), @r"
        NETWORK   CONTAINER   ADDRESSES   NAMES     PORTS
        backend   web         10.8.0.2    web, db
        ");
    }
}
