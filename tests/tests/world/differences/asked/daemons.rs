//! How the daemons are told what to do, and what they answer.

use berth_tests::Host;
use serde_json::Value;

use super::{Question, SOCKET, ask_all, inspected};

pub(super) const ASKED: &[Question] = &[
    (
        &["`/etc/docker/daemon.json` isn't read", "SIGHUP reloads nothing: a restart does"],
        configuration_is_read_at_the_start,
    ),
    (&["no longer knows of it"], execs_outlive_berthd),
    (&["come in alphabetical order"], members_are_in_order),
    (&["takes a number or `all`"], unknown_values_are_refused),
];

#[test]
fn what_is_said_of_the_daemons_is_so() {
    ask_all(ASKED);
}

fn configuration_is_read_at_the_start(host: &mut Host) {
    let mirrors = |host: &Host| host.docker(&["info", "-f", "{{json .RegistryConfig.Mirrors}}"]).ok();
    host.sh("mkdir -p /etc/berth && echo 'registry-mirrors = [\"https://mirror.example\"]' > /etc/berth/berthd.toml")
        .ok();
    host.sh("kill -HUP $(pidof berthd)").ok();
    host.wait_for_daemon_log("berthd", "SIGHUP: ");
    assert_eq!(mirrors(host), "[]", "it was read anew");
    let pid = inspected(host, "{{.State.Pid}}", "web");
    host.kill_berthd();
    host.start_berthd();
    assert_eq!(mirrors(host), r#"["https://mirror.example/"]"#);
    assert_eq!(inspected(host, "{{.State.Pid}}", "web"), pid, "containers run on");
}

fn execs_outlive_berthd(host: &mut Host) {
    let body = r#"{"Cmd":["sleep","4712"]}"#;
    let (_, made) = host.http(SOCKET, "POST", "/containers/web/exec", Some(body));
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let exec = format!("/exec/{}", made["Id"].as_str().expect("an id"));
    assert_eq!(host.http(SOCKET, "POST", &format!("{exec}/start"), Some(r#"{"Detach":true}"#)).0, 200);
    assert_eq!(host.http(SOCKET, "GET", &format!("{exec}/json"), None).0, 200);
    host.kill_berthd();
    host.start_berthd();
    assert_eq!(host.http(SOCKET, "GET", &format!("{exec}/json"), None).0, 404);
    assert!(host.docker(&["top", "web"]).ok().contains("sleep 4712"));
}

fn members_are_in_order(host: &mut Host) {
    let read_again = |text: &str| serde_json::from_str::<Value>(text).expect("JSON").to_string();
    assert_eq!(read_again(r#"{"b":1,"a":2}"#), r#"{"a":2,"b":1}"#, "that puts them in order");
    let (_, shown) = host.http(SOCKET, "GET", "/containers/web/json", None);
    assert!(shown.contains("GraphDriver"), "{shown}");
    assert_eq!(read_again(&shown), shown.trim_end());
}

fn unknown_values_are_refused(host: &mut Host) {
    for path in [
        "/containers/web/logs?stdout=1&tail=some",
        "/containers/json?filters=%7B%22status%22%3A%5B%22asleep%22%5D%7D",
        "/images/json?filters=%7B%22dangling%22%3A%5B%22perhaps%22%5D%7D",
    ] {
        let (status, said) = host.http(SOCKET, "GET", path, None);
        assert_eq!(status, 400, "{path}: {said}");
    }
    for tail in ["all", "3"] {
        assert_eq!(host.http(SOCKET, "GET", &format!("/containers/web/logs?stdout=1&tail={tail}"), None).0, 200);
    }
}
