//! What is refused, with which status and words.

use super::*;

type Row<'t> = (Value, u16, &'t str);

fn of_host(host: Value) -> Value {
    json!({ "Image": "x", "HostConfig": host })
}

#[track_caller]
fn refuses(rows: &[Row<'_>]) {
    for (body, status, text) in rows {
        let error = translate(body).expect_err(&format!("{body} is refused"));
        assert!(error.message().starts_with(text), "{body}: {}", error.message());
        assert_eq!(error.kind().http_status(), *status, "{body}");
    }
}

#[test]
fn what_is_not_there_yet_is_named() {
    refuses(&[
        (of_host(json!({ "Runtime": "kata" })), 501, "choosing an OCI runtime (--runtime): not supported by berth yet"),
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
            of_host(json!({ "LogConfig": { "Type": "journald" } })),
            501,
            "log driver \"journald\" is not supported yet: use json-file or none",
        ),
        (
            of_host(json!({ "LogConfig": { "Type": "loki" } })),
            400,
            "error looking up logging plugin loki: plugin \"loki\" not found: use json-file or none",
        ),
        (
            of_host(json!({ "IpcMode": "none" })),
            501,
            "containers without /dev/shm (--ipc none): not supported by berth yet",
        ),
        (of_host(json!({ "Binds": ["/a:/b:rshared"] })), 501, "mount propagation \"rshared\" can't be had yet"),
    ]);
}

#[test]
fn of_processes() {
    refuses(&[
        (
            json!({ "Image": "x", "WorkingDir": "a" }),
            400,
            "the working directory 'a' is invalid, it needs to be an absolute path",
        ),
        (json!({ "Image": "x", "Env": ["=x"] }), 400, "invalid environment variable: =x"),
        (json!({ "Image": "x", "StopSignal": "FOO" }), 400, "Invalid signal: FOO"),
        (
            of_host(json!({ "Ulimits": [{ "Name": "nofile", "Soft": 9, "Hard": 5 }] })),
            400,
            "ulimit soft limit must be less than or equal to hard limit: 9 > 5",
        ),
        (of_host(json!({ "Ulimits": [{ "Name": "speed", "Soft": 1, "Hard": 1 }] })), 400, "invalid ulimit type: speed"),
        (of_host(json!({ "CapAdd": ["FLY"] })), 400, "invalid capability \"FLY\""),
        (of_host(json!({ "SecurityOpt": ["magic=1"] })), 400, "invalid --security-opt 2: \"magic=1\""),
        (of_host(json!({ "SecurityOpt": ["seccomp={"] })), 400, "invalid seccomp profile"),
        (of_host(json!({ "Sysctls": { "kernel.panic": "1" } })), 400, "sysctl \"kernel.panic\" is not allowed"),
        (
            of_host(json!({ "NetworkMode": "host", "Sysctls": { "net.core.somaxconn": "1" } })),
            400,
            "sysctl \"net.core.somaxconn\" not allowed in host network namespace",
        ),
        (of_host(json!({ "PidMode": "moon" })), 400, "invalid PID mode: moon"),
        (
            json!({ "Image": "x", "Hostname": "a", "HostConfig": { "UTSMode": "host" } }),
            400,
            "conflicting options: hostname and the UTS mode",
        ),
        (of_host(json!({ "MaskedPaths": ["proc"] })), 400, "invalid masked path \"proc\": it must be absolute"),
        (of_host(json!({ "ReadonlyPaths": [""] })), 400, "invalid read-only path \"\": it must be absolute"),
        (json!({ "Image": "x", "Cmd": ["a\0"] }), 400, "invalid JSON: \"a\\0\" has a NUL byte in it"),
    ]);
}

#[test]
fn of_networking() {
    refuses(&[
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
        (
            of_host(json!({ "NetworkMode": "container:" })),
            400,
            "invalid network mode: invalid container format container:<name|id>",
        ),
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
        (json!({ "Image": "x", "Domainname": "a\n1.1.1.1 b" }), 400, "invalid domainname format: a\n1.1.1.1 b"),
        (of_host(json!({ "DnsSearch": ["a\nb"] })), 400, "invalid DNS search domain \"a\\nb\": it must be one word"),
        (of_host(json!({ "DnsOptions": [""] })), 400, "invalid DNS option \"\": it must be one word"),
    ]);
}

#[test]
fn of_limits() {
    refuses(&[
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
        (of_host(json!({ "CgroupParent": "/a/../b" })), 400, "invalid cgroup parent \"/a/../b\""),
        (
            of_host(json!({ "CpusetMems": "1" })),
            400,
            "Requested memory nodes are not available - requested 1, available: 0",
        ),
    ]);
}

#[test]
fn of_mounts_and_devices() {
    refuses(&[
        (of_host(json!({ "Binds": ["/a"] })), 400, "invalid volume specification: '/a'"),
        (of_host(json!({ "Binds": ["/a:/b:xx"] })), 400, "invalid mode: xx"),
        (of_host(json!({ "Binds": ["/a:/b:ro,rw"] })), 400, "invalid mode: ro,rw"),
        (of_host(json!({ "Binds": ["a:/b"] })), 400, "create a: volume name is too short"),
        (of_host(json!({ "Binds": ["../a:/b"] })), 400, "create ../a: \"../a\" includes invalid characters"),
        (
            of_host(json!({ "Binds": ["data:/b:rslave"] })),
            400,
            "invalid volume specification: 'data:/b:rslave': invalid mount config for type \"volume\": \
             field BindOptions must not be specified",
        ),
        (
            of_host(json!({ "Binds": ["data:/b:shared"] })),
            400,
            "invalid volume specification: 'data:/b:shared': invalid mount config for type \"volume\": \
             field BindOptions must not be specified",
        ),
        (
            of_host(json!({ "Binds": ["/a:/b:nocopy"], "VolumeDriver": "local" })),
            400,
            "invalid volume specification: '/a:/b:nocopy': invalid mount config for type \"bind\": \
             field VolumeOptions must not be specified",
        ),
        (
            of_host(json!({ "Binds": ["/a:/b:nocopy"] })),
            400,
            "invalid volume specification: '/a:/b:nocopy': invalid mount config for type \"bind\": \
             field VolumeOptions must not be specified",
        ),
        (of_host(json!({ "Binds": ["x:/y:bar"] })), 400, "invalid mode: bar"),
        (of_host(json!({ "VolumesFrom": ["web:bar"] })), 400, "invalid mode: bar"),
        (of_host(json!({ "VolumesFrom": ["web:nocopy"] })), 400, "invalid mode: nocopy"),
        (of_host(json!({ "VolumesFrom": ["web:ro,shared"] })), 400, "invalid mode: ro,shared"),
        (of_host(json!({ "VolumesFrom": ["absent"] })), 400, "No such container: absent"),
        (of_host(json!({ "VolumesFrom": ["web:rx"] })), 400, "invalid mode: rx"),
        (
            of_host(
                json!({ "Mounts": [{ "Type": "volume", "Source": "data", "Target": "/d", "VolumeOptions": { "Subpath": "../x" } }] }),
            ),
            400,
            "invalid mount config for type \"volume\": the subpath \"../x\" must be a relative path inside the volume",
        ),
        (
            of_host(json!({ "Binds": ["x:/"] })),
            400,
            "invalid volume specification: 'x:/': invalid specification: destination can't be '/'",
        ),
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
        (of_host(json!({ "Tmpfs": { "/run": "uid=abc" } })), 400, "invalid tmpfs option \"uid=abc\""),
        (of_host(json!({ "Tmpfs": { "/run": "mode=77777" } })), 400, "invalid tmpfs option \"mode=77777\""),
        (of_host(json!({ "Tmpfs": { "/run": "nr_inodes=some" } })), 400, "invalid tmpfs option \"nr_inodes=some\""),
    ]);
}

#[test]
fn of_logs_and_restarts() {
    refuses(&[
        (
            of_host(json!({ "LogConfig": { "Type": "json-file", "Config": { "max-files": "3" } } })),
            400,
            "unknown log opt 'max-files' for json-file log driver",
        ),
        (of_host(json!({ "LogConfig": { "Config": { "max-size": "ten" } } })), 400, "invalid size: 'ten'"),
        (
            of_host(json!({ "LogConfig": { "Config": { "max-file": "0" } } })),
            400,
            "invalid value for max-file: \"0\", must be at least 1",
        ),
        (
            of_host(json!({ "LogConfig": { "Config": { "max-file": "many" } } })),
            400,
            "invalid value for max-file: \"many\", must be a number of files",
        ),
        (
            of_host(json!({ "LogConfig": { "Config": { "mode": "lossy" } } })),
            400,
            "logger: logging mode not supported: lossy",
        ),
        (
            of_host(json!({ "LogConfig": { "Type": "none", "Config": { "max-buffer-size": "1m" } } })),
            400,
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ),
        (
            of_host(json!({ "LogConfig": { "Config": { "max-buffer-size": "1m", "mode": "blocking" } } })),
            400,
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ),
        (
            of_host(json!({ "LogConfig": { "Config": { "max-buffer-size": "ten", "mode": "non-blocking" } } })),
            400,
            "error parsing option max-buffer-size: invalid size: 'ten'",
        ),
        (
            of_host(json!({ "LogConfig": { "Type": "none", "Config": { "mode": "blocking", "max-size": "1" } } })),
            400,
            "unknown log opt 'max-size' for none log driver",
        ),
        (
            of_host(json!({ "LogConfig": { "Config": { "compress": "true", "max-size": "1k" } } })),
            400,
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ),
        (
            of_host(json!({ "LogConfig": { "Config": { "compress": "1", "max-file": "2" } } })),
            400,
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ),
        (
            of_host(json!({ "LogConfig": { "Config": { "compress": "yes" } } })),
            400,
            "invalid value for compress: \"yes\"",
        ),
        (of_host(json!({ "LogConfig": { "Config": { "tag": "{{.Nope}}" } } })), 400, "invalid log opt tag={{.Nope}}"),
        (of_host(json!({ "LogConfig": { "Config": { "tag": "{{" } } })), 400, "invalid log opt tag={{"),
        (of_host(json!({ "LogConfig": { "Config": { "env-regex": "(" } } })), 400, "invalid log opt env-regex=("),
        (
            of_host(json!({ "AutoRemove": true, "RestartPolicy": { "Name": "always" } })),
            400,
            "can't create 'AutoRemove' container with restart policy",
        ),
        (
            of_host(json!({ "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": -1 } })),
            400,
            "invalid restart policy: maximum retry count cannot be negative",
        ),
        (
            of_host(json!({ "RestartPolicy": { "Name": "no", "MaximumRetryCount": 3 } })),
            400,
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ),
    ]);
}

#[test]
fn of_links_and_shared_networks() {
    let undefined = "can't be used with links. This would result in undefined behavior";
    let expose = json!({
        "Image": "x", "ExposedPorts": { "80/tcp": {} }, "HostConfig": { "NetworkMode": "container:web" },
    });
    let on_bridge =
        json!({ "Image": "x", "NetworkingConfig": { "EndpointsConfig": { "bridge": { "Links": ["web"] } } } });
    refuses(&[
        (
            of_host(json!({ "Links": ["nobody:db"] })),
            400,
            "could not get container for nobody: No such container: nobody",
        ),
        (of_host(json!({ "Links": ["web:a:b"] })), 400, "bad format for links: web:a:b"),
        (of_host(json!({ "Links": ["web:a b"] })), 400, "bad format for links: web:a b"),
        (of_host(json!({ "Links": [""] })), 400, "bad format for links: "),
        (of_host(json!({ "NetworkMode": "front", "Links": ["web:"] })), 400, "bad format for links: web:"),
        (
            of_host(json!({ "NetworkMode": "host", "Links": ["web"] })),
            400,
            &format!("conflicting options: host type networking {undefined}"),
        ),
        (
            of_host(json!({ "NetworkMode": "container:web", "Links": ["web"] })),
            400,
            &format!("conflicting options: container type network {undefined}"),
        ),
        (
            of_host(json!({ "NetworkMode": "none", "Links": ["web"] })),
            400,
            &format!("conflicting options: none type networking {undefined}"),
        ),
        (
            on_bridge,
            400,
            "links of an endpoint on network bridge can't be had: give them when the container is created (HostConfig.Links)",
        ),
        (expose, 400, "conflicting options: port exposing and the container type network mode"),
        (
            of_host(json!({ "NetworkMode": "container:web", "PortBindings": { "80/tcp": [] } })),
            400,
            "conflicting options: port publishing and the container type network mode",
        ),
        (
            of_host(json!({ "NetworkMode": "container:web", "Dns": ["1.1.1.1"] })),
            400,
            "conflicting options: dns and the network mode",
        ),
        (
            of_host(json!({ "NetworkMode": "container:web", "ExtraHosts": ["a:1.1.1.1"], "PublishAllPorts": true })),
            400,
            "conflicting options: custom host-to-IP mapping and the network mode",
        ),
        (
            of_host(json!({ "NetworkMode": "container:nobody" })),
            400,
            "cannot join a namespace of container: No such container: nobody",
        ),
        (
            of_host(json!({ "NetworkMode": "container:calm_cog" })),
            400,
            "cannot join own network: container calm_cog can't have from itself what it has not",
        ),
        (
            of_host(json!({ "PidMode": "container:/calm_cog" })),
            400,
            "cannot join own PID namespace: container calm_cog can't have from itself what it has not",
        ),
        (
            of_host(json!({ "IpcMode": "container:calm_cog" })),
            400,
            "cannot join own IPC namespace: container calm_cog can't have from itself what it has not",
        ),
    ]);
}

#[test]
fn what_an_image_exposes_is_no_request_of_a_shared_network() {
    let image = json!({ "Cmd": ["x"], "ExposedPorts": { "80/tcp": {} } });
    translate_with(image, &of_host(json!({ "NetworkMode": "container:web" }))).expect("it is fine");
}
