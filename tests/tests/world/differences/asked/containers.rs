//! Containers and their volumes.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
};

use berth_tests::{Host, Outcome};

use super::{Question, SOCKET, ask_all, inspected};

pub(super) const ASKED: &[Question] = &[
    (&["a working directory can't be named by any other link of `/proc` either"], no_exec_is_named_by_links_of_proc),
    (&["of a running container is `/proc/PID/root`"], a_file_system_is_mounted_for_its_container),
    (&["is `berth` unless a request names `runc` or `io.containerd.runc.v2`"], runtimes_have_the_names_asked_for),
    (&["is tried again like a run that failed"], a_restart_that_fails_is_tried_again),
    (&["the limit with swap moves along unless it was set"], the_limit_with_swap_moves_along),
    (&["and `--mount` with other options"], volumes_keep_their_options),
    (
        &[
            "`labels-regex` and `env-regex` know no classes of Unicode",
            "`--log-driver none` takes `mode` and `max-buffer-size` and nothing else",
        ],
        options_of_logs,
    ),
    (&["it can't be started"], what_is_copied_out_of_is_not_started),
];

#[test]
fn what_is_said_of_containers_is_so() {
    ask_all(ASKED);
}

fn no_exec_is_named_by_links_of_proc(host: &mut Host) {
    host.docker(&["exec", "web", "/proc/self/exe", "true"]).fails_with(127);
    for link in ["/proc/self/cwd", "/proc/1/cwd", "/proc/1/root"] {
        let refusal = host.docker(&["exec", "-w", link, "web", "true"]);
        assert!([126, 127].contains(&refusal.code), "{refusal:?}");
    }
    host.docker(&["exec", "-w", "/proc", "web", "/bin/busybox", "true"]).ok();
}

fn a_file_system_is_mounted_for_its_container(host: &mut Host) {
    let merged = inspected(host, "{{.GraphDriver.Data.MergedDir}}", "web");
    assert_eq!(merged, format!("/proc/{}/root", inspected(host, "{{.State.Pid}}", "web")));
    assert_eq!(host.sh(&format!("cat {merged}/var/www/index.html")).ok(), "Hello from berth");
    host.sh("grep -q '^overlay /var/lib/berth' /proc/mounts").fails_with(1);
    host.docker(&["create", "--name", "idle", "busybox"]).ok();
    assert_eq!(inspected(host, "{{.GraphDriver.Data.MergedDir}}", "idle"), "");
    host.docker(&["rm", "idle"]).ok();
}

fn runtimes_have_the_names_asked_for(host: &mut Host) {
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

fn a_restart_that_fails_is_tried_again(host: &mut Host) {
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

fn the_limit_with_swap_moves_along(host: &mut Host) {
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

fn volumes_keep_their_options(host: &mut Host) {
    host.docker(&["volume", "create", "kept"]).ok();
    let other = "type=volume,src=kept,dst=/v,volume-opt=type=tmpfs,volume-opt=device=tmpfs";
    for client in [Host::docker as fn(&Host, &[&str]) -> Outcome, Host::berth] {
        let refusal = client(host, &["run", "--rm", "--mount", other, "busybox", "true"]).fails_with(125);
        assert!(refusal.contains("kept"), "{refusal}");
    }
    assert_eq!(inspected(host, "{{json .Options}}", "kept"), "null");
    host.docker(&["volume", "rm", "kept"]).ok();
}

fn options_of_logs(host: &mut Host) {
    // Of the engine itself: docker's client refuses every option of `none`.
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

fn what_is_copied_out_of_is_not_started(host: &mut Host) {
    // More than what may be on its way between berthd and who reads.
    let write = "dd if=/dev/zero of=/large bs=1M count=16 2> /dev/null";
    host.docker(&["run", "--name", "ended", "busybox", "sh", "-c", write]).ok();
    for (times, path) in ["export", "archive?path=/large"].into_iter().enumerate() {
        let mut archive = UnixStream::connect(host.directory().join("run/berth/berth.sock")).expect("berthd");
        let request = format!("GET /containers/ended/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        archive.write_all(request.as_bytes()).expect("sent");
        archive.read_exact(&mut [0; 512]).expect("the archive begins");
        let began = inspected(host, "{{.State.StartedAt}}", "ended");
        let mut started = host.docker_command();
        let mut started = started.args(["start", "-a", "ended"]).spawn().expect("docker");
        // That by which it was run was the first.
        host.wait_for_events("ended", "attach", times + 2);
        // Somebody else comes and goes meanwhile, and it has still not begun.
        host.docker(&["run", "--rm", "busybox", "true"]).ok();
        assert_eq!(inspected(host, "{{.State.StartedAt}}", "ended"), began, "{path}");
        std::io::copy(&mut archive, &mut std::io::sink()).expect("the rest of it");
        assert!(started.wait().expect("docker ends").success(), "{path}");
    }
    host.docker(&["rm", "ended"]).ok();
}
