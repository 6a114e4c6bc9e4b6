//! Streams of processes as all kinds of clients take them: framed or not, both ways over any connection, to the last byte.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    process::Stdio,
    time::Duration,
};

use berth_tests::{Host, started, until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tungstenite::Message;

const SOCKET: &str = "/run/berth/berth.sock";

fn connect(host: &Host) -> UnixStream {
    UnixStream::connect(host.directory().join("run/berth/berth.sock")).expect("berthd")
}

/// Sends bytes, and no more after that; all that comes back, head included.
fn sent(host: &Host, bytes: &str) -> String {
    let mut stream = connect(host);
    stream.write_all(bytes.as_bytes()).expect("sent");
    stream.shutdown(Shutdown::Write).expect("half closed");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply");
    reply
}

fn post(path: &str, headers: &str, body: &str) -> String {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    format!("POST {path} HTTP/1.1\r\nHost: x\r\n{headers}{kind}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn created(host: &Host, container: &str, exec: Value) -> String {
    let reply = host.http(SOCKET, "POST", &format!("/containers/{container}/exec"), Some(&exec.to_string()));
    assert_eq!(reply.0, 201, "{}", reply.1);
    let reply: Value = serde_json::from_str(&reply.1).expect("JSON");
    reply["Id"].as_str().expect("an id").to_owned()
}

fn framed(text: &str) -> String {
    format!("\u{1}\0\0\0\0\0\0{}{text}", char::from(u8::try_from(text.len()).expect("a short text")))
}

#[test]
fn who_sends_more_than_is_read_gets_the_rest_all_the_same() {
    let (_world, host) = started();
    host.docker(&["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).ok();
    host.docker(&["create", "-i", "--name", "begun", "busybox", "head", "-c", "5"]).ok();
    let berth = berth_tests::world::binary("berth");
    let berth = berth.display();
    let flood = |command: &str| {
        let script = format!(
            "export DOCKER_HOST=unix://{SOCKET}; head -c 20000000 /dev/zero | {{ {command} 2>&1; echo \"=$?\"; }} | tr '\\0' 0"
        );
        host.sh(&script).ok()
    };
    for client in ["docker", &berth.to_string()] {
        for _ in 0..3 {
            assert_eq!(flood(&format!("{client} run -i --rm busybox head -c 5")), "00000=0");
            assert_eq!(flood(&format!("{client} exec -i web head -c 5")), "00000=0");
            assert_eq!(flood(&format!("{client} start -ai begun")), "00000=0");
            let absent = flood(&format!("{client} exec -i web nonesuch"));
            assert!(absent.contains("executable file not found") && absent.ends_with("=127"), "{absent}");
            let absent = flood(&format!("{client} run -i --rm busybox nonesuch"));
            assert!(absent.contains("executable file not found") && absent.ends_with("=127"), "{absent}");
        }
    }
    // A client whose own output nobody reads any more ends as the container does.
    let script = format!("{{ {berth} run --rm busybox sh -c 'seq 1 300000; exit 3'; echo \"=$?\" >&2; }} | head -n 1");
    let left = host.sh(&script);
    assert_eq!((left.stdout.as_str(), left.stderr.as_str()), ("1\n", "=3\n"));
    let script = format!("{{ {berth} exec web sh -c 'seq 1 300000; exit 4'; echo \"=$?\" >&2; }} | head -n 1");
    let left = host.sh(&script);
    assert_eq!((left.stdout.as_str(), left.stderr.as_str()), ("1\n", "=4\n"));
}

#[test]
fn an_exec_is_framed_as_its_start_says() {
    let (_world, host) = started();
    host.docker(&["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).ok();
    let run = |has_terminal: bool, start: &str| {
        let exec = json!({"Cmd": ["printf", "hi"], "AttachStdout": true, "AttachStderr": true, "Tty": has_terminal});
        let id = created(&host, "web", exec);
        let (status, output) = host.http(SOCKET, "POST", &format!("/exec/{id}/start"), Some(start));
        assert_eq!(status, 200);
        output
    };
    assert_eq!(run(false, r#"{"Tty": false}"#), framed("hi"));
    assert_eq!(run(false, "{}"), framed("hi"));
    assert_eq!(run(false, r#"{"Tty": true}"#), "hi");
    assert_eq!(run(true, r#"{"Tty": true}"#), "hi");
    assert_eq!(run(true, r#"{"Tty": false}"#), framed("hi"));

    // Another size is waited for, however early it is asked for; what has ended has none.
    let exec =
        json!({"Cmd": ["sh", "-c", "until stty size | grep '11 22'; do :; done"], "AttachStdout": true, "Tty": true});
    let id = created(&host, "web", exec);
    std::thread::scope(|scope| {
        let resize = || host.http(SOCKET, "POST", &format!("/exec/{id}/resize?h=11&w=22"), None).0;
        let early = scope.spawn(resize);
        let output = host.http(SOCKET, "POST", &format!("/exec/{id}/start"), Some(r#"{"Tty": true}"#)).1;
        assert_eq!(output, "11 22\r\n");
        assert_eq!(early.join().expect("a reply"), 200);
        assert_eq!(resize(), 409);
    });
    // So is each further one, of which the program is told.
    let program = "trap 'stty size' WINCH; echo ready; until stty size | grep -q '^55'; do sleep 0.1; done";
    let exec = json!({"Cmd": ["sh", "-c", program], "AttachStdout": true, "Tty": true});
    let id = created(&host, "web", exec);
    let path = format!("/exec/{id}/start");
    let mut shown = connect(&host);
    shown.write_all(post(&path, "Connection: close\r\n", r#"{"Tty": true}"#).as_bytes()).expect("sent");
    shown.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    let mut shown = BufReader::new(shown).lines().map(|line| line.expect("a line"));
    let mut shows = |text: &str| assert!(shown.any(|line| line == text), "{text} isn't shown");
    shows("ready");
    for (rows, columns) in [(33, 101), (34, 77), (55, 66)] {
        let path = format!("/exec/{id}/resize?h={rows}&w={columns}");
        assert_eq!(host.http(SOCKET, "POST", &path, None).0, 200);
        shows(&format!("{rows} {columns}"));
    }
    assert!(!shown.any(|line| !line.is_empty()), "it has ended");

    // Refusals when it is described.
    let refused_as = |name: &str, body: Value| {
        let (status, reply) = host.http(SOCKET, "POST", &format!("/containers/{name}/exec"), Some(&body.to_string()));
        (status, serde_json::from_str::<Value>(&reply).expect("JSON")["message"].as_str().expect("a text").to_owned())
    };
    let refused = |body| refused_as("web", body);
    let unknown = (400, "unable to find user nosuch: no matching entries in passwd file".to_owned());
    assert_eq!(refused(json!({"Cmd": ["true"], "User": "nosuch"})), unknown);
    host.docker(&["pause", "web"]).ok();
    let id = host.docker(&["inspect", "-f", "{{.Id}}", "web"]).ok();
    for name in ["web", &id[..12], &id] {
        let paused = (409, format!("Container {name} is paused, unpause the container before exec"));
        assert_eq!(refused_as(name, json!({"Cmd": ["true"]})), paused);
    }
    host.docker(&["unpause", "web"]).ok();
}

#[test]
fn streams_go_both_ways_over_any_connection() {
    let (_world, host) = started();
    host.docker(&["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).ok();
    let switched = "HTTP/1.1 101 UPGRADED\r\n";
    for (headers, status) in [
        ("Upgrade: tcp\r\nConnection: Upgrade\r\n", switched),
        ("Upgrade: tcp\r\n", switched),
        ("Upgrade: whatever\r\n", switched),
        ("", "HTTP/1.1 200 OK\r\n"),
    ] {
        let exec = json!({"Cmd": ["cat"], "AttachStdin": true, "AttachStdout": true});
        let id = created(&host, "web", exec);
        let reply = sent(&host, &(post(&format!("/exec/{id}/start"), headers, "{}") + "typed"));
        let (head, output) = reply.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with(status.trim_end()), "{headers:?}: {head}");
        assert_eq!(output, framed("typed"), "{headers:?}");
        let name = format!("c{}", headers.len());
        host.docker(&["create", "-i", "--name", &name, "busybox", "cat"]).ok();
        let path = format!("/containers/{name}/attach?stream=1&stdin=1&stdout=1");
        let reply = std::thread::scope(|scope| {
            let reply = scope.spawn(|| sent(&host, &(post(&path, headers, "") + "typed")));
            host.wait_for_events(&name, "attach", 1);
            host.docker(&["start", &name]).ok();
            reply.join().expect("a reply")
        });
        assert!(reply.starts_with(status) && reply.ends_with(&format!("\r\n\r\n{}", framed("typed"))), "{reply}");
    }
    // Nothing more is sent, and everything is answered: also where there is no stream.
    let head = sent(&host, &post("/containers/web/attach?stream=0&stdout=1", "Upgrade: tcp\r\n", ""));
    assert!(head.starts_with(switched) && head.ends_with("\r\n\r\n"), "{head}");
    host.docker(&["run", "--name", "said", "busybox", "echo", "before"]).ok();
    let log = sent(&host, &post("/containers/said/attach?logs=1&stream=0&stdout=1", "", ""));
    assert!(log.starts_with("HTTP/1.1 200 OK\r\n") && log.ends_with(&framed("before\n")), "{log}");
    let list = sent(&host, "GET /containers/json HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(list.starts_with("HTTP/1.1 200 OK\r\n") && list.contains("/web"), "{list}");

    // What isn't there is not there, whatever else is wrong.
    for (method, path) in [
        ("POST", "/containers/nonesuch/attach?stream=perhaps&detachKeys=no"),
        ("GET", "/containers/nonesuch/attach/ws?stream=perhaps"),
        ("POST", "/containers/nonesuch/exec"),
        ("POST", "/exec/nonesuch/start"),
    ] {
        assert_eq!(host.http(SOCKET, method, path, Some("{not JSON")).0, 404, "{method} {path}");
    }
}

#[test]
fn browsers_attach_over_a_websocket() {
    let (_world, host) = started();
    let attach_to = |name: &str, streams: &str| {
        let request = format!("ws://localhost/containers/{name}/attach/ws?logs=1&{streams}");
        tungstenite::client(request, connect(&host)).expect("a WebSocket")
    };
    let attach = |name: &str| attach_to(name, "stream=1&stdin=1&stdout=1&stderr=1");
    let read = |socket: &mut tungstenite::WebSocket<UnixStream>, wanted: &str| {
        let mut said = String::new();
        while !said.contains(wanted) {
            match socket.read() {
                Ok(Message::Binary(bytes)) => said.push_str(&String::from_utf8_lossy(&bytes)),
                other => panic!("{other:?} after {said:?}"),
            }
        }
        said
    };
    let program = "echo ready; echo oops >&2; read line; echo \"got $line\"; exit 6";
    host.docker(&["run", "-d", "-i", "--name", "plain", "busybox", "sh", "-c", program]).ok();
    host.wait_for_log("plain", "ready");
    let (mut socket, reply) = attach("plain");
    assert_eq!(reply.status(), 101);
    let said = read(&mut socket, "oops\n");
    assert!(said.contains("ready\n") && !said.contains('\0'), "{said:?}");
    socket.send(Message::text("a line\n")).expect("sent");
    assert_eq!(read(&mut socket, "\n"), "got a line\n");
    assert!(matches!(socket.read(), Ok(Message::Close(_))), "it ends with the process");
    assert_eq!(host.docker(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "plain"]).ok(), "exited 6");
    // Only what is asked for is sent, and taken.
    for (streams, all) in [("stdout=1", "ready\ngot a line\n"), ("stderr=1", "oops\n")] {
        let (mut socket, _) = attach_to("plain", streams);
        let mut said = String::new();
        while let Ok(Message::Binary(bytes)) = socket.read() {
            said.push_str(&String::from_utf8_lossy(&bytes));
        }
        assert_eq!(said, all, "{streams}");
    }
    // Older versions name no streams, and mean all.
    host.docker(&["run", "-d", "-i", "--name", "older", "busybox", "sh", "-c", program]).ok();
    host.wait_for_log("older", "ready");
    let request = "ws://localhost/v1.41/containers/older/attach/ws?logs=1&stream=1";
    let (mut socket, _) = tungstenite::client(request, connect(&host)).expect("a WebSocket");
    read(&mut socket, "oops\n");
    socket.send(Message::text("a line\n")).expect("sent");
    assert_eq!(read(&mut socket, "\n"), "got a line\n");
    host.docker(&["run", "-d", "-i", "--name", "one-line", "busybox", "sh", "-c", program]).ok();
    host.wait_for_log("one-line", "ready");
    let (mut deaf, _) = attach_to("one-line", "stream=1&stdout=1");
    deaf.send(Message::text("not this line\n")).expect("sent");
    drop(deaf);
    let (mut socket, _) = attach_to("one-line", "stream=1&stdin=1&stdout=1");
    socket.send(Message::text("this line\n")).expect("sent");
    assert!(read(&mut socket, "got").ends_with("got this line\n"));

    host.docker(&["run", "-d", "-it", "--name", "shell", "busybox"]).ok();
    let (mut socket, _) = attach("shell");
    socket.send(Message::binary("echo $((6*7))\n")).expect("sent");
    read(&mut socket, "42\r\n");
    // The keys that detach leave the container alone.
    socket.send(Message::binary("\x10\x11")).expect("sent");
    loop {
        match socket.read() {
            Ok(Message::Binary(_)) => {}
            Ok(Message::Close(_)) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(host.docker(&["inspect", "-f", "{{.State.Running}}", "shell"]).ok(), "true");
    // What is too long isn't taken, and the client is told why.
    let (mut socket, _) = attach("shell");
    let long = tungstenite::Bytes::from(vec![b'x'; (16 << 20) + 1]);
    socket.send(Message::binary(long)).ok();
    let code = loop {
        match socket.read() {
            Ok(Message::Binary(_)) => {}
            Ok(Message::Close(Some(frame))) => break u16::from(frame.code),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code, 1009, "message too big (RFC 6455)");
    let (status, reply) = host.http(SOCKET, "GET", "/containers/shell/attach/ws?stream=1", None);
    assert!(status == 400 && reply.contains("Upgrade: websocket"), "{reply}");
}

#[test]
fn an_exec_that_meets_its_containers_end_says_that_it_is_not_running() {
    let (_world, host) = started();
    let mut met = 0;
    for round in 0..8 {
        let name = format!("e{round}");
        let id = host.docker(&["run", "-d", "--name", &name, "busybox", "sleep", "1000"]).ok();
        let mut execs: Vec<_> = (0..4)
            .map(|_| {
                let script = format!(
                    "export DOCKER_HOST=unix://{SOCKET}; for n in 1 2 3 4 5 6; do docker exec {name} true || exit $?; done"
                );
                let mut execs = host.command("sh");
                execs.args(["-c", &script]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("sh")
            })
            .collect();
        host.wait_for_events(&name, "exec_start", 1 + round % 3);
        host.docker(&["kill", &name]).ok();
        for exec in execs.drain(..) {
            let exec = exec.wait_with_output().expect("it ends");
            let (output, errors) = (String::from_utf8_lossy(&exec.stdout), String::from_utf8_lossy(&exec.stderr));
            assert_eq!(output, "");
            match exec.status.code() {
                // It ran, to its end or to that of its container.
                Some(0 | 137) => assert_eq!(errors, ""),
                Some(1) => {
                    met += 1;
                    // The client's own words for a start that is refused.
                    let start = "unable to upgrade to tcp, received 409\n";
                    let create = format!("Error response from daemon: container {id} is not running\n");
                    assert!(errors == start || errors == create, "{errors}");
                }
                code => panic!("{code:?} {errors}"),
            }
        }
        host.docker(&["rm", &name]).ok();
    }
    assert!(met > 0, "no exec met an end");
}

#[test]
fn the_start_of_an_exec_that_meets_an_end_is_refused_as_one_that_comes_after_it() {
    let (_world, host) = started();
    let container = host.docker(&["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).ok();
    let start = || {
        let id = created(&host, "web", json!({"Cmd": ["true"], "AttachStdout": true}));
        move |host: &Host, detach: bool| {
            let body = json!({"Detach": detach}).to_string();
            host.http(SOCKET, "POST", &format!("/exec/{id}/start"), Some(&body))
        }
    };
    let (meets, meets_detached, after) = (start(), start(), start());
    // Its process ends, and its monitor doesn't notice.
    host.signal("berth-monitor", Signal::SIGSTOP);
    let pid = host.docker(&["inspect", "-f", "{{.State.Pid}}", "web"]).ok();
    host.sh(&format!("kill -9 {pid}")).ok();
    until("its end", || host.sh(&format!("grep -q '^State:.Z' /proc/{pid}/status")).code == 0);
    let refused = (409, format!(r#"{{"message":"container {container} is not running"}}"#));
    assert_eq!(meets(&host, false), refused);
    assert_eq!(meets_detached(&host, true), refused);
    host.signal("berth-monitor", Signal::SIGCONT);
    host.docker(&["wait", "web"]).ok();
    assert_eq!(after(&host, false), refused);
}

/// How many descriptors berthd and the monitors have open.
fn open_descriptors(host: &Host) -> usize {
    let pids = [host.processes("berthd"), host.processes("berth-monitor")].concat();
    pids.into_iter().map(|pid| std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)).sum()
}

#[test]
fn clients_that_leave_are_let_go_also_by_a_process_that_says_nothing() {
    let (_world, host) = started();
    host.docker(&["create", "--name", "new", "busybox", "true"]).ok();
    host.docker(&["run", "-d", "-i", "--name", "quiet", "busybox", "sleep", "1000"]).ok();
    host.docker(&["run", "-d", "--name", "loud", "busybox", "sh", "-c", "while :; do date; usleep 1000; done"]).ok();
    host.wait_for_log("loud", ":");
    let before = open_descriptors(&host);
    for name in ["new", "quiet", "loud"] {
        for _ in 0..10 {
            let path = format!("/containers/{name}/attach?stream=1&stdin=1&stdout=1&stderr=1");
            let mut client = connect(&host);
            client.write_all(post(&path, "Upgrade: tcp\r\nConnection: Upgrade\r\n", "").as_bytes()).expect("sent");
            let mut head = [0; 12];
            client.read_exact(&mut head).expect("a reply");
            assert_eq!(&head, b"HTTP/1.1 101");
            for says_so in [true, false] {
                let request = format!("ws://localhost/containers/{name}/attach/ws?stream=1&stdin=1&stdout=1");
                let (mut client, _) = tungstenite::client(request, connect(&host)).expect("a WebSocket");
                if says_so {
                    client.send(Message::Close(None)).expect("sent");
                }
            }
        }
    }
    for _ in 0..200 {
        if open_descriptors(&host) <= before + 10 {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{before} descriptors before, {} after", open_descriptors(&host));
}
