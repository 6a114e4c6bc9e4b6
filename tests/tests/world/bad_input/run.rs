//! Wrong flags of run, by both clients.

use super::{Wrong, cannot_start, refuses, town};

const PUBLISHED: &str = "conflicting options: port publishing and the container type network mode";
const EXPOSED: &str = "conflicting options: port exposing and the container type network mode";

const PORTS_AND_NETWORKS: &[Wrong] = &[
    ("both", "run -p 99999:80 busybox true", 125, &["99999"]),
    ("both", "run -p 80:99999 busybox true", 125, &["99999"]),
    ("both", "run -p 80:0 busybox true", 125, &["port", "0"]),
    ("both", "run -p a:b busybox true", 125, &["a"]),
    ("both", "run -p 1.2.3:80:80 busybox true", 125, &["1.2.3"]),
    ("both", "run -p 80:80:80:80 busybox true", 125, &["80:80"]),
    ("both", "run -p 80:80/icmp busybox true", 125, &["icmp"]),
    ("both", "run -p 8000-8010:80-85 busybox true", 125, &["8000-8010"]),
    ("both", "run -p 8010-8000:8010-8000 busybox true", 125, &["8010-8000"]),
    ("both", "run --expose 99999 busybox true", 125, &["99999"]),
    ("both", "run --network container:nonesuch busybox true", 125, &["No such container: nonesuch"]),
    ("both", "run --network container: busybox true", 125, &["container"]),
    ("both", "run --network container:keeper -p 80:80 busybox true", 125, &[PUBLISHED]),
    ("both", "run --network container:keeper -P busybox true", 125, &[PUBLISHED]),
    ("both", "run --network container:keeper --expose 80 busybox true", 125, &[EXPOSED]),
    ("both", "run --name self --network container:self busybox true", 125, &["cannot join own network"]),
    ("both", "run --network container:keeper --hostname x busybox true", 125, &["conflicting options", "hostname"]),
    ("both", "run --network taken --network taken busybox true", 125, &["taken"]),
    ("both", "run --ip 10.1.1.1 busybox true", 125, &["user"]),
    ("both", "run --network taken --ip notanip busybox true", 125, &["notanip"]),
    ("both", "run --mac-address zz:00:00:00:00:01 busybox true", 125, &["zz:00:00:00:00:01"]),
    ("both", "run --network host --mac-address 02:00:00:00:00:01 busybox true", 125, &["mac"]),
    ("both", "run --hostname -bad-host- busybox true", 125, &["-bad-host-"]),
    ("both", "run --dns notanip busybox true", 125, &["notanip"]),
    ("both", "run --add-host nocolon busybox true", 125, &["nocolon"]),
    ("both", "run --add-host name:notanip busybox true", 125, &["notanip"]),
    ("both", "run --sysctl kernel.nonesuch=1 busybox true", 125, &["kernel.nonesuch"]),
    ("both", "run --network host --sysctl net.ipv4.ip_forward=1 busybox true", 125, &["net.ipv4.ip_forward"]),
];

const LIMITS_AND_MOUNTS: &[Wrong] = &[
    ("both", "run -m 10x busybox true", 125, &["10x"]),
    ("both", "run -m 1k busybox true", 125, &["6MB"]),
    ("both", "run -m 64m --memory-swap 32m busybox true", 125, &["swap"]),
    ("both", "run --memory-swap 32m busybox true", 125, &["swap"]),
    ("both", "run --memory-reservation 128m -m 64m busybox true", 125, &["reservation"]),
    ("docker", "run --memory-swappiness 101 busybox true", 125, &["101", "0-100"]),
    ("both", "run --cpus -1 busybox true", 125, &["CPUs"]),
    ("both", "run --cpus 1000 busybox true", 125, &["CPUs", "0.01"]),
    ("both", "run --cpus many busybox true", 125, &["many"]),
    ("both", "run --cpus 1 --cpu-quota 1000 busybox true", 125, &["conflicting options"]),
    ("both", "run --cpu-period 10 busybox true", 125, &["cpu", "period"]),
    ("both", "run --cpuset-cpus 999 busybox true", 125, &["999"]),
    ("both", "run --cpuset-cpus x busybox true", 125, &["x"]),
    ("both", "run --pids-limit many busybox true", 125, &["many"]),
    ("both", "run --oom-score-adj 2000 busybox true", 125, &["2000"]),
    ("both", "run --shm-size -1 busybox true", 125, &["-1"]),
    ("both", "run --ulimit nofile=10:5 busybox true", 125, &["10", "5"]),
    ("both", "run --ulimit nonesuch=1 busybox true", 125, &["nonesuch"]),
    ("both", "run --mount type=foo,target=/x busybox true", 125, &["foo"]),
    ("both", "run --mount type=bind,source=/tmp busybox true", 125, &["target"]),
    ("both", "run --mount type=bind,source=relative,target=/x busybox true", 125, &["relative", "absolute"]),
    ("both", "run --mount type=bind,source=/nowhere,target=/x busybox true", 125, &["/nowhere", "does not exist"]),
    ("both", "run --mount type=tmpfs,source=/tmp,target=/x busybox true", 125, &["Source"]),
    ("both", "run --mount nonesuch busybox true", 125, &["nonesuch"]),
    ("both", "run -v /tmp:relative busybox true", 125, &["relative", "absolute"]),
    ("both", "run -v /tmp:/ busybox true", 125, &["'/tmp:/'", "invalid specification: destination can't be '/'"]),
    ("both", "run -v x:/ busybox true", 125, &["'x:/'", "invalid specification: destination can't be '/'"]),
    ("both", "run -v /tmp:/x:nonesuch busybox true", 125, &["nonesuch"]),
    ("both", "run -v /tmp:/x:ro,rw busybox true", 125, &["ro,rw"]),
    ("both", "run -v /tmp:/x -v /run:/x busybox true", 125, &["Duplicate mount point: /x"]),
    ("both", "run --tmpfs relative busybox true", 125, &["relative", "absolute"]),
    ("both", "run --tmpfs /x:nonesuch busybox true", 125, &["nonesuch"]),
];

const THE_REST: &[Wrong] = &[
    ("both", "run --cap-add NONESUCH busybox true", 125, &["NONESUCH"]),
    ("both", "run --cap-drop NONESUCH busybox true", 125, &["NONESUCH"]),
    ("both", "run --security-opt nonesuch busybox true", 125, &["nonesuch"]),
    ("both", "run --security-opt seccomp=/nowhere.json busybox true", 125, &["/nowhere.json"]),
    ("both", "run --device /dev/nonesuch busybox true", 125, &["/dev/nonesuch"]),
    ("both", "run --name keeper busybox true", 125, &["keeper", "already in use"]),
    ("both", "run --name -bad- busybox true", 125, &["-bad-"]),
    ("both", "run --name x busybox true", 125, &["Invalid container name (x)"]),
    ("both", "run --stop-signal NONESUCH busybox true", 125, &["NONESUCH"]),
    ("both", "run --stop-timeout soon busybox true", 125, &["soon"]),
    ("both", "run -w /etc/passwd busybox true", 125, &["Cannot mkdir: /etc/passwd is not a directory"]),
    ("both", "run -w relative busybox true", 125, &["relative", "absolute"]),
    ("both", "run -e =value busybox true", 125, &["=value"]),
    ("both", "run --env-file /nowhere busybox true", 125, &["/nowhere"]),
    ("both", "run --rm nonesuch true", 125, &["nonesuch"]),
    ("both", "run --rm Bad:Name:Here true", 125, &["invalid reference format"]),
    ("both", "run --pid nonesuch busybox true", 125, &["pid"]),
    ("both", "run --pid container:nonesuch busybox true", 125, &["nonesuch"]),
    ("both", "run --ipc nonesuch busybox true", 125, &["ipc"]),
    ("both", "run --uts nonesuch busybox true", 125, &["uts"]),
    ("both", "run --restart sometimes busybox true", 125, &["unknown policy 'sometimes'"]),
    ("both", "run --rm --restart always busybox true", 125, &["restart"]),
    ("both", "run --log-driver nonesuch busybox true", 125, &["nonesuch"]),
    ("both", "run --log-opt nonesuch=1 busybox true", 125, &["nonesuch"]),
    ("docker", "run -d --rm --attach stdout busybox true", 1, &["conflicting options"]),
    ("berth", "run -d --rm --attach stdout busybox true", 125, &["conflicting options"]),
    ("both", "run --nonesuch busybox true", 125, &["--nonesuch"]),
    ("both", "run", 1, &["run"]),
];

/// What only the start of a container can find out.
const AT_START: &[Wrong] = &[
    ("both", "run -p 4099:80 busybox true", 125, &["4099", "already"]),
    ("both", "run -p 4100:80 -p 4100:81 busybox true", 125, &["4100"]),
    ("both", "run --network nonesuch busybox true", 125, &["network nonesuch not found"]),
    ("both", "run --network taken --ip 9.9.9.9 busybox true", 125, &["9.9.9.9"]),
    ("both", "run --network taken --ip 10.40.0.1 busybox true", 125, &["10.40.0.1"]),
    ("both", "run -u nobodyatall busybox true", 125, &["nobodyatall"]),
    ("both", "run busybox nonesuch", 127, &["nonesuch"]),
    ("both", "run busybox /etc", 126, &["/etc"]),
];

#[test]
fn ports_and_networks_of_run() {
    refuses(town, PORTS_AND_NETWORKS);
}

#[test]
fn limits_and_mounts_of_run() {
    refuses(town, LIMITS_AND_MOUNTS);
}

#[test]
fn other_flags_of_run() {
    refuses(town, THE_REST);
}

#[test]
fn what_cannot_start_stays_created() {
    cannot_start(town, AT_START);
}
