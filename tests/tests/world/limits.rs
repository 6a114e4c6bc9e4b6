//! Limits hold and isolation is what Docker's users expect, seen from inside, by run and by exec alike.

use std::{
    fs::{File, read_to_string, write},
    process::Command,
};

use berth_tests::{Host, started};

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

#[test]
fn disks_swapping_and_devices() {
    let (_world, host) = started();
    let disk = "for disk in /sys/block/*; do name=${disk##*/}; [ -b /dev/$name ] && [ $(cat $disk/size) -gt 0 ] && \
                echo /dev/$name $(cat $disk/dev) && break; done";
    let disk = host.sh(disk).ok();
    let (path, number) = disk.split_once(' ').expect("this machine has a disk");
    let has_v1 = host.sh("test -d /sys/fs/cgroup/blkio").code == 0;
    // Whatever a client says, version 2 of cgroups has neither of these.
    let memory: &[&str] = if has_v1 { &["--memory-swappiness", "33", "--oom-kill-disable"] } else { &[] };
    let [reads, writes] = [format!("{path}:1mb"), format!("{path}:2m")];
    let [read_operations, write_operations] = [format!("{path}:100"), format!("{path}:200")];
    let disks = [
        ["--blkio-weight", "300"],
        ["--device-read-bps", &reads],
        ["--device-write-bps", &writes],
        ["--device-read-iops", &read_operations],
        ["--device-write-iops", &write_operations],
    ];
    let flags = [&["-m", "64m"][..], memory, disks.as_flattened()].concat();
    // As `run` asks for it, and as `create` does.
    host.berth(&[&["run", "-d", "--name", "ran"], &flags[..], &["busybox", "sleep", "1000"]].concat()).ok();
    host.berth(&[&["create", "--name", "made"], &flags[..], &["busybox", "sleep", "1000"]].concat()).ok();
    host.berth(&["start", "made"]).ok();
    for name in ["ran", "made"] {
        let held = |controller: &str, file: &str| {
            let pid = host.docker(&["inspect", "-f", "{{.State.Pid}}", name]).ok();
            let path = format!("$(sed -n 's,^[0-9]*:{controller}:,,p' /proc/{pid}/cgroup)");
            host.sh(&format!("cat /sys/fs/cgroup/{controller}{path}/{file}")).ok()
        };
        if !has_v1 {
            assert_eq!(held("", "io.max"), format!("{number} rbps=1048576 wbps=2097152 riops=100 wiops=200"));
            continue;
        }
        let throttles = ["read_bps", "write_bps", "read_iops", "write_iops"];
        let throttles = throttles.map(|what| held("blkio", &format!("blkio.throttle.{what}_device")));
        assert_eq!(throttles, ["1048576", "2097152", "100", "200"].map(|rate| format!("{number} {rate}")));
        assert_eq!(held("blkio", "blkio*.weight"), "300");
        assert_eq!(held("memory", "memory.swappiness"), "33");
        assert!(held("memory", "memory.oom_control").contains("oom_kill_disable 1"));
    }
    // One disk's weight needs a scheduler that knows weights: else the kernel's refusal is said, and nothing runs.
    let disk = LoopDevice::new(&host);
    let path = &disk.path;
    let weighed = format!("{path}:200");
    let run = ["run", "-d", "--name", "one", "--blkio-weight-device", &weighed, "busybox", "sleep", "1000"];
    match disk.has_weights {
        true => {
            host.berth(&run).ok();
            let pid = host.docker(&["inspect", "-f", "{{.State.Pid}}", "one"]).ok();
            let cgroup = format!("$(sed -n 's,^[0-9]*:blkio:,,p; s,^0::/,/,p' /proc/{pid}/cgroup | head -1)");
            let files = format!("/sys/fs/cgroup/blkio{cgroup}/blkio*weight_device /sys/fs/cgroup{cgroup}/io.*weight");
            let weights = host.sh(&format!("cat {files} 2>/dev/null || true")).ok();
            assert!(weights.lines().any(|line| line == format!("{} 200", disk.number)), "{weights}");
        }
        false => assert!(host.berth(&run).fails_with(125).contains("weight")),
    }
    let weights = host.docker(&["inspect", "-f", "{{json .HostConfig.BlkioWeightDevice}}", "one"]).ok();
    assert_eq!(weights, format!(r#"[{{"Path":"{path}","Weight":200}}]"#));

    let open = "mknod /tmp/tun c 10 200 && (exec 3< /tmp/tun) 2> /dev/null && echo open || echo closed";
    let opens = |flags: &[&str]| host.berth(&[&["run", "--rm"], flags, &["busybox", "sh", "-c", open]].concat()).ok();
    assert_eq!(opens(&[]), "closed");
    assert_eq!(opens(&["--device-cgroup-rule", "c 10:200 rwm"]), "open");
}

/// A disk that is a file, of the scheduler that knows weights where this kernel has it. It is gone when this is dropped.
struct LoopDevice {
    path: String,
    number: String,
    has_weights: bool,
}

impl LoopDevice {
    fn new(host: &Host) -> Self {
        let file = host.directory().join("disk");
        File::create(&file).and_then(|file| file.set_len(1 << 20)).expect("a file");
        let output =
            Command::new("losetup").args(["--find", "--show"]).arg(&file).output().expect("losetup (util-linux)");
        let path = String::from_utf8(output.stdout).expect("a path").trim().to_owned();
        let mut device = Self { path, number: String::new(), has_weights: false };
        let place = format!("/sys/block/{}", device.path.trim_start_matches("/dev/"));
        device.number = read_to_string(format!("{place}/dev")).expect("its number").trim().to_owned();
        device.has_weights = write(format!("{place}/queue/scheduler"), "bfq").is_ok();
        device
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let detached = Command::new("losetup").args(["--detach", &self.path]).status();
        assert!(detached.is_ok_and(|status| status.success()) || std::thread::panicking(), "{} stays", self.path);
    }
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
