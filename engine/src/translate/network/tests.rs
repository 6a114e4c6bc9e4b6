//! Tables and golden JSON for networks.

use cnm::api::EndpointAddress;
use serde_json::json;

use super::*;

const NEWEST: ApiVersion = ApiVersion::MAX;

fn request(body: serde_json::Value) -> NetworkCreateRequest {
    serde_json::from_value(body).expect("a request")
}

#[test]
fn what_the_cli_sends_is_what_netd_is_asked_for() {
    let asked = create(
        request(json!({
            "Name": "shop", "Driver": "bridge", "Scope": "", "Internal": true, "Attachable": false, "Ingress": false,
            "ConfigOnly": false, "ConfigFrom": null, "EnableIPv6": false, "Options": {"com.docker.network.bridge.name": "br7"},
            "Labels": {"tier": "web"},
            "IPAM": {"Driver": "default", "Options": {}, "Config": [{
                "Subnet": "10.9.0.0/16", "IPRange": "", "Gateway": "10.9.0.1", "AuxiliaryAddresses": {"printer": "10.9.0.9"}
            }]},
        })),
        NEWEST,
    );
    let expected = NetworkCreate {
        name: "shop".into(),
        driver: Some("bridge".into()),
        internal: true,
        ipv6: Some(false),
        pools: vec![PoolConfig {
            subnet: Some("10.9.0.0/16".into()),
            gateway: Some("10.9.0.1".into()),
            aux_addresses: [("printer".into(), "10.9.0.9".into())].into(),
            ip_range: None,
        }],
        options: [("com.docker.network.bridge.name".into(), "br7".into())].into(),
        labels: [("tier".into(), "web".into())].into(),
        ..NetworkCreate::default()
    };
    assert_eq!(asked.expect("accepted"), expected);
    let least = create(request(json!({"Name": "shop", "Driver": "default"})), NEWEST).expect("accepted");
    assert_eq!(least, NetworkCreate { name: "shop".into(), ..NetworkCreate::default() });
}

#[test]
fn what_netd_has_no_word_for_is_refused() {
    for (body, text) in [
        (json!({"Name": "n", "Scope": "swarm"}), r#"network scope "swarm" is not available: berth has no swarm mode"#),
        (json!({"Name": "n", "Ingress": true}), "an ingress network can't be made: berth has no swarm mode"),
        (
            json!({"Name": "n", "ConfigOnly": true}),
            "configuration-only networks are not available: berth has no swarm mode",
        ),
        (
            json!({"Name": "n", "ConfigFrom": {"Network": "m"}}),
            "configuration-only networks are not available: berth has no swarm mode",
        ),
        (
            json!({"Name": "n", "IPAM": {"Driver": "vendor"}}),
            r#"IPAM driver "vendor" is not available: leave it out or give "default""#,
        ),
        (
            json!({"Name": "n", "IPAM": {"Options": {"pool": "x"}}}),
            r#"the default IPAM driver has no option "pool": leave it out"#,
        ),
    ] {
        assert_eq!(create(request(body), NEWEST).expect_err(text).message(), text);
    }
}

fn network() -> Network {
    Network {
        id: "ab".repeat(32),
        name: "shop".into(),
        driver: "bridge".into(),
        scope: "local".into(),
        created: "2026-11-21T10:00:00.5Z".parse().expect("a timestamp"),
        internal: false,
        ipv4: true,
        ipv6: false,
        pools: vec![Pool {
            subnet: "10.9.0.0/16".parse().expect("a subnet"),
            ip_range: None,
            gateway: Some("10.9.0.1".parse().expect("an address")),
            aux_addresses: BTreeMap::new(),
        }],
        options: BTreeMap::new(),
        labels: [("tier".into(), "web".into())].into(),
        predefined: false,
        link: Some("bb-abababababab".into()),
        mtu_bytes: Some(1500),
        endpoints: vec![NetworkEndpoint {
            sandbox: "c0ffee".into(),
            sandbox_name: "till".into(),
            endpoint: Endpoint {
                id: "e1".into(),
                network: "ab".repeat(32),
                network_name: "shop".into(),
                interface: Some("eth0".into()),
                mac: Some("02:00:00:00:00:07".into()),
                addresses: vec![EndpointAddress {
                    address: "10.9.0.7/16".parse().expect("an address"),
                    gateway: None,
                    fixed: false,
                }],
                aliases: vec![],
                gateway_priority: 0,
                is_gateway_ipv4: true,
                is_gateway_ipv6: false,
                options: BTreeMap::new(),
            },
        }],
    }
}

#[test]
fn a_network_is_shown_as_docker_shows_it() {
    insta::assert_json_snapshot!(view(network()), @r#"
    {
      "Name": "shop",
      "Id": "abababababababababababababababababababababababababababababababab",
      "Created": "2026-11-21T10:00:00.5Z",
      "Scope": "local",
      "Driver": "bridge",
      "EnableIPv4": true,
      "EnableIPv6": false,
      "IPAM": {
        "Driver": "default",
        "Options": {},
        "Config": [
          {
            "Subnet": "10.9.0.0/16",
            "Gateway": "10.9.0.1"
          }
        ]
      },
      "Internal": false,
      "Attachable": false,
      "Ingress": false,
      "ConfigFrom": {
        "Network": ""
      },
      "ConfigOnly": false,
      "Containers": {
        "c0ffee": {
          "Name": "till",
          "EndpointID": "e1",
          "MacAddress": "02:00:00:00:00:07",
          "IPv4Address": "10.9.0.7/16",
          "IPv6Address": ""
        }
      },
      "Options": {},
      "Labels": {
        "tier": "web"
      }
    }
    "#);
}

#[test]
fn a_network_by_itself_says_how_full_it_is() {
    let status = |network: Network, minor| json!(inspect(network, ApiVersion::new(1, minor))).get("Status").cloned();
    let full = json!({ "IPAM": { "Subnets": { "10.9.0.0/16": { "IPsInUse": 4, "DynamicIPsAvailable": 65532 } } } });
    assert_eq!(status(network(), 52), Some(full));
    assert_eq!(status(network(), 51), None);
    assert_eq!(status(Network { pools: vec![], ..network() }, 52), None);
}

#[test]
fn older_versions_know_no_networks_without_ipv4() {
    let ipv4 = |minor| {
        let body = request(json!({"Name": "shop", "EnableIPv4": false}));
        create(body, ApiVersion::new(1, minor)).expect("accepted").ipv4
    };
    assert_eq!((ipv4(47), ipv4(48)), (None, Some(false)));
}

#[test]
fn lists_are_filtered_as_asked() {
    let predefined = Network { predefined: true, endpoints: vec![], ..network() };
    for (filters, expected) in [
        ("{}", (true, true)),
        (r#"{"name":["ho"],"driver":["bridge"]}"#, (true, true)),
        (r#"{"name":["ho$"]}"#, (false, false)),
        (r#"{"id":["^abab"]}"#, (true, true)),
        (r#"{"driver":["host","null"]}"#, (false, false)),
        (r#"{"type":["custom"]}"#, (true, false)),
        (r#"{"type":["builtin"]}"#, (false, true)),
        (r#"{"label":["tier=web"]}"#, (true, true)),
        (r#"{"scope":["swarm"]}"#, (false, false)),
        (r#"{"dangling":["true"]}"#, (false, false)),
        (r#"{"dangling":["false"]}"#, (true, true)),
    ] {
        let selection = Selection::new(Filters::parse(Some(filters)).expect(filters)).expect(filters);
        assert_eq!((selection.takes(&network()), selection.takes(&predefined)), expected, "{filters}");
    }
    for filters in [r#"{"colour":["red"]}"#, r#"{"type":["odd"]}"#, r#"{"dangling":["maybe"]}"#] {
        Selection::new(Filters::parse(Some(filters)).expect(filters)).expect_err(filters);
    }
}

#[test]
fn prune_keeps_all_its_conditions() {
    let now: Timestamp = "2026-11-21T12:00:00Z".parse().expect("a timestamp");
    let filters = Filters::parse(Some(r#"{"label":["a"],"label!":["b=c"],"until":["24h"]}"#)).expect("filters");
    let expected = PruneRequest {
        labels: vec!["a".into()],
        labels_not: vec!["b=c".into()],
        until: Some("2026-11-20T12:00:00Z".parse().expect("a timestamp")),
    };
    assert_eq!(prune(filters, now).expect("accepted"), expected);
    prune(Filters::parse(Some(r#"{"until":["soon"]}"#)).expect("filters"), now).expect_err("refused");
}
