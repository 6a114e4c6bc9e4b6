//! What requests become, and which are refused with which words.

use serde_json::{Value, json};

use super::*;
use crate::container::mount::MountPointKind;
use crate::container::network::{Port, Protocol};

const ID: &str = "4ecb1f0e2ac2a8b6c7c6f2f0c1d6a1c9b0d7e5f4a3b2c1d0e9f8a7b6c5d4e3f2";

fn image(config: Value) -> Image {
    let document = json!({
        "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [] }, "config": config,
    });
    Image {
        id: format!("sha256:{}", "ab".repeat(32)).parse().unwrap(),
        references: vec![],
        config: serde_json::from_value(document).unwrap(),
        layers: vec![],
        size_bytes: 0,
        loaded_at: Timestamp::UNIX_EPOCH,
    }
}

fn busybox() -> Value {
    json!({ "Cmd": ["sh"], "Env": ["PATH=/bin", "LANG=C"] })
}

fn translate_with(image_config: Value, body: &Value) -> Result<Translated> {
    let device = |path: &str| match path {
        "/dev/fuse" => Ok(DeviceNode {
            kind: runtime::spec::DeviceKind::Character,
            major: 10,
            minor: 229,
            mode: 0o666,
            uid: 0,
            gid: 0,
        }),
        _ => Err(Error::invalid(format!("no device {path}"))),
    };
    let container = |reference: &str| match reference {
        "web" => Ok(Joined { id: "web0".parse().unwrap(), hostname: "webhost".into(), domainname: "lan".into() }),
        _ => Err(Error::not_found(format!("No such container: {reference}"))),
    };
    let surroundings = Surroundings {
        cpus: 4,
        private_cgroups: false,
        host_name: "harbour",
        device: &device,
        container: &container,
        random_id: &|| "cd".repeat(32),
    };
    let identity = Identity { id: ID.parse().unwrap(), name: "calm_cog".into(), created: Timestamp::UNIX_EPOCH };
    super::container(identity, CreateBody::parse(body.to_string().as_bytes())?, &image(image_config), &surroundings)
}

fn translate(body: &Value) -> Result<Translated> {
    translate_with(busybox(), body)
}

/// The container that a request makes of busybox.
pub(crate) fn made(body: Value) -> Container {
    translate(&body).unwrap().container
}

fn host(host: Value) -> Container {
    made(json!({ "Image": "busybox", "HostConfig": host }))
}

#[test]
fn a_container_that_asks_for_nothing() {
    let container = made(json!({ "Image": "busybox" }));
    let spec = &container.spec;
    assert_eq!(spec.process.args, ["sh"]);
    assert_eq!(spec.process.env, ["HOSTNAME=4ecb1f0e2ac2", "PATH=/bin", "LANG=C"]);
    assert_eq!((spec.process.cwd.as_str(), spec.hostname.as_str()), ("/", "4ecb1f0e2ac2"));
    assert_eq!(spec.process.capabilities.bits(), 0xa804_25fb);
    assert_eq!(spec.log, LogSpec::JsonFile { max_size_bytes: None, max_files: 1 });
    assert_eq!(spec.stop, StopSpec { signal: 15, timeout_seconds: 10 });
    assert_eq!(container.endpoints.len(), 1);
    assert_eq!(container.endpoints[0].network, "bridge");
    assert!(spec.masked_paths.iter().any(|path| path == "/proc/kcore") && !spec.privileged);
    assert_eq!(container.asked.host.network_mode.as_deref(), Some("bridge"));
}

#[test]
fn command_and_entry_point() {
    let image = json!({ "Entrypoint": ["/entry"], "Cmd": ["serve"] });
    let run = |request: Value| translate_with(image.clone(), &request).unwrap().container.spec.process.args;
    assert_eq!(run(json!({ "Image": "x" })), ["/entry", "serve"]);
    assert_eq!(run(json!({ "Image": "x", "Cmd": ["stop"] })), ["/entry", "stop"]);
    assert_eq!(run(json!({ "Image": "x", "Cmd": "stop" })), ["/entry", "stop"]);
    assert_eq!(run(json!({ "Image": "x", "Entrypoint": ["/other"] })), ["/other"]);
    assert_eq!(run(json!({ "Image": "x", "Entrypoint": ["/other"], "Cmd": ["a"] })), ["/other", "a"]);
    assert_eq!(run(json!({ "Image": "x", "Entrypoint": [""], "Cmd": ["a"] })), ["a"]);
    assert_eq!(run(json!({ "Image": "x", "Entrypoint": [], "Cmd": [] })), ["serve"]);
    let nothing = translate_with(json!({}), &json!({ "Image": "x" })).unwrap_err();
    assert_eq!(nothing.message(), "no command specified");
}

#[test]
fn environment_on_top_of_the_image() {
    let env = |env: Value, tty: bool| made(json!({ "Image": "x", "Env": env, "Tty": tty })).spec.process.env;
    assert_eq!(env(json!(["LANG=de", "A=1", "A=2"]), false), ["HOSTNAME=4ecb1f0e2ac2", "PATH=/bin", "LANG=de", "A=2"]);
    assert_eq!(env(json!(["LANG"]), false), ["HOSTNAME=4ecb1f0e2ac2", "PATH=/bin"]);
    assert_eq!(env(json!(["HOSTNAME=me"]), true), ["TERM=xterm", "PATH=/bin", "LANG=C", "HOSTNAME=me"]);
    let bare = translate_with(json!({ "Cmd": ["x"] }), &json!({ "Image": "x" })).unwrap().container;
    assert!(bare.spec.process.env[1].starts_with("PATH=/usr/local/sbin:"));
}

#[test]
fn ports_and_what_is_exposed() {
    let spec = made(json!({
        "Image": "x", "ExposedPorts": { "80/tcp": {}, "100-102/udp": {} },
        "HostConfig": { "PortBindings": {
            "80/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "8080" }, { "HostPort": "" }],
            "443": [{ "HostPort": "8000-8010" }], "9/tcp": null,
        } },
    }))
    .spec
    .network;
    let port = |protocol, number| Port { protocol, number };
    assert_eq!(spec.exposed.len(), 5);
    assert!(spec.exposed.contains(&port(Protocol::Udp, 101)) && spec.exposed.contains(&port(Protocol::Tcp, 443)));
    assert_eq!(spec.ports.len(), 3);
    let bound: Vec<_> =
        spec.ports.iter().map(|b| (b.container.number, b.host_ip.is_some(), b.host.map(|h| h.last))).collect();
    assert_eq!(bound, [(80, false, None), (80, true, Some(8080)), (443, false, Some(8010))]);
}

#[test]
fn networks_in_the_order_of_their_interfaces() {
    let body = json!({
        "Image": "x", "Hostname": "web", "MacAddress": "02-42-AC-00-00-01",
        "HostConfig": { "NetworkMode": "front" },
        "NetworkingConfig": { "EndpointsConfig": {
            "back": { "GwPriority": 3 },
            "front": { "IPAMConfig": { "IPv4Address": "10.1.0.9" }, "Aliases": ["www"], "Links": null },
        } },
    });
    let container = made(body);
    let [front, back] = &container.endpoints[..] else { panic!("{:?}", container.endpoints) };
    assert_eq!((front.network.as_str(), front.ipv4.as_deref()), ("front", Some("10.1.0.9")));
    assert_eq!(front.mac.as_deref(), Some("02:42:ac:00:00:01"));
    assert_eq!(front.aliases, ["www", "web"]);
    assert_eq!((back.network.as_str(), back.gateway_priority), ("back", 3));
    let default = made(json!({
        "Image": "x", "HostConfig": { "NetworkMode": "default" },
        "NetworkingConfig": { "EndpointsConfig": { "default": { "MacAddress": "02:42:ac:00:00:01" } } },
    }));
    assert_eq!(default.endpoints.len(), 1);
    assert_eq!(default.endpoints[0].mac.as_deref(), Some("02:42:ac:00:00:01"));
}

#[test]
fn network_modes() {
    let shared = host(json!({ "NetworkMode": "container:web" }));
    assert_eq!((shared.spec.hostname.as_str(), shared.spec.domainname.as_str()), ("webhost", "lan"));
    assert!(shared.endpoints.is_empty());
    let of_host = translate(&json!({
        "Image": "x", "HostConfig": { "NetworkMode": "host", "PortBindings": { "80/tcp": [{ "HostPort": "80" }] } },
    }))
    .unwrap();
    assert_eq!(of_host.container.spec.hostname, "harbour");
    assert_eq!(of_host.warnings, ["Published ports are discarded when using host network mode"]);
    assert_eq!(host(json!({ "NetworkMode": "none" })).endpoints[0].network, "none");
}

#[test]
fn limits() {
    let resources = host(json!({
        "Memory": 33_554_432, "NanoCpus": 1_500_000_000, "CpuShares": 1, "CpusetCpus": "0,2-3", "PidsLimit": 20,
        "BlkioWeight": 300,
    }))
    .spec
    .resources;
    assert_eq!((resources.memory_bytes, resources.memory_and_swap_bytes), (Some(33_554_432), Some(67_108_864)));
    assert_eq!(resources.cpu_quota_microseconds.zip(resources.cpu_period_microseconds), Some((150_000, 100_000)));
    assert_eq!((resources.cpu_shares, resources.pids_limit), (Some(2), Some(20)));
    assert_eq!(resources.cpuset_cpus.as_deref(), Some("0,2-3"));
    let none = host(json!({ "PidsLimit": -1, "MemorySwap": -1, "MemorySwappiness": -1 })).spec.resources;
    assert_eq!((none.pids_limit, none.memory_and_swap_bytes, none.swappiness), (None, Some(-1), None));
}

#[test]
fn security() {
    let spec = host(json!({ "Privileged": true })).spec;
    assert!(spec.privileged && spec.masked_paths.is_empty() && spec.readonly_paths.is_empty());
    assert_eq!(spec.process.seccomp, runtime::seccomp::Seccomp::Unconfined);
    let spec = host(json!({
        "CapAdd": ["NET_ADMIN"], "CapDrop": ["all"],
        "SecurityOpt": ["no-new-privileges", "seccomp=unconfined", "apparmor=unconfined", "label:disable"],
    }))
    .spec;
    assert_eq!(spec.process.capabilities.bits(), 1 << 12);
    assert!(spec.process.no_new_privileges);
    let open = host(json!({ "SecurityOpt": ["systempaths=unconfined"] })).spec;
    assert!(open.masked_paths.is_empty() && !open.privileged);
}

#[test]
fn mounts_of_all_kinds() {
    let container = translate_with(
        json!({ "Cmd": ["x"], "Volumes": { "/data": {}, "/srv": {} } }),
        &json!({ "Image": "x", "HostConfig": {
            "Binds": ["/srv/www:/srv:ro,rslave"],
            "Tmpfs": { "/run": "size=1m,mode=1777,exec" },
            "Mounts": [
                { "Type": "bind", "Source": "/etc", "Target": "/host/etc/", "ReadOnly": true },
                { "Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": { "SizeBytes": 4096, "Mode": 448 } },
                { "Type": "volume", "Target": "/cache" },
            ],
        } }),
    )
    .unwrap()
    .container;
    let shown: Vec<String> = container
        .spec
        .mounts
        .iter()
        .map(|mount| {
            let kind = match &mount.kind {
                MountPointKind::Bind { source, create_source, .. } => {
                    format!("bind {} {create_source}", source.display())
                }
                MountPointKind::AnonymousVolume { .. } => "volume".to_owned(),
                MountPointKind::Tmpfs { size_bytes, permissions, options } => {
                    format!("tmpfs {size_bytes:?} {permissions:?} {}", options.join(","))
                }
            };
            format!("{} {kind} ro={}", mount.destination.display(), mount.readonly)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "/srv bind /srv/www true ro=true",
            "/host/etc bind /etc false ro=true",
            "/tmp tmpfs Some(4096) Some(448) noexec,nosuid,nodev ro=false",
            "/cache volume ro=false",
            "/run tmpfs Some(1048576) Some(1023) nosuid,nodev,exec ro=false",
            "/data volume ro=false",
        ]
    );
}

#[test]
fn an_image_with_a_health_check_runs_without_it() {
    let image = json!({ "Cmd": ["x"], "Healthcheck": { "Test": ["CMD", "true"] } });
    assert!(translate_with(image, &json!({ "Image": "x" })).is_ok());
}

#[test]
fn refusals() {
    let of_host = |host: Value| json!({ "Image": "x", "HostConfig": host });
    let table = [
        // not there yet
        (
            of_host(json!({ "RestartPolicy": { "Name": "always" } })),
            501,
            "restart policy always (--restart): not supported by berth yet, use no",
        ),
        (of_host(json!({ "Runtime": "runc" })), 501, "choosing an OCI runtime (--runtime): not supported by berth yet"),
        (of_host(json!({ "UsernsMode": "private" })), 501, "user namespaces (--userns): not supported by berth yet"),
        (
            of_host(json!({ "DeviceRequests": [{ "Count": -1 }] })),
            501,
            "device requests (--gpus): not supported by berth yet",
        ),
        (
            of_host(json!({ "StorageOpt": { "size": "1G" } })),
            501,
            "storage options (--storage-opt): not supported by berth yet",
        ),
        (
            of_host(json!({ "VolumesFrom": ["web"] })),
            501,
            "another container's volumes (--volumes-from): not supported by berth yet",
        ),
        (
            of_host(json!({ "Links": ["web:db"] })),
            501,
            "links (--link): put both containers on a network of their own instead: not supported by berth yet",
        ),
        (
            of_host(json!({ "Binds": ["data:/data"] })),
            501,
            "volume \"data\": volumes by name are not supported by berth yet, bind-mount a directory by its absolute path",
        ),
        (
            of_host(json!({ "LogConfig": { "Type": "journald" } })),
            501,
            "log driver \"journald\" is not supported yet: use json-file or none",
        ),
        (
            of_host(json!({ "IpcMode": "none" })),
            501,
            "containers without /dev/shm (--ipc none): not supported by berth yet",
        ),
        (of_host(json!({ "Binds": ["/a:/b:rshared"] })), 501, "mount propagation \"rshared\" can't be had yet"),
        (
            json!({ "Image": "x", "Healthcheck": { "Test": ["CMD", "true"] } }),
            501,
            "health checks (--health-cmd): not supported by berth yet",
        ),
        // wrong
        (
            json!({ "Image": "x", "WorkingDir": "a" }),
            400,
            "the working directory 'a' is invalid, it needs to be an absolute path",
        ),
        (json!({ "Image": "x", "Env": ["=x"] }), 400, "invalid environment variable: =x"),
        (json!({ "Image": "x", "StopSignal": "FOO" }), 400, "Invalid signal: FOO"),
        (json!({ "Image": "x", "Hostname": "a b" }), 400, "invalid hostname format: a b"),
        (json!({ "Image": "x", "ExposedPorts": { "0/tcp": {} } }), 400, "invalid port specification: \"0/tcp\""),
        (json!({ "Image": "x", "ExposedPorts": { "80/icmp": {} } }), 400, "invalid proto: icmp"),
        (
            json!({ "Image": "x", "ExposedPorts": { "90-80/tcp": {} } }),
            400,
            "invalid port specification: \"90-80/tcp\"",
        ),
        (json!({ "Image": "x", "MacAddress": "01:00:00:00:00:00" }), 400, "invalid MAC address: 01:00:00:00:00:00"),
        (json!({ "Image": "x", "MacAddress": "2:0:0:0:0:0" }), 400, "invalid MAC address: 2:0:0:0:0:0"),
        (of_host(json!({ "PortBindings": { "70000/tcp": [] } })), 400, "invalid port specification: \"70000/tcp\""),
        (
            of_host(json!({ "PortBindings": { "80/tcp": [{ "HostPort": "99999" }] } })),
            400,
            "invalid port specification: \"99999\"",
        ),
        (
            of_host(json!({ "PortBindings": { "80/tcp": [{ "HostPort": "20-10" }] } })),
            400,
            "invalid port specification: \"20-10\"",
        ),
        (of_host(json!({ "PortBindings": { "80/tcp": [{ "HostIp": "1.2.3" }] } })), 400, "invalid IP address: 1.2.3"),
        (of_host(json!({ "Memory": 1024 })), 400, "Minimum memory limit allowed is 6MB"),
        (of_host(json!({ "Memory": -1 })), 400, "invalid memory limits: "),
        (
            of_host(json!({ "Memory": 8_388_608, "MemorySwap": 4096 })),
            400,
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            of_host(json!({ "MemorySwap": 8_388_608 })),
            400,
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (
            of_host(json!({ "Memory": 8_388_608, "MemoryReservation": 9_388_608 })),
            400,
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        (
            of_host(json!({ "MemorySwappiness": 101 })),
            400,
            "Invalid value: 101, valid memory swappiness range is 0-100",
        ),
        (
            of_host(json!({ "NanoCpus": 5_000_000_000_i64 })),
            400,
            "Range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available",
        ),
        (
            of_host(json!({ "NanoCpus": 1_000_000_000, "CpuQuota": 5000 })),
            400,
            "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
        ),
        (
            of_host(json!({ "CpuPeriod": 10 })),
            400,
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        (of_host(json!({ "CpuQuota": 10 })), 400, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        (
            of_host(json!({ "CpusetCpus": "0-9" })),
            400,
            "Requested CPUs are not available - requested 0-9, available: 0-3",
        ),
        (of_host(json!({ "CpusetCpus": "a" })), 400, "Invalid value a for cpuset cpus"),
        (of_host(json!({ "CpusetCpus": "0-4294967295" })), 400, "Invalid value 0-4294967295 for cpuset cpus"),
        (of_host(json!({ "BlkioWeight": 5 })), 400, "Range of blkio weight is from 10 to 1000"),
        (of_host(json!({ "ShmSize": -1 })), 400, "SHM size can not be less than 0"),
        (of_host(json!({ "OomScoreAdj": 1001 })), 400, "Invalid value 1001, range for oom score adj is [-1000, 1000]"),
        (
            of_host(json!({ "Ulimits": [{ "Name": "nofile", "Soft": 9, "Hard": 5 }] })),
            400,
            "ulimit soft limit must be less than or equal to hard limit: 9 > 5",
        ),
        (of_host(json!({ "Ulimits": [{ "Name": "speed", "Soft": 1, "Hard": 1 }] })), 400, "invalid ulimit type: speed"),
        (of_host(json!({ "CapAdd": ["FLY"] })), 400, "invalid capability \"FLY\""),
        (of_host(json!({ "SecurityOpt": ["magic=1"] })), 400, "invalid --security-opt 2: \"magic=1\""),
        (of_host(json!({ "SecurityOpt": ["seccomp={"] })), 400, "invalid seccomp profile"),
        (of_host(json!({ "Sysctls": { "kernel.panic": "1" } })), 400, "sysctl 'kernel.panic' is not allowed"),
        (
            of_host(json!({ "NetworkMode": "host", "Sysctls": { "net.core.somaxconn": "1" } })),
            400,
            "sysctl 'net.core.somaxconn' not allowed in host network namespace",
        ),
        (of_host(json!({ "PidMode": "moon" })), 400, "invalid PID mode: moon"),
        (of_host(json!({ "NetworkMode": "container:nobody" })), 404, "No such container: nobody"),
        (of_host(json!({ "NetworkMode": "container:" })), 400, "invalid container format container:<name|id>"),
        (
            of_host(json!({ "NetworkMode": "container:web", "PublishAllPorts": true })),
            400,
            "conflicting options: port publishing and the container type network mode",
        ),
        (
            of_host(json!({ "NetworkMode": "container:web", "Dns": ["1.1.1.1"] })),
            400,
            "conflicting options: dns and the network mode",
        ),
        (
            json!({ "Image": "x", "Hostname": "a", "HostConfig": { "NetworkMode": "container:web" } }),
            400,
            "conflicting options: hostname and the network mode",
        ),
        (
            json!({ "Image": "x", "Hostname": "a", "HostConfig": { "UTSMode": "host" } }),
            400,
            "conflicting options: hostname and the UTS mode",
        ),
        (
            json!({ "Image": "x", "NetworkingConfig": { "EndpointsConfig": { "bridge": { "IPAMConfig": { "IPv4Address": "172.17.0.9" } } } } }),
            400,
            "invalid config for network: user specified IP address is supported on user defined networks only",
        ),
        (
            json!({ "Image": "x", "HostConfig": { "NetworkMode": "n" }, "NetworkingConfig": { "EndpointsConfig": { "n": { "IPAMConfig": { "IPv4Address": "300.1.1.1" } } } } }),
            400,
            "invalid endpoint settings: invalid IPv4 address: 300.1.1.1",
        ),
        (of_host(json!({ "Dns": ["one"] })), 400, "bad format for IP address: one"),
        (of_host(json!({ "ExtraHosts": ["host"] })), 400, "bad format for add-host: \"host\""),
        (of_host(json!({ "ExtraHosts": ["a b:1.1.1.1"] })), 400, "bad format for add-host: \"a b:1.1.1.1\""),
        (of_host(json!({ "ExtraHosts": ["a:1.1"] })), 400, "invalid IP address in add-host: \"1.1\""),
        (of_host(json!({ "Binds": ["/a"] })), 400, "invalid volume specification: '/a'"),
        (of_host(json!({ "Binds": ["/a:/b:xx"] })), 400, "invalid mode: xx"),
        (of_host(json!({ "Binds": ["/a:/b:ro,rw"] })), 400, "invalid mode: ro,rw"),
        (of_host(json!({ "Binds": ["/a:/"] })), 400, "invalid volume specification: '/': destination can't be '/'"),
        (of_host(json!({ "Binds": ["/a:/b", "/c:/b/"] })), 400, "Duplicate mount point: /b"),
        (of_host(json!({ "Binds": ["/a:b"] })), 400, "invalid mount path: 'b' mount path must be absolute"),
        (
            of_host(json!({ "Mounts": [{ "Type": "bind", "Target": "/b" }] })),
            400,
            "invalid mount config for type \"bind\": field Source must not be empty",
        ),
        (
            of_host(json!({ "Mounts": [{ "Type": "tmpfs", "Source": "/a", "Target": "/b" }] })),
            400,
            "invalid mount config for type \"tmpfs\": field Source must not be specified",
        ),
        (of_host(json!({ "Tmpfs": { "/run": "size=huge" } })), 400, "invalid tmpfs option \"size=huge\""),
        (of_host(json!({ "Tmpfs": { "/run": "bind" } })), 400, "invalid tmpfs option \"bind\""),
        (of_host(json!({ "Devices": [{ "PathOnHost": "/dev/none" }] })), 400, "no device /dev/none"),
        (
            of_host(json!({ "Devices": [{ "PathOnHost": "/dev/fuse", "CgroupPermissions": "x" }] })),
            400,
            "invalid device mode \"x\"",
        ),
        (of_host(json!({ "DeviceCgroupRules": ["x"] })), 400, "invalid device cgroup rule format: 'x'"),
        (
            of_host(json!({ "LogConfig": { "Type": "json-file", "Config": { "max-files": "3" } } })),
            400,
            "unknown log opt 'max-files' for json-file log driver",
        ),
        (of_host(json!({ "LogConfig": { "Config": { "max-size": "ten" } } })), 400, "invalid size: 'ten'"),
        (
            of_host(json!({ "LogConfig": { "Config": { "max-file": "2" } } })),
            400,
            "max-file cannot be set without max-size",
        ),
        (of_host(json!({ "CgroupParent": "/a/../b" })), 400, "invalid cgroup parent \"/a/../b\""),
        (
            of_host(json!({ "RestartPolicy": { "Name": "no", "MaximumRetryCount": 3 } })),
            400,
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ),
    ];
    for (body, status, text) in &table {
        let error = translate(body).expect_err(&format!("{body} is refused"));
        assert!(error.message().starts_with(text), "{body}: {}", error.message());
        assert_eq!(error.kind().http_status(), *status, "{body}");
    }
}
