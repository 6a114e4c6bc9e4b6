//! Daemons die at any moment: running containers don't notice, and what comes back is exact.

use std::{
    os::unix::fs::PermissionsExt as _,
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use berth_tests::{Host, Outcome, World, until, until_is, world::binary};
use nix::sys::signal::Signal;

/// A host with a container serving on port 4000.
fn serving(world: &mut World) -> Host {
    let mut host = world.host();
    host.start();
    host.serve("web", &["-p", "4000:80"]);
    host
}

/// Everything of ours on a host, as lists that must stay the same or become empty.
pub(super) fn belongings(host: &Host) -> String {
    let cgroup = host.cgroup_parent();
    host.sh(&format!(
        "ip -o link | cut -d: -f 2 | cut -d@ -f 1 | sort; nft -j list table inet berth | jq -S '[.nftables[] | select(.map or .set) | (.map // .set) | {{name, elem}}]'; \
         ls /run/berth/netns | sort; find /sys/fs/cgroup -path '*{cgroup}/*' -type d | sort; ip -4 -o address | cut -d' ' -f 2,7 | sort"
    ))
    .ok()
}

/// Waits until a host has what it had, and nothing is left of any container: its cgroups and what is in memory of it go shortly
/// after its removal is answered.
#[track_caller]
pub(super) fn wait_for_belongings(host: &Host, before: &str, what: &str) {
    let left = "ls /run/berth/containers 2> /dev/null || true";
    until_is(what, &(before.to_owned(), String::new()), || (belongings(host), host.sh(left).ok()));
}

#[test]
fn no_request_is_lost_while_daemons_die_and_return() {
    let mut world = World::new();
    let mut host = serving(&mut world);
    let neighbour = world.host();
    let before = belongings(&host);

    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let client = {
        let (stop, asked) = (stop.clone(), asked.clone());
        let url = format!("http://{}:4000", host.address());
        std::thread::spawn(move || {
            let mut failed = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let outcome = neighbour.fetch(&url);
                if outcome.code != 0 {
                    failed.push(outcome);
                }
                asked.fetch_add(1, Ordering::Relaxed);
            }
            failed
        })
    };
    let some_requests = || {
        let from = asked.load(Ordering::Relaxed);
        while asked.load(Ordering::Relaxed) < from + 20 && !client.is_finished() {
            std::thread::yield_now();
        }
    };
    some_requests();
    for (netd, berthd) in [(true, false), (false, true), (true, true)] {
        if netd {
            host.kill_netd();
        }
        if berthd {
            host.kill_berthd();
        }
        some_requests();
        restart(&mut host);
        some_requests();
    }
    stop.store(true, Ordering::Relaxed);
    let failed = client.join().expect("the client");
    assert!(
        failed.is_empty(),
        "{} of {} requests failed: {:?}",
        failed.len(),
        asked.load(Ordering::Relaxed),
        failed[0]
    );

    assert_eq!(belongings(&host), before);
    assert!(host.docker(&["ps"]).ok().contains("0.0.0.0:4000->80/tcp"));
    assert_eq!(host.docker(&["exec", "web", "echo", "still here"]).ok(), "still here");
    host.docker(&["stop", "-t", "0", "web"]).ok();
    host.docker(&["rm", "web"]).ok();
    assert!(!host.sh("ip -o link").ok().contains(": bv"), "a link is left");
}

#[test]
fn starts_bring_netd_back_and_keep_what_it_makes_for_them() {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    for round in 0..6 {
        // From the second round on it is one that berthd started.
        host.kill_netd();
        let names = [format!("first{round}"), format!("second{round}")];
        let start = |name: &String| {
            let mut client = host.docker_command();
            client.args(["run", "-d", "--name", name, "busybox", "sleep", "1000"]).stdout(Stdio::null());
            client.spawn().expect("docker")
        };
        let clients: Vec<_> = names.iter().map(start).collect();
        for mut client in clients {
            assert!(client.wait().expect("docker").success(), "{}", host.logs());
        }
        for name in &names {
            host.docker(&["exec", name, "ip", "address", "show", "eth0"]).ok();
        }
    }
    assert!(!host.logs().contains("netd is away"), "{}", host.logs());
}

#[test]
fn output_and_exit_codes_survive_the_engine() {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    // One each: with one for both, who isn't there yet when it is written to waits for ever.
    host.sh("mkfifo /run/talk /run/end").ok();
    host.docker(&[
        "run",
        "-d",
        "--name",
        "talker",
        "-v",
        "/run/talk:/go",
        "busybox",
        "sh",
        "-c",
        "echo before; cat /go; seq 1 5000; exit 42",
    ])
    .ok();
    host.docker(&["run", "-d", "--rm", "--name", "brief", "-v", "/run/end:/go", "busybox", "cat", "/go"]).ok();
    host.kill_berthd();
    host.sh("echo onward > /run/talk; echo onward > /run/end").ok();
    // The monitors write their containers' ends; the new engine reads them.
    host.start_berthd();
    assert_eq!(host.docker(&["wait", "talker"]).ok(), "42");
    let log = host.docker(&["logs", "talker"]).ok();
    assert!(log.starts_with("before\n") && log.ends_with("\n5000"), "{log}");
}

#[test]
fn a_removal_is_over_when_what_it_held_is_given_back_also_without_netd() {
    let mut world = World::new();
    let mut host = world.host();
    host.berthd_flag("--start-netd=false").start();
    host.docker(&["run", "-d", "--name", "web", "-p", "4000:80", "busybox", "sleep", "1000"]).ok();
    let before = belongings(&host);
    host.kill_netd();
    let mut client = host.docker_command();
    let mut client = client.args(["rm", "-f", "web"]).stdout(Stdio::null()).spawn().expect("docker");
    host.wait_for_daemon_log("berthd", "its next one is to remove a sandbox");
    assert!(client.try_wait().expect("docker").is_none(), "it answers while the port is taken");
    host.start_netd();
    assert!(client.wait().expect("docker").success());
    let after = belongings(&host);
    assert!(before.contains(" bv") && !after.contains(" bv"), "{before}\n{after}");
    host.docker(&["run", "-d", "--name", "next", "-p", "4000:80", "busybox", "sleep", "1000"]).ok();
}

#[test]
fn a_sandbox_that_netd_could_not_be_told_to_take_down_is_owed_to_it() {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    let ids = ["web", "gone"].map(|name| host.docker(&["run", "-d", "--name", name, "busybox", "sleep", "1000"]).ok());
    let sandboxes = |host: &Host| {
        let asked = "curl -s --unix-socket /run/berth/netd.sock http://localhost/v1/sandboxes";
        host.sh(&format!("{asked} | grep -o '\"state\"' | wc -l")).ok()
    };
    assert_eq!(sandboxes(&host), "2");
    // None can be started: what ends now can't be given back.
    let program = binary("netd");
    host.sh(&format!("mount --bind /bin/false {}", program.display())).ok();
    host.kill_netd();
    host.docker(&["kill", "web", "gone"]).ok();
    host.docker(&["wait", "web", "gone"]).ok();
    host.docker(&["rm", "gone"]).ok();
    let refused = host.docker(&["start", "web"]).fails_with(1);
    assert!(refused.contains("netd ended at once"), "{refused}");
    host.sh(&format!("umount {}", program.display())).ok();
    // Its start has the last sandbox taken down before it asks for the next one; the other goes by itself.
    host.docker(&["start", "web"]).ok();
    for id in &ids {
        host.wait_for_daemon_log(
            "berthd",
            &format!("netd has removed a sandbox that it was owed to be told of container={id}"),
        );
    }
    assert_eq!(sandboxes(&host), "1");
    let warnings = host.docker(&["info", "--format", "{{.Warnings}}"]).ok();
    assert!(!warnings.contains("netd has not taken down"), "{warnings}");
    host.docker(&["exec", "web", "ip", "-4", "addr", "show", "eth0"]).ok();
}

/// Waits for a client that berthd still serves. One whose berthd was killed would ask again, and wait for the next berthd.
fn wait_while_served(client: &mut Child, host: &Host) {
    if !host.berthd_runs() {
        let _ = client.kill();
    }
    let _ = client.wait();
}

#[test]
fn killed_at_any_moment_of_run_and_rm_nothing_is_left_over() {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    host.sh(
        "ip link add veth-foreign type veth peer name br-foreign && nft add table inet foreign && ip netns add foreign",
    )
    .ok();
    let before = belongings(&host);
    // Kills at growing delays after the request begins reach each step; what matters is that none leaves a thing.
    for round in 0..24 {
        let milliseconds = 2 * round;
        let name = format!("victim{round}");
        let mut client = host.docker_command();
        let verb = ["run", "-d", "--name", &name, "-p", "4000:80", "busybox", "sleep", "1000"];
        let mut client = client.args(verb).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("docker");
        std::thread::sleep(std::time::Duration::from_millis(10 + milliseconds));
        match round % 3 {
            0 => host.kill_berthd(),
            1 => host.kill_netd(),
            _ => {
                host.kill_berthd();
                host.kill_netd();
            }
        }
        wait_while_served(&mut client, &host);
        restart(&mut host);
        let mut client = host.docker_command();
        let mut client =
            client.args(["rm", "-f", &name]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("docker");
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        match round % 3 {
            0 => host.kill_netd(),
            1 => host.kill_berthd(),
            _ => {
                host.kill_netd();
                host.kill_berthd();
            }
        }
        wait_while_served(&mut client, &host);
        restart(&mut host);
        host.docker(&["rm", "-f", &name]);
        assert_eq!(host.docker(&["ps", "-aq"]).ok(), "", "round {round}");
        wait_for_belongings(&host, &before, &format!("of round {round} something is left"));
    }
    host.sh("ip link show veth-foreign && nft list table inet foreign && ip netns list | grep foreign").ok();
    let snapshots = "ls /var/lib/berth/snapshots /var/lib/berth/images/snapshots 2> /dev/null | grep -c '^[0-9a-f]\\{64\\}$' || true";
    until_is("snapshots are left", &"0".to_owned(), || host.sh(snapshots).ok());
}

#[test]
fn what_was_to_be_removed_after_its_run_goes_when_its_start_is_cut_short() {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    host.docker(&["create", "--rm", "--name", "untouched", "busybox"]).ok();
    host.docker(&["create", "--name", "kept", "busybox"]).ok();
    let victim = host.docker(&["create", "--rm", "--name", "victim", "busybox", "true"]).ok();
    // A start can't get past its networking while netd stands still.
    host.signal("netd", Signal::SIGSTOP);
    let mut client = host.docker_command();
    let mut client = client.args(["start", "victim"]).stderr(Stdio::null()).spawn().expect("docker");
    let begun = host.directory().join("run/berth/containers").join(victim);
    until("the start", || begun.exists());
    host.kill_berthd();
    host.signal("netd", Signal::SIGCONT);
    let _ = client.wait();
    host.start_berthd();
    assert_eq!(host.docker(&["ps", "-a", "--format", "{{.Names}}"]).ok(), "kept\nuntouched");
    host.docker(&["start", "-a", "untouched"]).ok();
    assert_eq!(host.docker(&["ps", "-a", "--format", "{{.Names}}"]).ok(), "kept");
}

#[test]
fn a_full_disk_keeps_nobody_from_removing() {
    let mut world = World::new();
    let mut host = world.host();
    host.sh("mkdir -p /var/lib/berth && mount -t tmpfs -o size=64m,nr_inodes=3000 none /var/lib/berth").ok();
    host.start();
    host.docker(&["create", "--name", "empty", "busybox"]).ok();
    host.docker(&["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).ok();
    let full = host.sh("cat /dev/zero > /var/lib/berth/filler");
    assert!(full.stderr.contains("No space left"), "{full:?}");
    // Neither room for bytes nor for a file, however small.
    let full = host.sh("n=0; while : > /var/lib/berth/filler$n; do n=$((n + 1)); done");
    assert!(full.stderr.contains("No space left"), "{full:?}");
    let refused = host.docker(&["create", "--name", "another", "busybox"]).fails_with(1);
    assert!(refused.contains("No space left"), "{refused}");
    host.docker(&["rm", "empty"]).ok();
    host.docker(&["rm", "-f", "web"]).ok();
    assert_eq!(host.docker(&["ps", "-aq"]).ok(), "");
}

/// Brings back what was killed: berthd here, and netd by berthd, which starts one when none answers.
fn restart(host: &mut Host) {
    if !host.berthd_runs() {
        host.start_berthd();
    }
    host.docker(&["network", "ls"]).ok();
}

#[test]
fn a_flushed_table_is_whole_again_at_once() {
    let mut world = World::new();
    let host = serving(&mut world);
    let neighbour = world.host();
    let url = format!("http://{}:4000", host.address());
    let mut events = host.command("curl");
    let mut events = events
        .args(["-sN", "--unix-socket", "/run/berth/netd.sock", "http://localhost/v1/events"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(events.stdout.take().expect("a pipe")));
    let mut repaired = || lines.by_ref().map_while(Result::ok).any(|line| line.contains("firewall_repaired"));
    // The administrator's rule is noticed in its turn, before the change that follows it.
    host.sh("nft add rule inet berth user-pre counter").ok();
    host.sh("nft add rule inet berth forward counter").ok();
    assert!(repaired());
    host.sh("nft delete table inet berth").ok();
    assert!(repaired());
    let _ = events.kill();
    let _ = events.wait();
    assert_eq!(neighbour.fetch(&url).ok(), "Hello from berth");
    host.sh("nft list chain inet berth user-pre | grep counter").ok();
}

#[test]
fn a_run_directory_that_was_mounted_over_is_taken_into_use_again() {
    let mut world = World::new();
    let mut host = world.host();
    let outside = host.directory().join("run");
    let script = "mkdir -p /run/berth/netns && mount --bind /run/berth/netns /run/berth/netns && mount --bind $0 /run";
    Outcome::of(host.command("sh").args(["-c", script]).arg(outside)).ok();
    host.start();
    host.docker(&["run", "--rm", "busybox", "ip", "address", "show", "eth0"]).ok();
}

/// Has berthd start a netd of ours: a shell script that says that it was started, and does what `/run/netd.does` says.
fn scripted_netd(host: &mut Host) {
    let programs = host.directory().join("programs");
    std::fs::create_dir(&programs).expect("a directory");
    for program in ["berthd", "berth-shim", "berth-monitor", "netd-keeper"] {
        std::os::unix::fs::symlink(binary(program), programs.join(program)).expect(program);
    }
    let netd = binary("netd");
    let script = format!("#!/bin/sh\necho started >> /run/starts\n. /run/netd.does\nexec {} \"$@\"\n", netd.display());
    std::fs::write(programs.join("netd"), script).expect("a script");
    std::fs::set_permissions(programs.join("netd"), std::fs::Permissions::from_mode(0o755)).expect("a mode");
    host.berthd_flag(format!("--bin-dir={}", programs.display()));
}

#[test]
fn a_netd_that_does_not_start_is_tried_ever_less_often_and_one_that_is_killed_over_it_again() {
    let mut world = World::new();
    let mut host = world.host();
    scripted_netd(&mut host);
    let starts = "starts() { wc -l < /run/starts; }; until [ $(starts)";
    let does = |host: &Host, what: &str| host.sh(&format!("echo '{what}' > /run/netd.does; rm -f /run/starts")).ok();
    // A berthd that starts doesn't end for one that is killed.
    does(&host, "[ $(wc -l < /run/starts) -gt 1 ] || kill -9 $$");
    host.start_berthd();
    assert_eq!(host.sh("wc -l < /run/starts").ok(), "2");
    // One that can't start is tried again, and that is said once.
    does(&host, "exit 3");
    host.kill_netd();
    host.sh(&format!("timeout 60 sh -c '{starts} -ge 3 ]; do sleep 0.05; done'")).ok();
    let away = "netd is away, and tried again, ever less often";
    let said: Vec<_> = host.logs().lines().filter(|line| line.contains(away)).map(str::to_owned).collect();
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("netd ended at once (exit status: 3); see /run/berth/netd.log"), "{said:#?}");
    // Who needs it doesn't wait for the next try.
    does(&host, ":");
    host.docker(&["network", "create", "lan"]).ok();
}

#[test]
fn a_netd_that_ends_soon_after_each_start_is_started_ever_less_often() {
    let mut world = World::new();
    let mut host = world.host();
    host.start_berthd();
    let soon = "netd has ended soon after its start again";
    for round in 0..3 {
        until("a netd that nobody needs yet", || !host.processes("netd").is_empty());
        // berthd follows it: it has heard what happened.
        let name = format!("lan{round}");
        host.docker(&["network", "create", &name]).ok();
        host.wait_for_network_event(&name, "create");
        host.kill_netd();
    }
    host.wait_for_daemon_lines("berthd", soon, 2);
    let logs = host.logs();
    let said: Vec<_> = logs.lines().filter(|line| line.contains(soon)).collect();
    assert!(said[0].contains("in 1s") && said[1].contains("in 2s"), "{said:#?}");
    // Who needs it doesn't wait for the next start.
    host.docker(&["network", "create", "lan"]).ok();
}
