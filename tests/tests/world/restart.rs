//! Restart policies: over exits, stops, and the ends of the daemon and of the host.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use berth_tests::{Host, Outcome, World, started};

fn shown(host: &Host, name: &str) -> String {
    let format = "{{.State.Status}} {{.State.Running}} {{.State.Restarting}} {{.RestartCount}} {{.State.ExitCode}}";
    host.docker(&["inspect", "-f", format, name]).ok()
}

#[test]
fn on_failure_gives_up_after_so_many_times() {
    let (_world, host) = started();
    for (bad, client) in [("bad", Host::docker as fn(&Host, &[&str]) -> Outcome), ("worse", Host::berth)] {
        let run = ["run", "-d", "--name", bad, "--restart", "on-failure:2", "busybox", "sh", "-c", "echo run; exit 3"];
        client(&host, &run).ok();
        host.wait_for_events(bad, "die", 3);
        assert_eq!(client(&host, &["wait", bad]).ok(), "3");
        assert_eq!(shown(&host, bad), "exited false false 2 3");
        assert_eq!(client(&host, &["logs", bad]).ok(), "run\nrun\nrun");
        client(&host, &["rm", bad]).ok();
        // What ends well isn't started again.
        client(&host, &["run", "-d", "--name", "good", "--restart", "on-failure", "busybox", "true"]).ok();
        assert_eq!(client(&host, &["wait", "good"]).ok(), "0");
        assert_eq!(shown(&host, "good"), "exited false false 0 0");
        client(&host, &["rm", "good"]).ok();
    }
}

#[test]
fn always_runs_until_it_is_stopped() {
    let (_world, host) = started();
    host.docker(&["run", "-d", "--name", "again", "--restart", "always", "-p", "4000:80", "busybox", "true"]).ok();
    host.wait_for_events("again", "die", 4);
    // Waiting for its next start it is listed, can't be entered, and can be stopped for good.
    wait_until_restarting(&host, "again");
    assert!(shown(&host, "again").starts_with("restarting true true "), "{}", shown(&host, "again"));
    assert!(host.docker(&["ps", "--format", "{{.Names}} {{.Status}}"]).ok().starts_with("again Restarting (0) "));
    let said = host.docker(&["exec", "again", "true"]).fails_with(1);
    assert!(said.contains("is restarting, wait until the container is running"), "{said}");
    let said = host.docker(&["rm", "again"]).fails_with(1);
    assert!(said.contains("container is restarting: stop the container before removing or force remove"), "{said}");
    host.docker(&["start", "again"]).ok();
    host.docker(&["stop", "again"]).ok();
    assert!(shown(&host, "again").starts_with("exited false false "), "{}", shown(&host, "again"));
    host.docker(&["rm", "again"]).ok();

    host.docker(&["run", "-d", "--name", "gone", "--restart", "always", "busybox", "true"]).ok();
    host.wait_for_events("gone", "die", 3);
    host.docker(&["rm", "-f", "gone"]).ok();
    // A kill by the user is as good as a stop; one from inside isn't.
    host.docker(&["run", "-d", "--name", "alive", "--restart", "unless-stopped", "busybox", "sleep", "1000"]).ok();
    host.sh("kill -9 $(pidof -s sleep)").ok();
    host.wait_for_events("alive", "start", 2);
    assert_eq!(shown(&host, "alive"), "running true false 1 0");
    host.docker(&["kill", "alive"]).ok();
    host.docker(&["wait", "alive"]).ok();
    assert_eq!(shown(&host, "alive"), "exited false false 1 137");
    host.docker(&["restart", "-t", "0", "alive"]).ok();
    assert_eq!(shown(&host, "alive"), "running true false 0 0");
    let said = host.docker(&["run", "--rm", "--restart", "always", "busybox"]).fails_with(125);
    assert!(said.contains("conflicting options") || said.contains("cannot"), "{said}");
}

/// From the fourth on, the waits are longer than what lies between two looks.
fn wait_until_restarting(host: &Host, name: &str) {
    for times in 5..9 {
        if shown(host, name).starts_with("restarting") {
            return;
        }
        host.wait_for_events(name, "die", times);
    }
    panic!("{name} never waits: {}", shown(host, name));
}

#[test]
fn a_policy_can_be_changed_and_limits_too() {
    let (_world, host) = started();
    host.docker(&["run", "-d", "--name", "web", "-m", "64m", "busybox", "sleep", "1000"]).ok();
    host.docker(&["update", "--restart", "always", "web"]).ok();
    assert_eq!(host.docker(&["inspect", "-f", "{{.HostConfig.RestartPolicy.Name}}", "web"]).ok(), "always");
    host.sh("kill -9 $(pidof -s sleep)").ok();
    host.wait_for_events("web", "start", 2);
    host.berth(&["update", "--restart", "on-failure:7", "-m", "128m", "--pids-limit", "50", "web"]).ok();
    let format =
        "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}} {{.HostConfig.Memory}}";
    assert_eq!(host.docker(&["inspect", "-f", format, "web"]).ok(), "on-failure 7 134217728");
    let stats = host.docker(&["stats", "--no-stream", "--format", "{{.MemUsage}}", "web"]).ok();
    assert!(stats.ends_with("/ 128MiB"), "{stats}");
    let said = host.docker(&["update", "-m", "1m", "web"]).fails_with(1);
    assert!(said.contains("Minimum memory limit allowed is 6MB"), "{said}");
    let stats = host.docker(&["stats", "--no-stream", "--format", "{{.MemUsage}}", "web"]).ok();
    assert!(stats.ends_with("/ 128MiB"), "{stats}");
    host.docker(&["run", "-d", "--rm", "--name", "short", "busybox", "sleep", "1000"]).ok();
    let said = host.docker(&["update", "--restart", "always", "short"]).fails_with(1);
    assert!(said.contains("Restart policy cannot be updated because AutoRemove is enabled"), "{said}");
    // Of its files nothing is wanted after a power cut, so that nothing waits for the disk.
    let is_volatile = |name| host.docker(&["exec", name, "grep", "-q", "^overlay / .*volatile", "/proc/mounts"]);
    is_volatile("short").ok();
    is_volatile("web").fails_with(1);
    host.berth(&["update", "web"]).fails_with(1);
}

/// Passes what berthd and netd say to each other, and does something before the next claim.
fn before_the_next_claim(host: &Host, act: Arc<Mutex<Option<Command>>>) {
    let run_dir = host.directory().join("run/berth");
    let listener = UnixListener::bind(run_dir.join("between.sock")).expect("a socket");
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let (mut netd, act) = (UnixStream::connect(run_dir.join("netd.sock")).expect("netd"), act.clone());
            let mut back = (netd.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
            std::thread::spawn(move || std::io::copy(&mut back.0, &mut back.1));
            std::thread::spawn(move || {
                let mut buffer = [0; 1 << 16];
                // A connection that breaks is its client's to see.
                while let Ok(length @ 1..) = client.read(&mut buffer) {
                    let is_claim = buffer[..length].windows(6).any(|word| word == b"/claim");
                    if let Some(mut command) = is_claim.then(|| act.lock().expect("a command").take()).flatten() {
                        assert!(command.status().expect("a command").success());
                    }
                    if netd.write_all(&buffer[..length]).is_err() {
                        break;
                    }
                }
                let _ = netd.shutdown(std::net::Shutdown::Both);
            });
        }
    });
}

#[test]
fn a_stop_while_berthd_takes_up_containers_is_a_stop() {
    let mut world = World::new();
    let mut host = world.host();
    host.start_netd();
    let act = Arc::<Mutex<Option<Command>>>::default();
    before_the_next_claim(&host, act.clone());
    host.berthd_flag("--netd-socket=/run/berth/between.sock").berthd_flag("--start-netd=false").start_berthd();
    host.docker(&["import", "--change", "CMD [\"sh\"]", &berth_tests::image::busybox().to_string_lossy(), "busybox"])
        .ok();
    for name in ["web", "other", "at-rest"] {
        host.docker(&["run", "-d", "--name", name, "--restart", "always", "busybox", "sleep", "1000"]).ok();
    }
    host.docker(&["stop", "-t", "0", "other", "at-rest"]).ok();
    host.kill_berthd();
    let mut stop = host.docker_command();
    stop.args(["stop", "-t", "0", "web", "at-rest"]);
    *act.lock().expect("a command") = Some(stop);
    host.start_berthd();
    assert!(act.lock().expect("a command").is_none());
    let stay_so = || {
        for name in ["web", "at-rest"] {
            assert!(shown(&host, name).starts_with("exited false false "), "{name}: {}", shown(&host, name));
        }
    };
    stay_so();
    // What was at rest before is started, as its policy says, if nobody has stopped it since.
    host.wait_for_events("other", "start", 1);
    stay_so();
}

/// What a power cut leaves of a host: what is below /var.
fn switch_off(host: &mut Host) {
    host.kill_berthd();
    host.kill_netd();
    // The first process of a container ends with its monitor's kill; the keeper of the host's namespaces is pid 1.
    host.sh("for monitor in $(pidof berth-monitor); do kill -9 $(cat /proc/$monitor/task/*/children) $monitor; done; \
         rm -rf /run/berth; nft flush ruleset; ip link del berth0");
    assert_eq!(host.sh("ls -A /run/berth 2>&1 | wc -l; pidof berth-monitor | wc -w").ok(), "1\n0");
}

#[test]
fn a_restart_of_berthd_and_of_the_host() {
    let (_world, mut host) = started();
    let policies = ["no", "on-failure", "always", "unless-stopped"];
    for policy in policies {
        host.docker(&["run", "-d", "--name", policy, "--restart", policy, "busybox", "sleep", "1000"]).ok();
    }
    for (name, policy) in [("stopped-always", "always"), ("stopped-unless", "unless-stopped")] {
        host.docker(&["run", "-d", "--name", name, "--restart", policy, "busybox", "sleep", "1000"]).ok();
        host.docker(&["stop", "-t", "0", name]).ok();
    }
    host.docker(&["create", "--name", "never", "--restart", "always", "busybox", "sleep", "1000"]).ok();
    host.docker(&["run", "-d", "--name", "loop", "--restart", "always", "busybox", "false"]).ok();
    host.wait_for_events("loop", "die", 4);
    // What ends while berthd is away is started when it is back; what runs isn't touched.
    let pid = |host: &Host, name: &str| host.docker(&["inspect", "-f", "{{.State.Pid}}", name]).ok();
    let (untouched, ended) = (pid(&host, "always"), pid(&host, "unless-stopped"));
    host.kill_berthd();
    host.sh(&format!("kill -9 {ended}")).ok();
    host.start_berthd();
    host.wait_for_events("unless-stopped", "start", 1);
    host.wait_for_events("stopped-always", "start", 1);
    host.wait_for_events("loop", "start", 1);
    assert_eq!(pid(&host, "always"), untouched);
    assert_ne!(pid(&host, "unless-stopped"), ended);
    assert!(shown(&host, "stopped-unless").starts_with("exited "));
    assert!(shown(&host, "never").starts_with("created "));
    switch_off(&mut host);
    host.start_netd().start_berthd();
    for name in ["on-failure", "always", "unless-stopped", "stopped-always", "loop"] {
        host.wait_for_events(name, "start", 1);
    }
    for name in ["on-failure", "always", "unless-stopped", "stopped-always"] {
        assert!(shown(&host, name).starts_with("running "), "{name}: {}", shown(&host, name));
    }
    assert_eq!(shown(&host, "no"), "exited false false 0 255");
    assert!(shown(&host, "stopped-unless").starts_with("exited "));
    assert!(shown(&host, "never").starts_with("created "));
    host.docker(&["exec", "always", "ping", "-c", "1", "-w", "5", "172.17.0.1"]).ok();
}
