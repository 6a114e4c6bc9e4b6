//! Networks, addresses, ports.

use super::*;
use crate::container::network::{Port, Protocol};

#[test]
fn ports_and_what_is_exposed() {
    let spec = made(json!({
        "Image": "x", "ExposedPorts": { "80/tcp": {}, "100-102/udp": {} },
        "HostConfig": { "PortBindings": {
            "80/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "8080" }, { "HostPort": "" }],
            "443": [{ "HostPort": "8000-8010" }], "9/tcp": null, "8/tcp": [],
        } },
    }))
    .spec
    .network;
    let port = |protocol, number| Port { protocol, number };
    assert_eq!(spec.exposed.len(), 7);
    assert!(spec.exposed.contains(&port(Protocol::Udp, 101)) && spec.exposed.contains(&port(Protocol::Tcp, 443)));
    let bound: Vec<_> =
        spec.ports.iter().map(|b| (b.container.number, b.host_ip.is_some(), b.host.map(|h| h.last))).collect();
    assert_eq!(
        bound,
        [(8, false, None), (9, false, None), (80, false, None), (80, true, Some(8080)), (443, false, Some(8010))]
    );
}

#[test]
fn networks_in_the_order_of_their_interfaces() {
    let body = json!({
        "Image": "x", "Hostname": "web", "MacAddress": "02-42-AC-00-00-01",
        "HostConfig": { "NetworkMode": "front" },
        "NetworkingConfig": { "EndpointsConfig": {
            "back": { "GwPriority": 3 },
            "front": { "IPAMConfig": { "IPv4Address": "10.1.0.9" }, "Aliases": ["www"], "Links": null },
        } },
    });
    let container = made(body);
    let [front, back] = &container.endpoints[..] else { panic!("{:?}", container.endpoints) };
    assert_eq!((front.network.as_str(), front.ipv4.as_deref()), ("front", Some("10.1.0.9")));
    assert_eq!(front.mac.as_deref(), Some("02:42:ac:00:00:01"));
    assert_eq!(front.aliases, ["www"]);
    assert_eq!((back.network.as_str(), back.gateway_priority), ("back", 3));
    let default = made(json!({
        "Image": "x", "HostConfig": { "NetworkMode": "default" },
        "NetworkingConfig": { "EndpointsConfig": { "default": { "MacAddress": "02:42:ac:00:00:01" } } },
    }));
    assert_eq!(default.endpoints.len(), 1);
    assert_eq!(default.endpoints[0].mac.as_deref(), Some("02:42:ac:00:00:01"));
}

#[test]
fn network_modes() {
    let shared = host(json!({ "NetworkMode": "container:web" }));
    assert_eq!((shared.spec.hostname.as_str(), shared.spec.domainname.as_str()), ("webhost", "lan"));
    assert!(shared.endpoints.is_empty());
    let of_host = translate(&json!({
        "Image": "x", "HostConfig": { "NetworkMode": "host", "PortBindings": { "80/tcp": [{ "HostPort": "80" }] } },
    }))
    .unwrap();
    assert_eq!(of_host.container.spec.hostname, "harbour");
    assert_eq!(of_host.warnings, ["Published ports are discarded when using host network mode"]);
    assert_eq!(host(json!({ "NetworkMode": "none" })).endpoints[0].network, "none");
    let disabled = made(json!({
        "Image": "x", "NetworkDisabled": true, "HostConfig": { "NetworkMode": "lan" },
        "NetworkingConfig": { "EndpointsConfig": { "lan": {} } },
    }));
    assert_eq!((disabled.endpoints.len(), disabled.endpoints[0].network.as_str()), (1, "none"));
    assert_eq!(disabled.asked.host.text("NetworkMode"), "none");
}

#[test]
fn netd_is_asked_for_the_host_name_as_well_where_there_are_names() {
    let aliases = |mode: &str| {
        let container = made(json!({ "Image": "x", "Hostname": "web", "HostConfig": { "NetworkMode": mode } }));
        assert!(container.endpoints[0].aliases.is_empty(), "inspect shows what was asked for");
        container.endpoints[0].to_request(&container.spec.hostname).aliases
    };
    assert_eq!((aliases("lan"), aliases("bridge")), (vec!["web".to_owned()], vec![]));
}

#[test]
fn the_default_network_is_for_who_names_none() {
    let on = |host: Value, named: &[&str]| -> Vec<String> {
        let endpoints: serde_json::Map<_, _> = named.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
        let networking = json!({ "EndpointsConfig": endpoints });
        let container = made(json!({ "Image": "x", "HostConfig": host, "NetworkingConfig": networking }));
        container.endpoints.into_iter().map(|endpoint| endpoint.network).collect()
    };
    let default = || json!({ "NetworkMode": "default" });
    assert_eq!(on(json!({}), &[]), ["bridge"]);
    assert_eq!(on(json!({}), &["front", "back"]), ["back", "front"]);
    assert_eq!(on(default(), &["front"]), ["front"]);
    assert_eq!(on(default(), &["default", "front"]), ["bridge", "front"]);
    assert_eq!(on(json!({ "NetworkMode": "bridge" }), &["front"]), ["front"]);
    assert_eq!(on(json!({ "NetworkMode": "back" }), &["front"]), ["back", "front"]);
}

#[test]
fn links() {
    let linked = host(json!({ "Links": ["web:db", "/web:/calm_cog/cache", "web"] }));
    let links: Vec<_> = linked.spec.network.links.iter().map(|l| (l.container.as_str(), l.alias.as_str())).collect();
    assert_eq!(links, [("web0", "db"), ("web0", "cache"), ("web0", "web")]);
    let shown = linked.asked.host.texts("Links").collect::<Vec<_>>();
    assert_eq!(shown, ["/web:/calm_cog/db", "/web:/calm_cog/cache", "/web:/calm_cog/web"]);
    // On a network of one's own they belong to the endpoint, and need nobody yet.
    let own = |endpoint: Value, links: Value| {
        made(json!({
            "Image": "x", "HostConfig": { "NetworkMode": "front", "Links": links },
            "NetworkingConfig": { "EndpointsConfig": { "front": endpoint } },
        }))
    };
    let by_endpoint = own(json!({ "Links": ["later:db"] }), json!(null));
    assert_eq!(by_endpoint.endpoints[0].links, ["later:db"]);
    let by_container = own(json!({}), json!(["later:db"]));
    assert_eq!(by_container.endpoints[0].links, ["later:db"]);
    assert!(by_container.spec.network.links.is_empty() && by_container.asked.host.texts("Links").next().is_none());
}
