//! What the Engine API says in one version and not in another, and what it says in all of them.

use berth_tests::{Host, started};
use serde_json::{Value, json};

/// A request in a version of the API: status and reply.
fn ask(host: &Host, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let body = body.map(|body| body.to_string());
    let (status, reply) = host.http("/run/berth/berth.sock", method, path, body.as_deref());
    (status, serde_json::from_str(&reply).unwrap_or(Value::String(reply)))
}

fn get(host: &Host, path: &str) -> Value {
    let (status, reply) = ask(host, "GET", path, None);
    assert_eq!(status, 200, "{path}: {reply}");
    reply
}

#[test]
fn older_versions_are_served_as_documented() {
    let (_world, host) = started();
    let create = |version: &str, name: &str, body: Value| {
        ask(&host, "POST", &format!("/{version}/containers/create?name={name}"), Some(body))
    };
    let plain = || json!({ "Image": "busybox" });
    assert_eq!(create("v1.39", "shared", plain()).0, 201);
    assert_eq!(create("v1.40", "alone", plain()).0, 201);
    let host_config = |name: &str| get(&host, &format!("/v1.52/containers/{name}/json"))["HostConfig"].clone();
    assert_eq!(
        (&host_config("shared")["IpcMode"], &host_config("alone")["IpcMode"]),
        (&json!("shareable"), &json!("private"))
    );

    let limit = || Some(json!({ "PidsLimit": 20 }));
    assert_eq!(ask(&host, "POST", "/v1.39/containers/alone/update", limit()).0, 200);
    assert_eq!(host_config("alone")["PidsLimit"], Value::Null);
    assert_eq!(ask(&host, "POST", "/v1.40/containers/alone/update", limit()).0, 200);
    assert_eq!(host_config("alone")["PidsLimit"], 20);

    host.docker(&["network", "create", "front"]).ok();
    host.docker(&["network", "create", "back"]).ok();
    let two = || {
        json!({
            "Image": "busybox", "HostConfig": { "NetworkMode": "front" },
            "NetworkingConfig": { "EndpointsConfig": { "front": { "Aliases": ["www"] }, "back": {} } },
        })
    };
    let (status, reply) = create("v1.43", "two", two());
    assert_eq!(status, 400);
    assert_eq!(reply["message"], "Container cannot be created with multiple network endpoints: back, front");
    let (status, reply) = create("v1.44", "two", two());
    assert_eq!(status, 201, "{reply}");
    let id = reply["Id"].as_str().expect("an id")[..12].to_owned();
    let front = |version: &str| {
        get(&host, &format!("/{version}/containers/two/json"))["NetworkSettings"]["Networks"]["front"].clone()
    };
    assert_eq!(front("v1.44")["Aliases"], json!(["www", id]));
    assert_eq!(front("v1.45")["Aliases"], json!(["www"]));
    assert_eq!(front("v1.45")["DNSNames"], json!(["two", "www", id]));

    let names = |path: &str| {
        let networks = get(&host, path);
        let mut names: Vec<_> = networks.as_array().expect("a list").iter().map(|each| each["Name"].clone()).collect();
        names.sort_by_key(Value::to_string);
        names
    };
    assert_eq!(names("/v1.24/networks/"), names("/networks"));
    let (status, reply) = ask(&host, "POST", "/images/load?platform=linux%2Famd64&platform=linux%2Farm64", None);
    assert_eq!(status, 400, "{reply}");
}

#[test]
fn what_takes_the_disk_is_told_in_each_version_s_way() {
    let (_world, host) = started();
    host.docker(&["run", "--name", "wrote", "busybox", "dd", "if=/dev/zero", "of=/file", "bs=1M", "count=3"]).ok();
    host.docker(&["volume", "create", "unused"]).ok();
    let (old, new) = (get(&host, "/v1.51/system/df"), get(&host, "/v1.52/system/df"));
    assert_eq!((old.get("ImageUsage"), old["Containers"].as_array().map(Vec::len)), (None, Some(1)));
    assert_eq!((&new["LayersSize"], &new["Images"]), (&old["LayersSize"], &old["Images"]));
    assert_eq!(new["ImageUsage"], json!({ "ActiveCount": 1, "TotalCount": 1, "TotalSize": old["LayersSize"] }));
    let written = old["Containers"][0]["SizeRw"].as_u64().expect("a size");
    assert!(written >= 3 << 20, "{written}");
    assert_eq!(new["ContainerUsage"], json!({ "TotalCount": 1, "TotalSize": written, "Reclaimable": written }));
    assert_eq!(new["VolumeUsage"], json!({ "TotalCount": 1 }));
    let brief = get(&host, "/v1.52/system/df?verbose=0");
    assert_eq!((brief.get("Images"), &brief["ImageUsage"]), (None, &new["ImageUsage"]));
    let verbose = get(&host, "/v1.52/system/df?verbose=1&type=volume");
    assert_eq!(verbose["VolumeUsage"]["Items"][0]["Name"], "unused");
    assert_eq!((verbose.get("Volumes"), verbose.get("ImageUsage")), (None, None));
    assert!(host.docker(&["system", "df"]).ok().contains("3.1"), "the client of before reads the lists");
}

#[test]
fn events_keep_their_old_words_and_come_as_the_client_reads_them() {
    let (_world, host) = started();
    let id = host.docker(&["create", "--name", "told", "busybox"]).ok();
    // The past up to here, and no more.
    let until = host.sh("date +%s.%N").ok();
    let version = get(&host, "/version");
    let minor = |key: &str| version[key].as_str().and_then(|text| text.strip_prefix("1.")?.parse::<u32>().ok());
    let versions = minor("MinAPIVersion").expect("the oldest")..=minor("ApiVersion").expect("the newest");
    assert!(versions.contains(&24) && versions.contains(&52), "{versions:?}");
    for minor in versions {
        let path = format!("/v1.{minor}/events?since=0&until={until}");
        let (status, lines) = host.http("/run/berth/berth.sock", "GET", &path, None);
        assert_eq!(status, 200, "{path}");
        let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        let created = events.iter().find(|event| event["Action"] == "create" && event["Type"] == "container");
        let created = created.unwrap_or_else(|| panic!("{lines}"));
        assert_eq!(
            [&created["id"], &created["status"], &created["from"]],
            [&json!(id), &json!("create"), &json!("busybox")],
            "{path}"
        );
    }
    let sequence = host
        .sh(&format!(
            "curl -sS -i -H 'Accept: application/json-seq' --unix-socket /run/berth/berth.sock \
             'http://localhost/v1.52/events?since=0&until={until}'"
        ))
        .ok();
    assert!(sequence.to_ascii_lowercase().contains("content-type: application/json-seq"), "{sequence}");
    assert!(sequence.contains("\u{1e}{\"status\""), "{sequence}");
}

#[test]
fn inspect_shows_what_was_asked_for_and_what_there_is() {
    let (_world, host) = started();
    let format = |name: &str, format: &str| host.docker(&["inspect", "-f", format, name]).ok();

    // The working directory is there before anything runs.
    host.docker(&["create", "--name", "work", "-w", "/new/deep/", "--read-only", "busybox", "sh", "-c", "pwd; ls"])
        .ok();
    assert_eq!(format("work", "{{.Config.WorkingDir}}"), "/new/deep");
    host.sh("echo text > /run/file").ok();
    host.docker(&["create", "--name", "into", "-w", "/new/deep", "busybox", "cat", "file"]).ok();
    host.docker(&["cp", "/run/file", "into:/new/deep"]).ok();
    assert_eq!(host.docker(&["start", "-a", "into"]).ok(), "text");
    assert_eq!(host.docker(&["start", "-a", "work"]).ok(), "/new/deep");
    let said = host.docker(&["create", "-w", "/etc/passwd/below", "busybox"]).fails_with(1);
    assert!(said.contains("Cannot mkdir: /etc/passwd/below"), "{said}");

    // A variable that is taken away is seen, and no process has it.
    let archive = berth_tests::image::busybox();
    host.docker(&["import", "-c", "ENV A=1 B=2", "-c", "CMD []", &archive.to_string_lossy(), "varied"]).ok();
    assert_eq!(format("varied", "{{json .Config.Cmd}}"), "null");
    let env = host.docker(&["run", "--name", "env", "-e", "A", "-e", "HOME=", "-u", "guest", "varied", "env"]).ok();
    assert!(env.contains("B=2") && !env.lines().any(|line| line.starts_with('A')), "{env}");
    let home = host.docker(&["run", "--rm", "-u", "guest", "busybox", "sh", "-c", "echo HOME=$HOME"]).ok();
    assert!(home.len() > "HOME=".len() && env.contains(&home), "{home}: {env}");
    assert!(format("env", "{{json .Config.Env}}").contains(r#""A""#));

    host.docker(&["network", "create", "lan"]).ok();
    let flags = ["--network", "lan", "--runtime", "runc", "--tmpfs", "/scratch"];
    host.docker(&[&["run", "-d", "--name", "before"][..], &flags, &["busybox", "sleep", "1000"]].concat()).ok();
    assert_eq!(format("before", "{{.HostConfig.Runtime}} {{.Mounts}}"), "runc []");
    host.docker(&["rename", "before", "after"]).ok();
    let lan = get(&host, "/networks/lan");
    let named: Vec<_> = lan["Containers"].as_object().expect("containers").values().map(|each| &each["Name"]).collect();
    assert_eq!(named, ["after"]);

    // An exec's process is known also when it is gone.
    let exec = ask(&host, "POST", "/containers/after/exec", Some(json!({ "Cmd": ["true"], "AttachStdout": true }))).1;
    let exec = exec["Id"].as_str().expect("an id");
    ask(&host, "POST", &format!("/exec/{exec}/start"), Some(json!({})));
    let shown = get(&host, &format!("/exec/{exec}/json"));
    assert_eq!((&shown["Running"], &shown["ExitCode"]), (&json!(false), &json!(0)));
    assert!(shown["Pid"].as_u64().is_some_and(|pid| pid > 1), "{shown}");

    let disabled = json!({ "Image": "busybox", "NetworkDisabled": true, "Cmd": ["ls", "/sys/class/net"] });
    assert_eq!(ask(&host, "POST", "/containers/create?name=cut", Some(disabled)).0, 201);
    assert_eq!(format("cut", "{{.HostConfig.NetworkMode}}"), "none");
    assert_eq!(host.docker(&["start", "-a", "cut"]).ok(), "lo");
}

#[test]
fn stop_and_restart_take_a_signal_at_every_version() {
    let (_world, host) = started();
    // It doesn't heed what both send by themselves.
    let program = "trap 'exit 7' INT; trap '' TERM; echo up; while :; do sleep 0.01; done";
    for (minor, verb) in [24, 41, 42, 52].into_iter().flat_map(|minor| [(minor, "stop"), (minor, "restart")]) {
        let name = format!("{verb}{minor}");
        host.docker(&["run", "-d", "--name", &name, "busybox", "sh", "-c", program]).ok();
        host.wait_for_log(&name, "up");
        let path = format!("/v1.{minor}/containers/{name}/{verb}?signal=INT&t=30");
        assert_eq!(ask(&host, "POST", &path, None).0, 204, "{path}");
        let until = host.sh("date +%s.%N").ok();
        let filters = ["--filter", "event=die", "--filter", &format!("container={name}")];
        let events = ["events", "--since", "1h", "--until", &until, "--format", "{{.Actor.Attributes.exitCode}}"];
        assert_eq!(host.docker(&[&events[..], &filters].concat()).ok(), "7", "{path}");
        host.docker(&["rm", "-f", &name]).ok();
    }
}
