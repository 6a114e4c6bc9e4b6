//! What docs/differences-from-docker.md says isn't there yet is refused, each with the status that it says.

mod asked;
mod on_purpose;
mod shown;

use std::cell::RefCell;

use berth_tests::{started, world::binary};

use crate::bad_input::WrongHttp;

/// What the table says, in its words, and the requests that ask for it.
const NOT_THERE: &[(&str, &[WrongHttp])] = &[
    (
        "cluster volumes",
        &[("POST", "/volumes/create", r#"{"Name":"other","ClusterVolumeSpec":{"AccessMode":{}}}"#, 501, "cluster")],
    ),
    (
        "quotas of volumes (`-o size=`, 400)",
        &[("POST", "/volumes/create", r#"{"Name":"other","DriverOpts":{"size":"10m"}}"#, 400, "quota")],
    ),
    ("plugins that `docker plugin install` would fetch", &[("POST", "/plugins/pull?remote=x", "[]", 501, "plugin")]),
    (
        "plugins over TLS",
        &[("POST", "/volumes/create", r#"{"Name":"other","Driver":"secure"}"#, 501, "a connection over TLS")],
    ),
    (
        "BuildKit:",
        &[
            (
                "POST",
                "/session",
                "",
                501,
                "BuildKit's API (set DOCKER_BUILDKIT=0 for docker build, or use berth build)",
            ),
            ("POST", "/grpc", "", 501, "BuildKit's API (set DOCKER_BUILDKIT=0 for docker build, or use berth build)"),
            ("POST", "/build?version=2", "", 501, "set DOCKER_BUILDKIT=0, or use berth build"),
            ("POST", "/build?session=x", "", 501, "set DOCKER_BUILDKIT=0, or use berth build"),
        ],
    ),
    (
        "`--squash`, `--output`, contexts that the daemon fetches",
        &[
            ("POST", "/build?squash=1", "", 501, "squash"),
            ("POST", "/build?remote=https://example.com/x.git", "", 501, "remote"),
            ("POST", "/build?outputs=%5B%7B%22Type%22%3A%22local%22%7D%5D", "", 501, "output"),
        ],
    ),
    (
        "`checkpoint`",
        &[
            ("POST", "/containers/idle/checkpoints", r#"{"CheckpointID":"a"}"#, 501, "checkpoint"),
            ("GET", "/containers/idle/checkpoints", "", 501, "checkpoint"),
            ("POST", "/containers/idle/start?checkpoint=a", "", 501, "checkpoint"),
        ],
    ),
    (
        "what a registry has, asked through the engine",
        &[("GET", "/distribution/busybox/json", "", 501, "asking registries")],
    ),
    (
        "swarm mode:",
        &[
            ("POST", "/swarm/init", "{}", 501, "swarm"),
            ("POST", "/swarm/join", "{}", 501, "swarm"),
            ("GET", "/swarm", "", 503, "swarm"),
            ("GET", "/nodes", "", 503, "swarm"),
            ("GET", "/services", "", 503, "swarm"),
        ],
    ),
    (
        "IPv6 on networks:",
        &[
            ("POST", "/networks/create", r#"{"Name":"other","EnableIPv6":true}"#, 501, "IPv6"),
            (
                "POST",
                "/networks/create",
                r#"{"Name":"other","IPAM":{"Config":[{"Subnet":"fd00:1::/64"}]}}"#,
                501,
                "IPv",
            ),
        ],
    ),
    (
        "networks of other drivers:",
        &[
            ("POST", "/networks/create", r#"{"Name":"other","Driver":"macvlan"}"#, 404, "macvlan"),
            ("POST", "/networks/create", r#"{"Name":"other","Driver":"ipvlan"}"#, 404, "ipvlan"),
            ("POST", "/networks/create", r#"{"Name":"other","Driver":"overlay"}"#, 404, "overlay"),
            ("POST", "/networks/create", r#"{"Name":"other","Driver":"foreign"}"#, 404, "foreign"),
        ],
    ),
    (
        "IPAM drivers other than `default`; options for them (400)",
        &[
            ("POST", "/networks/create", r#"{"Name":"other","IPAM":{"Driver":"foo"}}"#, 501, "foo"),
            ("POST", "/networks/create", r#"{"Name":"other","IPAM":{"Options":{"a":"b"}}}"#, 400, "option \\\"a\\\""),
        ],
    ),
    (
        "configuration-only networks",
        &[
            ("POST", "/networks/create", r#"{"Name":"other","ConfigOnly":true}"#, 501, "configuration-only"),
            ("POST", "/networks/create", r#"{"Name":"other","ConfigFrom":{"Network":"x"}}"#, 501, "configuration-only"),
            ("POST", "/networks/create", r#"{"Name":"other","Ingress":true}"#, 501, "ingress"),
            ("POST", "/networks/create", r#"{"Name":"other","Scope":"swarm"}"#, 501, "swarm"),
        ],
    ),
    (
        "`network create --ipv4=false`",
        &[("POST", "/networks/create", r#"{"Name":"other","EnableIPv4":false}"#, 501, "IPv4")],
    ),
    (
        "`com.docker.network.endpoint.sysctls`",
        &[(
            "POST",
            "/networks/lab/connect",
            r#"{"Container":"runs","EndpointConfig":{"DriverOpts":{"com.docker.network.endpoint.sysctls":"x=1"}}}"#,
            501,
            "com.docker.network.endpoint.sysctls",
        )],
    ),
    (
        "`builder prune` that is to keep some of the cache",
        &[
            ("POST", "/build/prune?reserved-space=1", "", 501, "reserved-space"),
            ("POST", "/build/prune?max-used-space=1", "", 501, "max-used-space"),
            ("POST", "/build/prune?min-free-space=1", "", 501, "min-free-space"),
            ("POST", "/build/prune?keep-storage=1", "", 501, "keep-storage"),
        ],
    ),
    ("`rm --link`", &[("DELETE", "/containers/idle?link=1", "", 501, "link")]),
];

/// Members of a request to make a container, and the words by which they are refused.
type Member = (&'static str, &'static str);

/// The same, of what a container is made with: the row, what asks for it, and the status.
const NOT_OF_CONTAINERS: &[(&str, &[Member], u16)] = &[
    ("user namespaces (`--userns`)", &[(r#""HostConfig":{"UsernsMode":"keep-id"}"#, "userns")], 501),
    ("other OCI runtimes (`--runtime`", &[(r#""HostConfig":{"Runtime":"crun"}"#, "runtime")], 501),
    ("`--gpus`", &[(r#""HostConfig":{"DeviceRequests":[{"Count":-1,"Capabilities":[["gpu"]]}]}"#, "gpu")], 501),
    ("`--storage-opt`", &[(r#""HostConfig":{"StorageOpt":{"size":"1G"}}"#, "storage")], 501),
    ("`--annotation`", &[(r#""HostConfig":{"Annotations":{"a":"b"}}"#, "annotation")], 501),
    ("log drivers other than", &[(r#""HostConfig":{"LogConfig":{"Type":"journald"}}"#, "journald")], 501),
    (
        "AppArmor profiles and SELinux labels",
        &[
            (r#""HostConfig":{"SecurityOpt":["apparmor=x"]}"#, "apparmor"),
            (r#""HostConfig":{"SecurityOpt":["label=type:x"]}"#, "label"),
        ],
        501,
    ),
    (
        "`--mount type=image`, `npipe` and `cluster`",
        &[
            (r#""HostConfig":{"Mounts":[{"Type":"image","Source":"busybox","Target":"/x"}]}"#, "image"),
            (r#""HostConfig":{"Mounts":[{"Type":"npipe","Source":"a","Target":"/x"}]}"#, "npipe"),
            (r#""HostConfig":{"Mounts":[{"Type":"cluster","Source":"a","Target":"/x"}]}"#, "cluster"),
        ],
        501,
    ),
    (
        "`--link-local-ip`",
        &[(
            r#""NetworkingConfig":{"EndpointsConfig":{"bridge":{"IPAMConfig":{"LinkLocalIPs":["169.254.1.1"]}}}}"#,
            "link-local",
        )],
        501,
    ),
    (
        "network-scoped aliases on `bridge` (400)",
        &[(r#""NetworkingConfig":{"EndpointsConfig":{"bridge":{"Aliases":["a"]}}}"#, "alias")],
        400,
    ),
    (
        "`--ipc none`, `--cpu-rt-*`, recursive read-only binds",
        &[
            (r#""HostConfig":{"IpcMode":"none"}"#, "ipc"),
            (r#""HostConfig":{"CpuRealtimePeriod":1000}"#, "real-time CPU"),
            (r#""HostConfig":{"CpuRealtimeRuntime":1000}"#, "runtime"),
            (
                r#""HostConfig":{"Mounts":[{"Type":"bind","Source":"/tmp","Target":"/x","ReadOnly":true,"BindOptions":{"ReadOnlyForceRecursive":true}}]}"#,
                "recursive",
            ),
        ],
        501,
    ),
    (
        "seccomp profiles with `flags` or a listener (`SCMP_ACT_NOTIFY`, 400)",
        &[
            (
                r#""HostConfig":{"SecurityOpt":["seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"]}"]}"#,
                "flags",
            ),
            (
                r#""HostConfig":{"SecurityOpt":["seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mkdir\"],\"action\":\"SCMP_ACT_NOTIFY\"}]}"]}"#,
                "SCMP_ACT_NOTIFY",
            ),
        ],
        400,
    ),
    (
        "mount propagation `shared` and `rshared`",
        &[
            (r#""HostConfig":{"Binds":["/tmp:/x:shared"]}"#, "shared"),
            (r#""HostConfig":{"Binds":["/tmp:/x:rshared"]}"#, "rshared"),
        ],
        501,
    ),
];

/// Rows that no request to the engine asks for.
const NOT_OF_THE_API: &[&str] = &["the API over TCP, with TLS or without"];

/// The rows of the table of what isn't there yet.
fn rows(document: &str) -> Vec<&str> {
    let (_, table) = document.split_once("\n## Not there yet\n").expect("the chapter");
    let (table, _) = table.split_once("\n## ").expect("another chapter");
    table.lines().filter(|line| line.starts_with("| ") && *line != "| what | instead |").collect()
}

#[test]
fn what_isnt_there_yet_is_refused_as_the_document_says() {
    let document = include_str!("../../../docs/differences-from-docker.md");
    let asked_for = NOT_THERE.iter().map(|(words, _)| *words).chain(NOT_OF_CONTAINERS.iter().map(|(words, ..)| *words));
    let asked_for: Vec<&str> = asked_for.chain(NOT_OF_THE_API.iter().copied()).collect();
    let rows = rows(document);
    assert!(rows.len() > 15, "the table has changed its form: {rows:?}");
    for row in rows {
        assert!(asked_for.iter().any(|words| row.contains(words)), "nobody asks for {row}");
    }
    let (_world, host) = started();
    host.docker(&["network", "create", "lab"]).ok();
    host.docker(&["create", "--name", "idle", "busybox", "true"]).ok();
    host.docker(&["run", "-d", "--name", "runs", "busybox", "sleep", "1000"]).ok();
    // Its own, with a plugin that is reached over TLS.
    host.sh("mkdir -p /etc/docker/plugins && mount -t tmpfs none /etc/docker/plugins && \
             echo '{\"Name\":\"secure\",\"Addr\":\"https://127.0.0.1:1\"}' > /etc/docker/plugins/secure.json")
        .ok();
    let there = || [["ps", "-aq"], ["volume", "ls"], ["network", "ls"]].map(|list| host.docker(&list).ok());
    let before = there();
    let complaints = RefCell::new(Vec::new());
    let ask = |words: &str, (method, path, body, status, told): WrongHttp| {
        assert!(document.contains(words), "the document doesn't say {words:?}");
        let body = Some(body).filter(|body| !body.is_empty());
        let (got, answer) = host.http("/run/berth/berth.sock", method, &format!("/v1.51{path}"), body);
        if got != status || !answer.contains(told) {
            complaints.borrow_mut().push(format!("{words}: {method} {path} {body:?}: {got} {answer}"));
        }
    };
    for (words, requests) in NOT_THERE {
        requests.iter().for_each(|request| ask(words, *request));
    }
    for (words, members, status) in NOT_OF_CONTAINERS {
        for (members, told) in *members {
            let body = format!("{{\"Image\":\"busybox\",\"Cmd\":[\"true\"],{members}}}");
            ask(words, ("POST", "/containers/create", &body, *status, told));
        }
    }
    let complaints = complaints.take();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert_eq!(there(), before);
    assert!(document.contains("(`unconfined` and `disable` are accepted: neither is in use)"));
    for option in ["apparmor=unconfined", "label=disable"] {
        host.docker(&["run", "--rm", "--security-opt", option, "busybox", "true"]).ok();
    }
    let refused =
        host.docker(&["run", "--rm", "--network", "lab", "--ip6", "fd00::2", "busybox", "true"]).fails_with(125);
    assert!(refused.contains("network lab has no IPv6 subnet"), "{refused}");
    let option = "name=lab,driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1";
    let refused = host.docker(&["run", "--rm", "--network", option, "busybox", "true"]).fails_with(125);
    assert!(refused.contains("com.docker.network.endpoint.sysctls"), "{refused}");
    assert_eq!(host.docker(&["ps", "-aq"]).ok().lines().count(), 2);

    assert!(document.contains("**Containers don't find each other by name yet.**"));
    assert!(document.contains("there is no server at 127.0.0.11"));
    host.docker(&["run", "-d", "--name", "named", "--network", "lab", "busybox", "sleep", "1000"]).ok();
    let servers = host.docker(&["exec", "named", "cat", "/etc/resolv.conf"]).ok();
    assert!(servers.contains("nameserver") && !servers.contains("127.0.0.11"), "{servers}");
    // Where nobody is asked outside either, so that nobody is waited for.
    let run =
        ["run", "--rm", "--network", "lab", "--dns", "127.0.0.1", "busybox", "ping", "-c", "1", "-W", "1", "named"];
    assert!(host.docker(&run).fails_with(1).contains("bad address 'named'"));

    // A newcomer reads it before that.
    let readme = include_str!("../../../README.md");
    assert!(readme.contains("`berth build`; with docker `DOCKER_BUILDKIT=0 docker build`"));

    let by_tcp = host.berth(&["-H", "tcp://127.0.0.1:2375", "ps"]).fails_with(1);
    assert!(by_tcp.starts_with("berth: invalid host 'tcp://127.0.0.1:2375': give unix:///path/to/socket"), "{by_tcp}");
    let berthd = format!("cd /run && {} --socket tcp://127.0.0.1:2375; ls /run", binary("berthd").display());
    let refused = host.sh(&berthd);
    assert!(refused.stderr.contains("tcp://127.0.0.1:2375") && refused.stderr.contains("TCP"), "{refused:?}");
    assert!(!refused.stdout.contains("tcp:"), "{refused:?}");
}
