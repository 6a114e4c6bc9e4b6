//! A container's life: every verb, the state after it, and the wrong order of them.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
};

use berth_tests::{Host, started};

fn state(host: &Host, name: &str) -> String {
    host.docker(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name]).ok()
}

#[test]
fn from_create_to_rm() {
    let (_world, host) = started();
    let id = host
        .docker(&[
            "create",
            "--name",
            "one",
            "--stop-signal",
            "INT",
            "busybox",
            "sh",
            "-c",
            "trap 'exit 5' INT; echo up; while :; do sleep 0.1; done",
        ])
        .ok();
    assert_eq!(state(&host, "one"), "created 0");
    assert_eq!(host.docker(&["start", "one"]).ok(), "one");
    host.wait_for_log("one", "up");
    assert_eq!(state(&host, "one"), "running 0");
    host.docker(&["pause", "one"]).ok();
    assert_eq!(state(&host, "one"), "paused 0");
    host.docker(&["exec", "one", "true"]).fails_with(1);
    host.docker(&["unpause", "one"]).ok();
    host.docker(&["rename", "one", "uno"]).ok();
    host.docker(&["stop", "uno"]).ok();
    assert_eq!(state(&host, "uno"), "exited 5");
    assert_eq!(host.docker(&["wait", "uno"]).ok(), "5");
    host.docker(&["restart", "uno"]).ok();
    assert_eq!(state(&host, "uno"), "running 0");
    let said = host.docker(&["rm", "uno"]).fails_with(1);
    assert!(said.contains("container is running"), "{said}");
    host.docker(&["kill", "-s", "KILL", "uno"]).ok();
    host.docker(&["wait", "uno"]).ok();
    assert_eq!(state(&host, "uno"), "exited 137");
    assert_eq!(host.docker(&["rm", &id[..12]]).ok(), &id[..12]);
    host.docker(&["inspect", "uno"]).fails_with(1);
}

#[test]
fn attach_and_exec_and_top() {
    let (_world, host) = started();
    // What a detached container reads isn't ended by a client that leaves.
    let program = "echo ready; read line; echo $line; read line; echo $line";
    host.docker(&["run", "-d", "-i", "--name", "echo", "busybox", "sh", "-c", program]).ok();
    host.wait_for_log("echo", "ready");
    let mut first = host.docker_command();
    let mut first =
        first.args(["attach", "echo"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("docker");
    first.stdin.take().expect("a pipe").write_all(b"over there\n").expect("written");
    let mut line = String::new();
    BufReader::new(first.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    assert_eq!(line, "over there\n");
    first.kill().and_then(|()| first.wait()).expect("killed");
    assert_eq!(host.sh("echo and here | DOCKER_HOST=unix:///run/berth/berth.sock docker attach echo").ok(), "and here");
    host.docker(&["wait", "echo"]).ok();
    assert_eq!(host.docker(&["logs", "echo"]).ok(), "ready\nover there\nand here");

    host.serve("web", &[]);
    assert_eq!(
        host.docker(&["exec", "-u", "guest", "-w", "/tmp", "-e", "X=y", "web", "sh", "-c", "echo $(whoami) $PWD $X"])
            .ok(),
        "guest /tmp y"
    );
    assert_eq!(host.docker(&["exec", "web", "sh", "-c", "exit 9"]).code, 9);
    assert_eq!(host.docker(&["exec", "web", "nonesuch"]).code, 127);
    assert_eq!(host.sh("echo piped | DOCKER_HOST=unix:///run/berth/berth.sock docker exec -i web cat").ok(), "piped");
    host.docker(&["exec", "-d", "web", "touch", "/tmp/detached"]).ok();
    assert!(host.docker(&["top", "web"]).ok().contains("httpd"));
}

#[test]
fn logs_and_their_flags() {
    let (_world, host) = started();
    host.docker(&["run", "--name", "talk", "busybox", "sh", "-c", "echo one; echo three; echo two >&2"]).ok();
    let both = host.docker(&["logs", "talk"]);
    assert_eq!((both.stdout.as_str(), both.stderr.as_str()), ("one\nthree\n", "two\n"));
    // Two pipes: which line came last isn't known, but it is one.
    let last = host.docker(&["logs", "--tail", "1", "talk"]);
    assert!(["three\n", "two\n"].contains(&(last.stdout + &last.stderr).as_str()));
    let stamped = host.docker(&["logs", "-t", "talk"]).ok();
    let stamp = stamped.lines().next().and_then(|line| line.split(' ').next()).expect("a time");
    assert!(stamp.ends_with('Z') && stamp.contains('T') && stamp.len() == 30, "{stamp}");
    assert_eq!(host.docker(&["logs", "--since", "1h", "talk"]).ok(), "one\nthree");
    assert_eq!(host.docker(&["logs", "--until", "1h", "talk"]).ok(), "");
}

#[test]
fn ps_and_filters_and_formats() {
    let (_world, host) = started();
    host.docker(&["run", "-d", "--name", "aa", "-l", "x=1", "-p", "4000:80", "busybox", "sleep", "1000"]).ok();
    host.docker(&["run", "--name", "bb", "busybox", "sh", "-c", "exit 3"]).fails_with(3);
    for client in [
        |host: &Host, arguments: &[&str]| host.docker(arguments),
        |host: &Host, arguments: &[&str]| host.berth(arguments),
    ] {
        let names = |flags: &[&str]| {
            let mut arguments = vec!["ps", "--format", "{{.Names}}"];
            arguments.extend_from_slice(flags);
            client(&host, &arguments).ok().replace('\n', " ")
        };
        assert_eq!(names(&[]), "aa");
        assert_eq!(names(&["-a"]), "bb aa");
        assert_eq!(names(&["-a", "--filter", "status=exited"]), "bb");
        assert_eq!(names(&["-a", "--filter", "exited=3"]), "bb");
        assert_eq!(names(&["-a", "--filter", "label=x=1"]), "aa");
        assert_eq!(names(&["-a", "--filter", "name=bb"]), "bb");
        assert_eq!(names(&["-a", "--filter", "ancestor=busybox"]), "bb aa");
        assert_eq!(names(&["-a", "--filter", "publish=4000"]), "aa");
        let table = client(&host, &["ps"]).ok();
        assert!(
            table.starts_with("CONTAINER ID") && table.contains("0.0.0.0:4000->80/tcp") && table.contains("Up "),
            "{table}"
        );
    }
}

#[test]
fn inspect_has_what_scripts_read() {
    let (_world, host) = started();
    host.serve("web", &["-p", "4000:80"]);
    for client in [host.docker(&["inspect", "web"]), host.berth(&["inspect", "web"])] {
        let document: serde_json::Value = serde_json::from_str(&client.ok()).expect("JSON");
        let web = &document[0];
        assert_eq!(web["Name"], "/web");
        assert_eq!(web["State"]["Running"], true);
        assert_eq!(web["Config"]["Image"], "busybox");
        assert_eq!(web["HostConfig"]["NetworkMode"], "bridge");
        assert_eq!(web["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"], "4000");
        assert_eq!(web["NetworkSettings"]["Networks"]["bridge"]["IPAddress"], "172.17.0.2");
    }
    assert_eq!(host.berth(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "web"]).ok(), "172.17.0.2");
    assert_eq!(
        host.berth(&["inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "web"]).ok(),
        "172.17.0.2"
    );
}

#[test]
fn stats_events_info_version() {
    let (_world, host) = started();
    host.docker(&["run", "-d", "--name", "busy", "-m", "64m", "busybox", "sleep", "1000"]).ok();
    let stats = host.docker(&["stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}", "busy"]).ok();
    assert!(stats.starts_with("busy ") && stats.contains("/ 64MiB") && stats.ends_with(" 1"), "{stats}");
    host.docker(&["rm", "-f", "busy"]).ok();
    let mut expected = vec![
        "container create",
        "container start",
        "network connect",
        "container kill",
        "container die",
        "container destroy",
        "network disconnect",
    ];
    let mut events = host.docker_command();
    let mut events = events
        .args(["events", "--since", "10m", "--format", "{{.Type}} {{.Action}}"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("docker");
    let mut lines = BufReader::new(events.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    while !expected.is_empty() {
        let line = lines.next().unwrap_or_else(|| panic!("no events {expected:?}"));
        expected.retain(|event| *event != line);
    }
    events.kill().and_then(|()| events.wait()).expect("killed");
    // Who names an end gets the past up to it, and no more.
    let past = host.docker(&["events", "--until", "2006-01-02T15:04:05Z"]).ok();
    assert_eq!(past, "");
    let said = host.docker(&["events", "--since", "1m", "--until", "2m"]).fails_with(1);
    assert!(said.contains("cannot be after"), "{said}");
    assert!(host.docker(&["info"]).ok().contains("Containers: 0"));
    assert!(host.docker(&["version"]).ok().contains("Server:"));
    assert!(host.berth(&["version"]).ok().contains("berth"));
}

#[test]
fn many_side_by_side() {
    let (_world, host) = started();
    let start = (0..20)
        .map(|n| format!("docker run -d --name c{n} -p {}:80 busybox sleep 1000 & ", 7100 + n))
        .collect::<String>();
    host.sh(&format!("export DOCKER_HOST=unix:///run/berth/berth.sock; ({start} wait) > /run/ids")).ok();
    assert_eq!(host.docker(&["ps", "-q"]).ok().lines().count(), 20);
    let addresses = host.sh("export DOCKER_HOST=unix:///run/berth/berth.sock; docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' $(docker ps -q) | sort -u | wc -l").ok();
    assert_eq!(addresses, "20");
    let stop = (0..20).map(|n| format!("docker rm -f c{n} & ")).collect::<String>();
    host.sh(&format!("export DOCKER_HOST=unix:///run/berth/berth.sock; ({stop} wait) > /run/ids")).ok();
    assert_eq!(host.docker(&["ps", "-aq"]).ok(), "");
}

#[test]
fn ending_the_engine_s_service_ends_neither_containers_nor_netd() {
    let (_world, mut host) = started();
    // As a service manager does: berthd gets a cgroup, and later everything in there is killed.
    let service = host
        .sh(&format!(
            "tree=/sys/fs/cgroup/unified; [ -d $tree ] || tree=/sys/fs/cgroup; service=$tree/{}/service; \
             mkdir -p $service && pidof berthd > $service/cgroup.procs && echo $service",
            host.cgroup_parent()
        ))
        .ok();
    // The next netd is berthd's own child.
    host.kill_netd();
    host.docker(&["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).ok();
    host.docker(&["exec", "-d", "web", "sh", "-c", "trap 'exit 0' TERM; sleep 1000"]).ok();
    let netd = host.processes("netd");
    assert_eq!(netd.len(), 1, "{netd:?}");
    host.sh(&format!("kill -9 $(cat {service}/cgroup.procs)")).ok();
    host.kill_berthd();
    assert_eq!(host.processes("netd"), netd);
    host.start_berthd();
    assert_eq!(state(&host, "web"), "running 0");
    assert_eq!(host.docker(&["exec", "web", "sh", "-c", "ps | grep -c '[s]leep 1000'"]).ok(), "3");
}

#[test]
fn a_container_that_has_frozen_itself_is_removed() {
    let (_world, host) = started();
    let freeze = "echo up; echo FROZEN > /sys/fs/cgroup/freezer/freezer.state || echo 1 > /sys/fs/cgroup/cgroup.freeze";
    let id = host.docker(&["run", "-d", "--name", "frozen", "--privileged", "busybox", "sh", "-c", freeze]).ok();
    host.wait_for_log("frozen", "up");
    let state = format!(
        "cd /sys/fs/cgroup; grep -lsE '^(FROZEN|frozen 1)' $(find . -path '*{id}*' -name freezer.state -o -path '*{id}*' \
         -name cgroup.events)"
    );
    while host.sh(&state).stdout.is_empty() {
        assert_eq!(host.docker(&["inspect", "-f", "{{.State.Running}}", "frozen"]).ok(), "true");
    }
    host.docker(&["rm", "-f", "frozen"]).ok();
    assert_eq!(host.docker(&["ps", "-aq"]).ok(), "");
}
