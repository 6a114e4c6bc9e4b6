//! What has to stay as it is with one container when there are many: what a start looks at, what a new daemon lets wait,
//! what goes together, and what a crowd of clients leaves behind.

use std::{
    io::Write as _,
    os::unix::net::UnixStream,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use berth_tests::{Host, Outcome, started, world::binary};
use nix::sys::signal::Signal;

/// A request that is on its way.
fn asking(host: &Host, path: &str) -> Child {
    let mut curl = host.command("curl");
    curl.args([
        "-sS",
        "--max-time",
        "60",
        "--unix-socket",
        "/run/berth/berth.sock",
        &format!("http://localhost{path}"),
    ]);
    curl.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("curl")
}

fn answer(request: Child) -> String {
    let output = request.wait_with_output().expect("curl");
    Outcome::from_output("curl".to_owned(), &output).ok()
}

/// A namespace is held by a process that outlives the daemons: no mount of the host tells of it, which every container's
/// mount namespace would begin with a copy of.
#[test]
fn namespaces_of_sandboxes_are_no_mounts_and_outlive_everybody() {
    let (_world, mut host) = started();
    let mounts = |host: &Host| host.sh("grep -c . /proc/self/mountinfo").ok();
    let before = mounts(&host);
    host.docker(&["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).ok();
    host.serve("page", &["-p", "4000:80"]);
    assert_eq!(mounts(&host), before);
    let inside = |host: &Host| {
        let path = host.docker(&["inspect", "-f", "{{.NetworkSettings.SandboxKey}}", "web"]).ok();
        host.sh(&format!("nsenter --net={path} ip -br address show eth0 | tr -s ' '")).ok()
    };
    let addressed = inside(&host);
    assert!(addressed.contains("172.17."), "{addressed}");
    let all_is_well = |host: &Host| {
        assert_eq!(inside(host), addressed);
        host.fetch("http://127.0.0.1:4000/").ok();
    };

    host.kill_berthd();
    host.kill_netd();
    host.start_netd().start_berthd();
    all_is_well(&host);

    // Somebody ends the holder: netd has another one hold them, at other places.
    let keepers = host.processes("netd-keeper");
    host.kill("netd-keeper");
    host.wait_for_daemon_log("netd", "another holds the namespaces of sandboxes");
    all_is_well(&host);
    assert!(host.processes("netd-keeper").iter().all(|keeper| !keepers.contains(keeper)));
    host.kill_berthd();
    host.kill_netd();
    host.start_netd().start_berthd();
    all_is_well(&host);

    // The holder is told to end as well, as everything in netd's service is by `systemctl kill`.
    host.kill_berthd();
    host.sh("kill -STOP $(pidof netd) && kill -TERM $(pidof netd-keeper)").ok();
    host.kill_netd();
    host.start_netd().start_berthd();
    all_is_well(&host);

    the_containers_themselves_tell_where_lost_ones_are(&mut host);
    all_is_well(&host);

    host.docker(&["rm", "-f", "web", "page"]).ok();
    assert_eq!(host.sh("ls -A /run/berth/netns").ok(), "");
    let held = "for keeper in $(pidof netd-keeper); do ls -l /proc/$keeper/fd; done | grep -c 'net:' || true";
    assert_eq!(host.sh(held).ok(), "0");
}

/// The holder is killed together with netd, as the kernel does that runs out of memory.
fn the_containers_themselves_tell_where_lost_ones_are(host: &mut Host) {
    host.docker(&["run", "-d", "--name", "alone", "--network", "none", "busybox", "sleep", "1000"]).ok();
    host.docker(&["run", "-d", "--name", "short", "busybox", "sleep", "1000"]).ok();
    host.docker(&["pause", "web"]).ok();
    host.docker(&["network", "create", "late"]).ok();
    let alone = host.docker(&["inspect", "-f", "{{.Id}}", "alone"]).ok();
    let check = |host: &Host| {
        let url = format!("http://localhost/v1/sandboxes/{alone}/check");
        host.sh(&format!("curl -sS --fail --unix-socket /run/berth/netd.sock {url}")).ok()
    };
    let kill_both = |host: &mut Host| {
        host.sh("kill -STOP $(pidof netd) && kill -9 $(pidof netd-keeper)").ok();
        host.kill_netd();
    };
    let all_are_kept = |host: &Host, names: &[&str]| {
        let same = r#"test "$(stat -Lc %i /run/berth/netns/$1)" = "$(stat -Lc %i /proc/$2/ns/net)""#;
        for name in names {
            let place = host.docker(&["inspect", "-f", "{{.Id}} {{.State.Pid}}", name]).ok();
            host.sh(&format!("set -- {place}; timeout 20 sh -c 'until {same}; do sleep 0.02; done' sh $1 $2")).ok();
        }
    };

    // While nobody says where it is, a namespace is neither replaced nor given up.
    host.kill_berthd();
    kill_both(host);
    host.start_netd();
    let told = check(host);
    assert!(told.contains("nobody keeps it"), "{told}");
    host.start_berthd();
    all_are_kept(host, &["alone", "short", "web", "page"]);
    let told = check(host);
    assert!(!told.contains("nobody keeps it"), "{told}");

    // berthd lives on, and one container ends before netd is back.
    kill_both(host);
    host.docker(&["rm", "-f", "short"]).ok();
    all_are_kept(host, &["alone", "web", "page"]);

    // The holder ends over the next netd's question, and the next netd as it begins; nobody asks for anything.
    let is_holder = "grep -q namespaces /proc/$keeper/cmdline";
    host.sh(&format!(
        "for keeper in $(pidof netd-keeper); do {is_holder} && kill -STOP $keeper && echo $keeper > /run/holder; done; true"
    ))
    .ok();
    host.kill_netd();
    // Its connection waits to be accepted (SS_CONNECTING).
    let is_asked = "grep -Eq ' 02 +[0-9]+ /run/berth/netns.sock$' /proc/net/unix";
    host.sh(&format!("timeout 20 sh -c \"until {is_asked}; do sleep 0.02; done\" && kill -9 $(cat /run/holder)")).ok();
    all_are_kept(host, &["alone", "web", "page"]);
    kill_both(host);
    host.sh("timeout 20 sh -c 'until kill -9 $(pidof netd); do :; done' 2> /dev/null").ok();
    all_are_kept(host, &["alone", "web", "page"]);
    host.docker(&["unpause", "web"]).ok();
    host.docker(&["network", "connect", "late", "web"]).ok();
    assert!(host.docker(&["exec", "web", "ip", "address"]).ok().contains("eth1"), "it is in another namespace");
    host.docker(&["network", "disconnect", "late", "web"]).ok();
    host.docker(&["network", "rm", "late"]).ok();
    host.docker(&["rm", "-f", "alone"]).ok();
}

#[test]
fn a_new_berthd_answers_at_once_and_a_request_waits_for_what_it_is_about() {
    let (_world, mut host) = started();
    host.sh("mkfifo /run/short /run/brief").ok();
    host.docker(&["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).ok();
    let ends = ["run", "-d", "--name", "short", "-v", "/run/short:/go", "busybox", "sh", "-c", "cat /go; exit 3"];
    host.docker(&ends).ok();
    host.docker(&["run", "-d", "--rm", "--name", "brief", "-v", "/run/brief:/go", "busybox", "cat", "/go"]).ok();
    host.kill_berthd();
    host.sh("echo onward > /run/short; echo onward > /run/brief").ok();
    let ended = "until [ $(ls /run/berth/containers/*/exit.json 2> /dev/null | wc -l) = 2 ]; do sleep 0.01; done";
    host.sh(&format!("timeout 30 sh -c '{ended}'")).ok();
    // Without netd nobody knows the containers' networks.
    host.signal("netd", Signal::SIGSTOP);
    let mut berthd = host.command(&binary("berthd").display().to_string());
    berthd.args(["--root", "/var/lib/berth", "--run-dir", "/run/berth", "--cgroup-parent"]);
    berthd.arg(format!("/{}", host.cgroup_parent())).stderr(Stdio::null());
    let mut berthd = berthd.spawn().expect("berthd");
    assert_eq!(answer(asking(&host, "/_ping")), "OK");
    let mut waiting = [
        "/containers/short/json",
        "/containers/json?all=1",
        "/containers/web/top",
        "/info",
        "/containers/brief/json",
        "/networks/none",
    ]
    .map(|path| asking(&host, path));
    assert_eq!(answer(asking(&host, "/_ping")), "OK");
    for request in &mut waiting {
        assert!(request.try_wait().expect("curl").is_none(), "it is answered by who can't know");
    }
    host.signal("netd", Signal::SIGCONT);
    let [short, all, top, info, brief, none] = waiting.map(answer);
    assert!(short.contains(r#""Status":"exited""#) && short.contains(r#""ExitCode":3"#), "{short}");
    assert!(all.contains(r#""/web""#) && all.contains(r#""/short""#) && !all.contains(r#""/brief""#), "{all}");
    assert!(top.contains("sleep 1000"), "{top}");
    assert!(info.contains(r#""ContainersRunning":1"#), "{info}");
    assert!(brief.contains("No such container: brief"), "{brief}");
    assert!(none.contains(r#""Driver":"null""#), "{none}");
    host.kill("berthd");
    let _ = berthd.wait();
}

#[test]
fn many_containers_and_networks_go_together() {
    let (_world, host) = started();
    let links = |host: &Host| host.sh("ip -o link show | grep -c ' bv\\| bb-' || true").ok();
    host.sh("ip link add bystander type bridge && ip link set bystander group 4711").ok();
    let names: Vec<String> = (0..12).map(|number| format!("many{number}")).collect();
    for name in &names {
        host.berth(&["network", "create", name]).ok();
        host.berth(&["run", "-d", "--name", name, "--network", name, "busybox", "sleep", "1000"]).ok();
    }
    assert_eq!(links(&host), "24");
    host.docker(&["run", "-d", "--name", "stays", "--network", "many3", "busybox", "sleep", "1000"]).ok();
    let all = |verb: [&'static str; 2]| verb.into_iter().chain(names.iter().map(String::as_str)).collect::<Vec<_>>();
    host.docker(&all(["rm", "-f"])).ok();
    let pruned = host.docker(&["network", "prune", "-f"]).ok();
    let mut pruned: Vec<&str> = pruned.lines().filter(|line| line.starts_with("many")).collect();
    pruned.sort_unstable();
    assert_eq!(pruned.len(), 11, "{pruned:?}");
    assert!(!pruned.contains(&"many3"));
    assert_eq!(host.sh("ip -o link show type bridge | grep -c ' bb-[^x]'").ok(), "1");
    assert_eq!(host.sh("ip -o address | grep -c ' bb-'").ok(), "1", "the others have their addresses still");
    host.docker(&["rm", "-f", "stays"]).ok();
    host.docker(&["network", "rm", "many3"]).ok();
    host.wait_for_deleted_bridges();
    assert_eq!(
        host.sh("ip -o link show | grep ' bb-' || true; ip -o link show bystander | grep -c bystander").ok(),
        "1"
    );
}

/// 2,000 clients that send half a request each, and leave.
#[test]
fn what_a_crowd_of_clients_took_is_given_back() {
    const MORE_MIB: u64 = 8;
    let (_world, host) = started();
    for (program, socket) in [("berthd", "berth.sock"), ("netd", "netd.sock")] {
        let pid = host.processes(program)[0];
        let idle = resident_mib(pid);
        let path = host.directory().join("run/berth").join(socket);
        let crowd: Vec<UnixStream> = (0..2000)
            .map(|_| {
                let mut client = UnixStream::connect(&path).expect("it listens");
                client.write_all(b"POST /v1/networks HTTP/1.1\r\nHost: half").expect("sent");
                client
            })
            .collect();
        drop(crowd);
        // It happens a second after they have left; how long that takes depends on the machine.
        let deadline = Instant::now() + Duration::from_secs(30);
        while resident_mib(pid) > idle + MORE_MIB && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(100));
        }
        let after = resident_mib(pid);
        assert!(after <= idle + MORE_MIB, "{program}: {idle} MiB before, {after} MiB after");
    }
}

fn resident_mib(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}
