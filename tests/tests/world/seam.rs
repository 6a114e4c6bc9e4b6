//! Between the daemons: a netd that stands still or doesn't finish, one of tomorrow, and what neither daemon can read.

mod head;
mod held_netd;
mod newer_netd;

use std::time::{Duration, Instant};

use berth_tests::{Host, World, follow, started};
use ipnetwork::IpNetwork;
use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde_json::Value;

use held_netd::{Held, Kept};

use super::faults::{belongings, wait_for_belongings};
use super::others::{networks_of, sandbox_of, shown_networks};

/// What a person takes for an answer at once, with room for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(3);

const NETD: &str = "/run/berth/netd.sock";

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

    host.signal("netd", Signal::SIGSTOP);
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

    host.signal("netd", Signal::SIGCONT);
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
    wait_for_belongings(&host, &before, "of what was removed something is left");
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
        host.signal("netd", Signal::SIGSTOP);
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
        host.signal("netd", Signal::SIGCONT);
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

/// A host whose berthd reaches netd through a proxy that can keep its answers.
fn held(world: &mut World) -> (Host, Held) {
    let mut host = world.host();
    host.start_netd();
    let held = Held::before(&host.directory().join("run/berth"));
    host.berthd_flag("--netd-socket=/run/berth/held.sock").berthd_flag("--start-netd=false");
    host.tell_steps().start_berthd();
    host.docker(&["import", "--change", "CMD [\"sh\"]", &berth_tests::image::busybox().to_string_lossy(), "busybox"])
        .ok();
    (host, held)
}

#[test]
fn networks_that_came_or_went_after_all_when_that_was_given_up_are_taken_back() {
    let mut world = World::new();
    let (host, held) = held(&mut world);
    host.docker(&["network", "create", "lan"]).ok();
    host.docker(&["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).ok();
    for (count, (call, verb, there, wanted)) in (1..).zip([
        ("POST /v1/sandboxes/", "connect", &["bridge", "lan"][..], &["bridge"][..]),
        ("DELETE /v1/sandboxes/", "disconnect", &["bridge"], &["bridge", "lan"]),
    ]) {
        held.hold(call, Kept::All);
        let refused = std::thread::scope(|scope| {
            let pending = scope.spawn(|| host.docker(&["network", verb, "lan", "web"]).fails_with(1));
            held.wait_until_done();
            at_once(&host, &["kill", "-s", "CONT", "web"]);
            pending.join().expect("an answer")
        });
        assert!(refused.contains("does not answer") && refused.contains(call), "{refused}");
        assert_eq!(networks_of(&host, "web"), there, "it came about");
        held.release();
        host.wait_for_daemon_lines(
            "berthd",
            "netd has been told that a change of the container's network was given up",
            count,
        );
        assert_eq!(networks_of(&host, "web"), wanted);
        assert_eq!(shown_networks(&host, "web"), wanted.join(" "));
        host.docker(&["restart", "-t", "0", "web"]).ok();
        assert_eq!(networks_of(&host, "web"), wanted);
        // What was given up can be had now.
        host.docker(&["network", verb, "lan", "web"]).ok();
        assert_eq!(networks_of(&host, "web"), there);
    }
}

#[test]
fn a_rename_waits_for_no_netd_and_is_told_once() {
    let mut world = World::new();
    let (host, held) = held(&mut world);
    let id = host.docker(&["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).ok();
    let idle = host.docker(&["create", "--name", "idle", "busybox", "true"]).ok();
    let told = "netd has been told what it is called now";
    let lines_about = |id: &str| host.logs().lines().filter(|line| line.contains(told) && line.contains(id)).count();
    // netd says who it is, and isn't done with what it is asked.
    held.hold("PUT /v1/sandboxes/", Kept::These);
    let mut name = "web".to_owned();
    for count in 0..4 {
        let next = format!("web{count}");
        at_once(&host, &["rename", &name, &next]);
        at_once(&host, &["kill", "-s", "CONT", &next]);
        name = next;
    }
    held.wait_until_done();
    held.release();
    host.wait_for_daemon_lines("berthd", told, 1);
    assert_eq!(sandbox_of(&host, &name)["id"], *id);
    // It answers nobody: who has nothing at netd isn't told of.
    host.signal("netd", Signal::SIGSTOP);
    at_once(&host, &["rename", &name, "web"]);
    at_once(&host, &["rename", "idle", "calm"]);
    host.signal("netd", Signal::SIGCONT);
    host.wait_for_daemon_lines("berthd", told, 2);
    host.docker(&["rename", "calm", "idle"]).ok();
    assert_eq!((lines_about(&id), lines_about(&idle)), (2, 0), "{}", host.logs());
    assert_eq!(sandbox_of(&host, "web")["id"], *id);
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
