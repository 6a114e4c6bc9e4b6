//! How containers end, and who hears of it when: what has been seen is recorded, and what was asked for is done.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    process::{Child, ChildStdout, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use berth_tests::{Host, Outcome, started};
use nix::sys::signal::Signal;
use serde_json::Value;

const SOCKET: &str = "/run/berth/berth.sock";

/// Ends with this code when it is told to.
fn told_to_exit(code: u8) -> String {
    format!("trap 'exit {code}' TERM; echo up; while :; do sleep 0.01; done")
}

/// Tells it from inside, as soon as it can be told.
fn tell(host: &Host, name: &str) {
    let script = "until grep -q '^SigCgt:.*[4-7c-f]...$' /proc/1/status; do :; done; kill 1";
    host.docker(&["exec", name, "sh", "-c", script]);
}

fn state(host: &Host, name: &str) -> String {
    host.docker(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name]).ok()
}

/// A request that is sent right here: a client of its own would take longer than what is looked for.
fn sent(host: &Host, request: &str) -> UnixStream {
    let mut stream = UnixStream::connect(host.directory().join("run/berth/berth.sock")).expect("berthd");
    stream.write_all(format!("{request}\r\n\r\n").as_bytes()).expect("sent");
    stream
}

/// A container's state at this very moment.
fn state_now(host: &Host, name: &str) -> Value {
    let mut reply = String::new();
    let mut asking = sent(host, &format!("GET /containers/{name}/json HTTP/1.1\r\nHost: x\r\nConnection: close"));
    asking.read_to_string(&mut reply).expect("a reply");
    let (_, inspected) = reply.split_once("\r\n\r\n").expect("a head");
    serde_json::from_str::<Value>(inspected).expect("JSON")["State"].clone()
}

#[track_caller]
fn assert_exited(state: &Value, code: i64) {
    assert_eq!((state["Status"].as_str(), state["ExitCode"].as_i64()), (Some("exited"), Some(code)), "{state}");
}

/// What was told of a container until this very moment.
fn told(host: &Host, name: &str) -> Vec<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let path = format!(
        "/events?since=0&until={}.{:09}&filters=%7B%22container%22%3A%5B%22{name}%22%5D%7D",
        now.as_secs(),
        now.subsec_nanos()
    );
    let (_, lines) = host.http(SOCKET, "GET", &path, None);
    let action =
        |line: &str| serde_json::from_str::<Value>(line).expect(line)["Action"].as_str().expect(line).to_owned();
    lines.lines().map(action).collect()
}

/// `wait` as the API has it, from when it is sure to miss no end.
struct Waiting {
    curl: Child,
    reply: BufReader<ChildStdout>,
}

impl Waiting {
    fn begin(host: &Host, name: &str, condition: &str) -> Self {
        let url = format!("http://localhost/containers/{name}/wait?condition={condition}");
        let mut curl = host.command("curl");
        curl.args(["-s", "-N", "-D", "-", "--unix-socket", SOCKET, "-X", "POST", &url]).stdout(Stdio::piped());
        let mut curl = curl.spawn().expect("curl");
        let mut reply = BufReader::new(curl.stdout.take().expect("a pipe"));
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert_ne!(reply.read_line(&mut line).expect("the reply's head"), 0, "it has an end");
        }
        Self { curl, reply }
    }

    fn code(mut self) -> i64 {
        let mut body = String::new();
        self.reply.read_to_string(&mut body).expect("the reply");
        self.curl.wait().expect("curl ends");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        body["StatusCode"].as_i64().expect("a code")
    }
}

#[test]
fn a_restart_keeps_what_is_to_be_removed_at_the_end() {
    let (_world, mut host) = started();
    for client in [Host::docker as fn(&Host, &[&str]) -> Outcome, Host::berth] {
        let run = ["run", "-d", "--rm", "--stop-timeout", "0", "-v", "/data", "--name", "one", "busybox"];
        client(&host, &[&run[..], &["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]].concat()).ok();
        client(&host, &["exec", "one", "touch", "/data/x", "/kept"]).ok();
        client(&host, &["restart", "one"]).ok();
        assert_eq!(client(&host, &["exec", "one", "ls", "/data/x", "/kept"]).ok(), "/data/x\n/kept");
        assert_eq!(host.docker(&["ps", "--format", "{{.Names}}"]).ok(), "one");
        // That is over: its end is one again.
        client(&host, &["stop", "one"]).ok();
        assert_eq!(host.docker(&["ps", "-aq"]).ok(), "");
        assert_eq!(host.docker(&["volume", "ls", "-q"]).ok(), "");
    }
    // A berthd that dies over a restart has not forgotten it.
    host.docker(&["run", "-d", "--rm", "--name", "two", "--stop-timeout", "0", "busybox", "sleep", "1000"]).ok();
    host.docker(&["exec", "two", "touch", "/kept"]).ok();
    let mut restart = host.docker_command();
    let mut restart = restart.args(["restart", "-t", "1000", "two"]).stderr(Stdio::null()).spawn().expect("docker");
    host.wait_for_events("two", "kill", 1);
    host.kill_berthd();
    restart.wait().expect("docker ends");
    host.start_berthd();
    host.wait_for_events("two", "restart", 1);
    host.docker(&["exec", "two", "ls", "/kept"]).ok();
}

#[test]
fn who_sees_an_end_finds_it_recorded() {
    let (_world, host) = started();
    for name in ["e0", "e1", "e2", "e3", "e4"] {
        host.docker(&["run", "-d", "--name", name, "busybox", "sh", "-c", &told_to_exit(7)]).ok();
        host.wait_for_log(name, "up");
        let upgrade = "HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp";
        let attach = format!("POST /containers/{name}/attach?stream=1&stdout=1 {upgrade}");
        let mut attached = sent(&host, &attach);
        host.wait_for_events(name, "attach", 1);
        host.docker(&["kill", "-s", "TERM", name]).ok();
        attached.read_to_end(&mut Vec::new()).expect("the stream");
        assert_exited(&state_now(&host, name), 7);
    }
}

#[test]
fn a_wait_is_answered_when_the_end_is_recorded() {
    let (_world, host) = started();
    let wait = |name: &str, condition: &str| {
        let path = format!("/containers/{name}/wait?condition={condition}");
        BufReader::new(sent(&host, &format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close")))
    };
    let code = |mut reply: BufReader<UnixStream>| {
        let mut body = String::new();
        reply.read_to_string(&mut body).expect("the reply");
        assert!(body.contains(r#""StatusCode":7"#), "{body}");
    };
    for round in 0..20 {
        let name = format!("w{round}");
        host.docker(&["create", "--name", &name, "busybox", "sh", "-c", "exit 7"]).ok();
        let mut next = wait(&name, "next-exit");
        // With its head, it is sure to miss no end.
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert_ne!(next.read_line(&mut line).expect("the reply's head"), 0, "it has an end");
        }
        sent(&host, &format!("POST /containers/{name}/start HTTP/1.1\r\nHost: x\r\nConnection: close"))
            .read_to_end(&mut Vec::new())
            .expect("a reply");
        if round % 2 == 0 {
            code(next);
            assert_exited(&state_now(&host, &name), 7);
        }
        code(wait(&name, "not-running"));
        assert_exited(&state_now(&host, &name), 7);
    }
}

#[test]
fn a_wait_is_over_with_the_run_whatever_the_policy_does() {
    let (_world, host) = started();
    let program = told_to_exit(5);
    host.docker(&["run", "-d", "--name", "again", "--restart", "always", "busybox", "sh", "-c", &program]).ok();
    let begin = |condition| Waiting::begin(&host, "again", condition);
    for (times, condition) in [(1, ""), (2, "not-running"), (3, "next-exit")] {
        host.wait_for_events("again", "start", times);
        let waiting = begin(condition);
        tell(&host, "again");
        assert_eq!(waiting.code(), 5, "{condition}");
    }
    // So does who is attached.
    host.wait_for_events("again", "start", 4);
    let removed = begin("removed");
    for (times, client) in [(1, "docker"), (2, "berth")] {
        let mut attached = match client {
            "docker" => host.docker_command(),
            _ => host.command(&berth_tests::world::binary("berth").to_string_lossy()),
        };
        let attached = attached.args(["attach", "--no-stdin", "again"]).stdout(Stdio::null()).spawn();
        let mut attached = attached.expect("a client");
        host.wait_for_events("again", "attach", times);
        tell(&host, "again");
        assert_eq!(attached.wait().expect("it ends").code(), Some(5), "{client}");
        host.wait_for_events("again", "start", 4 + times);
    }
    host.docker(&["rm", "-f", "again"]).ok();
    assert_eq!(removed.code(), 137);
}

#[test]
fn what_was_killed_is_dead() {
    let (_world, host) = started();
    for (round, client) in
        [Host::docker as fn(&Host, &[&str]) -> Outcome, Host::berth].into_iter().cycle().enumerate().take(10)
    {
        let name = format!("k{round}");
        client(&host, &["run", "-d", "--name", &name, "busybox", "sleep", "1000"]).ok();
        client(&host, &["exec", "-d", &name, "sleep", "2000"]).ok();
        client(&host, &["kill", &name]).ok();
        let told = told(&host, &name);
        assert!(told.iter().any(|event| event == "die"), "{told:?}");
        assert!(told.iter().any(|event| event == "exec_die"), "{told:?}");
        assert_eq!(state(&host, &name), "exited 137");
        client(&host, &["rm", &name]).ok();
    }
    // What removes itself is gone, and its name free.
    for _ in 0..3 {
        host.docker(&["run", "-d", "--rm", "--name", "gone", "busybox", "sleep", "1000"]).ok();
        host.docker(&["kill", "gone"]).ok();
        host.docker(&[
            "run",
            "-d",
            "--rm",
            "--name",
            "gone",
            "busybox",
            "sh",
            "-c",
            "trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done",
        ])
        .ok();
        host.wait_for_log("gone", "up");
        host.docker(&["stop", "gone"]).ok();
    }
    // Its execs, too.
    host.docker(&["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).ok();
    let body = r#"{"Cmd": ["sleep", "2000"]}"#;
    let (_, created) = host.http(SOCKET, "POST", "/containers/web/exec", Some(body));
    let created: Value = serde_json::from_str(&created).expect("JSON");
    let exec = created["Id"].as_str().expect("an id");
    assert_eq!(host.http(SOCKET, "POST", &format!("/exec/{exec}/start"), Some(r#"{"Detach": true}"#)).0, 200);
    let inspect = || -> Value {
        serde_json::from_str(&host.http(SOCKET, "GET", &format!("/exec/{exec}/json"), None).1).expect("JSON")
    };
    let running = inspect();
    assert_eq!(running["Running"], true);
    host.docker(&["kill", "web"]).ok();
    let ended = inspect();
    assert_eq!((&ended["Running"], ended["ExitCode"].as_i64()), (&Value::Bool(false), Some(137)));
    assert_eq!(ended["Pid"], running["Pid"]);
    // A signal that is another program's own end is one, too; one that is handled isn't waited for.
    host.docker(&["run", "-d", "--pid", "host", "--name", "shares", "busybox", "sleep", "3000"]).ok();
    host.docker(&["kill", "-s", "USR1", "shares"]).ok();
    assert_eq!(state(&host, "shares"), "exited 138");
    host.docker(&[
        "run",
        "-d",
        "--name",
        "deaf",
        "busybox",
        "sh",
        "-c",
        "trap : USR1; echo up; while :; do sleep 0.1; done",
    ])
    .ok();
    host.wait_for_log("deaf", "up");
    host.docker(&["kill", "-s", "USR1", "deaf"]).ok();
    assert_eq!(state(&host, "deaf"), "running 0");
}

#[test]
fn a_forced_removal_that_fails_changes_nothing_and_one_that_is_cut_short_is_finished() {
    let (_world, mut host) = started();
    let run = ["run", "-d", "--restart", "always", "-v", "/data", "--name", "kept", "busybox", "sleep", "1000"];
    let id = host.docker(&run).ok();
    let started = format!("/run/berth/containers/{id}/started.json");
    host.sh(&format!("mv {started} /run/aside && echo nonsense > {started}")).ok();
    let refused = host.docker(&["rm", "-f", "-v", "kept"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""), "{refused:?}");
    assert!(refused.stderr.contains("started.json"), "{refused:?}");
    host.sh(&format!("mv /run/aside {started}")).ok();
    assert_eq!(state(&host, "kept"), "running 0");
    host.kill_berthd();
    host.start_berthd();
    assert_eq!(state(&host, "kept"), "running 0");
    assert_eq!(host.docker(&["volume", "ls", "-q"]).ok().lines().count(), 1);
    // Nor is it when it can't be stored; and its policy is what it was.
    let database = rusqlite::Connection::open(host.directory().join("lib/berth/engine.db")).expect("a database");
    let full =
        "CREATE TRIGGER full BEFORE INSERT ON containers WHEN NEW.record ->> '$.container.state.removal_asked' = 1
                BEGIN SELECT RAISE(ABORT, 'there is no room'); END";
    database.execute_batch(full).expect("a trigger");
    let refused = host.docker(&["rm", "-f", "-v", "kept"]).fails_with(1);
    assert!(refused.contains("there is no room"), "{refused}");
    database.execute_batch("DROP TRIGGER full").expect("no trigger");
    host.sh("pkill -KILL -xf 'sleep 1000'").ok();
    host.wait_for_events("kept", "start", 1);
    assert_eq!(state(&host, "kept"), "running 0");

    // It is killed, but its end isn't told: the monitor that tells it stands still, and berthd dies over it.
    host.sh("kill -STOP $(pidof berth-monitor)").ok();
    let mut remove = host.docker_command();
    let mut remove = remove.args(["rm", "-f", "-v", "kept"]).stderr(Stdio::null()).spawn().expect("docker");
    host.wait_for_events("kept", "kill", 1);
    host.kill_berthd();
    remove.wait().expect("docker ends");
    // That keeps nobody else waiting.
    host.start_berthd();
    host.docker(&["run", "--rm", "--network", "none", "busybox", "true"]).ok();
    assert_eq!(state(&host, "kept"), "running 0");
    host.sh("kill -CONT $(pidof berth-monitor)").ok();
    host.wait_for_events("kept", "destroy", 1);
    assert_eq!(host.docker(&["ps", "-aq"]).ok(), "");
    assert_eq!(host.docker(&["volume", "ls", "-q"]).ok(), "");
    assert_eq!(host.sh("pgrep -xf 'sleep 1000'").stdout, "");

    // It is only recorded that it is to be killed.
    host.docker(&run).ok();
    host.kill_berthd();
    let asked = "UPDATE containers SET record = json_set(record, '$.container.state.removal_asked', json('true'),
                 '$.container.state.stopped_by_user', json('true'))";
    database.execute_batch(asked).expect("a record");
    host.start_berthd();
    host.wait_for_events("kept", "destroy", 1);
    assert_eq!(host.docker(&["ps", "-aq"]).ok(), "");
    // The mark says nothing of volumes here: they stay.
    assert_eq!(host.docker(&["volume", "ls", "-q"]).ok().lines().count(), 1);
}

#[test]
fn what_cannot_be_deleted_keeps_no_berthd_from_starting() {
    let (_world, mut host) = started();
    let id = host
        .docker(&["run", "-d", "--name", "kept", "busybox", "sh", "-c", "echo > /held; echo written; sleep 1000"])
        .ok();
    // As a container with CAP_LINUX_IMMUTABLE can.
    let immutable = |host: &Host, change: &str, root: &str| {
        host.sh(&format!("chattr {change} $(find {root} -name held) /var/lib/berth/containers/{id}/hosts"))
    };
    host.wait_for_log("kept", "written");
    immutable(&host, "+i", &format!("/var/lib/berth/images/snapshots/{id}")).ok();
    host.docker(&["rm", "-f", "kept"]).ok();
    host.wait_for_daemon_lines("berthd", "deleting what is left of a container", 2);
    host.kill_berthd();
    host.start_berthd();
    host.wait_for_daemon_log("berthd", "what belongs to nothing stays");
    host.wait_for_daemon_log("berthd", "what belongs to no container stays");
    host.docker(&["run", "--rm", "busybox", "true"]).ok();

    host.kill_berthd();
    immutable(&host, "-i", "/var/lib/berth/images/tmp").ok();
    host.start_berthd();
    host.docker(&["run", "--rm", "busybox", "true"]).ok();
    assert_eq!(host.sh(&format!("find /var/lib/berth -name held -o -name {id}")).ok(), "");
}

#[test]
fn an_end_that_nobody_sees_is_not_waited_for_forever() {
    let (_world, host) = started();
    host.docker(&["run", "-d", "--name", "own", "busybox", "sleep", "1000"]).ok();
    host.docker(&["run", "-d", "--pid", "host", "--name", "shares", "busybox", "sleep", "1000"]).ok();
    host.signal("berth-monitor", Signal::SIGSTOP);
    let ask = |name: &str, signal: &str| {
        let mut request = host.command("curl");
        request.args(["-s", "-m", "60", "-w", "%{http_code}", "--unix-socket", SOCKET, "-X", "POST"]);
        Outcome::of(request.arg(format!("http://localhost/containers/{name}/kill?signal={signal}"))).ok()
    };
    std::thread::scope(|scope| {
        let killed = scope.spawn(|| ask("own", "KILL"));
        // A program might have begun to handle another signal.
        assert_eq!(ask("shares", "USR1"), "204");
        let refused = r#"{"message":"cannot kill container: own: tried to kill container, but did not receive an exit event"}500"#;
        assert_eq!(killed.join().expect("a reply"), refused);
    });
    for name in ["own", "shares"] {
        assert_eq!(state(&host, name), "running 0");
    }
    host.signal("berth-monitor", Signal::SIGCONT);
    assert_eq!(host.docker(&["wait", "own", "shares"]).ok(), "137\n138");
}
