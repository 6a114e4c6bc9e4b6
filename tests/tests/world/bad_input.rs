//! Wrong requests: each with the status and the words that users of Docker expect, and nothing changed.

use berth_tests::{Host, World};

/// A wrong command line: the client, its arguments, the exit status, and what standard error has to name.
type Wrong = (&'static str, &'static str, i32, &'static [&'static str]);

const BY_COMMAND: &[Wrong] = &[
    // Flags of run, by both clients.
    ("both", "run -p 99999:80 busybox true", 125, &["99999"]),
    ("both", "run -p 80:0 busybox true", 125, &["0"]),
    ("both", "run -p a:b busybox true", 125, &["a"]),
    ("both", "run -p 1.2.3:80:80 busybox true", 125, &["1.2.3"]),
    ("both", "run -p 80:80:80:80 busybox true", 125, &["80:80:80:80"]),
    ("both", "run -p 80:80/icmp busybox true", 125, &["icmp"]),
    ("both", "run -p 8000-8010:80-85 busybox true", 125, &["8000-8010"]),
    ("both", "run -p 8010-8000:8010-8000 busybox true", 125, &["8010-8000"]),
    ("both", "run -p 4100:80 -p 4100:81 busybox true", 125, &["4100"]),
    ("both", "run -m 10x busybox true", 125, &["10x"]),
    ("both", "run -m 1k busybox true", 125, &["6MB"]),
    ("both", "run -m 64m --memory-swap 32m busybox true", 125, &["swap"]),
    ("both", "run --memory-reservation 128m -m 64m busybox true", 125, &["reservation"]),
    ("both", "run --cpus -1 busybox true", 125, &["-1"]),
    ("both", "run --cpus 1000 busybox true", 125, &["1000", "CPUs"]),
    ("both", "run --cpuset-cpus 999 busybox true", 125, &["999"]),
    ("both", "run --cap-add NONESUCH busybox true", 125, &["NONESUCH"]),
    ("both", "run --security-opt nonesuch busybox true", 125, &["nonesuch"]),
    ("both", "run --security-opt seccomp=/nowhere.json busybox true", 125, &["/nowhere.json"]),
    ("both", "run --ulimit nofile=10:5 busybox true", 125, &["10"]),
    ("both", "run --ulimit nonesuch=1 busybox true", 125, &["nonesuch"]),
    ("both", "run --mount type=foo,target=/x busybox true", 125, &["foo"]),
    ("both", "run --mount type=bind,source=/tmp busybox true", 125, &["target"]),
    ("both", "run --mount type=bind,source=relative,target=/x busybox true", 125, &["relative"]),
    ("both", "run --mount type=bind,source=/nowhere,target=/x busybox true", 125, &["/nowhere"]),
    ("both", "run -v /tmp:relative busybox true", 125, &["relative"]),
    ("both", "run -v /tmp:/x:nonesuch busybox true", 125, &["nonesuch"]),
    ("both", "run -v /tmp:/x -v /run:/x busybox true", 125, &["/x"]),
    ("both", "run --tmpfs relative busybox true", 125, &["relative"]),
    ("both", "run --network nonesuch busybox true", 125, &["nonesuch", "not found"]),
    ("both", "run --network container:nonesuch busybox true", 125, &["nonesuch"]),
    ("both", "run --ip 10.1.1.1 busybox true", 125, &["user"]),
    ("both", "run --network taken --ip 9.9.9.9 busybox true", 125, &["9.9.9.9"]),
    ("both", "run --network taken --ip 10.40.0.1 busybox true", 125, &["10.40.0.1"]),
    ("both", "run --network taken --ip notanip busybox true", 125, &["notanip"]),
    ("both", "run --mac-address zz:00:00:00:00:01 busybox true", 125, &["zz:00:00:00:00:01"]),
    ("both", "run --network host -p 80:80 --mac-address 02:00:00:00:00:01 busybox true", 125, &["mac"]),
    ("both", "run --name keeper busybox true", 125, &["keeper", "already in use"]),
    ("both", "run --name -bad- busybox true", 125, &["-bad-"]),
    ("both", "run --stop-signal NONESUCH busybox true", 125, &["NONESUCH"]),
    ("both", "run -u nobodyatall busybox true", 125, &["nobodyatall"]),
    ("both", "run -w relative busybox true", 125, &["relative"]),
    ("both", "run --hostname -bad-host- busybox true", 125, &["-bad-host-"]),
    ("both", "run --env-file /nowhere busybox true", 125, &["/nowhere"]),
    ("both", "run --rm nonesuch true", 125, &["nonesuch"]),
    ("both", "run --rm Bad:Name:Here true", 125, &["Bad:Name:Here"]),
    ("both", "run --sysctl kernel.nonesuch=1 busybox true", 125, &["kernel.nonesuch"]),
    ("both", "run --pid nonesuch busybox true", 125, &["nonesuch"]),
    ("both", "run --ipc nonesuch busybox true", 125, &["nonesuch"]),
    ("both", "run --restart sometimes busybox true", 125, &["sometimes"]),
    ("both", "run --rm --restart always busybox true", 125, &["restart"]),
    ("both", "run --log-driver nonesuch busybox true", 125, &["nonesuch"]),
    ("both", "run --nonesuch busybox true", 125, &["--nonesuch"]),
    // Containers.
    ("both", "start nonesuch", 1, &["No such container: nonesuch"]),
    ("both", "stop nonesuch", 1, &["No such container: nonesuch"]),
    ("both", "rm nonesuch", 1, &["No such container: nonesuch"]),
    ("both", "rm keeper", 1, &["keeper", "running"]),
    ("both", "kill -s NONESUCH keeper", 1, &["NONESUCH"]),
    ("both", "kill idle", 1, &["is not running"]),
    ("both", "pause idle", 1, &["is not running"]),
    ("both", "unpause keeper", 1, &["is not paused"]),
    ("both", "rename keeper idle", 1, &["idle", "already in use"]),
    ("both", "exec idle true", 1, &["is not running"]),
    ("both", "exec keeper nonesuch", 127, &["nonesuch"]),
    ("both", "logs nonesuch", 1, &["No such container: nonesuch"]),
    ("both", "top idle", 1, &["is not running"]),
    ("both", "ps --filter nonesuch=1", 1, &["nonesuch"]),
    // Images.
    ("both", "rmi nonesuch", 1, &["No such image", "nonesuch"]),
    ("both", "tag nonesuch other", 1, &["No such image", "nonesuch"]),
    ("both", "tag busybox UPPER", 1, &["invalid reference format"]),
    ("both", "rmi busybox", 1, &["busybox"]),
    // Networks, by docker and by berth.
    ("docker", "network create taken", 1, &["taken", "already exists"]),
    ("berth", "net create taken", 1, &["taken", "already exists"]),
    ("docker", "network create --subnet 10.40.0.0/25 overlap", 1, &["overlap"]),
    ("berth", "net create --subnet 10.40.0.0/25 overlap", 1, &["10.40.0.0"]),
    ("docker", "network create --subnet 10.41.0.0/24 --gateway 10.42.0.1 gw", 1, &["10.42.0.1"]),
    ("berth", "net create --subnet 10.41.0.0/24 --gateway 10.42.0.1 gw", 1, &["10.42.0.1"]),
    ("berth", "net create --subnet 10.41.0.0/24 --ip-range 10.42.0.0/25 range", 1, &["10.42.0.0/25"]),
    ("berth", "net create --subnet 10.41.0.7/24 host-bits", 1, &["10.41.0.7/24"]),
    ("berth", "net create --subnet 10.41.0.0/33 prefix", 1, &["10.41.0.0/33"]),
    ("berth", "net create --subnet nonesuch words", 1, &["nonesuch"]),
    ("berth", "net create --driver nonesuch x", 1, &["nonesuch"]),
    ("berth", "net create --driver host second-host", 1, &["host"]),
    ("berth", "net create -o com.docker.network.nonesuch=1 x", 1, &["com.docker.network.nonesuch"]),
    ("berth", "net create -o com.docker.network.driver.mtu=abc x", 1, &["abc"]),
    ("berth", "net create bad/name", 1, &["bad/name"]),
    ("docker", "network rm bridge", 1, &["bridge", "pre-defined"]),
    ("berth", "net rm bridge", 1, &["bridge"]),
    ("docker", "network rm taken", 1, &["active endpoints", "keeper"]),
    ("berth", "net rm taken", 1, &["keeper"]),
    ("both", "network rm nonesuch", 1, &["nonesuch", "not found"]),
    ("docker", "network connect taken keeper", 1, &["already"]),
    ("docker", "network disconnect bridge keeper", 1, &["not connected"]),
    ("docker", "network connect taken nonesuch", 1, &["nonesuch"]),
    // What isn't there yet is refused by name.
    ("docker", "pull busybox", 1, &["pull"]),
    ("docker", "commit keeper x", 1, &["commit"]),
    ("docker", "volume create v", 1, &["volume"]),
];

fn snapshot(host: &Host) -> String {
    host.sh(
        "export DOCKER_HOST=unix:///run/berth/berth.sock; docker ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.State}}'; \
         docker network ls --no-trunc; docker images --no-trunc; ip -o link | wc -l; ls /run/berth/netns",
    )
    .ok()
}

#[test]
fn every_wrong_command_is_refused_and_changes_nothing() {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    host.docker(&["network", "create", "--subnet", "10.40.0.0/24", "taken"]).ok();
    host.docker(&["run", "-d", "--name", "keeper", "--network", "taken", "busybox", "sleep", "1000"]).ok();
    host.docker(&["create", "--name", "idle", "busybox", "true"]).ok();
    let before = snapshot(&host);
    let mut wrong = Vec::new();
    for (client, line, code, fragments) in BY_COMMAND {
        let arguments: Vec<_> = line.split(' ').collect();
        for name in ["docker", "berth"].into_iter().filter(|name| name == client || *client == "both") {
            let outcome = if name == "docker" { host.docker(&arguments) } else { host.berth(&arguments) };
            // As Docker does: a container that was created and couldn't start stays for a look.
            for leftover in host.docker(&["ps", "-aq", "--filter", "status=created"]).ok().lines().skip(1) {
                host.docker(&["rm", leftover]);
            }
            let missing = fragments.iter().find(|part| !outcome.stderr.to_lowercase().contains(&part.to_lowercase()));
            if outcome.code != *code || missing.is_some() {
                wrong.push(format!(
                    "{name} {line}: {} (expected {code}, {fragments:?}): {}",
                    outcome.code, outcome.stderr
                ));
            }
            if snapshot(&host) != before {
                panic!("{name} {line} changed something:\n{before}\n---\n{}", snapshot(&host));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
}

/// Wrong requests to the Engine API: method, path, body, status, and what the message has to name.
const BY_HTTP: &[(&str, &str, Option<&str>, u16, &str)] = &[
    ("GET", "/v1.99/containers/json", None, 400, "1.99"),
    ("GET", "/v1.10/containers/json", None, 400, "1.10"),
    ("GET", "/nonesuch", None, 404, "page not found"),
    ("POST", "/v1.43/containers/create", Some("{"), 400, ""),
    ("POST", "/v1.43/containers/create", Some("{}"), 400, ""),
    ("POST", "/v1.43/containers/create?name=bad%2Fname", Some(r#"{"Image":"busybox"}"#), 400, "bad/name"),
    ("POST", "/v1.43/containers/create", Some(r#"{"Image":"busybox","HostConfig":{"Memory":-5}}"#), 400, "emory"),
    ("POST", "/v1.43/containers/create", Some(r#"{"Image":"nonesuch"}"#), 404, "No such image: nonesuch:latest"),
    ("GET", "/v1.43/containers/json?filters=%7Bbad", None, 400, "filter"),
    ("GET", "/v1.43/containers/nonesuch/json", None, 404, "No such container: nonesuch"),
    ("GET", "/v1.43/images/nonesuch/json", None, 404, "No such image: nonesuch"),
    ("GET", "/v1.43/networks/nonesuch", None, 404, "network nonesuch not found"),
    ("GET", "/v1.43/exec/nonesuch/json", None, 404, "No such exec instance: nonesuch"),
    ("POST", "/v1.43/networks/create", Some(r#"{"Name":""}"#), 400, ""),
];

#[test]
fn every_wrong_http_request_has_its_status() {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    let before = snapshot(&host);
    for (method, path, body, status, fragment) in BY_HTTP {
        let (got, answer) = host.http("/run/berth/berth.sock", method, path, *body);
        let document: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
        let message = document["message"].as_str().unwrap_or_default();
        assert!(got == *status && message.contains(fragment) && !message.is_empty(), "{method} {path}: {got} {answer}");
    }
    for (method, path, body, status) in [
        ("POST", "/v1/networks", Some("{"), 400),
        ("POST", "/v1/networks", Some(r#"{"name":"x","nonesuch":1}"#), 400),
        ("PUT", "/v1/sandboxes/bad%20id", Some(r#"{"owner":"o"}"#), 400),
        ("PUT", "/v1/sandboxes/x", Some(r#"{"owner":"o","endpoints":[{"network":"nonesuch"}]}"#), 404),
        (
            "PUT",
            "/v1/sandboxes/x",
            Some(r#"{"owner":"o","namespace":{"path":"/nowhere"},"endpoints":[{"network":"bridge"}]}"#),
            400,
        ),
        ("DELETE", "/v1/sandboxes/x", None, 404),
        ("GET", "/v1/nonesuch", None, 404),
    ] {
        let (got, answer) = host.http("/run/berth/netd.sock", method, path, body);
        assert!(got == status && answer.contains("\"message\""), "{method} {path}: {got} {answer}");
    }
    assert_eq!(snapshot(&host), before);
}
