//! A container that runs, as inspect and lists show it.

use cnm::api::{Endpoint, EndpointAddress, PublishedPort, Sandbox, SandboxState};
use insta::assert_json_snapshot;
use serde_json::json;

use super::*;
use crate::container::{from_record, short};
use crate::store::StoredContainer;
use crate::translate::summary;

/// A container of the shape that the database keeps: what this reads must always be readable.
const RECORD: &str = include_str!("record.json");

fn running() -> Container {
    let stored = StoredContainer { id: "a".into(), name: "web".into(), record: RECORD.into() };
    let mut container = from_record(&stored).unwrap();
    let network = "6f1c".repeat(16);
    container.sandbox = Some(Sandbox {
        id: container.id.to_string(),
        owner: "berthd-0".into(),
        name: "web".into(),
        labels: Default::default(),
        namespace: Some("/run/berth/netns/1".into()),
        endpoints: vec![Endpoint {
            id: "e0".repeat(32),
            network,
            network_name: "bridge".into(),
            interface: Some("eth0".into()),
            mac: Some("02:42:ac:11:00:02".into()),
            addresses: vec![EndpointAddress {
                address: "172.17.0.2/16".parse().unwrap(),
                gateway: Some("172.17.0.1".parse().unwrap()),
                fixed: false,
            }],
            aliases: vec![],
            gateway_priority: 0,
            is_gateway_ipv4: true,
            is_gateway_ipv6: false,
            options: Default::default(),
        }],
        ports: ["0.0.0.0", "::"]
            .map(|host_ip| PublishedPort {
                protocol: "tcp".into(),
                host_ip: host_ip.parse().unwrap(),
                host_first: 4000,
                container_first: 80,
                count: 1,
            })
            .to_vec(),
        state: SandboxState::Programmed,
    });
    container
}

fn place() -> Where {
    Where {
        etc: "/var/lib/berth/containers/c".into(),
        log: "/var/lib/berth/containers/c/c-json.log".into(),
        volumes: volume::Registry::new("/var/lib/berth/volumes".into()),
        execs: vec![],
        rootfs: Some(Rootfs { lowers: vec!["/l/2".into(), "/l/1".into()], upper: "/u".into(), work: "/w".into() }),
    }
}

#[test]
fn whole() {
    let usage = Some(Usage { written_bytes: 7, total_bytes: 1007 });
    assert_json_snapshot!(container(&running(), &place(), usage, ApiVersion::new(1, 51)));
}

#[test]
fn each_version_has_what_it_knows() {
    let mut named = running();
    named.endpoints[0].network = "lan".into();
    named.sandbox = None;
    let show = |container: &Container, minor| super::container(container, &place(), None, ApiVersion::new(1, minor));
    let endpoint = |minor| show(&named, minor)["NetworkSettings"]["Networks"]["lan"].clone();
    let id = short(&named.id).to_owned();
    assert_eq!(endpoint(44)["Aliases"], json!([id]));
    assert_eq!(endpoint(45)["Aliases"], Value::Null);
    assert!(endpoint(45)["DNSNames"].as_array().is_some_and(|names| names.contains(&json!(id))));
    // The default bridge has no names.
    let bridge = &show(&running(), 44)["NetworkSettings"]["Networks"]["bridge"];
    assert_eq!(bridge["Aliases"], Value::Null);
    assert_eq!(show(&named, 51)["Config"].get("OnBuild"), Some(&Value::Null));
    assert_eq!(show(&named, 52)["Config"].get("OnBuild"), None);
}

#[test]
fn what_is_empty_is_null_and_tmpfs_has_a_place_of_its_own() {
    let made = crate::translate::create::tests::made(json!({
        "Image": "x", "Cmd": [], "Entrypoint": ["/bin/sh"],
        "HostConfig": {
            "Tmpfs": { "/run": "", "/tmp": "size=1m" },
            "Mounts": [{ "Type": "tmpfs", "Target": "/scratch" }],
        },
    }));
    let shown = container(&made, &place(), None, ApiVersion::MAX);
    assert_eq!((&shown["Config"]["Cmd"], &shown["Config"]["Entrypoint"]), (&Value::Null, &json!(["/bin/sh"])));
    let places: Vec<_> = shown["Mounts"].as_array().unwrap().iter().map(|mount| &mount["Destination"]).collect();
    assert_eq!(places, ["/scratch"]);
    assert_eq!(shown["HostConfig"]["Tmpfs"], json!({ "/run": "", "/tmp": "size=1m" }));
}

#[test]
fn in_a_list() {
    let mut container = running();
    let later = container.created.checked_add(jiff::SignedDuration::from_secs(300)).unwrap();
    let show = |container: &Container, minor| {
        summary::container(container, &place().volumes, None, later, ApiVersion::new(1, minor))
    };
    assert_json_snapshot!(show(&container, 51));
    assert_eq!(json!(show(&container, 52))["Health"], json!({ "Status": "none", "FailingStreak": 0 }));
    container.state.phase = Phase::Exited;
    container.sandbox = None;
    let stopped = show(&container, 52);
    assert_eq!(stopped.ports, []);
    assert_eq!(json!(stopped)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"], "");
}

#[test]
fn what_is_shown_of_a_request_is_complete() {
    for text in [CONFIG_DEFAULTS, HOST_CONFIG_DEFAULTS] {
        assert!(serde_json::from_str::<Map<String, Value>>(text).is_ok());
    }
}
