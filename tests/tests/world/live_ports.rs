//! Ports that a container publishes more or less of: while it runs, when it doesn't, over ends of daemons.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use berth_tests::{Host, Outcome, started};

const PAGE: &str = "Hello from berth";

#[track_caller]
fn reaches(outcome: Outcome) {
    assert_eq!(outcome.ok(), PAGE);
}

#[track_caller]
fn is_refused(outcome: Outcome) {
    assert_ne!(outcome.code, 0, "{} got {:?}", outcome.command, outcome.stdout);
}

fn inspected(host: &Host, template: &str) -> String {
    host.docker(&["inspect", "-f", template, "web"]).ok()
}

#[test]
fn ports_come_and_go_while_the_container_runs_and_stay_over_restarts() {
    let (_world, mut host) = started();
    host.serve("web", &["-p", "80", "-p", "4000:80"]);
    let chosen = host.docker(&["port", "web", "80"]).ok();
    let chosen = chosen.lines().filter_map(|line| line.rsplit(':').next()).find(|port| *port != "4000");
    let chosen = chosen.expect("a port of berth's choice").to_owned();
    let as_made = inspected(&host, "{{json .HostConfig.PortBindings}} {{json .NetworkSettings.Ports}}");

    // Somebody goes on asking for what doesn't change.
    let stop = host.directory().join("stop");
    let asking = format!(
        "while [ ! -e {} ]; do for at in 127.0.0.1 '[::1]'; do curl -sSf -m 9 http://$at:4000/ >/dev/null || echo lost; done; \
         echo asked; done",
        stop.display()
    );
    let mut command = host.command("sh");
    let mut asking =
        command.args(["-c", &asking]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a shell");
    let mut said = BufReader::new(asking.stdout.take().expect("a pipe")).lines();
    assert_eq!(said.next().expect("a line").expect("a line"), "asked");
    for _ in 0..5 {
        let said = host.berth(&["port", "add", "web", "8080:80", "8081-8082:81-82", "127.0.0.1:5353:53/udp"]).ok();
        assert!(said.contains("80/tcp -> 0.0.0.0:8080") && said.contains("53/udp -> 127.0.0.1:5353"), "{said}");
        reaches(host.fetch("http://127.0.0.1:8080"));
        reaches(host.fetch("http://[::1]:8080"));
        host.berth(&["port", "rm", "web", "8080-8082", "127.0.0.1:5353/udp"]).ok();
        is_refused(host.fetch("http://127.0.0.1:8080"));
    }
    std::fs::write(stop, "").expect("a file");
    let lost: Vec<_> = said.map_while(Result::ok).filter(|line| line != "asked").collect();
    let asked = asking.wait_with_output().expect("it ends");
    assert!(lost.is_empty(), "{} lost: {}", lost.len(), String::from_utf8_lossy(&asked.stderr));
    assert_eq!(inspected(&host, "{{json .HostConfig.PortBindings}} {{json .NetworkSettings.Ports}}"), as_made);

    host.berth(&["port", "add", "web", "8080:80"]).ok();
    host.berth(&["port", "rm", "web", "4000"]).ok();
    let shown = |host: &Host| {
        let ports = host.docker(&["port", "web"]).ok();
        assert!(ports.contains(&format!("0.0.0.0:{chosen}")) && ports.contains("0.0.0.0:8080"), "{ports}");
        assert!(!ports.contains(":4000"), "{ports}");
        let line = host.docker(&["ps", "--format", "{{.Ports}}"]).ok();
        assert!(line.contains("0.0.0.0:8080->80/tcp") && !line.contains("4000"), "{line}");
        let bindings = inspected(host, "{{json .HostConfig.PortBindings}}");
        assert!(bindings.contains("\"HostPort\":\"8080\"") && !bindings.contains("4000"), "{bindings}");
        reaches(host.fetch("http://127.0.0.1:8080"));
    };
    shown(&host);
    host.kill_berthd();
    host.kill_netd();
    host.start();
    shown(&host);
    host.docker(&["restart", "-t", "0", "web"]).ok();
    let after = host.docker(&["port", "web"]).ok();
    assert!(after.contains("0.0.0.0:8080") && !after.contains(":4000"), "{after}");

    // Of one that is stopped they come with its next start.
    host.docker(&["kill", "web"]).ok();
    host.docker(&["wait", "web"]).ok();
    assert_eq!(host.berth(&["port", "add", "web", "4000:80"]).ok(), "");
    host.berth(&["port", "rm", "web", "8080"]).ok();
    host.docker(&["start", "web"]).ok();
    let after = host.docker(&["port", "web"]).ok();
    assert!(after.contains("0.0.0.0:4000") && !after.contains(":8080"), "{after}");
}

#[test]
fn a_change_that_can_not_be_stored_never_was() {
    let (_world, mut host) = started();
    host.serve("web", &["-p", "4000:80"]);
    let shown = |host: &Host| {
        let seen = inspected(host, "{{json .HostConfig.PortBindings}} {{json .NetworkSettings.Ports}}");
        seen + &host.berth(&["net", "ps", "--format", "{{.Container}} {{.Ports}}"]).ok()
    };
    let before = shown(&host);
    let database = rusqlite::Connection::open(host.directory().join("lib/berth/engine.db")).expect("a database");
    database
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON containers WHEN NEW.record LIKE '%8099%'
             BEGIN SELECT RAISE(ABORT, 'there is no room'); END",
        )
        .expect("a trigger");
    let refused = host.berth(&["port", "add", "web", "8099:80"]).fails_with(1);
    assert!(refused.contains("there is no room"), "{refused}");
    assert_eq!(shown(&host), before);
    host.kill_berthd();
    host.start_berthd();
    assert_eq!(shown(&host), before);
    database.execute_batch("DROP TRIGGER full").expect("it is there");
    host.berth(&["port", "add", "web", "8099:80"]).ok();
    reaches(host.fetch("http://127.0.0.1:8099"));
}

#[test]
fn what_can_not_be_is_refused_in_a_sentence_and_changes_nothing() {
    let (_world, host) = started();
    host.serve("web", &["-p", "4000:80", "-p", "6000-6002:6000-6002/udp"]);
    host.serve("other", &["-p", "4001:80"]);
    for (name, flags) in
        [("hosted", "--network=host"), ("alone", "--network=none"), ("joined", "--network=container:web")]
    {
        host.docker(&["run", "-d", "--name", name, flags, "busybox", "sleep", "1d"]).ok();
    }
    host.docker(&["create", "--name", "stopped", "-p", "4100:80", "busybox", "true"]).ok();
    let theirs = host.listen(4002);
    let seen = || {
        let names = ["web", "other", "hosted", "alone", "joined", "stopped"];
        let template = "{{json .HostConfig.PortBindings}} {{json .NetworkSettings.Ports}}";
        let shown = host.docker(&[&["inspect", "-f", template], &names[..]].concat()).ok();
        shown + &host.sh("nft -s list table inet berth | sort").ok()
    };
    let before = seen();
    let taken = "failed to set up container networking: ";
    for (arguments, part) in [
        (&["add", "nobody", "80"][..], "No such container: nobody"),
        (&["add", "web", "4001:80"], "port 4001/tcp on 0.0.0.0 is already published by sandbox other"),
        (&["add", "web", "5000:80", "4001:80"], taken),
        (&["add", "web", "4002:80"], "4002/tcp: address already in use by"),
        (&["add", "web", "4000:81"], "port 4000/tcp is already published by container web"),
        (&["add", "web", "127.0.0.1:4000:81"], "port 4000/tcp on 127.0.0.1 is already published by container web"),
        (&["add", "web", "8080:0"], "invalid containerPort: 0"),
        (&["add", "web", "8080:80-81"], "invalid ranges specified for container and host Ports: 80-81 and 8080"),
        (&["add", "web", "99999:80"], "invalid hostPort: 99999"),
        (&["add", "web", "1.2.3:80:80"], "invalid IP address: 1.2.3"),
        (&["add", "web", "80/icmp"], "invalid proto: icmp"),
        (&["add", "hosted", "80"], "it is in the host's network namespace (--network host)"),
        (&["add", "alone", "80"], "it has no network (--network none)"),
        (&["add", "joined", "80"], "port publishing and the container type network mode"),
        (&["rm", "web", "4003"], "port 4003/tcp of the host is not published by container web"),
        (&["rm", "web", "4000/udp"], "port 4000/udp of the host is not published by container web"),
        (&["rm", "web", "127.0.0.1:4000"], "port 4000/tcp on 127.0.0.1 of the host is not published"),
        (&["rm", "web", "4000-4001"], "port 4001/tcp of the host is not published by container web"),
        (&["rm", "web", "6000-6003/udp"], "port 6003/udp of the host is not published"),
        (&["rm", "web", "0"], "invalid port specification: \"0\""),
        (&["rm", "web", "4000:80"], "invalid port specification: \"4000:80\""),
        (&["rm", "stopped", "4101"], "port 4101/tcp of the host is not among those that container stopped names"),
        (&["rm", "hosted", "80"], "it is in the host's network namespace (--network host)"),
        (&["add", "stopped", "4100:81"], "port 4100/tcp is already published by container stopped"),
        (&["add", "web"], "'berth port add' requires at least 2 arguments"),
        (&["rm"], "'berth port rm' requires at least 2 arguments"),
    ] {
        let refused = host.berth(&[&["port"], arguments].concat());
        assert_ne!(refused.code, 0, "{arguments:?}");
        assert!(refused.stderr.contains(part), "{arguments:?}: {}", refused.stderr);
    }
    assert_eq!(seen(), before);
    drop(theirs);
    // One port of a range goes alone; what was taken can be had now.
    host.berth(&["port", "rm", "web", "6001/udp"]).ok();
    host.berth(&["port", "add", "web", "4002:80", "[::1]:4003:80", "6001:7000/udp"]).ok();
    let ports = host.docker(&["port", "web"]).ok();
    for line in
        ["6000/udp -> 0.0.0.0:6000", "6002/udp -> 0.0.0.0:6002", "7000/udp -> 0.0.0.0:6001", "80/tcp -> [::1]:4003"]
    {
        assert!(ports.contains(line), "{line} lacks in {ports}");
    }
    reaches(host.fetch("http://[::1]:4003"));
    reaches(host.fetch("http://127.0.0.1:4002"));
}
