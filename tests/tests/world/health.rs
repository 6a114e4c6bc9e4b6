//! Health checks: of images and of flags, what they lead to, and a berthd that is killed over them.

use berth_tests::{Host, Outcome, started};

fn status(host: &Host, name: &str) -> String {
    host.docker(&["inspect", "-f", "{{.State.Health.Status}} {{.State.Health.FailingStreak}}", name]).ok()
}

fn listed(host: &Host, name: &str) -> String {
    host.docker(&["ps", "-a", "--filter", &format!("name={name}"), "--format", "{{.Status}}"]).ok()
}

#[test]
fn from_starting_to_healthy_to_unhealthy_and_back() {
    let (_world, host) = started();
    for (name, client) in [("by-docker", Host::docker as fn(&Host, &[&str]) -> Outcome), ("by-berth", Host::berth)] {
        let check = "test -e /tmp/well && echo fine || { echo bad >&2; exit 7; }";
        let mut run = vec!["run", "-d", "--name", name, "--health-cmd", check, "--health-interval", "100ms"];
        run.extend(["--health-retries", "2", "--health-timeout", "5s", "-u", "guest", "busybox", "sleep", "1000"]);
        client(&host, &run).ok();
        host.wait_for_events(name, "health_status: unhealthy", 1);
        assert!(listed(&host, name).ends_with(" (unhealthy)"), "{}", listed(&host, name));
        let last = "{{with index .State.Health.Log 0}}{{.ExitCode}} {{.Output}}{{end}}";
        assert_eq!(client(&host, &["inspect", "-f", last, name]).ok(), "7 bad");
        client(&host, &["exec", name, "touch", "/tmp/well"]).ok();
        host.wait_for_events(name, "health_status: healthy", 1);
        assert!(listed(&host, name).ends_with(" (healthy)"), "{}", listed(&host, name));
        let view = |version: &str| {
            let (_, list) = host.http("/run/berth/berth.sock", "GET", &format!("/v{version}/containers/json"), None);
            let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
            list[0]["Health"].clone()
        };
        assert_eq!(view("1.52"), serde_json::json!({ "Status": "healthy", "FailingStreak": 0 }));
        assert_eq!(view("1.51"), serde_json::Value::Null);
        let names = |health: &str| client(&host, &["ps", "--filter", health, "--format", "{{.Names}}"]).ok();
        assert_eq!((names("health=healthy"), names("health=unhealthy")), (name.to_owned(), String::new()));
        let interval = ["inspect", "-f", "{{json .Config.Healthcheck.Interval}}", name];
        assert_eq!(client(&host, &interval).ok(), "100000000");
        client(&host, &["stop", "-t", "0", name]).ok();
        assert!(status(&host, name).starts_with("unhealthy"), "nobody checks it any more");
        assert!(!listed(&host, name).contains("healthy"), "{}", listed(&host, name));
        client(&host, &["rm", name]).ok();
    }
}

#[test]
fn of_an_image_and_without_it() {
    let (_world, host) = started();
    let archive = berth_tests::image::busybox();
    let check = "HEALTHCHECK --interval=100ms --start-period=1h --start-interval=100ms CMD test -e /tmp/well";
    host.docker(&["import", "-c", "CMD [\"sleep\", \"1000\"]", "-c", check, &archive.to_string_lossy(), "checked"])
        .ok();
    host.docker(&["run", "-d", "--name", "web", "checked"]).ok();
    assert!(listed(&host, "web").ends_with(" (health: starting)"), "{}", listed(&host, "web"));
    // In the start period failures don't count, and the first success ends it.
    host.wait_for_events("web", "exec_die", 3);
    assert_eq!(status(&host, "web"), "starting 0");
    host.docker(&["exec", "web", "touch", "/tmp/well"]).ok();
    host.wait_for_events("web", "health_status: healthy", 1);
    host.docker(&["exec", "web", "rm", "/tmp/well"]).ok();
    host.wait_for_events("web", "health_status: unhealthy", 1);
    assert_eq!(host.docker(&["inspect", "-f", "{{len .State.Health.Log}}", "web"]).ok(), "5");
    for client in [Host::docker, Host::berth] {
        client(&host, &["run", "-d", "--rm", "--name", "plain", "--no-healthcheck", "checked"]).ok();
        assert!(!listed(&host, "plain").contains("health"));
        assert_eq!(client(&host, &["ps", "-q", "--filter", "health=none"]).ok().lines().count(), 1);
        client(&host, &["rm", "-f", "plain"]).ok();
    }
    let said = host.docker(&["run", "--health-cmd", "true", "--health-interval", "10us", "busybox"]).fails_with(125);
    assert!(said.contains("Interval in Healthcheck cannot be less than 1ms"), "{said}");
}

#[test]
fn a_check_that_hangs_is_ended_and_a_killed_berthd_goes_on() {
    let (_world, mut host) = started();
    let run = |name: &str, check: &str, timeout: &str| {
        let mut arguments = vec!["run", "-d", "--name", name, "--health-cmd", check, "--health-interval", "100ms"];
        arguments.extend(["--health-retries", "1", "--health-timeout", timeout, "busybox", "sleep", "1000"]);
        host.docker(&arguments).ok();
    };
    run("hangs", "exec sleep 2000", "300ms");
    run("talks", "echo so far; echo and more >&2; exec sleep 2500", "300ms");
    run("web", "test -e /tmp/well", "5s");
    run("slow", "exec sleep 3000", "1h");
    host.wait_for_events("hangs", "health_status: unhealthy", 1);
    let first = "{{with index .State.Health.Log 0}}{{.ExitCode}} {{.Output}}{{end}}";
    assert_eq!(host.docker(&["inspect", "-f", first, "hangs"]).ok(), "-1 Health check exceeded timeout (300ms)");
    host.wait_for_events("talks", "health_status: unhealthy", 1);
    let output = host.docker(&["inspect", "-f", first, "talks"]).ok();
    assert_eq!(output, "-1 Health check exceeded timeout (300ms): so far\nand more");
    // The next run begins as starting: that it is unhealthy is news again.
    host.docker(&["restart", "-t", "0", "talks"]).ok();
    host.wait_for_events("talks", "health_status: unhealthy", 2);
    host.docker(&["stop", "-t", "0", "hangs"]).ok();
    assert_eq!(host.sh("pgrep -fc '^sleep 2000' || true").ok(), "0");
    host.wait_for_events("web", "health_status: unhealthy", 1);
    host.kill_berthd();
    assert_eq!(host.sh("pgrep -fc '^sleep 3000'").ok(), "1", "the check that berthd died over");
    host.start_berthd();
    assert!(status(&host, "web").starts_with("unhealthy "), "it is known from before");
    host.docker(&["exec", "web", "touch", "/tmp/well"]).ok();
    host.wait_for_events("web", "health_status: healthy", 1);
    // The old check was ended, and a new one has begun.
    host.wait_for_events("slow", "exec_start", 1);
    assert_eq!(host.sh("pgrep -fc '^sleep 3000'").ok(), "1");
    // A frozen container isn't checked.
    host.docker(&["pause", "web"]).ok();
    assert!(listed(&host, "web").ends_with("(Paused)"));
    assert!(status(&host, "web").starts_with("unhealthy "));
    host.docker(&["unpause", "web"]).ok();
    host.wait_for_events("web", "health_status: healthy", 2);
}
