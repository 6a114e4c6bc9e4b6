//! Between the daemons: a netd that stands still, one of tomorrow, one that others ask in berthd's name, and what neither daemon
//! can read.

mod newer_netd;

use std::cell::Cell;
use std::time::{Duration, Instant};

use berth_tests::{Host, World, follow, started};
use ipnetwork::IpNetwork;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::faults::belongings;

/// What a person takes for an answer at once, with room for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(3);

const NETD: &str = "/run/berth/netd.sock";

fn signal_netd(host: &Host, signal: Signal) {
    host.processes("netd").into_iter().for_each(|pid| kill(Pid::from_raw(pid), signal).expect("netd runs"));
}

/// What a command of docker's says, which it has to say at once.
fn at_once(host: &Host, arguments: &[&str]) -> String {
    let since = Instant::now();
    let said = host.docker(arguments).ok();
    assert!(since.elapsed() < AT_ONCE, "{arguments:?} took {:?}", since.elapsed());
    said
}

#[test]
fn a_netd_that_stands_still_holds_up_only_who_needs_it() {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    let before = belongings(&host);
    host.sh("mkfifo /run/end").ok();
    host.docker(&["run", "-d", "--name", "web", "-p", "4000:80", "busybox", "sh", "-c", "echo here; exec sleep 1000"])
        .ok();
    host.docker(&["run", "-d", "--name", "victim", "busybox", "sleep", "1000"]).ok();
    let ends = ["run", "-d", "--name", "ends", "-v", "/run/end:/go", "busybox", "sh", "-c", "cat /go; exit 42"];
    host.docker(&ends).ok();
    host.wait_for_log("web", "here");

    signal_netd(&host, Signal::SIGSTOP);
    assert_eq!(at_once(&host, &["ps", "-q"]).lines().count(), 3);
    assert_eq!(at_once(&host, &["logs", "web"]), "here");
    assert_eq!(at_once(&host, &["inspect", "-f", "{{.State.Status}}", "web"]), "running");
    at_once(&host, &["rename", "web", "www"]);
    at_once(&host, &["kill", "victim"]);
    assert_eq!(at_once(&host, &["wait", "victim"]), "137");
    host.sh("echo onward > /run/end").ok();
    assert_eq!(at_once(&host, &["wait", "ends"]), "42");
    assert_eq!(at_once(&host, &["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "ends"]), "exited 42");
    let since = Instant::now();
    let refused = host.docker(&["run", "--name", "late", "-p", "4001:80", "busybox", "true"]).fails_with(125);
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    assert!(
        refused.contains("failed to set up container networking: netd at /run/berth/netd.sock does not answer"),
        "{refused}"
    );
    let listed = host.berth(&["net", "ls"]).fails_with(1);
    assert!(listed.contains("netd at /run/berth/netd.sock does not answer"), "{listed}");
    let warnings = host.docker(&["info", "-f", "{{json .Warnings}}"]).ok();
    assert!(warnings.contains("does not answer"), "{warnings}");

    signal_netd(&host, Signal::SIGCONT);
    host.docker(&["run", "--rm", "-p", "4001:80", "busybox", "true"]).ok();
    assert_eq!(
        host.docker(&["ps", "-a", "--format", "{{.Names}} {{.State}}"]).ok(),
        "late created\nends exited\nvictim exited\nwww running"
    );
    host.wait_for_daemon_log("berthd", "netd has been told what it is called now");
    assert_eq!(
        host.berth(&["net", "ps", "--format", "{{.Container}} {{.Ports}}"]).ok(),
        "www 0.0.0.0:4000->80/tcp, [::]:4000->80/tcp"
    );
    host.docker(&["start", "victim"]).ok();
    host.docker(&["rm", "-f", "www", "victim", "ends", "late"]).ok();
    host.wait_for_daemon_log("berthd", "netd knows which sandboxes are wanted");
    assert_eq!(host.http(NETD, "GET", "/v1/sandboxes", None), (200, "[]".to_owned()));
    assert_eq!(belongings(&host), before);
    assert_eq!(host.docker(&["ps", "-aq"]).ok(), "");
}

#[test]
fn a_change_that_a_netd_that_stands_still_does_not_answer_keeps_no_container_busy() {
    let mut world = World::new();
    let mut host = world.host();
    host.tell_steps().start();
    host.serve("web", &["-p", "4000:80"]);
    host.serve("stays", &["-p", "4001:80"]);
    let ports = |host: &Host| host.berth(&["net", "ps", "--format", "{{.Container}} {{.Ports}}"]).ok();
    let before = ports(&host);
    for (count, (verb, name)) in (1..).zip([("kill", "web"), ("rename", "stays")]) {
        let id = host.docker(&["inspect", "-f", "{{.Id}}", name]).ok();
        signal_netd(&host, Signal::SIGSTOP);
        std::thread::scope(|scope| {
            let pending = scope.spawn(|| host.berth(&["port", "add", name, "8080:80"]).fails_with(1));
            host.wait_for_daemon_log("berthd", &format!("netd is asked to change the network of container {id}"));
            match verb {
                "kill" => at_once(&host, &["kill", name]),
                _ => at_once(&host, &["rename", name, "stayed"]),
            };
            let refused = pending.join().expect("an answer");
            assert!(refused.contains("netd at /run/berth/netd.sock does not answer: PUT /v1/sandboxes/"), "{refused}");
        });
        signal_netd(&host, Signal::SIGCONT);
        host.wait_for_daemon_lines(
            "berthd",
            "netd has been told that a change of the container's network was given up",
            count,
        );
    }
    host.wait_for_daemon_log("berthd", "netd has been told what it is called now");
    let left = before.replace("stays", "stayed");
    let left: Vec<&str> = left.lines().filter(|line| !line.starts_with("web ")).collect();
    assert_eq!(ports(&host), left.join("\n"));
    assert_eq!(host.docker(&["port", "stayed"]).ok(), "80/tcp -> 0.0.0.0:4001\n80/tcp -> [::]:4001");
    // What was given up can be had now, also by another.
    host.berth(&["port", "add", "stayed", "8080:80"]).ok();
    assert_eq!(host.fetch("http://127.0.0.1:8080").ok(), "Hello from berth");
    host.docker(&["start", "web"]).ok();
}

#[test]
fn a_netd_of_tomorrow_is_understood_as_far_as_it_goes() {
    let mut world = World::new();
    let mut host = world.host();
    host.start_netd();
    let _proxy = newer_netd::Proxy::before(&host.directory().join("run/berth"));
    host.berthd_flag("--netd-socket=/run/berth/tomorrow.sock").berthd_flag("--start-netd=false").start_berthd();
    host.docker(&["import", "--change", "CMD [\"sh\"]", &berth_tests::image::busybox().to_string_lossy(), "busybox"])
        .ok();
    // Events that stand behind those of tomorrow come through.
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
    std::thread::scope(|scope| {
        let told = scope.spawn(|| follow(events, |line| line == "create lan"));
        host.docker(&["network", "create", "lan"]).ok();
        assert!(told.join().expect("no panic"), "no event of the network's");
    });
    // So do networks and sandboxes with fields that nobody knows yet.
    let shown =
        host.docker(&["run", "--rm", "--network", "lan", "busybox", "ip", "-o", "-4", "address", "show", "eth0"]).ok();
    let subnet = host.docker(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "lan"]).ok();
    let address = shown.split_whitespace().skip_while(|word| *word != "inet").nth(1).expect("an address");
    let of = |text: &str| text.parse::<IpNetwork>().map(|network| (network.network(), network.prefix()));
    assert_eq!(of(address), of(&subnet), "{shown}");
    assert!(!host.logs().contains("does not understand"), "{}", host.logs());
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

/// What netd has of a container.
fn sandbox_of(host: &Host, name: &str) -> Value {
    let id = host.docker(&["inspect", "-f", "{{.Id}}", name]).ok();
    let (status, body) = host.http(NETD, "GET", &format!("/v1/sandboxes/{id}"), None);
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
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
fn who_is_in_anothers_network_gets_none_of_its_own_when_netd_comes_back() {
    let (_world, mut host) = started();
    let id = host.docker(&["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).ok();
    host.docker(&["run", "-d", "--name", "beside", "--network", "container:web", "busybox", "sleep", "1000"]).ok();
    host.kill_netd();
    // berthd starts another, whose events begin with a gap: what comes of that is known before what comes of later ones.
    host.docker(&["network", "create", "lan"]).ok();
    let (_, whole) = host.http(NETD, "GET", &format!("/v1/sandboxes/{id}"), None);
    let whole: Value = serde_json::from_str(&whole).expect("JSON");
    let path = format!("/v1/sandboxes/{id}/endpoints?owner={}", whole["owner"].as_str().expect("a name"));
    assert_eq!(host.http(NETD, "POST", &path, Some(r#"{"network":"lan"}"#)).0, 201);
    host.wait_for_daemon_lines("berthd", "netd has the container's networks otherwise than berthd knew", 1);
    host.docker(&["rename", "beside", "besides"]).ok();
    let (_, all) = host.http(NETD, "GET", "/v1/sandboxes", None);
    let all: Vec<Value> = serde_json::from_str(&all).expect("a list");
    assert_eq!(all.iter().map(|sandbox| sandbox["name"].as_str()).collect::<Vec<_>>(), [Some("web")]);
}

#[test]
fn a_record_that_can_not_be_read_is_set_aside_and_stops_nothing() {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    for network in ["lan", "lost"] {
        host.docker(&["network", "create", network]).ok();
    }
    host.docker(&["volume", "create", "kept"]).ok();
    host.docker(&["volume", "create", "odd"]).ok();
    host.docker(&["run", "--rm", "-v", "odd:/v", "busybox", "sh", "-c", "echo precious > /v/file"]).ok();
    host.serve("good", &["-p", "4000:80", "--network", "lan"]);
    let damaged = host.docker(&["run", "-d", "--name", "damaged", "busybox", "sleep", "1000"]).ok();
    let unpinned = host.docker(&["run", "-d", "--name", "unpinned", "busybox", "sleep", "1000"]).ok();
    host.docker(&["run", "--name", "user", "-v", "odd:/v", "busybox", "true"]).ok();
    let owner = |host: &Host| {
        let (_, body) = host.http(NETD, "GET", "/v1/sandboxes", None);
        let all: Value = serde_json::from_str(&body).expect("JSON");
        all[0]["owner"].as_str().expect("a name").to_owned()
    };
    let owned_by = owner(&host);
    host.kill_berthd();
    host.kill_netd();
    let directory = host.directory().to_owned();
    let database = |file: &str| {
        let entries = |place: &str| std::fs::read_dir(directory.join(place)).expect("a directory").flatten();
        let found = ["lib/berth", "run/berth"].into_iter().flat_map(entries).find(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.starts_with(file) && name.ends_with(".db")
        });
        Connection::open(found.expect(file).path()).expect(file)
    };
    let spoil = |file: &str, change: &str| {
        assert_ne!(database(file).execute(change, ()).expect(change), 0, "{change}");
    };
    let kept = [("containers", "damaged"), ("volumes", "odd")].map(|(table, name)| {
        let select = format!("SELECT record FROM {table} WHERE name = ?1");
        let record: String = database("engine.db").query_one(&select, [name], |row| row.get(0)).expect(name);
        (table, name, record)
    });
    spoil("engine.db", "UPDATE containers SET record = '{\"v\":1}' WHERE name = 'damaged'");
    spoil("engine.db", "UPDATE volumes SET record = '{\"v\":7}' WHERE name = 'odd'");
    spoil("netd.db", "UPDATE network SET record = '[]' WHERE record LIKE '%\"lost\"%'");
    spoil("netd.db", "INSERT INTO admin_rule VALUES ('pre', 7, CAST(x'ff' AS TEXT))");
    spoil("netd-", &format!("UPDATE sandbox SET record = '{{}}' WHERE id = '{unpinned}'"));
    spoil("netd-", "INSERT INTO last_lease VALUES ('net', 'nowhere')");
    spoil("netd-", "UPDATE revision SET newest = -1");
    host.start_netd().start_berthd();

    let warnings = host.docker(&["info", "-f", "{{range .Warnings}}{{println .}}{{end}}"]).ok();
    for named in [
        "container damaged is set aside, its name and its files are kept: the record of container",
        "volume odd is set aside, its name and its files are kept: the record of volume odd has version 7",
        "the record of network ",
        "the record of admin_rule pre 7 ",
        &format!("the record of sandbox {unpinned} "),
        "the record of last_lease net ",
        "the record of revision newest ",
    ] {
        assert!(warnings.contains(named), "{named}\n{warnings}");
        let first = named.split(':').next().expect("a beginning");
        assert!(host.logs().contains(first), "{first} isn't in a log");
    }
    // Whatever isn't about them goes on.
    assert_eq!(host.fetch(&format!("http://{}:4000", host.address())).ok(), "Hello from berth");
    assert_eq!(host.docker(&["ps", "--format", "{{.Names}}"]).ok(), "unpinned\ngood");
    host.docker(&["run", "--rm", "--network", "lan", "-v", "kept:/v", "busybox", "true"]).ok();
    host.docker(&["restart", "-t", "0", "unpinned"]).ok();
    host.docker(&["exec", "unpinned", "ip", "address", "show", "eth0"]).ok();
    assert_eq!(owner(&host), owned_by);
    // What is set aside has its name, its process and its files, and says why it can't be used.
    for refused in [
        ["inspect", "--type=container", "damaged"].as_slice(),
        &["rm", "-f", "damaged"],
        &["run", "-v", "odd:/v", "busybox", "true"],
        &["volume", "rm", "odd"],
        &["start", "user"],
    ] {
        let outcome = host.docker(refused);
        assert!(outcome.code != 0 && outcome.stderr.contains("is set aside"), "{refused:?}: {outcome:?}");
    }
    let taken = host.docker(&["run", "--name", "damaged", "busybox", "true"]).fails_with(125);
    assert!(taken.contains("is already in use by container"), "{taken}");
    host.sh("grep -q precious /var/lib/berth/volumes/odd/_data/file").ok();
    host.sh(&format!("test -d /var/lib/berth/containers/{damaged} && test -e /run/berth/netns/{damaged}")).ok();
    assert!(host.docker(&["volume", "ls", "-q"]).ok().lines().eq(["kept"]));
    // Mended, it is as it was.
    host.kill_berthd();
    for (table, name, record) in kept {
        let mend = format!("UPDATE {table} SET record = ?1 WHERE name = ?2");
        assert_eq!(database("engine.db").execute(&mend, [&record, name]).expect("mended"), 1, "{name}");
    }
    spoil("engine.db", "UPDATE facts SET value = 'no id' WHERE name = 'engine_id'");
    host.start_berthd();
    let warnings = host.docker(&["info", "-f", "{{json .Warnings}}"]).ok();
    assert!(warnings.contains("the record of engine_id can not be read"), "{warnings}");
    assert!(!warnings.contains("damaged") && !warnings.contains("odd"), "{warnings}");
    assert_eq!(host.docker(&["ps", "--format", "{{.Names}}"]).ok(), "unpinned\ndamaged\ngood");
    host.docker(&["exec", "damaged", "true"]).ok();
    host.docker(&["rm", "-f", "damaged"]).ok();
    assert_eq!(host.docker(&["run", "--rm", "-v", "odd:/v", "busybox", "cat", "/v/file"]).ok(), "precious");
    // Another id was drawn, and netd knows everything that runs as ours all the same.
    assert_eq!(owner(&host), owned_by);
    host.docker(&["stop", "-t", "0", "good"]).ok();
    host.docker(&["start", "good"]).ok();
    host.wait_for_log("good", "listening");
    assert_eq!(host.fetch(&format!("http://{}:4000", host.address())).ok(), "Hello from berth");
    let warnings = host.docker(&["info", "-f", "{{json .Warnings}}"]).ok();
    assert!(!warnings.contains("netd has not taken down"), "{warnings}");
}
