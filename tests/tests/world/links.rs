//! `--link`: names for other containers.

use berth_tests::{Host, started};

fn address(host: &Host, name: &str) -> String {
    host.docker(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", name]).ok()
}

/// The lines of a container's `/etc/hosts` that have this name.
fn lines(host: &Host, container: &str, name: &str) -> Vec<String> {
    let hosts = host.docker(&["exec", container, "cat", "/etc/hosts"]).ok();
    let named = hosts.lines().filter(|line| line.split_whitespace().skip(1).any(|word| word == name));
    named.map(|line| line.replace('\t', " ")).collect()
}

#[test]
fn on_the_default_network_links_are_lines_of_hosts() {
    let (_world, host) = started();
    host.docker(&["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).ok();
    let id = host.docker(&["inspect", "-f", "{{slice .Id 0 12}}", "web"]).ok();
    host.docker(&["run", "-d", "--name", "client", "--link", "web:db", "busybox", "sleep", "1000"]).ok();
    let first = address(&host, "web");
    assert_eq!(lines(&host, "client", "db"), [format!("{first} db {id} web")]);
    assert_eq!(host.docker(&["inspect", "-f", "{{json .HostConfig.Links}}", "client"]).ok(), r#"["/web:/client/db"]"#);
    // Wherever the other one comes back.
    host.docker(&["restart", "-t", "0", "web"]).ok();
    let second = address(&host, "web");
    assert_ne!(first, second, "addresses are handed out in turn");
    assert_eq!(lines(&host, "client", "web"), [format!("{second} db {id} web")]);
    host.docker(&["stop", "-t", "0", "web", "client"]).ok();
    let said = host.docker(&["start", "client"]).fails_with(1);
    assert!(said.contains("Cannot link to a non running container: /web AS /client/db"), "{said}");
    // A link to who is gone is none.
    host.docker(&["rm", "web"]).ok();
    host.docker(&["start", "client"]).ok();
    assert!(lines(&host, "client", "db").is_empty());
}

#[test]
fn on_a_network_of_ones_own_links_are_kept() {
    let (_world, host) = started();
    host.docker(&["network", "create", "own"]).ok();
    host.docker(&["run", "-d", "--name", "web", "--network", "own", "busybox", "sleep", "1000"]).ok();
    let run = ["run", "-d", "--name", "client", "--network", "own", "--link", "web:db", "busybox", "sleep", "1000"];
    host.docker(&run).ok();
    let links = "{{json .NetworkSettings.Networks.own.Links}}";
    assert_eq!(host.docker(&["inspect", "-f", links, "client"]).ok(), r#"["web:db"]"#);
    host.docker(&["network", "create", "more"]).ok();
    host.docker(&["network", "connect", "--link", "web:other", "more", "client"]).ok();
    let links = "{{json .NetworkSettings.Networks.more.Links}}";
    assert_eq!(host.docker(&["inspect", "-f", links, "client"]).ok(), r#"["web:other"]"#);
    // As docker-compose 1.29 asks for a service's container and for that of its `run`: it joins again with the same words.
    let ask = |path: &str, body: &str| {
        let (status, said) = host.http("/run/berth/berth.sock", "POST", path, Some(body));
        assert!((200..300).contains(&status), "{path}: {status} {said}");
    };
    let endpoint = r#"{"Aliases":["job"],"IPAMConfig":{},"Links":["web:web","web:shop_web_1","later:later"]}"#;
    let create = format!(
        r#"{{"Image":"busybox","Cmd":["sleep","1000"],"HostConfig":{{"NetworkMode":"own","Links":[]}},"NetworkingConfig":{{"EndpointsConfig":{{"own":{endpoint}}}}}}}"#
    );
    ask("/v1.25/containers/create?name=job", &create);
    ask("/v1.25/networks/own/disconnect", r#"{"Container":"job"}"#);
    ask("/v1.25/networks/own/connect", &format!(r#"{{"Container":"job","EndpointConfig":{endpoint}}}"#));
    ask("/v1.25/containers/job/start", "");
    let links = "{{json .NetworkSettings.Networks.own.Links}}";
    assert_eq!(host.docker(&["inspect", "-f", links, "job"]).ok(), r#"["web:web","web:shop_web_1","later:later"]"#);
}
