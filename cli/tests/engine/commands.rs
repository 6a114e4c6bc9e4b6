//! The commands against an engine that says what each test tells it to.

use std::io::Write;
use std::process::Stdio;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::fake_engine::{Answer, FakeEngine, Outcome, Request, frame};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn json(text: &str) -> Answer {
    Answer::Reply(200, text.as_bytes().to_vec())
}

fn refused(status: u16, message: &str) -> Answer {
    Answer::Reply(status, serde_json::json!({ "message": message }).to_string().into_bytes())
}

/// An engine with one container, whose attached streams behave as told, and which ends with status 7.
fn engine_with(attached: impl Fn() -> Answer + Send + Sync + 'static) -> FakeEngine {
    FakeEngine::new(move |request| match request.path.as_str() {
        "containers/create" => Answer::Reply(201, br#"{"Id":"c0ffee","Warnings":["one"]}"#.to_vec()),
        "containers/c0ffee/attach" => attached(),
        "containers/c0ffee/wait" => json(r#"{"StatusCode":7}"#),
        "containers/c0ffee/start" | "containers/c0ffee/kill" => Answer::Reply(204, Vec::new()),
        _ => refused(404, "page not found"),
    })
}

fn paths(requests: &[Request]) -> Vec<&str> {
    requests.iter().map(|request| request.path.as_str()).collect()
}

#[test]
fn what_takes_its_time_is_asked_for_all_at_once_and_told_in_order() {
    for (method, command) in [("POST", "stop"), ("POST", "restart"), ("POST", "kill"), ("DELETE", "rm")] {
        let asked = (Mutex::new(0), Condvar::new());
        let engine = FakeEngine::new(move |request| {
            let mut count = asked.0.lock().expect("nobody panicked");
            *count += 1;
            asked.1.notify_all();
            // None is answered before all are asked.
            let waited = asked.1.wait_timeout_while(count, Duration::from_secs(60), |count| *count < 3);
            match waited.expect("nobody panicked").1.timed_out() || request.method != method {
                true => refused(500, "one after the other"),
                false => Answer::Reply(204, Vec::new()),
            }
        });
        let outcome = engine.run(&[command, "c", "a", "b"]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "c\na\nb\n"), "{command}: {outcome:?}");
    }
}

#[test]
fn run_shows_both_streams_and_ends_as_the_container_does() {
    let engine = engine_with(|| Answer::Output([frame(1, b"out\n"), frame(2, b"err\n")].concat()));
    let outcome = engine.run(&["run", "--rm", "busybox", "true"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (7, "out\n"), "{outcome:?}");
    assert_eq!(outcome.stderr, "WARNING: one\nerr\n");
    let requests = engine.take_requests();
    assert_eq!(requests.len(), 4, "no needless round trip: {requests:?}");
    let paths = paths(&requests);
    assert_eq!((paths[0], paths[3]), ("containers/create", "containers/c0ffee/start"), "tied to it before the start");
    let wait = requests.iter().find(|request| request.path.ends_with("/wait")).unwrap();
    assert_eq!(wait.query, "condition=removed");
}

#[test]
fn detached_it_prints_the_id() {
    let engine = engine_with(|| refused(500, "nobody attaches"));
    let outcome = engine.run(&["run", "-d", "busybox"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "c0ffee\n"), "{outcome:?}");
    assert_eq!(paths(&engine.take_requests()), ["containers/create", "containers/c0ffee/start"]);
}

#[test]
fn an_image_that_is_missing_is_pulled_with_the_docker_clients_password() {
    let config = tempfile::tempdir().unwrap();
    // ann:secret
    let auths = r#"{"auths":{"registry.example:5000":{"auth":"YW5uOnNlY3JldA=="}}}"#;
    std::fs::write(config.path().join("config.json"), auths).unwrap();
    let created = std::sync::atomic::AtomicUsize::new(0);
    let engine = FakeEngine::new(move |request| match request.path.as_str() {
        "containers/create" if created.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 => {
            refused(404, "No such image: registry.example:5000/app:latest")
        }
        "containers/create" => Answer::Reply(201, br#"{"Id":"c0ffee","Warnings":[]}"#.to_vec()),
        "images/create" => json(concat!(
            r#"{"status":"Pulling from app","id":"latest"}"#,
            "\r\n",
            r#"{"status":"Downloading","progressDetail":{"current":1,"total":2},"id":"a1"}"#,
            "\r\n",
            r#"{"status":"Pull complete","progressDetail":{},"id":"a1"}"#,
            "\r\n",
            r#"{"status":"Digest: sha256:00"}"#,
            "\r\n",
        )),
        _ => Answer::Reply(204, Vec::new()),
    });
    let run = |arguments: &[&str]| {
        Outcome::from(engine.berth(arguments).env("DOCKER_CONFIG", config.path()).output().unwrap())
    };
    let outcome = run(&["run", "-d", "registry.example:5000/app"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "c0ffee\n"), "{outcome:?}");
    assert_eq!(
        outcome.stderr,
        "Unable to find image 'registry.example:5000/app:latest' locally\nlatest: Pulling from app\n\
         a1: Pull complete\nDigest: sha256:00\n"
    );
    let requests = engine.take_requests();
    assert_eq!(
        paths(&requests),
        ["containers/create", "images/create", "containers/create", "containers/c0ffee/start"]
    );
    assert_eq!(requests[1].query, "fromImage=registry%2Eexample%3A5000%2Fapp&tag=latest");
    // {"password":"secret","username":"ann"}
    let ann = "eyJwYXNzd29yZCI6InNlY3JldCIsInVzZXJuYW1lIjoiYW5uIn0=";
    assert_eq!(requests[1].registry_auth.as_deref(), Some(ann));
    assert_eq!(run(&["run", "-d", "--pull", "never", "x"]).code, 0, "it is there now");
    let outcome = run(&["pull", "-q", "registry.example:5000/app"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "registry.example:5000/app:latest\n"), "{outcome:?}");
}

#[test]
fn the_end_of_a_pull_is_said_below_its_bars() {
    let engine = FakeEngine::new(|_| {
        json(concat!(
            r#"{"status":"Pulling from app","id":"1"}"#,
            "\r\n",
            r#"{"status":"Waiting","id":"a1"}"#,
            "\r\n",
            r#"{"status":"Downloading","progressDetail":{"current":1,"total":2},"id":"b2"}"#,
            "\r\n",
            r#"{"status":"Pull complete","progressDetail":{},"id":"b2"}"#,
            "\r\n",
            r#"{"status":"Pull complete","progressDetail":{},"id":"a1"}"#,
            "\r\n",
            r#"{"status":"Digest: sha256:00"}"#,
            "\r\n",
            r#"{"status":"Status: Downloaded newer image"}"#,
            "\r\n",
        ))
    });
    let line = format!("stty rows 24 cols 80; {} pull app:1", env!("CARGO_BIN_EXE_berth"));
    let mut script = std::process::Command::new("script");
    script.args(["-qefc", &line, "/dev/null"]).env("BERTH_HOST", engine.socket());
    let outcome = Outcome::from(script.stdin(Stdio::null()).output().unwrap());
    let (bars, end) = outcome.stdout.split_once("Digest: ").expect("it was shown");
    assert!(bars.contains("a1: Pull complete") && bars.contains("b2: Pull complete"), "{outcome:?}");
    assert!(end.ends_with("Status: Downloaded newer image\r\ndocker.io/library/app:1\r\n"), "{outcome:?}");
    assert!(!end.contains("Pull complete"), "no bar is drawn below: {outcome:?}");
}

#[test]
fn the_api_is_carried_over_the_standard_streams() {
    let engine = FakeEngine::new(|request| json(&format!("{:?}", request.path)));
    let mut berth = engine.berth(&["system", "dial-stdio"]);
    let mut child = berth.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"GET /v1.44/info HTTP/1.1\r\n\r\nGET /v1.44/version HTTP/1.1\r\n\r\n").unwrap();
    drop(input);
    let outcome = Outcome::from(child.wait_with_output().unwrap());
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.stdout.contains("\"info\"") && outcome.stdout.ends_with("\"version\""), "{outcome:?}");
    let outcome = engine.run(&["-H", "/nowhere.sock", "system", "dial-stdio"]);
    assert!(
        outcome.code == 1 && outcome.stderr.starts_with("berth: cannot reach berthd at /nowhere.sock"),
        "{outcome:?}"
    );
}

#[test]
fn what_may_not_be_pulled_is_refused_as_it_is() {
    let engine = FakeEngine::new(|_| refused(404, "No such image: x:latest"));
    let outcome = engine.run(&["run", "--pull", "never", "x"]);
    assert_eq!(outcome.code, 125, "{outcome:?}");
    assert!(outcome.stderr.contains("No such image: x:latest"), "{outcome:?}");
    assert_eq!(paths(&engine.take_requests()), ["containers/create"]);
}

#[test]
fn input_reaches_the_container_to_its_end() {
    let engine = engine_with(|| Answer::Echo);
    let mut berth = engine.berth(&["run", "-i", "busybox", "cat"]);
    let mut child = berth.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let input = vec![b'x'; 200_000];
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let outcome = Outcome::from(child.wait_with_output().unwrap());
    assert_eq!((outcome.code, outcome.stdout.len()), (7, input.len()), "{}", outcome.stderr);
}

#[test]
fn signals_are_passed_on() {
    let engine = engine_with(|| Answer::OpenUntil("/kill"));
    let child = engine.berth(&["run", "busybox"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    engine.wait_for("/start");
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    let outcome = Outcome::from(child.wait_with_output().unwrap());
    assert_eq!(outcome.code, 7, "{outcome:?}");
    let requests = engine.take_requests();
    let kill = requests.iter().find(|request| request.path.ends_with("/kill")).unwrap();
    assert_eq!(kill.query, "signal=SIGTERM");
}

#[test]
fn the_keys_leave_a_terminal_as_it_was() {
    let engine = engine_with(|| Answer::OpenUntil("never"));
    let berth = env!("CARGO_BIN_EXE_berth");
    let line = format!("stty rows 33 cols 99; {berth} run -it busybox sh; echo left $?; stty -a");
    // script(1) gives the line a terminal, and passes what we write on to it as typed keys.
    let mut script = std::process::Command::new("script");
    script.args(["-qefc", &line, "/dev/null"]).env("BERTH_HOST", engine.socket());
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // Asked for after the terminal has become raw: before that, Ctrl-Q would be the terminal's own.
    engine.wait_for("/resize");
    child.stdin.as_mut().unwrap().write_all(b"echo hi\n\x10\x11").unwrap();
    let outcome = Outcome::from(child.wait_with_output().unwrap());
    assert!(outcome.stdout.contains("left 0"), "{outcome:?}");
    assert!(outcome.stdout.contains(" icanon") && outcome.stdout.contains(" echo "), "as it was: {outcome:?}");
    let requests = engine.take_requests();
    let resize = requests.iter().find(|request| request.path.ends_with("/resize")).unwrap();
    assert_eq!(resize.query, "h=33&w=99");
}

#[test]
fn statuses_of_run_say_who_failed() {
    for (create, start, code) in [
        ("", "exec: \"nope\": executable file not found in $PATH", 127),
        ("", "exec: \"/etc\": permission denied", 126),
        ("", "port is already allocated", 125),
        ("No such container: nope", "", 125),
    ] {
        let engine = FakeEngine::new(move |request| match request.path.as_str() {
            "containers/create" if create.is_empty() => Answer::Reply(201, br#"{"Id":"c0ffee"}"#.to_vec()),
            "containers/create" => refused(404, create),
            "containers/c0ffee/attach" => Answer::OpenUntil("/start"),
            "containers/c0ffee/wait" => json(r#"{"StatusCode":0}"#),
            _ => refused(400, start),
        });
        let outcome = engine.run(&["run", "image", "nope"]);
        assert_eq!(outcome.code, code, "{outcome:?}");
        let said = format!("berth: Error response from daemon: {create}{start}\n");
        assert!(outcome.stderr.starts_with(&said), "{outcome:?}");
    }
}

#[test]
fn a_wrong_flag_reaches_no_engine() {
    let engine = FakeEngine::new(|_| refused(500, "asked"));
    for (arguments, code, said) in [
        (
            &["run", "-m", "10x", "busybox"][..],
            125,
            "invalid argument \"10x\" for \"-m, --memory\" flag: invalid suffix: 'x'",
        ),
        (&["run", "-p", "99999:80", "busybox"], 125, "invalid hostPort: 99999"),
        (
            &["create", "--cpus", "x", "busybox"],
            125,
            "invalid argument \"x\" for \"--cpus\" flag: failed to parse x as a rational number",
        ),
        (&["run", "-it", "busybox"], 125, "the input device is not a TTY: leave out -t, or use a terminal"),
        (
            &["ps", "--filter", "x"],
            125,
            "invalid argument \"x\" for \"--filter\" flag: invalid filter: bad format (expected name=value)",
        ),
        (
            &["net", "create", "--subnet", "x", "lab"],
            1,
            "invalid argument \"x\" for \"--subnet\" flag: invalid CIDR address: x",
        ),
        (
            &["net", "create", "--label", "=x", "lab"],
            125,
            "invalid argument \"=x\" for \"--label\" flag: invalid label '=x': empty name",
        ),
        (
            &["exec", "-e", "=x", "web", "env"],
            125,
            "invalid argument \"=x\" for \"-e, --env\" flag: invalid environment variable: =x",
        ),
        (&["inspect", ""], 1, "invalid container name or ID: the name is empty"),
        (
            &["inspect", "--type", "pod", "x"],
            1,
            "\"pod\" is not a valid value for --type: use container, image, network or volume",
        ),
        (&["load", "-i", "/nope.tar"], 1, "open /nope.tar: No such file or directory (os error 2)"),
    ] {
        let outcome = engine.run(arguments);
        let said = format!("berth: {said}");
        assert_eq!((outcome.code, outcome.stderr.lines().next()), (code, Some(said.as_str())), "{arguments:?}");
    }
    assert!(engine.take_requests().is_empty());
}

#[test]
fn without_an_engine_it_says_what_to_do() {
    let engine = FakeEngine::new(|_| refused(500, "asked"));
    let socket = engine.directory().join("none.sock");
    let outcome = engine.run(&["-H", &format!("unix://{}", socket.display()), "ps"]);
    assert_eq!(outcome.code, 1);
    assert_eq!(
        outcome.stderr,
        format!(
            "berth: cannot reach berthd at {}: there is no such socket; start it with 'systemctl start berthd' or 'sudo berthd'\n",
            socket.display()
        )
    );
}

#[test]
fn each_target_is_tried_and_the_status_tells() {
    let engine = FakeEngine::new(|request| match request.path.as_str() {
        "containers/nope" => refused(404, "No such container: nope"),
        _ => Answer::Reply(204, Vec::new()),
    });
    let outcome = engine.run(&["rm", "-f", "a", "nope", "b"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "a\nb\n"), "forced, what is gone is gone");
    let outcome = engine.run(&["rm", "a", "nope", "b"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, "a\nb\n"));
    assert_eq!(outcome.stderr, "berth: Error response from daemon: No such container: nope\n");
}

#[test]
fn what_is_so_already_is_done() {
    let engine = FakeEngine::new(|request| match request.path.as_str() {
        "containers/c0ffee/json" | "containers/web/json" => json(r#"{"Id":"c0ffee","State":{"Running":true}}"#),
        "containers/c0ffee/attach" => Answer::Output(frame(1, b"said\n")),
        "containers/c0ffee/wait" => json(r#"{"StatusCode":7}"#),
        _ => Answer::Reply(304, Vec::new()),
    });
    for command in ["start", "stop"] {
        let outcome = engine.run(&[command, "web", "db"]);
        assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (0, "web\ndb\n", ""), "{command}");
    }
    let outcome = engine.run(&["start", "-a", "web"]);
    assert_eq!(
        (outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()),
        (7, "said\n", ""),
        "it is attached to"
    );
}

#[test]
fn exec_ends_as_the_command_does() {
    let engine = FakeEngine::new(|request| match request.path.as_str() {
        "containers/web/exec" => Answer::Reply(201, br#"{"Id":"e1"}"#.to_vec()),
        "exec/e1/start" => Answer::Output(frame(1, b"hi\n")),
        "exec/e1/json" => json(r#"{"Running":false,"ExitCode":3}"#),
        _ => refused(409, "container idle is not running"),
    });
    let outcome = engine.run(&["exec", "-e", "A=1", "web", "echo", "hi"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (3, "hi\n"), "{outcome:?}");
    let body = String::from_utf8(engine.take_requests()[0].body.clone()).unwrap();
    assert!(body.contains(r#""Env":["A=1"]"#) && body.contains(r#""Cmd":["echo","hi"]"#), "{body}");
    let outcome = engine.run(&["exec", "idle", "true"]);
    assert_eq!(
        (outcome.code, outcome.stderr.as_str()),
        (1, "berth: Error response from daemon: container idle is not running\n")
    );
}

#[test]
fn inspect_finds_whatever_has_the_name() {
    let engine = FakeEngine::new(|request| match request.path.as_str() {
        "containers/web/json" => json(r#"{"Id":"c1","NetworkSettings":{"IPAddress":"172.17.0.2","Unknown":1}}"#),
        "images/web/json" | "images/base/json" => json(r#"{"Id":"sha256:1"}"#),
        "networks/lab" => json(r#"{"Id":"n1"}"#),
        _ => refused(404, "No such thing"),
    });
    let outcome = engine.run(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "web"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "172.17.0.2\n"));
    let outcome = engine.run(&["inspect", "-f", "{{.Id}}", "web", "base", "lab"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "c1\nsha256:1\nn1\n"));
    let outcome = engine.run(&["inspect", "nope"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, "[]\n"));
    assert_eq!(outcome.stderr, "berth: No such object: nope\n");
    let outcome = engine.run(&["inspect", "-f", "{{.Nope}}", "web"]);
    assert_eq!(outcome.code, 1);
    assert!(outcome.stderr.starts_with("berth: template parsing error: "), "{outcome:?}");
}

#[test]
fn logs_are_divided_unless_there_was_a_terminal() {
    for (tty, sent, stdout, stderr) in [
        (false, [frame(1, b"out\n"), frame(2, b"err\n")].concat(), "out\n", "err\n"),
        (true, b"\x01raw\r\n".to_vec(), "\x01raw\r\n", ""),
    ] {
        let engine = FakeEngine::new(move |request| match request.path.as_str() {
            "containers/web/json" => json(&format!(r#"{{"Config":{{"Tty":{tty}}}}}"#)),
            _ => Answer::Reply(200, sent.clone()),
        });
        let outcome = engine.run(&["logs", "--tail", "5", "--since", "10", "web"]);
        assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (0, stdout, stderr));
        let query = engine.take_requests()[1].query.clone();
        assert!(query.contains("tail=5") && query.contains("since=10%2E000000000"), "{query}");
    }
}

#[test]
fn archives_are_sent_as_they_are() {
    let engine = FakeEngine::new(|request| match request.path.as_str() {
        "images/load" if request.body.is_empty() => json("{\"error\":\"it is no archive\"}\n"),
        "images/load" => json("{\"stream\":\"Loaded image: base:1\\n\"}\n"),
        _ => json("{\"status\":\"sha256:feed\"}\n"),
    });
    let archive = engine.directory().join("base.tar");
    std::fs::write(&archive, vec![7_u8; 600_000]).unwrap();
    let outcome = engine.run(&["load", "-i", "base.tar"]);
    assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (0, "Loaded image: base:1\n", ""));
    let outcome =
        engine.run(&["import", "-c", "CMD [\"/bin/sh\"]", "-c", "EXPOSE 80", "base.tar", "localhost:5000/base"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "sha256:feed\n"), "{outcome:?}");
    let requests = engine.take_requests();
    assert!(requests.iter().all(|request| request.body == vec![7_u8; 600_000]));
    assert_eq!(
        requests[1].query,
        "fromSrc=%2D&repo=localhost%3A5000%2Fbase&changes=CMD%20%5B%22%2Fbin%2Fsh%22%5D&changes=EXPOSE%2080"
    );
    let outcome = engine.run(&["load"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (1, "berth: it is no archive\n"));
}

#[test]
fn nobody_reading_is_no_panic() {
    let engine = FakeEngine::new(|_| json("[]"));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let outcome = Outcome::from(engine.berth(&["ps"]).stdout(writer).output().unwrap());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (141, ""));
}

#[test]
fn net_asks_the_netd_of_the_berthd_that_is_named() {
    let netd = FakeEngine::new(|_| json("[]"));
    let details = serde_json::json!({ "NetdSocket": netd.socket() });
    let version = serde_json::json!({ "Components": [{ "Name": "Engine", "Version": "1", "Details": details }] });
    let engine = FakeEngine::new(move |_| json(&version.to_string()));
    // A variable that is set to nothing isn't set.
    let outcome = Outcome::from(engine.berth(&["net", "ls", "-q"]).env("BERTH_NETD", "").output().unwrap());
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""), "{outcome:?}");
    assert_eq!(paths(&engine.take_requests()), ["version"]);
    assert_eq!(netd.take_requests().len(), 1);
    // Whoever names a netd means that one.
    let named = engine.berth(&["net", "ls", "-q"]).env("BERTH_NETD", netd.socket()).output().unwrap();
    assert!(named.status.success() && engine.take_requests().is_empty());
    let unknowing = FakeEngine::new(|_| json("{}"));
    let outcome = unknowing.run(&["net", "ls"]);
    let socket = unknowing.socket();
    let said = format!("berthd at {} doesn't say where its netd is: give netd's socket", socket.display());
    assert!(outcome.code == 1 && outcome.stderr.contains(&said), "{outcome:?}");
}
