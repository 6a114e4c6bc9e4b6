//! What others have netd change of a container's network in berthd's name, as an administrator can.

use std::cell::Cell;

use berth_tests::{Host, started};
use serde_json::{Value, json};

const NETD: &str = "/run/berth/netd.sock";

/// What netd has of a container.
pub(super) fn sandbox_of(host: &Host, name: &str) -> Value {
    let (status, body) = host.http(NETD, "GET", "/v1/sandboxes", None);
    assert_eq!(status, 200, "{body}");
    let all: Vec<Value> = serde_json::from_str(&body).expect("a list");
    all.into_iter().find(|sandbox| sandbox["name"] == name).unwrap_or_else(|| panic!("{name} is none of {body}"))
}

/// The networks that netd has a container on.
pub(super) fn networks_of(host: &Host, name: &str) -> Vec<String> {
    let sandbox = sandbox_of(host, name);
    let endpoints = sandbox["endpoints"].as_array().expect("a list").iter();
    endpoints.map(|endpoint| endpoint["network_name"].as_str().expect("a name").to_owned()).collect()
}

/// The networks that berthd shows a container on.
pub(super) fn shown_networks(host: &Host, name: &str) -> String {
    let template = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
    host.docker(&["inspect", "-f", template, name]).ok().trim_end().to_owned()
}

/// Has netd have a container on these networks with these ports (`[IP:]HOST:CONTAINER`), in berthd's name.
fn put_in_berthds_name(host: &Host, name: &str, networks: &[&str], ports: &[&str]) {
    let now = sandbox_of(host, name);
    let port = |text: &&str| {
        let (host, container) = text.rsplit_once(':').expect("two ports");
        let (ip, number) = host.rsplit_once(':').map_or((None, host), |(ip, number)| (Some(ip), number));
        let range = |text: &str| {
            let number: u16 = text.parse().expect("a port");
            json!({ "first": number, "last": number })
        };
        json!({ "protocol": "tcp", "host_ip": ip, "host_ports": range(number), "container_ports": range(container) })
    };
    let request = json!({
        "owner": now["owner"],
        "name": now["name"],
        "endpoints": networks.iter().map(|network| json!({ "network": network })).collect::<Vec<_>>(),
        "ports": ports.iter().map(port).collect::<Vec<_>>(),
    });
    let path = format!("/v1/sandboxes/{}", now["id"].as_str().expect("an id"));
    let (status, body) = host.http(NETD, "PUT", &path, Some(&request.to_string()));
    assert!(status < 300, "{status} {body}");
}

#[test]
fn what_others_change_in_berthds_name_is_taken_over_and_in_no_other() {
    let (_world, host) = started();
    host.docker(&["network", "create", "lan"]).ok();
    let id = host.docker(&["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).ok();
    let sandbox = || -> Value {
        let (status, body) = host.http(NETD, "GET", &format!("/v1/sandboxes/{id}"), None);
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("JSON")
    };
    let whole = sandbox();
    let owner = whole["owner"].as_str().expect("a name");
    let endpoint = whole["endpoints"][0]["id"].as_str().expect("an id");
    let request = r#"{"network":"lan","aliases":["www"]}"#;
    // Nobody else may.
    for (method, path, body) in [
        ("DELETE", format!("/v1/sandboxes/{id}?owner=thief"), None),
        ("POST", format!("/v1/sandboxes/{id}/endpoints?owner=thief"), Some(request)),
        ("DELETE", format!("/v1/sandboxes/{id}/endpoints/{endpoint}?owner=thief"), None),
    ] {
        let (status, said) = host.http(NETD, method, &path, body);
        assert!(
            status == 403 && said.contains(&format!("is {owner}'s, not thief's")),
            "{method} {path}: {status} {said}"
        );
        assert_eq!(sandbox(), whole, "{method} {path}");
    }
    let networks = || {
        host.docker(&["inspect", "-f", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}", "web"])
            .ok()
            .trim_end()
            .to_owned()
    };
    let wait_until = |wanted: &str, count: usize| {
        // It is said when it is known.
        host.wait_for_daemon_lines("berthd", "netd has the container's networks otherwise than berthd knew", count);
        assert_eq!(networks(), wanted);
    };
    assert_eq!(networks(), "bridge");
    let (status, body) = host.http(NETD, "POST", &format!("/v1/sandboxes/{id}/endpoints?owner={owner}"), Some(request));
    assert_eq!(status, 201, "{body}");
    wait_until("bridge lan", 1);
    assert!(host.docker(&["exec", "web", "cat", "/etc/hosts"]).ok().matches(&id[..12]).count() >= 2);
    host.docker(&["restart", "-t", "0", "web"]).ok();
    assert_eq!(networks(), "bridge lan");
    let whole = sandbox();
    let lan =
        whole["endpoints"].as_array().expect("a list").iter().find(|it| it["network_name"] == "lan").expect("lan");
    let path = format!("/v1/sandboxes/{id}/endpoints/{}?owner={owner}", lan["id"].as_str().expect("an id"));
    let (status, body) = host.http(NETD, "DELETE", &path, None);
    assert_eq!(status, 204, "{body}");
    wait_until("bridge", 2);
    // So are ports, at once and for the next start.
    let request = format!(
        r#"{{"owner":"{owner}","name":"web","endpoints":[{{"network":"bridge"}}],"ports":[{{"protocol":"tcp",
            "host_ports":{{"first":4005,"last":4005}},"container_ports":{{"first":80,"last":80}}}}]}}"#
    );
    let (status, body) = host.http(NETD, "PUT", &format!("/v1/sandboxes/{id}"), Some(&request));
    assert!(status < 300, "{status} {body}");
    wait_until("bridge", 3);
    let published = "80/tcp -> 0.0.0.0:4005\n80/tcp -> [::]:4005";
    assert_eq!(host.docker(&["port", "web"]).ok(), published);
    let bindings = ["inspect", "-f", "{{json .HostConfig.PortBindings}}", "web"];
    assert_eq!(host.docker(&bindings).ok(), r#"{"80/tcp":[{"HostIp":"","HostPort":"4005"}]}"#);
    host.docker(&["restart", "-t", "0", "web"]).ok();
    assert_eq!(host.docker(&["port", "web"]).ok(), published);
}

#[test]
fn ports_that_others_change_are_neither_more_nor_less_after_the_next_start() {
    let (_world, host) = started();
    let routed = "com.docker.network.bridge.gateway_mode_ipv4=routed";
    host.docker(&["network", "create", "-o", routed, "routed"]).ok();
    host.docker(&["network", "create", "apart"]).ok();
    host.serve("web", &["--network", "routed", "-p", "8080:80"]);
    // Its own address is another one after each start.
    let live = |name: &str| {
        let sandbox = sandbox_of(&host, name);
        let own = sandbox["endpoints"][0]["addresses"][0]["address"].as_str().expect("an address");
        sandbox["ports"].to_string().replace(own.split('/').next().expect("an address"), "own")
    };
    let asked = |name: &str| host.docker(&["inspect", "-f", "{{json .HostConfig.PortBindings}}", name]).ok();
    let taken_over = Cell::new(0);
    let stays = |name: &str, wanted: &str| {
        taken_over.set(taken_over.get() + 1);
        host.wait_for_daemon_lines(
            "berthd",
            "netd has the container's networks otherwise than berthd knew",
            taken_over.get(),
        );
        assert_eq!(asked(name), wanted);
        let before = live(name);
        host.docker(&["restart", "-t", "0", name]).ok();
        assert_eq!(live(name), before);
        assert_eq!(asked(name), wanted);
    };
    // What is open on the endpoint's own address is no address of the host's.
    put_in_berthds_name(&host, "web", &["routed"], &["8080:80", "8081:81"]);
    stays("web", r#"{"80/tcp":[{"HostIp":"","HostPort":"8080"}],"81/tcp":[{"HostIp":"0.0.0.0","HostPort":""}]}"#);
    // One port fewer, behind another default gateway that has others.
    put_in_berthds_name(&host, "web", &["apart"], &["8080:80"]);
    stays("web", r#"{"80/tcp":[{"HostIp":"","HostPort":"8080"}]}"#);
    // What is narrowed to the host itself isn't opened to everybody.
    put_in_berthds_name(&host, "web", &["apart"], &["127.0.0.1:8080:80"]);
    stays("web", r#"{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8080"}]}"#);
}

#[test]
fn what_others_change_while_no_berthd_runs_is_taken_over_by_the_next() {
    let (_world, mut host) = started();
    host.docker(&["network", "create", "lan"]).ok();
    host.serve("web", &["-p", "8080:80"]);
    host.docker(&["run", "-d", "--name", "other", "-p", "4000:80", "busybox", "sleep", "1000"]).ok();
    let other = ["inspect", "-f", "{{json .HostConfig.PortBindings}} {{json .NetworkSettings.Ports}}", "other"];
    let as_it_was = host.docker(&other).ok();
    host.kill_berthd();
    put_in_berthds_name(&host, "web", &["bridge", "lan"], &["127.0.0.1:8080:80", "8081:81"]);
    host.start_berthd();
    // The whole of what it is to be is told with its new name.
    host.docker(&["rename", "web", "www"]).ok();
    let ports = "80/tcp -> 127.0.0.1:8080\n81/tcp -> 0.0.0.0:8081\n81/tcp -> [::]:8081";
    let is_taken_over = |host: &Host| {
        assert_eq!(networks_of(host, "www"), ["bridge", "lan"]);
        assert_eq!(shown_networks(host, "www"), "bridge lan");
        assert_eq!(host.docker(&["port", "www"]).ok(), ports);
    };
    is_taken_over(&host);
    assert!(host.docker(&["exec", "www", "cat", "/etc/hosts"]).ok().contains("172.18.0."));
    host.docker(&["restart", "-t", "0", "www"]).ok();
    is_taken_over(&host);
    assert_eq!(host.docker(&other).ok(), as_it_was);
}
