//! Limits hold and isolation is what Docker's users expect, seen from inside, by run and by exec alike.

use berth_tests::started;

#[test]
fn memory() {
    let (_world, host) = started();
    // The shell grows until it is ended; its container says why.
    let said = host.docker(&[
        "run",
        "--name",
        "fat",
        "-m",
        "16m",
        "--memory-swap",
        "16m",
        "busybox",
        "sh",
        "-c",
        "x=a; while :; do x=$x$x; done",
    ]);
    assert_eq!(said.code, 137, "{said:?}");
    let is_killed = |name: &str| host.docker(&["inspect", "-f", "{{.State.OOMKilled}}", name]).ok();
    assert_eq!(is_killed("fat"), "true");
    // So does one of which only another process was ended, while it lives and when it has ended by itself.
    let script = "sh -c 'x=a; while :; do x=$x$x; done'; echo survived $?; cat";
    let run = ["run", "-di", "--name", "thin", "-m", "16m", "--memory-swap", "16m", "busybox", "sh", "-c", script];
    host.docker(&run).ok();
    host.wait_for_log("thin", "survived 137");
    assert_eq!(is_killed("thin"), "true");
    host.docker(&["stop", "-t", "0", "thin"]).ok();
    assert_eq!(is_killed("thin"), "true");
    host.docker(&["run", "--name", "lean", "-m", "16m", "busybox", "true"]).ok();
    assert_eq!(is_killed("lean"), "false");
}

#[test]
fn pids() {
    let (_world, host) = started();
    let said = host.docker(&[
        "run",
        "--rm",
        "--pids-limit",
        "5",
        "busybox",
        "sh",
        "-c",
        "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; wait",
    ]);
    assert!(said.stderr.contains("can't fork"), "{said:?}");
}

#[test]
fn cpu() {
    let (_world, host) = started();
    host.docker(&[
        "run",
        "-d",
        "--name",
        "slow",
        "--cpus",
        "0.2",
        "--cpu-shares",
        "512",
        "--cpuset-cpus",
        "0",
        "busybox",
        "sh",
        "-c",
        "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; grep Cpus_allowed_list /proc/self/status",
    ])
    .ok();
    host.docker(&["wait", "slow"]).ok();
    let id = host.docker(&["inspect", "-f", "{{.Id}}", "slow"]).ok();
    assert!(host.docker(&["logs", "slow"]).ok().ends_with("\t0"));
    drop(id);
    host.docker(&["run", "-d", "--name", "spin", "--cpus", "0.2", "busybox", "sh", "-c", "while :; do :; done"]).ok();
    let throttled = host.docker(&["exec", "spin", "sh", "-c",
        "sleep 1; cat /sys/fs/cgroup/cpu.stat /sys/fs/cgroup/cpu/cpu.stat 2>/dev/null | grep nr_throttled | head -n 1"]).ok();
    let count: u64 = throttled.split_whitespace().last().and_then(|count| count.parse().ok()).expect("a count");
    assert!(count > 0, "{throttled}");
}

/// What /proc/self/status says of capabilities and seccomp, and which masked paths are empty.
const LOOK: &str = "grep -E '^(CapEff|CapBnd|Seccomp|NoNewPrivs):' /proc/self/status; cat /proc/kcore 2>/dev/null | head -c 1 | wc -c; \
                    ls /proc/acpi /sys/firmware 2>/dev/null | grep -v : | grep -c .; touch /proc/sys/kernel/hostname 2>/dev/null && echo writable; \
                    echo x > /proc/sysrq-trigger 2>/dev/null && echo writable; true";

#[test]
fn the_default_confinement() {
    let (_world, host) = started();
    host.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    let by_exec = host.docker(&["exec", "box", "sh", "-c", LOOK]).ok();
    let by_run = host.docker(&["run", "--rm", "busybox", "sh", "-c", LOOK]).ok();
    // Docker's fourteen capabilities; seccomp in filter mode.
    let expected = "CapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t0\nSeccomp:\t2\n0\n0";
    assert_eq!(by_run, expected);
    assert_eq!(by_exec, expected);
    let refused = host.docker(&["exec", "box", "sh", "-c", "unshare -r true; mount -t tmpfs x /tmp; echo $?"]);
    assert!(refused.stdout.trim_end() != "0", "{refused:?}");
}

#[test]
fn what_widens_and_what_narrows_it() {
    let (_world, host) = started();
    let status = |flags: &[&str]| {
        let mut arguments = vec!["run", "--rm"];
        arguments.extend_from_slice(flags);
        arguments.extend_from_slice(&[
            "busybox",
            "sh",
            "-c",
            "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status | cut -f 2",
        ]);
        host.docker(&arguments).ok().replace('\n', " ")
    };
    assert_eq!(status(&["--cap-drop", "ALL", "--cap-add", "NET_BIND_SERVICE"]), "0000000000000400 0 2");
    assert_eq!(status(&["--cap-add", "sys_time"]), "00000000aa0425fb 0 2");
    assert_eq!(status(&["--security-opt", "no-new-privileges"]), "00000000a80425fb 1 2");
    assert_eq!(status(&["--security-opt", "seccomp=unconfined"]), "00000000a80425fb 0 0");
    let privileged = status(&["--privileged"]);
    assert!(privileged.ends_with(" 0 0") && privileged.starts_with("000001f"), "{privileged}");
    host.docker(&["run", "--rm", "--privileged", "busybox", "sh", "-c", "mount -t tmpfs x /tmp && [ -e /dev/null ]"])
        .ok();
}

#[test]
fn namespaces_are_its_own() {
    let (_world, host) = started();
    let outside = host.sh("cd /proc/self/ns; readlink pid net ipc mnt uts").ok();
    let inside = host
        .docker(&[
            "run",
            "--rm",
            "busybox",
            "sh",
            "-c",
            "cd /proc/self/ns; readlink pid; readlink net; readlink ipc; readlink mnt; readlink uts",
        ])
        .ok();
    for (mine, theirs) in outside.lines().zip(inside.lines()) {
        assert_ne!(mine, theirs);
    }
    assert_eq!(
        host.docker(&["run", "--rm", "busybox", "sh", "-c", "echo $$; ls /proc | grep -c '^[0-9]'"])
            .ok()
            .lines()
            .next(),
        Some("1")
    );
}
