//! The same command line, typed for docker and for berth, asks the engine for the same.

use std::process::Command;

use crate::fake_engine::{Answer, FakeEngine, Outcome, Request};
use serde_json::Value;

const LINES: &[&str] = &[
    "create busybox true",
    "create -it --name web busybox sh -c x",
    "create -e A=1 -e HOME -e NOPE --env-file env -w /w -u 1:2 --group-add audio --entrypoint /init --init image x",
    "create --stop-signal INT --stop-timeout 3 --entrypoint= image",
    "create --network lab --network-alias db --ip 10.9.0.7 --ip6 fd00::7 --mac-address 02:00:00:00:00:07 -h web image",
    "create --network name=lab,alias=db,alias=x,ip=10.9.0.7,driver-opt=a=b --network other --domainname ex image",
    "create --link web:db --link cache image",
    "create --network lab --link web:db image",
    "create --network host image",
    "create --network container:abc image",
    "create -p 80 -p 127.0.0.1:8080:80 -p 53:53/udp -p 6000-6002:7000-7002 -p [::1]:90:90/sctp -p 8000-8010:81 image",
    "create -p 0:99 -P --expose 9000 --expose 9100-9102/udp image",
    "create --dns 9.9.9.9 --dns-search . --dns-option ndots:2 --add-host db:10.0.0.1 --add-host v6=[::1] image",
    "create -v /a:/b:ro -v ./x:/y -v data:/d -v /anonymous image",
    "create --mount type=bind,src=./a,dst=/b,readonly,bind-propagation=rslave image",
    "create --mount type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1770 image",
    "create --mount source=v,target=/v,volume-nocopy,volume-label=a=b,volume-opt=x=y image",
    "create --mount type=bind,src=/a,dst=/b,bind-recursive=disabled image",
    "create --tmpfs /t --tmpfs /u:size=1m,mode=700 --read-only --shm-size 64m image",
    "create --device /dev/null --device /dev/null:/x:r --device /dev/null:rw image",
    "create -m 512m --memory-reservation 256m --memory-swap -1 --cpus 1.5 -c 512 --cpuset-cpus 0-1 image",
    "create --cpuset-mems 0 --pids-limit 10 --cpu-period 100000 --cpu-quota 50000 --ulimit nofile=1024:2048 image",
    "create --oom-score-adj -500 --cgroup-parent /x --privileged --cap-add ALL --cap-drop ALL image",
    "create --security-opt no-new-privileges --security-opt label:disable --security-opt systempaths=unconfined image",
    "create --security-opt seccomp=profile.json image",
    "create --ipc host --pid host --uts host --userns host --cgroupns host --sysctl net.ipv4.ip_forward=1 image",
    "create --restart on-failure:3 -l a=b --label-file labels --log-driver json-file --log-opt max-size=10m image",
    "create --annotation x=y --runtime crun --platform linux/amd64 --pull never --rm image",
    "create -a stdin -a stdout -i image",
    "create --blkio-weight 500 --blkio-weight-device /dev/sda:200 --blkio-weight-device /dev/sdb:0 image",
    "create --device-read-bps /dev/sda:1mb --device-write-bps /dev/sda:10 --device-read-bps /dev/sdb:1.5g image",
    "create --device-read-iops /dev/sda:1000 --device-write-iops /dev/sda:10 image",
    "create --memory-swappiness 50 --oom-kill-disable image",
    "create --memory-swappiness 0 --cpu-rt-period 1000 --cpu-rt-runtime 500 --isolation default image",
    "create --gpus all image",
    "create --gpus 2 image",
    "create --gpus \"device=0,1\",driver=nvidia,\"capabilities=compute,utility\",options=a=b image",
    "create --gpus count=1 --storage-opt size=10g --storage-opt x=y image",
    "create --link web:db --link other image",
    "create --link web:db --network lab --link-local-ip 169.254.1.2 image",
    "create --mount type=volume,\"volume-opt=o=addr=10.0.0.1,rw\",src=v,dst=/v image",
    "network create --attachable --ingress --internal lab",
    "network create --scope swarm --label a=b --opt x=y lab",
    "network create --config-only --subnet 10.9.0.0/24 --ip-range 10.9.0.128/25 --gateway 10.9.0.1 lab",
    "network create --config-from kept --aux-address router=10.9.0.2 --subnet 10.9.0.0/24 lab",
    "network create --ipam-driver foreign --ipam-opt a=b --ipv6 lab",
    "network connect --link web:db --link-local-ip 169.254.1.2 --alias db lab web",
    "start a b",
    "stop -t 3 a",
    "stop -s INT a",
    "restart -t 0 a",
    "kill -s HUP a",
    "rm -f -v a",
    "pause a",
    "unpause a",
    "rename a b",
    "tag localhost:5000/a localhost:5000/b",
];

fn engine() -> FakeEngine {
    let engine = FakeEngine::new(|request| match request.path.as_str() {
        "containers/create" | "networks/create" => Answer::Reply(201, br#"{"Id":"c0ffee","Warnings":[]}"#.to_vec()),
        "/_ping" | "_ping" => Answer::Reply(200, Vec::new()),
        _ => Answer::Reply(204, Vec::new()),
    });
    for (file, text) in [
        ("env", "# comment\nB=2\nHOME\nNOPE\n"),
        ("labels", "tier=db\n"),
        ("profile.json", "{ \"defaultAction\": \"SCMP_ACT_ALLOW\" }"),
    ] {
        std::fs::write(engine.directory().join(file), text).expect("a file beside the socket");
    }
    engine
}

/// What a request asks for: fields that say nothing are left out, and so is what docker fills in without being asked.
fn meaning(request: &Request) -> (String, String, String, Value) {
    let mut body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    simplify(&mut body);
    (request.method.clone(), request.path.clone(), request.query.clone(), body)
}

fn simplify(value: &mut Value) {
    let says_nothing = |name: &str, value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => {
            number.as_i64() == Some(0) || (name == "MemorySwappiness" && number.as_i64() == Some(-1))
        }
        Value::String(text) => text.is_empty(),
        // Docker sends empty lists for nothing, except where an empty list has a meaning.
        Value::Array(values) => name == "ConsoleSize" || (values.is_empty() && !name.ends_with("Paths")),
        // Names of ports and paths are keys with nothing behind them.
        Value::Object(fields) => fields.is_empty() && !name.contains('/'),
        Value::Bool(true) => false,
    };
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(simplify);
            // Docker sends them in an order of its own, and a different one each time.
            for name in ["Env", "Binds", "Ulimits"] {
                if let Some(Value::Array(values)) = fields.get_mut(name) {
                    values.sort_by_key(Value::to_string);
                }
            }
            fields.retain(|name, value| !says_nothing(name, value));
        }
        Value::Array(values) => values.iter_mut().for_each(simplify),
        _ => {}
    }
}

fn docker_is_here() -> bool {
    let found = Command::new("docker").arg("--version").output();
    match &found {
        Ok(found) => println!("compared with {}", String::from_utf8_lossy(&found.stdout).trim()),
        Err(_) => eprintln!("skipped: there is no docker client in PATH to compare with"),
    }
    found.is_ok()
}

fn docker(engine: &FakeEngine, arguments: &[&str]) -> Outcome {
    let mut docker = Command::new("docker");
    docker.args(["-H", &format!("unix://{}", engine.socket().display())]).args(arguments);
    Outcome::from(docker.current_dir(engine.directory()).output().expect("docker runs"))
}

#[test]
fn requests_are_the_same() {
    if !docker_is_here() {
        return;
    }
    let engine = engine();
    for line in LINES {
        let arguments: Vec<&str> = line.split(' ').collect();
        let docker = docker(&engine, &arguments);
        assert_eq!(docker.code, 0, "{line}: {docker:?}");
        let mut expected: Vec<_> = engine.take_requests().iter().map(meaning).collect();
        expected.retain(|(_, path, ..)| !path.ends_with("_ping"));
        let berth = engine.run(&arguments);
        assert_eq!((berth.code, &berth.stdout), (0, &docker.stdout), "{line}: {berth:?}");
        let asked: Vec<_> = engine.take_requests().iter().map(meaning).collect();
        assert_eq!(asked, expected, "{line}");
    }
}

#[test]
fn wrong_templates_have_the_same_status() {
    if !docker_is_here() {
        return;
    }
    let engine = FakeEngine::new(|request| match request.path.as_str() {
        "/_ping" | "_ping" => Answer::Reply(200, Vec::new()),
        "containers/json" => Answer::Reply(200, br#"[{"Id":"c1","Names":["/web"]}]"#.to_vec()),
        "images/json" => Answer::Reply(200, br#"[{"Id":"sha256:1","RepoTags":["a:1"]}]"#.to_vec()),
        "images/a/history" => Answer::Reply(200, br#"[{"Id":"sha256:1"}]"#.to_vec()),
        "events" => Answer::Reply(200, b"{\"Type\":\"image\"}\n".to_vec()),
        "info" => Answer::Reply(200, br#"{"ID":"x"}"#.to_vec()),
        _ => Answer::Reply(200, br#"{"Id":"c1","Version":"1","ApiVersion":"1.44"}"#.to_vec()),
    });
    let commands = [
        "inspect web --format",
        "container inspect web --format",
        "image inspect a --format",
        "version --format",
        "info --format",
        "system info --format",
        "events --until 0s --format",
        "ps --format",
        "images --format",
        "history a --format",
    ];
    for command in commands {
        for template in ["{{.Nope", "{{nope}}", "{{.Nope}}", "{{json}}", ""] {
            // Docker's events alone calls it wrong usage when the template asks for what isn't there.
            if command.starts_with("events") && ["{{.Nope}}", "{{json}}"].contains(&template) {
                continue;
            }
            let arguments: Vec<&str> = command.split(' ').chain([template]).collect();
            let (docker, berth) = (docker(&engine, &arguments), engine.run(&arguments));
            assert_eq!(berth.code, docker.code, "{arguments:?}: {berth:?}, {docker:?}");
        }
    }
}

#[test]
fn docker_reaches_it_by_ssh() {
    if !docker_is_here() {
        return;
    }
    let engine = FakeEngine::new(|request| match request.path.as_str() {
        "/_ping" | "_ping" => Answer::Reply(200, Vec::new()),
        _ => Answer::Reply(200, br#"[{"Id":"c1","Names":["/web"]}]"#.to_vec()),
    });
    // In place of the server's ssh: what docker asks for there is called docker.
    let ssh = engine.directory().join("ssh");
    let berth = env!("CARGO_BIN_EXE_berth");
    let script = format!("#!/bin/sh\nwhile [ \"$1\" != docker ]; do shift; done; shift; exec {berth} \"$@\"\n");
    std::fs::write(&ssh, script).expect("a file beside the socket");
    std::fs::set_permissions(&ssh, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it is ours");
    let path = format!("{}:{}", engine.directory().display(), std::env::var("PATH").expect("a search path"));
    let mut docker = Command::new("docker");
    docker.args(["-H", "ssh://server", "ps", "--format", "{{.Names}}"]).env("PATH", path);
    let outcome = Outcome::from(docker.env("BERTH_HOST", engine.socket()).output().expect("docker runs"));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "web\n"), "{outcome:?}");
}
