//! What a host answers where docs/differences-from-docker.md says that something is different on purpose, and no other test asks.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
};

use berth_tests::{Host, Outcome, follow, world::binary};
use serde_json::Value;

const SOCKET: &str = "/run/berth/berth.sock";

fn inspected(host: &Host, template: &str, name: &str) -> String {
    host.docker(&["inspect", "-f", template, name]).ok()
}

pub(super) fn configuration_is_read_at_the_start(host: &mut Host) {
    let mirrors = |host: &Host| host.docker(&["info", "-f", "{{json .RegistryConfig.Mirrors}}"]).ok();
    host.sh("mkdir -p /etc/berth && echo 'registry-mirrors = [\"https://mirror.example\"]' > /etc/berth/berthd.toml")
        .ok();
    host.sh("kill -HUP $(pidof berthd)").ok();
    host.wait_for_daemon_log("berthd", "SIGHUP: ");
    assert_eq!(mirrors(host), "[]", "it was read anew");
    let pid = inspected(host, "{{.State.Pid}}", "web");
    host.kill_berthd();
    host.start_berthd();
    assert_eq!(mirrors(host), r#"["https://mirror.example/"]"#);
    assert_eq!(inspected(host, "{{.State.Pid}}", "web"), pid, "containers run on");
}

pub(super) fn execs_outlive_berthd(host: &mut Host) {
    let body = r#"{"Cmd":["sleep","4712"]}"#;
    let (_, made) = host.http(SOCKET, "POST", "/containers/web/exec", Some(body));
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let exec = format!("/exec/{}", made["Id"].as_str().expect("an id"));
    assert_eq!(host.http(SOCKET, "POST", &format!("{exec}/start"), Some(r#"{"Detach":true}"#)).0, 200);
    assert_eq!(host.http(SOCKET, "GET", &format!("{exec}/json"), None).0, 200);
    host.kill_berthd();
    host.start_berthd();
    assert_eq!(host.http(SOCKET, "GET", &format!("{exec}/json"), None).0, 404);
    assert!(host.docker(&["top", "web"]).ok().contains("sleep 4712"));
}

pub(super) fn neighbours_are_permanent(host: &mut Host) {
    let [address, gateway, pid] = ["{{.NetworkSettings.IPAddress}}", "{{.NetworkSettings.Gateway}}", "{{.State.Pid}}"]
        .map(|template| inspected(host, template, "web"));
    let of_the_host = host.sh("ip -4 neigh show nud permanent").ok();
    assert!(of_the_host.contains(&format!("{address} dev berth0 ")), "{of_the_host}");
    let of_the_container = host.sh(&format!("nsenter -n -t {pid} ip -4 neigh show nud permanent")).ok();
    assert!(of_the_container.contains(&format!("{gateway} dev eth0 ")), "{of_the_container}");
}

pub(super) fn who_routes_for_others_needs_a_route(host: &mut Host) {
    host.docker(&["run", "-d", "--name", "vpn", "--cap-add", "NET_ADMIN", "busybox", "sleep", "4711"]).ok();
    host.docker(&["exec", "vpn", "ip", "address", "add", "10.77.0.1/24", "dev", "lo"]).ok();
    let ping =
        |host: &Host| host.docker(&["exec", "vpn", "ping", "-c", "1", "-W", "1", "-I", "10.77.0.1", "172.17.0.1"]);
    ping(host).fails_with(1);
    let address = inspected(host, "{{.NetworkSettings.IPAddress}}", "vpn");
    host.sh(&format!("ip route add 10.77.0.0/24 via {address}")).ok();
    ping(host).ok();
    host.sh(&format!("ip route del 10.77.0.0/24 via {address}")).ok();
    host.docker(&["rm", "-f", "vpn"]).ok();
}

pub(super) fn files_of_a_shared_network_are_the_first_one_s(host: &mut Host) {
    let first = ["run", "-d", "--name", "first", "-h", "shared", "--add-host", "extra:192.0.2.1", "--dns", "192.0.2.2"];
    host.docker(&[&first[..], &["busybox", "sleep", "4711"]].concat()).ok();
    host.docker(&["run", "-d", "--name", "second", "--network", "container:first", "busybox", "sleep", "4711"]).ok();
    let files = ["cat", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];
    let of_the_first = host.docker(&[&["exec", "first"][..], &files].concat()).ok();
    assert!(
        ["extra", "shared", "nameserver 192.0.2.2"].iter().all(|word| of_the_first.contains(word)),
        "{of_the_first}"
    );
    let third = ["run", "--rm", "--network", "container:second", "busybox"];
    assert_eq!(host.docker(&[&third[..], &files].concat()).ok(), of_the_first);
    host.docker(&["rm", "-f", "second", "first"]).ok();
}

pub(super) fn an_exec_s_program_is_not_its_own(host: &mut Host) {
    host.docker(&["exec", "web", "/proc/self/exe", "true"]).fails_with(127);
    for link in ["/proc/self/cwd", "/proc/1/cwd", "/proc/1/root"] {
        let refusal = host.docker(&["exec", "-w", link, "web", "true"]);
        assert!([126, 127].contains(&refusal.code), "{refusal:?}");
    }
    host.docker(&["exec", "-w", "/proc", "web", "/bin/busybox", "true"]).ok();
}

pub(super) fn a_file_system_is_mounted_for_its_container(host: &mut Host) {
    let merged = inspected(host, "{{.GraphDriver.Data.MergedDir}}", "web");
    assert_eq!(merged, format!("/proc/{}/root", inspected(host, "{{.State.Pid}}", "web")));
    assert_eq!(host.sh(&format!("cat {merged}/var/www/index.html")).ok(), "Hello from berth");
    host.sh("grep -q '^overlay /var/lib/berth' /proc/mounts").fails_with(1);
    host.docker(&["create", "--name", "idle", "busybox"]).ok();
    assert_eq!(inspected(host, "{{.GraphDriver.Data.MergedDir}}", "idle"), "");
    host.docker(&["rm", "idle"]).ok();
}

pub(super) fn members_are_in_order(host: &mut Host) {
    let read_again = |text: &str| serde_json::from_str::<Value>(text).expect("JSON").to_string();
    assert_eq!(read_again(r#"{"b":1,"a":2}"#), r#"{"a":2,"b":1}"#, "that puts them in order");
    let (_, shown) = host.http(SOCKET, "GET", "/containers/web/json", None);
    assert!(shown.contains("GraphDriver"), "{shown}");
    assert_eq!(read_again(&shown), shown.trim_end());
}

pub(super) fn networks_have_24_bits_and_bridges_their_ids(host: &mut Host) {
    let id = host.docker(&["network", "create", "lab"]).ok();
    let subnet = inspected(host, "{{range .IPAM.Config}}{{.Subnet}}{{end}}", "lab");
    assert!(subnet.starts_with("172.18.") && subnet.ends_with("/24"), "{subnet}");
    host.sh(&format!("ip link show bb-{}", &id[..12])).ok();
    host.docker(&["network", "rm", "lab"]).ok();
}

pub(super) fn runtimes_have_the_names_asked_for(host: &mut Host) {
    let runtime = |host: &Host, flags: &[&str]| {
        host.docker(&[&["create", "--name", "named"], flags, &["busybox"]].concat()).ok();
        let runtime = inspected(host, "{{.HostConfig.Runtime}}", "named");
        host.docker(&["rm", "named"]).ok();
        runtime
    };
    assert_eq!(runtime(host, &[]), "berth");
    for name in ["runc", "io.containerd.runc.v2"] {
        assert_eq!(runtime(host, &["--runtime", name]), name);
    }
}

pub(super) fn links_bring_no_variables(host: &mut Host) {
    let client = [
        "run",
        "--rm",
        "--link",
        "web:db",
        "busybox",
        "sh",
        "-c",
        "grep -c '\tdb' /etc/hosts; env | grep -c DB || true",
    ];
    assert_eq!(host.docker(&client).ok(), "1\n0");
    host.docker(&["run", "--rm", "--network", "none", "--link", "web:db", "busybox", "true"]).fails_with(125);
}

pub(super) fn names_of_networks(host: &mut Host) {
    for name in ["a/b".to_owned(), "a\tb".to_owned(), "container:web".to_owned(), "a".repeat(256)] {
        let body = serde_json::json!({ "Name": name }).to_string();
        let (status, said) = host.http(SOCKET, "POST", "/networks/create", Some(&body));
        assert_eq!(status, 400, "{name}: {said}");
    }
    let longest = "a".repeat(255);
    host.docker(&["network", "create", &longest]).ok();
    host.docker(&["network", "rm", &longest]).ok();
}

pub(super) fn unknown_options_of_ours_are_refused(host: &mut Host) {
    for option in ["com.docker.network.bridge.nonesuch=1", "berth.nonesuch=1"] {
        let refusal = host.docker(&["network", "create", "-o", option, "lab"]).fails_with(1);
        assert!(refusal.contains("nonesuch"), "{refusal}");
    }
}

pub(super) fn a_restart_that_fails_is_tried_again(host: &mut Host) {
    host.docker(&["run", "-d", "--name", "first", "busybox", "sleep", "4713"]).ok();
    let second = ["run", "-d", "--name", "second", "--restart", "always", "--network", "container:first"];
    host.docker(&[&second[..], &["busybox", "sleep", "4714"]].concat()).ok();
    let pid = inspected(host, "{{.State.Pid}}", "second");
    host.docker(&["kill", "first"]).ok();
    host.sh(&format!("kill -9 {pid}")).ok();
    // It can't be started, which it says as long as that is so.
    host.wait_for_daemon_log("berthd", "starting a container again: ");
    host.docker(&["start", "first"]).ok();
    host.wait_for_events("second", "start", 2);
    host.docker(&["rm", "-f", "second", "first"]).ok();
}

pub(super) fn the_limit_with_swap_moves_along(host: &mut Host) {
    let limits = |host: &Host| inspected(host, "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}", "bounded");
    let mib = |count: u64| count << 20;
    host.docker(&["run", "-d", "--name", "bounded", "-m", "64m", "busybox", "sleep", "4711"]).ok();
    host.docker(&["update", "-m", "256m", "bounded"]).ok();
    assert_eq!(limits(host), format!("{} {}", mib(256), mib(512)));
    host.docker(&["update", "-m", "64m", "--memory-swap", "100m", "bounded"]).ok();
    host.docker(&["update", "-m", "256m", "bounded"]).fails_with(1);
    assert_eq!(limits(host), format!("{} {}", mib(64), mib(100)));
    host.docker(&["rm", "-f", "bounded"]).ok();
}

pub(super) fn volumes_keep_their_options(host: &mut Host) {
    host.docker(&["volume", "create", "kept"]).ok();
    let other = "type=volume,src=kept,dst=/v,volume-opt=type=tmpfs,volume-opt=device=tmpfs";
    for client in [Host::docker as fn(&Host, &[&str]) -> Outcome, Host::berth] {
        let refusal = client(host, &["run", "--rm", "--mount", other, "busybox", "true"]).fails_with(125);
        assert!(refusal.contains("kept"), "{refusal}");
    }
    assert_eq!(inspected(host, "{{json .Options}}", "kept"), "null");
    host.docker(&["volume", "rm", "kept"]).ok();
}

pub(super) fn what_removes_itself_is_gone(host: &mut Host) {
    for end in [&["kill", "brief"][..], &["stop", "-t", "0", "brief"]] {
        host.docker(&["run", "-d", "--rm", "--name", "brief", "busybox", "sleep", "4711"]).ok();
        host.docker(end).ok();
        host.docker(&["create", "--name", "brief", "busybox"]).ok();
        host.docker(&["rm", "brief"]).ok();
    }
}

pub(super) fn a_dockerignore_in_a_tar_counts(host: &mut Host) {
    let files = "mkdir /run/ignoring && cd /run/ignoring && echo '*.log' > .dockerignore && touch a.log kept && \
                 printf 'FROM busybox\\nCOPY . /all\\n' > Dockerfile";
    host.sh(files).ok();
    host.sh(&format!("tar -c -C /run/ignoring . | {} build -q -t ignoring -", binary("berth").display())).ok();
    let files = host.docker(&["run", "--rm", "ignoring", "ls", "/all"]).ok();
    assert!(files.contains("kept") && !files.contains("a.log"), "{files}");
    host.docker(&["rmi", "ignoring"]).ok();
    host.docker(&["builder", "prune", "-af"]).ok();
}

pub(super) fn a_prune_by_labels_leaves_the_build_cache(host: &mut Host) {
    host.sh("mkdir -p /run/labelled && printf 'FROM busybox\\nRUN echo kept > /kept\\n' > /run/labelled/Dockerfile")
        .ok();
    host.berth(&["build", "-q", "-t", "built", "/run/labelled"]).ok();
    host.docker(&["rmi", "built"]).ok();
    let cache = |host: &Host| host.docker(&["system", "df", "--format", "{{.Type}} {{.TotalCount}}"]).ok();
    let before = cache(host);
    assert!(before.contains("Build Cache ") && !before.contains("Build Cache 0"), "{before}");
    host.docker(&["system", "prune", "-f", "--filter", "label=none"]).ok();
    assert_eq!(cache(host), before);
    host.docker(&["builder", "prune", "-af"]).ok();
    assert!(cache(host).contains("Build Cache 0"));
}

pub(super) fn networks_of_netd_are_told(host: &mut Host) {
    host.berth(&["net", "create", "seen"]).ok();
    host.berth(&["net", "rm", "seen"]).ok();
    let mut events = host.docker_command();
    let events = events.args([
        "events",
        "--since",
        "1h",
        "--filter",
        "type=network",
        "--format",
        "{{.Action}} {{.Actor.Attributes.name}}",
    ]);
    // In this order.
    let created = std::cell::Cell::new(false);
    assert!(follow(events, |event| {
        created.set(created.get() || event == "create seen");
        created.get() && event == "destroy seen"
    }));
}

pub(super) fn options_of_logs(host: &mut Host) {
    // Clients know of no option of `none`.
    for (driver, option, value, status) in [
        ("json-file", "labels-regex", "^[a-z]+$", 201),
        ("json-file", "labels-regex", r"\pL", 400),
        ("json-file", "env-regex", "^[a-z]+$", 201),
        ("json-file", "env-regex", r"\pL", 400),
        ("none", "mode", "blocking", 201),
        ("none", "mode", "non-blocking", 201),
        ("none", "max-buffer-size", "1m", 400),
        ("none", "labels", "a", 400),
        ("none", "tag", "x", 400),
        ("none", "max-size", "1m", 400),
    ] {
        let config = serde_json::json!({ "Type": driver, "Config": { option: value } });
        let body = serde_json::json!({ "Image": "busybox", "HostConfig": { "LogConfig": config } }).to_string();
        let (got, said) = host.http(SOCKET, "POST", "/containers/create?name=logged", Some(&body));
        assert_eq!(got, status, "{body}: {said}");
        host.docker(&["rm", "-f", "logged"]);
    }
    let body = r#"{"Image":"busybox","HostConfig":{"LogConfig":{"Type":"none","Config":{"mode":"non-blocking","max-buffer-size":"1m"}}}}"#;
    assert_eq!(host.http(SOCKET, "POST", "/containers/create?name=logged", Some(body)).0, 201);
    host.docker(&["rm", "logged"]).ok();
}

pub(super) fn unknown_values_are_refused(host: &mut Host) {
    for path in [
        "/containers/web/logs?stdout=1&tail=some",
        "/containers/json?filters=%7B%22status%22%3A%5B%22asleep%22%5D%7D",
        "/images/json?filters=%7B%22dangling%22%3A%5B%22perhaps%22%5D%7D",
    ] {
        let (status, said) = host.http(SOCKET, "GET", path, None);
        assert_eq!(status, 400, "{path}: {said}");
    }
    for tail in ["all", "3"] {
        assert_eq!(host.http(SOCKET, "GET", &format!("/containers/web/logs?stdout=1&tail={tail}"), None).0, 200);
    }
}

pub(super) fn what_is_copied_out_of_is_not_started(host: &mut Host) {
    // More than what may be on its way between berthd and who reads.
    let write = "dd if=/dev/zero of=/large bs=1M count=16 2> /dev/null";
    host.docker(&["run", "--name", "ended", "busybox", "sh", "-c", write]).ok();
    for (times, path) in ["export", "archive?path=/large"].into_iter().enumerate() {
        let mut archive = UnixStream::connect(host.directory().join("run/berth/berth.sock")).expect("berthd");
        let request = format!("GET /containers/ended/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        archive.write_all(request.as_bytes()).expect("sent");
        archive.read_exact(&mut [0; 512]).expect("the archive begins");
        let began = inspected(host, "{{.State.StartedAt}}", "ended");
        std::thread::scope(|scope| {
            let started = scope.spawn(|| host.docker(&["start", "-a", "ended"]));
            // That by which it was run was the first.
            host.wait_for_events("ended", "attach", times + 2);
            // Somebody else comes and goes meanwhile, and it has still not begun.
            host.docker(&["run", "--rm", "busybox", "true"]).ok();
            assert_eq!(inspected(host, "{{.State.StartedAt}}", "ended"), began, "{path}");
            std::io::copy(&mut archive, &mut std::io::sink()).expect("the rest of it");
            started.join().expect("no panic").ok();
        });
    }
    host.docker(&["rm", "ended"]).ok();
}

pub(super) fn every_network_is_attachable(host: &mut Host) {
    let made = ["--attachable", "--internal"].map(|flag| {
        host.docker(&["network", "create", flag, "lab"]).ok();
        let shown = inspected(host, "{{.Attachable}}", "lab");
        host.docker(&["run", "--rm", "--network", "lab", "busybox", "true"]).ok();
        host.docker(&["network", "rm", "lab"]).ok();
        shown
    });
    assert_eq!(made[0], made[1], "it changes nothing");
}

pub(super) fn steps_are_in_no_list(host: &mut Host) {
    host.sh(
        "mkdir -p /run/steps && printf 'FROM busybox\\nRUN --network=host nc -l -p 4999\\n' > /run/steps/Dockerfile",
    )
    .ok();
    let build = binary("berth");
    std::thread::scope(|scope| {
        let built = scope.spawn(|| host.sh(&format!("{} build -q /run/steps", build.display())));
        host.sh("timeout 60 sh -c 'until ss -ltn | grep -q :4999; do sleep 0.02; done'").ok();
        assert_eq!(host.docker(&["ps", "-a", "--format", "{{.Names}}"]).ok(), "web");
        host.sh("bash -c 'echo over > /dev/tcp/127.0.0.1/4999'").ok();
        built.join().expect("no panic").ok();
    });
    host.docker(&["image", "prune", "-f"]).ok();
    host.docker(&["builder", "prune", "-af"]).ok();
}

pub(super) fn a_container_called_as_a_verb(host: &mut Host) {
    for name in ["add", "rm", "remove"] {
        let id = host.docker(&["run", "-d", "--name", name, "-p", "4000:80", "busybox", "sleep", "4711"]).ok();
        assert!(host.berth(&["port", &id]).ok().starts_with("80/tcp -> "));
        assert_ne!(host.berth(&["port", name]).code, 0);
        host.docker(&["rm", "-f", name]).ok();
    }
}

pub(super) fn what_the_engine_says_follows(host: &mut Host) {
    for line in ["start nonesuch", "net connect nonesuch web", "volume rm nonesuch", "rmi nonesuch"] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let refusal = host.berth(&arguments).fails_with(1);
        assert!(
            refusal.starts_with("berth: Error response from daemon: ") && refusal.contains("nonesuch"),
            "{refusal}"
        );
    }
}

pub(super) fn what_only_berth_has(host: &mut Host) {
    host.berth(&["net", "ps"]).ok();
    host.sh("mkdir /run/man").ok();
    host.berth(&["man-pages", "/run/man"]).ok();
    host.sh("ls /run/man/berth-run.1").ok();
    for theirs in [&["network", "ps"][..], &["man-pages", "/run/man"]] {
        let docker = host.docker(theirs);
        assert!(docker.code != 0 || docker.stdout.contains("Usage:"), "{docker:?}");
    }
}

pub(super) fn what_only_docker_has(host: &mut Host) {
    for command in [
        "context",
        "manifest",
        "plugin",
        "trust",
        "checkpoint",
        "buildx",
        "compose",
        "swarm",
        "node",
        "service",
        "stack",
        "secret",
        "config",
    ] {
        let refusal = host.berth(&[command, "ls"]).fails_with(1);
        assert!(refusal.contains(&format!("berth: unknown command: berth {command}")), "{refusal}");
    }
    for line in [
        "start --checkpoint x web",
        "rm --link web",
        "run --use-api-socket busybox",
        "build --squash .",
        "builder prune --keep-storage 1",
        "run --disable-content-trust busybox",
        "pull --disable-content-trust busybox",
        "run --kernel-memory 1g busybox",
        "update --kernel-memory 1g web",
        "build --rm .",
        "build --force-rm .",
        "build --compress .",
        "volume create --availability active x",
        "run --cpu-count 1 busybox",
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let refusal = host.berth(&arguments).fails_with(125);
        assert!(refusal.starts_with("berth: unknown flag: --"), "{line}: {refusal}");
    }
}
