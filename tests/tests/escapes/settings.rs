//! Settings: flags and fields whose values try to say more than they may. They go to berthd as they are, because docker's
//! client would refuse some of them itself.

use std::fs;

use berth_tests::{Host, started};
use serde_json::{Value, json};

const SOCKET: &str = "/run/berth/berth.sock";

/// A container of busybox that would run this.
fn body(host_config: Value, command: &[&str]) -> Value {
    json!({ "Image": "busybox", "Cmd": command, "HostConfig": host_config })
}

fn create(host: &Host, body: &Value) -> (u16, String) {
    host.http(SOCKET, "POST", "/containers/create", Some(&body.to_string()))
}

/// What a request is refused with, and that nothing is left of it.
#[track_caller]
fn refused(host: &Host, body: &Value) -> String {
    let count = || host.docker(&["ps", "-aq"]).ok().lines().count();
    let before = count();
    let (status, answer) = create(host, body);
    assert!(matches!(status, 400 | 501), "{body}: {status} {answer}");
    assert_eq!(count(), before, "{body} left a container");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    answer["message"].as_str().expect("a message").to_owned()
}

/// The id of a container that a request makes.
#[track_caller]
fn created(host: &Host, body: &Value) -> String {
    let (status, answer) = create(host, body);
    assert_eq!(status, 201, "{body}: {answer}");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    answer["Id"].as_str().expect("an id").to_owned()
}

/// Creates a container, runs it to its end, and gives what it wrote.
#[track_caller]
fn run(host: &Host, body: &Value) -> String {
    let id = created(host, body);
    let output = host.docker(&["start", "-a", &id]).ok();
    host.docker(&["rm", &id]).ok();
    output
}

/// CVE-2022-0811: a setting of a namespace that brings one of the host along; and the many ways to write a name.
#[test]
fn a_sysctl_brings_no_other_along() {
    let (_world, host) = started();
    let state = "cat /proc/sys/kernel/core_pattern /proc/sys/kernel/shm_rmid_forced /proc/sys/net/core/somaxconn";
    let before = host.sh(state).ok();
    let evil = "1+kernel.core_pattern=|/bin/sh #";
    for name in ["kernel.shm_rmid_forced", "net.ipv4.ip_forward"] {
        let id = created(&host, &body(json!({ "Sysctls": { name: evil } }), &["true"]));
        let said = host.docker(&["start", &id]);
        assert!(said.code != 0 && said.stderr.contains(evil), "{said:?}");
        host.docker(&["rm", &id]).ok();
    }
    for name in [
        "kernel.core_pattern",
        "kernel/core_pattern",
        "kernel.shm_rmid_forced+kernel.core_pattern",
        "kernel.shm_rmid_forced=1",
        "kernel.shm_rmid_forced ",
        "kernel.shm_rmid_forced\n",
        "kernel.shmmax.",
        ".kernel.shmmax",
        "fs.mqueue.../kernel.core_pattern",
        "net/ipv4/../../kernel/core_pattern",
        "net.../kernel/core_pattern",
        "net./kernel.core_pattern",
        "net..ipv4.ip_forward",
        "net.ipv4.ip_forward\n",
        "net.",
        "",
        &format!("user.{}", "x".repeat(20_000)),
    ] {
        let said = refused(&host, &body(json!({ "Sysctls": { name: "1" } }), &["true"]));
        assert!(said.starts_with(&format!("sysctl {name:?} is not")), "{said}");
    }
    for value in ["1\nkernel.core_pattern=x", "1\r", "1\u{1b}", &"1".repeat(20_000)] {
        let said = refused(&host, &body(json!({ "Sysctls": { "kernel.shmmni": value } }), &["true"]));
        assert!(said.starts_with("sysctl \"kernel.shmmni\" "), "{said}");
    }
    let twice = json!({ "Sysctls": { "net.core.somaxconn": "1", "net/core/somaxconn": "2" } });
    assert!(refused(&host, &body(twice, &["true"])).contains("is given twice"));
    let both = json!({ "Sysctls": { "net/core/somaxconn": "77", "kernel.shm_rmid_forced": "1" } });
    let files = ["cat", "/proc/sys/net/core/somaxconn", "/proc/sys/kernel/shm_rmid_forced"];
    assert_eq!(run(&host, &body(both, &files)), "77\n1");
    assert_eq!(host.sh(state).ok(), before, "the host's own are as they were");
}

/// The network of a container that has the host's is the host's, through however many hands.
#[test]
fn a_sysctl_reaches_no_namespace_of_another() {
    let (_world, host) = started();
    let sleep = ["busybox", "sleep", "1000"];
    host.docker(&[&["run", "-d", "--name", "one", "--network", "host", "--ipc", "host"][..], &sleep].concat()).ok();
    host.docker(&[&["run", "-d", "--name", "two", "--network", "container:one"][..], &sleep].concat()).ok();
    let before = host.sh("cat /proc/sys/net/core/somaxconn").ok();
    let wish =
        |network: &str| body(json!({ "NetworkMode": network, "Sysctls": { "net/core/somaxconn": "33" } }), &["true"]);
    let sentence = "not allowed in host network namespace";
    assert_eq!(refused(&host, &wish("host")), format!("sysctl \"net/core/somaxconn\" {sentence}"));
    for network in ["container:one", "container:two"] {
        let id = created(&host, &wish(network));
        let said = host.docker(&["start", &id]).fails_with(1);
        assert!(said.contains(&format!("sysctl net.core.somaxconn {sentence}")), "{network}: {said}");
    }
    for ipc in ["host", "container:one"] {
        let wish = json!({ "IpcMode": ipc, "Sysctls": { "kernel.shmmni": "33" } });
        let said = refused(&host, &body(wish, &["true"]));
        assert!(said.contains("\"kernel.shmmni\" not allowed in an IPC namespace"), "{ipc}: {said}");
    }
    assert_eq!(host.sh("cat /proc/sys/net/core/somaxconn").ok(), before);
}

#[test]
fn a_device_is_made_nowhere_but_below_dev() {
    let (_world, host) = started();
    let victim = host.directory().join("lib/victim");
    fs::create_dir_all(&victim).expect("made");
    host.docker(&["volume", "create", "vol"]).ok();
    host.docker(&["run", "--rm", "-v", "vol:/v", "busybox", "ln", "-s", "/var/lib/victim", "/v/out"]).ok();
    let device = |path: &str| json!({ "PathOnHost": "/dev/null", "PathInContainer": path, "CgroupPermissions": "rwm" });
    for path in [
        "/etc/node",
        "dev/node",
        "/dev",
        "/dev/",
        "/dev/../var/lib/victim/node",
        "/dev/./node",
        "/dev//node",
        "/dev/a/../../node",
        "/dev/vol/out/node",
        "/dev/vol/node",
        "/dev/vol",
        "/dev/shm/node",
        "/dev/pts/0",
        &format!("/dev/{}", "x".repeat(20_000)),
    ] {
        let said = refused(&host, &body(json!({ "Devices": [device(path)], "Binds": ["vol:/dev/vol"] }), &["true"]));
        assert!(said.starts_with("invalid device path in the container \""), "{path}: {said}");
        assert!(said.contains(&path[..path.len().min(32)]), "{path}: {said}");
    }
    for source in ["/etc/passwd", "/dev", "/dev/null\n", "/dev/null/../zero", "", "/dev/none"] {
        let wish = json!({ "Devices": [{ "PathOnHost": source, "PathInContainer": "/dev/node" }] });
        assert!(refused(&host, &body(wish, &["true"])).contains(&format!("\"{source}\"")), "{source}");
    }
    for access in ["rwm\nb *:* rwm", "a", "r w", "rwm,", "+r"] {
        let wish = json!({ "Devices": [{ "PathOnHost": "/dev/null", "CgroupPermissions": access }] });
        assert!(refused(&host, &body(wish, &["true"])).contains(&format!("{access:?}")), "{access}");
    }
    for rule in ["c 1:3 rwm\na *:* rwm", "c 1:3 rwm\n", "c 1:3\trwm", "c 1:-3 r", "c 1:4294967296 r", "a", "c 1:3 r,w"]
    {
        let said = refused(&host, &body(json!({ "DeviceCgroupRules": [rule] }), &["true"]));
        assert!(said.contains(&format!("'{rule}'")), "{rule}: {said}");
    }
    // A line break in a name is one: the node is there, and its rule is its own alone.
    let wish = json!({ "Devices": [device("/dev/a\nc 1:1 r")] });
    assert_eq!(run(&host, &body(wish, &["sh", "-c", "test -c '/dev/a\nc 1:1 r' && echo made"])), "made");
    assert_eq!(fs::read_dir(&victim).expect("there").count(), 0, "nothing was made outside");
}

/// What can't be meant is refused by its name; what can is meant to the letter.
#[test]
fn no_setting_says_more_than_it_may() {
    let (_world, host) = started();
    let long = "x".repeat(20_000);
    let log = |option: &str, value: &str| json!({ "LogConfig": { "Type": "json-file", "Config": { option: value } } });
    let limit = |name: &str, soft: i64| json!({ "Ulimits": [{ "Name": name, "Soft": soft, "Hard": 9 }] });
    let rows: Vec<(Value, &str)> = vec![
        (json!({ "CgroupParent": "/a/../../b" }), "/a/../../b"),
        (json!({ "CgroupParent": ".." }), "\"..\""),
        (json!({ "CgroupParent": "a/.." }), "a/.."),
        (json!({ "CgroupParent": "/" }), "\"/\""),
        (json!({ "CgroupParent": "/a\nb" }), "/a\\nb"),
        (json!({ "CgroupParent": long }), "cgroup parent \"xxx"),
        (json!({ "CgroupParent": format!("/a{}", "/b".repeat(9_000)) }), "cgroup parent \"/a/b"),
        (limit("nofile\n", 1), "nofile\n"),
        (limit("nofile=1", 1), "nofile=1"),
        (limit("nofile", -2), "nofile=-2"),
        (limit("nofile", 10), "10 > 9"),
        (json!({ "Annotations": { "a\n..": "+" } }), "annotations"),
        (log("max-size", "1m\n"), "1m\n"),
        (log("max-size", "+1m"), "+1m"),
        (log("max-size", "1m,max-file=2"), "1m,max-file=2"),
        (log("max-file\n", "1"), "max-file\n"),
        (log("../x", "1"), "../x"),
        (json!({ "LogConfig": { "Type": "../json-file" } }), "../json-file"),
        (
            json!({ "SecurityOpt": ["no-new-privileges=true,seccomp=unconfined"] }),
            "no-new-privileges=true,seccomp=unconfined",
        ),
        (json!({ "SecurityOpt": ["seccomp=unconfined\n"] }), "unconfined\\n"),
        (json!({ "SecurityOpt": ["systempaths=unconfined\n"] }), "systempaths=unconfined\\n"),
        (json!({ "Tmpfs": { "/t": "size=1m\n" } }), "size=1m\\n"),
        (json!({ "Tmpfs": { "/t": "size=+1m" } }), "size=+1m"),
        (json!({ "Tmpfs": { "/t": "size=1m,mpol=bind:0" } }), "mpol=bind:0"),
        (json!({ "Tmpfs": { "/t": "uid=-1" } }), "uid=-1"),
        (json!({ "Tmpfs": { "/t": "uid=+1" } }), "uid=+1"),
        (json!({ "Tmpfs": { "/t": "mode=17777" } }), "mode=17777"),
        (json!({ "Tmpfs": { "/t/../../u": "" } }), "/t/../../u"),
        (json!({ "CpusetCpus": "0\n" }), "0\n"),
        (json!({ "CpusetMems": "+0" }), "+0"),
        (json!({ "CapAdd": ["NET_ADMIN\n"] }), "NET_ADMIN\\n"),
        (json!({ "CapAdd": ["NET_ADMIN,SYS_ADMIN"] }), "NET_ADMIN,SYS_ADMIN"),
        (json!({ "ExtraHosts": ["a\n1.2.3.4 b:1.1.1.1"] }), "add-host"),
        (json!({ "DnsSearch": ["a\nnameserver 1.1.1.1"] }), "a\\nnameserver 1.1.1.1"),
        (json!({ "RestartPolicy": { "Name": "always\n" } }), "always\n"),
        (json!({ "IpcMode": "host\n" }), "host\n"),
        (json!({ "PidMode": "container:../x" }), "../x"),
        (json!({ "UTSMode": "host\n" }), "host\n"),
    ];
    for (host_config, named) in rows {
        let said = refused(&host, &body(host_config.clone(), &["true"]));
        assert!(said.contains(named), "{host_config}: {said}");
    }
    for (field, value, named) in [
        ("Hostname", json!("a\nb"), "a\nb"),
        ("Hostname", json!(".."), ".."),
        ("Hostname", json!("a+b"), "a+b"),
        ("Hostname", json!(long), "xxx"),
        ("Domainname", json!("a\nb"), "a\nb"),
        ("Domainname", json!("../b"), "../b"),
        ("MacAddress", json!("02:00:00:00:00:01\n"), "02:00:00:00:00:01\n"),
        ("Env", json!(["=a"]), "=a"),
        ("StopSignal", json!("TERM\n"), "TERM\n"),
        ("Labels", json!({ "a": "\0" }), "NUL"),
        ("Env", json!(["a=\0"]), "NUL"),
        ("Hostname", json!("a\0"), "NUL"),
        ("WorkingDir", json!("/\0"), "NUL"),
    ] {
        let mut wish = body(json!({}), &["true"]);
        wish[field] = value;
        let said = refused(&host, &wish);
        assert!(said.contains(named), "{wish}: {said}");
    }
    // What isn't UTF-8 isn't JSON.
    let request = "printf '{\"Image\":\"busybox\",\"Hostname\":\"\\377\"}' | curl -s -w '%{http_code}' --unix-socket \
                   /run/berth/berth.sock -H 'Content-Type: application/json' --data-binary @- \
                   http://localhost/containers/create";
    assert!(host.sh(request).ok().ends_with("400"));

    let mut wish = body(json!({ "NetworkMode": "none" }), &["sh", "-c", "tr '\\0' '|' < /proc/self/environ; pwd"]);
    wish["Env"] = json!(["A\nB=c\n..,+=d", "PATH=/bin"]);
    wish["WorkingDir"] = json!("/a\nb");
    wish["Labels"] = json!({ "a\n../b": "c\n+,=\u{1}", "long": long });
    assert!(run(&host, &wish).contains("|A\nB=c\n..,+=d|"), "an environment");
    let labels = host.docker(&["inspect", "-f", "{{json .Config.Labels}}", &created(&host, &wish)]).ok();
    assert_eq!(serde_json::from_str::<Value>(&labels).expect("JSON"), wish["Labels"]);
}

#[test]
fn options_of_a_volume_are_the_kernels_or_nobodys() {
    let (_world, host) = started();
    for (options, named) in [
        (json!({ "typ": "tmpfs" }), "typ"),
        (json!({ "type\n": "tmpfs" }), "type"),
        (json!({ "type": "tmpfs", "device": "tmpfs", "o": "size=1m\0" }), "NUL"),
    ] {
        let wish = json!({ "Name": "vol", "DriverOpts": options }).to_string();
        let (status, answer) = host.http(SOCKET, "POST", "/volumes/create", Some(&wish));
        assert!(status == 400 && answer.contains(named), "{wish}: {status} {answer}");
    }
    for name in ["../vol", "vol\n", "a/b", ".."] {
        let wish = body(json!({ "Mounts": [{ "Type": "volume", "Source": name, "Target": "/v" }] }), &["true"]);
        assert!(refused(&host, &wish).contains(name), "{name:?}");
    }
    assert_eq!(host.docker(&["volume", "ls", "-q"]).ok(), "");
}
